# SPDX-License-Identifier: Apache-2.0
"""etp-heapdump: what stands on the heap of a process, in use or not."""

from __future__ import annotations

from .declaration import JSON, Argument, Command, limit
from .stacktrace import PROCESS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator
    from typing import Any

    from ..views import Listing
    from .context import Context

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
    return Listing(
        _entries(context, chosen, args.limit, state),
        close=lambda count, interrupted: _close(state, count, interrupted),
        header=f"{process.pid}{label}: {sizes}",
        facts={"pid": str(process.pid), "address": f"{process.address:#x}", "words": words},
        warnings=warnings,
        noun="things",
    )


def _entries(
    context: Context, areas: list[dict[str, Any]], limit: int, state: _State
) -> Iterator[tuple[str, dict[str, object]]]:
    options = context.settings.format_options(width=0)
    options.update(VALUE_LIMITS)
    shown = 0
    for area in areas:
        position, top = area["start"], area["top"]
        while position < top:
            found, position, unreadable = context.vm.native.heap_things(
                position, top, min(CHUNK, limit - shown + 1) if limit else CHUNK
            )
            state.unreadable += unreadable
            for address, words, kind, term in found:
                if limit and shown == limit:
                    state.more = True
                    return
                shown += 1
                state.invalid += kind == "invalid"
                head = f"{address:#x} {words:>4}  "
                data: dict[str, object] = {
                    "area": area["kind"],
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


def _close(state: _State, count: int, interrupted: bool) -> list[str]:
    from ..text import plural

    notes = []
    if interrupted:
        notes.append("Interrupted.")
    elif state.more:
        notes.append(f"The first {plural(count, 'thing')} shown; --limit all shows all.")
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
        limit(50, "things"),
        JSON,
    ),
    examples=(("etp-heapdump <0.123.0> --area old_heap --limit all", "all of the old heap"),),
)
