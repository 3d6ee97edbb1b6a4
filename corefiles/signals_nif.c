// SPDX-License-Identifier: Apache-2.0
//
// A tracer (erl_tracer) that wants to know everything and does nothing with it.
#include <erl_nif.h>

static ERL_NIF_TERM enabled(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
	return enif_make_atom(env, "trace");
}

static ERL_NIF_TERM trace(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
	return enif_make_atom(env, "ok");
}

static ErlNifFunc functions[] = {
	{"enabled", 3, enabled, 0},
	{"trace", 5, trace, 0},
};

ERL_NIF_INIT(signals, functions, NULL, NULL, NULL, NULL)
