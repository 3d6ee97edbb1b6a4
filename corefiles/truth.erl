%% SPDX-License-Identifier: Apache-2.0
%% The truth that a VM writes down about itself just before its memory is dumped.
%%
%% A workload is a module with start/1. It gets the --arg's as a map and returns a map of options:
%%   rows         => #{TableName => full | {sample, N}}   default: full up to 2,000 rows, else {sample, 100}
%%   labels       => #{TableName => Text}                 copied to the table's line
%%   volatile     => [Pid]                                processes that move between asking and dumping
%%   expect       => map()                                what an analysis of this core should say
%%   before_dump  => fun(() -> any())                     runs after the truth is on disk
%%   last_lines   => fun(() -> [map()])                   runs then too; the truth gets these lines as well
%%   after_dump   => fun(() -> [map()])                   with --method gcore: runs when the core was taken, in the VM
%%                                                        that goes on; the truth gets these lines as well
%% start/1 runs in the process that writes the truth, so everything that should live on belongs to other
%% processes or to ETS.
%%
%% Order matters. Printing rows makes the writer load modules, take references to binaries and create garbage;
%% so a helper prints the rows and dies, and only then, in a VM that is quiet again, are counts, tables and
%% processes read. They are read twice, the first time before the rows, so that no module is loaded in between.
-module(truth).
-export([main/0, arg/3, hold/2, hold/3, busy_wait/1]).

-define(KEYS, [registered_name, initial_call, current_function, message_queue_len, memory, total_heap_size,
               heap_size, stack_size, reductions, links, monitors, monitored_by, group_leader, trap_exit, priority,
               garbage_collection, garbage_collection_info, min_heap_size, message_queue_data, catchlevel, parent,
               error_handler, suspending, current_stacktrace, dictionary]).

%% A dictionary or a message larger than this (in the external format) has no printed form in the truth.
-define(PRINTABLE_BYTES, 1000000).

%% ---- start --------------------------------------------------------------------------------------------------

%% erl ... -run truth main -extra WORKLOAD DIR METHOD [KEY=VALUE ...]
%% The work happens in a process of its own, so that init finishes booting as it does in any VM.
main() ->
    [Workload, Dir, Method | Args] = init:get_plain_arguments(),
    spawn_opt(fun() -> run(list_to_atom(Workload), Dir, Method, maps:from_list([parse(A) || A <- Args])) end,
              [{fullsweep_after, 0}]).

parse(KeyValue) ->
    [Key, Value] = string:split(KeyValue, "="),
    {list_to_atom(Key), try list_to_integer(Value) catch error:badarg -> Value end}.

%% The value of a --arg, or the workload's default.
arg(Key, Args, Default) ->
    maps:get(Key, Args, Default).

