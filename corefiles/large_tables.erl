%% SPDX-License-Identifier: Apache-2.0
%% Few tables with many rows.
%%
%% What goes wrong: nothing. Each row has a name that points into a packet, and the pid of a process that may be dead.
%%
%% Stands for: the one large table that most systems have, for measuring speed, and for what is shared out among threads.
%%
%% An analysis should say: large_set, large_tree, large_ca_tree and large_bag hold so many rows and binaries.
%%
%% --arg rows=N (default 40000) of large_set; the others have a quarter of it.
-module(large_tables).
-export([start/1]).

start(Args) ->
    Rows = truth:arg(rows, Args, 40000),
    Dead = spawn(fun() -> ok end),
    Tables = [{large_set, [set], Rows},
              {large_tree, [ordered_set], Rows div 4},
              {large_ca_tree, [ordered_set, {write_concurrency, true}], Rows div 4},
              {large_bag, [bag, compressed], Rows div 4}],
    truth:hold(large_owner, fun() ->
        [fill(ets:new(Name, [named_table, public | Options]), N, Dead) || {Name, Options, N} <- Tables],
        ok
    end),
    #{expect => maps:from_list([{Name, N} || {Name, _, N} <- Tables]),
      rows => maps:from_list([{Name, {sample, 0}} || {Name, _, _} <- Tables])}.

fill(Table, Rows, Dead) ->
    [ets:insert(Table, {N, name(N), #{seen => [N], size => N rem 100}, whose(N, Dead)}) || N <- lists:seq(1, Rows)].

%% 70 bytes of 300: longer than what would be copied to the heap.
name(N) ->
    binary:part(iolist_to_binary(["name=", integer_to_list(N), lists:duplicate(300, $.)]), 5, 70).

whose(N, Dead) when N rem 1000 =:= 17 -> Dead;
whose(_, _) -> self().
