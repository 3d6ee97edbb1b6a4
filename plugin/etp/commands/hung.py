# SPDX-License-Identifier: Apache-2.0
"""etp-hung: why a VM does not answer."""

from __future__ import annotations

from .declaration import JSON, Argument, Command, limit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ..diagnosis.finding import Finding
    from ..diagnosis.thresholds import HungThresholds
    from ..hang import Hang
    from ..views import Block, Report
    from .context import Context


def run(context: Context, args: Namespace) -> Report:
    from .. import hang
    from ..diagnosis.hung import diagnose
    from ..views import Paragraph, Report

    settings = context.settings
    found = hang.read(context.vm, str(settings.get("syntax")), settings.redact)
    limits = _limits(args)
    findings = diagnose(found, limits)
    found.unread += found.unjudged(min(limits.callers, limits.stalled_callers))
    looked_at = _looked_at(found)
    blocks: list[Block | None] = []
    shown = findings[: args.limit or None]
    if not findings and (found.unread or context.vm.info.bytes_truncated):
        text = "Nothing found that hangs in what could be read, which is not all."
        blocks.append(Paragraph(text, "warning"))
    elif not findings:
        blocks.append(Paragraph("Nothing found that hangs.", "good"))
    for number, finding in enumerate(shown, 1):
        blocks += _finding(number, finding)
    if len(shown) < len(findings):
        blocks += [None, Paragraph(f"{len(findings) - len(shown):,} more; --limit all shows all.")]
    if findings:
        blocks.append(None)
    blocks.append(Paragraph("Checked: " + "; ".join(looked_at) + ".", "dim"))
    blocks.append(Paragraph(f"Not known: {'; '.join(_unknown(found))}.", "dim"))
    # What could not be read must not push the cause off the screen.
    blocks += [Paragraph(sentence, "warning") for sentence in found.unread]
    if args.explain:
        blocks += _explain(limits)
    elif findings:
        blocks.append(Paragraph("--explain shows from where on a number is suspicious.", "dim"))
    return Report(blocks, _data(found, findings, looked_at))


def _unknown(found: Hang) -> list[str]:
    unknown = [
        "what locks other than those of processes and whole ETS tables mean (etp-locks lists them)",
        "what happens on other nodes",
    ]
    if found.rooms is None or not found.rooms.is_process:
        # Nothing but the kernel knows them.
        unknown.insert(
            0, "limits of the system on memory and files (cgroup, ulimit), which a core has not"
        )
    return unknown


def _limits(args: Namespace) -> HungThresholds:
    from dataclasses import replace

    from ..diagnosis.thresholds import HUNG_THRESHOLDS

    chosen = {"callers": args.callers, "stuck_ms": args.stuck_ms, "mailbox": args.mailbox}
    given = {name: value for name, value in chosen.items() if value}
    if "callers" in given:
        given["stalled_callers"] = given["system_callers"] = given["callers"]
    if "mailbox" in given:
        given["waiting_mailbox"] = given["unmatched"] = given["mailbox"]
    return replace(HUNG_THRESHOLDS, **given)


def _finding(number: int, finding: Finding) -> list[Block | None]:
    from ..views import Paragraph

    title = f"{number}. {finding.title}."
    blocks: list[Block | None] = [Paragraph(title, "warning", hang=3)]
    if number > 1:
        blocks = [None, Paragraph(title, "strong", hang=3)]
    blocks += [Paragraph(sentence, indent=3) for sentence in finding.evidence]
    if finding.doubt:
        blocks.append(Paragraph(f"({finding.doubt})", "dim", indent=3))
    blocks += [
        Paragraph(f"-> {command}: {what}", indent=3, hang=3) for command, what in finding.commands
    ]
    return blocks


