%% SPDX-License-Identifier: Apache-2.0
%% Collections of OTP's and Elixir's modules, and things that only look like them.
%%
%% What goes wrong: nothing. Each collection is held in a process's dictionary, in a row of a table, and in one of a
%% compressed table.
%%
%% Stands for: state that grows, in whichever form its author chose; and for the same table with and without the
%% option `compressed`.
%%
%% An analysis should say: of each collection what it is and how many elements its own module counts, and of what only
%% looks like one that it is a tuple, a list or a map.
-module(collections).
-export([start/1]).

-define(SIZE, 2000).

start(_Args) ->
    Values = values(),
    truth:hold(coll_holder, fun() ->
        [put(Name, Value) || {Name, _, _, Value} <- values()],
        [fill(Table, Options) || {Table, Options} <- [{coll_plain, []}, {coll_compressed, [compressed]}]],
        ok
    end),
    #{expect => maps:from_list([{Name, #{kind => Kind, size => Size, flat_words => erts_debug:flat_size(Value)}}
                                || {Name, Kind, Size, Value} <- Values]),
      rows => #{coll_plain => {sample, 0}, coll_compressed => {sample, 0}}}.

fill(Table, Options) ->
    ets:new(Table, [named_table, public | Options]),
    [ets:insert(Table, {Name, Value}) || {Name, _, _, Value} <- values()],
    %% Keys of rows of compressed tables are not compressed.
    ets:insert(Table, {{in_key, keys(), marked("key")}, #{deep => [1, {marked("value")}]}}).

%% A binary off the heap, of its own.
marked(What) ->
    iolist_to_binary(["collections:", What, ":", lists:duplicate(1000, $.)]).

%% {Name, What it is, Elements as its module counts them, Value}
values() ->
    Keys = keys(),
    Pairs = pairs(Keys),
    Queue = lists:foldl(fun queue:in/2, queue:new(), Keys),
    {_, Taken} = queue:out(Queue),
    Set1 = truth_compat:set(Keys, 1),
    Set2 = truth_compat:set(Keys, 2),
    Dict = dict:from_list(Pairs),
    GbTree = gb_trees:from_orddict(Pairs),
    Grown = lists:foldl(fun({K, V}, Tree) -> gb_trees:enter(K, V, Tree) end, gb_trees:empty(), Pairs),
    GbSet = gb_sets:from_list(Keys),
    Array = array:from_list(Keys),
    Sparse = array:set(?SIZE * 7 + 3, last, array:new()),
    Fixed = array:set(17, a, array:new(?SIZE * 3, {default, none})),
    Orddict = orddict:from_list([{list_to_binary(io_lib:format("key ~6..0b", [K])), V} || {K, V} <- Pairs]),
    Map = maps:from_list(Pairs),
    [{queue, queue, queue:len(Queue), Queue},
     {queue_taken, queue, queue:len(Taken), Taken},
     {set1, set, sets:size(Set1), Set1},
     {set2, set, sets:size(Set2), Set2},
     {dict, dict, dict:size(Dict), Dict},
     {gb_tree, gb_tree, gb_trees:size(GbTree), GbTree},
     {gb_tree_grown, gb_tree, gb_trees:size(Grown), Grown},
     {gb_set, gb_set, gb_sets:size(GbSet), GbSet},
     {array, array, array:size(Array), Array},
     {array_sparse, array, array:size(Sparse), Sparse},
     {array_fixed, array, array:size(Fixed), Fixed},
     {orddict, orddict, orddict:size(Orddict), Orddict},
     {map, map, maps:size(Map), Map},
     {map_of_maps, map, ?SIZE, maps:from_list([{K, #{n => K, v => V}} || {K, V} <- Pairs])},
     %% What only looks like one.
     {list_of_pairs, list, ?SIZE, lists:reverse(Pairs)},
     {pairs_with_equal_keys, list, ?SIZE, [{same, K} || K <- Keys]},
     {almost_a_set, map, ?SIZE, Map#{hd(Keys) := []}},
     {gb_tree_with_a_hole, none, 0, setelement(1, GbTree, ?SIZE + 1)},
     {dict_that_counts_too_few, none, 0, setelement(2, Dict, ?SIZE - 1)},
     {array_that_ends_early, none, 0, ends_early(Array)},
     {wide, tuple, ?SIZE, list_to_tuple(Keys)}] ++ elixir(Keys).

%% What its tree spans; since OTP 29 as bits of an index.
ends_early(Array) ->
    setelement(case tuple_size(Array) of 5 -> 3; 9 -> 9 end, Array, 4).

elixir(Keys) ->
    case code:ensure_loaded('Elixir.MapSet') of
        {module, _} ->
            Set = 'Elixir.MapSet':new(Keys),
            [{map_set, map_set, 'Elixir.MapSet':size(Set), Set}];
        _ ->
            []
    end.

keys() -> lists:seq(1, ?SIZE).

pairs(Keys) -> [{K, {value, K}} || K <- Keys].
