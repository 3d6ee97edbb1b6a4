%% SPDX-License-Identifier: Apache-2.0
%% A real system: RabbitMQ with queues, connections and messages.
%%
%% What goes wrong: nothing. This is the workload for whoever finds the states of OTP processes that others wrote.
%%
%% An analysis should say: nothing suspicious.
%%
%% --arg plugins=DIR       RabbitMQ's directory of applications; it need not be installed
%% --flag=-epmd_module --flag=rabbitmq      this module stands for epmd, so that no daemon is started
%%
%% The broker listens on the loopback interface only, and keeps its files in the core's directory. It collects statistics
%% once an hour, so that its tables stand still.
%%
%% With gcore, lines of kind `table_after`: how large each table is right after the core was taken; and of kind `state`:
%% what sys:get_state/1 returns for each process that answers, then; of those that are kept busy, what it returned
%% before. Lines of kind `supervisor` and `application` say who supervises whom, and those of kind `inspected` what
%% channels and queues say of their messages.
-module(rabbitmq).
-export([start/1]).
-export([start_link/0, register_node/2, register_node/3, port_please/2, port_please/3, listen_port_please/2,
         address_please/3, names/0, names/1, stop/0]).
-export([init/1]).

-define(NODE, 'etp_rabbitmq@localhost').

start(Args) ->
    Plugins = truth:arg(plugins, Args, undefined),
    code:add_pathsz(filelib:wildcard(filename:join([Plugins, "*", "ebin"]))),
    [_, Dir | _] = init:get_plain_arguments(),
    Port = free_port(),
    environment(Dir, Plugins, Port),
    application:load(kernel),
    application:set_env(kernel, inet_dist_use_interface, {127, 0, 0, 1}),
    application:set_env(kernel, dist_auto_connect, never),
    {ok, _} = net_kernel:start([?NODE, shortnames]),
    ok = rabbit:boot(),
    Channels = connections(Port),
    #{rows => maps:from_list([{ets:info(T, name), {sample, 1}} || T <- ets:all()]),
      before_dump => fun() -> put(busy, busy(Channels)), timer:sleep(3000) end,
      %% Bound, because the states are asked for by messages.
      after_dump => fun() -> Tables = truth_ets:sizes(), Tables ++ states(get(busy)) ++ inspected() end}.

environment(Dir, Plugins, Port) ->
    Data = filename:join(Dir, "rabbitmq"),
    Config = filename:join(Data, "rabbitmq.conf"),
    Enabled = filename:join(Data, "enabled_plugins"),
    ok = filelib:ensure_dir(Config),
    ok = file:write_file(Config, ["listeners.tcp.1 = 127.0.0.1:", integer_to_list(Port), "\n",
                                   "collect_statistics_interval = 3600000\n"]),
    ok = file:write_file(Enabled, "[rabbitmq_event_exchange].\n"),
    Values = [{"RABBITMQ_NODENAME", atom_to_list(?NODE)},
              {"RABBITMQ_MNESIA_BASE", filename:join(Data, "mnesia")},
              {"RABBITMQ_LOG_BASE", filename:join(Data, "log")},
              {"RABBITMQ_PID_FILE", filename:join(Data, "pid")},
              {"RABBITMQ_CONFIG_FILE", Config},
              {"RABBITMQ_CONF_ENV_FILE", filename:join(Data, "rabbitmq-env.conf")},
              {"RABBITMQ_ADVANCED_CONFIG_FILE", filename:join(Data, "advanced.config")},
              {"RABBITMQ_ENABLED_PLUGINS_FILE", Enabled},
              {"RABBITMQ_PLUGINS_DIR", Plugins},
              {"RABBITMQ_NODE_PORT", integer_to_list(Port)}],
    [os:putenv(Name, Value) || {Name, Value} <- Values].

free_port() ->
    {ok, Socket} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}]),
    {ok, Port} = inet:port(Socket),
    ok = gen_tcp:close(Socket),
    Port.

%% ---- work for the broker ------------------------------------------------------------------------------------

