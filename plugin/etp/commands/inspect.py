# SPDX-License-Identifier: Apache-2.0
"""etp-inspect: what inspectors say of the processes that they know."""

from __future__ import annotations

from .declaration import JSON, Argument, Column, Command, limit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from ..inspectors import Inspector
    from ..views import Block, Report
    from ..vm import Process
    from .context import Context

KINDS = (
    Column("inspector", "its name", flexible=12),
    Column("processes", "that it knows", kind="count"),
    Column("what", "of what", flexible=30),
)


def complete_targets(context: Context) -> list[str]:
    from ..inspectors import REGISTERED, load

    load(str(context.settings.get("inspectors")))
    return sorted(REGISTERED)


def run(context: Context, args: Namespace) -> Report:
    from ..errors import Problem
    from ..inspectors import REGISTERED, by_module, known_processes, load

    warnings = load(str(context.settings.get("inspectors")))
    if not args.TARGET:
        return _kinds(context, warnings)
    chosen = REGISTERED.get(args.TARGET)
    if chosen is not None:
        known = [
            process for process, inspector in known_processes(context.vm) if inspector is chosen
        ]
        return _processes(context, chosen, known, args.limit, warnings)
    process = context.vm.find_process(args.TARGET)
    module = process.initial_call[0] if process.initial_call is not None else ""
    inspectors = by_module().get(module, [])
    if not inspectors:
        raise Problem(
            f"No inspector knows {process.pid} {process.label}; there are"
            f" {', '.join(sorted(REGISTERED))}. etp-state shows the states of other processes."
        )
    return _one(context, process, inspectors, warnings)


def _kinds(context: Context, warnings: list[str]) -> Report:
    from ..inspectors import REGISTERED, directory, known_processes
    from ..views import Paragraph, Report, Table

    counts = dict.fromkeys(REGISTERED, 0)
    for _process, inspector in known_processes(context.vm):
        counts[inspector.name] += 1
    rows = [
        {"inspector": name, "processes": count, "what": REGISTERED[name].summary}
        for name, count in sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    ]
    where = directory(str(context.settings.get("inspectors")))
    blocks: list[Block | None] = [
        Table(KINDS, rows, noun="inspectors"),
        None,
        Paragraph(f"Files of your own are looked for in {where}.", "dim"),
        Paragraph("Pools of DBConnection: etp-db-connections.", "dim"),
    ]
    return Report(blocks, {"inspectors": rows, "directory": where}, warnings)


def _processes(
    context: Context,
    inspector: Inspector,
    known: list[Process],
    limit_: int,
    warnings: list[str],
) -> Report:
    from ..inspectors import inspect
    from ..text import safe
    from ..views import Paragraph, Report, Table

    rows: list[dict[str, Any]] = []
    wrong: list[tuple[str, str]] = []
    for process in known:
        facts, suspicions = inspect(context.vm, process, inspector)
        pid = str(process.pid)
        rows.append({"pid": pid, "name": process.name or "", **_shown(context, facts)})
        wrong += [(pid, text) for text in suspicions]
    columns = _columns(rows)
    by_size = next((column for column in columns if column.kind in ("count", "bytes")), None)
    table = Table(columns, rows, noun="processes")
    table.arrange(by_size.name if by_size is not None else None, limit=limit_)
    blocks: list[Block | None] = [Paragraph(inspector.summary, "strong"), None]
    for pid, text in wrong[: limit_ or None]:
        blocks.append(Paragraph(f"{pid}: {text}", "warning", hang=3))
    if len(wrong) > limit_ > 0:
        blocks.append(Paragraph(f"{len(wrong) - limit_:,} more suspicions; --limit all shows all."))
    if wrong:
        blocks.append(None)
    data = {
        "inspector": inspector.name,
        "processes": list(rows),
        "suspicions": [{"pid": pid, "text": text} for pid, text in wrong],
    }
    return Report([*blocks, table], data, warnings)


def _one(
    context: Context, process: Process, inspectors: list[Inspector], warnings: list[str]
) -> Report:
    from ..inspectors import inspect
    from ..text import safe
    from ..views import Facts, Paragraph, Report

    blocks: list[Block | None] = [Paragraph(f"{process.pid} {process.label}".rstrip(), "strong")]
    data: dict[str, Any] = {"pid": str(process.pid), "inspectors": {}}
    for inspector in inspectors:
        found, suspicions = inspect(context.vm, process, inspector)
        facts = _shown(context, found)
        entries = [(_header(key), _text(key, value)) for key, value in facts.items()]
        blocks += [None, Paragraph(inspector.summary), Facts(entries, 2)]
        blocks += [Paragraph(safe(text), "warning", indent=2) for text in suspicions]
        data["inspectors"][inspector.name] = {"facts": facts, "suspicions": suspicions}
    return Report(blocks, data, warnings)


def _shown(context: Context, facts: dict[str, object]) -> dict[str, object]:
    """Facts as they may be shown: text out of a core is hidden when the user wants that."""
    from ..text import safe, shorten

    found: dict[str, object] = {}
    for key, value in facts.items():
        if isinstance(value, str) and key != "problem":
            value = f"({len(value)} characters)" if context.settings.redact and value else value
        if isinstance(value, (bool, int)) or value is None:
            found[key] = value
        else:
            found[key] = shorten(safe(str(value)), 200)
    return found


def _header(key: str) -> str:
    return key.replace("_", " ")


def _text(key: str, value: object) -> str:
    from ..units import format_bytes

    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return format_bytes(value) if key.endswith("_bytes") else f"{value:,}"
    return str(value)


def _columns(rows: list[dict[str, Any]]) -> tuple[Column, ...]:
    """A column for each fact, in the order in which the inspector gives them."""
    keys = dict.fromkeys(key for row in rows for key in row)
    found = [Column("pid", "of the process"), Column("name", "registered name", flexible=8)]
    for rank, key in enumerate(key for key in keys if key not in ("pid", "name")):
        values = [row[key] for row in rows if row.get(key) is not None]
        numbers = all(isinstance(value, int) for value in values)
        if key.endswith("_bytes") and numbers:
            found.append(Column(_header(key), "", kind="bytes", key=key, rank=rank))
        elif values and numbers:
            found.append(Column(_header(key), "", kind="count", key=key, rank=rank))
        else:
            found.append(Column(_header(key), "", key=key, rank=rank, flexible=10))
    return tuple(found)


COMMAND = Command(
    name="etp-inspect",
    summary="Show what inspectors know of RabbitMQ, NimblePool, Redix and others.",
    description="""
    Without TARGET, the inspectors and how many processes each knows. With the name of one, what it
    says of these processes, and what it finds wrong; with a process, what is known of that.

    An inspector is a Python class; files of your own are read from ~/.config/etp/inspectors, or from
    the directory of `set etp inspectors`. They are code that runs as you.
    """,
    run=run,
    arguments=(
        Argument(
            "TARGET",
            help="name of an inspector, or a process (pid or registered name)",
            optional=True,
            complete=complete_targets,
        ),
        limit(30, "processes and suspicions"),
        JSON,
    ),
    columns=KINDS,
    examples=(
        ("etp-inspect", "what there is"),
        ("etp-inspect rabbit_channel", "all channels of RabbitMQ"),
        ("etp-inspect <0.412.0>", "one process"),
    ),
)
