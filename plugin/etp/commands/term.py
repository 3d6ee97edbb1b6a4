# SPDX-License-Identifier: Apache-2.0
"""etp: print a term."""

from __future__ import annotations

from ..errors import Problem, UsageError
from .declaration import JSON, Argument, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from _etp import Term

    from ..views import Report, TermText
    from .context import Context


def run(context: Context, args: Namespace) -> TermText | Report:
    from ..views import TermText

    if not args.EXPRESSION:
        raise UsageError("Which term? etp EXPRESSION; see etp --help.")
    term = resolve(context, args.EXPRESSION)
    if term.kind == "invalid":
        raise Problem(
            f"{term.word:#x} is no term: what it points to is not in the core (etp-info says what"
            " is missing), or is not what a term begins with."
        )
    if args.raw:
        return raw(context, term)
    width = context.screen().width or 80
    text = term.format(**context.settings.format_options(width=width))
    return TermText(text, {"word": f"{term.word:#x}", "kind": term.kind, "text": text})


def resolve(context: Context, text: str) -> Term:
    """The term that an expression, a raw word, an address, a pid or a reference denotes."""
    from ..vm import pid_text, ref_text

    text = text.strip()
    try:
        return context.vm.term_at(_word(int(text, 0)))
    except ValueError:
        pass
    pid = pid_text(text)
    if pid is not None:
        return context.vm.process_by_text(pid).pid
    if ref_text(text) is not None:
        return context.vm.ets_table(text).ref
    value = context.evaluate(text)
    if value is None:
        raise Problem(
            f"{text!r} is no raw word (0x...), no pid (<0.1.0>) and no reference of a table"
            " (#Ref<...>); other expressions need a debugger to evaluate them."
        )
    return context.vm.term_at(_word(value))


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
    these. Terms print as io:format("~p") or, after `set etp syntax elixir`, as inspect/1 would
    print them. `set etp max-depth`, `max-length` and `max-string` bound what is printed.
    """,
    run=run,
    arguments=(
        Argument(
            "EXPRESSION",
            help="word, address, pid, reference or debugger expression",
            kind="rest",
            optional=True,
        ),
        Argument("--raw", help="show the words of the term instead", kind="flag"),
        JSON,
    ),
    examples=(
        ("etp 0x7f3c1a2b4c52", "a word found in memory or in a register"),
        ("etp $rsi", "the second argument of a BIF's C function, if it is an Eterm"),
        ("etp --raw 0x7f3c1a2b4c52", "its words, header first"),
    ),
)
