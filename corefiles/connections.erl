%% SPDX-License-Identifier: Apache-2.0
%% A node with connections in every state, none of which has anybody at its other end.
%%
%% What goes wrong: one connection is busy, because the process that carries its bytes takes none, and processes that send
%% over it are suspended; net_kernel does not get another one up, so that whoever sends there waits in a queue.
%%
%% Stands for: a node of a cluster whose neighbours have gone or do not read; a carrier of one's own (TLS).
%%
%% An analysis should say: of each node what expect.nodes has, which erlang:dist_get_stat/1, nodes/1 and process_info/2
%% said: state, controller, creation, bytes in the queue, packets, links, monitors and suspended processes.
%%
%% The carriers are processes of this node that have told it by erts_internal:create_dist_channel/3, as a carrier of
%% one's own does (ERTS User's Guide, "How to Implement an Alternative Carrier for the Erlang Distribution"), that they are
%% connected. They take what is sent as long as they are asked to.
%%
%% Flags: -start_epmd false -epmd_module connections
-module(connections).
-export([start/1]).
-export([start_link/0, register_node/3, listen_port_please/2]).

-define(MAIN, 'etp_main@127.0.0.1').

%% ---- instead of epmd ----------------------------------------------------------------------------------------

start_link() ->
    ignore.

listen_port_please(_Name, _Host) ->
    {ok, 0}.

register_node(_Name, _Port, _Driver) ->
    {ok, 4711}.

%% ---- this node ----------------------------------------------------------------------------------------------

start(_Args) ->
    application:set_env(kernel, inet_dist_use_interface, {127, 0, 0, 1}),
    application:set_env(kernel, dist_auto_connect, never),
    {ok, _} = net_kernel:start([?MAIN, longnames, timer:minutes(15)]),
    Visible = connect('visible@far.example', 1, 1001),
    Hidden = connect('hidden@far.example', 0, 1002),
    Busy = connect('busy@far.example', 1, 1003),
    _ = erts_internal:new_connection('pending@far.example'),
    {Ties, _} = truth:hold(dist_ties, fun() ->
        process_flag(trap_exit, true),
        Pids = [remote_pid('visible@far.example', N, 1001) || N <- lists:seq(1, 5)],
        [link(Pid) || Pid <- lists:sublist(Pids, 3)],
        [monitor(process, Pid) || Pid <- Pids],
        monitor(process, {somebody, 'hidden@far.example'}),
        erlang:monitor_node('hidden@far.example', true),
        [remote_pid('gone@far.example', 1, 1004) | Pids]
    end, #{hibernate => false}),
    deliver(Visible, monitor_of(Visible, Ties)),
    wait_until(fun() -> {monitored_by, []} =/= process_info(Ties, monitored_by) end),
    [take_all(Known) || Known <- [Visible, Hidden]],
    {somebody, 'visible@far.example'} ! {a_message, lists:seq(1, 100)},
    Senders = [spawn(fun() -> send_on({nobody, 'busy@far.example'}, binary:copy(<<N>>, 100000)) end)
               || N <- [1, 2, 3]],
    wait_until(fun() ->
        lists:all(fun(Pid) -> process_info(Pid, status) =:= {status, suspended} end, Senders)
    end),
    #{expect => #{nodes => [node_object(Known) || Known <- [Visible, Hidden, Busy]], senders => Senders, ties => Ties,
                  visible => nodes(), hidden => nodes(hidden), known => nodes(known),
                  dist_ctrl => maps:from_list(erlang:system_info(dist_ctrl))},
      volatile => Senders}.

%% A process of this node carries the bytes to one that is not.
connect(Node, Flags, Creation) ->
    Parent = self(),
    Carrier = spawn(fun() ->
        _ = erts_internal:new_connection(Node),
        %% #erts_dflags.default, kernel/include/dist.hrl.
        All = element(2, erts_internal:get_dflags()) bor Flags,
        {ok, Handle} = create_channel(Node, All, Creation),
        Parent ! {self(), Handle},
        carry(Handle)
    end),
    receive {Carrier, Handle} -> {Node, Carrier, Handle, Creation} end.

%% OTP 23 wants the version of the protocol too.
create_channel(Node, Flags, Creation) ->
    case erts_internal:create_dist_channel(Node, self(), {Flags, Creation}) of
        badarg -> erts_internal:create_dist_channel(Node, self(), {Flags, 5, Creation});
        Created -> Created
    end.

carry(Handle) ->
    receive
        {From, take_all} ->
            take(Handle),
            From ! {self(), done};
        {From, {deliver, Bytes}} ->
            erlang:dist_ctrl_put_data(Handle, Bytes),
            From ! {self(), done}
    end,
    carry(Handle).

take(Handle) ->
    case erlang:dist_ctrl_get_data(Handle) of
        none -> ok;
        _ -> take(Handle)
    end.

take_all(Known) ->
    ask(Known, take_all).

deliver(Known, Bytes) ->
    ask(Known, {deliver, Bytes}).

ask({_Node, Carrier, _Handle, _Creation}, What) ->
    Carrier ! {self(), What},
    receive {Carrier, done} -> ok end.

node_object({Node, Carrier, Handle, Creation}) ->
    {ok, Received, Sent, Pending} = erlang:dist_get_stat(Handle),
    #{node => Node, carrier => Carrier, creation => Creation, received => Received, sent => Sent, pending => Pending}.

%% Until the channel is so busy that it suspends us.
send_on(To, Term) ->
    To ! {for_nobody, Term},
    send_on(To, Term).

wait_until(Done) ->
    receive after 10 -> ok end,
    Done() orelse wait_until(Done).

%% ---- the external format of what another node has (ERTS User's Guide, "External Term Format") ------------------

remote_pid(Node, Number, Creation) ->
    binary_to_term(<<131, (pid_ext(Node, Number, Creation))/binary>>).

pid_ext(Node, Number, Creation) ->
    <<88, (ext(Node))/binary, Number:32, 0:32, Creation:32>>.

%% MONITOR_P from a process there, behind a header without an atom cache.
monitor_of({Node, _Carrier, _Handle, Creation}, Pid) ->
    <<131, 68, 0, 104, 4, 97, 19, (pid_ext(Node, 77, Creation))/binary, (ext(Pid))/binary,
      90, 3:16, (ext(Node))/binary, Creation:32, 1:32, 2:32, 3:32>>.

ext(Term) ->
    <<131, Bytes/binary>> = term_to_binary(Term),
    Bytes.
