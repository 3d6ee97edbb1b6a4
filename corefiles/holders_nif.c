// SPDX-License-Identifier: Apache-2.0
// What many a NIF does: it keeps a term in an environment that no process knows of.

#include <erl_nif.h>

static ErlNifEnv *kept;

static ErlNifResourceType *buffers;

static ERL_NIF_TERM keep(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
	(void)argc;
	if (!kept)
		kept = enif_alloc_env();
	enif_make_copy(kept, argv[0]);
	return enif_make_atom(env, "ok");
}

// {Binary, Reference}: bytes that a resource keeps alive, and the resource itself. A third
// reference stays with the NIF.
static ERL_NIF_TERM resource(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
	static const char bytes[200] = "bytes that are not in the resource";
	(void)argc;
	(void)argv;
	void *object = enif_alloc_resource(buffers, 300);
	return enif_make_tuple2(env, enif_make_resource_binary(env, object, bytes, sizeof(bytes)),
	                        enif_make_resource(env, object));
}

static int load(ErlNifEnv *env, void **private_data, ERL_NIF_TERM info)
{
	(void)private_data;
	(void)info;
	buffers = enif_open_resource_type(env, NULL, "buffer", NULL, ERL_NIF_RT_CREATE, NULL);
	return buffers == NULL;
}

static ErlNifFunc functions[] = {{"keep", 1, keep, 0}, {"resource", 0, resource, 0}};

ERL_NIF_INIT(holders, functions, load, NULL, NULL, NULL)
