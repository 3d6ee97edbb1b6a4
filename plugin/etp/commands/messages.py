# SPDX-License-Identifier: Apache-2.0
"""etp-messages: the longest mailboxes, and what is in them."""

from __future__ import annotations

from .declaration import JSON, Argument, Command, limit, sort_by

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from _etp import Term

    from ..processes import Row, Shape, Shapes
    from ..views import Block, Report
    from .context import Context


ORDERS = {"messages": "message_queue_len", "memory": "memory", "transit": "in_transit"}
"""Of mailboxes, by what of their process."""


def run(context: Context, args: Namespace) -> Report:
    from .. import processes
    from ..views import Paragraph, Report

    vm = context.vm
    rows = processes.rows(vm)
    full = [rows[i] for i, length in enumerate(rows.values("message_queue_len")) if length]
    full.sort(key=lambda row: int(getattr(row, ORDERS[args.sort])), reverse=True)
    shown = full[: args.limit] if args.limit else full
    blocks: list[Block | None] = [Paragraph(_summary(full, len(rows)))]
    facts = []
    for row in shown:
        found = processes.shapes(
            vm,
            row.address,
            elixir=context.settings.get("syntax") == "elixir",
            redact=context.settings.redact,
        )
        hidden = processes.info(vm, row.address).is_sensitive and not args.sensitive
        blocks += [None, *_mailbox(context, row, found, args.shapes, hidden)]
        facts.append(_data(context, row, found, args.shapes, hidden))
    if len(shown) < len(full):
        more = len(full) - len(shown)
        blocks += [None, Paragraph(f"{more:,} more mailboxes not shown; --limit all shows all.")]
    return Report(
        blocks,
        {
            "mailboxes": facts,
            "processes_with_messages": len(full),
            "messages": sum(row.message_queue_len for row in full),
        },
    )


def _summary(full: list[Row], processes: int) -> str:
    from ..text import plural

    if not full:
        return f"No messages wait: {plural(processes, 'mailbox', 'mailboxes')} looked at."
    messages = sum(row.message_queue_len for row in full)
    transit = sum(row.in_transit for row in full)
    text = f"{plural(messages, 'message')} in {plural(len(full), 'mailbox', 'mailboxes')}"
    text += f" of {plural(processes, 'process', 'processes')}"
    return text + (f"; {transit:,} of them in transit." if transit else ".")


def _mailbox(
    context: Context, row: Row, found: Shapes, most: int, hidden: bool
) -> list[Block | None]:
    from ..text import plural
    from ..units import format_bytes, format_percent
    from ..views import Lines, Paragraph

    head = f"{row.pid} {row.label}: {plural(row.message_queue_len, 'message')}, {row.status}"
    if row.in_transit:
        head += f", {row.in_transit:,} in transit"
    head += f", {format_bytes(row.memory)} of memory"
    blocks: list[Block | None] = [Paragraph(head, "strong")]
    if hidden:
        return [*blocks, Paragraph("The process is sensitive; --sensitive shows more.", indent=2)]
    shapes = found.shapes[:most] if most else found.shapes
    lines = [
        f"{format_percent(shape.count, found.messages):>7}  {shape.count:>11,}  {shape.text}"
        for shape in shapes
    ]
    rest = found.messages - sum(shape.count for shape in shapes)
    if rest:
        lines.append(f"{format_percent(rest, found.messages):>7}  {rest:>11,}  (other shapes)")
    blocks.append(Lines(lines, indent=2, cut=True))
    samples = [*_samples(context, shapes)]
    if samples:
        blocks.append(Lines(samples, indent=2, cut=True))
    if found.gaps:
        blocks.append(Paragraph(f"The queue breaks off: {found.problem}.", "warning", indent=2))
    return blocks


def _samples(context: Context, shapes: list[Shape]) -> list[str]:
    """The oldest and the newest message of the most frequent shape."""
    if not shapes:
        return []
    found = []
    for title, term in (("oldest", shapes[0].oldest), ("newest", shapes[0].newest)):
        if term is not None and (title == "oldest" or shapes[0].count > 1):
            found.append(f"{title}: {_line(context, term)}")
    return found


def _line(context: Context, term: Term) -> str:
    options = context.settings.format_options(max_depth=6, max_length=12, max_string=60)
    return " ".join(term.format(**options).split())


def _data(context: Context, row: Row, found: Shapes, most: int, hidden: bool) -> dict[str, object]:
    shapes = found.shapes[:most] if most else found.shapes
    return {
        "pid": str(row.pid),
        "name": row.name,
        "initial_call": row.call_text,
        "status": row.status,
        "message_queue_len": row.message_queue_len,
        "in_transit": row.in_transit,
        "memory": row.memory,
        "sensitive": hidden,
        "shapes": [] if hidden else [_shape_data(context, shape) for shape in shapes],
        "other_shapes": found.messages - sum(shape.count for shape in shapes),
        "gaps": found.gaps,
        "problem": found.problem or None,
    }


def _shape_data(context: Context, shape: Shape) -> dict[str, object]:
    return {
        "shape": shape.text,
        "count": shape.count,
        "words": shape.words,
        "oldest": None if shape.oldest is None else _line(context, shape.oldest),
        "newest": None if shape.newest is None else _line(context, shape.newest),
    }


COMMAND = Command(
    name="etp-messages",
    summary="Show the longest mailboxes, and what kinds of messages are in them.",
    description="""
    Messages that look alike are counted together: {log,_,_} are tuples of three with the tag log,
    {'$gen_cast',{log,_,_}} the same behind a tag of OTP, #{id,name} maps with these keys. The
    oldest and the newest of the most frequent kind are shown.
    """,
    run=run,
    arguments=(
        sort_by(
            *ORDERS,
            help="messages: longest mailbox first; memory: of its process; transit: not received",
        ),
        limit(5, "mailboxes"),
        Argument(
            "--shapes", help='kinds of messages of each; "all" for all', kind="limit", default=8
        ),
        Argument("--sensitive", help="also of processes that are sensitive", kind="flag"),
        JSON,
    ),
)
