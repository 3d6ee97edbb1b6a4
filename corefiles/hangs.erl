%% SPDX-License-Identifier: Apache-2.0
%% VMs that do not answer, each for another reason, and one that is only busy.
%%
%% --arg kind=KIND says which. What goes wrong, what it stands for, and what an analysis should say is told at each of the
%% functions below; expect.cause has what must be named: pids, functions, counts.
%%
%%   call_cycle   servers that call each other in a circle             --arg size=N (default 3)
%%   slow_server  one server that everybody calls                      --arg callers=N (default 5000)
%%   nif          a NIF that never returns, on a normal scheduler      the only one: --flag +S --flag 1:1
%%   dirty_cpu    NIFs that never return, on all dirty CPU schedulers
%%   huge_gc      a server that collects a huge heap
%%   mailbox      a selective receive behind many messages             --arg messages=N (default 1000000)
%%   behind_call  messages that gather while a server waits for another  --arg messages=N (default 12000)
%%   abandoned    a server whose callers have given up                 --arg callers=N (default 200)
%%   suspended    a server that somebody suspended
%%   own_protocol a server of OTP that is asked without gen, and suspended  --arg server=disk_log|dets|mnesia_read|mnesia_write
%%   crowded      the same, or rex, among many that some wait for      --arg cause=suspended|rex
%%   sys_suspended  a server that sys:suspend/1 stopped
%%   postponed    a state machine that puts off all that it is asked   --arg casts=N (default 500)
%%   full_pipe    a program that does not read
%%   start_cycle  a server that calls its supervisor while that starts it
%%   stopping     a VM that is to end, and a server that does not
%%   stopping_children  the same, and one of many dynamic children does not  --arg supervisor=elixir (default: erlang)
%%   tcp_peer     a peer that does not read what it is sent
%%   start_itself applications that start each other                   --arg size=N (default 2)
%%   booting      an application whose start/2 waits
%%   on_load      a module whose on_load function waits
%%   halting      a VM that is to end, and a program that does not read
%%   ets_lock     a match that holds the lock of a table
%%   code_server  a file system that hangs below the code path
%%   main_lock    a process whose main lock somebody else waits for
%%   logger_sync  a console that does not take what is logged
%%   logger_port  a console that writes to a port that is busy
%%   logger_drop  the same, with so much that it is thrown away
%%   tracer       a tracer that does not keep up
%%   literals     persistent terms that fill their memory
%%   super_carrier  all memory that the VM may have is nearly used     --flag +MMscs --flag 64
%%   atoms        an atom table that is nearly full
%%   timers       a storm of timers                                    --arg timers=N (default 200000)
%%   busy         nothing: all schedulers work, calls are answered
%%
%% Flags: +S 3:3 +SDcpu 2:2 +SDio 2
-module(hangs).
-behaviour(gen_server).
-export([callback_mode/0, handle_event/4]).
-export([start/1, start/2, stop/1, init/1, handle_call/3, handle_cast/2, spin/0, spin_dirty/0, ask_for_license/0]).
-on_load(load_nif/0).

load_nif() ->
    erlang:load_nif(filename:join(filename:dirname(code:which(?MODULE)), "hangs_nif"), 0).

%% Neither returns.
spin() -> erlang:nif_error(not_loaded).
spin_dirty() -> erlang:nif_error(not_loaded).

start(Args) ->
    Kind = list_to_atom(truth:arg(kind, Args, "busy")),
    Options = #{expect := Expect} = kind(Kind, Args),
    Options#{expect := Expect#{kind => Kind}}.

%% ---- waiting for each other -----------------------------------------------------------------------------------

%% Each server calls the next one from a callback, the last one the first. Stands for: two supervisors or servers that ask each other.
%% An analysis should say: a deadlock, and all its members.
kind(call_cycle, Args) ->
    Size = truth:arg(size, Args, 3),
    Servers = [server(numbered(cycle, I)) || I <- lists:seq(1, Size)],
    [gen_server:cast(From, {do, fun() -> call(To) end}) || {From, To} <- lists:zip(Servers, tl(Servers) ++ [hd(Servers)])],
    %% Somebody outside of it waits for each of the first two.
    [caller(Server) || Server <- lists:sublist(Servers, 2)],
    [wait_until_calling(Server) || Server <- Servers],
    #{expect => #{cause => #{members => Servers}}};

%% A server asks its supervisor for something in init/1, while that waits until it is ready. Stands for: a child that looks for its
%% siblings, or adds one. An analysis should say: a deadlock of these two, and that somebody waits for the supervisor to start.
kind(start_cycle, _Args) ->
    Parent = self(),
    Ask = fun() -> Parent ! {asks, self()}, supervisor:which_children(asked_supervisor) end,
    Child = #{id => asking, start => {gen_server, start_link, [?MODULE, {run, Ask}, []]}},
    Starter = spawn(fun() -> supervisor:start_link({local, asked_supervisor}, ?MODULE, {supervisor, [Child]}) end),
    Asking = receive {asks, Asker} -> Asker end,
    wait_until_calling(Asking),
    Supervisor = whereis(asked_supervisor),
    [wait_until(fun() -> status(Pid) =:= waiting end) || Pid <- [Starter, Supervisor]],
    #{expect => #{cause => #{members => [Asking, Supervisor], starter => Starter}}};

