%% SPDX-License-Identifier: Apache-2.0
%% Schedulers that are taken, and processes that wait for them.
%%
%% What goes wrong: a NIF does not return on scheduler 2, to which ten processes of all priorities are bound; two dirty NIFs
%% have all dirty CPU schedulers, and three processes wait for one; a dirty IO scheduler is taken as well. On scheduler 3 a
%% process of low priority computes. All that begins when the truth is on disk, because it never ends.
%%
%% Stands for: a NIF that blocks (a lock, a network file system) or computes for long without being dirty; dirty NIFs
%% that are slow, so that there are too few dirty schedulers.
%%
%% An analysis should say: which NIF of which process has which scheduler, what waits behind each (lines of kind
%% `scheduled` and `run_queues`), that scheduler 2 holds up thread progress.
-module(schedulers).
-export([start/1, take/1, take_dirty_cpu/1, take_dirty_io/1, threads/0]).

-define(STEP(N), ((N * 31 + 7) band 16#ffffff)).
-define(TIMES_4(N), ?STEP(?STEP(?STEP(?STEP(N))))).
-define(TIMES_16(N), ?TIMES_4(?TIMES_4(?TIMES_4(?TIMES_4(N))))).
-define(TIMES_64(N), ?TIMES_16(?TIMES_16(?TIMES_16(?TIMES_16(N))))).
-define(TIMES_256(N), ?TIMES_64(?TIMES_64(?TIMES_64(?TIMES_64(N))))).

start(_Args) ->
    ok = erlang:load_nif(filename:join(filename:dirname(code:which(?MODULE)), "schedulers_nif"), 0),
    %% Code that is not loaded now never will be: that takes thread progress.
    _ = lines([]),
    #{last_lines => fun() -> lines(occupy()) end,
      expect => #{stuck => ?MODULE}}.

occupy() ->
    %% Our timers must not be those of a scheduler that does not come back to them.
    process_flag(scheduler, 1),
    Stuck = taken(stuck, fun() -> take(0) end, [{scheduler, 2}]),
    Dirty = [taken(Role, Take, [])
             || {Role, Take} <- [{dirty_cpu, fun() -> take_dirty_cpu(1) end}, {dirty_cpu, fun() -> take_dirty_cpu(2) end},
                                 {dirty_io, fun() -> take_dirty_io(3) end}]],
    wait_until(fun() -> length([T || {_, T, _} <- threads(), T =/= 0]) =:= 4 end),
    Behind = [{behind, Priority, spawn_opt(fun() -> ok end, [{scheduler, 2}, {priority, Priority}])}
              || {Priority, Count} <- [{max, 1}, {high, 2}, {normal, 3}, {low, 4}], _ <- lists:seq(1, Count)],
    Queued = [taken(dirty_queued, fun() -> take_dirty_cpu(4) end, []) || _ <- lists:seq(1, 3)],
    Busy = {busy, low, spawn_opt(fun() -> result(fun() -> compute(0) end) end, [{scheduler, 3}, {priority, low}])},
    wait_until(fun() -> lists:all(fun({_, _, Pid}) -> status(Pid) =:= runnable end, Behind ++ Queued) end),
    wait_until(fun() -> status(element(3, Busy)) =:= running end),
    [Stuck, Busy | Dirty ++ Behind ++ Queued].

taken(Role, Take, Options) ->
    {Role, normal, spawn_opt(fun() -> result(Take) end, Options)}.

%% Has a frame on the stack while Fun runs.
result(Fun) ->
    {result, Fun()}.

%% Much of it for one reduction: between two times that it is executed, its scheduler executes nobody.
compute(N) ->
    compute(?TIMES_256(N)).

wait_until(Done) ->
    Done() orelse begin receive after 10 -> ok end, wait_until(Done) end.

%% Others can tell for a process that waits to be executed; one that is would have to answer itself.
status(Pid) ->
    element(2, process_info(Pid, status)).

%% Of a VM in which nothing moves any more but `busy`.
lines(Roles) ->
    Lengths = erlang:statistics(run_queue_lengths_all),
    Threads = threads(),
    [#{kind => run_queues, lengths => Lengths, active => erlang:statistics(active_tasks_all),
       threads => [[Index, Thread, Tid] || {Index, Thread, Tid} <- Threads]}
     | [#{kind => scheduled, role => Role, pid => Pid, priority => Priority,
          status => case lists:member(Role, [behind, dirty_queued]) of true -> status(Pid); false -> running end}
        || {Role, Priority, Pid} <- Roles]].

take(_Index) -> erlang:nif_error(not_loaded).
take_dirty_cpu(_Index) -> erlang:nif_error(not_loaded).
take_dirty_io(_Index) -> erlang:nif_error(not_loaded).
%% {Index, pthread_self(), gettid()} of each that was taken.
threads() -> erlang:nif_error(not_loaded).
