%% SPDX-License-Identifier: Apache-2.0
%% Processes whose lists of off-heap binaries a garbage collection would change, each in its own way.
%%
%% What goes wrong: long-lived processes touch many binaries and allocate little, so that they hardly ever collect;
%% what they are done with stays alive.
%%
%% Stands for: recon:bin_leak/1, the standard advice for a node whose binary memory grows. It collects all processes,
%% which a node in trouble may not survive, and of a core it cannot be asked.
%%
%% With --method gcore and --arg recon=DIR (the ebin of recon), the VM calls recon:bin_leak/1 after its core was
%% taken, and adds its answer to the truth: lines of kind `bin_leak`. An analysis of the core should say the same.
-module(bin_leaks).
-export([start/1]).

-define(STAY, #{hibernate => false}).
-define(SHARED, 70000).

start(Args) ->
    [load(Dir) || {ok, Dir} <- [maps:find(recon, Args)]],
    keep(leaks_nothing, fun() -> ok end),
    keep(leaks_garbage, fun() -> drop([big(N) || N <- lists:seq(1, 50)]) end),
    keep(leaks_live, fun() -> [big(N) || N <- lists:seq(1, 20)] end),
    keep(leaks_parts, fun() -> [binary:part(big(N), 10, 100) || N <- lists:seq(1, 20)] end),
    keep(leaks_tail, fun() -> <<_:16, Tail/binary>> = big(1), _ = big(2), Tail end),
    keep(leaks_same, fun() -> Bin = big(1), [binary:part(Bin, N, 80) || N <- lists:seq(1, 5)] ++ [Bin] end),
    keep(leaks_old, fun() ->
        put(kept, [big(N) || N <- lists:seq(1, 30)]),
        erlang:garbage_collect(self(), [{type, minor}]),
        erlang:garbage_collect(self(), [{type, minor}]),
        put(kept, lists:nthtail(20, get(kept))),
        put(young, [big(N) || N <- lists:seq(1, 3)]),
        drop([big(N) || N <- lists:seq(1, 4)])
    end),
    keep(leaks_fun, fun() -> A = big(1), B = big(2), put(kept, fun() -> {A, self()} end), drop(fun() -> B end) end),
    keep(leaks_map, fun() ->
        Map = maps:from_list([{N, big(N)} || N <- lists:seq(1, 100)]),
        put(kept, maps:without(lists:seq(1, 60), Map)),
        ok
    end),
    hibernated(leaks_hibernated, fun() -> put(kept, [big(1)]), drop([big(2)]) end),
    %% Messages that nobody received.
    [begin
        {Pid, _} = keep(Name, fun() -> process_flag(message_queue_data, Where), drop(big(0)) end),
        [send(Pid, {message, N, big(N), big(-N)}) || N <- lists:seq(1, 10)]
     end || {Name, Where} <- [{leaks_queue_on_heap, on_heap}, {leaks_queue_off_heap, off_heap}]],
    {Woken, _} = hibernated(leaks_woken, fun() -> put(kept, big(1)), ok end),
    [send(Woken, {message, big(N)}) || N <- lists:seq(1, 7)],
    %% Messages that were received: kept, and done with.
    [keep(Name, fun() ->
        process_flag(message_queue_data, Where),
        [send(self(), {N, big(N), binary:part(big(N), 5, 90)}) || N <- lists:seq(1, 12)],
        [receive {N, Bin, Part} when N rem 3 =:= 0 -> {Bin, Part}; {N, _, _} -> N end || N <- lists:seq(1, 12)]
     end) || {Name, Where} <- [{leaks_received_on_heap, on_heap}, {leaks_received_off_heap, off_heap}]],
    keep(leaks_received_own, fun() ->
        self() ! {own, big(1), big(2)},
        receive {own, Bin, _} -> Bin end
    end),
    keep(leaks_exit_reason, fun() ->
        process_flag(trap_exit, true),
        Pid = spawn_link(fun() -> exit({reason, big(1)}) end),
        receive {'EXIT', Pid, Reason} -> Reason end
    end),
    keep(leaks_down_unread, fun() ->
        {Pid, Ref} = spawn_monitor(fun() -> receive go -> exit({reason, big(1)}) end end),
        Pid ! go,
        Ref
    end),
    %% Messages that came from a timer, or from a process while the receiver was running.
    [begin
        {Pid, _} = keep(Name, fun() -> process_flag(message_queue_data, Where), ok end),
        [in_helper(fun() -> erlang:send_after(10, Pid, {late, N, big(N)}) end) || N <- lists:seq(1, 5)]
     end || {Name, Where} <- [{leaks_timers_on_heap, on_heap}, {leaks_timers_off_heap, off_heap}]],
    keep(leaks_busy, fun() ->
        Self = self(),
        spawn(fun() -> [Self ! {message, big(N)} || N <- lists:seq(1, 40)] end),
        spin(100),
        receive {message, Bin} -> Bin end
    end),
    %% Binaries that are appended to.
    keep(leaks_writable, fun() -> grow(300) end),
    keep(leaks_writable_garbage, fun() -> drop(grow(300)), grow(20) end),
    %% Sending it, or matching in it, ends that it is writable.
    keep(leaks_sent, fun() ->
        Bin = grow(100),
        Sink = spawn(fun() -> receive done -> ok end end),
        Sink ! Bin,
        Monitor = monitor(process, Sink),
        Sink ! done,
        receive {'DOWN', Monitor, process, Sink, _} -> ok end,
        Bin
    end),
    keep(leaks_matched, fun() -> Bin = grow(100), <<_:8, _:8, Rest/binary>> = Bin, {Bin, byte_size(Rest)} end),
    keep(leaks_writable_old, fun() ->
        put(kept, grow(100)),
        erlang:garbage_collect(),
        Bin = get(kept),
        put(kept, <<Bin/binary, "more">>),
        drop(big(1))
    end),
    %% Literals are not on the list, and what is in other processes neither.
    persistent_term:put(bin_leaks, big(1)),
    keep(leaks_literal, fun() -> {persistent_term:get(bin_leaks), big(2)} end),
    keep(leaks_ets, fun() ->
        Table = ets:new(leaks_rows, []),
        ets:insert(Table, [{N, big(N)} || N <- lists:seq(1, 10)]),
        [ets:lookup_element(Table, N, 2) || N <- [1, 2, 3]]
    end),
    keep(leaks_raised, fun() -> try error({bad, big(1)}) catch error:{bad, _}:Stack -> {Stack, big(2)} end end),
    %% One binary that many are done with, twice each: it is freed once.
    shared(),
    {Suspended, _} = keep(leaks_suspended, fun() -> drop(big(1)), [big(2)] end),
    #{volatile => [Suspended],
      expect => #{shared_bytes => ?SHARED},
      before_dump => fun() ->
          true = erlang:suspend_process(Suspended),
          send(Suspended, {in_transit, big(1), big(2)})
      end,
      after_dump => fun() -> lines() end}.