%% init:stop/0 tells all applications to end, and a server that may take as long as it likes does not. Stands for: a node that is
%% still there minutes after it was told to stop. An analysis should say: that it stops, and which server does not.
kind(stopping, _Args) ->
    Child = #{id => stubborn, start => {?MODULE, start, [stubborn, []]}, shutdown => infinity},
    ok = application:load({application, stopped, [{mod, {?MODULE, {supervisor, [Child]}}}, {applications, [kernel, stdlib]}]}),
    ok = application:start(stopped),
    init:stop(),
    wait_until(fun() -> {current_function, {init, shutdown_loop, 4}} =:= process_info(whereis(init), current_function) end),
    wait_until_in(whereis(stopped_supervisor), supervisor, shutdown),
    #{expect => #{cause => #{stubborn => whereis(stubborn), supervisor => whereis(stopped_supervisor),
                             controller => whereis(application_controller)}}};

%% The same with a supervisor of dynamic children, which tells all of them to end at once. An analysis should say: which one has not.
kind(stopping_children, Args) ->
    Of = truth:arg(supervisor, Args, "erlang"),
    ok = application:load({application, stopped, [{mod, {?MODULE, {dynamic, Of}}}, {applications, [kernel, stdlib]}]}),
    ok = application:start(stopped),
    [{ok, _} = start_dynamic(Of, Which) || Which <- [obedient, stubborn, obedient]],
    Supervisor = whereis(stopped_supervisor),
    init:stop(),
    wait_until(fun() -> {current_function, {init, shutdown_loop, 4}} =:= process_info(whereis(init), current_function) end),
    wait_until(fun() -> process_info(Supervisor, monitors) =:= {monitors, [{process, whereis(stubborn)}]} andalso status(Supervisor) =:= waiting end),
    #{expect => #{cause => #{stubborn => whereis(stubborn), supervisor => Supervisor}}};

%% A server asks something over a connection, and the answer does not come. Stands for: a database, or a web service, that is asked in
%% handle_call. An analysis should say: that server, where it waits, and how many wait for it.
kind(slow_server, Args) ->
    Server = server(slow_server),
    Front = server(front_server),
    gen_server:cast(Server, {do, fun slow_query/0}),
    Callers = truth:arg(callers, Args, 5000),
    %% Some wait for one who waits for it.
    gen_server:cast(Front, {do, fun() -> call(Server) end}),
    All = [caller(case I rem 10 of 0 -> Front; _ -> Server end) || I <- lists:seq(1, Callers - 1)],
    [wait_until_calling(Pid) || Pid <- [Front | All]],
    #{expect => #{cause => #{server => Server, front => Front, behind => Callers, function => slow_query}}};

%% Somebody has suspended a server, and forgotten it. Stands for: a debugger or a tracer at work in production.
%% An analysis should say: who is suspended, and by whom.
kind(suspended, _Args) ->
    Server = server(suspended_server),
    {Culprit, _} = truth:hold(forgetful_debugger, fun() -> erlang:suspend_process(Server) end),
    Callers = [caller(Server) || _ <- lists:seq(1, 10)],
    [wait_until_calling(Pid) || Pid <- Callers],
    #{expect => #{cause => #{suspended => Server, by => Culprit, behind => length(Callers)}}};

%% What matters is among many that some wait for, as they always do. Stands for: pools of workers that ask a database.
%% An analysis should say: only who is suspended, or which of the processes that everything rests on does not answer.
kind(crowded, Args) ->
    Pools = [server(numbered(pool, I)) || I <- lists:seq(1, 70)],
    [gen_server:cast(Pool, {do, fun slow_query/0}) || Pool <- Pools],
    [[wait_until_calling(caller(Pool)) || _ <- lists:seq(1, 6)] || Pool <- Pools],
    #{expect => #{cause => crowded(truth:arg(cause, Args, "suspended"))}};

%% The same with a server that has a protocol of its own. Stands for: one that waits for a disk.
%% An analysis should say: the server, and how many wait for it.
kind(own_protocol, Args) ->
    {Server, Ask, {Module, Function}} = own_protocol(truth:arg(server, Args, "disk_log")),
    {Culprit, _} = truth:hold(forgetful_debugger, fun() -> erlang:suspend_process(Server) end),
    Callers = [spawn(Ask) || _ <- lists:seq(1, 40)],
    [wait_until_in(Pid, Module, Function) || Pid <- Callers],
    #{expect => #{cause => #{suspended => Server, by => Culprit, behind => length(Callers)}}};

%% The same with sys:suspend/1, as release handling does it. An analysis should say: that it was, and what resumes it.
kind(sys_suspended, _Args) ->
    Server = server(sys_suspended_server),
    ok = sys:suspend(Server),
    Callers = [caller(Server) || _ <- lists:seq(1, 40)],
    [wait_until_calling(Pid) || Pid <- Callers],
    #{expect => #{cause => #{server => Server, behind => length(Callers)}}};

%% A gen_statem postpones all that it is asked until it is connected, which it never is. Stands for: a client of a broker that is down.
%% An analysis should say: that it has put off the replies, how many wait, and how many events are postponed.
kind(postponed, Args) ->
    {ok, Machine} = gen_statem:start({local, broker_client}, ?MODULE, statem, []),
    Callers = [spawn(fun() -> gen_statem:call(Machine, {publish, I}) end) || I <- lists:seq(1, 40)],
    [wait_until_calling(Pid) || Pid <- Callers],
    [gen_statem:cast(Machine, {telemetry, I}) || I <- lists:seq(1, truth:arg(casts, Args, 500))],
    #{expect => #{cause => #{server => Machine, behind => length(Callers), postponed => postponed(Machine)}}};