%% Connections of two kinds: through TCP, as a client's, and within the node. Heartbeats would never leave them in peace.
connections(Port) ->
    %% Since RabbitMQ 4.3 a URI may only name what there is an atom of.
    {module, _} = code:ensure_loaded(amqp_auth_mechanisms),
    Uri = "amqp://guest:guest@127.0.0.1:" ++ integer_to_list(Port) ++ "/%2f?heartbeat=0&connection_timeout=60000",
    {ok, Network} = amqp_uri:parse(Uri),
    {ok, Direct} = amqp_uri:parse("amqp://guest:guest@/%2f"),
    [work(Connection, {Kind, N, Channel}) || {Kind, Params} <- [{network, Network}, {direct, Direct}],
                                             N <- [1, 2, 3],
                                             {ok, Connection} <- [amqp_connection:start(Params)],
                                             Channel <- [1, 2]].

%% Queues of each type, with messages; some are consumed and never acknowledged. Returns the channel and its queues.
work(Connection, {Kind, N, ChannelNumber}) ->
    {ok, Channel} = amqp_connection:open_channel(Connection),
    {Channel, [begin
         Queue = iolist_to_binary(io_lib:format("~s-~p-~p-~s", [Kind, N, ChannelNumber, Type])),
         {'queue.declare_ok', Queue, _, _} = amqp_channel:call(Channel, declare(Queue, Type)),
         [ok = publish(Channel, Queue, Size) || Size <- [1, 100, 5000], _ <- lists:seq(1, 20)],
         consume(Channel, Queue, Type),
         Queue
     end || Type <- types(Kind, N)]}.

types(network, 1) -> [classic, durable, quorum, stream];
types(_, _) -> [classic, durable].

%% From here on the records of rabbit_framing.hrl and amqp_client.hrl.
declare(Queue, classic) -> declare(Queue, false, []);
declare(Queue, durable) -> declare(Queue, true, []);
declare(Queue, Type) -> declare(Queue, true, [{<<"x-queue-type">>, longstr, atom_to_binary(Type)}]).

declare(Queue, Durable, Arguments) ->
    {'queue.declare', 0, Queue, false, Durable, false, false, false, Arguments}.

publish(Channel, Queue, Size) ->
    Properties = list_to_tuple(['P_basic' | lists:duplicate(14, undefined)]),
    Message = {amqp_msg, setelement(5, Properties, 2), binary:copy(<<"x">>, Size)},
    amqp_channel:call(Channel, {'basic.publish', 0, <<>>, Queue, false, false}, Message).

consume(_, _, Type) when Type =:= quorum; Type =:= stream ->
    ok;
consume(Channel, Queue, _) ->
    {'basic.qos_ok'} = amqp_channel:call(Channel, {'basic.qos', 0, 10, false}),
    Consume = {'basic.consume', 0, Queue, <<>>, false, false, false, false, []},
    {'basic.consume_ok', _} = amqp_channel:subscribe(Channel, Consume, spawn(timer, sleep, [infinity])).

%% ---- what each process says of itself -----------------------------------------------------------------------

%% Reductions first, which a process is not bothered for: who has more than in the core has moved since. They are read
%% process by process, since a timer may fire while the others are asked.
states(Busy) ->
    Reductions = maps:from_list([{P, N} || P <- processes(), {_, N} <- [process_info(P, reductions)]]),
    %% Bound, because the compiler evaluates what is behind the ++ of a comprehension first.
    Idle = [line(P, Activity, State, N)
            || P <- processes(), P =/= self(), {_, N} <- [process_info(P, reductions)], Activity <- activity(P),
               State <- get_state(P)],
    Idle
        ++ [line(P, busy, State, maps:get(P, Reductions, 0)) || {P, State} <- maps:to_list(Busy)]
        ++ [#{kind => supervisor, pid => P, children => [[{w, Id}, {w, Child}, Type] || {Id, Child, Type, _} <- Children]}
            || P <- processes(), is_supervisor(P), {ok, Children} <- [ask(P, which_children)]]
        ++ [#{kind => application, name => Name, master => Master, top => Top}
            || [Name, Master] <- ets:match(ac_tab, {{application_master, '$1'}, '$2'}),
               {Top, _} <- [application_master:get_child(Master)]].

is_supervisor(P) ->
    case proc_lib:translate_initial_call(P) of
        {Module, _, _} -> Module =:= supervisor orelse Module =:= supervisor2
    end.

ask(P, Question) ->
    try {ok, gen_server:call(P, Question, 500)} catch exit:_ -> timeout end.

