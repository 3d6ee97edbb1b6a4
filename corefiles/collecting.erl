%% SPDX-License-Identifier: Apache-2.0
%% Dumped while a process collects garbage.
%%
%% What goes wrong: nothing; but the heap of a process is between two states: some of its terms have moved to another
%% heap, which no member of its struct leads to, and their old places have the address of the new one.
%%
%% Stands for: a core of a node whose large processes spend their time with collections.
%%
%% An analysis should say: that the process was collecting garbage, wherever it tells what it holds. The binary that
%% begins with `collected` is the process's alone.
%%
%% The VM is dumped as soon as it says that the process collects; there is nothing between asking and dumping, and a
%% collection of this heap takes thousands of times as long.
-module(collecting).
-export([start/1]).

start(_Args) ->
    Pid = spawn(fun() -> register(collecting, self()), receive go -> collect(kept()) end end),
    #{volatile => [Pid],
      expect => #{pid => Pid},
      before_dump => fun() ->
          process_flag(priority, max),
          Pid ! go,
          wait_until_collecting(Pid)
      end}.

kept() ->
    Bin = binary:copy(<<"collected">>, 30),
    {lists:seq(1, 1500000), #{body => Bin}}.

collect(Kept) ->
    garbage_collect(),
    collect(Kept).

%% To ask for the status alone is no signal (see pi_args[] in erl_bif_info.c).
wait_until_collecting(Pid) ->
    case process_info(Pid, status) of
        {status, garbage_collecting} -> erlang:halt(abort);
        _ -> wait_until_collecting(Pid)
    end.
