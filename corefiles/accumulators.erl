%% SPDX-License-Identifier: Apache-2.0
%% Collections that grow with traffic and are never emptied.
%%
%% What goes wrong: each of four connections keeps a map `cursors` with an entry for every stream that ever was; a
%% broker's list of waiting clients is never cut; a row of a table collects events; a log keeps one large binary.
%%
%% Stands for: connection pools whose state grows with each query, found by luck with sys:get_state/1.
%%
%% An analysis should say: the path to each collection, how many there are of it and how many elements they have.
-module(accumulators).
-export([start/1, connection/1]).

-define(CONNECTIONS, 4).
-define(CURSORS, 3000).
-define(WAITING, 5000).
-define(EVENTS, 2000).
-define(LOG, (3 bsl 20)).

start(_Args) ->
    [truth:hold(name(N), fun() -> connection(N) end) || N <- lists:seq(1, ?CONNECTIONS)],
    truth:hold(acc_broker, fun() -> put(waiting, [{client, N} || N <- lists:seq(1, ?WAITING)]), ok end),
    truth:hold(acc_log, fun() -> put(log, {buffer, binary:copy(<<"0123456789abcdef">>, ?LOG div 16)}), ok end),
    truth:hold(acc_events, fun() ->
        Table = ets:new(acc_events, [named_table, public]),
        ets:insert(Table, {all, lists:seq(1, ?EVENTS)}),
        ets:insert(Table, {few, lists:seq(1, 10)}),
        ok
    end),
    #{expect => #{connections => ?CONNECTIONS, cursors => ?CURSORS, waiting => ?WAITING, events => ?EVENTS,
                  log_bytes => ?LOG}}.

%% As a driver's state would be: a map, with the collection two levels below.
connection(N) ->
    Cursors = maps:from_list([{{N, I}, {params, [I], I}} || I <- lists:seq(1, ?CURSORS)]),
    put(state, #{mod => ?MODULE, mod_state => #{cursors => Cursors, queries => #{}}}),
    ok.

name(N) ->
    list_to_atom("acc_connection_" ++ integer_to_list(N)).
