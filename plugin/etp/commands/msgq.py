# SPDX-License-Identifier: Apache-2.0
"""etp-msgq: the messages of one process."""

from __future__ import annotations

from ..errors import UsageError
from .declaration import JSON, Argument, Command, limit, sort_by
from .stacktrace import PROCESS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from ..processes import Message, ProcessInfo
    from ..views import Listing
    from .context import Context


def run(context: Context, args: Namespace) -> Listing:
    from .. import processes
    from ..views import Listing

    if args.newest and args.sort != "arrival":
        raise UsageError("Either --newest or --sort: the newest are told by their arrival.")
    vm = context.vm
    process = vm.find_process(args.PROCESS)
    info = processes.info(vm, process)
    found = processes.messages(vm, process)
    width = context.screen().width or 80
    hidden = info.is_sensitive and not args.sensitive

    def entries() -> Iterator[tuple[str, dict[str, object]]]:
        for message in _chosen(found, args):
            yield _text(context, message, width, hidden), _data(context, message, hidden)

    def close(count: int, interrupted: bool) -> list[str]:
        notes = [f"Interrupted after {count:,}."] if interrupted else []
        total = info.message_queue_len + info.signals
        if count < total and not interrupted:
            which = f"{'newest' if args.newest else 'oldest'} of " if args.sort == "arrival" else ""
            head = f"The {count:,} {which}" if which else f"{count:,} of "
            notes.append(f"{head}{total:,} shown; --limit all shows all.")
        if hidden:
            notes.append("The process is sensitive; --sensitive shows what its messages say.")
        if found.gaps:
            notes.append(f"The queue breaks off: {found.problem}.")
        return notes

    return Listing(
        entries(),
        close,
        header=_header(info, process.label),
        facts={
            "pid": str(info.pid),
            "message_queue_len": info.message_queue_len,
            "queues": info.queues,
            "signals": info.signals,
        },
        noun="messages",
    )


def _chosen(found: Iterator[Message], args: Namespace) -> Iterator[Message]:
    from collections import deque
    from itertools import islice

    from ..views import ranked

    if args.sort != "arrival":
        return iter(ranked(found, _words if args.sort == "size" else _sender, args.limit))
    if args.newest and args.limit:
        return iter(deque(found, maxlen=args.limit))
    return islice(found, args.limit) if args.limit else found


def _words(message: Message) -> int | None:
    """In memory of its own; of one that is not decoded yet, that of its bytes."""
    from ..units import WORD

    return message.words or message.external_bytes // WORD or None


def _sender(message: Message) -> int | None:
    return None if message.sender is None else -message.sender.word


def _header(info: ProcessInfo, label: str) -> str:
    from ..text import plural

    text = f"{info.pid} {label}: {plural(info.message_queue_len, 'message')}"
    if info.in_transit:
        text += f", {info.in_transit:,} of them in transit"
    if info.signals:
        text += f", {plural(info.signals, 'other signal')} in transit"
    return text


def _origin(message: Message) -> str:
    text = "" if message.queue == "inner" else f"[{message.queue}] "
    return text + (f"from {message.sender}: " if message.sender is not None else "")


def _text(context: Context, message: Message, width: int, hidden: bool) -> str:
    head = _origin(message)
    if message.kind == "signal":
        head += f"signal {message.signal}"
        if message.term is None and not message.undecoded:
            return head
        head += ": "
    if message.kind == "alias":
        head += "to an alias: "
    if hidden:
        return head + "(sensitive)"
    if message.term is None:
        return head + _undecoded(message)
    options = context.settings.format_options(width=width, column=len(head))
    return head + message.term.format(**options)


def _undecoded(message: Message) -> str:
    size = f"{message.external_bytes:,} bytes " if message.external_bytes else ""
    return f"({size}in external format, not decoded: {message.undecoded})"


def _data(context: Context, message: Message, hidden: bool) -> dict[str, object]:
    text = None
    if message.term is not None and not hidden:
        text = message.term.format(**context.settings.format_options())
    return {
        "queue": message.queue,
        "kind": message.kind,
        "signal": message.signal,
        "from": None if message.sender is None else str(message.sender),
        "term": text,
        "storage": message.storage,
        "words": message.words,
        "external_bytes": message.external_bytes or None,
        "undecoded": message.undecoded or None,
        "address": f"{message.address:#x}",
    }


COMMAND = Command(
    name="etp-msgq",
    summary="Show the messages of a process, and other signals on their way to it.",
    description="""
    Oldest first. What had not arrived in the message queue proper is marked with its queue: middle
    and outer as in the VM, or buffer for the parallel buffers of OTP 25. A message in the outer
    queue behind a signal that is not a message is not seen by receive before that is handled.
    Signals show what they will become if they are trapped or monitored. What came from another node
    and was not looked at yet is decoded here.
    """,
    run=run,
    arguments=(
        PROCESS,
        sort_by(
            "arrival",
            "size",
            "sender",
            help="arrival: oldest first; size: largest first, last those that lie on the heap of the"
            " process; sender: those of one process together",
        ),
        limit(20, "messages"),
        Argument("--newest", help="show the newest instead of the oldest", kind="flag"),
        Argument("--sensitive", help="also of a process that is sensitive", kind="flag"),
        JSON,
    ),
    examples=(
        ("etp-msgq logger --limit 5", "the five oldest messages"),
        ("etp-msgq logger --newest", "the newest"),
        ("etp-msgq logger --sort size", "those that occupy most memory"),
    ),
)
