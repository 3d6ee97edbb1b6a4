%% SPDX-License-Identifier: Apache-2.0
%% A JSON encoder as small as the truth files need (OTP 25 has none).
%%
%% What Erlang terms become:
%%   true, false               true, false
%%   undefined, null           null
%%   other atoms               strings
%%   {text, Chars}             a string; Chars is any chardata, code points above 255 included
%%   binaries                  strings (they must be UTF-8)
%%   {w, Term}                 the string that io_lib:format("~w") makes of Term
%%   pids, ports, refs, funs   the same
%%   integers                  numbers up to 2^53, decimal strings above (a reader may use doubles)
%%   lists, other tuples       arrays
%%   maps                      objects
-module(truth_json).
-export([line/1]).

-define(MAX_EXACT, 9007199254740992).

-spec line(map()) -> iodata().
line(Object) ->
    [encode(Object), $\n].

encode(true) -> <<"true">>;
encode(false) -> <<"false">>;
encode(undefined) -> <<"null">>;
encode(null) -> <<"null">>;
encode(Atom) when is_atom(Atom) -> string(atom_to_binary(Atom));
encode(Int) when is_integer(Int), abs(Int) =< ?MAX_EXACT -> integer_to_binary(Int);
encode(Int) when is_integer(Int) -> [$", integer_to_binary(Int), $"];
encode(Float) when is_float(Float) -> io_lib:write(Float);
encode(Bin) when is_binary(Bin) -> string(Bin);
encode({text, Chars}) -> string(utf8(Chars));
encode({w, Term}) -> string(utf8(io_lib:format("~w", [Term])));
encode(List) when is_list(List) -> [$[, lists:join($,, [encode(E) || E <- List]), $]];
encode(Tuple) when is_tuple(Tuple) -> encode(tuple_to_list(Tuple));
encode(Map) when is_map(Map) -> [${, lists:join($,, [pair(P) || P <- lists:sort(maps:to_list(Map))]), $}];
encode(Other) -> encode({w, Other}).

pair({Key, Value}) when is_atom(Key) -> [encode(Key), $:, encode(Value)];
pair({Key, Value}) when is_binary(Key) -> [string(Key), $:, encode(Value)].

%% Surrogates can't stand in UTF-8 although "~w" of an integer list never prints any; keep the line readable anyway.
utf8(Chars) ->
    case unicode:characters_to_binary(Chars) of
        Utf8 when is_binary(Utf8) -> Utf8;
        _ -> error({not_unicode, Chars})
    end.

%% Runs of harmless bytes are copied as one piece: truth files have megabytes of them.
string(Utf8) ->
    [$", escape(Utf8, Utf8, 0, 0), $"].

escape(<<C, Rest/binary>>, All, From, Len) when C >= 32, C =/= $", C =/= $\\ ->
    escape(Rest, All, From, Len + 1);
escape(<<C, Rest/binary>>, All, From, Len) ->
    [binary:part(All, From, Len), escaped(C) | escape(Rest, All, From + Len + 1, 0)];
escape(<<>>, All, From, Len) ->
    [binary:part(All, From, Len)].

escaped($") -> <<"\\\"">>;
escaped($\\) -> <<"\\\\">>;
escaped($\n) -> <<"\\n">>;
escaped(C) -> io_lib:format("\\u~4.16.0b", [C]).
