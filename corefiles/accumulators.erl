%% SPDX-License-Identifier: Apache-2.0
%% Collections that grow with traffic and are never emptied.
%%
%% What goes wrong: each of four connections keeps a map `cursors` with an entry for every stream that ever was; a
%% broker's list of waiting clients is never cut; a row of a table collects events; a log keeps one large binary.
%% A chat keeps the history of each of its rooms in a map of rooms, and rows of a table keep what each user was sent, two
%% of them the very same picture; a cache has a pair in its dictionary for each key; a mailbox is not read; a persistent term
%% has all routes. A row has the same stamp in each of its very many columns; it is made at the last moment, and the truth
%% says nothing of it, for printing it takes long.
%%
%% Stands for: connection pools whose state grows with each query, found by luck with sys:get_state/1.
%%
%% An analysis should say: the path to each collection, how many there are of it and how many elements they have.
%% Of what is there many times it counts all; what several rows refer to it counts once.
-module(accumulators).
-export([start/1, connection/1]).

-define(CONNECTIONS, 4).
-define(CURSORS, 3000).
-define(WAITING, 5000).
-define(EVENTS, 2000).
-define(LOG, (3 bsl 20)).
-define(ROOMS, 70).
-define(USERS, 40).
-define(HISTORY, 1100).
-define(PICTURE, (1 bsl 20)).
-define(CACHED, 1300).
-define(MESSAGES, 1400).
-define(ROUTES, 1500).
%% More than numbers of 16 bits can tell apart.
-define(COLUMNS, ((1 bsl 16) + 100)).
-define(STAMP, 1000).

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
    {_, Rooms} = truth:hold(acc_chat, fun rooms/0),
    {_, Users} = truth:hold(acc_inbox, fun inbox/0),
    {_, Cached} = truth:hold(acc_cache, fun() ->
        [put({key, I}, {value, I, [I]}) || I <- lists:seq(1, ?CACHED)],
        length(get())
    end),
    {Mailbox, ok} = truth:hold(acc_mailbox, fun() -> ok end),
    [Mailbox ! {notice, I} || I <- lists:seq(1, ?MESSAGES)],
    persistent_term:put({acc, routes}, #{all => maps:from_list([{{route, I}, I} || I <- lists:seq(1, ?ROUTES)])}),
    Routes = maps:get(all, persistent_term:get({acc, routes})),
    #{before_dump => fun columns/0,
      expect => #{connections => ?CONNECTIONS, cursors => ?CURSORS, waiting => ?WAITING, events => ?EVENTS,
                  log_bytes => ?LOG, rooms => Rooms, users => Users, picture_bytes => ?PICTURE, cached => Cached,
                  columns => ?COLUMNS, stamp_bytes => ?STAMP,
                  messages => element(2, process_info(Mailbox, message_queue_len)),
                  routes => #{elements => map_size(Routes), words => erts_debug:flat_size(Routes)}}}.

rooms() ->
    Rooms = maps:from_list([{{room, I}, #{history => lists:seq(I, I + ?HISTORY)}} || I <- lists:seq(1, ?ROOMS)]),
    put(rooms, Rooms),
    told([maps:get(history, Room) || Room <- maps:values(Rooms)]).

inbox() ->
    Table = ets:new(acc_inbox, [named_table, public]),
    Picture = binary:copy(<<0>>, ?PICTURE),
    [ets:insert(Table, {{user, I}, [case I of 1 -> Picture; 2 -> Picture; _ -> none end | lists:seq(I, I + ?HISTORY)]})
     || I <- lists:seq(1, ?USERS)],
    told([ets:lookup_element(Table, {user, I}, 2) || I <- lists:seq(1, ?USERS)]).

told(Lists) ->
    #{collections => length(Lists), elements => lists:sum([length(L) || L <- Lists]),
      words => lists:sum([erts_debug:flat_size(L) || L <- Lists])}.

columns() ->
    truth:hold(acc_columns, fun() ->
        Table = ets:new(acc_columns, [named_table, public]),
        ets:insert(Table, erlang:make_tuple(?COLUMNS, binary:copy(<<0>>, ?STAMP), [{1, row}])),
        ok
    end).

%% As a driver's state would be: a map, with the collection two levels below.
connection(N) ->
    Cursors = maps:from_list([{{N, I}, {params, [I], I}} || I <- lists:seq(1, ?CURSORS)]),
    put(state, #{mod => ?MODULE, mod_state => #{cursors => Cursors, queries => #{}}}),
    ok.

name(N) ->
    list_to_atom("acc_connection_" ++ integer_to_list(N)).