%% A program does not read its standard input. Stands for: an external converter or logger that hangs.
%% An analysis should say: the port, its program, who is suspended on it, and who waits for these.
kind(full_pipe, _Args) ->
    {_, Port} = truth:hold(full_pipe_owner, fun full_pipe/0),
    Writers = [server(numbered(writer, I)) || I <- lists:seq(1, 20)],
    [gen_server:cast(Writer, {do, fun() -> port_command(Port, <<"more">>) end}) || Writer <- Writers],
    [wait_until_status(Writer, suspended) || Writer <- Writers],
    Callers = [caller(hd(Writers)) || _ <- lists:seq(1, 5)],
    [wait_until_calling(Pid) || Pid <- Callers],
    {os_pid, Program} = erlang:port_info(Port, os_pid),
    #{expect => #{cause => #{port => Port, os_pid => Program, suspended => length(Writers), behind => length(Writers ++ Callers)}}};

%% The other end of a connection does not read. Stands for: a client, or another service, that hangs. Who sends is not suspended, but
%% waits until the driver has room again. An analysis should say: the port, who sends, and how many wait for that.
kind(tcp_peer, _Args) ->
    {ok, Listener} = gen_tcp:listen(0, [binary, {active, false}, {recbuf, 4096}, {ip, {127, 0, 0, 1}}]),
    {ok, Number} = inet:port(Listener),
    truth:hold(slow_peer, fun() ->
        {ok, Socket} = gen_tcp:connect({127, 0, 0, 1}, Number, [binary, {active, false}, {recbuf, 4096}]),
        Socket
    end),
    {ok, Socket} = gen_tcp:accept(Listener),
    ok = inet:setopts(Socket, [{sndbuf, 4096}]),
    Writer = server(tcp_writer),
    gen_server:cast(Writer, {do, fun() -> send_for_ever(Socket) end}),
    Sends = fun(Function) -> lists:member(Function, [send, send_recv_reply]) end,
    wait_until(fun() ->
        {current_function, {Module, Function, _}} = process_info(Writer, current_function),
        Module =:= prim_inet andalso Sends(Function) andalso status(Writer) =:= waiting
    end),
    Callers = [caller(Writer) || _ <- lists:seq(1, 5)],
    [wait_until_calling(Pid) || Pid <- Callers],
    #{expect => #{cause => #{port => Socket, writer => Writer, behind => length([Writer | Callers]), messages => length(Callers)}}};

%% Each application starts the next one from its start/2, the last one the first. Stands for: ensure_all_started there, of an
%% application that is not among `applications`. An analysis should say: a deadlock, which applications are started, and where.
kind(start_itself, Args) ->
    Size = truth:arg(size, Args, 2),
    Names = [numbered(started, I) || I <- lists:seq(1, Size)],
    Keys = fun(Next) -> [{mod, {?MODULE, {starts, Next, self()}}}, {applications, [kernel, stdlib]}] end,
    [ok = application:load({application, Name, Keys(Next)}) || {Name, Next} <- lists:zip(Names, tl(Names) ++ [hd(Names)])],
    Boot = spawn(fun() -> application:start(hd(Names)) end),
    Starters = [receive {starts, Next, Pid} -> Pid end || Next <- tl(Names) ++ [hd(Names)]],
    [wait_until_calling(Pid) || Pid <- [Boot | Starters]],
    #{expect => #{cause => #{members => Starters, applications => Names, boot => Boot}}};

%% The start/2 of an application waits for what does not come, and nobody but the boot process waits for that. Stands for: a node that
%% hangs while it starts. An analysis should say: which application, who starts it, and where it waits.
kind(booting, _Args) ->
    ok = application:load({application, booted, [{mod, {?MODULE, {waits, self()}}}, {applications, [kernel, stdlib]}]}),
    Boot = spawn(fun() -> application:start(booted) end),
    Starter = receive {waits, Pid} -> Pid end,
    wait_until_in(Starter, ?MODULE, slow_query),
    wait_until_calling(Boot),
    #{expect => #{cause => #{starter => Starter, application => booted, boot => Boot, behind => 1}}};

%% A module's on_load function asks a server that does not answer; all who call the module wait. Stands for: a NIF library that asks for
%% a license. An analysis should say: which module, who runs the function, and whom it waits for.
kind(on_load, _Args) ->
    Directory = filename:join(filename:dirname(code:which(?MODULE)), "loaded"),
    _ = file:make_dir(Directory),
    Forms = [{attribute, 1, module, licensed}, {attribute, 1, export, [{run, 0}]}, {attribute, 1, on_load, {init, 0}},
             {function, 1, init, 0, [{clause, 1, [], [], [{call, 1, {remote, 1, {atom, 1, ?MODULE}, {atom, 1, ask_for_license}}, []}]}]},
             {function, 1, run, 0, [{clause, 1, [], [], [{atom, 1, ok}]}]}],
    {ok, licensed, Code} = compile:forms(Forms),
    ok = file:write_file(filename:join(Directory, "licensed.beam"), Code),
    true = code:add_patha(Directory),
    Server = server(license_server),
    gen_server:cast(Server, {do, fun slow_query/0}),
    Callers = [spawn(fun() -> licensed:run() end) || _ <- lists:seq(1, 20)],
    [wait_until_in(Pid, code_server, call) || Pid <- Callers],
    wait_until(fun() -> whereis(loader) =/= undefined end),
    wait_until_calling(whereis(loader)),
    #{expect => #{cause => #{server => Server, loader => whereis(loader), module => licensed, behind => length(Callers) + 1}}};

