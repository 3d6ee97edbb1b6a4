%% SPDX-License-Identifier: Apache-2.0
%% A real system: ejabberd with clients, a room, and messages that wait for users who are away.
%%
%% What goes wrong: nothing. Its tables are Mnesia's, in memory and on disc, and caches of its own; its binaries come
%% from sockets and from the NIFs that parse XML.
%%
%% An analysis should say: nothing suspicious.
%%
%% --arg libs=DIR          ejabberd and what it needs, each with its ebin; they need not be installed
%%
%% The server listens on the loopback interface only, and keeps its files in the core's directory. Its clients are
%% processes of the same VM.
%%
%% With gcore, lines of kind `table_after`: how large each table is right after the core was taken.
-module(ejabberd_at_work).
-export([start/1]).

-define(USERS, 24).
-define(ONLINE, 12).

start(Args) ->
    code:add_pathsz(filelib:wildcard(filename:join([truth:arg(libs, Args, undefined), "*", "ebin"]))),
    [_, Dir | _] = init:get_plain_arguments(),
    Port = free_port(),
    environment(filename:join(Dir, "ejabberd"), Port),
    {ok, _} = application:ensure_all_started(ejabberd),
    [ok = ejabberd_auth:try_register(user(N), <<"localhost">>, <<"secret">>) || N <- lists:seq(1, ?USERS)],
    {_, Sockets} = truth:hold(clients, fun() -> [log_in(Port, N) || N <- lists:seq(1, ?ONLINE)] end),
    [work(Socket, N) || {N, Socket} <- lists:zip(lists:seq(1, ?ONLINE), Sockets)],
    %% Each message that was sent has arrived, in a room, in a mailbox on disc, or at a client.
    [ping(Socket) || Socket <- Sockets],
    wait_until_quiet(0),
    #{rows => maps:from_list([{ets:info(T, name), {sample, 1}} || T <- ets:all()]),
      after_dump => fun truth_ets:sizes/0}.

environment(Dir, Port) ->
    Config = filename:join(Dir, "ejabberd.yml"),
    ok = filelib:ensure_dir(Config),
    ok = file:write_file(Config, [
        "hosts: [localhost]\n"
        "loglevel: warning\n"
        "auth_password_format: scram\n"
        "listen:\n"
        "  - {port: ", integer_to_list(Port), ", ip: 127.0.0.1, module: ejabberd_c2s}\n"
        "modules:\n",
        [["  ", Module, ": {", Options, "}\n"] || {Module, Options} <- modules()]]),
    %% Mnesia is an application that it includes.
    ok = application:load(ejabberd),
    ok = application:set_env(ejabberd, config, Config),
    ok = application:set_env(ejabberd, log_path, filename:join([Dir, "log", "ejabberd.log"])),
    ok = application:set_env(mnesia, dir, filename:join(Dir, "mnesia")).

modules() ->
    [{"mod_adhoc", ""}, {"mod_caps", ""}, {"mod_disco", ""}, {"mod_last", ""}, {"mod_mam", "default: always"},
     {"mod_muc", ""}, {"mod_offline", ""}, {"mod_ping", ""}, {"mod_privacy", ""}, {"mod_private", ""},
     {"mod_pubsub", "plugins: [flat, pep]"}, {"mod_roster", ""}, {"mod_stream_mgmt", ""}, {"mod_vcard", ""}].

free_port() ->
    {ok, Socket} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}]),
    {ok, Port} = inet:port(Socket),
    ok = gen_tcp:close(Socket),
    Port.

user(N) -> iolist_to_binary(["user", integer_to_list(N)]).

%% ---- clients ------------------------------------------------------------------------------------------------

log_in(Port, N) ->
    {ok, Socket} = gen_tcp:connect({127, 0, 0, 1}, Port, [binary, {active, false}]),
    Open = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>",
    ask(Socket, Open, "</stream:features>"),
    Secret = base64:encode(iolist_to_binary([0, user(N), 0, "secret"])),
    ask(Socket, ["<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>", Secret, "</auth>"], "<success"),
    ask(Socket, Open, "</stream:features>"),
    ask(Socket, "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>etp</resource></bind></iq>",
        "</iq>"),
    Socket.

%% A friend who is away gets a presence and messages, and all who are there meet in one room.
work(Socket, N) ->
    Friend = [user(N + ?ONLINE), "@localhost"],
    send(Socket, ["<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='", Friend, "'/></query></iq>",
                  "<presence to='", Friend, "' type='subscribe'/><presence/>",
                  "<iq type='set' id='v'><vCard xmlns='vcard-temp'><FN>", user(N), "</FN></vCard></iq>",
                  "<presence to='room@conference.localhost/", user(N), "'>"
                  "<x xmlns='http://jabber.org/protocol/muc'/></presence>"]),
    ask(Socket, [], "code='110'"),
    %% Whoever makes a room must say that it is to be as it is.
    N =:= 1 andalso
        ask(Socket, "<iq type='set' id='o' to='room@conference.localhost'><query xmlns='http://jabber.org/protocol/muc#owner'>"
                    "<x xmlns='jabber:x:data' type='submit'/></query></iq>", "id='o'"),
    send(Socket, [["<message type='chat' to='", Friend, "'><body>", lists:duplicate(Size, $x), "</body></message>"]
                  || Size <- [1, 100, 5000]]),
    send(Socket, ["<message type='groupchat' to='room@conference.localhost'><body>hello</body></message>"]).

%% What the server started meanwhile has come to rest, in ten looks one after the other.
wait_until_quiet(10) -> ok;
wait_until_quiet(Looks) ->
    receive after 100 -> ok end,
    case [P || P <- processes(), P =/= self(), {_, Status} <- [process_info(P, status)], Status =/= waiting] of
        [] -> wait_until_quiet(Looks + 1);
        _ -> wait_until_quiet(0)
    end.

ping(Socket) ->
    ask(Socket, "<iq type='get' id='done' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>", "id='done'").

send(Socket, Stanzas) ->
    ok = gen_tcp:send(Socket, Stanzas).

%% Reads until the words have come. What else is in the same packets is of no interest.
ask(Socket, Stanzas, Words) ->
    send(Socket, Stanzas),
    wait_for(Socket, iolist_to_binary(Words), <<>>).

wait_for(Socket, Words, Before) ->
    {ok, Packet} = gen_tcp:recv(Socket, 0, 60000),
    Text = <<Before/binary, Packet/binary>>,
    case binary:match(Text, Words) of
        nomatch -> wait_for(Socket, Words, Text);
        _ -> ok
    end.
