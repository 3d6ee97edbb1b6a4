# SPDX-License-Identifier: Apache-2.0
"""etp-stackdump: the stack and the registers of a process, word by word."""

from __future__ import annotations

from .declaration import JSON, Argument, Command, limit, sort_by
from .stacktrace import PROCESS, facts, title

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from _etp import Term

    from ..code import Execution, Location, Slot
    from ..views import Listing
    from ..vm import Process
    from .context import Context


def run(context: Context, args: Namespace) -> Listing:
    from ..code import execution, gaps
    from ..views import Listing

    process = context.vm.find_process(args.PROCESS)
    found = execution(context.vm, process)
    entries = _largest if args.sort == "size" else _entries
    return Listing(
        entries(context, process, found, args),
        close=lambda count, interrupted: _close(found, args, count, interrupted),
        header=title(process, found),
        facts=facts(process, found),
        warnings=found.warnings + gaps(context.vm),
        noun="words",
    )


def _entries(
    context: Context, process: Process, found: Execution, args: Namespace
) -> Iterator[tuple[str, dict[str, object]]]:
    from ..code import stack

    for number, term in enumerate(found.registers):
        yield _term(context, f"x{number}", term, {"kind": "register", "x": number})
    if found.current_location is not None:
        text = _frame(context, 0, found.current_location)
        yield text, {"kind": "current", "frame": 0, "location": found.current_location.data()}
    for slot in stack(context.vm, process, args.limit or -1):
        yield _slot(context, slot, args.raw)


def _largest(
    context: Context, process: Process, found: Execution, args: Namespace
) -> Iterator[tuple[str, dict[str, object]]]:
    """The words that refer to most."""
    from ..code import stack
    from ..text import plural

    native = context.vm.native
    sizes = native.measure_slots(
        process.address, found.stack_top, found.stack_words, args.limit or -1
    )
    only = sorted(address for address, _ in sizes)
    slots = {slot.address: slot for slot in stack(context.vm, process, only=only)}
    for address, words in sizes:
        slot = slots.get(address)
        if slot is not None and slot.term is not None:
            text, data = _slot(context, slot, args.raw)
            yield f"-- {slot.frame} -- [{plural(words, 'word')}] {text}", {**data, "words": words}


def _frame(context: Context, number: int, location: Location) -> str:
    syntax = str(context.settings.get("syntax"))
    place = f" ({location.place})" if location.place else ""
    offset = f" + {location.offset}" if location.offset is not None else ""
    return f"-- {number} {location.name(syntax)}{offset}{place} --"


def _term(
    context: Context, label: str, term: Term, data: dict[str, object]
) -> tuple[str, dict[str, object]]:
    width = context.screen().width or 80
    head = f"{label}: "
    options = context.settings.format_options(width=width, column=len(head))
    data["term"] = term.format(**context.settings.format_options())
    return head + term.format(**options), data


def _slot(context: Context, slot: Slot, raw: bool) -> tuple[str, dict[str, object]]:
    from ..text import plural

    data: dict[str, object] = {
        "kind": slot.kind,
        "address": f"{slot.address:#x}",
        "frame": slot.frame,
    }
    if not context.settings.redact:
        data["word"] = f"{slot.word:#x}"
    if slot.y is not None:
        data["y"] = slot.y
    if slot.location is not None:
        data["location"] = slot.location.data()
    prefix = f"{slot.address:#x} " if raw else ""
    if raw and not context.settings.redact:
        prefix += f"{slot.word:#018x} "
    if slot.term is not None:
        return _term(context, f"{prefix}y{slot.y}", slot.term, data)
    if slot.kind == "return" and slot.location is not None:
        text = _frame(context, slot.frame, slot.location)
    elif slot.kind == "return":
        text = f"-- {slot.frame} return to unknown code at {slot.word:#x} --"
    elif slot.kind == "catch":
        text = f"y{slot.y}: catch" + _where(context, slot.location, ", handled in ")
    elif slot.kind == "mfa":
        text = "traced call" + _where(context, slot.location, " of ")
    elif slot.kind == "frame_pointer":
        text = f"frame pointer {slot.word:#x}"
    elif slot.kind == "unreadable":
        text = f"{plural(slot.word, 'word')} from {slot.address:#x} on: not in the core"
    else:
        text = "reserved for a return address"
    return prefix + text, data


def _where(context: Context, location: Location | None, before: str) -> str:
    if location is None:
        return ""
    place = f" ({location.place})" if location.place else ""
    return before + location.name(str(context.settings.get("syntax"))) + place


def _close(found: Execution, args: Namespace, count: int, interrupted: bool) -> list[str]:
    limit = args.limit
    if interrupted:
        return ["Interrupted."]
    if args.sort == "size":
        return [f"{count:,} of {found.stack_words:,} words shown: those that refer to most."]
    if limit and limit < found.stack_words:
        return [f"{limit:,} of {found.stack_words:,} words shown; --limit all shows all."]
    return []


COMMAND = Command(
    name="etp-stackdump",
    summary="Show the stack and the registers of a process.",
    description="""
    From the top: argument registers (x0 and so on) of a process that waits to be scheduled or
    hibernates, the function that it is in, and each word of the stack: Y registers, catches with
    their handlers, and between dashes the functions whose frames begin there. By size, the Y
    registers only, with the number of their frame and the heap words of the term with all that is
    in it; what several share counts for the first of them.
    """,
    run=run,
    arguments=(
        PROCESS,
        sort_by("position", "size", help="position: from the top; size: what refers to most first"),
        limit(200, "words"),
        Argument("--raw", help="show address and value of each word too", kind="flag"),
        JSON,
    ),
    examples=(
        ("etp-stackdump <0.123.0>", "what the process holds on its stack"),
        ("etp-stackdump <0.123.0> --sort size --limit 5", "which of it is large"),
    ),
)