%% erlang:halt/1 waits until ports have written their output. Stands for: a node that is to restart, and has not ended after hours.
%% An analysis should say: that it is halting, who called halt, and which port and program it waits for.
kind(halting, _Args) ->
    {_, Port} = truth:hold(unread_owner, fun() ->
        Opened = open_port({spawn_executable, "/bin/sleep"}, [{args, ["600"]}, binary]),
        true = port_command(Opened, binary:copy(<<"unread">>, 100000)),
        Opened
    end),
    %% Its standard input ends when halt closes the port, so that the dump is made when that goes on.
    abort_after("cat > /dev/null"),
    {os_pid, Program} = erlang:port_info(Port, os_pid),
    #{expect => #{cause => #{port => Port, os_pid => Program, halts => self()}},
      before_dump => fun() -> erlang:halt(0) end};

%% A directory in the code path is on a file system that does not answer: here a FIFO that nobody writes to. Stands for: NFS.
%% An analysis should say: code_server waits for erl_prim_loader, which is in a system call that opens a file; since OTP 27,
%% code_server opens it itself.
kind(code_server, _Args) ->
    Directory = filename:join(filename:dirname(code:which(?MODULE)), "stuck"),
    _ = file:make_dir(Directory),
    [] = os:cmd("rm -f " ++ Directory ++ "/stuck.beam && mkfifo " ++ Directory ++ "/stuck.beam"),
    Callers = [waiting_for_go(fun() -> stuck:run() end) || _ <- lists:seq(1, 5)],
    Asks = not erlang:function_exported(erl_prim_loader, read_file, 1),
    Reader = whereis(case Asks of true -> erl_prim_loader; false -> code_server end),
    #{expect => #{cause => #{reader => Reader, code_server => whereis(code_server),
                             behind => length(Callers) + case Asks of true -> 1; false -> 0 end}},
      volatile => [whereis(erl_prim_loader), whereis(code_server) | Callers],
      before_dump => fun() ->
          true = code:add_patha(Directory),
          [Pid ! go || Pid <- Callers],
          [wait_until_in(Pid, code_server, call) || Pid <- Callers],
          %% It reads other directories first.
          pause(200),
          wait_until_status(Reader, running)
      end};

%% The console that logger writes to has stopped, and everybody logs. Stands for: a terminal with ^S, a pipe to a program that hangs.
%% An analysis should say: the handler, that who logs has to wait for it, what it waits for itself, and how many wait.
kind(logger_sync, _Args) ->
    {Handler, Device} = handler(stopped(), #{sync_mode_qlen => 10, drop_mode_qlen => 5000, flush_qlen => 10000}),
    Callers = [waiting_for_go(fun log_for_ever/0) || _ <- lists:seq(1, 12)],
    #{expect => #{cause => #{handler => Handler, device => Device, callers => length(Callers)}},
      volatile => [Handler, Device | Callers],
      before_dump => fun() ->
          overload(Handler, fun() -> message_count(Device) =:= 1 end),
          [Pid ! go || Pid <- Callers],
          [wait_until_calling(Pid) || Pid <- Callers]
      end};

%% The same with a console that writes to a pipe, which nobody reads. Stands for: stdout of a container whose logs nobody fetches.
%% An analysis should say, at once: that who logs waits for the handler, that for the console, and that for the port.
kind(logger_port, _Args) ->
    {_, Port} = truth:hold(full_pipe_owner, fun full_pipe/0),
    Pipe = fun() -> receive {io_request, _, _, _} -> port_command(Port, <<"event">>) end end,
    {Handler, Device} = handler(Pipe, #{sync_mode_qlen => 10, drop_mode_qlen => 5000, flush_qlen => 10000}),
    Callers = [waiting_for_go(fun log_for_ever/0) || _ <- lists:seq(1, 12)],
    #{expect => #{cause => #{handler => Handler, device => Device, port => Port, callers => length(Callers)}},
      volatile => [Handler, Device | Callers],
      before_dump => fun() ->
          overload(Handler, fun() -> status(Device) =:= suspended end),
          [Pid ! go || Pid <- Callers],
          [wait_until_calling(Pid) || Pid <- Callers]
      end};

%% The same, and so much was logged that the handler now throws all of it away. Nobody waits.
%% An analysis should say: the handler, that it drops what is logged, and what it waits for.
kind(logger_drop, _Args) ->
    {Handler, Device} = handler(stopped(), #{sync_mode_qlen => 10, drop_mode_qlen => 50, flush_qlen => 10000}),
    #{expect => #{cause => #{handler => Handler, device => Device}},
      volatile => [Handler, Device],
      before_dump => fun() -> overload(Handler, fun() -> message_count(Device) =:= 1 end) end};

%% ---- schedulers that are taken --------------------------------------------------------------------------------

%% A NIF does not return. Stands for: a library with a lock of its own, or an endless loop in C.
%% An analysis should say: that scheduler, process and function, and since when; of the only scheduler, nobody knows that.
kind(nif, _Args) ->
    Server = server(nif_server, [{scheduler, 1}]),
    Callers = [caller(Server, waiting_for_go) || _ <- lists:seq(1, 3)],
    #{expect => #{cause => #{server => Server, function => spin, scheduler => 1, behind => length(Callers)}},
      volatile => [Server | Callers],
      before_dump => fun() ->
          case erlang:system_info(schedulers) of
              1 -> spin_on_the_only_scheduler(Server, Callers);
              _ -> on_scheduler(2, fun() ->
                  gen_server:cast(Server, {do, fun spin/0}),
                  pause(100),
                  [Pid ! go || Pid <- Callers],
                  pause(1500),
                  [wait_until_calling(Pid) || Pid <- Callers]
              end)
          end
      end};

