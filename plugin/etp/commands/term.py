# SPDX-License-Identifier: Apache-2.0
"""etp: print a term."""

from __future__ import annotations

import re

from ..errors import Problem, UsageError
from .declaration import JSON, Argument, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from _etp import Term

    from ..ets import EtsTable
    from ..views import Report, TermText
    from ..vm import VM, Process
    from .context import Context


def run(context: Context, args: Namespace) -> TermText | Report:
    from ..vm import pid_text, ref_text

    text, path = _split((args.EXPRESSION or "").strip())
    if not text:
        raise UsageError("Which term? etp EXPRESSION; see etp --help. etp-help lists all commands.")
    pid = pid_text(text)
    if pid is not None:
        return _process_or_part(context, context.vm.process_by_text(pid), path, args.raw)
    if ref_text(text) is not None:
        return _show(context, context.vm.ets_table(text).ref, args.raw)
    try:
        word = _evaluate(context, text)
    except Problem:
        # What the debugger knows goes first.
        process = context.vm.process_by_name(text)
        if process is None:
            raise
        return _process_or_part(context, process, path, args.raw)
    known = None if args.raw or path else _known(context, word)
    if known is not None:
        return known
    term = context.vm.term_at(word)
    if term.kind in ("invalid", "header", "non_value") or _begins_with_nothing(term, word):
        raise Problem(
            f"{word:#x} is no term: what it points to is not in the core (etp-info says what"
            " is missing), or is not what a term begins with."
        )
    if path:
        from .. import term_path

        term = term_path.walk(term, term_path.parse(path), redact=context.settings.redact)
    return _show(context, term, args.raw)


def _process_or_part(
    context: Context, process: Process, path: str, as_words: bool
) -> TermText | Report:
    if path:
        from .. import process_path

        redact = context.settings.redact
        term = process_path.find(context.vm, process, path, redact=redact)
        return _show(context, term, as_words)
    return raw(context, process.pid) if as_words else _process(context, process)


def _split(text: str) -> tuple[str, str]:
    """The expression, and the path behind it.  An expression of the debugger may have blanks."""
    from .. import term_path
    from ..vm import pid_text

    head, _, rest = text.partition(" ")
    # Behind a pid everything is a path.
    return (head, rest.strip()) if pid_text(head) is not None else term_path.split(text)


def _complete(context: Context, words: list[str], last: str) -> list[str]:
    """Steps behind a word or an address."""
    from .. import term_path

    if len(words) != 1 or not re.fullmatch(r"\d+|0x[0-9a-fA-F]+", words[0]):
        return []
    term = context.vm.term_at(_word(int(words[0], 0)))
    return term_path.completions(term, last, redact=context.settings.redact)


def _begins_with_nothing(term: Term, word: int) -> bool:
    """A plain address of a zero word, which no cons cell begins with, is that of something else."""
    return term.address == word and term.kind == "cons" and term.raw_words()[:1] == [0]


def _show(context: Context, term: Term, as_words: bool) -> TermText | Report:
    from ..views import TermText

    if as_words:
        return raw(context, term)
    width = context.screen().width or 80
    text = term.format(**context.settings.format_options(width=width))
    return TermText(text, {"word": f"{term.word:#x}", "kind": term.kind, "text": text})


def _evaluate(context: Context, text: str) -> int:
    """The word that a number or an expression of the debugger denotes."""
    try:
        return _word(int(text, 0))
    except ValueError:
        pass
    value = context.evaluate(text)
    if value is None:
        raise Problem(
            f"{text!r} is no raw word (0x...), no pid (<0.1.0>), no reference of a table"
            " (#Ref<...>) and no name of a process; other expressions need a debugger to evaluate them."
        )
    return _word(value)


def _known(context: Context, address: int) -> Report | TermText | None:
    """What stands at the address of something that other commands list and that is no term."""
    vm = context.vm
    table = None if address & 7 else vm.ets_tables.at(address)
    if table is not None:
        return _table(table, address)
    if address & 7 or address == 0:
        return None
    for known, _pid in vm.native.processes():
        if known == address:
            process = vm.process(address)
            return None if process is None else _process(context, process)
    return _binary(context, address) if _may_be_binary(vm, address) else None


def _may_be_binary(vm: VM, address: int) -> bool:
    """Is the census worth its time?  A Binary begins with its flags, of which there are four; as
    the first word of a term they would be no term, or a tuple without elements and its like."""
    from ..vm import Error

    try:
        return int.from_bytes(vm.read(address, 8), "little") < 16
    except Error:
        return False


