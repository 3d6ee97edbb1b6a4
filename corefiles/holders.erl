%% SPDX-License-Identifier: Apache-2.0
%% One binary for each place that can hold one.
%%
%% What goes wrong: nothing; but each binary is held by one holder alone, of a different kind each, so that
%% whoever looks for holders must know that kind to find it.
%%
%% Stands for: "which process, table, mailbox or timer keeps this binary?", the question behind most leaks.
%%
%% An analysis should say: the contents of each binary begin with `holder:KIND:`, and that kind holds it and nothing
%% else does. `nif` has a reference more than any term: holders_nif.c keeps a copy in an environment of its own. Three
%% binaries are resources of type `buffer`, of which the NIF keeps a reference too. Of a binary that begins with `crowd`,
%% 300 processes have one reference each. Of ports, expect.ports says which has the binary, and expect.sizes how large those
%% are whose beginning is gone or not there yet.
%%
%% Flags: +spp true
-module(holders).
-export([start/1, literal/0, keep/1, resource/0]).
-on_load(load_nif/0).

-define(PADDING, 200).
%% Bytes that a socket waits for.
-define(INPUT, 123457).

load_nif() ->
    erlang:load_nif(filename:join(filename:dirname(code:which(?MODULE)), "holders_nif"), 0).

%% Copies the term to an environment that lives as long as the VM.
keep(_Term) ->
    erlang:nif_error(not_loaded).

%% A binary in a resource of a NIF, and a reference to that.
resource() ->
    erlang:nif_error(not_loaded).

