%% SPDX-License-Identifier: Apache-2.0
%% Thousands of processes in every state that a process can be in.
%%
%% Most of them wait, each in another condition: hibernated, suspended, with a long mailbox, with messages that are kept
%% off the heap, with many links and monitors of every kind, with a large dictionary, deep in a recursion, with odd options
%% of spawn_opt/2. Of these the truth knows every item of process_info/2.
%%
%% Some change their state after the truth was written, when priority max leaves no time to the others: they
%% spin, run on dirty schedulers, collect garbage, exit, or get signals that they will never handle.
%% They are marked volatile; what must be found is in expect.states: the possible values of status, and of message_queue_len.
%%
%% An analysis should say: states as in expect.states; messages in transit counted apart from those in the mailbox;
%% of what runs, that stack, heap and reductions are not certain.
%%
%% --arg idle=N (default 2000)
-module(processes).
-export([start/1, sit/1]).
-on_load(load_nif/0).

load_nif() ->
    erlang:load_nif(filename:join(filename:dirname(code:which(?MODULE)), "processes_nif"), 0).

%% For so many seconds, on a dirty scheduler.
sit(_Seconds) ->
    erlang:nif_error(not_loaded).

start(Args) ->
    Waiting = waiting(truth:arg(idle, Args, 2000)),
    options(),
    mailboxes(),
    dictionaries(),
    links(),
    monitors(),
    suspended(),
    servers(),
    sized(),
    Moving = moving(),
    #{volatile => maps:values(Moving),
      expect => #{idle => Waiting, states => states(Moving), sizes => sizes()},
      before_dump => fun() -> set_going(Moving) end}.

%% ---- still ones ---------------------------------------------------------------------------------------------

waiting(Count) ->
    Idle = [idle(I) || I <- lists:seq(1, Count)],
    [Pid ! {note, self()} || {Pid, I} <- Idle, I rem 7 =:= 0],
    [receive {noted, Pid} -> ok end || {Pid, I} <- Idle, I rem 7 =:= 0],
    Count.

