%% SPDX-License-Identifier: Apache-2.0
%% File descriptors of every kind: sockets of drivers and of NIFs, pipes of programs, a file.
%%
%% What goes wrong: a program does not read its standard input, so that its pipe is full, and the VM waits until it can write
%% to it. The rest is as it should be.
%%
%% Stands for: a VM that has many connections, or runs out of file descriptors.
%%
%% An analysis should say: which port or process each of expect.drivers, expect.nifs and expect.pipes is told of; as many
%% as expect.selected has; what erts_debug:get_internal_state(check_io_debug) wrote to the log; of a process, the links of
%% expect.links.
-module(fds).
-export([start/1]).

start(_Args) ->
    {_, {Listen, Udp}} = truth:hold(driver_owner, fun() ->
        {ok, Tcp} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}]),
        {ok, Other} = gen_udp:open(0, [{ip, {127, 0, 0, 1}}, {active, true}]),
        {Tcp, Other}
    end, #{hibernate => false}),
    {Acceptor, _} = truth:hold(acceptor, fun() -> {ok, _} = prim_inet:async_accept(Listen, -1) end),
    {Nif, NifFd} = truth:hold(nif_owner, fun() ->
        {ok, Socket} = socket:open(inet, stream, tcp),
        bound(socket:bind(Socket, #{family => inet, port => 0, addr => {127, 0, 0, 1}})),
        ok = socket:listen(Socket),
        {select, _} = socket:accept(Socket, nowait),
        {ok, Fd} = socket:getopt(Socket, otp, fd),
        put(socket, Socket),
        Fd
    end, #{hibernate => false}),
    {_, {Cat, Full}} = truth:hold(pipe_owner, fun() ->
        Reads = open_port({spawn, "cat"}, [binary]),
        DoesNot = open_port({spawn_executable, "/bin/sleep"}, [{args, ["600"]}, binary]),
        true = port_command(DoesNot, binary:copy(<<"unread">>, 100000)),
        {Reads, DoesNot}
    end),
    {_, File} = truth:hold(file_owner, fun() ->
        {ok, Fd} = file:open(filename:join(filename:dirname(code:which(?MODULE)), "fds.beam"), [read, raw]),
        Fd
    end, #{hibernate => false}),
    true = is_tuple(File),
    erts_debug:set_internal_state(available_internal_state, true),
    Links = links(),
    Selected = selected(),
    #{expect => #{drivers => [#{port => Port, fd => fd_of(Port)} || Port <- [Listen, Udp]],
                  nifs => [#{pid => Nif, fd => NifFd}],
                  pipes => [#{port => Port, input => program_end(Port, 0), output => program_end(Port, 1)} || Port <- [Cat, Full]],
                  full => Full, acceptor => Acceptor, links => Links, selected => Selected}}.

%% OTP 23 tells the port.
bound(ok) -> ok;
bound({ok, _}) -> ok.

fd_of(Port) ->
    {ok, Fd} = inet:getfd(Port),
    Fd.

%% The program has the other end of the pipe, which is called the same.
program_end(Port, Fd) ->
    {os_pid, Pid} = erlang:port_info(Port, os_pid),
    {ok, Link} = file:read_link_all(lists:concat(["/proc/", Pid, "/fd/", Fd])),
    {text, Link}.

%% Whatever the VM has open; the directory itself is closed again.
links() ->
    {ok, Names} = file:list_dir("/proc/self/fd"),
    [#{fd => list_to_integer(Name), link => {text, Link}}
     || Name <- Names, {ok, Link} <- [file:read_link_all("/proc/self/fd/" ++ Name)]].

%% How many structs there are for driver_select() and enif_select().
selected() ->
    %% It counts as errors what it cannot find in /proc.
    {_, _, Drivers, Nifs} = erts_debug:get_internal_state(check_io_debug),
    #{drivers => Drivers, nifs => Nifs}.
