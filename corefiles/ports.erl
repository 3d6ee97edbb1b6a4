%% SPDX-License-Identifier: Apache-2.0
%% Ports of every kind.
%%
%% What goes wrong: full_pipe runs a program that does not read its standard input, so that what is written to it
%% stays in the VM, and writer, who sent more to it, is suspended until the program reads. Stands for: an external
%% program (a converter, a logger, a shell script) that hangs, and takes with it whoever talks to it.
%%
%% An analysis should say: that port is busy, so many bytes wait in its queue, a process is suspended on it.
-module(ports).
-export([start/1]).

start(_Args) ->
    {_, Full} = truth:hold(full_pipe_owner, fun() ->
        Port = open_port({spawn_executable, "/bin/sleep"}, [{args, ["600"]}, binary]),
        register(full_pipe, Port),
        true = port_command(Port, binary:copy(<<"unread">>, 100000)),
        Port
    end),
    Writer = spawn(fun() -> register(writer, self()), port_command(Full, <<"more">>) end),
    wait_until_suspended(Writer),
    %% What is written comes back: both count.
    truth:hold(echo_owner, fun() ->
        Port = open_port({spawn, "cat"}, [binary]),
        port_command(Port, <<"twelve bytes">>),
        receive {Port, {data, <<"twelve bytes">>}} -> Port end
    end),
    truth:hold(udp_owner, fun() -> open_port({spawn_driver, "udp_inet"}, [binary]) end),
    #{expect => #{busy => full_pipe}}.

wait_until_suspended(Pid) ->
    case process_info(Pid, status) of
        {status, suspended} -> ok;
        _ -> receive after 10 -> wait_until_suspended(Pid) end
    end.
