%% SPDX-License-Identifier: Apache-2.0
%% A node with many rows and many processes, which times its own answers before it is dumped. For scripts/bench.
%%
%% What goes wrong: each row keeps a packet for a part of it, as in large_tables. Each process has a state of its own, as
%% in many_processes, and references to binaries that a collection would release.
%%
%% Stands for: the node of which an analysis must not take longer than asking the node itself would have.
%%
%% An analysis should say: --arg rows=N (default 30000) rows in two tables, and --arg processes=N (default 2000)
%% processes, each with --arg terms=N (default 20) tuples and two binaries that are garbage.
%%
%% The truth says nothing of single rows and processes, which would take longer than all else. Its line `asked` has, for
%% each question that the node asks itself --arg repeat=N (default 1) times, the `answer` and what each time took:
%% microseconds by the clock, milliseconds of all its threads.
%%
%% Flags: +P 2097152 +sbwt none +sbwtdcpu none +sbwtdio none
-module(large_node).
-export([start/1, loop/1]).

start(Args) ->
    [_, Dir, Method | _] = init:get_plain_arguments(),
    Rows = truth:arg(rows, Args, 30000),
    truth:hold(large_owner, fun() ->
        fill(ets:new(large_set, [named_table, public]), Rows - Rows div 4),
        fill(ets:new(large_tree, [named_table, public, ordered_set]), Rows div 4)
    end),
    Terms = truth:arg(terms, Args, 20),
    Pids = [spawn_opt(fun() -> loop(state(N, Terms)) end, [{min_heap_size, 233}])
            || N <- lists:seq(1, truth:arg(processes, Args, 2000))],
    litter(Pids),
    Asked = asked(lists:seq(1, truth:arg(repeat, Args, 1)), Pids),
    erlang:garbage_collect(),
    ok = file:write_file(filename:join(Dir, "truth.jsonl"), [truth_json:line(Line) || Line <- [system(), Asked]]),
    dump(Method, Dir).

dump("abort", _) ->
    erlang:halt(abort);
dump("live", Dir) ->
    %% A crash dump that scripts/bench asks for by a signal may take as long as it does.
    os:putenv("ERL_CRASH_DUMP_SECONDS", "-1"),
    ok = file:write_file(filename:join(Dir, "ready"), os:getpid(), [raw]),
    receive after infinity -> ok end.

system() ->
    #{kind => system, otp_release => {text, erlang:system_info(otp_release)},
      erts_version => {text, erlang:system_info(version)},
      emu_flavor => try erlang:system_info(emu_flavor) catch error:badarg -> emu end}.

fill(Table, Rows) ->
    [ets:insert(Table, {N, name(N), #{seen => [N], size => N rem 100}, self()}) || N <- lists:seq(1, Rows)],
    ok.

%% 70 bytes, longer than what would be copied to the heap, of a packet of a kilobyte.
name(N) ->
    binary:part(iolist_to_binary(["name=", integer_to_list(N), lists:duplicate(1000, $.)]), 5, 70).

state(N, Terms) ->
    #{id => N,
      items => [{item, I, [I | N]} || I <- lists:seq(1, Terms div 2)],
      index => maps:from_list([{I, {N, I}} || I <- lists:seq(1, Terms div 2)]),
      body => binary:copy(<<N:64>>, 16)}.

loop(State = #{id := N}) ->
    receive
        {From, litter} ->
            From ! {self(), [byte_size(binary:copy(<<I, N:64>>, 16)) || I <- [1, 2]]},
            loop(State)
    end.

litter(Pids) ->
    [Pid ! {self(), litter} || Pid <- Pids],
    [receive {Pid, [_, _]} -> ok end || Pid <- Pids].

%% ---- what the node is asked ------------------------------------------------------------------------------------

asked(Repeat, Pids) ->
    Nothing = fun() -> ok end,
    %% A collection takes away what processes have as garbage.
    Questions = [{fold, fun fold/0, Nothing},
                 {process_info, fun process_info/0, Nothing},
                 {bin_leak, fun bin_leak/0, fun() -> litter(Pids) end}],
    maps:from_list([{kind, asked} | [{Name, ask(Repeat, Ask, After)} || {Name, Ask, After} <- Questions]]).

ask(Repeat, Ask, After) ->
    Asked = [begin Took = time(Ask), After(), Took end || _ <- Repeat],
    #{answer => case Asked of [] -> undefined; [{Answer, _} | _] -> Answer end, times => [Times || {_, Times} <- Asked]}.

%% In a process of its own, whose garbage goes with it.
time(Ask) ->
    {_, Monitor} = spawn_monitor(fun() ->
        {Before, _} = statistics(runtime),
        Started = erlang:monotonic_time(microsecond),
        Answer = Ask(),
        Wall = erlang:monotonic_time(microsecond) - Started,
        {After, _} = statistics(runtime),
        exit({asked, Answer, [Wall, After - Before]})
    end),
    receive {'DOWN', Monitor, process, _, {asked, Answer, Times}} -> {Answer, Times} end.

fold() ->
    lists:sum([ets:foldl(fun({_, Name, _, _}, Sum) -> Sum + binary:referenced_byte_size(Name) end, 0, Table)
               || Table <- [large_set, large_tree]]).

process_info() ->
    length([erlang:process_info(Pid) || Pid <- erlang:processes()]).

%% What recon:bin_leak/1 does: the binaries of each process before and after it has been collected, and those that have
%% lost most.
bin_leak() ->
    Found = [released(Pid) || Pid <- erlang:processes()],
    {Most, _} = lists:split(5, lists:reverse(lists:keysort(1, Found))),
    [Released || {Released, _, _} <- Most].

released(Pid) ->
    {Before, Identity} = binaries(Pid),
    erlang:garbage_collect(Pid),
    {After, _} = binaries(Pid),
    {length(Before) - length(After), Pid, Identity}.

binaries(Pid) ->
    case erlang:process_info(Pid, [binary, registered_name, current_function, initial_call]) of
        [{binary, Binaries} | Identity] -> {Binaries, Identity};
        undefined -> {[], []}
    end.
