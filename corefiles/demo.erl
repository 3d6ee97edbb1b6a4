%% SPDX-License-Identifier: Apache-2.0
%% The gateway of a chat service whose session cache leaks: what scripts/demo shows.
%%
%% What goes wrong: the gateway matches the resume token (about a hundred bytes) out of each login packet, which is
%% tens of kilobytes with its device report, and stores it in session_cache. The token is a sub-binary: each session
%% pins its whole login packet. observer and ets:info/1 show a table of a few hundred kilobytes.
%%
%% An analysis should say: session_cache pins about 60 MB of packets to show some 0.2 MB of tokens; copy the token with
%% binary:copy/1 before it is stored. The other tables are fine.
%%
%% --arg sessions=N (default 1900), --arg packet=BYTES (default 32768)
-module(demo).
-export([start/1]).

start(Args) ->
    Sessions = truth:arg(sessions, Args, 1900),
    Packet = truth:arg(packet, Args, 32768),
    Connections = [connection(I) || I <- lists:seq(1, 120)],
    truth:hold(session_cache_server, fun() -> session_cache(Sessions, Packet), ok end),
    truth:hold(presence_server, fun() -> presence(Connections), ok end),
    truth:hold(room_directory, fun() -> rooms(), ok end),
    truth:hold(rate_limiter, fun() -> limits(), ok end),
    #{expect => #{pins => [session_cache], rows => Sessions, packet => Packet}}.

connection(I) ->
    spawn(fun() -> put(user_id, I), receive close -> ok end end).

new(Name, Options) ->
    ets:new(Name, [named_table, public | Options]).

session_cache(Sessions, Size) ->
    Table = new(session_cache, [set, {read_concurrency, true}]),
    [ets:insert(Table, session(I, login_packet(I, Size))) || I <- lists:seq(1, Sessions)].

session(I, <<Length:16, Token:Length/binary, _DeviceReport/binary>>) ->
    {{user, I}, #{token => Token, node => node(), last_seen => 1700000000 + I}}.

login_packet(I, Size) ->
    Token = iolist_to_binary(io_lib:format("v2.~10..0b.~s", [I, binary:copy(<<"Zm9vYmFyYmF6">>, 8)])),
    Report = binary:copy(<<"{\"device\":\"phone\",\"os\":\"13.4\",\"battery\":0.71}">>, Size div 48),
    <<(byte_size(Token)):16, Token/binary, Report/binary>>.

presence(Connections) ->
    Table = new(presence, [set]),
    [ets:insert(Table, {Pid, I, online}) || {I, Pid} <- truth_compat:enumerate(Connections)].

rooms() ->
    Table = new(rooms, [ordered_set]),
    [ets:insert(Table, {I, <<"room-", (integer_to_binary(I))/binary>>, [I, I + 1, I + 2]}) || I <- lists:seq(1, 400)].

limits() ->
    Table = new(rate_limits, [set, {write_concurrency, true}]),
    [ets:insert(Table, {{login, {10, 0, I rem 256, I div 256}}, I rem 7}) || I <- lists:seq(1, 1500)].
