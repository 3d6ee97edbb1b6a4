%% SPDX-License-Identifier: Apache-2.0
%% Processes at every kind of place in code.
%%
%% What goes wrong: nothing. This is the workload for whoever walks stacks and names functions.
%%
%% An analysis should say: nothing suspicious.
%%
%% stacks_recursion   1,000 calls from one place, which a stacktrace shows as one
%% stacks_mutual      more different frames than a stacktrace shows
%% stacks_catches     within try, catch and after of several functions
%% stacks_terms       has the terms of `stack` in its dictionary on its stack
%% stacks_fun         in a fun in a comprehension in a fun of lists
%% stacks_hibernated  hibernates with the arguments of `registers` in its dictionary
%% stacks_old         in code that was replaced
%% stacks_traced      in functions whose calls are traced in four ways
%% stacks_suspended   suspended in a receive
%% stacks_spinning    started before the dump; runs
-module(stacks).
%% OTP 29 warns of `catch`, which is what is on this stack.
-compile(nowarn_deprecated_catch).
-export([start/1, asleep/3, traced/2]).

start(_Args) ->
    start(stacks_recursion, fun() -> recursion(1000) end),
    start(stacks_mutual, fun() -> odd(15) end),
    start(stacks_catches, fun() -> catches(fun wait/0) end),
    start(stacks_terms, fun terms/0),
    start(stacks_fun, fun() -> in_funs([1]) end),
    start(stacks_old, fun() -> in_old_code(one) end),
    Suspended = start(stacks_suspended, fun() -> odd(2) end),
    truth:hold(stacks_hibernated_by_timer, fun() -> ok end),
    hibernated(),
    traced(),
    %% What runs now is old code from here on.
    {?MODULE, Object, File} = code:get_object_code(?MODULE),
    {module, ?MODULE} = code:load_binary(?MODULE, File, Object),
    #{before_dump => fun() -> before_dump(Suspended) end}.

%% Anything that is not there when the truth is written; the truth is not told about these.
before_dump(Suspended) ->
    erlang:suspend_process(Suspended),
    start(stacks_spinning, fun() -> spin(0) end).

spin(N) ->
    spin(N + 1).

start(Name, Fun) ->
    Pid = spawn(fun() -> register(Name, self()), Fun() end),
    wait_for(fun() -> whereis(Name) =:= Pid end),
    Pid.

wait_for(Condition) ->
    case Condition() of
        true -> ok;
        false -> timer:sleep(1), wait_for(Condition)
    end.

wait() ->
    receive never -> ok end.

recursion(0) -> wait(), 0;
recursion(N) -> 1 + recursion(N - 1).

odd(0) -> wait(), 1;
odd(N) -> 1 + even(N - 1).

even(0) -> wait(), 0;
even(N) -> 1 + odd(N - 1).

catches(Fun) ->
    try
        [catch catches_more(Fun), done]
    catch
        throw:never -> ok
    end.

catches_more(Fun) ->
    try
        {ok, _} = {Fun(), Fun}
    after
        put(was, here)
    end.

terms() ->
    Terms = [{tuple, self()}, "a list", #{a => map}, <<"binary">>, fun lists:map/2, 1 bsl 70],
    put(stack, Terms),
    [A, B, C, D, E, F] = Terms,
    wait(),
    {F, E, D, C, B, A}.

in_funs(List) ->
    lists:map(fun(X) -> [begin wait(), X + Y end || Y <- List] end, List).

in_old_code(X) ->
    wait(),
    X.

hibernated() ->
    Arguments = [{first, make_ref()}, <<"second">>, 3],
    spawn(fun() ->
        register(stacks_hibernated, self()),
        put(registers, [?MODULE, asleep, Arguments]),
        erlang:hibernate(?MODULE, asleep, Arguments)
    end).

asleep(_, _, _) ->
    wait().

%% The return addresses of tracing stand on the stack between those of the functions.
traced() ->
    Tracer = spawn(fun() -> register(stacks_tracer, self()), wait() end),
    Pid = spawn(fun() -> register(stacks_traced, self()), receive go -> ok end, traced(3, []), ok end),
    erlang:trace(Pid, true, [call, return_to, {tracer, Tracer}]),
    erlang:trace_pattern({?MODULE, traced, 2}, [{'_', [], [{exception_trace}]}], [local]),
    erlang:trace_pattern({?MODULE, traced_return, 1}, [{'_', [], [{return_trace}]}], [local]),
    erlang:trace_pattern({?MODULE, traced_time, 1}, true, [local, call_time]),
    Pid ! go.

traced(0, Done) ->
    [traced_return(Done) | Done];
traced(N, Done) ->
    [N | traced(N - 1, [N | Done])].

traced_return(Done) ->
    {traced_time(Done), Done}.

traced_time(Done) ->
    wait(),
    Done.
