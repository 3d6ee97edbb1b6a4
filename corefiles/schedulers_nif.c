// SPDX-License-Identifier: Apache-2.0
// NIFs that keep the scheduler that they run on, and say which thread that was.

#define _GNU_SOURCE
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <erl_nif.h>

enum { TAKEN_MAX = 5 };

static struct {
	unsigned long thread, tid;
} taken[TAKEN_MAX];

static ERL_NIF_TERM take(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
	unsigned index;
	(void)argc;
	if (!enif_get_uint(env, argv[0], &index) || index >= TAKEN_MAX)
		return enif_make_badarg(env);
	taken[index].tid = (unsigned long)syscall(SYS_gettid);
	__atomic_store_n(&taken[index].thread, (unsigned long)pthread_self(), __ATOMIC_RELEASE);
	for (;;)
		pause();
}

static ERL_NIF_TERM threads(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
	ERL_NIF_TERM list = enif_make_list(env, 0);
	(void)argc;
	(void)argv;
	for (int i = TAKEN_MAX - 1; i >= 0; i--)
		list = enif_make_list_cell(
			env,
			enif_make_tuple3(env, enif_make_int(env, i),
		                         enif_make_ulong(env, __atomic_load_n(&taken[i].thread,
		                                                              __ATOMIC_ACQUIRE)),
		                         enif_make_ulong(env, taken[i].tid)),
			list);
	return list;
}

static ErlNifFunc functions[] = {
	{"take", 1, take, 0},
	{"take_dirty_cpu", 1, take, ERL_NIF_DIRTY_JOB_CPU_BOUND},
	{"take_dirty_io", 1, take, ERL_NIF_DIRTY_JOB_IO_BOUND},
	{"threads", 0, threads, 0},
};

ERL_NIF_INIT(schedulers, functions, NULL, NULL, NULL, NULL)
