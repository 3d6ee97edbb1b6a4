%% SPDX-License-Identifier: Apache-2.0
%% One binary for each place in which a port can hold one.
%%
%% What goes wrong: a TCP connection whose other end does not read. Its port's queue is full, and the process that sends
%% waits. Another port has the first half of a packet; a third has a command that it had no time for yet.
%%
%% Stands for: slow clients, which fill memory with what they do not fetch.
%%
%% An analysis should say: a port holds the binaries whose contents begin with `holder:KIND:`, behind the four bytes of the
%% length for `input`; every reference is accounted for.
%%
%% Commands are signals to the port, rather than carried out by who gives them:
%% Flags: +spp true
-module(ports).
-export([start/1]).

-define(STAY, #{hibernate => false}).

start(_Args) ->
    truth:hold(ports_data, fun() ->
        {ok, Port} = gen_udp:open(0, [{ip, {127, 0, 0, 1}}]),
        in_helper(fun() -> erlang:port_set_data(Port, {data, big(data, 200)}) end),
        Port
    end, ?STAY),
    {_, Sender} = truth:hold(ports_stuck, fun() ->
        {Server, Client} = connection([]),
        put(server, Server),
        spawn(fun() -> send(Client, big(queue, 1000000)) end)
    end, ?STAY),
    wait_until_suspended(Sender),
    truth:hold(ports_input, fun() ->
        {Server, Client2} = connection([{packet, 4}, {active, true}]),
        ok = gen_tcp:send(Client2, [<<1000000:32>>, big(input, 500000)]),
        {Server, Client2}
    end, ?STAY),
    {Owner, {_, Idle}} = truth:hold(ports_command, fun() -> connection([]) end, ?STAY),
    #{expect => #{kinds => [data, queue, command, input]},
      volatile => [Owner],
      before_dump => fun() ->
          process_flag(priority, max),
          [spawn_opt(fun hog/0, [{priority, max}, {scheduler, N}]) || N <- lists:seq(1, erlang:system_info(schedulers))],
          timer:sleep(50),
          Idle ! {Owner, {command, big(command, 200)}}
      end}.

%% So that no scheduler has time for ports before the VM is dumped.
hog() ->
    hog().

%% Both ends of a connection, of which the first has these options.
connection(Options) ->
    {ok, Listen} = gen_tcp:listen(0, [binary, {ip, {127, 0, 0, 1}}, {active, false}, {recbuf, 4096} | Options]),
    {ok, Port} = inet:port(Listen),
    {ok, Client} = gen_tcp:connect({127, 0, 0, 1}, Port, [binary, {sndbuf, 4096}, {active, false}]),
    {ok, Server} = gen_tcp:accept(Listen),
    {Server, Client}.

%% Until the port is busy, and suspends us.
send(Client, Bin) ->
    port_command(Client, Bin),
    send(Client, Bin).

wait_until_suspended(Pid) ->
    timer:sleep(50),
    process_info(Pid, status) =:= {status, suspended} orelse wait_until_suspended(Pid).

in_helper(Fun) ->
    {Pid, Monitor} = spawn_monitor(Fun),
    receive {'DOWN', Monitor, process, Pid, normal} -> ok end.

big(Kind, Padding) ->
    iolist_to_binary(["holder:", atom_to_list(Kind), ":", lists:duplicate(Padding, $.)]).
