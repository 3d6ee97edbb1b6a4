%% SPDX-License-Identifier: Apache-2.0
%% Processes that were interrupted in the middle of a BIF which takes long.
%%
%% What goes wrong: nothing. A BIF that takes long is interrupted after a while and goes on later. Meanwhile its state is
%% in a magic binary of a kind that only it knows, and what it builds is in that state alone: no term refers to it yet.
%%
%% Stands for: a node that encodes or copies something huge when it dies. Hundreds of megabytes are gone, and no process
%% has them.
%%
%% An analysis should say: expect.traps: the process holds a binary of this size that is being built. As a guess, because
%% nothing but the form of a binary shows it. Of a process that `binary_to_list` forbids to collect garbage, that what
%% looks like garbage may not be. Of a list of objects that is being inserted into a table, that references to a binary in
%% them are not accounted for, and that who is in the middle of ets:insert/2 may have them.
%%
%% That something is being built is told by the VM itself: while it is, erlang:memory(binary) or (ets) has that much more in it.
-module(traps).
-export([start/1]).

start(_Args) ->
    Traps = [trap(Kind, Size, Function, Work) || {Kind, Size, Function, Work} <- kinds()],
    #{volatile => [Pid || {_, Pid, _, _} <- Traps],
      expect => #{traps => [#{kind => Kind, pid => Pid, size => Size} || {Kind, Pid, Size, _} <- Traps]},
      before_dump => fun() ->
          [catch_in_the_middle(Trap) || Trap <- Traps],
          %% A request for a collection, with an id that refers to a binary, waits until the BIF allows it.
          {_, Pid, _, _} = lists:keyfind(to_list, 1, Traps),
          Id = {requested, binary:copy(<<"request">>, 50)},
          async = garbage_collect(Pid, [{async, Id}])
      end}.

%% Kind, bytes of the binary that is being built (none for `to_list`), the function that it goes on with, and the work.
kinds() ->
    Terms = lists:seq(1, 300000),
    Source = binary:copy(<<"source">>, 400000),
    Size = byte_size(term_to_binary(Terms)),
    Body = binary:copy(<<"insert">>, 20),
    Objects = [{I, Body} || I <- lists:seq(1, 40000)],
    [{encode, Size, {erts_internal, term_to_binary_trap, 1},
      fun() -> term_to_binary(value(Terms)) end},
     {copy, 8000000, {erlang, binary_copy_trap, any}, fun() -> binary:copy(binary:copy(<<"c">>, 1000), 8000) end},
     {compress, Size, {erts_internal, term_to_binary_trap, 1}, fun() -> term_to_binary(value(Terms), [compressed]) end},
     {insert, none, {ets, insert, 2}, fun() -> insert(value(Objects)) end},
     {to_list, none, {erts_internal, binary_to_list_continue, 1}, fun() -> binary_to_list(value(Source)) end}].

value(Term) ->
    Term.

%% Objects are copied before the first of them is in the table.
insert(Objects) ->
    Table = ets:new(inserted, []),
    ets:insert(Table, Objects),
    ets:delete(Table).

trap(Kind, Size, Function, Work) ->
    %% Again and again, until it is caught in the middle.
    Pid = spawn(fun() -> receive go -> ok end, again(Work) end),
    {Kind, Pid, Size, Function}.

again(Work) ->
    Work(),
    garbage_collect(),
    again(Work).

%% The arity differs by release.
is_in(Pid, {Module, Function, any}) ->
    {current_function, Where} = process_info(Pid, current_function),
    is_tuple(Where) andalso {Module, Function} =:= {element(1, Where), element(2, Where)};
is_in(Pid, Function) ->
    {current_function, Function} =:= process_info(Pid, current_function).

catch_in_the_middle({Kind, Pid, _, _} = Trap) ->
    garbage_collect(),
    Lowest = memory(Kind),
    Pid ! go,
    caught(Trap, Lowest, 3000).

%% Lowest is what there is of memory when nothing is being built.
caught(Trap, _, 0) ->
    error({not_caught, Trap});
caught({Kind, Pid, _, Function} = Trap, Lowest, Tries) ->
    true = erlang:suspend_process(Pid),
    Now = memory(Kind),
    case is_in(Pid, Function) andalso builds(Trap, Lowest) of
        true -> ok;
        false ->
            true = erlang:resume_process(Pid),
            receive after rand:uniform(3) -> ok end,
            caught(Trap, min(Lowest, Now), Tries - 1)
    end.

%% What another thread is to free counts for some time longer.
builds(Trap, Lowest) ->
    has_more(Trap, Lowest) andalso begin receive after 50 -> ok end, has_more(Trap, Lowest) end.

has_more({to_list, _, _, _}, _) -> true;
%% Copies of some of the objects.
has_more({insert, _, _, _}, Lowest) -> memory(insert) - Lowest >= 100000;
has_more({Kind, _, Size, _}, Lowest) -> memory(Kind) - Lowest >= Size.

memory(insert) -> erlang:memory(ets);
memory(_) -> erlang:memory(binary).
