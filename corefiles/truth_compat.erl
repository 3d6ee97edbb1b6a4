%% SPDX-License-Identifier: Apache-2.0
%% What workloads use and OTP 23 does not have yet, or the nearest that it has.
-module(truth_compat).
-compile({no_auto_import, [alias/0, alias/1, monitor/3]}).
-export([emu_flavor/0, items/1, has_aliases/0, alias/0, alias/1, monitor/3, has_signal_buffers/0, has_trace_sessions/0, has_priority_messages/0, native_records/0, write_concurrency/1,
         enumerate/1, enumerate/2, set/2]).

%% Since OTP 24, which brought the JIT.
emu_flavor() ->
    try erlang:system_info(emu_flavor) catch error:badarg -> emu end.

%% The items of process_info/2 that there are: parent is there since OTP 25.
items(Items) ->
    [Item || Item <- Items, is_item(Item)].

is_item(Item) ->
    try process_info(self(), [Item]) of [_] -> true catch error:badarg -> false end.

%% Since OTP 24, with the tags of monitors.
has_aliases() ->
    erlang:function_exported(erlang, alias, 1).

%% Whoever sends to an alias sends to its process.
alias() ->
    alias([]).

alias(Options) ->
    case has_aliases() of
        true -> erlang:alias(Options);
        false -> self()
    end.

%% Without the options.
monitor(Type, Item, Options) ->
    case has_aliases() of
        true -> erlang:monitor(Type, Item, Options);
        false -> erlang:monitor(Type, Item)
    end.

%% Since OTP 25: parallel buffers before the outer queue of a process.
has_signal_buffers() ->
    erts_debug:set_internal_state(available_internal_state, true),
    try erts_debug:set_internal_state(proc_sig_buffers, false) of
        notsup -> true
    catch error:badarg -> false
    end.

%% Since OTP 27.
has_trace_sessions() ->
    erlang:function_exported(erts_internal, trace_session_create, 3).

%% Since OTP 28: who sends to such an alias may have a message go before others.
has_priority_messages() ->
    try erlang:unalias(erlang:alias([priority])) catch error:_ -> false end.

%% Native records, since OTP 29, whose compiler alone can parse them. The order of the fields is not that of their atoms.
native_records() ->
    case code:ensure_loaded(records) of
        {module, Records} -> native_records(Records);
        {error, nofile} -> []
    end.

native_records(Records) ->
    Of = fun(Name, Fields) -> Records:create(?MODULE, Name, Fields, #{is_exported => Name =:= point}) end,
    Point = Of(point, [{y, 2}, {x, 1}]),
    [Point, Records:update(Point, ?MODULE, point, #{x => 3.5}), Of(none, []),
     Of(nested, [{zulu, binary:copy(<<"zulu">>, 100)}, {alpha, [Point, {Point}]}, {mike, #{Point => "mike"}}])].

%% Of a table; all but true and false since OTP 25.
write_concurrency(Wanted) ->
    try ets:new(?MODULE, [{write_concurrency, Wanted}]) of
        Table -> ets:delete(Table), Wanted
    catch error:badarg -> true
    end.

%% lists:enumerate/1,2, since OTP 25.
enumerate(List) ->
    enumerate(1, List).

enumerate(From, List) ->
    lists:zip(lists:seq(From, From + length(List) - 1), List).

%% sets:from_list/2: version 2, which is a map, since OTP 24.
set(Keys, Version) ->
    {module, sets} = code:ensure_loaded(sets),
    case erlang:function_exported(sets, from_list, 2) of
        true -> sets:from_list(Keys, [{version, Version}]);
        false -> sets:from_list(Keys)
    end.
