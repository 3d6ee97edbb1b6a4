%% SPDX-License-Identifier: Apache-2.0
%% Too many tables, one table that is too large, tables in the wrong hands, and a table fixed for good.
%%
%% What goes wrong, and what it stands for:
%%   request_cache     a table is made for each request and never deleted: thousands of one name, one owner
%%                     (swarm_frontend); in the end system_limit for every user of ETS
%%   shard_N           thousands of named tables of one owner, names made up at run time (atoms leak too)
%%   event_log         an append-only table without a limit: most rows and most memory of the VM
%%   orphaned_cache    its owner died and it went to an heir that does nothing with it
%%   handler_scratch   owned by an unregistered, unsupervised process: a request handler that hangs
%%   abandoned_walk    ets:safe_fixtable/2 by a process that never releases it (it hangs in its traversal): deleted
%%                     rows are kept, so a table that looks small is not
%%
%% An analysis should say exactly these. The numbers are in the `expect` of the workload's line.
%%
%% --arg tables=N (default 1500), --arg events=N (default 100000), --arg deleted=N (default 20000)
-module(ets_swarm).
-export([start/1]).

start(Args) ->
    Tables = truth:arg(tables, Args, 1500),
    Shards = max(1, Tables div 3),
    Events = truth:arg(events, Args, 100000),
    Deleted = truth:arg(deleted, Args, 20000),
    truth:hold(swarm_frontend, fun() -> [request_cache(I) || I <- lists:seq(1, Tables)], ok end),
    truth:hold(shard_manager, fun() -> [shard(I) || I <- lists:seq(1, Shards)], ok end),
    truth:hold(event_logger, fun() -> event_log(Events), ok end),
    {Heir, ok} = truth:hold(undefined, fun() -> ok end),
    orphan(Heir),
    {Handler, ok} = truth:hold(undefined, fun() -> scratch(), ok end, #{hibernate => false}),
    abandoned(Deleted),
    #{expect => #{swarm => #{request_cache => Tables}, owner => #{shard_manager => Shards}, dominating => event_log,
                  inherited => #{orphaned_cache => Heir}, stray => #{handler_scratch => Handler},
                  fixed => #{abandoned_walk => Deleted}}}.

request_cache(I) ->
    Table = ets:new(request_cache, [set, public]),
    ets:insert(Table, [{method, get}, {path, "/orders/" ++ integer_to_list(I)}, {user, I}]).

shard(I) ->
    Table = ets:new(list_to_atom("shard_" ++ integer_to_list(I)), [set, named_table]),
    ets:insert(Table, {I, [I]}).

event_log(Events) ->
    Table = ets:new(event_log, [ordered_set, named_table, public]),
    [ets:insert(Table, {I, {event, order_created, I * 7}, #{user => I rem 997, at => I * 1.5}})
     || I <- lists:seq(1, Events)].

orphan(Heir) ->
    {Pid, Monitor} = spawn_monitor(fun() ->
        Table = ets:new(orphaned_cache, [named_table, public, {heir, Heir, {took_over_from, self()}}]),
        ets:insert(Table, [{I, integer_to_binary(I)} || I <- lists:seq(1, 500)])
    end),
    receive {'DOWN', Monitor, process, Pid, normal} -> ok end.

scratch() ->
    Table = ets:new(handler_scratch, [private]),
    ets:insert(Table, [{I, lists:seq(1, 20)} || I <- lists:seq(1, 2000)]).

%% The deleted rows hold binaries too, which are kept as well.
abandoned(Deleted) ->
    truth:hold(walk_owner, fun() ->
        Table = ets:new(abandoned_walk, [set, named_table, public]),
        ets:insert(Table, [{I, waiting, lists:seq(1, 10)} || I <- lists:seq(1, Deleted + 10)]),
        [ets:insert(Table, {I, done, binary:copy(<<I:32>>, 500)}) || I <- lists:seq(1, min(Deleted, 1000))],
        ok
    end),
    truth:hold(hanging_walker, fun() ->
        ets:safe_fixtable(abandoned_walk, true),
        [ets:delete(abandoned_walk, I) || I <- lists:seq(1, Deleted)],
        ok
    end, #{hibernate => false}).