%% Waits with what Make returned on its stack.
keep(Name, Make) ->
    truth:hold(Name, Make, ?STAY).

hibernated(Name, Make) ->
    truth:hold(Name, Make).

%% As rows that are gone when it returns: five processes have two references each, and nobody else has one.
shared() ->
    Table = ets:new(leaks_shared, [public]),
    in_helper(fun() -> ets:insert(Table, {shared, binary:copy(<<"0123456789">>, ?SHARED div 10)}) end),
    Holders = [element(1, keep(list_to_atom("leaks_shared_" ++ integer_to_list(N)), fun() ->
                                   drop([ets:lookup(Table, shared), ets:lookup(Table, shared)])
                               end)) || N <- lists:seq(1, 5)],
    true = ets:delete(Table),
    until_referred(hd(Holders), 10).

until_referred(Pid, Refs) ->
    {binary, Binaries} = process_info(Pid, binary),
    case [Refc || {_, ?SHARED, Refc} <- Binaries] of
        [Refs, Refs] -> ok;
        _ -> erlang:yield(), until_referred(Pid, Refs)
    end.

load(Dir) ->
    true = code:add_patha(Dir),
    {module, recon} = code:ensure_loaded(recon),
    {module, recon_lib} = code:ensure_loaded(recon_lib).

%% The binary has more than 64 bytes whatever N is, and belongs to the caller alone.
big(N) ->
    iolist_to_binary([integer_to_list(N), lists:duplicate(1000 + abs(N), $.)]).

drop(_) ->
    ok.

%% From a process that does not live on, so that only the message holds the binaries.
send(To, Message) ->
    in_helper(fun() -> To ! Message end).

in_helper(Fun) ->
    {Pid, Monitor} = spawn_monitor(Fun),
    receive {'DOWN', Monitor, process, Pid, normal} -> ok end.

%% Runs for some milliseconds without a receive.
spin(Milliseconds) ->
    spin_until(erlang:monotonic_time(millisecond) + Milliseconds).

spin_until(End) ->
    erlang:monotonic_time(millisecond) >= End orelse spin_until(End).

grow(N) ->
    grow(N, <<>>).

grow(0, Acc) -> Acc;
grow(N, Acc) -> grow(N - 1, <<Acc/binary, N:64>>).

%% {Pid, Delta, Identity} of each process; Delta is negative when binaries were released. `after` is the list of
%% binaries that is left.
lines() ->
    Memory = erlang:memory(),
    %% {Name, Size}, or {Name, Room, Used}.
    Areas = [{element(1, Area), tl(tuple_to_list(Area))} || Area <- erlang:system_info(allocated_areas)],
    [#{kind => memory, memory => maps:from_list(Memory), areas => maps:from_list(Areas)} |
     bin_leak_lines()].

bin_leak_lines() ->
    [#{kind => bin_leak, pid => Pid, delta => Delta, name => name(Identity),
       current_function => proplists:get_value(current_function, Identity),
       'after' => after_gc(Pid)}
     || {Pid, Delta, Identity} <- recon:bin_leak(length(processes()))].

name([Name | _]) when is_atom(Name) -> Name;
name(_) -> undefined.

after_gc(Pid) ->
    case process_info(Pid, binary) of
        {binary, Binaries} -> Binaries;
        undefined -> undefined
    end.