%% All dirty CPU schedulers are in NIFs that do not return, and others wait for one. Stands for: a library of cryptography or
%% regular expressions that takes minutes; large garbage collections wait as well.
%% An analysis should say: which NIF has all of them, and how many processes wait for one.
kind(dirty_cpu, _Args) ->
    Count = erlang:system_info(dirty_cpu_schedulers_online),
    Running = [waiting_for_go(fun spin_dirty/0) || _ <- lists:seq(1, Count)],
    Queued = [waiting_for_go(fun spin_dirty/0) || _ <- lists:seq(1, 4)],
    #{expect => #{cause => #{running => Running, queued => Queued, function => spin_dirty}},
      volatile => Running ++ Queued,
      before_dump => fun() ->
          [begin Pid ! go, wait_until_dirty(Pid) end || Pid <- Running],
          [begin Pid ! go, wait_until_status(Pid, runnable) end || Pid <- Queued]
      end};

%% A server with a heap so large that a collection takes long. Stands for: state, or a queue, that has grown without bound.
%% An analysis should say: that process, that it collects garbage, how large its heap is, and who waits for it.
kind(huge_gc, _Args) ->
    Server = server(huge_server),
    call(Server, fun() -> put(state, lists:seq(1, 3000000)), ok end),
    Callers = [caller(Server, waiting_for_go) || _ <- lists:seq(1, 20)],
    #{expect => #{cause => #{server => Server, behind => length(Callers)}},
      volatile => [Server | Callers],
      before_dump => fun() ->
          gen_server:cast(Server, {do, fun collect/0}),
          [Pid ! go || Pid <- Callers],
          [wait_until_calling(Pid) || Pid <- Callers],
          %% From its beginning on.
          wait_until(fun() -> status(Server) =/= garbage_collecting end),
          wait_until(fun() -> status(Server) =:= garbage_collecting end)
      end};

%% A NIF does not return, and somebody else wants the main lock of its process: to give it a name. Until it has that, nobody can
%% look up any name. An analysis should say: whose lock it is, what that executes, and which scheduler waits for it with whom.
kind(main_lock, _Args) ->
    Server = server(locked_server, [{scheduler, 1}]),
    Namer = waiting_for_go(fun() -> register(second_name, Server) end, [{scheduler, 3}]),
    #{expect => #{cause => #{server => Server, function => spin, scheduler => 1, waiter => Namer, waiting => 3}},
      volatile => [Server, Namer],
      before_dump => fun() ->
          on_scheduler(2, fun() ->
              gen_server:cast(Server, {do, fun spin/0}),
              pause(100),
              Namer ! go,
              wait_until_status(Namer, running),
              pause(1500)
          end)
      end};

%% A walk over the rows of one key, with a condition that takes long for each, holds the table's lock; one who wants to write waits with
%% the scheduler that it is on. Stands for: a select over a large bag. An analysis should say: the table, who looks, and who waits.
kind(ets_lock, _Args) ->
    {_, Table} = truth:hold(table_owner, fun() ->
        Made = ets:new(locked_table, [duplicate_bag, public, named_table]),
        true = ets:insert(Made, [{key, I} || I <- lists:seq(1, 20000)]),
        Made
    end),
    Long = lists:seq(1, 300000),
    Reader = waiting_for_go(fun() -> ets:select(Table, [{{key, '$1'}, [{'=/=', {const, Long}, {const, Long ++ []}}], ['$1']}]) end,
                            [{scheduler, 1}]),
    register(reader, Reader),
    Writer = waiting_for_go(fun() -> ets:insert(Table, {other, 1}) end, [{scheduler, 3}]),
    register(writer, Writer),
    #{expect => #{cause => #{reader => Reader, writer => Writer, table => Table}},
      volatile => [Reader, Writer],
      before_dump => fun() ->
          on_scheduler(2, fun() -> Reader ! go, pause(300), Writer ! go, pause(1500) end)
      end};

%% ---- too much of something ------------------------------------------------------------------------------------

%% A process waits for an answer in a mailbox full of other messages, all of which it looks at each time. Stands for: a server that
%% is flooded while it makes a call. An analysis should say: that process, how many messages, of which shape, and that none of them is what it waits for.
kind(mailbox, Args) ->
    Count = truth:arg(messages, Args, 1000000),
    {Flooded, _} = truth:hold(flooded, fun() -> ok end, #{hibernate => false}),
    #{expect => #{cause => #{process => Flooded, messages => Count}},
      volatile => [Flooded],
      before_dump => fun() ->
          [Flooded ! {event, I} || I <- lists:seq(1, Count)],
          wait_until(fun() -> process_info(Flooded, [status, message_queue_len]) =:= [{status, waiting}, {message_queue_len, Count}] end)
      end};

%% A server calls another one, which does not answer, and what it is sent meanwhile gathers. Stands for: metrics or logs that
%% nobody calls for, so that no caller waits behind them. An analysis should say: whose mailbox it is, and whom that waits for.
kind(behind_call, Args) ->
    Database = server(database),
    gen_server:cast(Database, {do, fun slow_query/0}),
    Collector = server(collector),
    gen_server:cast(Collector, {do, fun() -> call(Database) end}),
    wait_until_calling(Collector),
    Count = truth:arg(messages, Args, 12000),
    #{expect => #{cause => #{process => Collector, waits_for => Database, messages => Count}},
      volatile => [Collector],
      before_dump => fun() ->
          [gen_server:cast(Collector, {metric, I}) || I <- lists:seq(1, Count)],
          wait_until(fun() -> process_info(Collector, [status, message_queue_len]) =:= [{status, waiting}, {message_queue_len, Count}] end)
      end};