def _binary(context: Context, address: int) -> Report | None:
    from ..text import plural, preview
    from ..units import format_bytes
    from ..views import Lines, Paragraph, Report
    from ..vm import Error

    binary = context.census("Looking for binaries").binary(address)
    if binary is None:
        return None
    text = None
    if not context.settings.redact:
        limit = int(context.settings.get("max-string")) or binary.size
        try:
            data = context.vm.read(binary.data_address, min(binary.size, limit))
            text = preview(data, binary.size, limit)
        except Error:
            text = "(not in the core)"
    title = (
        f"The off-heap binary at {address:#x}: {format_bytes(binary.size)}, of which"
        f" {format_bytes(binary.visible_bytes)} can be seen;"
        f" {plural(binary.holder_count, 'holder')}, which etp-who {address:#x} shows."
    )
    data_ = {
        "address": f"{address:#x}", "kind": "binary", "size": binary.size, "refc": binary.refc,
        "visible_bytes": binary.visible_bytes, "text": text,
    }  # fmt: skip
    return Report([Paragraph(title), *([Lines([text])] if text else [])], data_)


def _table(table: EtsTable, address: int) -> Report:
    from ..text import plural
    from ..views import Paragraph, Report

    which = table.label if table.named else str(table.ref)
    title = (
        f"The ETS table at {address:#x}: {table.label}, {table.type},"
        f" {plural(table.size, 'row')}, owner {table.owner} {table.owner_label}".rstrip()
    )
    data = {"address": f"{address:#x}", "kind": "table", "name": table.name, "ref": str(table.ref)}
    return Report([Paragraph(f"{title}; etp-ets-show {which} shows its rows.")], data)


def _process(context: Context, process: Process) -> TermText:
    from ..views import TermText

    pid = process.pid.format(**context.settings.format_options())
    parts = [pid, process.name or "", process.initial_call_text]
    data = {
        "word": f"{process.pid.word:#x}", "kind": "pid", "text": pid, "name": process.name,
        "initial_call": process.initial_call_text or None, "address": f"{process.address:#x}",
    }  # fmt: skip
    return TermText("  ".join(part for part in parts if part), data)


def _word(value: int) -> int:
    if not -(1 << 63) <= value < 1 << 64:
        raise UsageError(f"{value:#x} does not fit into a word of 64 bits.")
    return value & ((1 << 64) - 1)


def raw(context: Context, term: Term) -> Report:
    from ..views import Facts, Lines, Report

    facts = [("kind", term.kind + (", a literal" if term.is_literal else ""))]
    words = term.raw_words()
    redact = context.settings.redact
    if not redact:
        facts.insert(0, ("word", f"{term.word:#018x}"))
    if term.address:
        facts.append(("address", f"{term.address:#x}"))
        facts.append(("words", f"{len(words):,}"))
    lines = [] if redact else _dump(term.address, words)
    if redact and words:
        facts.append(("contents", "left out (set etp redact is on)"))
    data = {
        "word": None if redact else f"{term.word:#x}",
        "kind": term.kind,
        "address": f"{term.address:#x}" if term.address else None,
        "words": None if redact else [f"{word:#x}" for word in words],
    }
    return Report([Facts(facts), *([Lines(lines)] if lines else [])], data)


MAX_WORDS = 1024


def _dump(address: int, words: list[int]) -> list[str]:
    lines = [
        f"{address + 8 * i:#x}:  " + "  ".join(f"{word:#018x}" for word in words[i : i + 2])
        for i in range(0, min(len(words), MAX_WORDS), 2)
    ]
    if len(words) > MAX_WORDS:
        lines.append(f"... {len(words) - MAX_WORDS:,} more words")
    return lines


COMMAND = Command(
    name="etp",
    summary="Print a term of the VM.",
    description="""
    EXPRESSION is a raw tagged word, the address of a boxed term or of a cons cell, a pid such as
    <0.123.0>, the reference of a table, or any expression of the debugger whose value is one of
    these; what is none may be the registered name of a process. Of a pid, and of the address of a Process, the registered name and the initial call are
    shown; of that of a table or an off-heap Binary, what it is. Terms print as io:format("~p") or,
    after `set etp syntax elixir`, as inspect/1 would print them. `set etp max-depth`, `max-length`
    and `max-string` bound what is printed.

    Behind a blank may stand a path to a part, with the steps that etp-state --help describes, and
    of a pid one as etp-who tells it: dictionary -> cache -> [17], message 1 -> {2}.

    etp-help lists all other commands.
    """,
    run=run,
    arguments=(
        Argument(
            "EXPRESSION",
            help="word, address, pid, name, reference or debugger expression",
            kind="rest",
            optional=True,
            complete_word=_complete,
        ),
        Argument("--raw", help="show the words of the term instead", kind="flag"),
        JSON,
    ),
    examples=(
        ("etp <0.123.0>", "who that is"),
        ("etp 0x7f3c1a2b4c52", "a word found in memory or in a register"),
        ("etp $rsi", "the second argument of a BIF's C function, if it is an Eterm"),
        ("etp --raw 0x7f3c1a2b4c52", "its words, header first"),
        ("etp 0x7f3c1a2b4c52 .sessions[3].user", "a part of it"),
        ("etp <0.123.0> dictionary -> cache -> [17]", "what etp-who told of"),
    ),
)
