%% SPDX-License-Identifier: Apache-2.0
%% The truth about ETS: one line a table, one line a row, and one line a table about the binaries its rows hold.
-module(truth_ets).
-export([warm_up/1, write_rows/3, table_lines/1, check_still/1, sizes/0, tid/1]).

%% Tables up to this many rows are written in full unless the workload says otherwise.
-define(FULL_ROWS, 2000).
-define(SAMPLE, {sample, 100}).

%% Rows whose ~p takes forever (io_lib_pretty is quadratic in depth) have none.
-define(PRETTY_DEPTH, 500).

%% The flag lets this process read private tables of others; the emulator has it for ets:info(T, binary).
super_user() ->
    erts_internal:ets_super_user(true).

%% ---- rows ---------------------------------------------------------------------------------------------------

%% Load what printing rows needs, most of it at least.
warm_up(Elixir) ->
    Term = {1.5, "caf\x{e9}", [a | <<1:3>>], <<"utf8">>, #{key => self()}},
    crc(Term),
    truth_json:line(with_inspect(with_pretty(#{w => format("~w", Term)}, Term), Term, Elixir)).

write_rows(File, Options, Elixir) ->
    super_user(),
    {ok, Fd} = file:open(File, [append, raw, binary]),
    Modes = maps:get(rows, Options, #{}),
    [write_table(Fd, Table, Modes, Elixir) || Table <- ets:all(), is_integer(ets:info(Table, size))],
    ok = file:close(Fd).

%% Rows are numbered in the order of ets:tab2list/1.
write_table(Fd, Table, Modes, Elixir) ->
    Rows = ets:tab2list(Table),
    Count = length(Rows),
    Mode = maps:get(ets:info(Table, name), Modes, default_mode(Count)),
    [ok = file:write(Fd, truth_json:line(row_line(Table, N, Row, Elixir)))
     || {N, Row} <- chosen(Mode, Count, truth_compat:enumerate(0, Rows))],
    ok = file:write(Fd, truth_json:line(leak_line(Table, Rows))),
    ok = file:write(Fd, truth_json:line(digest_line(Table, Count, Mode, Rows))).

default_mode(Count) when Count =< ?FULL_ROWS -> full;
default_mode(_) -> ?SAMPLE.

chosen(full, _Count, Rows) -> Rows;
chosen({sample, Wanted}, Count, Rows) ->
    Step = max(1, Count div max(1, Wanted)),
    [{N, Row} || {N, Row} <- Rows, N rem Step =:= 0].

%% w is what io:format("~w") prints, tw "~tw", and so on; p and tp are the pretty ones, 80 columns wide. inspect is on
%% one line, because inspect/2 minds its width only when it is pretty; inspect_pretty is 80 columns wide.
row_line(Table, N, Row, Elixir) ->
    Line = #{kind => row, table => tid(Table), name => ets:info(Table, name), index => N,
             w => format("~w", Row), tw => format("~tw", Row), words => erts_debug:flat_size(Row)},
    with_inspect(with_pretty(Line, Row), Row, Elixir).

with_pretty(Line, Row) ->
    case depth(Row) =< ?PRETTY_DEPTH of
        true -> Line#{p => format("~p", Row), tp => format("~tp", Row)};
        false -> Line
    end.

with_inspect(Line, Row, true) ->
    All = [{limit, infinity}, {printable_limit, infinity}],
    Line#{inspect => 'Elixir.Kernel':inspect(Row, All),
          inspect_pretty => 'Elixir.Kernel':inspect(Row, [{pretty, true} | All])};
with_inspect(Line, _Row, false) ->
    Line.

format(Format, Term) ->
    unicode:characters_to_binary(io_lib:format(Format, [Term])).

%% The digest proves a table that is too large to write down: for each row the CRC-32 of its "~w" text in UTF-8, summed
%% (order does not matter then), and the words of each row as flat_size counts them.
digest_line(Table, Count, Mode, Rows) ->
    Sum = lists:foldl(fun(Row, Acc) -> Acc + crc(Row) end, 0, Rows),
    Words = lists:foldl(fun(Row, Acc) -> Acc + erts_debug:flat_size(Row) end, 0, Rows),
    #{kind => digest, table => tid(Table), name => ets:info(Table, name), rows => Count, full => Mode =:= full,
      crc_sum => Sum, flat_words => Words}.

crc(Row) ->
    erlang:crc32(format("~w", Row)).

%% ---- binaries in rows ---------------------------------------------------------------------------------------

%% references       binary terms in the rows whose bytes are off the heap (a Binary larger than 64 bytes)
%% visible_bytes    what these terms show: the sum of byte_size/1
%% referenced_bytes the sum of binary:referenced_byte_size/1, where a shared Binary counts as often as it is met
%% unmeasured       short bitstrings, of which the VM does not tell what they reference; they are in none of the above
%% The distinct binaries are in the table's line ("binary").
leak_line(Table, Rows) ->
    {References, Visible, Referenced, Unmeasured} = lists:foldl(fun binaries/2, {0, 0, 0, 0}, Rows),
    #{kind => leak, table => tid(Table), name => ets:info(Table, name), rows => length(Rows), references => References,
      visible_bytes => Visible, referenced_bytes => Referenced, unmeasured => Unmeasured}.

binaries(Bin, {N, Visible, Referenced, Unmeasured} = Acc) when is_bitstring(Bin) ->
    case referenced(Bin) of
        unknown -> {N, Visible, Referenced, Unmeasured + 1};
        Bytes when Bytes > 64 -> {N + 1, Visible + byte_size(Bin), Referenced + Bytes, Unmeasured};
        _ -> Acc
    end;
binaries([Head | Tail], Acc) -> binaries(Tail, binaries(Head, Acc));
binaries(Tuple, Acc) when is_tuple(Tuple) -> lists:foldl(fun binaries/2, Acc, tuple_to_list(Tuple));
binaries(Map, Acc) when is_map(Map) ->
    maps:fold(fun(Key, Value, A) -> binaries(Value, binaries(Key, A)) end, Acc, Map);
binaries(Fun, Acc) when is_function(Fun) ->
    {env, Env} = erlang:fun_info(Fun, env),
    case erlang:fun_info(Fun, type) of
        {type, local} -> lists:foldl(fun binaries/2, Acc, Env);
        {type, external} -> Acc
    end;
binaries(_, Acc) -> Acc.

%% referenced_byte_size/1 takes no bitstrings; the whole bytes of one are a sub-binary of the same Binary, unless they are
%% so few that matching copies them.
referenced(Bin) when is_binary(Bin) ->
    case binary:referenced_byte_size(Bin) of
        %% OTP 27 says bits where it means bytes, of binaries on the heap (27.3.4).
        Bits when Bits =:= bit_size(Bin), byte_size(Bin) =< 64 -> byte_size(Bin);
        Bytes -> Bytes
    end;
referenced(Bits) when bit_size(Bits) div 8 > 64 ->
    Bytes = bit_size(Bits) div 8,
    <<Whole:Bytes/binary, _/bitstring>> = Bits,
    binary:referenced_byte_size(Whole);
referenced(_) ->
    unknown.

depth([Head | Tail]) -> max(1 + depth(Head), depth(Tail));
depth(Tuple) when is_tuple(Tuple) -> 1 + deepest(tuple_to_list(Tuple));
depth(Map) when is_map(Map) -> 1 + max(deepest(maps:keys(Map)), deepest(maps:values(Map)));
depth(_) -> 0.

deepest(Terms) ->
    lists:foldl(fun(Term, Max) -> max(Max, depth(Term)) end, 0, Terms).

%% ---- tables -------------------------------------------------------------------------------------------------

%% First the binaries: walking a CA tree may split and join its nodes, and what that frees is given up later, by thread
%% progress. Afterwards nothing may move any more, see check_still/1.
table_lines(Options) ->
    super_user(),
    Labels = maps:get(labels, Options, #{}),
    Binaries = [{Table, binary_info(Table)} || Table <- ets:all(), is_integer(ets:info(Table, size))],
    erlang:garbage_collect(),
    timer:sleep(100),
    Lines = [table_line(Table, Info, Labels) || {Table, Info} <- Binaries],
    erts_internal:ets_super_user(false),
    Lines.

%% Asking must not have changed what was asked.
check_still(Lines) ->
    super_user(),
    [still(Line) || Line <- Lines],
    erts_internal:ets_super_user(false).

still(#{table := {w, Table}, name := Name, size := Size, memory := Memory, stats := Stats}) ->
    case {ets:info(Table, size), ets:info(Table, memory), stats(ets:info(Table, stats))} of
        {Size, Memory, Stats} -> ok;
        Now -> error({table_moved, Name, {Size, Memory, Stats}, Now})
    end.

%% Right after the core was taken: a table that is as large as it was before stood still meanwhile.
sizes() ->
    [#{kind => table_after, table => tid(T), size => Size, memory => ets:info(T, memory)}
     || T <- ets:all(), Size <- [ets:info(T, size)], Size =/= undefined].

%% binary: [[address, size, refc]]; once for every reference, so a Binary that ten rows share is there ten times.
%% refc_exact is false when keys hold such binaries, because asking then makes references itself.
table_line(Table, {Binaries, RefcExact}, Labels) ->
    Info = maps:from_list(ets:info(Table)),
    #{id := Id, name := Name, owner := Owner} = Info,
    maps:merge(Info, #{kind => table,
        id => {w, Id},
        table => tid(Table),
        owner => Owner,
        owner_name => registered_name(Owner),
        whereis => case ets:whereis(Name) of undefined -> undefined; Tid -> {w, Tid} end,
        fixed => ets:info(Table, fixed),
        safe_fixed => fixed(ets:info(Table, safe_fixed_monotonic_time)),
        stats => stats(ets:info(Table, stats)),
        binary => Binaries,
        refc_exact => RefcExact,
        label => case Labels of #{Name := Text} -> {text, Text}; _ -> undefined end}).

tid(Table) when is_atom(Table) -> {w, ets:whereis(Table)};
tid(Table) -> {w, Table}.

registered_name(Pid) ->
    case is_pid(Pid) andalso process_info(Pid, registered_name) of
        {registered_name, Name} -> Name;
        _ -> undefined
    end.

%% time is erlang:monotonic_time(native) when the first fixation was made.
fixed(false) -> undefined;
fixed({Time, Processes}) -> #{time => Time, processes => Processes}.

%% From ets:info(T, stats), see table_info() in erl_db.c. A tree that is not a CA tree has none.
stats({Buckets, Average, Real, Expected, Min, Max, Kept, Locks}) ->
    maps:put(locks, Locks, stats({Buckets, Average, Real, Expected, Min, Max, Kept}));
%% To OTP 23 their number was the same for all.
stats({Buckets, Average, Real, Expected, Min, Max, Kept}) ->
    #{buckets => Buckets, avg_chain_len => Average, std_dev_chain_len => Real, std_dev_expected => Expected,
      min_chain_len => Min, max_chain_len => Max, kept_items => Kept};
stats({Routes, Bases, Depth}) ->
    #{route_nodes => Routes, base_nodes => Bases, max_depth => Depth};
stats(false) ->
    undefined.

binary_info(Table) ->
    erlang:garbage_collect(),
    Before = own_binaries(),
    Binaries = ets:info(Table, binary),
    Exact = own_binaries() =:= Before,
    %% ets:info(T, binary) drops the flag when it is done.
    super_user(),
    {Binaries, Exact}.

own_binaries() ->
    {binary, Binaries} = process_info(self(), binary),
    length(Binaries).
