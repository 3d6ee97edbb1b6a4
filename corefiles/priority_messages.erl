%% SPDX-License-Identifier: Apache-2.0
%% Messages, exits and 'DOWN's of priority, which go before all others; since OTP 28.
%%
%% What goes wrong: nothing; but the order in a mailbox is not that of arrival. Some mailboxes were looked at before the truth
%% was written; others got their messages when hogs of priority max let nobody handle them any more.
%%
%% Stands for: a server that takes orders to stop before what waits for it.
%%
%% An analysis should say: messages in the order of process_info/2, those of priority first; of what is in transit, order and
%% contents as in expect.in_transit, with the sender of each. The contents of each binary begin with `holder:NAME:`: only
%% the process NAME holds it, by the way of expect.paths.
-module(priority_messages).
-export([start/1]).

-define(STAY, #{hibernate => false}).

start(_Args) ->
    true = truth_compat:has_priority_messages(),
    looked_at(prior_mailbox, []),
    looked_at(prior_off_heap, [{message_queue_data, off_heap}]),
    prior_only(),
    %% Whoever is suspended handles what arrives when it is asked, but does not receive it.
    erlang:suspend_process(looked_at(prior_suspended, [])),
    fill(whereis(prior_suspended), alias_of(prior_suspended), 4),
    Later = [{Name, held(Name, Options)} || {Name, Options} <- [{prior_in_transit, []}, {prior_in_transit_off_heap, [{message_queue_data, off_heap}]}]],
    Helper = spawn_opt(fun() -> receive {go, Calls} -> [Call() || Call <- Calls], receive never -> ok end end end, [{priority, max}]),
    #{volatile => [Helper | [Pid || {_, {Pid, _}} <- Later]],
      expect => #{in_transit => maps:from_list([{Name, [text(Term) || Term <- in_transit(Name)]} || {Name, _} <- Later]),
                  sender => Helper,
                  %% What goes by an alias is in a tuple with its sender, and no message yet, so it has the number of the next one.
                  paths => maps:from_list([{Name, {text, "message in transit 2 -> {2} -> {2}"}} || {Name, _} <- Later])},
      before_dump => fun() ->
          process_flag(priority, max),
          [spawn_opt(fun hog/0, [{priority, max}, {scheduler, N}]) || N <- lists:seq(1, erlang:system_info(schedulers))],
          Helper ! {go, [fun() -> send_late(Name, Pid, Alias) end || {Name, {Pid, Alias}} <- Later] ++ [fun erlang:garbage_collect/0]},
          wait_until_waiting(Helper)
      end}.

%% A process that waits, and an alias of it that takes messages of priority.
held(Name, Flags) ->
    truth:hold(Name, fun() ->
        process_flag(trap_exit, true),
        [process_flag(Flag, Value) || {Flag, Value} <- Flags],
        put(alias, erlang:alias([priority])),
        get(alias)
    end, ?STAY).

alias_of(Name) ->
    {dictionary, Dictionary} = process_info(whereis(Name), dictionary),
    proplists:get_value(alias, Dictionary).

looked_at(Name, Flags) ->
    {Pid, Alias} = held(Name, Flags),
    fill(Pid, Alias, 1),
    {messages, Messages} = process_info(Pid, messages),
    %% Or else this workload shows nothing.
    [{prior, 1} | _] = Messages,
    fill(Pid, Alias, 3),
    garbage_collect(Pid),
    fill(Pid, Alias, 5),
    Pid.

fill(Pid, Alias, N) ->
    Pid ! {ordinary, N},
    Alias ! {by_alias, N},
    erlang:send(Alias, {prior, N}, [priority]),
    Pid ! {ordinary, N + 1, lists:seq(1, 50)},
    erlang:send(Alias, {prior, N + 1, lists:seq(1, 3000), binary:copy(<<"prior">>, 100)}, [priority]),
    exit(Alias, {prior_exit, N}, [priority]),
    exit(Pid, {ordinary_exit, N}).

%% Nothing but messages of priority, and monitors and links that made some.
prior_only() ->
    Dying = [spawn(fun() -> receive {die, Reason} -> exit(Reason) end end) || _ <- lists:seq(1, 4)],
    [Linked, Monitored, Tagged, Plain] = Dying,
    {Pid, _} = truth:hold(prior_only, fun() ->
        process_flag(trap_exit, true),
        link(Linked, [priority]),
        [monitor(process, Linked, [priority]), monitor(process, Monitored, [priority]),
         monitor(process, Tagged, [priority, {tag, {tag, tagged}}]), monitor(process, Plain),
         monitor(process, whereis(init), [priority]), link(whereis(code_server), [priority])]
    end, ?STAY),
    Pid ! before,
    [begin Monitor = monitor(process, One), One ! {die, {reason, One}}, receive {'DOWN', Monitor, _, _, _} -> ok end end || One <- Dying],
    Pid ! behind,
    {messages, [_ | _] = Messages} = process_info(Pid, messages),
    [before | _] = lists:dropwhile(fun is_tuple/1, Messages),
    Pid.

%% ---- what nobody handles any more ---------------------------------------------------------------------------

in_transit(Name) ->
    [first, {prior, small}, {by_alias, second}, {prior, big(Name)}, last].

send_late(Name, Pid, Alias) ->
    [First, Small, Second, Large, Last] = in_transit(Name),
    Pid ! First,
    erlang:send(Alias, Small, [priority]),
    Alias ! Second,
    erlang:send(Alias, Large, [priority]),
    exit(Alias, late_exit, [priority]),
    Pid ! Last.

%% To ask for the status alone is no signal (see pi_args[] in erl_bif_info.c).
wait_until_waiting(Pid) ->
    case process_info(Pid, [status, message_queue_len]) of
        [{status, waiting}, {message_queue_len, 0}] -> ok;
        _ -> erlang:yield(), wait_until_waiting(Pid)
    end.

%% Not as a term, which would hold the binary that is in it.
text(Term) ->
    {text, lists:flatten(io_lib:format("~w", [Term]))}.

hog() ->
    hog().

big(Name) ->
    iolist_to_binary(["holder:", atom_to_list(Name), ":", lists:duplicate(200, $.)]).
