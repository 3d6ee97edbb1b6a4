%% SPDX-License-Identifier: Apache-2.0
%% Rows that keep a small piece of a large network payload.
%%
%% What goes wrong: a server matches a field out of each packet and stores it. The field is a sub-binary: it points
%% into the packet, and the whole packet stays in memory as long as the row does. ets:info(T, memory) does not show it,
%% because it counts no off-heap bytes. (Since OTP 25 fields of up to 64 bytes are copied on the usual paths, so
%% the fields here are longer, or come from re:run/3, which makes sub-binaries of any size.)
%%
%% Stands for: the classic of RabbitMQ, ejabberd and every session cache: memory grows without bound, no
%% process has it, each table looks small.
%%
%% An analysis should say: pins_session, pins_bag, pins_compressed, pins_regex and pins_shared pin (nearly all of)
%% payload bytes that no row can see; copying the fields (binary:copy/1) frees them. In pins_shared many rows point
%% into few binaries: referenced bytes summed over rows are far larger than what exists. In pins_process the
%% payloads are also held by the process pins_holder, so copying the rows alone frees nothing. pins_copied holds the
%% same fields, copied: nothing to see.
%%
%% --arg rows=N (default 1000), --arg payload=BYTES (default 32768): about 3 * rows * payload bytes in all.
-module(ets_pins).
-export([start/1]).

-define(FIELD, 100).

start(Args) ->
    Rows = truth:arg(rows, Args, 1000),
    Size = truth:arg(payload, Args, 32768),
    Few = max(1, Rows div 4),
    truth:hold(pins_server, fun() ->
        fill(new(pins_session, [set]), Rows, fun(N) -> [{N, field(payload(N, Size)), N * 2}] end),
        fill(new(pins_compressed, [set, compressed]), Few, fun(N) -> [{{peer, N}, field(payload(N, Size))}] end),
        fill(new(pins_bag, [bag]), Few, fun(N) -> two_fields(N, payload(N, Size)) end),
        fill(new(pins_regex, [ordered_set]), Few, fun(N) -> [{N, user(payload(N, Size))}] end),
        fill(new(pins_decoded, [duplicate_bag]), Few, fun(N) -> [{N, packet(payload(N, Size))}] end),
        fill(new(pins_copied, [set]), Rows, fun(N) -> [{N, binary:copy(field(payload(N, Size)))}] end),
        share(new(pins_shared, [set]), [payload(N, Size) || N <- lists:seq(1, 10)], Rows),
        keys(new(pins_keys, [set]), Few, Size)
    end),
    {_, _} = truth:hold(pins_holder, fun() -> process_and_table(max(1, Few div 5), Size) end),
    #{expect => #{pins => [pins_session, pins_compressed, pins_bag, pins_decoded, pins_shared, pins_keys]
                          ++ [pins_regex || binary:referenced_byte_size(user(payload(1, Size))) >= Size],
                  held_elsewhere => [pins_process],
                  fine => [pins_copied],
                  payload => Size, field => ?FIELD}}.

new(Name, Options) ->
    ets:new(Name, [public, named_table | Options]).

fill(Table, Rows, Make) ->
    lists:foreach(fun(N) -> ets:insert(Table, Make(N)) end, lists:seq(1, Rows)).

%% A line of a protocol followed by bytes that nobody wants.
payload(N, Size) ->
    Head = <<"user=", (name(N))/binary, "\n", 500:32, (binary:copy(<<"h">>, 496))/binary>>,
    Tail = binary:copy(<<(N rem 251)>>, Size - byte_size(Head)),
    <<Head/binary, Tail/binary>>.

name(N) ->
    iolist_to_binary(io_lib:format("user~6..0b", [N])).

field(Payload) ->
    binary:part(Payload, 200, ?FIELD).

two_fields(N, Payload) ->
    [{N rem 50, binary:part(Payload, 100, ?FIELD)}, {N rem 50, binary:part(Payload, 1000, ?FIELD + 7), N}].

%% A dozen bytes, and still a sub-binary; since OTP 27 a copy.
user(Payload) ->
    {match, [User]} = re:run(Payload, "user=([a-z0-9]+)", [{capture, all_but_first, binary}]),
    User.

packet(Payload) ->
    {ok, Packet, _} = erlang:decode_packet(4, binary:part(Payload, 16, byte_size(Payload) - 16), []),
    Packet.

share(Table, Payloads, Rows) ->
    Of = list_to_tuple(Payloads),
    fill(Table, Rows, fun(N) -> [{N, binary:part(element(1 + N rem tuple_size(Of), Of), N rem 1000, ?FIELD)}] end).

%% The key itself is the sub-binary.
keys(Table, Rows, Size) ->
    fill(Table, Rows, fun(N) -> [{binary:part(payload(N, Size), 2, ?FIELD), N}] end).

%% The process keeps the packets, the table pieces of them.
process_and_table(Rows, Size) ->
    Table = new(pins_process, [set]),
    Payloads = [payload(N, Size) || N <- lists:seq(1, Rows)],
    lists:foreach(fun({N, P}) -> ets:insert(Table, {N, field(P)}) end, truth_compat:enumerate(Payloads)),
    put(payloads, Payloads).
