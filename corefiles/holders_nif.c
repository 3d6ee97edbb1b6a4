// SPDX-License-Identifier: Apache-2.0
// What many a NIF does: it keeps a term in an environment that no process knows of.

#include <erl_nif.h>

static ErlNifEnv *kept;

static ERL_NIF_TERM keep(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
	(void)argc;
	if (!kept)
		kept = enif_alloc_env();
	enif_make_copy(kept, argv[0]);
	return enif_make_atom(env, "ok");
}

static ErlNifFunc functions[] = {{"keep", 1, keep, 0}};

ERL_NIF_INIT(holders, functions, NULL, NULL, NULL, NULL)
