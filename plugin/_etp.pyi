# SPDX-License-Identifier: Apache-2.0
"""The binding of the C library (abi3: one module for every debugger's Python).

Everything here is a thin skin over include/etp/; the package ``etp`` puts
typed, friendly objects on top.  All addresses are addresses in the VM, all
sizes say their unit.  Every function may raise ``Error``.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, TypedDict

__version__: str

ErrorKind = Literal[
    "fault",
    "bad_data",
    "layout",
    "unsupported",
    "not_found",
    "argument",
    "os",
    "no_memory",
    "interrupted",
]

class Error(Exception):
    """``str()`` is one or more plain sentences for the user."""

    kind: ErrorKind
    #: Faulting address for ``fault``, else 0.
    address: int
    #: errno for ``os``, else 0.
    errno: int

#: Called now and then from long work with (done, total, what); a true result
#: or an exception stops the work, which then returns what it has so far.
Progress = Callable[[int, int, str], bool | None]

Syntax = Literal["w", "p", "elixir"]

class FormatOptions(TypedDict, total=False):
    """Keyword arguments of Term.format(); see include/etp/print.h."""

    syntax: Syntax
    width: int
    column: int
    max_depth: int
    max_length: int
    max_string: int
    max_bytes: int
    unicode: bool
    redact: bool
    elixir_minor: int

#: Words: as many as that are bytes.
CellStyle = Literal["count", "bytes", "words", "address"]

#: What Records.width() takes, and a width.
NumberCell = tuple[str, CellStyle, int, bool, int]

#: Texts of equal width in UTF-8. A row has that with the number of its shared value in a column, or
#: with the number of four bytes that is given for each row.
TextCell = tuple[str | bytes, list[bytes]]

TermKind = Literal[
    "invalid",
    "small",
    "big",
    "float",
    "atom",
    "nil",
    "cons",
    "tuple",
    "map",
    "bitstring",
    "match_context",
    "pid",
    "port",
    "ref",
    "fun",
    "export",
    "record",
    "catch",
    "header",
    "non_value",
]

class Term:
    """A term of the VM.  Immutable; keeps its VM (and, for a row of a compressed
    table, its decoded words) alive.  Sequences (tuples, proper lists) and maps
    behave like Python's: ``len(t)``, ``t[0]``, ``for x in t``, ``t["key"]``,
    ``key in t``.  ``str(t)`` is ``~tw``.  Equality is Erlang's ``=:=``."""

    word: int
    #: Address of the boxed thing or cons cell, 0 for an immediate.
    address: int
    kind: TermKind
    is_literal: bool
    vm: "VM"

    def format(self, **options: Any) -> str:
        """Text of the term; FormatOptions as keywords; default is ``~tw``."""
    def raw_words(self) -> list[int]:
        """The words of the thing itself, header first ([] for an immediate)."""
    def value(self) -> Any:
        """Python's own object, where there is one: int, float, str (atom),
        bytes (binary); otherwise the term itself."""
    def bytes(self, limit: int = -1) -> bytes:
        """Contents of a binary (whole bytes; at most ``limit``)."""
    def binary(self) -> dict[str, int] | None:
        """For a bitstring: {"address": of the Binary or 0, "bit_size", "bit_offset",
        "data_address"}; None for other terms."""
    def is_proper_list(self) -> bool: ...
    def __len__(self) -> int:
        """Arity of a tuple, pairs of a map, elements of a proper list, bytes of a
        binary.  TypeError for others; Error(bad_data) for a cyclic list."""
    def __getitem__(self, key: Any) -> "Term":
        """Element of a tuple or list by position (slices give lists of terms), or
        value of a map by key (Term, int, float, bytes; a str means an atom)."""
    def __contains__(self, key: Any) -> bool: ...
    def __iter__(self) -> Iterator["Term"]:
        """Elements of a tuple or list; keys of a map (the order of ~w)."""
    def keys(self) -> Iterator["Term"]: ...
    def values(self) -> Iterator["Term"]: ...
    def items(self) -> Iterator[tuple["Term", "Term"]]: ...
    def tail(self) -> "Term":
        """Tail of a cons cell."""
    def tally(self) -> dict[str, Any]:
        """The values of a map by their kind, counted in one pass (include/etp/measure.h):
        {"size", "found" (less when parts cannot be read), "kinds": [(tag Term | None, arity,
        count, a value)], "others" (of further kinds)}. Error(argument) if it is no map."""
    def environment(self) -> list["Term"]:
        """What a fun has closed over."""

class Location(TypedDict):
    """What code an address is in."""

    pc: int
    #: "near_export": the code is not in the core; ``function`` is the last exported one that
    #: begins before ``pc``, which may belong to a local one behind it.  "module": only that is
    #: known.  "fragment": a piece of code of the VM itself, named by ``fragment``.
    kind: Literal["fragment", "module", "near_export", "function"]
    module: str | None
    function: str | None
    arity: int | None
    #: Bytes from the function's name in the code, as in crash dumps; from the start of the module
    #: when only that is known; None where in it the address is cannot be told.
    offset: int | None
    file: str | None
    line: int | None
    version: Literal["current", "old", "on_load"] | None
    fragment: str | None

