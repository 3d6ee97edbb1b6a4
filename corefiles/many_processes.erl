%% SPDX-License-Identifier: Apache-2.0
%% As many processes and terms as a large node has.
%%
%% What goes wrong: nothing. Stands for: a node under load, on which an analysis must end in seconds.
%%
%% An analysis should say: --arg processes=N (default 100000) processes named by their initial call, each with
%% --arg terms=N (default 50) tuples in its state: a map of its own, a list and a few binaries.
-module(many_processes).
-export([start/1, loop/1]).

start(Args) ->
    Count = truth:arg(processes, Args, 100000),
    Terms = truth:arg(terms, Args, 50),
    Pids = [spawn_opt(fun() -> loop(state(N, Terms)) end, [{min_heap_size, 233}]) || N <- lists:seq(1, Count)],
    [receive_ready(Pid) || Pid <- Pids],
    #{}.

receive_ready(Pid) ->
    Pid ! {self(), ready},
    receive {Pid, ready} -> ok end.

state(N, Terms) ->
    #{id => N,
      items => [{item, I, [I | N]} || I <- lists:seq(1, Terms div 2)],
      index => maps:from_list([{I, {N, I}} || I <- lists:seq(1, Terms div 2)]),
      body => binary:copy(<<N:64>>, 16)}.

loop(State) ->
    receive
        {From, ready} ->
            From ! {self(), ready},
            loop(State);
        {update, New} ->
            loop(New)
    end.
