# SPDX-License-Identifier: Apache-2.0
"""Causes among the processes that everybody writes to: handlers of logger, and tracers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..text import agree, plural, shorten
from ..units import format_bytes
from .finding import Finding, Severity

if TYPE_CHECKING:
    from ..hang import Hang
    from ..otp.loggers import Handler
    from ..tracers import Tracer
    from ..waits import Waiter
    from .thresholds import HungThresholds


NAMES_IN_TITLE = 4
"""Of those that a handler waits for, one for the other."""


def loggers(hang: Hang, limits: HungThresholds, explained: set[int]) -> Iterator[Finding]:
    """Handlers of logger that protect themselves from overload."""
    for handler in hang.handlers:
        behind = hang.behind(handler.process.address)
        if handler.mode == "sync" and behind >= limits.system_callers:
            wait = f"{plural(behind, 'process', 'processes')} {agree('wait', behind)} for it"
            yield _handler(hang, handler, f"is in sync mode, and {wait}", Severity.LIKELY)
        elif handler.mode == "drop":
            yield _handler(hang, handler, "throws away what is logged", Severity.STRAIN)
        elif handler.messages >= limits.logged:
            yield _handler(hang, handler, "does not keep up", Severity.STRAIN)


def _handler(hang: Hang, handler: Handler, state: str, severity: Severity) -> Finding:
    process = handler.process
    doing = hang.activity(process.address)
    behind = hang.behind(process.address)
    title = f"The logger handler {hang.name(process.pid)} {state}; it {doing.text}"
    evidence = []
    explains = {process.address}
    subjects = [str(process.pid)]
    commands = [
        (f"etp-state {process.pid}", "its limits, and where it writes"),
        (f"etp-stacktrace {process.pid}", "where it is"),
    ]
    path = hang.path(process.address)
    if len(path) > 1:
        end = path[-1]
        title = f"The logger handler {hang.name(process.pid)} {state}; it waits for {_way(hang, path[1:])}"
        evidence += _doing(hang, end)
        others = end.behind - behind - len(path) + 1
        if others > 0:
            evidence.append(
                f"{plural(others, 'more process', 'more processes')} {agree('wait', others)} for that, or behind."
            )
        explains |= {waiter.address for waiter in path}
        subjects.append(str(end.term))
        if end.kind == "port":
            commands.append((f"etp-port-info {end.term}", "its owner and state"))
        if end.behind > end.direct and any(w.wait in ("port", "suspended") for w in path):
            # The VM itself has it stand still, which no other finding tells then.
            severity = Severity.HANG
    count = (
        f"{plural(handler.messages, 'message')} {agree('wait', handler.messages)} in its mailbox"
    )
    evidence.append(f"{count}; it {doing.text}.")
    if handler.mode == "sync":
        evidence.append(
            "Whoever logs waits until the event is written, for 5 s at most, and then logs the next."
        )
    elif handler.mode == "drop":
        evidence.append(
            "It does so until its mailbox is shorter (drop_mode_qlen); nobody waits meanwhile."
        )
    return Finding(
        "logger",
        severity,
        title,
        evidence,
        commands,
        behind,
        subjects,
        weight=behind or handler.messages,
        explains=explains,
    )


def _way(hang: Hang, path: list[Waiter]) -> str:
    """Whom one waits for, and whom that waits for, to the end."""
    names = [
        f"processes of the node {hang.name(w.term)}" if w.kind == "node" else hang.name(w.term)
        for w in path
    ]
    if len(names) <= NAMES_IN_TITLE:
        return ", which waits for ".join(names)
    first = ", which waits for ".join(names[: NAMES_IN_TITLE - 1])
    return f"{first}, and so on, to {names[-1]}"


def _doing(hang: Hang, end: Waiter) -> list[str]:
    """What is known of the one that all of them wait for."""
    if end.kind == "process":
        return [f"That one {hang.activity(end.address).text}."]
    port = hang.port(end.term)
    if port is None or not port["is_busy"]:
        return []
    size = format_bytes(port["queue_size"])
    return [f"That port is busy: nobody takes the {size} that wait in its queue."]


def tracers(hang: Hang, limits: HungThresholds, explained: set[int]) -> Iterator[Finding]:
    """Processes that trace others, and do not keep up."""
    for tracer in hang.tracers.tracers if hang.tracers else []:
        process = hang.process(tracer.state) if tracer.is_process else None
        if process is None:
            continue
        doing = hang.activity(process.address)
        if doing.messages >= limits.traced:
            yield _tracer(hang, tracer, process.address)


def _tracer(hang: Hang, tracer: Tracer, address: int) -> Finding:
    from .hung_load import shapes_of

    doing = hang.activity(address)
    traced = plural(tracer.processes, "process", "processes")
    if tracer.ports:
        traced += f" and {plural(tracer.ports, 'port')}"
    evidence = [f"It {doing.text}."]
    shapes = shapes_of(hang, address)
    if shapes:
        evidence.append(f"They are: {shapes}.")
    evidence.append(
        "Tracing slows down who is traced, and these messages take memory until they are received."
    )
    return Finding(
        "tracer",
        Severity.STRAIN,
        f"{shorten(hang.name(tracer.state), 60)} traces {traced}, and does not keep up: {doing.messages:,} messages wait in its mailbox",
        evidence,
        [
            (f"etp-stacktrace {tracer.state}", "where it is"),
            (f"etp-msgq {tracer.state} --limit 5", "the oldest messages"),
        ],
        hang.behind(address),
        [str(tracer.state)],
        weight=doing.messages,
        explains={address},
    )
