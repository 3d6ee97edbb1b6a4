# SPDX-License-Identifier: Apache-2.0
"""etp-heapdump: what stands on the heap of a process, in use or not."""

from __future__ import annotations

from .declaration import JSON, Argument, Command, limit, sort_by
from .stacktrace import PROCESS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator
    from typing import Any

    from _etp import Term

    from ..views import Listing
    from .context import Context

    #: Area, address, words, kind, term.
    Thing = tuple[str, int, int, str, Term]

AREAS = ("heap", "old_heap", "fragment")
CHUNK = 1024
# What a term contains is shown further on: a glimpse will do.
VALUE_LIMITS = {"max_depth": 3, "max_length": 8, "max_string": 40}


class _State:
    def __init__(self) -> None:
        self.more = False
        self.unreadable = 0
        self.invalid = 0


def run(context: Context, args: Namespace) -> Listing:
    from ..code import execution
    from ..text import plural
    from ..views import Listing

    process = context.vm.find_process(args.PROCESS)
    areas, problem = context.vm.native.heap_areas(process.address)
    chosen = [area for area in areas if args.area in ("all", area["kind"])]
    words = sum(area["top"] - area["start"] for area in chosen) // 8
    state = _State()
    warnings = execution(context.vm, process).warnings
    if problem:
        warnings.append(f"Parts of the heap are left out: {problem}.")
    label = f" {process.label}" if process.label else ""
    sizes = ", ".join(
        f"{area['kind'].replace('_', ' ')} {plural((area['top'] - area['start']) // 8, 'word')}"
        for area in areas[:4]
    )
    if len(areas) > 4:
        sizes += ", and " + plural(len(areas) - 4, "more fragment")
    find = _largest if args.sort == "size" else _in_order
    return Listing(
        _entries(context, find(context, chosen, args.limit, state)),
        close=lambda count, interrupted: _close(state, args.sort, count, interrupted),
        header=f"{process.pid}{label}: {sizes}",
        facts={"pid": str(process.pid), "address": f"{process.address:#x}", "words": words},
        warnings=warnings,
        noun="things",
    )


def _in_order(
    context: Context, areas: list[dict[str, Any]], limit: int, state: _State
) -> Iterator[Thing]:
    shown = 0
    for area in areas:
        position, top = area["start"], area["top"]
        while position < top:
            found, position, unreadable = context.vm.native.heap_things(
                position, top, min(CHUNK, limit - shown + 1) if limit else CHUNK
            )
            state.unreadable += unreadable
            for thing in found:
                if limit and shown == limit:
                    state.more = True
                    return
                shown += 1
                state.invalid += thing[2] == "invalid"
                yield (area["kind"], *thing)


def _largest(
    context: Context, areas: list[dict[str, Any]], limit: int, state: _State
) -> Iterator[Thing]:
    found, total, state.invalid, state.unreadable = context.vm.native.heap_largest(
        [(area["start"], area["top"]) for area in areas], limit or -1
    )
    state.more = total > len(found)
    for thing in found:
        kind = next(area["kind"] for area in areas if area["start"] <= thing[0] < area["top"])
        yield (kind, *thing)


def _entries(context: Context, things: Iterator[Thing]) -> Iterator[tuple[str, dict[str, object]]]:
    options = context.settings.format_options(width=0)
    options.update(VALUE_LIMITS)
    for area, address, words, kind, term in things:
        head = f"{address:#x} {words:>4}  "
        data: dict[str, object] = {
            "area": area,
            "address": f"{address:#x}",
            "words": words,
            "kind": kind,
        }
        if kind != "term":
            yield head + kind.replace("_", " "), data
            continue
        text = term.format(**options)
        data["term"] = text
        yield head + text, data


def _close(state: _State, order: str, count: int, interrupted: bool) -> list[str]:
    from ..text import plural

    notes = []
    if interrupted:
        notes.append("Interrupted.")
    elif state.more:
        which = "largest" if order == "size" else "first"
        notes.append(f"The {which} {plural(count, 'thing')} shown; --limit all shows all.")
    if state.invalid:
        notes.append(f"{plural(state.invalid, 'word or thing', 'words or things')} made no sense.")
    if state.unreadable:
        notes.append(f"{plural(state.unreadable, 'word')} of the heap are not in the core.")
    return notes


COMMAND = Command(
    name="etp-heapdump",
    summary="Show what stands on the heap of a process, in use or not.",
    description="""
    Address, words and value of each boxed term and cons cell, in the order in which they stand
    there. A term that others contain is shown by itself, and again within them. Inner nodes of
    large maps are map nodes.
    """,
    run=run,
    arguments=(
        PROCESS,
        Argument(
            "--area",
            help="heap: the young one; old_heap: what survived two garbage collections; fragment:"
            " heap fragments",
            choices=("all", *AREAS),
            default="all",
        ),
        sort_by("address", "size", help="address: as they stand there; size: largest first"),
        limit(50, "things"),
        JSON,
    ),
    examples=(
        ("etp-heapdump <0.123.0> --area old_heap --limit all", "all of the old heap"),
        ("etp-heapdump <0.123.0> --sort size", "the largest tuples, maps, bignums ..."),
    ),
)
