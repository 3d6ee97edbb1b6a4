%% SPDX-License-Identifier: Apache-2.0
%% Timers of every kind, in every part of a timer wheel and beyond it.
%%
%% What goes wrong: the process `storm` sets a timer for each of its sessions and cancels none, which is what a missing
%% erlang:cancel_timer/1 looks like.
%%
%% An analysis should say: how long each timer still runs, as erlang:read_timer/1 did right before the dump (lines of
%% kind `timer`), whom it is for and what it will send; that `storm` has most of them.
%%
%% --arg storm=N  its timers (default 3000)
-module(timers).
-export([start/1]).

-define(SECOND, 1000).
-define(HOUR, (3600 * ?SECOND)).
-define(DAY, (24 * ?HOUR)).

start(Args) ->
    {Owner, _} = truth:hold(timer_owner, fun() -> ok end),
    Far = erlang:monotonic_time(millisecond) + 3 * ?DAY,
    Set = [timer(What, To, Ms, Message, Options)
           || {What, To, Ms, Message, Options} <- far(Owner) ++ same_time(Owner, Far)],
    Cancelled = [Ref || Ref <- [erlang:send_after(?HOUR + N, Owner, cancelled) || N <- lists:seq(1, 20)],
                        is_integer(erlang:cancel_timer(Ref))],
    20 = length(Cancelled),
    {Storm, StormTimers} = storm(truth:arg(storm, Args, 3000)),
    Receivers = [waits(Ms) || Ms <- [10 * 60 * ?SECOND, 5 * ?HOUR, 3 * ?DAY, 16#ffffffff]],
    Ports = [accepts(20 * 60 * ?SECOND), accepts(2 * ?DAY)],
    Suspended = suspended(),
    #{expect => #{storm => Storm, storm_timers => length(StormTimers), cancelled => Cancelled,
                  receivers => Receivers, ports => Ports, suspended => Suspended},
      %% Those that are due within seconds are set when nothing else is left to do.
      before_dump => fun() ->
          write_down(Set ++ StormTimers),
          write_down([timer(What, To, Ms, Message, Options) || {What, To, Ms, Message, Options} <- near(Owner)])
      end}.

%% Pre-allocated (below 5 s), in the wheel of the next 16 s, in that of the next 37 h.
near(Owner) ->
    [{start_timer, Owner, 4 * ?SECOND, soon, []},
     {send_after, timer_owner, 4 * ?SECOND, {soon, by_name}, []},
     {start_timer, Owner, 8 * ?SECOND, near, []},
     {send_after, Owner, 12 * ?SECOND, near, []},
     {start_timer, Owner, 17 * ?SECOND, later, []}].

far(Owner) ->
    [{start_timer, Owner, 10 * 60 * ?SECOND, "ten minutes", []},
     {send_after, Owner, 10 * 60 * ?SECOND, {ten, minutes}, []},
     %% Of the other kind's form, with another reference.
     {send_after, Owner, ?HOUR, {timeout, make_ref(), not_started}, []},
     {send_after, Owner, ?HOUR, {timeout, no_reference}, []},
     {start_timer, Owner, 37 * ?HOUR, an_atom, []},
     {send_after, Owner, 37 * ?HOUR, #{a => map, with => [terms, 1.5, <<"text">>]}, []},
     {send_after, timer_owner, 36 * ?HOUR, {to, a, name}, []},
     {start_timer, no_process_of_that_name, 36 * ?HOUR, nobody, []},
     {send_after, Owner, 20 * ?HOUR, {large, binary:copy(<<"message">>, 1000)}, []},
     %% Beyond the wheels: in the tree.
     {start_timer, Owner, 2 * ?DAY, {two, days}, []},
     {send_after, Owner, 49 * ?DAY, {seven, weeks}, []},
     {send_after, no_process_of_that_name, 5 * ?DAY, nobody, []},
     {start_timer, Owner, 3650 * ?DAY, ten_years, []}].

%% One of the tree leads the list of the others.
same_time(Owner, At) ->
    [{send_after, Owner, At, {same_time, N}, [{abs, true}]} || N <- lists:seq(1, 7)] ++
    [{start_timer, Owner, At + N * ?HOUR, {hourly, N}, [{abs, true}]} || N <- lists:seq(1, 40)].

timer(What, To, Ms, Message, Options) ->
    {What, erlang:What(Ms, To, Message, Options), To, Message}.

%% Its own process sets them, so that all are of one scheduler.
storm(Count) ->
    {Storm, Timers} = truth:hold(storm, fun() ->
        [timer(send_after, self(), 10 * ?HOUR + N, {session, N, expired}, []) || N <- lists:seq(1, Count)]
    end),
    {Storm, Timers}.

%% A process that waits with a timeout, and when it began to.
waits(Ms) ->
    Parent = self(),
    Pid = spawn(fun() ->
        Parent ! {self(), erlang:monotonic_time()},
        receive never -> ok after Ms -> ok end
    end),
    receive {Pid, At} -> #{pid => Pid, ms => Ms, at => At} end.

%% The timer is that of the port of the socket.
accepts(Ms) ->
    Parent = self(),
    Pid = spawn(fun() ->
        {ok, Socket} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}]),
        Parent ! {self(), Socket, erlang:monotonic_time()},
        gen_tcp:accept(Socket, Ms)
    end),
    receive {Pid, Socket, At} -> #{pid => Pid, port => Socket, ms => Ms, at => At} end.

%% Its timers stand still since OTP 29.
suspended() ->
    #{pid := Pid} = Waits = waits(7 * ?HOUR),
    wait_until_waiting(Pid),
    erlang:send_after(9 * ?HOUR, Pid, {to_one, suspended}),
    erlang:start_timer(8 * ?HOUR, Pid, also),
    At = erlang:monotonic_time(),
    Parent = self(),
    %% Who suspends it must live on.
    spawn(fun() -> true = erlang:suspend_process(Pid), Parent ! {self(), done}, receive never -> ok end end),
    receive {_, done} -> ok end,
    Waits#{suspended_at => At, suspended_ns => erlang:monotonic_time() - At}.

wait_until_waiting(Pid) ->
    case process_info(Pid, status) of
        {status, waiting} -> ok;
        _ -> receive after 1 -> wait_until_waiting(Pid) end
    end.

%% Lines of the truth: milliseconds left, at a time between `before` and `after` in nanoseconds.
write_down(Timers) ->
    Lines = [line(Timer) || Timer <- Timers],
    ok = file:write_file("truth.jsonl", [truth_json:line(Line) || Line <- Lines], [append, raw]).

line({What, Ref, To, Message}) ->
    Before = erlang:monotonic_time(nanosecond),
    Left = erlang:read_timer(Ref),
    #{kind => timer, what => What, ref => Ref, receiver => To, left => Left, before => Before,
      'after' => erlang:monotonic_time(nanosecond), words => erts_debug:flat_size(message(What, Ref, Message)),
      message => {text, unicode:characters_to_binary(io_lib:format("~w", [message(What, Ref, Message)]))}}.

message(send_after, _Ref, Message) -> Message;
message(start_timer, Ref, Message) -> {timeout, Ref, Message}.