%% A server waits for ever in handle_call, and who calls it dies after a while. Stands for: requests of the web, each with a process and
%% a timeout of its own. An analysis should say: that server, where it waits, and how many requests nobody waits for any more.
kind(abandoned, Args) ->
    Server = server(abandoned_server),
    Count = truth:arg(callers, Args, 200),
    {Asks, First} = spawn_monitor(fun() -> catch gen_server:call(Server, {do, fun slow_query/0}, 100) end),
    wait_until_in(Server, ?MODULE, slow_query),
    Callers = [spawn_monitor(fun() -> catch gen_server:call(Server, {do, fun() -> ok end}, 100) end) || _ <- lists:seq(1, Count)],
    [receive {'DOWN', Monitor, process, Pid, _} -> ok end || {Pid, Monitor} <- [{Asks, First} | Callers]],
    Count = message_count(Server),
    #{expect => #{cause => #{server => Server, requests => Count}}};

%% Many processes are traced, and the tracer does not keep up. Stands for: dbg in production.
%% An analysis should say: who traces how many, and what has gathered in its mailbox.
kind(tracer, _Args) ->
    {Tracer, _} = truth:hold(slow_tracer, fun() -> ok end, #{hibernate => false}),
    Traced = [spawn(fun traced/0) || _ <- lists:seq(1, 300)],
    [1 = erlang:trace(Pid, true, ['receive', {tracer, Tracer}]) || Pid <- Traced],
    Messages = 100 * length(Traced),
    #{expect => #{cause => #{tracer => Tracer, traced => length(Traced), messages => Messages}},
      volatile => [Tracer | Traced],
      before_dump => fun() ->
          [Pid ! {work, I} || I <- lists:seq(1, 100), Pid <- Traced],
          wait_until(fun() -> message_count(Tracer) >= Messages end)
      end};

%% Persistent terms have taken nearly all the room that literals may have (+MIscs): at its end, so is the VM.
%% An analysis should say: how much of how much.
kind(literals, _Args) ->
    fill_literals(1),
    {Total, Used} = room(literal_mmap),
    #{expect => #{cause => #{total => Total, used => Used}}};

%% The VM may have no more memory than its super carrier (+MMscs; +MMsco is true by default), and nearly has.
%% An analysis should say: how much of how much.
kind(super_carrier, _Args) ->
    {Total, _} = room(default_mmap),
    Hoarder = waiting_for_go(fun() -> hoard([], 2 * Total) end),
    #{expect => #{cause => #{total => Total}},
      volatile => [Hoarder],
      before_dump => fun() -> Hoarder ! go, wait_until_in(Hoarder, ?MODULE, has_hoarded) end};

%% Atoms are made of what users send. An analysis should say: how many of how many there are.
kind(atoms, _Args) ->
    Limit = erlang:system_info(atom_limit),
    Count = Limit - 100,
    %% Not before, because writing the truth takes some hundreds.
    #{expect => #{cause => #{atoms => Count, limit => Limit}},
      before_dump => fun() -> fill_atoms(Count, 0) end};

%% Each connection has timers that are set anew whenever they fire. Stands for: retries without a backoff.
%% An analysis should say: how many timers are due soon, and who gets them.
kind(timers, Args) ->
    Count = truth:arg(timers, Args, 200000),
    Parent = self(),
    Ticker = waiting_for_go(fun() -> [tick(I) || I <- lists:seq(1, Count)], Parent ! ticking, ticker() end),
    register(ticker, Ticker),
    #{expect => #{cause => #{receiver => Ticker, timers => Count}},
      volatile => [Ticker],
      before_dump => fun() -> Ticker ! go, receive ticking -> pause(300) end end};

%% Servers answer, workers compute, write to tables, collect garbage and sleep; all schedulers work. An analysis should say: nothing.
kind(busy, _Args) ->
    Table = element(2, truth:hold(results, fun() -> ets:new(results, [public, named_table]) end)),
    Servers = [server(numbered(worker_server, I)) || I <- lists:seq(1, 4)],
    Workers = [waiting_for_go(fun() -> work(I, Servers, Table) end) || I <- lists:seq(1, 150)],
    %% A supervisor's child that waits for one who computes, as there always is one.
    #{expect => #{workers => length(Workers)},
      volatile => Servers ++ Workers,
      before_dump => fun() -> [Pid ! go || Pid <- Workers], receive after 700 -> ok end end}.

%% Nobody is left who could dump, but a program that was started before.
spin_on_the_only_scheduler(Server, Callers) ->
    Port = abort_after("sleep 3"),
    wait_until(fun() -> erlang:port_info(Port, os_pid) =/= {os_pid, undefined} end),
    erlang:suspend_process(Server),
    gen_server:cast(Server, {do, fun spin/0}),
    [Pid ! go || Pid <- Callers],
    [wait_until_calling(Pid) || Pid <- Callers],
    erlang:resume_process(Server),
    receive after infinity -> ok end.

%% A shell that dumps when a command is done.
abort_after(Command) ->
    open_port({spawn_executable, "/bin/sh"}, [{args, ["-c", Command ++ "; kill -ABRT " ++ os:getpid()]}]).