start(_Args) ->
    truth:hold(holds_in_dictionary, fun() -> put(kept, big(dictionary)), ok end),
    %% Part of the last message that was received: still in the message's own memory.
    truth:hold(holds_received, fun() ->
        send_from_helper(self(), fun() -> big(received) end),
        receive {hello, Bin} -> Bin end
    end, #{hibernate => false}),
    {OnHeap, _} = truth:hold(holds_on_heap, fun() -> flag(on_heap) end, #{hibernate => false}),
    {OffHeap, _} = truth:hold(holds_off_heap, fun() -> flag(off_heap) end, #{hibernate => false}),
    send_from_helper(OnHeap, fun() -> big(mailbox_on_heap) end),
    send_from_helper(OffHeap, fun() -> big(mailbox_off_heap) end),
    %% A message to an alias is a signal of its own kind until it is handled.
    {Aliased, Alias} = truth:hold(holds_for_alias, fun() -> flag(off_heap), truth_compat:alias() end, #{hibernate => false}),
    {Late, _} = truth:hold(holds_in_transit, fun() -> flag(on_heap) end, #{hibernate => false}),
    {LateOff, _} = truth:hold(holds_in_transit_off, fun() -> flag(off_heap) end, #{hibernate => false}),
    truth:hold(holds_in_fun, fun() ->
        Bin = big(fun_environment),
        put(kept, fun(N) -> byte_size(Bin) + N end),
        ok
    end),
    truth:hold(holds_in_map, fun() ->
        Large = maps:from_list([{N, #{n => N}} || N <- lists:seq(1, 1000)]),
        put(kept, #{cache => [x, Large#{17 => #{body => {big(nested_map), 1}}}]}),
        ok
    end),
    truth:hold(holds_in_ets, fun() -> ets:insert(ets:new(holders_rows, []), {1, [big(ets_row)]}), ok end),
    in_helper(fun() -> persistent_term:put({holders, key}, #{body => big(persistent_term)}) end),
    truth:hold(holds_literal, fun() -> ok end),
    {Target, _} = truth:hold(holds_timers, fun() -> ok end),
    in_helper(fun() -> erlang:send_after(3600000, Target, {late, big(send_after)}) end),
    in_helper(fun() -> erlang:start_timer(7200000, holds_timers, [big(start_timer)]) end),
    {_, Ports} = truth:hold(holds_ports, fun ports/0),
    truth:hold(holds_with_nif, fun() -> Bin = big(nif), ok = keep({Bin}), put(kept, Bin), ok end),
    truth:hold(holds_match_spec, fun() ->
        put(kept, compiled(match_spec)),
        ok
    end),
    truth:hold(holds_resource, fun() -> put(kept, resource()), ok end),
    truth:hold(holds_resource_row, fun() ->
        {Bin, _} = resource(),
        ets:insert(ets:new(holders_resources, []), {1, Bin}),
        ok
    end),
    truth:hold(holds_resource_by_row, fun() ->
        {Bin, Ref} = resource(),
        ets:insert(ets:new(holders_references, []), {1, [Ref]}),
        put(kept, Bin),
        ok
    end),
    truth:hold(holds_match_specs, fun() ->
        ets:insert(ets:new(holders_compiled, []), {1, [compiled(row_match_spec)]}),
        ok
    end),
    in_helper(fun() -> persistent_term:put(holders_compiled, compiled(term_match_spec)) end),
    Crowd = binary:copy(<<"crowd">>, 100),
    [truth:hold(undefined, fun() -> put(kept, [Crowd]), ok end) || _ <- lists:seq(1, 300)],
    #{expect => #{kinds => [dictionary, received, mailbox_on_heap, mailbox_off_heap, in_transit_on_heap,
                            in_transit_off_heap, alias_message, fun_environment, nested_map, ets_row, persistent_term,
                            module_literal, send_after, start_timer, match_spec, row_match_spec, term_match_spec, nif,
                            port_queue, socket_queue, socket_queue_end, port_command, port_data, input_buffer],
                  ports => Ports, sizes => #{input_buffer => ?INPUT}},
      volatile => [Late, LateOff, Aliased],
      before_dump => fun() ->
          %% Messages to a process that does not run stay where senders put them.
          true = erlang:suspend_process(Late),
          true = erlang:suspend_process(LateOff),
          true = erlang:suspend_process(Aliased),
          send_from_helper(Alias, fun() -> big(alias_message) end),
          send_from_helper(Late, fun() -> big(in_transit_on_heap) end),
          send_from_helper(LateOff, fun() -> big(in_transit_off_heap) end),
          literal()
      end}.

%% #{Kind => the port that has the binary}.
ports() ->
    Pipe = open_port({spawn_executable, "/bin/sleep"}, [{args, ["300"]}, binary]),
    %% More than fits into a pipe.
    in_helper(fun() -> port_command(Pipe, big(port_queue, 300000)) end),
    wait_for_queue(Pipe),
    in_helper(fun() -> erlang:port_set_data(Pipe, {kept, [big(port_data)]}) end),
    Busy = busy_socket(),
    wait_for_queue(Busy),
    {Waiting, _} = connected(),
    Reader = spawn(fun() -> gen_tcp:recv(Waiting, ?INPUT) end),
    wait_until(fun() ->
        {status, waiting} =:= process_info(Reader, status) andalso
            {prim_inet, recv0, 3} =:= element(2, process_info(Reader, current_function))
    end),
    #{port_queue => Pipe, port_data => Pipe, socket_queue => Busy, socket_queue_end => Busy, port_command => Busy,
      input_buffer => Waiting}.

connected() ->
    {ok, Listen} = gen_tcp:listen(0, [binary, {active, false}, {ip, {127, 0, 0, 1}}, {recbuf, 4096}]),
    {ok, {Address, Number}} = inet:sockname(Listen),
    Options = [binary, {active, false}, {sndbuf, 4096}, {high_msgq_watermark, 1 bsl 28}],
    {ok, Socket} = gen_tcp:connect(Address, Number, Options),
    {ok, Other} = gen_tcp:accept(Listen),
    {Socket, Other}.

%% Ports are parallel here (+spp): these are commands for later. Nobody reads at the other end: of the first one most is
%% queued, the second one makes the port busy, so that the third one is put aside; unless the port was so fast that whoever
%% sends the third one has to wait. (OTP 27 closes a socket with EINVAL if what comes second is small.)
busy_socket() ->
    {Socket, Other} = connected(),
    Owner = self(),
    {Pid, Monitor} = spawn_monitor(fun() ->
        Commands = [big(Kind, 100000) || Kind <- [socket_queue, socket_queue_end, port_command]],
        [Socket ! {Owner, {command, Bin}} || Bin <- Commands],
        ok
    end),
    case all_are_sent(Pid, Monitor) of
        true ->
            Socket;
        false ->
            exit(Pid, kill),
            [gen_tcp:close(End) || End <- [Other, Socket]],
            busy_socket()
    end.

all_are_sent(Pid, Monitor) ->
    receive
        {'DOWN', Monitor, process, Pid, normal} -> true
    after 10 ->
        process_info(Pid, status) =/= {status, suspended} andalso all_are_sent(Pid, Monitor)
    end.

wait_for_queue(Port) ->
    wait_until(fun() -> {queue_size, 0} =/= erlang:port_info(Port, queue_size) end).

wait_until(Done) ->
    Done() orelse begin receive after 10 -> ok end, wait_until(Done) end.

%% Off the heap as well: it has more than 64 bytes.
literal() ->
    <<"holder:module_literal: ................................................................................">>.

compiled(Kind) ->
    ets:match_spec_compile([{{'$1'}, [], [{const, big(Kind)}]}]).

flag(Where) ->
    process_flag(message_queue_data, Where),
    ok.

%% The binary belongs to nobody but what Fun hands it to.
send_from_helper(To, Make) ->
    in_helper(fun() -> To ! {hello, Make()} end).

in_helper(Fun) ->
    {Pid, Monitor} = spawn_monitor(Fun),
    receive {'DOWN', Monitor, process, Pid, normal} -> ok end.

big(Kind) ->
    big(Kind, ?PADDING).

big(Kind, Padding) ->
    iolist_to_binary(["holder:", atom_to_list(Kind), ":", lists:duplicate(Padding, $.)]).
