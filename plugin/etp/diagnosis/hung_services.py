# SPDX-License-Identifier: Apache-2.0
"""Causes among the processes that everybody writes to: handlers of logger, and tracers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..text import agree, plural, shorten
from .finding import Finding, Severity

if TYPE_CHECKING:
    from ..hang import Hang
    from ..otp.loggers import Handler
    from ..tracers import Tracer
    from ..waits import Waiter
    from .thresholds import HungThresholds


def loggers(hang: Hang, limits: HungThresholds, explained: set[int]) -> Iterator[Finding]:
    """Handlers of logger that protect themselves from overload."""
    for handler in hang.handlers:
        _, behind = hang.root_of(handler.process.address)
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
    root, behind = hang.root_of(process.address)
    title = f"The logger handler {hang.name(process.pid)} {state}; it {doing.text}"
    evidence = []
    explains = {process.address}
    subjects = [str(process.pid)]
    if root is not None and root.waiter.address != process.address:
        end = root.waiter
        who = hang.name(end.term)
        if end.kind == "node":
            who = f"processes of the node {who}"
        title = f"The logger handler {hang.name(process.pid)} {state}; it waits for {who}"
        evidence += _doing(hang, end)
        explains.add(end.address)
        subjects.append(str(end.term))
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
        [
            (f"etp-state {process.pid}", "its limits, and where it writes"),
            (f"etp-stacktrace {process.pid}", "where it is"),
        ],
        behind,
        subjects,
        weight=behind or handler.messages,
        explains=explains,
    )


def _doing(hang: Hang, end: Waiter) -> list[str]:
    """What is known of the one that a handler waits for."""
    if end.kind == "process":
        return [f"That one {hang.activity(end.address).text}."]
    port = hang.port(end.term)
    return ["That port is busy."] if port is not None and port["is_busy"] else []


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