crowded("suspended") ->
    Server = server(suspended_server),
    {Culprit, _} = truth:hold(forgetful_debugger, fun() -> erlang:suspend_process(Server) end),
    #{suspended => Server, by => Culprit, behind => length([wait_until_calling(caller(Server)) || _ <- [1, 2]])};
crowded("rex") ->
    ok = sys:suspend(rex),
    Callers = [caller(rex) || _ <- lists:seq(1, 5)],
    [wait_until_calling(Pid) || Pid <- Callers],
    #{server => whereis(rex), behind => length(Callers)}.

%% A server, how to ask it, and where one waits for its reply.
own_protocol("disk_log") ->
    {ok, Log} = disk_log:open([{name, asked_log}, {file, scratch("asked.log")}]),
    [Server] = [Pid || {_, Pid, _, _} <- supervisor:which_children(disk_log_sup)],
    {Server, fun() -> disk_log:sync(Log) end, {disk_log, monitor_request}};
own_protocol("dets") ->
    {ok, Table} = dets:open_file(asked_table, [{file, scratch("asked.dets")}]),
    {dets:info(Table, owner), fun() -> dets:lookup(Table, key) end, {dets, req}};
own_protocol("mnesia_" ++ How) ->
    ok = application:start(mnesia),
    {atomic, ok} = mnesia:create_table(asked_table, []),
    {Ask, Function} = case How of
        "read" -> {fun() -> mnesia:read(asked_table, key) end, l_req_rec};
        "write" -> {fun() -> mnesia:write({asked_table, key, value}) end, receive_wlocks}
    end,
    {whereis(mnesia_locker), fun() -> mnesia:transaction(Ask) end, {mnesia_locker, Function}}.

scratch(Name) ->
    filename:join(filename:dirname(code:which(?MODULE)), Name).

send_for_ever(Socket) ->
    ok = gen_tcp:send(Socket, binary:copy(<<"unread">>, 10000)),
    send_for_ever(Socket).

full_pipe() ->
    Opened = open_port({spawn_executable, "/bin/sleep"}, [{args, ["600"]}, binary]),
    register(full_pipe, Opened),
    true = port_command(Opened, binary:copy(<<"unread">>, 100000)),
    Opened.

%% In an on_load function.
ask_for_license() ->
    register(loader, self()),
    call(license_server).

slow_query() ->
    receive {answer, _} -> ok end.

collect() ->
    garbage_collect(),
    collect().

%% Make atoms until there are Count.
fill_atoms(Count, I) ->
    case erlang:system_info(atom_count) of
        Enough when Enough >= Count -> ok;
        _ -> _ = list_to_atom("user_" ++ integer_to_list(I)), fill_atoms(Count, I + 1)
    end.

tick(I) ->
    erlang:send_after(1 + I rem 1000, self(), {tick, I}).

ticker() ->
    receive {tick, I} -> tick(I), ticker() end.

work(I, Servers, Table) ->
    Server = lists:nth(1 + I rem length(Servers), Servers),
    Sum = call(Server, fun() -> lists:sum(lists:seq(1, 2000)) end),
    ets:insert(Table, {I, Sum, [integer_to_binary(N) || N <- lists:seq(1, 500)]}),
    %% Every third never pauses: however fast the machine is, somebody wants to run.
    receive after I rem 3 -> work(I, Servers, Table) end.

traced() ->
    receive _ -> traced() end.

%% Of a super carrier, in bytes: all, and what is used.
room(Mapper) ->
    {_, Facts} = lists:keyfind(Mapper, 1, erlang:system_info({allocator, erts_mmap})),
    {_, Carrier} = lists:keyfind(supercarrier, 1, Facts),
    {_, Sizes} = lists:keyfind(sizes, 1, Carrier),
    {proplists:get_value(total, Sizes), proplists:get_value(used, Sizes)}.

is_nearly_full(Mapper) ->
    {Total, Used} = room(Mapper),
    Used * 100 >= Total * 93.

%% Each is larger than what an allocator shares a carrier for.
fill_literals(I) ->
    is_nearly_full(literal_mmap) orelse begin
        persistent_term:put({?MODULE, I}, lists:seq(1, 40000)),
        fill_literals(I + 1)
    end.

%% What has no place in the super carrier is taken from the system (sys_alloc), and some of it may stay in pieces too small:
%% whoever waits for the last of them has all memory of the machine in a minute. Left is how many bytes may be tried.
hoard(Binaries, Left) ->
    {Total, Used} = room(default_mmap),
    case is_nearly_full(default_mmap) of
        false when Left > 0 -> hoard([binary:copy(<<"hoarded ">>, 80000) | Binaries], Left - 640000);
        false when Used * 1000 < Total * 905 -> erlang:halt("the super carrier does not become full");
        _ -> has_hoarded(Binaries)
    end.

has_hoarded(Binaries) ->
    receive enough -> Binaries end.

%% ---- logger ---------------------------------------------------------------------------------------------------

stopped() ->
    fun() -> receive {never, _} -> ok end end.

