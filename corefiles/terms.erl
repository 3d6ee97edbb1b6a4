%% SPDX-License-Identifier: Apache-2.0
%% Every kind of Eterm that this OTP has, in an ETS table, in a process dictionary and on a process's stack.
%%
%% What goes wrong: nothing. This is the workload for whoever reads and prints terms.
%%
%% An analysis should say: nothing suspicious.
%%
%% Table etp_terms    {N, Label, Term}, ordered by N
%% terms_dictionary   a process that holds the same terms under {term, N} in its dictionary
%% terms_stack        one that holds them as a list of {N, Label, Term} on its stack
%% terms_deep         {deep, list} in its dictionary is nested a million levels; it has no printed form in the truth
%% terms_matching     blocked in a receive with a match context live on its stack
%% terms_literals     refers to a module's literals and to a persistent_term
%% terms_messages     has messages in its queue that it will not take
-module(terms).
-export([start/1, matching/2]).

-record(session, {id, user = <<"nobody">>, since = {0, 0, 0}, options = []}).

start(_Args) ->
    persistent_term:put({?MODULE, config}, #{hosts => ["alpha", "beta"], retries => 3, blob => blob(300)}),
    {_, ok} = truth:hold(terms_owner, fun() ->
        ets:new(etp_terms, [named_table, public, ordered_set]),
        true = ets:insert(etp_terms, numbered()),
        ok
    end),
    Rows = ets:tab2list(etp_terms),
    truth:hold(terms_dictionary, fun() -> [put({term, N}, Term) || {N, _, Term} <- Rows], ok end),
    truth:hold(terms_stack, fun() -> Rows end, #{hibernate => false}),
    truth:hold(terms_deep, fun() -> put({deep, list}, nest(1000000, [])), ok end),
    truth:hold(terms_literals, fun() ->
        put(literal, literal()),
        put(literal_inside, [literal() | make_ref()]),
        put(persistent, persistent_term:get({?MODULE, config})),
        ok
    end),
    matcher(),
    Queue = spawn(fun() -> register(terms_messages, self()), receive never -> ok end end),
    [Queue ! Message || Message <- [hello, {1, "two", <<"three">>}, blob(200), lists:seq(1, 100)]],
    #{rows => #{etp_terms => full}, expect => #{functions => function_names(Rows)}}.

%% [Module, Function] of the local funs, in the order of the rows. The names that the compiler gives differ by release.
function_names(Rows) ->
    [[element(2, erlang:fun_info(Fun, module)), element(2, erlang:fun_info(Fun, name))]
     || {_, 'fun', Fun} <- Rows, is_function(Fun), erlang:fun_info(Fun, type) =:= {type, local}].

numbered() ->
    [{N, Label, Term} || {N, {Label, Term}} <- truth_compat:enumerate(all())].

all() ->
    label(small, smalls()) ++ label(big, bigs()) ++ label(float, floats()) ++ label(atom, atoms()) ++
        label(list, lists()) ++ label(string, strings()) ++ label(tuple, tuples()) ++ label(map, maps()) ++
        label(binary, binaries()) ++ label(bitstring, bitstrings()) ++ label(local, locals()) ++
        label(external, externals()) ++ label('fun', funs()) ++ label(nested, nested()) ++ label(record, records()) ++ [{literal, literal()}].

label(Label, Terms) ->
    [{Label, Term} || Term <- Terms].

%% ---- numbers ------------------------------------------------------------------------------------------------

%% Smalls have 60 bits on a 64-bit VM.
smalls() ->
    [0, 1, -1, 10, 255, 256, 16#10FFFF, -16#80000000, 1 bsl 32, (1 bsl 59) - 1, -(1 bsl 59)].

bigs() ->
    Edges = [1 bsl 59, -(1 bsl 59) - 1, (1 bsl 63) - 1, 1 bsl 63, (1 bsl 64) - 1, 1 bsl 64, 1 bsl 65, 1 bsl 127,
             (1 bsl 128) - 1, 1 bsl 128, 10000000000000000000, 99999999999999999999, factorial(100)],
    Long = [(1 bsl Bits) div 3 || Bits <- [200, 500, 1000, 4096, 9999]],
    Edges ++ Long ++ [-Big || Big <- Edges ++ Long].

factorial(N) ->
    lists:foldl(fun erlang:'*'/2, 1, lists:seq(1, N)).

%% Given as bits where the compiler or the reader could round.
floats() ->
    [0.0, from_bits(16#8000000000000000), 1.0, -1.0, 0.1, -0.1, 1.5, 100.0, 1.0e15, 1.0e16, 1.0e21, 1.0e22, 1.0e23,
     9.0e22,
     123456789.125, 1.0e-3, 1.0e-4, 1.0e-5, 0.001234, 3.141592653589793, 2.718281828459045, 1.0e100, 1.0e-100, 0.3,
     0.30000000000000004,
     5.0e-324, 2.2250738585072014e-308, 2.225073858507201e-308, 1.7976931348623157e308, -1.7976931348623157e308,
     9007199254740991.0, 9007199254740992.0, 9007199254740993.0, -9007199254740994.0, 9.007199254740994e15,
     1.8014398509481984e16,
     4.35, 299792458.0, 6.62607015e-34, 1.0e6, 123456.789e3, 12345678901234567890.0, 4.9406564584124654e-324,
     from_bits(1), from_bits(16#000FFFFFFFFFFFFF), from_bits(16#3FB999999999999A), from_bits(16#7FEFFFFFFFFFFFFF),
     from_bits(16#4340000000000000), from_bits(16#4350000000000001), from_bits(16#0123456789ABCDEF)].

from_bits(Bits) ->
    <<Float/float>> = <<Bits:64>>,
    Float.

%% ---- atoms --------------------------------------------------------------------------------------------------

atoms() ->
    Reserved = ['after', 'and', 'andalso', 'band', 'begin', 'bnot', 'bor', 'bsl', 'bsr', 'bxor', 'case', 'catch',
                'cond',
                'div', 'end', 'fun', 'if', 'let', 'maybe', 'else', 'not', 'of', 'or', 'orelse', 'receive', 'rem', 'try',
                'when', 'xor'],
    Plain = [ok, true, false, undefined, nil, a, a1, 'a@b', 'node@host.example', 'a.b', 'a_b', '_a', '_', '@a', 'A',
             '1a', '', ' ',
             'hello world', 'don\'t', 'back\\slash', 'double"quote', 'new\nline', 'tab\t', '\0', '\x01',
             '\b\d\e\f\r\s\v', 'a-b', 'Elixir.Foo', 'Elixir.Foo.Bar',
             'Elixir.foo', '+', '->', '[]', '{}', '<<>>', '%{}', '!', 'a?', 'b!', '=', '==', ':', '::', 'a.', '.a',
             'a..b', 'aB', 'a\x{7f}', 'a\x{80}', 'a\x{a0}'],
    Latin = ['é', 'été', 'ß', 'ÿ', '÷', 'Ø', 'ª', 'naïve', 'a×b'],
    Unicode = ['λ', 'привет', 'Привет', '日本', 'a日', '😀', 'e\x{301}', '\x{200B}', '\x{10FFFF}', '\x{FFFD}', 'ſ', 'ǅ'],
    Reserved ++ Plain ++ Latin ++ Unicode ++
    [list_to_atom(lists:duplicate(255, $x)), list_to_atom(lists:duplicate(255, 955))].

%% ---- lists and strings --------------------------------------------------------------------------------------

lists() ->
    [[], [a], [a, b, c], [1 | 2], [a, b | c], [[] | []], [[], []], [[[]]], [1, 2, 3 | <<"tail">>], [a | #{b => c}],
     lists:seq(1, 100), lists:seq(1000, 3000), [{K, V} || K <- [a, b, c], V <- [1, 2]],
     [1.5, 2, "three", <<"four">>, {5}],
     [ok | lists:duplicate(300, {error, enoent})], lists:duplicate(500, [])].

strings() ->
    ["hello", "", "a",
     "hello world, this is a string that is long enough to be broken by a pretty printer at 80 columns, and then some",
     "quote\"backslash\\apostrophe'", "\n\r\t\v\b\f\e\s\d", [0], [7], [127], [128], [159], [160], "été", [255], [256],
     "λx", "日本語", "😀 smile", [16#10FFFF], [16#110000],
     [$a, -1], [$a, 16#D800], lists:seq(0, 255), lists:seq(32, 126), lists:seq(160, 255), [$a, $b | $c], [$a, b],
     [$a, 1.0],
     "a~p~n", "%comment", lists:flatten(lists:duplicate(200, "abc ")), ["nested", "strings"], [$a | "bc"],
     lists:duplicate(5000, $z),
     "a\x{200B}b", "tab\tseparated\tvalues", "trailing newline\n", [10], [27, $[, $3, $1, $m]].

%% ---- tuples and maps ----------------------------------------------------------------------------------------

tuples() ->
    [{}, {a}, {1, 2}, {{}}, {{{}}, []}, #session{id = 17}, #session{id = make_id(), options = [{a, 1}, verbose]},
     {ok, {error, {badmatch, "x"}}},
     list_to_tuple(lists:seq(1, 64)), list_to_tuple(lists:seq(1, 1000)), list_to_tuple(lists:duplicate(100, {x, "y"})),
     {'EXIT', {undef, [{m, f, [a, "b"], []}, {m2, g, 3, [{file, "m2.erl"}, {line, 42}]}]}},
     {{2024, 2, 29}, {23, 59, 59}}].

%% Native records, which OTP 29 has and which older compilers cannot parse. The fields are in the order of their declaration.
records() ->
    case code:ensure_loaded(records) of
        {module, Records} -> native_records(Records);
        {error, nofile} -> []
    end.

native_records(Records) ->
    Point = Records:create(geometry, point, [{y, 2}, {x, 1}], #{is_exported => true}),
    Long = [{list_to_atom("a_field_with_a_long_name_" ++ integer_to_list(N)), lists:seq(N, N + 30)}
            || N <- lists:seq(1, 6)],
    Of = fun(Name, Fields) -> Records:create(?MODULE, Name, Fields, #{is_exported => false}) end,
    [Point, Records:update(Point, geometry, point, #{x => 3.5}),
     Of(empty, []), Of('needs quotes', [{'Also quoted', 'and this'}, {'été', "été"}, {ok, ok}]),
     Of(wide, [{list_to_atom([C]), C} || C <- lists:seq($a, $z)]),
     Of(long, Long), Of(nested, [{inner, Of(long, Long)}, {points, lists:duplicate(12, Point)}, {last, #{p => Point}}]),
     Of(a_record_whose_name_is_so_long_that_nothing_fits_behind_it_on_a_line,
        [{key, <<"value">>}, {a_key_that_is_rather_long_as_well_and_comes_with_a_list, lists:seq(1000, 1030)}]),
     Of(binaries, [{big, blob(3000)}, {text, binary:copy(<<"lorem ipsum ">>, 20)}, {pid, self()}, {reference, make_ref()}]),
     {tagged, Of(long, Long), [Of(wide, [{a, 1}, {b, [Point]}])]}, #{Point => Point}, [Point | Point]].

make_id() ->
    <<16#deadbeef:32, 0:96>>.

maps() ->
    Small = [maps:from_list([{I, I * I} || I <- lists:seq(1, N)]) || N <- [0, 1, 2, 3, 31, 32]],
    Large = [maps:from_list([{I, I * I} || I <- lists:seq(1, N)]) || N <- [33, 34, 64, 100, 1000, 5000]],
    Keys = [#{a => 1, "b" => 2, <<"c">> => 3, 4 => four, 5.0 => five, {6} => six, [] => nil, #{} => map,
              1 bsl 70 => big},
            #{1 => int, 1.0 => float}, #{0.0 => zero, 0 => zero}, #{b => 1, a => 2, 'A' => 3, '' => 4, 'é' => 5},
            maps:from_list([{list_to_atom("key" ++ integer_to_list(I)), I} || I <- lists:seq(1, 40)]),
            maps:from_list([{integer_to_binary(I), [I]} || I <- lists:seq(1, 200)]),
            maps:from_list([{{I, "x"}, #{I => I}} || I <- lists:seq(1, 70)])],
    Nested = [#{a => #{b => #{c => [#{d => e}]}}}, #{#{#{} => #{}} => #{}},
              maps:from_list([{I, hd(Large)} || I <- lists:seq(1, 40)])],
    Small ++ Large ++ Keys ++ Nested ++ [collisions(), shrunk()].

%% On OTP 25 the first 32 bits of these keys' hashes collide in pairs, so that the HAMT grows deep below its root.
collisions() ->
    Keys = [764492191, 2361333849, 309680, 123268, 307353, 128918, 217607, 29879, 167527, 121236, 119693, 22575, 59671,
            40660],
    maps:from_list([{K, collides} || K <- Keys] ++ [{K, alone} || K <- lists:seq(1, 40)]).

%% Fewer than 33 pairs again: a flatmap.
shrunk() ->
    lists:foldl(fun maps:remove/2, maps:from_list([{I, x} || I <- lists:seq(1, 40)]), lists:seq(5, 40)).

%% ---- binaries -----------------------------------------------------------------------------------------------

%% Up to 64 bytes on the heap, above that off the heap.
binaries() ->
    Big = blob(5000),
    Small = blob(60),
    Sizes = [blob(Size) || Size <- [0, 1, 2, 7, 8, 9, 63, 64, 65, 66, 255, 256, 257, 1000]],
    Subs = [binary:part(Big, At, Size)
            || {At, Size} <- [{0, 65}, {1, 100}, {4900, 100}, {17, 4000}, {0, 5000}, {100, 64}, {5000, 0}]],
    SmallSubs = [binary:part(Small, 3, 20), binary:part(Small, 0, 59)],
    Texts = [<<"hello">>, <<"h\"e\\l'lo">>, <<"tab\tnew\nline\e\0">>, <<"été"/utf8>>, <<"été">>, <<"日本語 😀"/utf8>>,
             <<255, 254>>, <<"abc", 200>>, <<0>>, <<127>>, <<128>>, <<195, 40>>,
             <<237, 160, 128>>, <<"\x{10FFFF}"/utf8>>, <<"e\x{301}"/utf8>>, <<"\x{200B}"/utf8>>,
             list_to_binary(lists:seq(0, 255)), binary:copy(<<"lorem ipsum dolor ">>, 30),
             binary:copy(<<"дом "/utf8>>, 40)],
    Sizes ++ Subs ++ SmallSubs ++ Texts ++
    [comprehended(0), comprehended(5), comprehended(100), appended(10), appended(300), appended(3000),
     {shared, Big, binary:part(Big, 10, 90)}, [Big, Big]].

%% Built by appending: the Binary has room to grow and is marked writable.
appended(Bytes) ->
    lists:foldl(fun(N, Acc) -> <<Acc/binary, N>> end, <<>>, lists:seq(1, Bytes)).

bitstrings() ->
    Big = blob(400),
    Small = blob(30),
    Whole = [<<1:1>>, <<0:1>>, <<5:3>>, <<127:7>>, <<1, 2:2>>, <<1, 2, 3:5>>, <<0:63>>, <<1:511>>, <<-1:513>>],
    At = [{1, 8}, {3, 77}, {7, 1}, {5, 64}, {8, 9}, {4, 12}, {13, 3}, {1, 160}, {9, 0}],
    Whole ++ [bits(Small, Skip, Size) || {Skip, Size} <- At] ++
    [bits(Big, Skip, Size) || {Skip, Size} <- At ++ [{3, 3000}, {1, 3199}, {2, 1600}]].

bits(Binary, Skip, Size) ->
    <<_:Skip, Bits:Size/bitstring, _/bitstring>> = Binary,
    Bits.

%% On the heap up to 64 bytes. A comprehension would make a binary off the heap whatever its size, see comprehended/1.
blob(Bytes) ->
    list_to_binary([N * 7 rem 256 || N <- lists:seq(1, Bytes)]).

comprehended(Bytes) ->
    << <<N>> || N <- lists:seq(1, Bytes) >>.

%% ---- pids, ports, references --------------------------------------------------------------------------------

%% Called by the owner of the table, who stays alive and keeps these valid.
locals() ->
    Tid = ets:new(terms_unnamed, [public]),
    Atomics = atomics:new(3, []),
    Counters = counters:new(2, [write_concurrency]),
    MatchSpec = ets:match_spec_compile([{{'$1', '_'}, [], ['$1']}]),
    keep([Tid, Atomics, Counters, MatchSpec]),
    [self(), whereis(init), whereis(kernel_sup), local_pid(7777, 3), local_pid(16#7FFF, 16#1FFF)] ++
        erlang:ports() ++
        [make_ref(), make_ref(), Tid, Atomics, Counters, MatchSpec, truth_compat:alias(), truth_compat:alias([reply]),
         monitor(process, init), truth_compat:monitor(process, init, [{alias, explicit_unalias}]),
         truth_compat:monitor(process, init, [{alias, demonitor}]),
         monitor(port, hd(erlang:ports())), erlang:start_timer(1 bsl 31, self(), never), spawn_request(erlang, now, []),
         [Tid, {make_ref(), self()}]].

%% Refer to the resources from the process too, so that they live as long as it does.
keep(Resources) ->
    put(resources, Resources).

%% A pid of this node that names no process.
local_pid(Id, Serial) ->
    binary_to_term(<<131, 88, (node_name(node()))/binary, Id:32, Serial:32, 0:32>>).

%% In the external term format: see erl_ext_dist in ERTS's documentation. Creations are 32 bits since OTP 23; two
%% incarnations of a node are two nodes.
externals() ->
    Nodes = [{'x@y', 1}, {'x@y', 16#FFFFFFFF}, {'rabbit@node-1.example.com', 1700000000}, {'日本@host', 3}, {node(), 7}],
    lists:append([decoded(External) || {Node, Creation} <- Nodes, External <- external(node_name(Node), Creation)]).

%% OTP 23 refuses numbers of more bits than its own ids have.
decoded(External) ->
    try [binary_to_term(<<131, External/binary>>)] catch error:badarg -> [] end.

external(Node, Creation) ->
    [<<88, Node/binary, 53:32, 0:32, Creation:32>>,
     <<88, Node/binary, 16#7FFF:32, 16#1FFF:32, Creation:32>>,
     <<88, Node/binary, 16#FFFFFFFF:32, 16#FFFFFFFF:32, Creation:32>>,
     <<89, Node/binary, 12345:32, Creation:32>>,
     <<120, Node/binary, 16#123456789ABCDEF:64, Creation:32>>,
     <<90, 1:16, Node/binary, Creation:32, 42:32>>,
     <<90, 3:16, Node/binary, Creation:32, 1:32, 2:32, 16#FFFFFFFF:32>>,
     <<90, 5:16, Node/binary, Creation:32, 11:32, 22:32, 33:32, 44:32, 55:32>>].

node_name(Node) ->
    Utf8 = atom_to_binary(Node),
    <<119, (byte_size(Utf8)), Utf8/binary>>.

%% ---- funs ---------------------------------------------------------------------------------------------------

funs() ->
    X = blob(100),
    Y = {y, "why"},
    [fun() -> ok end, fun(A) -> A end, fun() -> X end, fun(_, _) -> {X, Y} end, fun(F) -> F(Y) end,
     fun() -> fun() -> {X, Y} end end,
     (fun(Z) -> fun() -> Z end end)(1), fun Loop(0) -> X; Loop(N) -> Loop(N - 1) end,
     fun lists:map/2, fun erlang:'+'/2, fun erlang:send/2, fun no_such_module:'no such function'/3,
     fun 'Elixir.Enum':map/2, fun ?MODULE:start/1, fun smalls/0,
     interpreted(), of_unloaded_module([]), of_unloaded_module([17, <<"free">>, {variable}]),
     of_unloaded_module([lists:seq(1, 10)])].

interpreted() ->
    {ok, Tokens, _} = erl_scan:string("fun(A, B) -> {A, B, C} end."),
    {ok, Exprs} = erl_parse:parse_exprs(Tokens),
    {value, Fun, _} = erl_eval:exprs(Exprs, [{'C', "bound"}]),
    Fun.

%% NEW_FUN_EXT of a module that this VM never saw, as it arrives from another node.
of_unloaded_module(Free) ->
    Module = node_name(gone_module),
    Terms = << <<(external_of(Term))/binary>> || Term <- Free >>,
    Rest = <<2, 16#0123456789ABCDEF0123456789ABCDEF:128, 7:32, (length(Free)):32, Module/binary, 97, 7, 98, 12345678:32,
             (external_of(self()))/binary, Terms/binary>>,
    binary_to_term(<<131, 112, (byte_size(Rest) + 4):32, Rest/binary>>).

external_of(Term) ->
    <<131, External/binary>> = term_to_binary(Term),
    External.

%% ---- deep and mixed -----------------------------------------------------------------------------------------

nested() ->
    [nest(10, x), nest(100, []), nest(10000, []), tuple_nest(1000, "core"), map_nest(200, #{}), improper_nest(1000),
     [{I, #{id => I, name => integer_to_binary(I), tags => [a, "b", <<"c">>], at => {I, 1.5 * I}}}
      || I <- lists:seq(1, 20)],
     {state,
      #{sessions => #{<<"alice">> => #session{id = 1, options = [{timeout, 5000}]}, <<"bob">> => #session{id = 2}},
        queue => {[3, 2, 1], [4]},
               timer => make_ref(), owner => self()}},
     gb_trees:from_orddict([{I, I} || I <- lists:seq(1, 30)]), sets:from_list(lists:seq(1, 50)),
     truth_compat:set([a, b, c], 2),
     array:from_list(lists:seq(1, 25)), dict:from_list([{a, 1}, {b, 2}]), queue:from_list([1, 2, 3]), digraph:new()].

nest(0, Core) -> Core;
nest(N, Core) -> nest(N - 1, [Core]).

tuple_nest(0, Core) -> Core;
tuple_nest(N, Core) -> tuple_nest(N - 1, {N, Core}).

map_nest(0, Core) -> Core;
map_nest(N, Core) -> map_nest(N - 1, #{N => Core}).

improper_nest(0) -> [];
improper_nest(N) -> [N | {improper_nest(N - 1)}].

literal() ->
    {literal, [1, 2.5, "three", <<"four">>, #{five => six}], 123456789012345678901234567890,
     <<"a literal binary that is longer than the sixty-four bytes which fit on a heap, hence off the heap">>,
     fun lists:map/2}.

%% ---- a live match context -----------------------------------------------------------------------------------

matcher() ->
    Binary = blob(500),
    Pid = spawn(fun() -> register(terms_matching, self()), matching(Binary, 0) end),
    Pid ! {skip, 1},
    Pid ! {skip, 2},
    Pid.

%% Rest is only matched on, so the compiler keeps the match context instead of making a sub-binary; and it must
%% survive the receive, so it is on the stack.
matching(<<Byte, Rest/binary>>, Sum) ->
    receive {skip, N} -> matching(Rest, Sum + Byte * N) end;
matching(<<>>, Sum) ->
    Sum.