%% Numbers of messages, of all channels and queues that answer.
inspected() ->
    Items = #{rabbit_channel => [number, consumer_count, messages_unacknowledged, messages_unconfirmed],
              rabbit_prequeue => [messages_ready, messages_unacknowledged, message_bytes_ready,
                                  message_bytes_unacknowledged]},
    [#{kind => inspected, pid => P, module => Module, items => maps:from_list(Values)}
     || P <- processes(), [_ | _] <- [activity(P)], {Module, init, 1} <- [proc_lib:translate_initial_call(P)],
        Wanted <- [maps:get(Module, Items, none)], Wanted =/= none,
        {ok, Values} <- [info(P, Wanted)]].

info(P, Wanted) ->
    try gen_server2:call(P, {info, Wanted}, 500) catch _:_ -> timeout end.

line(P, Activity, State, Reductions) ->
    #{kind => state, pid => P, activity => Activity, reductions => Reductions, state => {w, State}, data => data(State)}.

%% gen_server2 keeps books on its naps beside the state of its callback module.
data(State) when element(1, State) =:= gs2_state -> {w, element(4, State)};
data(_) -> undefined.

%% What must not be asked, because it would never answer: whoever is in no loop of a behaviour, or busy.
activity(P) ->
    Dictionary = case process_info(P, dictionary) of {_, D} -> D; undefined -> [] end,
    IsProcLib = lists:keymember('$initial_call', 1, Dictionary),
    case process_info(P, current_function) of
        {_, {M, _, _}} when M =:= gen_server; M =:= gen_statem; M =:= gen_event; M =:= gen_server2 -> [waiting];
        {_, {erlang, hibernate, 3}} when IsProcLib -> [hibernated];
        {_, {sys, suspend_loop, 6}} -> [suspended];
        _ -> []
    end.

get_state(P) ->
    try [sys:get_state(P, 500)] catch exit:_ -> [] end.

%% Supervisors that wait for a child to start, a manager of events whose handler does not return, and a channel that
%% waits for a queue that is suspended.
busy([{Channel, [Queue | _]} | _]) ->
    Sleep = #{id => sleeper, start => {timer, sleep, [infinity]}, restart => temporary},
    Supervisors = [rabbit_sup, kernel_safe_sup, rabbit_direct_client_sup, amqp_sup],
    {ok, QueueRecord} = rabbit_amqqueue:lookup({resource, <<"/">>, queue, Queue}),
    [QueueProcess] = [P || P <- tuple_to_list(QueueRecord), is_pid(P)],
    Servers = [P || P <- rabbit_channel:list_local()],
    Before = maps:from_list([{P, sys:get_state(P)} || P <- Servers]
                            ++ [{whereis(Name), sys:get_state(Name)} || Name <- [rabbit_event | Supervisors]]),
    [spawn(fun() -> supervisor:start_child(Name, Sleep) end) || Name <- Supervisors],
    spawn(fun() -> gen_event:add_handler(rabbit_event, {?MODULE, busy}, []) end),
    ok = sys:suspend(QueueProcess),
    spawn(fun() -> amqp_channel:call(Channel, {'queue.declare', 0, Queue, true, false, false, false, false, []}) end),
    timer:sleep(500),
    maps:filter(fun(P, _) -> is_busy(process_info(P, current_function)) end, Before).

is_busy({_, {timer, sleep, 1}}) -> true;
is_busy({_, {gen, do_call, 4}}) -> true;
is_busy(_) -> false.

init([]) ->
    timer:sleep(infinity).

%% ---- instead of epmd ----------------------------------------------------------------------------------------

%% It knows this node only, whose port must be told to rabbit_epmd_monitor.

start_link() -> ignore.
register_node(Name, Port) -> register_node(Name, Port, inet).
register_node(_Name, Port, _Family) -> application:set_env(kernel, ?MODULE, Port), {ok, 1}.
port_please(_Name, _Host) -> {port, application:get_env(kernel, ?MODULE, 0), 5}.
port_please(Name, Host, _Timeout) -> port_please(Name, Host).
listen_port_please(_Name, _Host) -> {ok, 0}.
address_please(_Name, _Host, _Family) -> {ok, {127, 0, 0, 1}}.
names() -> {ok, []}.
names(_Host) -> {ok, []}.
stop() -> ok.
