%% SPDX-License-Identifier: Apache-2.0
%% Tables of every kind and in every state.
%%
%% What goes wrong: nothing but two tables that are fixed for long (kinds_fixed_*) and hold deleted rows. This is
%% the workload for whoever reads tables.
%%
%% An analysis should say: kinds_fixed_* are fixed by kinds_fixer and hold deleted rows; nothing else of note.
%%
%% kinds_TYPE_N      type x compressed x write_concurrency x decentralized_counters; the other options (read_concurrency,
%%                   protection, named or not, keypos) and the number of rows rotate
%% kinds_fixed_TYPE  fixed, with rows deleted since (pseudo-deleted in hash tables) and inserted since
%% kinds_grown, kinds_shrunk, kinds_emptied     after splitting and joining buckets
%% kinds_split*      ordered_set with write_concurrency whose tree of locks was split
%% kinds_contended   write_concurrency auto under four writers, so that it may have got more locks
%% kinds_inherited, kinds_heir_*, kinds_given   heirs alive and dead, used and unused, and ets:give_away/3
%% kinds_records     compressed, native records if the release has them
%% kinds_large       more than a million words
-module(ets_kinds).
-export([start/1]).

-record(account, {pad, id, owner, balance}).

start(Args) ->
    combinations(),
    truth:hold(kinds_owner, fun() -> sizes(), records(), locks(), keypositions(), large(truth:arg(large, Args, 60000)), ok end),
    fixed(),
    split(),
    contended(),
    heirs(),
    #{rows => #{kinds_shrunk => full, kinds_split => full, kinds_records => full},
      expect => #{fixed => [fixed_name(Type) || Type <- [set, bag, duplicate_bag, ordered_set, compressed, catree]],
                  fixer => kinds_fixer}}.

%% ---- all options --------------------------------------------------------------------------------------------