idle(I) ->
    Parent = self(),
    Pid = spawn(fun() ->
        put(number, I),
        Parent ! {ready, self()},
        idle_loop(#{number => I, payload => lists:seq(1, I rem 500)})
    end),
    receive {ready, Pid} -> ok end,
    {Pid, I}.

idle_loop(State) ->
    receive
        {note, From} ->
            garbage_collect(self(), [{type, minor}]),
            From ! {noted, self()},
            case State of
                #{number := N} when N rem 2 =:= 0 -> erlang:hibernate(timer, sleep, [infinity]);
                _ -> idle_loop(State)
            end;
        {stop, State} ->
            ok
    end.

%% A registered process that runs Setup, and then waits with its result.
keep(Name, Setup) ->
    keep(Name, Setup, []).

keep(Name, Setup, SpawnOptions) ->
    Parent = self(),
    Pid = spawn_opt(fun() ->
        Name =:= undefined orelse register(Name, self()),
        Value = Setup(),
        Parent ! {ready, self()},
        wait(Value)
    end, SpawnOptions),
    receive {ready, Pid} -> Pid end.

wait(Value) ->
    receive {never, Value} -> ok end.

options() ->
    Self = self(),
    keep(trapping, fun() -> process_flag(trap_exit, true) end),
    [keep(undefined, fun() -> process_flag(priority, Level) end) || Level <- [low, normal, high, max], _ <- [1, 2]],
    keep(handling_errors, fun() -> process_flag(error_handler, odd_handler) end),
    keep(sensitive, fun() -> put(secret, 42), process_flag(sensitive, true) end),
    keep(saving_calls, fun() -> process_flag(save_calls, 100), lists:seq(1, 10) end),
    keep(large_heap, fun() -> ok end, [{min_heap_size, 100000}, {min_bin_vheap_size, 200000}]),
    keep(limited, fun() -> ok end, [{max_heap_size, #{size => 1000000, kill => false, error_logger => true}}]),
    keep(generations, fun() -> generations(30, []) end, [{fullsweep_after, 3}]),
    keep(off_heap_queue, fun() -> ok end, [{message_queue_data, off_heap}]),
    keep(deep, fun() -> deep(1000, Self) end),
    keep(catching, fun() -> caught(5, Self) end),
    keep(large_binaries, fun() -> [binary:copy(<<I>>, 100000) || I <- lists:seq(1, 20)] end),
    keep(appending, fun() -> lists:foldl(fun(I, Acc) -> <<Acc/binary, I:64>> end, <<>>, lists:seq(1, 1000)) end),
    keep(cancelled_timers, fun() -> [erlang:start_timer(10000000, self(), I) || I <- lists:seq(1, 50)] end).

%% Old heaps come from data that outlives two garbage collections.
generations(0, Acc) -> Acc;
generations(N, Acc) ->
    garbage_collect(self(), [{type, minor}]),
    generations(N - 1, [{N, lists:seq(1, 50)} | Acc]).

%% These two never come back, so they report for themselves.
deep(0, Parent) ->
    Parent ! {ready, self()},
    wait(bottom);
deep(N, Parent) ->
    {N, deep(N - 1, Parent)}.

caught(0, Parent) ->
    Parent ! {ready, self()},
    wait(caught);
caught(N, Parent) ->
    try caught(N - 1, Parent) catch _:_ -> {N, Parent} end.

mailboxes() ->
    Log = keep(long_mailbox, fun() -> ok end),
    [Log ! {log, info, {I, "a line of the log"}} || I <- lists:seq(1, 18000)],
    [Log ! {'$gen_cast', {flush, I}} || I <- lists:seq(1, 2000)],
    [Log ! flush || _ <- lists:seq(1, 10)],
    OffHeap = keep(long_off_heap_mailbox, fun() -> ok end, [{message_queue_data, off_heap}]),
    [OffHeap ! #{id => I, body => binary:copy(<<I:32>>, I)} || I <- lists:seq(1, 300)],
    Mixed = keep(mixed_mailbox, fun() -> ok end),
    Shared = binary:copy(<<"shared">>, 1000),
    [Mixed ! M || M <- [tick, 1, 1 bsl 70, 2.5, <<"short">>, Shared, self(), make_ref(), fun() -> Shared end, [], {},
                        {tag, Shared}, #{a => 1, b => 2}, maps:from_list([{I, I} || I <- lists:seq(1, 50)]),
                        lists:seq(1, 2000), "text", {'$gen_call', {self(), make_ref()}, {get, key}}]],
    %% Messages that were looked at stay on the heap once garbage was collected.
    Seen = keep(seen_mailbox, fun() -> ok end),
    [Seen ! {seen, I, lists:seq(1, 20)} || I <- lists:seq(1, 100)],
    garbage_collect(Seen),
    [Seen ! {unseen, I} || I <- lists:seq(1, 50)],
    %% A receive for a new reference leaves a marker in the queue.
    Self = self(),
    keep(marked_mailbox, fun() -> marked(Self) end).

marked(Parent) ->
    [self() ! {before, I} || I <- lists:seq(1, 10)],
    Ref = monitor(process, whereis(long_mailbox)),
    [self() ! {later, I} || I <- lists:seq(1, 10)],
    Parent ! {ready, self()},
    receive {Ref, Reply} -> Reply; {'DOWN', Ref, process, _, Reason} -> Reason end.

dictionaries() ->
    keep(large_dictionary, fun() -> [put({key, I}, {value, I, <<I:64>>}) || I <- lists:seq(1, 10000)], ok end),
    keep(shrunk_dictionary, fun() -> [put(I, I) || I <- lists:seq(1, 1000)], [erase(I) || I <- lists:seq(1, 990)], ok end),
    keep(odd_dictionary, fun() ->
        [put(K, V) || {K, V} <- [{[], []}, {{}, {}}, {"list", <<"binary">>}, {self(), make_ref()}, {1.5, 1 bsl 100},
                                 {#{map => key}, [[nested]]}, {atom, fun() -> ok end}]],
        ok
    end),
    keep(emptied_dictionary, fun() -> put(a, 1), erase(), ok end).

links() ->
    keep(link_hub, fun() ->
        process_flag(trap_exit, true),
        Linked = [spawn_link(fun() -> wait(linked) end) || _ <- lists:seq(1, 500)],
        [unlink(Pid) || Pid <- lists:sublist(Linked, 50)],
        ok
    end),
    keep(port_owner, fun() -> [open_port({spawn, "cat"}, [binary]) || _ <- [1, 2]] end).

monitors() ->
    Watched = keep(watched, fun() -> ok end),
    [keep(undefined, fun() -> monitor(process, Watched) end) || _ <- lists:seq(1, 200)],
    keep(monitor_hub, fun() ->
        Pids = [spawn(fun() -> wait(monitored) end) || _ <- lists:seq(1, 300)],
        Refs = [monitor(process, Pid) || Pid <- Pids, _ <- [1, 2]],
        [demonitor(Ref) || Ref <- lists:sublist(Refs, 100)],
        ok
    end),
    keep(monitor_by_name, fun() -> [monitor(process, watched), monitor(process, {watched, node()})] end),
    keep(monitor_of_port, fun() -> [Port | _] = erlang:ports(), monitor(port, Port) end),
    keep(monitor_of_time, fun() -> monitor(time_offset, clock_service) end),
    keep(monitor_with_alias, fun() ->
        [truth_compat:monitor(process, watched, [{alias, Kind}]) || Kind <- [explicit_unalias, demonitor, reply_demonitor]]
    end),
    keep(monitor_with_tag, fun() -> truth_compat:monitor(process, watched, [{tag, {tagged, [1, 2, 3]}}]) end),
    keep(aliases, fun() -> [truth_compat:alias() || _ <- lists:seq(1, 5)] end),
    %% A socket is a NIF resource that monitors its owner.
    keep(monitored_by_resource, fun() -> socket:open(inet, stream) end).

suspended() ->
    Victims = [keep(undefined, fun() -> put(suspended, I) end) || I <- lists:seq(1, 20)],
    [hd(Victims) ! {message, I} || I <- lists:seq(1, 5)],
    keep(suspender, fun() ->
        [erlang:suspend_process(Pid) || Pid <- Victims],
        [erlang:suspend_process(Pid) || Pid <- lists:sublist(Victims, 5)]
    end).

servers() ->
    {ok, _} = gen_event:start({local, an_event_manager}),
    proc_lib:spawn(fun() -> wait(proc_lib) end).

%% Things of many sizes in a dictionary, in Y registers, off the heap and in a mailbox.
sized() ->
    Self = self(),
    keep(sized_dictionary, fun() ->
        [put(Name, value(Name)) || Name <- names()],
        put(binaries, [binary:copy(<<0>>, 1000 * N) || N <- [3, 9, 1, 5]])
    end),
    keep(sized_stack, fun() -> on_stack(Self, value(small), value(large), value(tuple), value(medium)) end),
    Mailbox = keep(sized_mailbox, fun() -> ok end, [{message_queue_data, off_heap}]),
    [Mailbox ! {sized, lists:seq(1, N)} || N <- [3, 300, 20, 100]].

names() ->
    [small, large, tuple, medium].

value(small) -> lists:seq(1, 10);
value(large) -> lists:seq(1, 1000);
value(medium) -> maps:from_list([{I, I} || I <- lists:seq(1, 20)]);
value(tuple) -> list_to_tuple(lists:seq(1, 500)).

sizes() ->
    maps:from_list([{Name, erts_debug:size(value(Name))} || Name <- names()]).

on_stack(Parent, A, B, C, D) ->
    Parent ! {ready, self()},
    receive {never, E} -> {A, B, C, D, E} end.

%% ---- those that move ----------------------------------------------------------------------------------------

moving() ->
    %% {scheduler, N} is not documented: two are bound to each, which so never has time for a lower priority.
    Schedulers = erlang:system_info(schedulers),
    Hogs = [{list_to_atom("hog_" ++ integer_to_list(I)),
             mover(fun() -> process_flag(priority, max), spin() end, [{scheduler, I rem Schedulers + 1}])}
            || I <- lists:seq(1, 2 * Schedulers)],
    maps:from_list(Hogs ++ [
        {on_dirty_cpu, mover(fun() -> erts_debug:dirty_cpu(wait, 600000) end)},
        {on_dirty_io, mover(fun() -> erts_debug:dirty_io(wait, 600000) end)},
        {in_dirty_nif, mover(fun() -> sit(600) end)},
        {collector, mover(fun() -> process_flag(priority, max), collect(lists:seq(1, 1000000)) end)},
        {exiting, mover(fun() -> exiting() end)},
        {starved, mover(fun() -> ok end)},
        {starved_with_mail, starved_with_mail()},
        {starved_off_heap, mover(fun() -> ok end, [{message_queue_data, off_heap}])},
        {starved_with_buffers, starved_with_buffers()}]).

mover(Fun) ->
    mover(Fun, []).

mover(Fun, Options) ->
    spawn_opt(fun() -> receive go -> Fun() end end, Options).

starved_with_mail() ->
    Pid = mover(fun() -> ok end),
    [Pid ! {early, I} || I <- lists:seq(1, 4)],
    Pid.

%% Parallel buffers of the signal queue are installed under contention; here by force.
starved_with_buffers() ->
    Parent = self(),
    Pid = spawn_opt(fun() ->
        truth_compat:has_signal_buffers() andalso erts_debug:set_internal_state(proc_sig_buffers, true),
        Parent ! {ready, self()},
        receive go -> ok end
    end, [{message_queue_data, off_heap}]),
    receive {ready, Pid} -> Pid end.

%% More arguments than a Process has room for.
spin() ->
    spin(1, 2, 3, 4, 5, 6, 7, 8, 9, 10).

spin(A, B, C, D, E, F, G, H, I, J) ->
    spin(B, C, D, E, F, G, H, I, J, A).

collect(Live) ->
    garbage_collect(),
    collect(Live).

exiting() ->
    Table = ets:new(freed_slowly, [ordered_set, named_table]),
    ets:insert(Table, [{I, lists:duplicate(10, I)} || I <- lists:seq(1, 150000)]),
    exit(slowly).

states(Moving) ->
    Busy = [running, runnable],
    Of = fun(Name) -> maps:get(Name, Moving) end,
    Queue = case truth_compat:has_signal_buffers() of true -> buffer; false -> outer end,
    Hogs = maps:from_list([{Name, #{pid => Pid, status => Busy}} || {Name, Pid} <- maps:to_list(Moving)]),
    Hogs#{
        on_dirty_cpu => #{pid => Of(on_dirty_cpu), status => [running]},
        on_dirty_io => #{pid => Of(on_dirty_io), status => [running]},
        in_dirty_nif => #{pid => Of(in_dirty_nif), status => [running]},
        collector => #{pid => Of(collector), status => [garbage_collecting | Busy]},
        exiting => #{pid => Of(exiting), status => [exiting]},
        starved => #{pid => Of(starved), status => [runnable], inner => 0, in_transit => 7},
        starved_with_mail => #{pid => Of(starved_with_mail), status => [runnable], inner => 4, in_transit => 3},
        starved_off_heap => #{pid => Of(starved_off_heap), status => [runnable], inner => 0, in_transit => 7},
        starved_with_buffers => #{pid => Of(starved_with_buffers), status => [runnable], inner => 0, in_transit => 10,
                                  queue => Queue},
        never_scheduled => #{name => never_scheduled, status => [runnable], inner => 0, in_transit => 3}}.

set_going(Moving) ->
    process_flag(priority, max),
    Go = fun(Names) -> [maps:get(Name, Moving) ! go || Name <- Names] end,
    Go([on_dirty_cpu, on_dirty_io, in_dirty_nif, collector, exiting]),
    wait_until_exiting(),
    Go([Name || Name <- maps:keys(Moving), lists:prefix("hog_", atom_to_list(Name))]),
    %% From now on only the hogs and this process run.
    truth:busy_wait(50),
    Never = spawn(fun() -> wait(never) end),
    register(never_scheduled, Never),
    [Never ! {unread, I} || I <- lists:seq(1, 3)],
    #{starved := Starved, starved_with_mail := Mail, starved_off_heap := OffHeap, starved_with_buffers := Buffers} = Moving,
    [begin Pid ! {one, I}, monitor(process, Pid) end || Pid <- [Starved, OffHeap], I <- lists:seq(1, 7)],
    [Mail ! {two, I} || I <- lists:seq(1, 3)],
    Senders = [spawn_opt(fun() -> Buffers ! {from, self()}, wait(sent) end, [{priority, max}])
               || _ <- lists:seq(1, 10)],
    truth:busy_wait(50),
    wait_until_collecting(maps:get(collector, Moving), erlang:monotonic_time(second) + 10),
    length(Senders).

%% To ask for the status alone is no signal (see pi_args[] in erl_bif_info.c). The heap is so large that it is still being
%% collected when the VM is dumped.
wait_until_collecting(Pid, Until) ->
    case {process_info(Pid, status), erlang:monotonic_time(second)} of
        {{status, garbage_collecting}, _} -> ok;
        {_, Now} when Now > Until -> ok;
        _ -> erlang:yield(), wait_until_collecting(Pid, Until)
    end.

%% is_process_alive/1 would wait for the end of the exit. The table's name goes first, then its rows, then the process.
wait_until_exiting() ->
    case [gone || ets:info(freed_slowly, size) =:= undefined, get(table_seen) =:= true] of
        [gone] -> ok;
        [] -> ets:info(freed_slowly, size) =/= undefined andalso put(table_seen, true), wait_until_exiting()
    end.
