# SPDX-License-Identifier: Apache-2.0
"""etp-dictdump: the process dictionary."""

from __future__ import annotations

from .declaration import JSON, Argument, Command, limit
from .stacktrace import PROCESS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from ..views import Listing
    from .context import Context


def run(context: Context, args: Namespace) -> Listing:
    from .. import processes
    from ..text import plural
    from ..views import Listing

    process = context.vm.find_process(args.PROCESS)
    info = processes.info(context.vm, process)
    hidden = info.is_sensitive and not args.sensitive
    pairs = [] if hidden else info.dictionary
    shown = pairs[: args.limit] if args.limit else pairs
    width = context.screen().width or 80

    def entries() -> Iterator[tuple[str, dict[str, object]]]:
        for key, value in shown:
            # A key is a tag: it says what the value is.
            name = key.format(**context.settings.format_options())
            if context.settings.redact and key.kind == "atom":
                name = str(key)
            head = f"{name} => "
            options = context.settings.format_options(width=width, column=len(head))
            yield head + value.format(**options), {
                "key": name,
                "value": value.format(**context.settings.format_options()),
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


COMMAND = Command(
    name="etp-dictdump",
    summary="Show the dictionary of a process.",
    description="In the order of process_info(Pid, dictionary).",
    run=run,
    arguments=(
        PROCESS,
        limit(50, "pairs"),
        Argument("--sensitive", help="also of a process that is sensitive", kind="flag"),
        JSON,
    ),
)
