// SPDX-License-Identifier: Apache-2.0
//
// Functions that never return. They sleep, so as to take no time from other VMs.
#include <erl_nif.h>
#include <unistd.h>

static ERL_NIF_TERM spin(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
	for (;;)
		pause();
}

static ErlNifFunc functions[] = {
	{"spin", 0, spin, 0},
	{"spin_dirty", 0, spin, ERL_NIF_DIRTY_JOB_CPU_BOUND},
};

ERL_NIF_INIT(hangs, functions, NULL, NULL, NULL, NULL)
