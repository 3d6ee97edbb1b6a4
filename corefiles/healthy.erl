%% SPDX-License-Identifier: Apache-2.0
%% An ordinary VM with nothing wrong.
%%
%% What goes wrong: nothing. Caches, a registry, counters and a template store as they should be: fields are copied out of
%% packets, rows of dead processes are removed, walks release their tables. Some things that look like trouble and are
%% not: a binary shared by many rows and seen whole by each; fields that are most of their packet; a table that is
%% larger than the others; a table fixed by a walk that runs right now; a heap binary's worth of sub-binaries.
%%
%% An analysis should say: nothing suspicious.
-module(healthy).
-export([start/1]).

start(_Args) ->
    Workers = [worker(I) || I <- lists:seq(1, 60)],
    truth:hold(worker_registry, fun() -> registry(Workers), ok end),
    truth:hold(session_cache, fun() -> sessions(3000), ok end),
    truth:hold(template_store, fun() -> templates(25), ok end),
    truth:hold(metrics, fun() -> counters(), ok end),
    truth:hold(router, fun() -> routes(), ok end),
    truth:hold(reporter, fun() -> walk(worker_registry), ok end, #{hibernate => false}),
    #{expect => #{fine => [worker_registry, session_cache, template_store, rendered, metrics, routes]}}.

worker(I) ->
    Pid = spawn(fun() ->
        put(job, {convert, I}),
        State = #{id => I, buffer => binary:copy(<<I:32>>, 200)},
        receive {stop, State} -> ok end
    end),
    %% A message or two wait here and there.
    [Pid ! {tick, I} || I rem 20 =:= 0],
    Pid.

new(Name, Options) ->
    ets:new(Name, [named_table | Options]).

%% Hundreds of workers have come and gone, with their rows.
registry(Workers) ->
    Table = new(worker_registry, [public, {read_concurrency, true}]),
    [ets:insert(Table, {Pid, monitor(process, Pid), worker}) || Pid <- Workers],
    [register_and_die(Table) || _ <- lists:seq(1, 300)].

register_and_die(Table) ->
    {Pid, Monitor} = spawn_monitor(fun() -> ets:insert(Table, {self(), none, worker}) end),
    receive {'DOWN', Monitor, process, Pid, normal} -> ets:delete(Table, Pid) end.

%% The fields are copied, so the packets are gone.
sessions(Count) ->
    Table = new(session_cache, [public, {write_concurrency, true}]),
    [ets:insert(Table, {I, #{token => binary:copy(binary:part(packet(I), 100, 90)), user => I, seen => I * 10}})
     || I <- lists:seq(1, Count)].

packet(I) ->
    binary:copy(<<I:64>>, 250).

%% Large values, seen whole; and the body of a message that is all of it but its header.
templates(Count) ->
    Templates = new(template_store, [protected, ordered_set]),
    Rendered = new(rendered, [protected]),
    Footer = binary:copy(<<"<footer>">>, 2000),
    [ets:insert(Templates, {{template, I}, binary:copy(<<"<p>", I, "</p>">>, 1500)}) || I <- lists:seq(1, Count)],
    [ets:insert(Rendered, {I, body(binary:copy(<<I:32>>, 1000)), Footer}) || I <- lists:seq(1, Count)].

body(<<_Header:16/binary, Body/binary>>) -> Body.

counters() ->
    Table = new(metrics, [public, {write_concurrency, truth_compat:write_concurrency(auto)}, {decentralized_counters, true}]),
    [ets:update_counter(Table, {requests, I rem 50}, 1, {{requests, I rem 50}, 0}) || I <- lists:seq(1, 2000)].

routes() ->
    Table = new(routes, [protected, ordered_set]),
    [ets:insert(Table, {["api", "v" ++ integer_to_list(V), Resource], {handler, Resource}})
     || V <- [1, 2], Resource <- ["orders", "users", "invoices", "sessions"]].

%% In the middle of a traversal, with nothing deleted.
walk(Table) ->
    ets:safe_fixtable(Table, true),
    {_, _} = ets:select(Table, [{'_', [], ['$_']}], 10).
