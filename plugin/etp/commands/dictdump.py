# SPDX-License-Identifier: Apache-2.0
"""etp-dictdump: the process dictionary."""

from __future__ import annotations

from .declaration import JSON, Argument, Command, limit, sort_by
from .stacktrace import PROCESS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from _etp import Term

    from ..views import Listing
    from ..vm import Process
    from .context import Context


def run(context: Context, args: Namespace) -> Listing:
    from .. import processes
    from ..text import plural
    from ..views import Listing

    process = context.vm.find_process(args.PROCESS)
    info = processes.info(context.vm, process)
    hidden = info.is_sensitive and not args.sensitive
    pairs = [] if hidden else _sorted(context, process, info.dictionary, args.sort)
    shown = pairs[: args.limit] if args.limit else pairs
    width = context.screen().width or 80

    def entries() -> Iterator[tuple[str, dict[str, object]]]:
        for key, value, words in shown:
            # A key is a tag: it says what the value is.
            name = key.format(**context.settings.format_options())
            if context.settings.redact and key.kind == "atom":
                name = str(key)
            head = f"{name} => "
            if words is not None:
                head = f"[{plural(words, 'word')}] {head}"
            options = context.settings.format_options(width=width, column=len(head))
            yield head + value.format(**options), {
                "key": name,
                "value": value.format(**context.settings.format_options()),
                "words": words,
            }

    def close(count: int, interrupted: bool) -> list[str]:
        notes = []
        if hidden:
            notes.append("The process is sensitive; --sensitive shows its dictionary.")
        elif count < len(pairs):
            notes.append(f"{count:,} of {len(pairs):,} pairs shown; --limit all shows all.")
        return notes

    return Listing(
        entries(),
        close,
        header=f"{process.pid} {process.label}: {plural(len(info.dictionary), 'pair')}",
        facts={"pid": str(process.pid), "dictionary_size": len(info.dictionary)},
        warnings=info.warnings if "dictionary" in info.unknown + info.uncertain else [],
        noun="dictionary",
    )


def _sorted(
    context: Context, process: Process, pairs: list[tuple[Term, Term]], order: str
) -> list[tuple[Term, Term, int | None]]:
    """Keys and values, and the words of the value if these are asked for."""
    from ..views import ranked

    if order == "size":
        native = context.vm.native
        sizes = native.measure_each(process.address, [value for _, value in pairs])
        return ranked(((*pair, size) for pair, size in zip(pairs, sizes)), lambda item: item[2])
    found: list[tuple[Term, Term, int | None]] = [(*pair, None) for pair in pairs]
    if order == "key":
        found.sort(key=lambda item: item[0].format(**context.settings.format_options(width=0)))
    return found


COMMAND = Command(
    name="etp-dictdump",
    summary="Show the dictionary of a process.",
    description="""
    In the order of process_info(Pid, dictionary). Sizes are those of the values with all that is in
    them; what several share counts for the first, and literals and off-heap binaries do not.
    """,
    run=run,
    arguments=(
        PROCESS,
        sort_by(
            "slot",
            "key",
            "size",
            help="slot: as process_info/2; key: by the text of the key; size: largest value first",
        ),
        limit(50, "pairs"),
        Argument("--sensitive", help="also of a process that is sensitive", kind="flag"),
        JSON,
    ),
)