%% A handler of logger, and the device that it writes to, which does that.
handler(Does, Limits) ->
    Device = spawn(Does),
    register(stopped_console, Device),
    ok = logger:set_primary_config(level, notice),
    ok = logger:remove_handler(default),
    ok = logger:add_handler(console, logger_std_h, #{config => Limits#{type => {device, Device}, burst_limit_enable => false}}),
    {whereis(logger_std_h_console), Device}.

%% It looks at its mailbox with each event, so that it knows that this is long; every 21st it hands on to the process that
%% writes, and waits for that (logger_h_common.erl).
overload(Handler, IsStuck) ->
    erlang:suspend_process(Handler),
    [logger:notice("event ~w", [I]) || I <- lists:seq(1, 1000)],
    erlang:resume_process(Handler),
    wait_until(IsStuck),
    wait_until_in(Handler, logger_std_h, file_ctrl_call).

log_for_ever() ->
    logger:notice("one more"),
    log_for_ever().

%% ---- servers and callers --------------------------------------------------------------------------------------

server(Name) ->
    server(Name, []).

server(Name, SpawnOptions) ->
    {ok, Pid} = gen_server:start({local, Name}, ?MODULE, [], [{spawn_opt, SpawnOptions}]),
    Pid.

start_dynamic("elixir", Which) ->
    'Elixir.DynamicSupervisor':start_child(stopped_supervisor, dynamic(Which));
start_dynamic("erlang", Which) ->
    supervisor:start_child(stopped_supervisor, [Which, []]).

dynamic(Which) ->
    #{id => Which, start => {?MODULE, start, [Which, []]}, shutdown => infinity, restart => temporary}.

%% A child, and an application.
start(obedient, []) ->
    {ok, spawn_link(fun ignore_everything/0)};
start(stubborn, []) ->
    {ok, spawn_link(fun() -> register(stubborn, self()), process_flag(trap_exit, true), ignore_everything() end)};
start(normal, {starts, Next, Parent}) ->
    Parent ! {starts, Next, self()},
    ok = application:start(Next),
    {ok, Parent};
start(normal, {waits, Parent}) ->
    Parent ! {waits, self()},
    ok = slow_query(),
    {ok, Parent};
start(normal, {dynamic, "elixir"}) ->
    'Elixir.DynamicSupervisor':start_link([{name, stopped_supervisor}, {strategy, one_for_one}]);
start(normal, {dynamic, "erlang"}) ->
    supervisor:start_link({local, stopped_supervisor}, ?MODULE, dynamic);
start(normal, Supervisor) ->
    supervisor:start_link({local, stopped_supervisor}, ?MODULE, Supervisor).

stop(_State) ->
    ok.

ignore_everything() ->
    receive {never, _} -> ok end.

init(statem) ->
    {ok, connecting, #{tries => 0}};
init([]) ->
    {ok, []};
init({run, Fun}) ->
    Fun(),
    {ok, []};
init(dynamic) ->
    {ok, {#{strategy => simple_one_for_one}, [(dynamic(any))#{start => {?MODULE, start, []}}]}};
init({supervisor, Children}) ->
    {ok, {#{}, Children}}.

callback_mode() ->
    handle_event_function.

handle_event(_Type, _Event, connecting, _Data) ->
    {keep_state_and_data, postpone}.

%% How many events a gen_statem says that it has postponed.
postponed(Machine) ->
    {status, Machine, _, [_, _, _, _, Facts]} = sys:get_status(Machine),
    [Events] = [Events || {data, Data} <- Facts, {"Postponed", Events} <- Data],
    length(Events).

handle_call({do, Fun}, _From, State) ->
    {reply, Fun(), State}.

handle_cast({do, Fun}, State) ->
    Fun(),
    {noreply, State}.

call(Server) ->
    call(Server, fun() -> ok end).

call(Server, Fun) ->
    gen_server:call(Server, {do, Fun}, infinity).

caller(Server) ->
    spawn(fun() -> call(Server) end).

caller(Server, waiting_for_go) ->
    waiting_for_go(fun() -> call(Server) end).

waiting_for_go(Fun) ->
    waiting_for_go(Fun, []).

waiting_for_go(Fun, SpawnOptions) ->
    spawn_opt(fun() -> receive go -> Fun() end end, SpawnOptions).

numbered(Name, I) ->
    list_to_atom(atom_to_list(Name) ++ "_" ++ integer_to_list(I)).

%% ---- until it hangs -------------------------------------------------------------------------------------------

%% Run Fun on a scheduler that will not be taken, and wait for it.
on_scheduler(Number, Fun) ->
    {_, Monitor} = spawn_opt(Fun, [monitor, {scheduler, Number}]),
    receive {'DOWN', Monitor, process, _, Reason} -> normal = Reason end.

%% Timers of the scheduler that we run on are served.
pause(Milliseconds) ->
    receive after Milliseconds -> ok end.

%% These two do not need the process to run (see pi_args[] in erl_bif_info.c).
status(Pid) ->
    {status, Status} = process_info(Pid, status),
    Status.

message_count(Pid) ->
    {message_queue_len, Count} = process_info(Pid, message_queue_len),
    Count.

wait_until_status(Pid, Status) ->
    wait_until(fun() -> status(Pid) =:= Status end).

%% On its way to a dirty scheduler a process runs on another, and then waits for the dirty one to wake up.
wait_until_dirty(Pid) ->
    pause(100),
    wait_until_status(Pid, running).

wait_until_calling(Pid) ->
    wait_until_in(Pid, gen, do_call).

wait_until_in(Pid, Module, Function) ->
    wait_until(fun() ->
        case process_info(Pid, current_function) of
            {current_function, {Module, Function, _}} -> status(Pid) =:= waiting orelse status(Pid) =:= suspended;
            _ -> false
        end
    end).

wait_until(Done) ->
    case Done() of
        true -> ok;
        false -> erlang:yield(), wait_until(Done)
    end.