%% Start a process that owns whatever Make makes, and then sleeps. Returns what Make returned with the pid.
%% Name is registered unless it is undefined. The process stays still, hibernated, or with the option hibernate => false
%% waiting with the value that Make returned on its stack.
hold(Name, Make) ->
    hold(Name, Make, #{}).

hold(Name, Make, Options) ->
    Parent = self(),
    Hibernate = maps:get(hibernate, Options, true),
    %% {scheduler, N} is not documented; it binds the process, and a table belongs to the scheduler that made it.
    Spawn = [monitor | [{scheduler, N} || {ok, N} <- [maps:find(scheduler, Options)]]],
    {Pid, Monitor} = spawn_opt(fun() ->
        Name =:= undefined orelse register(Name, self()),
        Value = Make(),
        Parent ! {self(), Value},
        case Hibernate of
            true -> erlang:hibernate(timer, sleep, [infinity]);
            false -> receive {never, Value} -> ok end
        end
    end, Spawn),
    receive
        {Pid, Value} ->
            demonitor(Monitor, [flush]),
            {Pid, Value};
        {'DOWN', Monitor, process, Pid, Reason} ->
            error({holder_died, Name, Reason})
    end.

%% Let Milliseconds pass. Where all schedulers are busy a timer may come much later, because they serve it.
busy_wait(Milliseconds) ->
    busy_wait_until(erlang:monotonic_time(millisecond) + Milliseconds).

busy_wait_until(Until) ->
    erlang:yield(),
    case erlang:monotonic_time(millisecond) of
        Now when Now =< Until -> busy_wait_until(Until);
        _ -> ok
    end.

run(Workload, Dir, Method, Args) ->
    try
        Elixir = start_elixir(),
        Method =:= "live" andalso truth_live:listen(Dir),
        Options = options(Workload:start(Args)),
        write(Workload, Args, Options, Elixir, filename:join(Dir, "truth.jsonl")),
        erlang:garbage_collect(),
        (maps:get(before_dump, Options, fun() -> ok end))(),
        case Options of
            #{last_lines := Lines} -> append_lines(Dir, Lines), receive after 100 -> ok end;
            #{} -> ok
        end,
        dump(Method, Dir, maps:get(after_dump, Options, undefined))
    catch
        Class:Reason:Stack ->
            io:format(standard_error, "~ts failed: ~p:~p~n~p~n", [Workload, Class, Reason, Stack]),
            halt(1)
    end.

%% Elixir runs when make-core put it on the code path.
start_elixir() ->
    case code:which('Elixir.Kernel') of
        non_existing -> false;
        _ -> {ok, _} = application:ensure_all_started(elixir), true
    end.

options(Map) when is_map(Map) -> Map;
options(_) -> #{}.

dump("abort", _Dir, _After) ->
    erlang:halt(abort);
dump(Method, Dir, After) when Method =:= "live"; Method =:= "gcore", After =:= undefined ->
    %% From here on nothing moves; the file tells make-core to take the core, or that the VM can be looked at.
    ok = file:write_file(filename:join(Dir, "ready"), os:getpid(), [raw]),
    receive after infinity -> ok end;
dump("gcore", Dir, After) ->
    %% make-core removes the file when it has the core, and waits for another one.
    Ready = filename:join(Dir, "ready"),
    ok = file:write_file(Ready, [os:getpid(), " and more"], [raw]),
    wait_until_gone(Ready),
    append_lines(Dir, After),
    ok = file:write_file(filename:join(Dir, "done"), os:getpid(), [raw]),
    receive after infinity -> ok end.

append_lines(Dir, Lines) ->
    append(filename:join(Dir, "truth.jsonl"), [truth_json:line(Line) || Line <- Lines()]).

wait_until_gone(File) ->
    receive after 100 -> ok end,
    case file:read_file_info(File, [raw]) of
        {ok, _} -> wait_until_gone(File);
        {error, enoent} -> ok
    end.

%% ---- the order of things ------------------------------------------------------------------------------------

write(Workload, Args, Options, Elixir, File) ->
    _ = final_lines(Options, fun(_) -> ok end),
    _ = truth_ets:warm_up(Elixir),
    write_rows(File, workload_line(Workload, Args, Options, Elixir), Options, Elixir),
    settle(),
    append(File, final_lines(Options, fun truth_ets:check_still/1)).

%% Printing may load modules, which changes the code server's tables: then the rows are written again.
write_rows(File, Header, Options, Elixir) ->
    settle(),
    Loaded = length(code:all_loaded()),
    ok = file:write_file(File, truth_json:line(Header), [raw]),
    in_helper(fun() -> truth_ets:write_rows(File, Options, Elixir) end),
    case length(code:all_loaded()) of
        Loaded -> ok;
        _ -> write_rows(File, Header, Options, Elixir)
    end.

%% The helper's rows must be gone before binaries are counted. A process's heap is freed after its 'DOWN' is sent,
%% hence the sleep. The file is opened anew because a raw file belongs to one process.
in_helper(Fun) ->
    {Pid, Monitor} = spawn_opt(Fun, [monitor, {fullsweep_after, 0}]),
    receive {'DOWN', Monitor, process, Pid, Reason} -> normal = Reason end,
    timer:sleep(100).

append(File, Lines) ->
    {ok, Fd} = file:open(File, [append, raw, binary]),
    ok = file:write(Fd, Lines),
    ok = file:close(Fd).

%% Tables before processes: ets:info(T, binary) fixes a table, which costs its owner nothing, while process_info
%% makes other processes handle a signal. Counts last.
final_lines(Options, CheckTables) ->
    erlang:garbage_collect(),
    Tables = truth_ets:table_lines(Options),
    erlang:garbage_collect(),
    Keys = truth_compat:items(?KEYS),
    %% First: a dictionary comes with references to the binaries in it.
    Binaries = maps:from_list([{Pid, Of} || Pid <- processes(), {binary, Of} <- [process_info(Pid, binary)]]),
    %% The status alone: whoever handles the question for other items is running for that, and OTP 23 says so.
    Processes = [{Pid, [{binary, maps:get(Pid, Binaries, [])}, Status | Info]}
                 || Pid <- processes(), Status <- [process_info(Pid, status)],
                    Info <- [process_info(Pid, Keys)], Info =/= undefined],
    Ports = [port_line(Port) || Port <- erlang:ports()],
    CheckTables(Tables),
    Volatile = [self() | maps:get(volatile, Options, [])],
    Lines = [Tables, [process_line(P, Info, Volatile) || {P, Info} <- Processes], Ports,
             atoms_line(), system_line()],
    [iolist_to_binary(truth_json:line(Line)) || Line <- lists:flatten(Lines)].

%% Wait until every other process waits (or is suspended), and does so still 50 ms later having done no work in between.
settle() ->
    settle(400, undefined).

settle(0, _) ->
    error({not_quiet,
           [{P, process_info(P, [registered_name, current_function])} || {P, S, _} <- activity(), not still(S)]});
settle(Tries, Before) ->
    timer:sleep(50),
    case activity() of
        Before -> ok;
        Now ->
            case lists:all(fun({_, Status, _}) -> still(Status) end, Now) of
                true -> settle(Tries - 1, Now);
                false -> settle(Tries - 1, undefined)
            end
    end.

still(Status) ->
    Status =:= waiting orelse Status =:= suspended.

%% Neither item makes the process run (see pi_args[] in erl_bif_info.c).
activity() ->
    [{Pid, Status, Reds} || Pid <- processes(), Pid =/= self(),
                            [{status, Status}, {reductions, Reds}] <- [process_info(Pid, [status, reductions])]].

%% ---- lines --------------------------------------------------------------------------------------------------

workload_line(Workload, Args, Options, Elixir) ->
    #{kind => workload, name => Workload, args => Args, elixir => Elixir, expect => maps:get(expect, Options, #{}),
      writer => self()}.