class StackSlot(TypedDict):
    """One word of a stack."""

    address: int
    #: For "unreadable" the number of words from here on that are not in the core.
    word: int
    kind: Literal["term", "catch", "return", "frame_pointer", "mfa", "reserved", "unreadable"]
    #: 0 for the function that runs; a return address belongs to the one that it returns into.
    frame: int
    #: Number of the Y register of a term or catch.
    y: int | None
    term: Term | None
    #: Of the call that a return address comes from, of a catch's handler, of an mfa.
    location: Location | None

class EtsRow:
    """One object stored in a table."""

    #: Address of the DbTerm.
    address: int
    #: The tuple, decoded when the table is compressed.
    term: Term
    key: Term
    #: Words of heap that the row takes (DbTerm.size).
    words: int
    #: Deleted while the table was fixed; freed when it is released.
    pseudo_deleted: bool

    def binaries(self) -> list[int]:
        """Addresses of the Binaries that the row refers to, one for each reference."""
    def paths(self, target: int, max_paths: int = 1) -> dict[str, Any]:
        """As VM.paths_in_process, from the row."""
    def measure(self, term: Term) -> dict[str, int]:
        """As VM.measure, of a term of the row."""

class Records:
    """Rows of what there may be very many of, as tuples that are made when somebody looks."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> tuple[Any, ...]: ...
    def __iter__(self) -> Iterator[tuple[Any, ...]]: ...
    def values(self, column: str) -> list[Any]:
        """Of all rows."""
    def shared(self, column: str) -> list[Any]:
        """All values of a column whose values are shared, by their number, whether a row has them
        or not."""
    def pick(self, indexes: list[int]) -> Records:
        """These rows in this order."""
    def width(self, column: str, style: CellStyle, factor: int, omits_zero: bool) -> int:
        """Of the widest text in a column of numbers or terms, times ``factor``; 0 is "" if
        ``omits_zero``."""
    def lines(self, start: int, stop: int, cells: Sequence[NumberCell | TextCell]) -> str:
        """Lines of a table from a row up to another; ``cells`` is a list."""

class VM:
    #: Things of one holder that paths_in_process(), accumulators(), histogram() and their like look
    #: at, 16 bytes each; 0 for the default (include/etp/path.h).
    max_things: int

    def __init__(
        self,
        *,
        core: str | None = None,
        executable: str | None = None,
        sysroot: str | None = None,
        layout: str | None = None,
        layout_directories: Sequence[str] = (),
        use_dwarf: bool = True,
        pid: int = 0,
        copy: bool = True,
        search_path: str | None = None,
        without: bytes = b"",
        rehearsal: bool = False,
        max_libraries: int = 0,
    ) -> None:
        """Of a core, or of a process. ``copy`` stops that, copies its memory and lets it run;
        without it, the caller has stopped it, or, for a ``rehearsal``, it runs
        (include/etp/target.h). ``without`` is what unused_memory() of a rehearsal gave.
        Of a core, files are sought for so many of the libraries that it names; 0 for the default.
        """
    def unused_memory(self) -> bytes:
        """Of a rehearsal: what nobody has looked at, struct etp_target_range."""
    def has_missed(self) -> bool:
        """Has anything been looked at that a copy was made ``without``, or for which a rehearsal
        had no room?"""
    def info(self) -> dict[str, Any]:
        """Facts, a flat dict: otp_release, erts_version, flavor, machine, schedulers,
        dirty_cpu_schedulers, dirty_io_schedulers, processes, process_limit, ports,
        port_limit, atoms, atom_limit, ets_tables, node (str), creation, uptime_ns
        (-1 unknown), is_process, is_snapshot, taken_at_ns, pause_ns, copied_at_rest, core_path, executable_path, core_build_id, executable_build_id
        (hex or ""), pid, signal, command, core_mtime, threads, segments,
        bytes_total, bytes_saved, bytes_from_files, bytes_missing, bytes_truncated,
        layout_source, layout_origin, layout_otp_release, layout_erts_version,
        layout_flavor, warnings (list[str]),
        checks (list of {claim, tried, failed, unreadable, failure}),
        files (list of {path, used_path, start, end, core_build_id, file_build_id,
        is_executable, matched})."""
    def arguments(self) -> list[str | None]:
        """The command line that the emulator was started with, its path first; [] when that is not
        known.  It may have secrets in it."""
    def layouts(self, layout_directories: Sequence[str]) -> tuple[list[dict[str, Any]], str | None]:
        """As layouts(), on the target of this VM."""
    def atom(self, index: int) -> str: ...
    def atom_count(self) -> int: ...
    def find_atom(self, name: str) -> Term:
        """Error(not_found) if the VM has no such atom."""
    def term(self, word: int) -> Term: ...
    def compose(self, value: Any) -> Term:
        """A term made of others: of a Term, or a tuple or list of what can be composed, a few
        levels deep.  It stands in memory of its own; the terms in it must not."""
    def read(self, address: int, size: int) -> bytes: ...
    def symbol(self, name: str) -> tuple[int, int]:
        """(address, size)"""
    def symbol_at(self, address: int) -> tuple[str, int] | None:
        """(name, offset)"""
    def process(self, pid: Term | int) -> dict[str, Any] | None:
        """Summary of a live process by pid (Term or address of the Process):
        {address, pid: Term, name: str | None, initial_call: (m, f, a) | None,
        initial_call_source: "proc_lib" | "spawn" | "unreadable" (of proc_lib, which was
        given something that is not in the core) | "none"}; None if it is dead."""
    def processes(self) -> list[tuple[int, Term]]:
        """(address, pid) of all live processes."""
    def process_info(
        self,
        which: Term | int,
        *,
        lists: tuple[str, ...] = ("links", "all_monitors", "dictionary"),
    ) -> dict[str, Any]:
        """What process_info/2 says of a live process (pid or address of the Process);
        include/etp/process.h. Items are named and measured as there: registered_name
        (str | None), initial_call (m, f, a), status, message_queue_len, memory (bytes),
        total_heap_size, heap_size, stack_size, min_heap_size (words), fullsweep_after,
        reductions, catchlevel, garbage_collection, garbage_collection_info (dicts),
        links ([Term]), dictionary ([(key, value)]), group_leader, parent (Term | None),
        error_handler, trap_exit, priority, message_queue_data, sequential_trace_token.
        Besides: address; pid; proc_lib_initial_call; queues ({"inner", "middle",
        "outer", "buffer": messages}); external_messages; signals (in transit, not
        messages); link_count, monitor_count, monitored_by_count, dictionary_size;
        all_monitors (list of {type, is_target, other, ref, name, node, spawn_pending,
        suspend_count, suspend_active, listed: process_info(P, monitors) or (P,
        monitored_by) lists it}); state, flags (raw); is_running, is_dirty_running,
        is_exiting, is_collecting_garbage, is_hibernated, is_sensitive; scheduler
        (("normal" | "dirty_cpu" | "dirty_io", number) | None); program_counter,
        current_mfa (addresses); unknown, uncertain (names of items), gaps, problem. Of links,
        all_monitors and dictionary there are only those that ``lists`` names: each entry is an
        object, and a server has a monitor for each caller. Without the dictionary, what of it
        cannot be read is not among unknown and gaps."""
    def process_list(self) -> Records:
        """One pass over all processes: (address, pid, name (registered) | None, initial_call |
        None (proc_lib's, else spawn's), status, message_queue_len, of these in_transit, memory,
        reductions, total_heap_size, heap_size, stack_size, links, monitors, program_counter,
        group_leader (a word), unknown_bits, uncertain_bits (of enum etp_process_item),
        is_hibernated, call_text ("" without a call))."""
    def messages(self, which: Term | int) -> Iterator[tuple[Any, ...]]:
        """Messages and other signals of a process, oldest first: (queue: "inner" |
        "middle" | "outer" | "buffer", kind: "message" | "external" (from another node,
        not decoded yet by the VM, but here) | "alias" | "signal", term | None, from |
        None, name of the signal, storage: "heap" | "combined" | "fragment" | "external",
        words behind it | None, bytes in external format, address, why these bytes could
        not be decoded). For signals see struct etp_signal. The iterator has ``gaps`` and
        ``problem``."""
    def message_shapes(
        self, which: Term | int, *, elixir: bool = False, redact: bool = False
    ) -> dict[str, Any]:
        """Messages of a process counted by shape (include/etp/message_shapes.h): {messages,
        others (of shapes that are not listed), gaps, problem, shapes: [(text, count, words,
        oldest Term | None, newest Term | None)] most frequent first}."""
    def mailboxes(self, limit: int) -> dict[str, Any]:
        """The ``limit`` longest mailboxes, longest first (include/etp/mailboxes.h): boxes ([(address,
        pid, messages, in_transit, looked_at | None)]), messages (of all processes), gaps, problem.
        """
    def waits(
        self,
        limit: int = 64,
        edges: Sequence[tuple[int, int, int, str]] = ...,
        followed: Sequence[int] = ...,
    ) -> dict[str, Any]:
        """Who waits for whom (include/etp/waits.h): roots ([{kind: "process" | "port" | "node",
        address, term, wait: how it waits itself, direct, behind, depth, chain (those of the
        longest chain, from its end), waits ({kind of wait: how many of the direct ones})}]),
        root_count, cycles ([{members (as roots), size, behind, is_certain}]), cycle_count, of each
        list at most ``limit``, and besides ``limit`` more roots of which there is something to tell
        however few wait, as of a busy port; unlisted (roots left out, of these such ones, the most
        that are behind one); paths ([[who waits, whom that waits for, and so on, at most ``limit``,
        none twice]]) of those processes that are ``followed`` (words of pids and of registered
        names), the roots at the ends of which are listed; kinds ({kind of wait: processes}), statuses ({status: (processes,
        the first of them)}), suspended_unknown, gaps, problem. ``edges``: (pid of who waits, of whom
        it waits for in truth, through whom (0: it passes on), how), pids as Term.word."""
    def ports(self) -> tuple[list[dict[str, Any]], int]:
        """({address, port: Term, name, driver (str, None: unreadable), connected, registered_name
        (Term or None), input, output, queue_size, os_pid (0: none), is_busy, is_queue_full,
        is_closing, is_distribution, has_suspended, is_incomplete} of each open port, how many could
        not be read); include/etp/ports.h."""
    def port_links(self, port: Term) -> tuple[list[Term], int]:
        """(pids and ports linked to an open port, branches that could not be read)."""
    def dist_entries(self) -> tuple[list[dict[str, Any]], int, str]:
        """({address, node: Term, is_this, state ("not_connected", "pending", "connected", "exiting"),
        is_visible, creation, controller (Term or None), queue_size, queue_size_respected, received,
        sent (packets), is_busy, ties ({"link", "monitor", "monitored_by", "monitor_node",
        "suspended": how many}), is_incomplete} of each node that this one knows, places that could
        not be read, why); include/etp/dist_entry.h."""
    def dist_entry_ties(self, address: int, limit: int) -> tuple[list[tuple[str, Term]], int]:
        """((kind of tie, process or name) of the DistEntry at an address, the first ``limit`` or, if
        that is 0, all; places that could not be read)."""
    def locks(self) -> tuple[list[dict[str, Any]], int]:
        """({owner ("process", "port", "table", "node"), address, term, name, index, is_exclusive, readers
        (-1: some), is_awaited, thread (id, 0: not recorded), waiter_count, waiters (the first of those
        that wait for it, as "event" of schedulers())} of each lock that is held or awaited, places that
        could not be read); include/etp/locks.h."""
    def persistent_term(self, key: Term) -> Term | None:
        """What persistent_term:get/1 returns for a key (which compose() may have made); None if there
        is no such term; Error(not_found) if there may be, in what could not be read."""
    def tracers(self) -> tuple[list[tuple[Term | None, Term, int, int]], int, int]:
        """((module, its state: of erl_tracer or None the pid or port that traces, processes and ports that
        it traces) of each tracer, processes and ports of further tracers, and those whose tracer could not
        be read); include/etp/tracers.h."""
    def fds(self) -> tuple[list[dict[str, Any]], int, str]:
        """({fd, type ("none", "driver", "stop_driver", "nif", "stop_nif"), events, active_events (of
        "in", "out", "error"), in, out, error (ports or pids that are told, or None), resource (address
        or 0), resource_module, resource_name, is_incomplete} of each file descriptor that the VM waits
        for events on, places that could not be read, why); include/etp/fds.h."""
    def timers(
        self, *, receivers: Sequence[Term] | None = None, limit: int = 0, reverse: bool = False
    ) -> dict[str, Any]:
        """All timers, or those of these receivers (include/etp/timers.h), soonest first: timers (the
        first ``limit`` of them, or all: {kind, address, scheduler, remaining_ms, receiver, message,
        ref: Term | None, callback, arg, is_paused}), count, overdue, due_soon (within a second, the
        overdue ones included), soonest_ms, longest_ms, kinds
        ({kind: count}), receiver_count, receivers ([(Term, count, remaining_ms of the first)], the 20
        that have most), cancelled, gaps, problem."""
    def schedulers(self) -> list[dict[str, Any]]:
        """All schedulers, normal, dirty CPU, dirty IO (include/etp/schedulers.h): kind ("normal",
        "dirty_cpu", "dirty_io"), number, id, address, activity ("process", "port", "sleeping",
        "polling", "spinning", "suspended", "scheduling", "unknown"), thread (pthread_t or 0),
        sleep_flags, aux_work (names), process (address or 0), pid, port (Term or None), is_in_nif,
        nif_library (None: unknown), run_queue (address), reductions, process_reductions,
        clock_age_ns, event (address, 0: unknown), cpu (None: unknown, or not bound), is_incomplete.
        """
    def run_queues(self) -> tuple[list[dict[str, Any]], int]:
        """({address, index, kind, length, max_length, lengths, max_lengths (by "max", "high",
        "normal", "low", "port"), misc, flags (names), is_suspended, is_executing, is_nonempty,
        is_inactive, is_halting, is_evacuated, context_switches, reductions, emigrates_to (level to
        index), is_incomplete} of each run queue, how many could not be read);
        include/etp/run_queues.h."""
    def run_queue(self, address: int, level: int, limit: int) -> tuple[list[Term], int]:
        """(pids or ports that wait in the queue of a level, the first ``limit`` at most; 1 if the
        chain breaks off)."""
    def thread_progress(self) -> dict[str, Any]:
        """{current, threads: [{id, scheduler (number or None), confirmed (None: it waits),
        is_waiting, is_awaited, is_leader}], unmanaged: (n, n), is_blocking, unblocked,
        is_incomplete, unreadable}; include/etp/thread_progress.h."""
    def port_is_open(self, port: Term) -> bool: ...
    def location(self, pc: int, is_return: bool = False) -> Location | None:
        """The code that an address is in; None if it is in none.  A return address is in the
        instruction behind the call: with ``is_return`` the call is looked up."""
    def fun_location(self, fun: Term) -> Location | None:
        """The function that a local fun runs: fun_info(F, name).  A fragment: its code was
        purged."""
    def modules(self) -> list[dict[str, Any]]:
        """Loaded instances of modules in ascending order of address: name, version ("current",
        "old", "on_load"), address (of the BeamCodeHeader), size (bytes of code), functions (None
        when unknown), literal_area (address or 0), missing (the code is not in the core), problem
        ("" or why its functions have no names)."""
    def modules_problem(self) -> str:
        """A sentence if modules could not be read, else ""."""
    def execution(self, process_address: int) -> dict[str, Any]:
        """Where a process is: current_function and current_location (Location or None, as
        process_info/2), stack_top and stack_start (addresses), stack_unreadable (words from the
        first that is not in the core on), registers (arguments of a process that waits to be
        scheduled, or hibernates), running (on a scheduler, so that all of this is
        of an earlier moment), in_gc, problem ("" or why the stack or the registers are left
        out)."""
    def current_places(
        self, process_addresses: list[int]
    ) -> list[tuple[Location | None, Location | None]]:
        """current_function and current_location of execution(), for each process; one tuple for all
        that are at the same place.  Both are None for what is no process."""
    def stacktrace(
        self, process_address: int, depth: int = 0, top: int = 0, pc: int = 0
    ) -> list[Location]:
        """process_info(P, current_stacktrace), with at most ``depth`` entries (0: as many as the
        VM would give).  With ``top``, of a stack that begins there, in the function that ``pc`` is in:
        what a thread has in its registers while it executes the process."""
    def threads(self) -> list[tuple[int, int, list[int], bool]]:
        """Threads of the target: (tid, pthread_self() or 0, registers by their DWARF numbers (of
        x86-64: 17 of them, the last is the program counter), whether only stack pointer and program
        counter are known)."""
    def thread_types(self) -> tuple[dict[int, tuple[str, int]], bool]:
        """What the VM calls its threads, by pthread_self(): ("aux", 1), ("poll", 0), ("async", 0),
        ("scheduler", 1) ..., the number among those of its type; and whether a list of them leads
        to what is not in the core; include/etp/thread_types.h."""
    def unwind(
        self, registers: Sequence[int], limit: int
    ) -> list[tuple[int, str | None, int, str | None, int]]:
        """Frames of C, innermost first: (pc, function or None, bytes from its start or that of the file,
        name of the file or None, 1 if that is not here, or none: then this is the last frame);
        include/etp/threads.h."""
    def scheduler_outer_frame(self, index: int) -> tuple[int, int, int] | None:
        """(pc, stack pointer, frame pointer or 0) of the caller of the JIT's main loop, by the
        scheduler's place in schedulers(); None when there is none."""
    def stack(
        self,
        process_address: int,
        limit: int = -1,
        skip: int = 0,
        only: list[int] | None = None,
    ) -> list[StackSlot]:
        """The words of a process's stack from its top, without the first ``skip``, at most
        ``limit`` of them (-1: all); only those at some addresses, which are ascending."""
    def heap_areas(self, process_address: int) -> tuple[list[dict[str, Any]], str]:
        """Areas of a process's heap: kind ("heap", "old_heap", "fragment"), start, top (end of what
        is in use), end, off_heap (first thing of its chain, or 0); and "" or what is left out."""
    def heap_things(
        self, start: int, end: int, limit: int = 1024
    ) -> tuple[
        list[tuple[int, int, Literal["term", "map_node", "fun_ref", "invalid"], Term]], int, int
    ]:
        """What stands from ``start`` on in an area, in use or not: (address, words, kind, term) of
        at most ``limit`` things; where the next one stands (``end`` when there is none); words
        that are not in the core."""
    def heap_largest(
        self, areas: list[tuple[int, int]], most: int
    ) -> tuple[
        list[tuple[int, int, Literal["term", "map_node", "fun_ref", "invalid"], Term]],
        int,
        int,
        int,
    ]:
        """The ``most`` (-1: all) largest things of areas (start, end), largest first; how many
        there are; of these, what makes no sense; words that are not in the core."""
    def off_heap(self, first: int, limit: int = -1) -> tuple[list[Term], int, str]:
        """The things of an off-heap chain, the next one's address (0 when there is none), and ""
        or why the chain breaks off."""
    def writable_binaries(self, process_address: int) -> int:
        """First thing of the chain of binaries that are being appended to, or 0."""
    def binary_header(self, address: int) -> dict[str, int]:
        """The header of an off-heap Binary: size (bytes), refc, flags."""
    def ets_tables(self) -> list[dict[str, Any]]:
        """All tables, scheduler by scheduler, then those that are being freed.  Keys: address; id (Term: the
        reference, or the atom of a named table); ref (Term); name (str); type ("set",
        "ordered_set", "bag", "duplicate_bag"); is_catree; protection; named; owner
        (Term); owner_alive; heir (Term | None); size (rows); memory_words; keypos;
        compressed; read_concurrency (bool); write_concurrency (True, False,
        "auto" or ("debug_hash_fixed_number_of_locks", n)); decentralized_counters;
        counters_uncertain; fixed (bool); fix_count; fixed_since_ns (Erlang system time, 0
        unknown); fixed_for_ns (by the VM's clock, as uptime_ns; -1 unknown); fixing (list of
        (pid Term, count)); is_write_locked; is_read_locked; is_lock_awaited; is_deleting; is_resizing; status (int); problem (str or "").
        """
    def ets_tables_gaps(self) -> list[str]:
        """What of the lists of tables could not be read, one sentence each."""
    def ets_rows(self, table_address: int) -> Iterator[EtsRow]:
        """All rows, of hash tables by slot, of ordered sets by key; pseudo-deleted
        ones included (marked).  Rows that cannot be read are skipped and counted: the iterator has
        an attribute ``gaps`` (int) and ``problem`` (str)."""
    def ets_row(self, table_address: int, row_address: int = 0) -> EtsRow | None:
        """The row whose DbTerm is at ``row_address`` (0: the first), which the table is walked
        for; None if it has none there."""
    def scan_ets(
        self,
        tables: Sequence[int] | None = None,
        progress: Progress | None = None,
        threads: int = 0,
        rows_a_part: int = 0,
    ) -> "EtsScan":
        """One pass over the rows of all tables (or of these addresses). ``threads`` and
        ``rows_a_part`` (0: as it pays) change nothing about what is found."""
    def accumulators(
        self,
        found: Callable[[dict[str, Any]], object],
        min_count: int = 0,
        min_bytes: int = 0,
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Large collections inside of processes, rows and persistent terms;
        include/etp/accumulators.h. Calls ``found`` for those of one kind at one path of a process,
        of all rows of a table or of a persistent term: {"place": "process", "ets" or
        "persistent_term", "key" (Term of a persistent term's, or None), "holder", "row"
        (addresses; the row of the largest), "kind": as in
        include/etp/collection.h, "collections", "count", "largest", "words", "binary_bytes",
        "path": as in paths_in_process, but a key of a dictionary is a first step, positions in
        lists are 0, keys that are no atoms None}. Returns {"processes", "rows", "small_rows",
        "persistent_terms" (looked at; rows that are too small were not), "mailboxes",
        "messages", "truncated", "unreadable", "problem" (str), "complete"}."""
    def histogram(
        self, process: int = 0, table: int = 0, progress: Progress | None = None
    ) -> dict[str, Any]:
        """Live things by shape, of all or of one process or table (addresses);
        include/etp/histogram.h.  {"shapes": [{"kind", "arity", "tag" (Term | None), "keys"
        (of a map: [Term] | None), "is_collection" (then "kind" is that of the collection),
        "count", "words", "binary_bytes", "elements"}], "holders", "truncated", "unreadable",
        "complete"}, most words first."""
    def magic_binary(self, address: int) -> tuple[str, Term | None, Term | None]:
        """What the magic binary at an address is: "dist_send", "match_spec", "resource" or
        "other"; module and name of a resource's type."""
    def place_of(self, address: int) -> tuple[Literal["process", "ets"], int, int] | None:
        """Where a heap word belongs: (kind, address of the Process or DbTable, address of
        the DbTerm or 0); None if no process and no table has it."""
    def paths_in_process(self, process: int, target: int, max_paths: int = 1) -> dict[str, Any]:
        """Shortest paths from a process (address) to a Binary or thing (address):
        {"paths": [{"root", "root_index", "root_key" (Term of a dictionary's key or
        None), "target" (Term), "steps": [(kind, index, key Term | None)]}],
        "running", "in_gc", "gc_disabled", "truncated": bool, "unreadable": int};
        include/etp/path.h."""
    def paths_in_literals(self, area: int, target: int, max_paths: int = 1) -> dict[str, Any]:
        """The same from the thing at the start of an ErtsLiteralArea, which for a persistent
        term is {Key, Value}."""
    def paths_in_timer(self, timer: int, target: int, max_paths: int = 1) -> dict[str, Any]:
        """The same from the message of an ErtsBifTimer."""
    def paths_in_port(self, port: int, target: int, max_paths: int = 1) -> dict[str, Any]:
        """Where a Port has a Binary: the same, with the roots "output_queue", "waiting_command",
        "port_data", "tracer", "input_buffer"; steps lead through the term of port_set_data/2."""
    def measure(self, process: int, term: Term) -> dict[str, int]:
        """What a term of a process (address) and all in it occupy: {"words", "binaries"
        (distinct, off the heap), "binary_bytes", "unreadable"}; include/etp/measure.h."""
    def measure_each(self, process: int, terms: list[Term]) -> list[int]:
        """Words of each of these terms of a process; what several share counts for the first."""
    def measure_slots(
        self, process: int, address: int, count: int, most: int
    ) -> list[tuple[int, int]]:
        """(address, words) of the ``most`` (-1: all) words among ``count`` at an address, such as
        those of its stack, that refer to most, largest first; shared as in measure_each()."""
    def census(
        self,
        progress: Progress | None = None,
        threads: int = 0,
        rows_a_part: int = 0,
        tables_only: bool = False,
    ) -> "Census":
        """One pass over the memory of all processes and tables, and all else that holds
        binaries; ``threads`` and ``rows_a_part`` as of scan_ets.  With ``tables_only`` that of
        tables; binaries to which there is a single reference, that of a row, are then summed up but
        not listed, until take_others() looks at everything."""
    def memory(self) -> dict[str, Any]:
        """What the allocators say of themselves, in bytes: allocators ({name: {blocks (in use),
        carriers (from the system), instances}}, names as in eheap_alloc without the ending), fixed
        ({type of fix_alloc: {allocated, used}}), areas (as erlang:system_info(allocated_areas); of
        atom_space the second number is atom_space_used; atoms are the Atom structs), code,
        process_table, port_table, ets_misc (of ETS, outside of its allocator), unreadable,
        problem ("" or the last reason)."""
    def super_carriers(self) -> dict[str, dict[str, Any]]:
        """By "default_mmap" and "literal_mmap", as erlang:system_info({allocator, erts_mmap}) has them: total
        (bytes; 0: there is none), used, only (nothing beyond it is asked of the system); those that are
        not known are left out."""
    def process_binaries(self, address: int) -> list[tuple[int, int, int]]:
        """What process_info(P, binary) lists of the Process at ``address``: (address of
        the Binary, size, refc), one a reference, in no particular order."""

class Census:
    """What one pass over the memory of the VM found; include/etp/census.h."""

    #: False when it was interrupted.
    complete: bool
    #: Were others than tables looked at too?
    has_others: bool
    def take_others(self, progress: Progress | None = None, threads: int = 0) -> None:
        """Go on with one of tables only, to what it would be otherwise.  Nothing can be asked of it
        meanwhile, nor after an error."""
    #: A dict a process: address, pid (Term), young_words, old_words, fragment_words,
    #: message_words, transit_words, aside_words, stack_words, free_words, live_words, messages,
    #: messages_in_transit,
    #: binary_refs / binary_bytes (what process_info(P, binary) lists),
    #: released_refs / released_bytes and added_refs / added_bytes (what a major
    #: garbage collection would take from and add to that list), writable_refs /
    #: writable_bytes, binaries (distinct), distinct_bytes, visible_bytes, terms,
    #: running, in_gc, gc_disabled, unreadable, problem, incomplete.
    processes: list[dict[str, Any]]
    #: Of these, those of which a major garbage collection would change the list of binaries.
    changing_processes: list[dict[str, Any]]
    def unreadable_processes(self, limit: int) -> list[dict[str, Any]]:
        """The first of those that could not be read whole."""
    def ranked_processes(
        self, order: str, changing: bool, reverse: bool, limit: int
    ) -> tuple[int, list[int]]:
        """How many there are, or with ``changing`` how many of those above, and the numbers of the
        first ``limit`` of these (0: all): by "delta" or "bytes", where a collection would take most
        away first; by "released", "released-bytes", "added", "added-bytes", "refs" or "refs-bytes"
        the largest."""
    def process(self, number: int) -> dict[str, Any]:
        """One of ``processes``."""
    #: Over all processes: processes, used_words, live_words, garbage_words, message_words,
    #: stack_words, free_words, released_refs, released_bytes, terms, running and unreadable (how
    #: many are); and timer_bytes, what the messages of timers take.
    totals: dict[str, int]
    #: As EtsScan.tables.
    tables: dict[int, dict[str, Any]]
    #: A dict a persistent term and a module with literals: kind, address, term (key or
    #: name), value (of a persistent term, else None), words, binary_refs, binary_bytes, unreadable, problem.
    literals: list[dict[str, Any]]
    #: What kept the census from finding all of them, or "".
    literals_problem: str
    #: A dict a timer and a port that holds binaries: kind, address, term (receiver, or
    #: the port; None if unknown), binary_refs, binary_bytes.
    roots: list[dict[str, Any]]
    #: How many timers and ports could not be read, and why.
    roots_unreadable: tuple[int, str]

    def binary_count(self) -> int: ...
    def coarse_binaries(self) -> int:
        """Of how many binaries more counts as seen than is; include/etp/census.h."""
    def ets_binaries(self) -> tuple[int, int]:
        """Distinct binaries that rows of tables refer to, and their bytes."""
    #: Over all distinct binaries: binaries, bytes, visible_bytes, unaccounted (how many lack
    #: references), unaccounted_bytes, unaccounted_refs, excess (how many have too many), by_kinds
    #: and unaccounted_by_kinds: [([kind of holder, ...], binaries, bytes)].
    binary_totals: dict[str, Any]

    def binaries(
        self,
        sort: Literal["size", "waste", "visible", "refc", "refs", "address"] = "size",
        limit: int = -1,
        unaccounted: bool = False,
        reverse: bool = False,
    ) -> list[dict[str, Any]]:
        """As EtsScan.binaries; holders are (kind, address, refs, term), kind "ets",
        "process", "persistent_term" (term: its key) or "module" (term: its name).  With
        ``unaccounted`` those whose refc is not the references found."""
    def binary_addresses(
        self,
        sort: Literal["size", "waste", "visible", "refc", "refs", "address"] = "size",
        limit: int = -1,
        unaccounted: bool = False,
        reverse: bool = False,
        after: int = 0,
    ) -> list[int]:
        """Of the same ones, or of those that come behind the one at the address ``after``."""
    def binary_page(
        self,
        addresses: list[int],
        holders_of: Callable[[int], str],
        preview_of: Callable[[int], str] | None,
    ) -> Records:
        """Some of them as etp-bins shows them: address, size, visible_bytes, unseen_bytes, refc, refs,
        holders, preview (None without ``preview_of``). Of the texts those that cannot be told without
        more knowledge are asked for by the binary's address."""
    def binary(self, address: int, holders: int = 16) -> dict[str, Any] | None:
        """One of these by its address, with so many of its holders (-1: all), those with most
        references first."""

class EtsScan:
    """What one pass over the rows found; include/etp/ets_scan.h."""

    #: False when it was interrupted.
    complete: bool
    #: {address: {...}} a table: rows, words, pseudo_deleted, pseudo_deleted_words,
    #: unreadable (rows or chains), binary_refs (ProcBins), binaries (distinct),
    #: binary_bytes (their sizes), visible_bytes (union of what rows see of them),
    #: own_binaries / own_bytes / own_visible_bytes (those whose refcount equals the
    #: references found in this table), pinned_rows (rows that see less than half of
    #: some binary they hold), dead_pid_rows / dead_pid_keys (rows that hold / are keyed
    #: by the pid of a dead process), live_pid_rows, dead_ref_rows (alias references of
    #: dead processes), sample_pin / sample_dead (address of a DbTerm, or 0),
    #: sample_pin_bytes / sample_pin_visible, largest_row (address of a DbTerm, or 0) /
    #: largest_row_words, incomplete (bool), problem (str).
    tables: dict[int, dict[str, int]]

    def binary_count(self) -> int: ...
    def binary_bytes(self) -> int:
        """Sizes of the distinct binaries, each counted once however many tables have it."""
    def binaries(
        self,
        sort: Literal["size", "waste", "visible", "refc", "refs", "address"] = "size",
        limit: int = -1,
        unaccounted: bool = False,
        reverse: bool = False,
    ) -> list[dict[str, Any]]:
        """{address, size, refc, flags, refs (found), visible_bytes, holders: [(table
        address, refs)]}, largest first."""
    def binary(self, address: int) -> dict[str, Any] | None: ...

def layouts(
    *,
    core: str | None = None,
    executable: str | None = None,
    sysroot: str | None = None,
    layout: str | None = None,
    layout_directories: Sequence[str] = (),
    use_dwarf: bool = True,
    pid: int = 0,
    copy: bool = True,
    search_path: str | None = None,
    max_libraries: int = 0,
) -> tuple[list[dict[str, Any]], str | None]:
    """All layout files, each tried on a core or process (include/etp/layouts.h): {path, is_users,
    otp_release, erts_version, machine, flavor, origin, match, difference, refusal}; and why
    nothing could be tried, or None."""

def snapshot(
    pid: int, path: str, copy: bool, force: bool, progress: Progress | None = None
) -> dict[str, Any]:
    """Writes a process to a file (include/etp/snapshot.h); ``copy`` as for VM.  {taken_at_ns,
    pause_ns, memory_bytes, file_bytes, disk_bytes, unreadable_bytes, warnings}."""

def snapshot_remote(
    path: str,
    force: bool,
    pid: int,
    machine: str,
    maps: bytes,
    command: bytes,
    auxv: bytes,
    threads: list[tuple[int, bytes]],
    read: Callable[[int, int], bytes],
    progress: Progress | None,
    executable: bytes,
) -> dict[str, Any]:
    """The same of a process of another machine, of which a debugger knows this (etp_remote_options of
    include/etp/target.h).  ``read(address, size)`` gives b"" for what cannot be read."""