def _looked_at(found: Hang) -> list[str]:
    """What was read, and what is ordinary about it."""
    from ..text import agree, plural

    parts = []
    if found.schedulers:
        busy = sum(scheduler.is_busy for scheduler in found.schedulers)
        schedulers = plural(len(found.schedulers), "scheduler")
        parts.append(f"{schedulers}, {busy} of which {agree('execute', busy)}")
    if found.queues is not None:
        parts.append(f"run queues with {plural(found.queues.length, 'entry', 'entries')}")
    if found.waits is not None:
        waiting = sum(found.waits.kinds.values())
        most = max((root.waiter.behind for root in found.waits.roots), default=0)
        text = f"{plural(found.vm.info.processes, 'process', 'processes')}, {waiting:,} of which wait for another"
        parts.append(text + (f", at most {most:,} for one" if most else ""))
    if found.mailboxes is not None:
        most = max((b.messages + b.in_transit for b in found.mailboxes.boxes), default=0)
        parts.append(
            f"mailboxes with {plural(found.mailboxes.messages, 'message')}, at most {most:,} in one"
        )
    busy_ports = sum(port["is_busy"] for port in found.ports)
    parts.append(f"{plural(len(found.ports), 'port')}, {busy_ports or 'none'} of them busy")
    locked = sum(table.is_lock_awaited for table in found.tables)
    parts.append(f"{plural(len(found.tables), 'ETS table')}, locks of {locked or 'none'} awaited")
    awaited = sum(lock.is_awaited for lock in found.locks)
    parts.append(f"{plural(len(found.locks), 'lock')} in all, {awaited or 'none'} awaited")
    if found.tracers is not None:
        traced = sum(t.processes + t.ports for t in found.tracers.tracers) + found.tracers.others
        parts.append(f"{traced or 'no'} processes and ports traced")
    modes = [f"{h.mode or 'unknown'}" for h in found.handlers]
    parts.append(
        f"{plural(len(modes), 'logger process', 'logger processes')}"
        + (f" ({', '.join(modes)})" if modes else "")
    )
    if found.timers is not None:
        parts.append(
            f"{plural(found.timers.count, 'timer')}, {found.timers.due_soon:,} due within a second"
        )
    info = found.vm.info
    shares = [
        f"{name} {100 * count / limit:.0f} %"
        for name, count, limit in (
            ("atoms", info.atoms, info.atom_limit),
            ("processes", info.processes, info.process_limit),
            ("ports", info.ports, info.port_limit),
        )
        if limit
    ]
    for room in found.rooms.rooms if found.rooms else []:
        shares.append(f"{room.name.replace('_', ' ')} {100 * room.share:.0f} %")
    return [*parts, "of their limits: " + ", ".join(shares)]


def _explain(limits: HungThresholds) -> list[Block | None]:
    from dataclasses import asdict

    from ..units import format_bytes
    from ..views import Facts, Paragraph

    entries = []
    for name, value in asdict(limits).items():
        if name.endswith("_bytes"):
            text = format_bytes(value)
        elif name.endswith("_share"):
            text = f"{100 * value:.0f} %"
        elif name.endswith("_ms"):
            text = f"{value:,} ms"
        else:
            text = f"{value:,}"
        entries.append((name.removesuffix("_ms").replace("_", " "), text))
    return [None, Paragraph("From here on a number is suspicious:", "strong"), Facts(entries, 2)]


def _data(found: Hang, findings: list[Finding], looked_at: list[str]) -> dict[str, object]:
    return {
        "verdict": findings[0].severity.name.lower() if findings else "nothing",
        "findings": [finding.data() for finding in findings],
        "checked": looked_at,
        "not_known": _unknown(found),
        "unread": found.unread,
    }


COMMAND = Command(
    name="etp-hung",
    summary="Diagnose a VM that does not answer: who or what it waits for.",
    description="""
    The first screen for a VM that hangs, the most likely cause first, each with its evidence and with the commands that
    show more: deadlocks; processes, ports and nodes that many wait for; applications and modules that are being started and
    loaded; suspended processes; schedulers that execute
    the same for long; dirty schedulers that are all taken; locks of ETS tables; garbage collections of huge heaps;
    locks of processes; handlers of logger and tracers that do not keep up; mailboxes, timers and run queues without end;
    tables, memory and files near their limits.

    One look cannot tell a VM that hangs from one that is busy, except by what is out of the ordinary: where a cause could
    be otherwise, that is said. What was checked and what could not be is listed at the end.
    """,
    run=run,
    arguments=(
        Argument("--explain", help="show from where on a number is suspicious", kind="flag"),
        Argument(
            "--callers",
            help="so many that wait for one process are suspicious",
            kind="limit",
            default=0,
            metavar="N",
        ),
        Argument(
            "--stuck-ms",
            help="so long is too long for a scheduler to execute the same",
            kind="limit",
            default=0,
            metavar="MS",
        ),
        Argument(
            "--mailbox",
            help="so many messages are too many for a mailbox",
            kind="limit",
            default=0,
            metavar="N",
        ),
        limit(10, "causes"),
        JSON,
    ),
    examples=(
        ("etp-hung", "why the VM does not answer"),
        ("etp-hung --callers 5", "suspect whatever five processes wait for"),
    ),
)