%% memory and uptime_ms move by what writing the truth itself takes. process_count, port_count, atom_count and
%% ets_count hold at the dump.
system_line() ->
    #{kind => system,
      otp_release => {text, erlang:system_info(otp_release)},
      erts_version => {text, erlang:system_info(version)},
      system_version => {text, string:trim(erlang:system_info(system_version))},
      emu_flavor => truth_compat:emu_flavor(),
      emu_type => erlang:system_info(build_type),
      wordsize => erlang:system_info(wordsize),
      system_architecture => {text, erlang:system_info(system_architecture)},
      emu_args => [{text, Arg} || Arg <- erlang:system_info(emu_args)],
      thread_pool_size => erlang:system_info(thread_pool_size),
      kernel_poll => erlang:system_info(kernel_poll),
      dist_buf_busy_limit => erlang:system_info(dist_buf_busy_limit),
      backtrace_depth => backtrace_depth(),
      schedulers => erlang:system_info(schedulers),
      schedulers_online => erlang:system_info(schedulers_online),
      dirty_cpu_schedulers => erlang:system_info(dirty_cpu_schedulers),
      dirty_cpu_schedulers_online => erlang:system_info(dirty_cpu_schedulers_online),
      dirty_io_schedulers => erlang:system_info(dirty_io_schedulers),
      process_count => erlang:system_info(process_count),
      process_limit => erlang:system_info(process_limit),
      port_count => erlang:system_info(port_count),
      port_limit => erlang:system_info(port_limit),
      atom_count => erlang:system_info(atom_count),
      atom_limit => erlang:system_info(atom_limit),
      modules => lists:sort(erlang:loaded()),
      old_modules => [M || M <- lists:sort(erlang:loaded()), erlang:check_old_code(M)],
      ets_count => erlang:system_info(ets_count),
      ets_limit => erlang:system_info(ets_limit),
      persistent_term => persistent_term:info(),
      node => node(),
      creation => erlang:system_info(creation),
      os_pid => {text, os:getpid()},
      uptime_ms => element(1, erlang:statistics(wall_clock)),
      system_time_ms => erlang:system_time(millisecond),
      time_offset_ns => erlang:time_offset(nanosecond),
      logical_processors => erlang:system_info(logical_processors),
      memory => maps:from_list(erlang:memory())}.

