# SPDX-License-Identifier: Apache-2.0
"""etp-ets-show: the rows of a table."""

from __future__ import annotations

from .declaration import JSON, Argument, Command, limit
from .ets_tables import complete_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from _etp import EtsRow

    from ..ets import EtsRows, EtsTable
    from ..views import Listing
    from .context import Context


def run(context: Context, args: Namespace) -> Listing:
    from ..term_parser import parse
    from ..views import Listing

    table = context.vm.ets_table(args.TABLE)
    pattern = parse(args.key) if args.key is not None else None
    rows = table.rows()
    state = _State(limit=args.limit)
    width = context.screen().width or 80

    def entries() -> Iterator[tuple[str, dict[str, object]]]:
        for row in _wanted(rows, pattern, state):
            yield _text(context, row, width, args.raw), _data(context, row, args.raw)

    return Listing(
        entries(),
        close=lambda count, interrupted: _close(table, rows, state, count, interrupted),
        header=_header(table),
        facts={"table": table.name, "id": str(table.id), "size": table.size},
        warnings=[table.problem] if table.problem else [],
    )


class _State:
    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.looked_at = 0
        self.deleted = 0
        self.more = False


def _wanted(rows: EtsRows, pattern: object, state: _State) -> Iterator[EtsRow]:
    from ..term_parser import matches

    shown = 0
    for row in rows:
        if state.limit and shown == state.limit:
            state.more = True
            return
        state.looked_at += 1
        state.deleted += row.pseudo_deleted
        if pattern is not None and not matches(row.key, pattern):  # type: ignore[arg-type]
            continue
        shown += 1
        yield row


def _header(table: EtsTable) -> str:
    from ..text import plural
    from ..units import format_bytes

    states = "".join(f", {state}" for state in table.states)
    return (
        f"{table.label}: {table.type}, {plural(table.size, 'row')},"
        f" {format_bytes(table.memory_bytes)} without binaries, owner {table.owner}"
        f" {table.owner_label}".rstrip() + states
    )


def _text(context: Context, row: EtsRow, width: int, raw: bool) -> str:
    mark = "(deleted) " if row.pseudo_deleted else ""
    if raw:
        head = f"{row.address:#x}: {row.words} words{' (deleted)' * row.pseudo_deleted}"
        if context.settings.redact:
            return head
        from .term import _dump

        return "\n  ".join([head, *_dump(row.term.address, row.term.raw_words())])
    options = context.settings.format_options(width=width, column=len(mark))
    return mark + row.term.format(**options)


def _data(context: Context, row: EtsRow, raw: bool) -> dict[str, object]:
    data: dict[str, object] = {
        "address": f"{row.address:#x}",
        "words": row.words,
        "pseudo_deleted": row.pseudo_deleted,
        "term": row.term.format(**context.settings.format_options()),
    }
    if raw and not context.settings.redact:
        data["raw"] = [f"{word:#x}" for word in row.term.raw_words()]
    return data


def _close(
    table: EtsTable, rows: EtsRows, state: _State, count: int, interrupted: bool
) -> list[str]:
    from ..text import plural, safe

    notes = []
    if interrupted:
        notes.append(f"Interrupted after {plural(state.looked_at, 'row')}.")
    elif state.more:
        notes.append(f"{count:,} of {table.size:,} rows shown; --limit all shows all.")
    elif count == 0:
        notes.append(
            f"No row has this key; {plural(state.looked_at, 'row')} looked at."
            if state.looked_at
            else "No rows."
        )
    if state.deleted:
        notes.append(
            f"{plural(state.deleted, 'row')} looked at had been deleted while the table was fixed."
        )
    if rows.gaps:
        reason = f" ({safe(rows.problem)})" if rows.problem else ""
        notes.append(
            f"{plural(rows.gaps, 'row or chain of rows', 'rows or chains of rows')}"
            f" could not be read{reason}."
        )
    return notes


COMMAND = Command(
    name="etp-ets-show",
    summary="Show the rows of an ETS table.",
    description="""
    Rows come in the order of ets:tab2list/1. Those that were deleted while the table is fixed are
    still in memory, and are marked. Ctrl-C stops.
    """,
    run=run,
    arguments=(
        Argument(
            "TABLE",
            help="name, reference (#Ref<...>) or address of the table",
            complete=complete_names,
        ),
        limit(20, "rows"),
        Argument(
            "--key",
            help="only rows with this key: an Erlang or Elixir term; a string in double quotes"
            " matches the list of characters and the binary",
            metavar="TERM",
        ),
        Argument("--raw", help="show address and words of each row", kind="flag"),
        JSON,
    ),
    examples=(
        ("etp-ets-show sessions --limit 5", "five rows"),
        ('etp-ets-show sessions --key {user, "anna"}', "the row of one key"),
    ),
)
