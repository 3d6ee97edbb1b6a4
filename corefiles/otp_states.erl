%% SPDX-License-Identifier: Apache-2.0
%% Every behaviour of OTP in every state of its loop.
%%
%% What goes wrong: nothing. This is the workload for whoever finds the state of a process in its stack or registers.
%%
%% An analysis should say: nothing suspicious.
%%
%% expect.states has a map for each process that answers to sys:get_state/1: its pid, whether it is waiting, hibernated,
%% suspended or busy, and what sys:get_state/1 returned, of a busy one before the callback that it is in.
%% expect.stateless are processes that have no such state. expect.supervisors has which_children, count_children and how
%% often a child was restarted.
%% expect.paths are paths into the state of otp_states_paths, and what is there. otp_states_spinning runs in a callback;
%% expect.spinning is its state from before.
-module(otp_states).
-behaviour(gen_server).
-compile(nowarn_deprecated_function).
-export([start/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, handle_continue/2, terminate/2]).
-export([callback_mode/0, idle/3, busy/3, handle_event/4, terminate/3]).
-export([handle_event/2, handle_call/2]).
-export([fsm_idle/2, fsm_idle/3, handle_event/3, handle_sync_event/4, handle_info/3]).
-export([start_loop/1, loop_init/2, plain_init/1, plain_loop/3, special_init/1, special_loop/3,
         system_continue/3, system_terminate/4]).
-export([register_name/2, unregister_name/1, whereis_name/1, send/2]).

start(_Args) ->
    process_flag(trap_exit, true),
    ets:new(otp_states_names, [named_table, public]),
    Asked = servers() ++ machines() ++ fsms() ++ events() ++ supervisors() ++ special(),
    Busy = busy_servers() ++ busy_machines() ++ busy_fsms() ++ busy_events(),
    Stateless = stateless(),
    Vm = [{waiting, P} || P <- processes() -- ([self()] ++ [P || {_, P} <- Asked] ++ [P || {P, _} <- Busy]),
                          in_otp_loop(P)],
    Children = children(Asked),
    States = [state(Kind, P) || {Kind, P} <- settled(Asked ++ Vm)]
        ++ [#{pid => P, activity => busy, state => {w, State}} || {P, State} <- Busy],
    Spinning = named({local, otp_states_spinning}, {spinning, "state"}),
    #{expect => #{states => States, stateless => Stateless, supervisors => Children,
                  paths => [[{text, Path}, {w, Value}] || {Path, Value} <- paths()],
                  spinning => {w, sys:get_state(Spinning)}},
      before_dump => fun() -> gen_server:cast(Spinning, {busy, spinning}), timer:sleep(20) end}.

%% Asking takes a process out of hibernation only for as long as it answers.
state(Kind, P) ->
    #{pid => P, activity => Kind, state => {w, sys:get_state(P)}}.

%% Since OTP 28 a supervisor hibernates when it has had nothing to do for a second, and its state says so.
settled(Asked) ->
    [case Kind =:= waiting andalso is_supervisor(P) andalso will_hibernate(sys:get_state(P)) of
         true -> wait_until(fun() -> is_hibernated(P) andalso element(13, sys:get_state(P)) end), {hibernated, P};
         false -> {Kind, P}
     end || {Kind, P} <- Asked].

%% #state.hibernate_after of supervisor.erl; element 13 is #state.hibernating.
will_hibernate(State) ->
    tuple_size(State) =:= 16 andalso element(12, State) =/= infinity.

in_otp_loop(P) ->
    case process_info(P, current_function) of
        {_, {Module, _, _}} -> lists:member(Module, [gen_server, gen_statem, gen_event]);
        undefined -> false
    end.

children(Asked) ->
    Supervisors = [P || {_, P} <- Asked, is_supervisor(P)] ++ [whereis(kernel_sup), whereis(kernel_safe_sup)],
    [#{pid => P, children => [[{w, Id}, {w, Child}, Type, {w, Modules}]
                              || {Id, Child, Type, Modules} <- supervisor:which_children(P)],
       counts => maps:from_list(supervisor:count_children(P)),
       restarts => case ets:lookup(otp_states_names, P) of [{_, N}] -> N; [] -> 0 end}
     || P <- Supervisors].

is_supervisor(P) -> element(1, proc_lib:translate_initial_call(P)) =:= supervisor.

%% ---- gen_server ---------------------------------------------------------------------------------------------