%% The owners run on all schedulers in turn, because each scheduler keeps a list of its own tables.
combinations() ->
    Options = [{Type, Compressed, Writes, Counters} || Type <- [set, ordered_set, bag, duplicate_bag],
                                                       Compressed <- [false, true],
                                                       Writes <- [false, true, truth_compat:write_concurrency(auto)],
                                                       Counters <- [false, true]],
    Numbered = truth_compat:enumerate(0, Options),
    Schedulers = erlang:system_info(schedulers),
    [truth:hold(undefined, fun() -> [combination(N, O) || {N, O} <- Numbered, N rem Schedulers =:= S], ok end,
                #{scheduler => S + 1}) || S <- lists:seq(0, Schedulers - 1)].

combination(N, {Type, Compressed, Writes, Counters}) ->
    KeyPos = turn(N, [1, 1, 1, 2]),
    Name = list_to_atom(lists:concat([kinds_, Type, '_', N])),
    Table = ets:new(Name, [Type, {write_concurrency, Writes}, {decentralized_counters, Counters}, {keypos, KeyPos},
                           {read_concurrency, turn(N, [false, false, true])},
                           turn(N, [public, protected, private, public, protected])]
                          ++ [compressed || Compressed] ++ [named_table || turn(N, [true, false, true, true, false])]),
    [ets:insert(Table, row(Table, KeyPos, Type, I)) || I <- lists:seq(1, turn(N, [7, 0, 300, 1, 2300, 40, 1000]))].

turn(N, Choices) ->
    lists:nth(1 + N rem length(Choices), Choices).

%% In bags three rows share a key, and in duplicate bags some are equal too.
row(Table, 1, bag, I) -> {I div 3, I, value(Table, I)};
row(Table, 1, duplicate_bag, I) -> {I div 3, value(Table, I div 2)};
row(Table, 1, _, I) -> {key(I), value(Table, I)};
row(Table, 2, Type, I) -> {value(Table, I), element(1, row(Table, 1, Type, I)), I}.

key(I) when I rem 5 =:= 0 -> {key, I};
key(I) when I rem 7 =:= 0 -> integer_to_binary(I);
key(I) when I rem 11 =:= 0 -> I * 1.5;
key(I) when I rem 13 =:= 0 -> "key " ++ integer_to_list(I);
key(I) when I rem 17 =:= 0 -> (1 bsl 70) + I;
key(I) -> I.

value(Table, I) ->
    case I rem 12 of
        0 -> I;
        1 -> "string " ++ integer_to_list(I);
        2 -> list_to_binary(lists:duplicate(I rem 60, I rem 256));
        3 -> binary:copy(<<I:32>>, 20 + I rem 50);
        4 -> #{id => I, tags => [a, b, {I}], at => I / 3};
        5 -> maps:from_list([{K, I} || K <- lists:seq(1, 36)]);
        6 -> {whereis(init), self(), external_fun(Table), fun() -> I end};
        7 -> -(1 bsl (I rem 200));
        8 -> binary:part(binary:copy(<<I:64>>, 30), 5, 70 + I rem 100);
        9 -> [I, [I, [I | tail]], {}, [], <<>>, <<I:13>>];
        10 -> {make_ref(), binary_to_term(<<131, 88, 119, 3, "x@y", I:32, 0:32, 1:32>>)};
        11 -> list_to_atom("value_" ++ integer_to_list(I rem 100))
    end.

%% On OTP 27 to 29, reading an external fun from a compressed table gives garbage or ends the VM (27.3.4, 29.1).
external_fun(Table) ->
    Broken = list_to_integer(erlang:system_info(otp_release)) >= 27,
    case Broken andalso ets:info(Table, compressed) of
        true -> fun(A) -> A end;
        false -> fun lists:map/2
    end.

%% ---- states of hash tables ----------------------------------------------------------------------------------

%% One bucket is split or joined at a time, so nearly every number of rows leaves a table in the middle of it.
sizes() ->
    fill(new(kinds_grown, [set]), 1, 3333),
    Shrunk = fill(new(kinds_shrunk, [set]), 1, 9000),
    [ets:delete(Shrunk, I) || I <- lists:seq(1, 7771)],
    Emptied = fill(new(kinds_emptied, [bag, compressed]), 1, 5000),
    [ets:delete(Emptied, I) || I <- lists:seq(1, 5000)],
    Cleared = fill(new(kinds_cleared, [set, {write_concurrency, true}]), 1, 5000),
    ets:delete_all_objects(Cleared),
    fill(Cleared, 1, 5).

fill(Table, From, To) ->
    [ets:insert(Table, {I, value(Table, I)}) || I <- lists:seq(From, To)],
    Table.

new(Name, Options) ->
    ets:new(Name, [public, named_table | Options]).

locks() ->
    Locks = truth_compat:write_concurrency({debug_hash_fixed_number_of_locks, 256}),
    fill(ets:new('kinds of locks', [public, {write_concurrency, Locks}]), 1, 500).

keypositions() ->
    Accounts = new(kinds_accounts, [ordered_set, {keypos, #account.id}]),
    [ets:insert(Accounts, #account{pad = x, id = {I rem 10, I}, owner = <<"owner">>, balance = I * 100})
     || I <- lists:seq(1, 100)],
    Last = new(kinds_keypos_5, [bag, {keypos, 5}]),
    [ets:insert(Last, {1, 2, 3, 4, I rem 4, I}) || I <- lists:seq(1, 40)].

large(Rows) ->
    Table = new(kinds_large, [set]),
    ets:insert(Table, [{I, {I, I + 1, I + 2, [I, a, b]}, I * 2.5} || I <- lists:seq(1, Rows)]).

%% ---- fixed tables -------------------------------------------------------------------------------------------

%% kinds_fixer fixes twice, another process once. Deleted rows stay until the last fixation goes; inserting the
%% key of one again revives it.
fixed() ->
    truth:hold(kinds_fixed_owner, fun() ->
        fixed_table(set, [set]),
        fixed_table(bag, [bag]),
        fixed_table(duplicate_bag, [duplicate_bag, {write_concurrency, true}]),
        fixed_table(ordered_set, [ordered_set]),
        fixed_table(compressed, [set, compressed]),
        fixed_table(catree, [ordered_set, {write_concurrency, true}]),
        ok
    end),
    Types = [set, bag, duplicate_bag, ordered_set, compressed, catree],
    truth:hold(kinds_fixer, fun() -> [ets:safe_fixtable(fixed_name(T), true) || T <- Types ++ Types], ok end),
    truth:hold(undefined, fun() -> [ets:safe_fixtable(fixed_name(T), true) || T <- Types], ok end),
    [delete_and_insert(fixed_name(T)) || T <- Types],
    %% Fixed for a while, and released: nothing may remain of it.
    truth:hold(kinds_unfixer, fun() ->
        Table = fill(new(kinds_unfixed, [set]), 1, 100),
        ets:safe_fixtable(Table, true),
        [ets:delete(Table, I) || I <- lists:seq(1, 50)],
        ets:safe_fixtable(Table, false),
        ok
    end).

fixed_name(Type) ->
    list_to_atom("kinds_fixed_" ++ atom_to_list(Type)).

fixed_table(Type, Options) ->
    Table = new(fixed_name(Type), Options),
    [ets:insert(Table, {I, J, value(Table, I)}) || I <- lists:seq(1, 400), J <- [1, 2]].

delete_and_insert(Table) ->
    [ets:delete(Table, I) || I <- lists:seq(1, 400), I rem 3 =/= 0],
    [ets:insert(Table, {I, again}) || I <- lists:seq(1, 60)],
    [ets:insert(Table, {I, new}) || I <- lists:seq(1001, 1600)].

%% ---- trees with many locks ----------------------------------------------------------------------------------

split() ->
    _ = erts_debug:set_internal_state(available_internal_state, true),
    truth:hold(kinds_split_owner, fun() ->
        split_table(kinds_split, [], 1500),
        split_table(kinds_split_compressed, [compressed, {decentralized_counters, false}], 200),
        Joined = split_table(kinds_split_joined, [{write_concurrency, truth_compat:write_concurrency(auto)}], 1000),
        ok = erts_debug:set_internal_state(ets_force_split, {ets:whereis(Joined), false}),
        %% A thousand uncontended writes in one part of the tree join it with its neighbour.
        [ets:insert(Joined, {I rem 50, joined}) || I <- lists:seq(1, 5000)],
        [ets:delete(Joined, I) || I <- lists:seq(100, 900)],
        ok
    end).

records() ->
    Table = ets:new(kinds_records, [named_table, compressed]),
    ets:insert(Table, [{N, Record, [Record]} || {N, Record} <- truth_compat:enumerate(truth_compat:native_records())]).

split_table(Name, Options, Rows) ->
    Table = new(Name, [ordered_set, {write_concurrency, true} | Options]),
    ok = erts_debug:set_internal_state(ets_force_split, {ets:whereis(Table), true}),
    fill(Table, 1, Rows).

contended() ->
    truth:hold(kinds_contended_owner, fun() ->
        Table = new(kinds_contended, [set, {write_concurrency, truth_compat:write_concurrency(auto)}]),
        Writers = [spawn_monitor(fun() -> write(Table, W) end) || W <- lists:seq(1, 4)],
        [receive {'DOWN', Monitor, process, Pid, normal} -> ok end || {Pid, Monitor} <- Writers],
        ok
    end).

write(Table, Writer) ->
    [ets:insert(Table, {N rem 1500, Writer, N}) || N <- lists:seq(1, 60000)].

%% ---- heirs --------------------------------------------------------------------------------------------------

heirs() ->
    {Heir, ok} = truth:hold(kinds_heir, fun() -> ok end),
    dead_owner(fun() -> row_and(new(kinds_inherited, [{heir, Heir, {from, self(), <<"data">>}}])) end),
    dead_owner(fun() -> row_and(ets:new(kinds_inherited, [bag, private, {heir, Heir, none}])) end),
    Dead = dead_owner(fun() -> ok end),
    truth:hold(kinds_testator, fun() ->
        row_and(new(kinds_heir_alive, [{heir, Heir, #{large => lists:seq(1, 50)}}])),
        row_and(new(kinds_heir_dead, [{heir, Dead, data}])),
        row_and(new(kinds_heir_self, [{heir, self(), data}])),
        Given = row_and(new(kinds_given, [private])),
        ets:give_away(Given, Heir, gift),
        ok
    end).

row_and(Table) ->
    ets:insert(Table, {self(), Table}),
    Table.

dead_owner(Make) ->
    {Pid, Monitor} = spawn_monitor(Make),
    receive {'DOWN', Monitor, process, Pid, normal} -> Pid end.
