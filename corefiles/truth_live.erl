%% SPDX-License-Identifier: Apache-2.0
%% How a VM that is looked at while it lives shows that it goes on: on SIGUSR2 it writes down what it has, as it
%% would answer any client. It sleeps until then: no timer, nothing that moves.
-module(truth_live).
-behaviour(gen_event).
-export([listen/1]).
-export([init/1, handle_event/2, handle_call/2]).

%% Answers go to the file `answer` in Dir.
listen(Dir) ->
    ok = gen_event:add_handler(erl_signal_server, ?MODULE, filename:join(Dir, "answer")),
    ok = os:set_signal(sigusr2, handle).

init(File) ->
    {ok, File}.

handle_event(sigusr2, File) ->
    Line = #{kind => answer, process_count => erlang:system_info(process_count),
             ets_count => erlang:system_info(ets_count), memory => maps:from_list(erlang:memory())},
    publish(File, truth_json:line(Line)),
    {ok, File};
handle_event(_Signal, File) ->
    {ok, File}.

handle_call(_Request, File) ->
    {ok, ok, File}.

%% At once, so that nobody reads half of it; of a full disk, when it has room again: a handler that fails is
%% removed, and the VM would seem to be dead from then on.
publish(File, Text) ->
    case file:write_file(File ++ ".new", Text, [raw]) of
        ok ->
            ok = file:rename(File ++ ".new", File);
        {error, enospc} ->
            receive after 100 -> publish(File, Text) end
    end.