%% States that could be mistaken for another argument of the loop: an atom, a number, a list of pairs, a pid, [].
odd_states() ->
    [#{key => value}, {state, 1, <<"two">>}, [], 17, infinity, hibernate, ?MODULE, self(), [{trace, true}],
     [{a, 1}, {b, 2}], undefined, "text", {self(), make_ref()}, false, [{17, {fun lists:map/2, x}}]].

servers() ->
    Waiting = [{waiting, server({reply, S, infinity})} || S <- odd_states()],
    Named = [{waiting, named({local, otp_states_named}, named)},
             {waiting, named({global, {otp_states, global}}, #{global => true})},
             {waiting, named({via, ?MODULE, {otp_states, via}}, {via, name})},
             {waiting, named({via, ?MODULE, "a list"}, ?MODULE)},
             {waiting, named({local, otp_states_paths}, deep_state())},
             {waiting, became({from, "a callback"})}, {waiting, became_in_init([in, init])},
             {waiting, entered(self)}, {waiting, entered({local, otp_states_entered})}],
    Timeouts = [{waiting, server({reply, S, 1000000000})} || S <- odd_states()],
    Debugged = [{waiting, debugged(S)} || S <- [#{debugged => true}, [{a, 1}]]],
    Hibernated = [{hibernated, server({reply, S, hibernate})} || S <- odd_states()],
    After = [{hibernated, after_a_while(S)} || S <- [{soon, asleep}, [], 5]],
    Suspended = [{suspended, suspended(server({reply, S, T}))} || S <- odd_states(), T <- [infinity, hibernate]],
    {ok, Unlinked} = gen_server:start(?MODULE, {server, unlinked}, []),
    [{waiting, Unlinked} | Waiting ++ Named ++ Timeouts ++ Debugged ++ Hibernated ++ After ++ Suspended].

server(How) ->
    {ok, P} = gen_server:start_link(?MODULE, {server, starting}, []),
    ok = gen_server:call(P, How),
    P.

named(Name, State) ->
    {ok, P} = gen_server:start_link(Name, ?MODULE, {server, State}, []),
    P.

debugged(State) ->
    {ok, P} = gen_server:start_link(?MODULE, {server, State}, [{debug, [{log, 5}, statistics]}]),
    ok = gen_server:call(P, {reply, State, infinity}),
    P.

after_a_while(State) ->
    {ok, P} = gen_server:start_link(?MODULE, {server, State}, [{hibernate_after, 1}]),
    wait_until(fun() -> is_hibernated(P) end),
    P.

suspended(P) ->
    ok = sys:suspend(P),
    P.

entered(Name) ->
    {ok, P} = proc_lib:start_link(?MODULE, loop_init, [Name, self()]),
    P.

%% A server that enters another loop from a callback: the old one is still on the stack, and does not count.
became(State) ->
    P = server({reply, old, infinity}),
    gen_server:cast(P, {become, State}),
    State = sys:get_state(P),
    P.

became_in_init(State) ->
    Parent = self(),
    spawn_link(fun() -> gen_server:start_link(?MODULE, {become, Parent, State}, []) end),
    receive {became, P} -> P end.

loop_init(self, Parent) ->
    proc_lib:init_ack(Parent, {ok, self()}),
    gen_server:enter_loop(?MODULE, [], {entered, Parent});
loop_init({local, Name}, Parent) ->
    register(Name, self()),
    proc_lib:init_ack(Parent, {ok, self()}),
    gen_server:enter_loop(?MODULE, [], {entered, Parent}, {local, Name}).

deep_state() ->
    Large = maps:from_list([{N, {number, N}} || N <- lists:seq(1, 1000)]),
    #{mod_state => #{state => #{cursors => Large, '__struct__' => 'Elixir.Some.Struct'}, opts => [{port, 1}, verbose]},
      <<"binary">> => one, {tuple, "key"} => two, [17] => three, "text" => four, 1.5 => five, 'an atom' => six,
      list => [zero, {one, [1.0]}, <<"two">> | [three]], tuple => {record, {a, b}, [x, y]}, improper => [a, b | c],
      {2} => seven, 'fun' => closing_over({closed, list_to_atom("over")}, [b])}.

closing_over(A, B) ->
    fun() -> {A, B} end.

paths() ->
    State = deep_state(),
    #{mod_state := #{state := #{cursors := Large} = Inner}} = State,
    [{"", State}, {".mod_state.state", Inner}, {".mod_state.state.cursors", Large},
     {".mod_state.state.cursors[77]", {number, 77}}, {".mod_state.state.cursors[1000]{2}", 1000},
     {".mod_state .state -> cursors -> 500 -> {1}", number}, {".mod_state.state.__struct__", 'Elixir.Some.Struct'},
     {".mod_state.opts.port", 1}, {".mod_state.opts[0]", {port, 1}}, {".mod_state.opts.verbose", verbose},
     {".mod_state.opts[port]", 1}, {"[<<\"binary\">>]", one}, {"[\"binary\"]", one}, {"-> \"binary\"", one},
     {"[{tuple,\"key\"}]", two}, {"{tuple,\"key\"}", two}, {"[[17]]", three}, {"[17]", three}, {"[\"text\"]", four},
     {"[1.5]", five}, {".'an atom'", six}, {"['an atom']", six}, {".list[0]", zero},
     {".list[1]{2}[0]", 1.0}, {".list[3]", three}, {".list[2..]", [<<"two">>, three]}, {".list[4..]", []},
     {".list.one", [1.0]}, {".tuple{1}", record}, {".tuple[0]", record}, {".tuple{2}{2}", b}, {".tuple[2][1]", y},
     {".improper[1]", b}, {"{2}", seven}, {"[{2}]", seven}, {".fun -> fun(0)", {closed, over}}, {".fun fun(1)", [b]},
     {"key {tuple,\"key\"} -> {2}", "key"}].

start_loop(Fun) ->
    proc_lib:start_link(?MODULE, plain_init, [Fun]).

%% In a callback: in each kind of callback, at its bottom, below other calls, in a BIF, in another call.
busy_servers() ->
    [busy_server(S, How, Where) || How <- [call, cast, info, continue], Where <- [here, deep, calling, gone, sleeping],
                                   S <- [#{how => How, where => Where}, [{How, Where}], 3]]
        ++ [busy_server([{ended, here}], stop, here), busy_server({text, "debugged"}, debugged, here)].

busy_server(State, How, Where) ->
    Options = case How of debugged -> [{debug, [{log, 5}]}]; _ -> [] end,
    {ok, P} = gen_server:start(?MODULE, {server, starting}, Options),
    ok = gen_server:call(P, {reply, State, infinity}),
    Before = sys:get_state(P),
    keep_busy(How, P, Where),
    wait_until_busy(P),
    {P, Before}.

keep_busy(call, P, Where) -> spawn(fun() -> gen_server:call(P, {busy, Where}, infinity) end);
keep_busy(debugged, P, Where) -> spawn(fun() -> gen_server:call(P, {busy, Where}, infinity) end);
keep_busy(cast, P, Where) -> gen_server:cast(P, {busy, Where});
keep_busy(info, P, Where) -> P ! {busy, Where};
keep_busy(continue, P, Where) -> gen_server:cast(P, {continue, {busy, Where}});
keep_busy(stop, P, _) -> spawn(fun() -> gen_server:stop(P) end).

be_busy(here) -> receive never -> ok end;
be_busy(deep) -> [1 + deep(100)];
be_busy(calling) -> gen_server:call(otp_states_named, never_answered, infinity);
be_busy(gone) -> lists:foreach(fun(X) -> be_busy(X) end, [here, here]);
be_busy(sleeping) -> timer:sleep(infinity), ok;
be_busy(spinning) -> be_busy(spinning).

deep(0) -> be_busy(here), 0;
deep(N) -> 1 + deep(N - 1).

wait_until_busy(P) ->
    wait_until(fun() ->
        {_, {M, _, _}} = process_info(P, current_function),
        {_, Status} = process_info(P, status),
        Status =:= waiting andalso not lists:member(M, [gen_server, gen_statem, gen_fsm, gen_event])
            orelse current(P, {gen, do_call, 4})
    end).

current(P, Function) ->
    process_info(P, current_function) =:= {current_function, Function}.

%% Since OTP 28, gen_server calls erlang:hibernate/0, which leaves the frame of its caller.
is_hibernated(P) ->
    current(P, {erlang, hibernate, 3}) orelse current(P, {gen_server, loop_hibernate, 4}).

wait_until(Condition) ->
    case Condition() of
        true -> ok;
        false -> timer:sleep(1), wait_until(Condition)
    end.

init({server, State}) -> {ok, State};
init({become, Whom, State}) -> Whom ! {became, self()}, gen_server:enter_loop(?MODULE, [], State);
init({starting, Whom}) -> Whom ! {starting, self()}, be_busy(here);
init({machine, Mode, State, Data, Actions}) -> put(mode, Mode), {ok, State, Data, Actions};
init({fsm, Data, Timeout}) -> {ok, fsm_idle, Data, Timeout};
init({handler, State}) -> {ok, State};
init({handler, State, hibernate}) -> {ok, State, hibernate};
init({supervisor, Flags, Children}) -> {ok, {Flags, Children}}.

handle_call({reply, State, hibernate}, _From, _) -> {reply, ok, State, hibernate};
handle_call({reply, State, infinity}, _From, _) -> {reply, ok, State};
handle_call({reply, State, Timeout}, _From, _) -> {reply, ok, State, Timeout};
handle_call({busy, Where}, From, State) -> {reply, {be_busy(Where), From}, State};
handle_call(never_answered, _From, State) -> {noreply, State}.

handle_cast({busy, Where}, State) -> {noreply, {be_busy(Where), State}};
handle_cast({become, State}, _) -> gen_server:enter_loop(?MODULE, [], State);
handle_cast({continue, What}, State) -> {noreply, State, {continue, What}}.

handle_info({busy, Where}, State) -> {noreply, {be_busy(Where), State}}.

handle_continue({busy, Where}, State) -> {noreply, {be_busy(Where), State}}.

terminate(_Reason, [{ended, Where}]) -> be_busy(Where);
terminate(_Reason, _State) -> ok.

%% ---- gen_statem ---------------------------------------------------------------------------------------------

callback_mode() -> get(mode).

machines() ->
    Modes = [state_functions, handle_event_function, [state_functions, state_enter]],
    Waiting = [{waiting, machine(Mode, idle, Data, [])} || Mode <- Modes, Data <- odd_states()],
    Complex = [{waiting, machine(handle_event_function, {complex, state}, #{data => 1}, [])},
               {waiting, machine(handle_event_function, idle, [1, 2], [{state_timeout, 1000000000, x}, {{timeout, a}, 1000000000, y}])},
               {waiting, postponing(machine(state_functions, idle, {postponing, [data]}, []))}],
    Hibernated = [{hibernated, machine(Mode, idle, Data, [hibernate])} || Mode <- Modes, Data <- [a_map(), []]],
    Suspended = [{suspended, suspended(machine(state_functions, idle, Data, Actions))}
                 || Data <- [a_map(), []], Actions <- [[], [hibernate]]],
    Waiting ++ Complex ++ Hibernated ++ Suspended.

a_map() -> #{a => map, [1] => 2}.

machine(Mode, State, Data, Actions) ->
    {ok, P} = gen_statem:start_link(?MODULE, {machine, Mode, State, Data, Actions}, []),
    P.

postponing(P) ->
    [gen_statem:cast(P, {postpone, N}) || N <- lists:seq(1, 5)],
    P.

busy_machines() ->
    [busy_machine(Mode, idle, Data, How) || Mode <- [state_functions, handle_event_function, [handle_event_function, state_enter]],
                                            Data <- [a_map(), [], {two, elements}, 4], How <- [cast, next_event, timeout]].

busy_machine(Mode, State, Data, How) ->
    {ok, P} = gen_statem:start(?MODULE, {machine, Mode, State, Data, []}, []),
    Before = sys:get_state(P),
    case How of
        cast -> gen_statem:cast(P, {busy, here});
        next_event -> gen_statem:cast(P, {next_event, {busy, deep}});
        timeout -> gen_statem:cast(P, {in_timeout, {busy, here}})
    end,
    wait_until_busy(P),
    {P, Before}.

idle(enter, _, Data) -> {keep_state, Data};
idle(_, {busy, Where}, Data) -> {keep_state, {be_busy(Where), Data}};
idle(_, {next_event, What}, _) -> {keep_state_and_data, [{next_event, internal, What}]};
idle(_, {in_timeout, What}, _) -> {keep_state_and_data, [{state_timeout, 0, What}]};
idle(_, {postpone, _}, _) -> {keep_state_and_data, [postpone]}.

busy(_, _, Data) -> {keep_state, Data}.

handle_event(Type, Event, _State, Data) -> idle(Type, Event, Data).

terminate(_Reason, _State, _Data) -> ok.

%% ---- gen_fsm ------------------------------------------------------------------------------------------------

%% What gen_statem has replaced; it is in OTP still, and in systems that run for long.
fsms() ->
    [{waiting, fsm(Data, Timeout)} || Data <- odd_states(), Timeout <- [infinity, 1000000000]] ++
    [{hibernated, fsm(Data, hibernate)} || Data <- [a_map(), []]] ++
    [{suspended, suspended(fsm(Data, Timeout))} || Data <- [a_map(), []], Timeout <- [infinity, hibernate]].

fsm(Data, Timeout) ->
    {ok, P} = gen_fsm:start_link(?MODULE, {fsm, Data, Timeout}, []),
    P.

busy_fsms() ->
    [busy_fsm(Data, How, Options) || Data <- [a_map(), [], {two, elements}, 4],
                                     How <- [event, all_state, sync, sync_all_state, info],
                                     Options <- [[], [{debug, [{log, 5}]}]]].

busy_fsm(Data, How, Options) ->
    {ok, P} = gen_fsm:start(?MODULE, {fsm, Data, infinity}, Options),
    Before = sys:get_state(P),
    case How of
        event -> gen_fsm:send_event(P, {busy, here});
        all_state -> gen_fsm:send_all_state_event(P, {busy, deep});
        sync -> spawn(fun() -> gen_fsm:sync_send_event(P, {busy, here}, infinity) end);
        sync_all_state -> spawn(fun() -> gen_fsm:sync_send_all_state_event(P, {busy, here}, infinity) end);
        info -> P ! {busy, here}
    end,
    wait_until_busy(P),
    {P, Before}.

fsm_idle({busy, Where}, Data) -> {next_state, fsm_idle, {be_busy(Where), Data}}.
fsm_idle({busy, Where}, _From, Data) -> {reply, ok, fsm_idle, {be_busy(Where), Data}}.
handle_event({busy, Where}, fsm_idle, Data) -> {next_state, fsm_idle, {be_busy(Where), Data}}.
handle_sync_event({busy, Where}, _From, fsm_idle, Data) -> {reply, ok, fsm_idle, {be_busy(Where), Data}}.
handle_info({busy, Where}, fsm_idle, Data) -> {next_state, fsm_idle, {be_busy(Where), Data}}.

%% ---- gen_event ----------------------------------------------------------------------------------------------

events() ->
    [{waiting, manager([])},
     {waiting, manager([{?MODULE, {handler, one}}])},
     {waiting, manager([{{?MODULE, N}, {handler, S}} || {N, S} <- truth_compat:enumerate(odd_states())])},
     {hibernated, manager([{{?MODULE, 1}, {handler, #{x => y}}}, {{?MODULE, 2}, {handler, [], hibernate}}])},
     {suspended, suspended(manager([{?MODULE, {handler, suspended}}]))}].

manager(Handlers) ->
    {ok, P} = gen_event:start_link(),
    [ok = gen_event:add_handler(P, Handler, Args) || {Handler, Args} <- Handlers],
    P.

busy_events() ->
    Handlers = [{{?MODULE, N}, {handler, {N, S}}} || {N, S} <- truth_compat:enumerate([first, #{second => 2}, third])],
    [begin
         P = manager(Handlers),
         Before = sys:get_state(P),
         case How of
             notify -> gen_event:notify(P, {busy, Which, here});
             call -> spawn(fun() -> gen_event:call(P, {?MODULE, Which}, {busy, Which, here}, infinity) end)
         end,
         wait_until_busy(P),
         {P, Before}
     end || How <- [notify, call], Which <- [1, 2, 3]].

handle_event({busy, Which, Where}, {Which, _} = State) -> {ok, {be_busy(Where), State}};
handle_event(_, State) -> {ok, State}.

handle_call({busy, _, Where}, State) -> {ok, be_busy(Where), State}.

%% ---- supervisors --------------------------------------------------------------------------------------------

supervisors() ->
    Worker = fun(Id) -> #{id => Id, start => {gen_server, start_link, [?MODULE, {server, Id}, []]}} end,
    Ignored = #{id => ignored, start => {?MODULE, start_loop, [ignore]}},
    Workers = [Worker(Id) || Id <- [a, {b, 2}, "c"]],
    Nested = #{id => nested, type => supervisor, modules => dynamic,
               start => {supervisor, start_link, [?MODULE, {supervisor, #{strategy => rest_for_one}, Workers}]}},
    Top = [supervisor({local, otp_states_sup}, #{strategy => one_for_one, intensity => 5, period => 3600}, [Nested, Ignored | Workers]),
           supervisor(#{strategy => one_for_all}, Workers),
           supervisor(#{strategy => rest_for_one}, []),
           supervisor(#{strategy => one_for_one, intensity => 100, period => 3600}, Workers)],
    Simple = supervisor({local, otp_states_simple}, #{strategy => simple_one_for_one}, [Worker(simple)]),
    [{ok, _} = supervisor:start_child(Simple, []) || _ <- lists:seq(1, 20)],
    None = supervisor(#{strategy => simple_one_for_one}, [(Worker(x))#{restart => temporary}]),
    Temporary = supervisor(#{strategy => simple_one_for_one}, [(Worker(x))#{restart => temporary}]),
    [{ok, _} = supervisor:start_child(Temporary, []) || _ <- lists:seq(1, 3)],
    restart(lists:last(Top), 3),
    restart(hd(Top), 2),
    Children = [P || S <- [Simple, Temporary | Top], {_, P, _, _} <- supervisor:which_children(S), is_pid(P)],
    Below = [P || S <- Children, is_supervisor(S), {_, P, _, _} <- supervisor:which_children(S)],
    {ok, Full} = supervisor:start_child(Simple, []),
    [suspended(Full) ! {message, N} || N <- lists:seq(1, 7)],
    [{waiting, P} || P <- Top ++ [Simple, None, Temporary] ++ Children ++ Below].

supervisor(Flags, Children) ->
    {ok, P} = supervisor:start_link(?MODULE, {supervisor, Flags, Children}),
    P.

supervisor(Name, Flags, Children) ->
    {ok, P} = supervisor:start_link(Name, ?MODULE, {supervisor, Flags, Children}),
    P.

restart(_, 0) ->
    ok;
restart(Supervisor, Times) ->
    ets:update_counter(otp_states_names, Supervisor, 1, {Supervisor, 0}),
    {a, P, _, _} = lists:keyfind(a, 1, supervisor:which_children(Supervisor)),
    exit(P, kill),
    wait_until(fun() ->
        case lists:keyfind(a, 1, supervisor:which_children(Supervisor)) of
            {a, New, _, _} when is_pid(New), New =/= P -> true;
            _ -> false
        end
    end),
    restart(Supervisor, Times - 1).

%% ---- processes of proc_lib ----------------------------------------------------------------------------------

%% A special process answers to sys with whatever it gives to sys:handle_system_msg/6. Only when it is suspended does
%% the stack say what that is.
special() ->
    {ok, P} = proc_lib:start_link(?MODULE, special_init, [self()]),
    [{suspended, suspended(P)}].

special_init(Parent) ->
    proc_lib:init_ack(Parent, {ok, self()}),
    special_loop(Parent, [], #{special => [1, 2, 3]}).

special_loop(Parent, Debug, State) ->
    receive
        {system, From, Request} -> sys:handle_system_msg(Request, From, Parent, ?MODULE, Debug, State)
    end.

system_continue(Parent, Debug, State) -> special_loop(Parent, Debug, State).
system_terminate(Reason, _Parent, _Debug, _State) -> exit(Reason).

stateless() ->
    {ok, Special} = proc_lib:start_link(?MODULE, special_init, [self()]),
    {ok, Plain} = start_loop(fun() -> plain_loop(#{plain => state}, [], 1) end),
    Parent = self(),
    spawn(fun() -> gen_server:start(?MODULE, {starting, Parent}, []) end),
    Starting = receive {starting, P} -> P end,
    Spawned = spawn(fun() -> plain_loop({spawned, state}, [], 2) end),
    #{special => Special, plain => Plain, spawned => Spawned, starting => Starting}.

plain_init(ignore) ->
    proc_lib:init_ack(ignore);
plain_init(Fun) ->
    proc_lib:init_ack({ok, self()}),
    Fun().

plain_loop(State, List, N) ->
    receive
        {add, X} -> plain_loop(State, [X | List], N + 1);
        stop -> {State, N}
    end.

%% ---- a registry of names ------------------------------------------------------------------------------------

register_name(Name, Pid) ->
    case ets:insert_new(otp_states_names, {Name, Pid}) of true -> yes; false -> no end.

unregister_name(Name) ->
    ets:delete(otp_states_names, Name).

whereis_name(Name) ->
    case ets:lookup(otp_states_names, Name) of [{_, Pid}] -> Pid; [] -> undefined end.

send(Name, Message) ->
    whereis_name(Name) ! Message.
