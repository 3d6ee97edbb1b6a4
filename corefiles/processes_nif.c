// SPDX-License-Identifier: Apache-2.0
// A dirty NIF that takes long.

#include <erl_nif.h>
#include <unistd.h>

static ERL_NIF_TERM sit(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
	int seconds;
	(void)argc;
	if (!enif_get_int(env, argv[0], &seconds))
		return enif_make_badarg(env);
	sleep((unsigned)seconds);
	return enif_make_atom(env, "ok");
}

static ErlNifFunc functions[] = {{"sit", 1, sit, ERL_NIF_DIRTY_JOB_IO_BOUND}};

ERL_NIF_INIT(processes, functions, NULL, NULL, NULL, NULL)
