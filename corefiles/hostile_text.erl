%% SPDX-License-Identifier: Apache-2.0
%% Text that would act on a terminal, and secrets that must not be shown.
%%
%% What goes wrong: nothing for the VM. Names of tables, processes and atoms, strings and binaries hold escape sequences,
%% C1 controls, bidirectional overrides and line ends, as user input that was logged or cached does. The table vault
%% holds the marker secret() in every kind of term that can hold it, and numbers that are as secret; its rows pin
%% binaries, so that a diagnosis wants to show one.
%%
%% An analysis should say: vault and the table with the hostile name pin binaries, in text that is safe to print; and
%% with `set etp redact on`, neither the marker nor the numbers anywhere.
-module(hostile_text).
-export([start/1, init/1, handle_call/3, handle_cast/2]).

start(_Args) ->
    Name = binary_to_atom(hostile(<<"table">>)),
    truth:hold(binary_to_atom(hostile(<<"owner">>)), fun() ->
        ets:new(Name, [named_table, public]),
        [ets:insert(Name, {{K, hostile(<<"key">>)}, V}) || {K, V} <- truth_compat:enumerate(names(hostile(<<"value">>)) ++ values(hostile(<<"value">>)))],
        ets:new(hostile_pins, [named_table, public]),
        [ets:insert(hostile_pins, {hostile(integer_to_binary(I)), piece(hostile(<<"pinned">>))}) || I <- lists:seq(1, 50)],
        ok
    end),
    truth:hold(vault_server, fun() ->
        ets:new(vault, [named_table, public]),
        [ets:insert(vault, {{K, secret()}, V}) || {K, V} <- truth_compat:enumerate(values(secret()))],
        [ets:insert(vault, {secret(I), piece(secret(I))}) || I <- lists:seq(1, 50)],
        ets:new(vault_compressed, [named_table, public, compressed]),
        [ets:insert(vault_compressed, {{K, secret()}, V}) || {K, V} <- truth_compat:enumerate(values(secret()))],
        ets:new(vault_keys, [named_table, public, ordered_set]),
        [ets:insert(vault_keys, {{key, V}, I}) || {I, V} <- truth_compat:enumerate(values(secret()))],
        ok
    end),
    servers(),
    #{expect => #{secret => secret(), numbers => [7370387713, 73703877.13]}}.

%% vault_state has the values in its state, vault_sup in the ids of its children; both have global names with the marker.
servers() ->
    State = #{secret() => values(secret()), {key, secret()} => 1, values => values(secret()), hostile => values(hostile(<<"state">>)),
              binary_to_atom(hostile(<<"key">>)) => names(hostile(<<"state">>))},
    {ok, _} = gen_server:start({local, vault_state}, ?MODULE, {server, State}, []),
    {ok, _} = gen_server:start({global, {vault, secret()}}, ?MODULE, {server, secret()}, []),
    {ok, _} = gen_server:start({global, hostile(<<"global">>)}, ?MODULE, {server, hostile(<<"state">>)}, []),
    Ids = [secret(), {id, secret()}, hostile(<<"id">>), binary_to_atom(hostile(<<"child">>))],
    %% A supervisor ends with whoever it is linked to.
    truth:hold(vault_sup_parent, fun() -> {ok, _} = supervisor:start_link({local, vault_sup}, ?MODULE, {supervisor, Ids}) end).

init({server, State}) ->
    {ok, State};
init({supervisor, Ids}) ->
    Start = {gen_server, start_link, [?MODULE, {server, secret()}, []]},
    {ok, {#{}, [#{id => Id, start => Start} || Id <- Ids]}}.

handle_call(_, _, State) -> {reply, ok, State}.
handle_cast(_, State) -> {noreply, State}.

%% Sets the title, colours all that follows, goes back to the start of the line, turns the order of text round.
hostile(What) ->
    <<What/binary, "\e]0;owned\a\e[31m\r\n\b\t\x7f"/utf8, 16#85/utf8, 16#9b/utf8, 16#202e/utf8, 16#2066/utf8, 16#2028/utf8,
      16#feff/utf8, "end">>.

secret() -> <<"s3cr3t_of_the_customer">>.

secret(I) -> <<(secret())/binary, (integer_to_binary(I))/binary>>.

%% A short part of a large binary.
piece(Text) ->
    binary:part(binary:copy(<<Text/binary, " and more of it ">>, 5000), 3, 100).

%% Tags of tuples and keys of maps, which come from code: these are shown, also when contents are not.
names(Text) ->
    Atom = binary_to_atom(Text),
    [{Atom, 1}, [{Atom, Text}], #{Atom => Text}, #{Atom => 1, '__struct__' => Atom}, {value, #{Atom => []}}].

values(Text) ->
    String = unicode:characters_to_list(Text),
    [Text, String, binary_to_atom(Text), {value, binary_to_atom(Text)}, binary_to_list(Text),
     #{Text => binary_to_atom(Text)}, #{String => 7370387713}, #{name => Text}, [binary_to_atom(Text) | Text], <<Text/binary, 1:3>>, [String | tail],
     maps:from_list([{{I, Text}, String} || I <- lists:seq(1, 40)]), fun() -> {Text, String} end,
     fun(X) -> {X, binary_to_atom(Text)} end, 7370387713, 7370387713 bsl 70, 73703877.13, {7370387713, -7370387713},
     {nested, [{deep, #{text => [Text, String]}}]}, #{'__struct__' => 'Elixir.Session', token => Text},
     {'EXIT', {Text, [{m, f, [String], []}]}}, binary:copy(Text, 10), [$\e, 16#9b, 16#202e], <<27, 155, 226, 128, 174>>].
