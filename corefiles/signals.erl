%% SPDX-License-Identifier: Apache-2.0
%% One binary for each thing beside messages that a process can be sent, or that is kept for it.
%%
%% What goes wrong: nothing; but exit reasons, tags of monitors and ids of requests are terms like any other, and may be
%% large. Nobody handles these signals, because hogs of priority max keep everyone else from running.
%%
%% Stands for: a process that is flooded with exits and 'DOWN's, each with the state of a server in its reason; a VM
%% that is too busy to handle signals.
%%
%% An analysis should say: the contents of each binary begin with `holder:KIND:`; the process that is registered as
%% `sent_KIND` holds it and nothing else does but expect.others, in the signal or by the way that expect.paths gives.
-module(signals).
-export([start/1, enabled/3, trace/5]).
-on_load(load_nif/0).

load_nif() ->
    erlang:load_nif(filename:join(filename:dirname(code:which(?MODULE)), "signals_nif"), 0).

%% Of a tracer, see erl_tracer(3erl).
enabled(_, _, _) -> erlang:nif_error(not_loaded).
trace(_, _, _, _, _) -> erlang:nif_error(not_loaded).

start(_Args) ->
    Pairs = [{Kind, pair(Kind)} || {Kind, _} <- paths()],
    #{expect => #{paths => maps:from_list([{Kind, {text, Path}} || {Kind, Path} <- paths()]),
                  others => maps:from_list([{Kind, {text, Holder}} || {Kind, Holder} <- others()])},
      volatile => lists:append([tuple_to_list(Pair) || {_, Pair} <- Pairs]),
      before_dump => fun() ->
          process_flag(priority, max),
          [spawn_opt(fun hog/0, [{priority, max}, {scheduler, N}]) || N <- lists:seq(1, erlang:system_info(schedulers))],
          truth:busy_wait(50),
          [act(Helper) || {_, {_, Helper}} <- Pairs]
      end}.

paths() ->
    [{exit, "signal exit -> {3} -> {2}"},
     {exit_linked, "signal exit_linked -> {3} -> {2}"},
     {monitor_down, "signal monitor_down -> {5} -> {2}"},
     {tracer, "tracer -> [1..] -> {2}"},
     {system_task, "system task -> {2}"}] ++
        [{Kind, "monitor tag -> {2}"} || truth_compat:has_aliases(), Kind <- [monitor_tag, demonitor]] ++
        [{tracer_of_session, "tracer -> [1..] -> {2}"} || truth_compat:has_trace_sessions()].

%% Who else holds the binary.
others() ->
    [{tracer_of_session, "trace session signals"} || truth_compat:has_trace_sessions()].

%% A process that waits, and another that will send it a signal.
pair(Kind) ->
    Parent = self(),
    Helper = spawn_opt(fun() ->
        To = receive {to, Pid} -> Pid end,
        prepare(Kind, To),
        Parent ! {self(), ready},
        receive act -> ok end,
        send(Kind, To),
        erlang:garbage_collect(),
        Parent ! {self(), done},
        receive stop -> ok end
    end, [{priority, max}]),
    {Held, _} = truth:hold(list_to_atom("sent_" ++ atom_to_list(Kind)), fun() -> settle(Kind, Helper), erlang:garbage_collect(), [] end,
        #{hibernate => false}),
    Helper ! {to, Held},
    receive {Helper, ready} -> {Held, Helper} end.

%% In the process that is sent to.
settle(monitor_down, Helper) ->
    monitor(process, Helper);
settle(monitor_tag, Helper) ->
    truth_compat:monitor(process, Helper, [{tag, {tag, big(monitor_tag)}}]);
settle(_, _) ->
    process_flag(trap_exit, true).

%% In the helper, while the VM is quiet.
prepare(exit_linked, To) ->
    link(To);
prepare(demonitor, To) ->
    put(monitor, truth_compat:monitor(process, To, [{tag, {tag, big(demonitor)}}]));
prepare(tracer, To) ->
    erlang:trace(To, true, [set_on_link, {tracer, ?MODULE, {state, big(tracer)}}]);
prepare(tracer_of_session, To) ->
    %% It is destroyed with the last reference to it.
    Session = trace:session_create(?MODULE, {?MODULE, {state, big(tracer_of_session)}}, []),
    put(session, Session),
    erlang:trace(To, true, [set_on_link, {tracer, ?MODULE, small}]),
    1 = trace:process(Session, To, true, [set_on_link]);
prepare(_, _) ->
    ok.

%% In the helper, when nobody else runs any more.
send(exit, To) -> exit(To, {reason, big(exit)});
send(exit_linked, _) -> exit({reason, big(exit_linked)});
send(monitor_down, _) -> exit({reason, big(monitor_down)});
send(demonitor, _) -> demonitor(get(monitor));
send(system_task, To) -> erts_internal:request_system_task(To, low, {garbage_collect, {id, big(system_task)}, major});
send(_, _) -> ok.

act(Helper) ->
    Monitor = monitor(process, Helper),
    Helper ! act,
    receive
        {Helper, done} -> demonitor(Monitor, [flush]);
        {'DOWN', Monitor, process, Helper, _} -> erlang:garbage_collect()
    end.

hog() ->
    hog().

big(Kind) ->
    iolist_to_binary(["holder:", atom_to_list(Kind), ":", lists:duplicate(200, $.)]).
