%% SPDX-License-Identifier: Apache-2.0
%% A node with a connection to another one that is stuck: signals wait on both ways.
%%
%% What goes wrong: the peer is stopped (SIGSTOP) while it sends a large message and we send to it. Hogs of priority max
%% keep our own processes from looking at what came before.
%%
%% Stands for: a cluster with a slow or dead member. Senders are suspended because the distribution channel is busy;
%% who exits meanwhile stays until its links are told;
%% what came from another node stays in external format until its receiver looks at it, and keeps the buffers that it
%% was received in; of a message that comes in fragments some are there.
%%
%% An analysis should say: links, monitors and monitored_by as process_info/2; every reference of every binary is
%% accounted for, whichever way it goes; what waits for `dist_receiver` are the terms of expect.messages, in this order.
%%
%% The peer is a VM of its own that this one starts, by way of a shell that kills it as soon as this one is gone, and after
%% two minutes in any case. No epmd is needed: the two find each other by a file, and talk over the loopback interface.
%%
%% Flags: -start_epmd false -epmd_module distributed
-module(distributed).
-export([start/1, peer/0]).
-export([start_link/0, register_node/3, listen_port_please/2, address_please/3]).

-define(PEER, 'etp_peer@127.0.0.1').
-define(MAIN, 'etp_main@127.0.0.1').
-define(COOKIE, distributed_workload).
-define(STAY, #{hibernate => false}).

%% ---- instead of epmd (ERTS User's Guide, "How to Implement an Alternative Node Discovery") ----------------------

start_link() ->
    ignore.

listen_port_please(_Name, _Host) ->
    {ok, 0}.

register_node(Name, Port, _Driver) ->
    ok = prim_file:write_file(port_file(Name), integer_to_list(Port)),
    {ok, 1 + erlang:phash2(Name, 1000)}.

address_please(Name, _Host, _Family) ->
    {ok, Text} = prim_file:read_file(port_file(Name)),
    {ok, {127, 0, 0, 1}, binary_to_integer(Text), 6}.

port_file(Name) ->
    lists:flatten(io_lib:format("~s.port", [Name])).

%% ---- this node ----------------------------------------------------------------------------------------------

start(_Args) ->
    {Control, OsPid} = start_peer(),
    held(Control),
    Terms = terms(Control),
    {Receiver, _} = truth:hold(dist_receiver, fun() -> ok end, ?STAY),
    {OffHeap, _} = truth:hold(dist_receiver_off_heap, fun() -> process_flag(message_queue_data, off_heap) end, ?STAY),
    {Aliased, Alias} = truth:hold(dist_aliased, fun() -> truth_compat:alias() end, ?STAY),
    {Preferred, Prior} = truth:hold(dist_preferred, fun() -> prior_alias() end, ?STAY),
    {Linked, Dies} = truth:hold(dist_linked_to, fun() ->
        process_flag(trap_exit, true),
        Pid = ask(Control, new_process),
        link(Pid),
        Pid
    end, ?STAY),
    {Watching, Goes} = truth:hold(dist_watching, fun() ->
        Pid = ask(Control, new_process),
        monitor(process, Pid),
        Pid
    end, ?STAY),
    Later = [spawn_opt(fun() -> later(Kind) end, [{priority, max}]) || Kind <- [spawn_remote, send_binaries, send_lists]],
    Dying = spawn_opt(fun() -> dying(Control) end, [{priority, max}]),
    Dying ! {for_nobody, big(dying_message)},
    %% The peer keeps all that it will send, so that this node has nothing left of it.
    ok = ask(Control, {keep, {Receiver, OffHeap, Alias, Prior, Dies, Goes, Terms}}),
    #{expect => #{messages => [{w, Term} || Term <- Terms], off_heap => 2, dying => Dying, control => Control},
      volatile => [Receiver, OffHeap, Aliased, Preferred, Linked, Watching, Dying | Later],
      before_dump => fun() -> get_stuck(Control, OsPid, Later), die(Dying) end}.

%% False before OTP 28.
prior_alias() ->
    truth_compat:has_priority_messages() andalso truth_compat:alias([priority]).

start_peer() ->
    application:set_env(kernel, inet_dist_use_interface, {127, 0, 0, 1}),
    %% A tick is a message to net_kernel, which must not change between asking and dumping.
    {ok, _} = net_kernel:start([?MAIN, longnames, timer:minutes(15)]),
    erlang:set_cookie(node(), ?COOKIE),
    register(distributed_main, self()),
    Peer = ["\"$BINDIR/erlexec\" +S 1:1 -noinput -hidden -kernel net_ticktime 3600 -start_epmd false -epmd_module distributed -name ",
            atom_to_list(?PEER), " -setcookie ", atom_to_list(?COOKIE), " -pa '", filename:dirname(code:which(?MODULE)),
            "' -run distributed peer"],
    Script = [Peer, " >peer.log 2>&1 </dev/null & peer=$!; for i in $(seq 600); do kill -0 ", os:getpid(),
              " 2>/dev/null || break; sleep 0.2; done; kill -KILL $peer 2>/dev/null"],
    open_port({spawn_executable, "/bin/sh"}, [{args, ["-c", lists:flatten(Script)]}]),
    receive {peer, Control, OsPid} -> unregister(distributed_main), {Control, OsPid} end.

ask(Control, Question) ->
    Ref = make_ref(),
    Control ! {self(), Ref, Question},
    receive {Ref, Answer} -> Answer end.

%% Of these process_info/2 tells all.
held(Control) ->
    truth:hold(dist_links, fun() ->
        process_flag(trap_exit, true),
        [link(ask(Control, new_process)) || _ <- [1, 2, 3]]
    end, ?STAY),
    truth:hold(dist_monitors, fun() ->
        monitor(process, ask(Control, new_process)),
        monitor(process, {control, ?PEER}),
        truth_compat:monitor(process, Control, [{alias, reply_demonitor}]),
        truth_compat:monitor(process, {control, ?PEER}, [{tag, {tag, big(remote_tag)}}]),
        erlang:garbage_collect()
    end, ?STAY),
    {Watched, _} = truth:hold(dist_monitored, fun() -> process_flag(trap_exit, true) end, ?STAY),
    [ok = ask(Control, {new_process_that, {M, F, A}})
     || {M, F, A} <- [{erlang, monitor, [process, Watched]}, {erlang, monitor, [process, {dist_monitored, ?MAIN}]},
                      {erlang, link, [Watched]}]],
    ok.

%% Every kind of term, in the order in which they will wait.
terms(Control) ->
    Bin = iolist_to_binary(lists:duplicate(40, "0123456789")),
    [first, 'an atom', 'Ж', [], {}, #{}, 0, -1, 255, 256, -134217729, 134217728, 1 bsl 59, -(1 bsl 59) - 1, 1 bsl 200,
     -(1 bsl 2100), 1.5, -0.0, "text", [1, 2 | 3], [a, [b | c]], <<>>, <<"short">>, <<5:3>>, <<Bin/binary, 1:1>>, Bin,
     {Bin, binary:part(Bin, 10, 100)}, self(), Control, make_ref(), ask(Control, make_ref), hd(erlang:ports()),
     fun lists:map/2, fun(X) -> {X, Bin} end, #{a => 1, "b" => #{c => {d}}}, #{1 => one, 2.0 => two, {3} => three},
     maps:from_list([{N, N * N} || N <- lists:seq(1, 100)]), list_to_tuple(lists:seq(1, 300)),
     %% More than a fragment has.
     {large, binary:copy(Bin, 250)}, lists:seq(1, 30000), last] ++ truth_compat:native_records().

get_stuck(Control, OsPid, [SpawnRemote | Senders]) ->
    process_flag(priority, max),
    [spawn_opt(fun hog/0, [{priority, max}, {scheduler, N}]) || N <- lists:seq(1, erlang:system_info(schedulers))],
    truth:busy_wait(50),
    ok = ask(Control, send),
    ok = ask(Control, stall),
    wait_until(fun() -> state_of(OsPid) =:= $T end),
    truth:busy_wait(100),
    SpawnRemote ! go,
    truth:busy_wait(50),
    [Pid ! go || Pid <- Senders],
    wait_until(fun() -> are_suspended(Senders) andalso begin truth:busy_wait(200), are_suspended(Senders) end end),
    true = lists:any(fun is_in_the_middle/1, Senders),
    erlang:garbage_collect().

%% Its signals to the other node have to wait, and so has its end: it has left the process table by then.
die(Dying) ->
    erlang:system_monitor(self(), [busy_dist_port]),
    Dying ! go,
    receive {monitor, Dying, busy_dist_port, _} -> ok end,
    false = lists:member(Dying, processes()),
    erlang:system_monitor(undefined),
    erlang:garbage_collect().

dying(Control) ->
    register(dist_dying, self()),
    link(ask(Control, new_process)),
    monitor(process, Control),
    put(cache, big(dying_dictionary)),
    receive go -> exit({reason, big(dying_reason)}) end.

later(Kind) ->
    receive go -> ok end,
    later_on(Kind),
    receive never -> ok end.

later_on(spawn_remote) ->
    spawn_request(?PEER, erlang, size, [{big(spawn_argument)}], [monitor, {reply_tag, {tag, big(reply_tag)}}]),
    erlang:garbage_collect();
later_on(send_binaries) ->
    %% More than the channel takes: whoever sends this is suspended in the middle of a message, not between two.
    send_on([big(sent, 1500000), big(sent, 200)]);
later_on(send_lists) ->
    send_on(lists:seq(1, 100000)).

%% Until the channel is so busy that it suspends us.
send_on(Term) ->
    {control, ?PEER} ! {for_nobody, Term},
    send_on(Term).

are_suspended(Pids) ->
    lists:all(fun(Pid) -> process_info(Pid, status) =:= {status, suspended} end, Pids).

is_in_the_middle(Pid) ->
    process_info(Pid, current_function) =:= {current_function, {erts_internal, dsend_continue_trap, 1}}.

%% The state of a process of the operating system, behind its name.
state_of(OsPid) ->
    {ok, Text} = prim_file:read_file("/proc/" ++ OsPid ++ "/stat"),
    [_, <<" ", State, _/binary>>] = binary:split(Text, <<")">>),
    State.

hog() ->
    hog().

wait_until(Done) ->
    truth:busy_wait(10),
    Done() orelse wait_until(Done).

big(Kind) ->
    big(Kind, 200).

big(Kind, Padding) ->
    iolist_to_binary(["holder:", atom_to_list(Kind), ":", binary:copy(<<".">>, Padding)]).

%% ---- the peer -----------------------------------------------------------------------------------------------

peer() ->
    spawn_opt(fun() ->
        register(control, self()),
        {distributed_main, ?MAIN} ! {peer, self(), os:getpid()},
        control(undefined)
    end, [{priority, max}]).

control(Kept) ->
    receive
        {From, Ref, {keep, What}} ->
            From ! {Ref, ok},
            control(What);
        {From, Ref, Question} ->
            From ! {Ref, answer(Question, Kept)},
            Question =:= stall andalso stop(),
            control(Kept)
    end.

answer(make_ref, _) ->
    make_ref();
answer(new_process, _) ->
    spawn(fun() -> receive {die, Reason} -> exit(Reason) end end);
answer({new_process_that, {M, F, A}}, _) ->
    Self = self(),
    spawn(fun() -> apply(M, F, A), Self ! done, receive never -> ok end end),
    receive done -> ok end;
answer(send, {Receiver, OffHeap, Alias, Prior, Dies, Goes, Terms}) ->
    [Receiver ! Term || Term <- Terms],
    [OffHeap ! {off_heap, big(off_heap, Size)} || Size <- [200, 150000]],
    Alias ! {alias, big(alias)},
    [erlang:send(Prior, {prior, big(prior, Size)}, [priority]) || Prior =/= false, Size <- [200, 150000]],
    [begin
        Monitor = monitor(process, Pid),
        Pid ! {die, {reason, big(reason, Size)}},
        receive {'DOWN', Monitor, process, Pid, _} -> ok end
     end || {Pid, Size} <- [{Dies, 200}, {Goes, 100000}]],
    ok;
%% A process sends a message of many fragments; it is suspended when the channel is busy, and by us before it can send
%% the others, however fast the main node reads.
answer(stall, {Receiver, _, _, _, _, _, _}) ->
    erlang:system_monitor(self(), [busy_dist_port]),
    Sender = spawn_opt(fun() -> Receiver ! {fragments, big(fragments, 20000000)} end, [{priority, low}]),
    receive {monitor, Sender, busy_dist_port, _} -> ok end,
    erlang:suspend_process(Sender),
    ok.

stop() ->
    truth:busy_wait(300),
    os:cmd("kill -STOP " ++ os:getpid()).