%% There is no way to ask, but to set it and be told what it was.
backtrace_depth() ->
    Depth = erlang:system_flag(backtrace_depth, 8),
    erlang:system_flag(backtrace_depth, Depth),
    Depth.

%% names[I] is "~tw" of the atom with index I. There is no BIF for that; but ATOM_INTERNAL_REF3 of the external
%% format (tag 75, used by the emulator itself) carries an index.
atoms_line() ->
    Count = erlang:system_info(atom_count),
    Names = [text("~tw", binary_to_term(<<131, 75, I:24>>)) || I <- lists:seq(0, Count - 1)],
    #{kind => atoms, count => Count, names => Names}.

port_line(Port) ->
    Info = erlang:port_info(Port),
    #{kind => port, port => Port, input => proplists:get_value(input, Info), output => proplists:get_value(output, Info),
      queue_size => element(2, erlang:port_info(Port, queue_size)), os_pid => proplists:get_value(os_pid, Info),
      name => {text, proplists:get_value(name, Info)}, id => proplists:get_value(id, Info),
      connected => proplists:get_value(connected, Info), links => proplists:get_value(links, Info),
      registered_name => proplists:get_value(registered_name, Info, undefined)}.

%% reductions: asking for most items is itself a signal that the process handles, so the number in the core may be a
%% little higher. memory and heap sizes of a process do not move by that.
%% binary: this is what process_info says, which leaves out writable (appended to) binaries.
process_line(Pid, Info, Volatile) ->
    Item = fun(Key) -> proplists:get_value(Key, Info) end,
    Same = maps:from_list([{Key, Item(Key)}
                           || Key <- [initial_call, current_function, status, message_queue_len, memory,
        total_heap_size, heap_size, stack_size, reductions, links, group_leader, trap_exit, priority, min_heap_size,
        message_queue_data, catchlevel, parent, error_handler, suspending], lists:keymember(Key, 1, Info)]),
    Same#{kind => process,
          pid => Pid,
          volatile => lists:member(Pid, Volatile),
          registered_name => case Item(registered_name) of [] -> undefined; Name -> Name end,
          translated_initial_call => translated(Pid, Item(dictionary)),
          dictionary => printable(Item(dictionary)),
          messages => messages(Pid, Item(message_queue_len)),
          monitors => [{Type, {w, What}} || {Type, What} <- Item(monitors)],
          monitored_by => Item(monitored_by),
          garbage_collection => object(Item(garbage_collection)),
          garbage_collection_info => object(Item(garbage_collection_info)),
          stacktrace => [frame(Frame) || Frame <- Item(current_stacktrace)],
          binary => Item(binary)}.

%% [Module, Function, Arity, File, Line]; the last two are null for a function without line information.
frame({M, F, A, Location}) ->
    File = proplists:get_value(file, Location),
    {M, F, A, case File of undefined -> undefined; _ -> {text, File} end, proplists:get_value(line, Location)}.

%% {M, F, A} as observer and the shell's i() show it.
translated(Pid, Dictionary) ->
    case lists:keymember('$initial_call', 1, Dictionary) of
        true -> proc_lib:translate_initial_call(Pid);
        false -> undefined
    end.

object(Proplist) ->
    maps:from_list(Proplist).

messages(_Pid, 0) ->
    [];
messages(Pid, _) ->
    case process_info(Pid, messages) of
        {messages, Messages} -> [printable(M) || M <- Messages];
        undefined -> undefined
    end.

printable(Term) ->
    case erlang:external_size(Term) of
        Size when Size > ?PRINTABLE_BYTES -> undefined;
        _ -> text("~w", Term)
    end.

%% A binary at once: as a list of characters a text is 16 times as large, and the core should be small.
text(Format, Term) ->
    unicode:characters_to_binary(io_lib:format(Format, [Term])).
