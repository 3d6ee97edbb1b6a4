%% SPDX-License-Identifier: Apache-2.0
%% Rows about processes that are long dead.
%%
%% What goes wrong: a registry stores a row for each connection, caller or monitor, and misses the 'DOWN' messages (or
%% never monitored). The rows of the dead stay.
%%
%% Stands for: connection registries, pub/sub tables and pending-call tables that grow for weeks.
%%
%% An analysis should say: nearly all keys of dead_sessions are pids of dead processes; dead_calls and dead_monitors hold
%% dead pids in their values; dead_aliases holds aliases of dead processes (since OTP 24); dead_ports holds closed ports.
%% Nothing about live_sessions (all alive) and remote_sessions (pids of another node: nobody here can know). The numbers are
%% in the `expect` of the workload's line.
%%
%% --arg dead=N (default 2000)
-module(ets_dead_pids).
-export([start/1]).

-define(LIVE, 40).

start(Args) ->
    Count = truth:arg(dead, Args, 2000),
    Live = [spawn(fun() -> receive never -> ok end end) || _ <- lists:seq(1, ?LIVE)],
    Dead = [dead() || _ <- lists:seq(1, Count)],
    truth:hold(connection_registry, fun() -> sessions(Dead, Live), ok end),
    truth:hold(call_router, fun() -> calls(Dead, Live), monitors(Dead, Live), ports(), ok end),
    Aliases = case truth_compat:has_aliases() of
        true -> truth:hold(alias_router, fun() -> aliases(Count), ok end), #{dead_aliases => Count};
        false -> #{}
    end,
    #{expect => #{dead_refs => Aliases, live_refs => ?LIVE,
                  dead => #{dead_sessions => in_keys(Count), dead_subscribers => in_keys(Count),
                            dead_calls => in_values(Count), dead_monitors => in_values(Count),
                            dead_ports => #{ports => 20}},
                  fine => [live_sessions, remote_sessions]}}.

in_keys(Count) -> #{keys => Count, live => ?LIVE}.

in_values(Count) -> #{values => Count, live => ?LIVE}.

dead() ->
    {Pid, Monitor} = spawn_monitor(fun() -> ok end),
    receive {'DOWN', Monitor, process, Pid, normal} -> Pid end.

new(Name, Options) ->
    ets:new(Name, [named_table, public | Options]).

sessions(Dead, Live) ->
    Sessions = new(dead_sessions, [set]),
    Subscribers = new(dead_subscribers, [bag]),
    [ets:insert(Sessions, {Pid, connected, erlang:unique_integer([positive]), <<"tcp">>}) || Pid <- Dead ++ Live],
    [ets:insert(Subscribers, {{topic, Pid}, Pid, <<"orders.created">>}) || Pid <- Dead ++ Live],
    Lively = new(live_sessions, [set]),
    [ets:insert(Lively, {Pid, connected}) || Pid <- Live],
    Remote = new(remote_sessions, [set]),
    [ets:insert(Remote, {remote(I), connected}) || I <- lists:seq(1, 200)].

%% Calls that were never answered: {From, Request} with From = {Pid, Tag} as gen_server has it.
calls(Dead, Live) ->
    Calls = new(dead_calls, [ordered_set]),
    [ets:insert(Calls, {I, #{from => {Pid, [alias | make_ref()]}, request => {fetch, I}}})
     || {I, Pid} <- truth_compat:enumerate(Dead ++ Live)].

%% The references are of monitors that fired: nothing in the VM knows them any more. Those of the living are active.
monitors(Dead, Live) ->
    Monitors = new(dead_monitors, [set]),
    [ets:insert(Monitors, {monitor(process, Pid), Pid, worker}) || Pid <- Dead ++ Live],
    flush().

%% Requests by the alias that the reply goes to.
aliases(Count) ->
    Aliases = new(dead_aliases, [set]),
    [ets:insert(Aliases, {dead_alias(), request, I}) || I <- lists:seq(1, Count)],
    [ets:insert(Aliases, {live_alias(), request, I}) || I <- lists:seq(1, ?LIVE)].

dead_alias() ->
    {Pid, Monitor} = spawn_monitor(fun() -> exit(truth_compat:alias()) end),
    receive {'DOWN', Monitor, process, Pid, Alias} -> Alias end.

live_alias() ->
    Self = self(),
    Pid = spawn(fun() -> Self ! {self(), truth_compat:alias()}, receive never -> ok end end),
    receive {Pid, Alias} -> Alias end.

flush() ->
    receive {'DOWN', _, process, _, _} -> flush() after 0 -> ok end.

ports() ->
    Ports = new(dead_ports, [set]),
    [ets:insert(Ports, {closed_port(), {127, 0, 0, 1}, I}) || I <- lists:seq(1, 20)],
    [ets:insert(Ports, {Port, driver, 0}) || Port <- erlang:ports()].

closed_port() ->
    Port = open_port({spawn_driver, "udp_inet"}, [binary]),
    port_close(Port),
    Port.

remote(I) ->
    binary_to_term(<<131, 88, 119, 10, "other@host", I:32, 0:32, 1:32>>).
