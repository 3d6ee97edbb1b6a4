%% SPDX-License-Identifier: Apache-2.0
%% A VM that is dumped while large tables are being freed.
%%
%% ets:delete/1 of a large table yields: the table is gone for everybody at once, but its rows are freed bit by bit,
%% and the same goes for the tables of a process that exits. A core taken meanwhile has tables that are half there. They
%% are in no scheduler's list any more, only in the list of tables that the process owns.
%%
%% An analysis should say: deleting_set, deleting_tree and deleting_exit are being deleted, and how much of each
%% remains; nothing of it may be taken for a corrupt core. How far the VM got when it was dumped is chance, and a table
%% may even be gone. The truth was written before: there the tables are whole, with a label, and system.ets_count counts them.
%% The three processes are marked volatile.
%%
%% --arg rows=N (default 200000)
-module(ets_deleting).
-export([start/1]).

start(Args) ->
    Rows = truth:arg(rows, Args, 200000),
    Deleters = [owner(deleting_set, [set], Rows, fun ets:delete/1),
                owner(deleting_tree, [ordered_set], Rows, fun ets:delete/1),
                owner(deleting_exit, [bag], Rows, fun(_) -> exit(normal) end)],
    truth:hold(bystander,
               fun() -> ets:insert(ets:new(deleting_nothing, [named_table]), [{I, I} || I <- lists:seq(1, 100)]) end),
    #{rows => same({sample, 10}),
      labels => same("being deleted when the VM was dumped"),
      volatile => Deleters,
      expect => #{deleting => [deleting_set, deleting_tree, deleting_exit]},
      before_dump => fun() -> delete(Deleters) end}.

same(Value) ->
    maps:from_list([{Table, Value} || Table <- [deleting_set, deleting_tree, deleting_exit]]).

owner(Name, Options, Rows, Delete) ->
    Parent = self(),
    Pid = spawn(fun() ->
        Table = ets:new(Name, [named_table, public | Options]),
        ets:insert(Table, [{I, {row, I}, [I, I + 1]} || I <- lists:seq(1, Rows)]),
        erlang:garbage_collect(),
        Parent ! {self(), made},
        receive delete -> Delete(Table), receive never -> ok end end
    end),
    receive {Pid, made} -> Pid end.

delete(Deleters) ->
    [Pid ! delete || Pid <- Deleters],
    wait_until_gone([deleting_set, deleting_tree, deleting_exit]),
    spin(erlang:monotonic_time(microsecond) + 2000).

%% A moment for some rows to go.
spin(Until) ->
    case erlang:monotonic_time(microsecond) of
        Now when Now < Until -> spin(Until);
        _ -> ok
    end.

%% The names go first, the rows after.
wait_until_gone(Tables) ->
    case [T || T <- Tables, ets:whereis(T) =/= undefined] of
        [] -> ok;
        Left -> wait_until_gone(Left)
    end.
