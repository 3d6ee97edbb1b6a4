# SPDX-License-Identifier: Apache-2.0
"""Causes that show in who waits for whom."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..activity import argument_text
from ..code import current_places
from ..connections import connections
from ..hang import SYSTEM
from ..text import agree, plural, shorten
from ..units import format_bytes
from .finding import Finding, Severity
from .hung_load import works

if TYPE_CHECKING:
    from ..activity import Activity
    from ..code import Location
    from ..hang import Hang
    from ..vm import Process
    from ..waits import Cycle, Root, Waiter
    from .thresholds import HungThresholds

AT_HAND = "have the reference of a monitor at hand, but may wait for other messages as well"
"""Of who waits for a "monitor"."""

EVERYBODY = 1 << 30
"""More than there can be processes."""

NAMES_IN_TITLE = 4
"""Members of a deadlock that the title has; the evidence has more."""
NAMES_IN_EVIDENCE = 12


def deadlocks(hang: Hang, limits: HungThresholds, explained: set[int]) -> Iterator[Finding]:
    for cycle in hang.waits.cycles if hang.waits else []:
        evidence = []
        if cycle.size > NAMES_IN_TITLE:
            evidence.append("In a circle: " + _circle(hang, cycle, NAMES_IN_EVIDENCE) + ".")
        if cycle.size > 1:
            evidence += _roles(hang, cycle.members)
        evidence += _calls(hang, cycle)
        if cycle.behind:
            evidence.append(f"{cycle.behind:,} more {agree('wait', cycle.behind)} behind them.")
        yield Finding(
            "deadlock",
            Severity.HANG if cycle.is_certain else Severity.LIKELY,
            _deadlock(hang, cycle),
            evidence,
            [
                (f"etp-stacktrace {member.term}", "how it came to call")
                for member in cycle.members[:2]
            ],
            cycle.size + cycle.behind,
            [str(member.term) for member in cycle.members],
            "" if cycle.is_certain else f"Some of them {AT_HAND}.",
            explains={member.address for member in cycle.members},
        )


def _deadlock(hang: Hang, cycle: Cycle) -> str:
    if cycle.size > 1:
        return f"Deadlock of {_processes(cycle.size)}: {_circle(hang, cycle, NAMES_IN_TITLE)}"
    (member,) = cycle.members
    role = hang.roles.get(member.address, "works for others")
    return f"Deadlock: {hang.name(member.term)} {role}, and waits itself until that is done"


def _roles(hang: Hang, members: list[Waiter]) -> list[str]:
    """What the first of them do for others."""
    found = [m for m in members if m.address in hang.roles][:NAMES_IN_TITLE]
    return [f"{hang.name(m.term)} {hang.roles[m.address]}." for m in found]


def _calls(hang: Hang, cycle: Cycle) -> list[str]:
    """From where the first of them call."""
    found = []
    for member in cycle.members[:NAMES_IN_TITLE]:
        doing = hang.activity(member.address)
        where = f"waits for a call from {doing.caller}" if doing.caller else doing.text
        found.append(f"{hang.name(member.term)} {where}.")
    return found


def _circle(hang: Hang, cycle: Cycle, limit: int) -> str:
    names = [hang.name(member.term) for member in cycle.members[:limit]]
    if cycle.size > limit:
        names.append(f"{cycle.size - limit:,} more")
    return " -> ".join([*names, names[0]])


def blockers(hang: Hang, limits: HungThresholds, explained: set[int]) -> Iterator[Finding]:
    """Whoever others wait for, and who waits for nobody."""
    for root in hang.waits.roots if hang.waits else []:
        if root.waiter.address in explained:
            continue
        if root.waiter.kind == "port" and root.waits.get("port"):
            yield _busy_port(hang, root, limits)
        elif root.waiter.kind == "port" and root.waits.get("send"):
            yield from _full_port(hang, root, limits)
        elif root.waiter.kind == "port":
            yield from _watched_port(hang, root, limits)
        elif root.waiter.kind == "node":
            yield from _node(hang, root, limits)
        elif root.waits.get("suspended"):
            yield _suspended(hang, root)
        else:
            yield from _blocker(hang, root, limits)


def _busy_port(hang: Hang, root: Root, limits: HungThresholds) -> Finding:
    """One that is suspended on it, with nobody behind, may well be a slow reader's own writer."""
    port = hang.port(root.waiter.term)
    direct, behind = root.waiter.direct, root.waiter.behind
    evidence = [] if port is None else [_not_taken(port)]
    evidence += _chain(hang, root)
    title = f"{_processes(direct)} {agree('are', direct)} suspended on the busy port {hang.name(root.waiter.term)}"
    return Finding(
        "busy_port",
        Severity.HANG if behind > direct or direct >= limits.stalled_callers else Severity.STRAIN,
        title + _more(behind - direct),
        evidence,
        [
            (f"etp-port-info {root.waiter.term}", "its owner and state"),
            ("etp-processes --sort status", "who is suspended"),
        ],
        behind,
        [str(root.waiter.term)],
    )


def _full_port(hang: Hang, root: Root, limits: HungThresholds) -> Iterator[Finding]:
    """Somebody is in gen_tcp:send/2.  That others read slowly is nothing out of the ordinary for a server:
    it matters if somebody waits for the one that sends.  With TLS that is a process of ssl's own
    (tls_sender.erl), which the one that sends calls."""
    port = hang.port(root.waiter.term)
    senders, behind = root.waits["send"], root.waiter.behind
    first = next((waiter for waiter in root.chain if waiter.wait == "send"), root.chain[0])
    doing = hang.activity(first.address)
    if port is None or not (port["is_busy"] or port["queue_size"]):
        return
    is_tls = _initial_module(hang, first) == "tls_sender"
    ordinary = 2 * senders if is_tls else senders
    if behind <= ordinary and doing.messages < limits.stalled_callers:
        return
    evidence = [_not_taken(port)]
    where = f"was called by {doing.caller}" if doing.caller else doing.text
    evidence.append(f"{hang.name(first.term)} {where}.")
    evidence += _chain(hang, root)
    who = f"{hang.name(first.term)} waits" if senders == 1 else f"{_processes(senders)} wait"
    waiting = _more(behind - senders)
    if doing.messages:
        waiting += (
            f"; {plural(doing.messages, 'message')} {agree('wait', doing.messages)} in its mailbox"
        )
    yield Finding(
        "full_port",
        Severity.LIKELY,
        f"{who} to send to the {'busy ' if port['is_busy'] else ''}port {hang.name(root.waiter.term)}, the"
        f" other end of which does not take it{waiting}",
        evidence,
        [
            (f"etp-port-info {root.waiter.term}", "its owner and state"),
            (f"etp-stacktrace {first.term}", "what it sends"),
            (f"etp-msgq {first.term} --limit 5", "who waits for it without a monitor"),
        ],
        behind,
        [str(root.waiter.term), str(first.term)],
        "It may only be slow.",
        explains={first.address},
    )


def _not_taken(port: dict[str, Any]) -> str:
    what = "It" if not port["os_pid"] else f"Its program, process {port['os_pid']} of the system,"
    return (
        f"{what} does not take what it is sent: {format_bytes(port['queue_size'])} wait in its"
        f" queue, and {format_bytes(port['output'])} were written to it."
    )


def _watched_port(hang: Hang, root: Root, limits: HungThresholds) -> Iterator[Finding]:
    """It need not be busy: whoever monitors it waits for its end."""
    direct, behind = root.waiter.direct, root.waiter.behind
    if behind < limits.callers:
        return
    yield Finding(
        "watched_port",
        Severity.STRAIN,
        f"{_processes(direct)} {agree('wait', direct)} for the port {hang.name(root.waiter.term)}"
        f" to be closed, with a monitor{_more(behind - direct)}",
        _chain(hang, root),
        [(f"etp-port-info {root.waiter.term}", "its owner and state")],
        behind,
        [str(root.waiter.term)],
        _at_hand(root),
    )


def _at_hand(root: Root) -> str:
    """What is not certain of those who wait for it themselves."""
    count = root.waits.get("monitor", 0)
    if not count:
        return ""
    all_of_them = count == root.waiter.direct
    return f"{'They' if all_of_them else f'{count:,} of them'} {AT_HAND}."


def _node(hang: Hang, root: Root, limits: HungThresholds) -> Iterator[Finding]:
    """Those who are suspended until a connection is not busy any more, and those who call a process of that
    node, as somebody mostly does."""
    direct, behind = root.waiter.direct, root.waiter.behind
    suspended = min(_suspended_on(hang, root), direct)
    if not suspended and behind < limits.stalled_callers:
        return
    name = hang.name(root.waiter.term)
    evidence = _chain(hang, root)
    if suspended:
        title = f"{_processes(suspended)} {agree('wait', suspended)} for the busy connection to the node {name}"
    else:
        title = f"{_processes(direct)} {agree('wait', direct)} for processes of the node {name}"
    calling = direct - suspended
    if suspended and calling:
        evidence.insert(
            0,
            f"{calling:,} more {agree('wait', calling)} for processes of that node;"
            f" {_processes(behind)} {agree('wait', behind)} for either, or behind.",
        )
    else:
        title += _more(behind - direct)
    yield Finding(
        "busy_node" if suspended else "remote_call",
        Severity.LIKELY,
        title,
        evidence,
        [
            (
                f"etp-dist {name}" if not hang.redact else "etp-dist",
                "the connection, and what waits in its queue",
            )
        ],
        behind,
        [name],
    )


def _suspended_on(hang: Hang, root: Root) -> int:
    """How many the connection to a node has in its list."""
    if not root.waiter.address:
        return 0
    found = connections(hang.vm).connections
    return next((c.ties["suspended"] for c in found if c.address == root.waiter.address), 0)


def _suspended(hang: Hang, root: Root) -> Finding:
    count = root.waits["suspended"]
    first = root.chain[0]
    behind = root.waiter.behind - count
    who = hang.name(first.term) if count == 1 else _processes(count)
    others = "" if count == 1 else f" (among them {hang.name(first.term)})"
    evidence = [
        f"{hang.name(first.term)} {hang.activity(first.address).text}, until"
        f" {root.waiter.term} resumes it (erlang:resume_process/1) or dies.",
        *_chain(hang, root),
    ]
    waiting = f"; {_processes(behind)} {agree('wait', behind)} behind" if behind else ""
    return Finding(
        "suspended",
        Severity.HANG if behind else Severity.LIKELY,
        f"{who} {agree('are', count)} suspended by {hang.name(root.waiter.term)}{others}{waiting}",
        evidence,
        [
            (f"etp-stacktrace {root.waiter.term}", "what the one that suspended it does"),
            (f"etp-monitors {root.waiter.term}", "whom else it has suspended"),
        ],
        root.waiter.behind,
        [str(first.term), str(root.waiter.term)],
        explains={first.address, root.waiter.address},
    )


def _blocker(hang: Hang, root: Root, limits: HungThresholds) -> Iterator[Finding]:
    waiter = root.waiter
    doing = hang.activity(waiter.address)
    stalled = not works(doing, limits)
    members = hang.members(root)
    system = [member for member in members if _is_system(hang, member)]
    stopping = [member for member in system if member.wait == "exit" and _is_init(hang, member)]
    enough = limits.stalled_callers if stalled else limits.callers
    if stopping or stalled and any(m.address in hang.roles for m in members):
        # An application that does not start has nobody but the boot process wait for it.
        enough = 1
    elif system:
        enough = limits.system_callers
    if waiter.behind < enough:
        return
    # The title has its own.
    evidence = _roles(hang, members[1:])
    if doing.caller:
        evidence.append(f"It was called by {doing.caller}.")
    if doing.kind == "nif" and doing.arguments:
        texts = ", ".join(argument_text(term, hang.redact) for term in doing.arguments[:3])
        evidence.append(f"The arguments are {texts}.")
    if doing.kind == "idle" and root.waits.get("call"):
        evidence.append(
            "It has taken their requests and put off the replies: it waits for another message itself."
        )
    elif not stalled:
        evidence.append("It works: on one request for long, or on more than it can answer.")
    if doing.messages:
        evidence.append(
            f"{plural(doing.messages, 'message')} {agree('wait', doing.messages)} in its mailbox."
        )
    evidence += _chain(hang, root)
    among = stopping + [member for member in system if member is not waiter]
    who = f"{_processes(waiter.behind)} {agree('wait', waiter.behind)}"
    if among:
        who = f"{hang.name(among[0].term)}, and so much of OTP, waits"
    if among and waiter.behind > 1:
        who = f"{hang.name(among[0].term)} and {waiter.behind - 1:,} more wait"
    if stopping:
        who = f"The VM is stopping: {who}"
    told = ""
    if waiter.address in hang.roles:
        told = f"{hang.roles[waiter.address]} and "
    elif root.waits.get("exit"):
        told = "was told to end and "
    elif root.waits.get("start"):
        told = "is being started and "
    # Marks of receives came with OTP 24; without any, all may be loops that carry a monitor around.
    is_guess = root.waits.get("monitor", 0) == waiter.direct
    # A few wait now and then for one that everybody asks.
    is_ordinary = not stalled and waiter.behind < limits.callers and not stopping
    yield Finding(
        "blocker",
        Severity.STRAIN if is_guess or is_ordinary else Severity.LIKELY,
        f"{who} for {hang.name(waiter.term)}, which {told}{doing.text}",
        evidence,
        _commands(doing, waiter),
        waiter.behind,
        [str(waiter.term)],
        _at_hand(root),
        explains={waiter.address},
    )


def _commands(doing: Activity, waiter: Waiter) -> list[tuple[str, str]]:
    if doing.kind == "idle":
        # The requests are in its state now; its stack has nothing but its loop.
        return [
            (f"etp-state {waiter.term}", "whose requests it keeps, and what it waits for"),
            (f"etp-monitors {waiter.term}", "whom it watches, and who watches it"),
        ]
    return [
        (f"etp-stacktrace {waiter.term}", "where it is, and how it came there"),
        (f"etp-msgq {waiter.term}", "who waits, and for what"),
    ]


def _is_init(hang: Hang, waiter: Waiter) -> bool:
    process = hang.process(waiter.term)
    return process is not None and process.name == "init"


def _is_system(hang: Hang, waiter: Waiter) -> bool:
    process = hang.process(waiter.term)
    if process is None:
        return False
    # Handlers of logger, whatever they are called.
    return process.name in SYSTEM or _initial_module(hang, waiter) == "logger_olp"


def _initial_module(hang: Hang, waiter: Waiter) -> str:
    process = hang.process(waiter.term)
    return process.initial_call[0] if process is not None and process.initial_call else ""


def _chain(hang: Hang, root: Root) -> list[str]:
    """How those wait who do not wait for the root itself."""
    if root.waiter.depth < 2:
        return []
    chain = [*reversed(root.chain[:NAMES_IN_TITLE])]
    dots = "... -> " if len(root.chain) > len(chain) else ""
    names = [shorten(hang.name(waiter.term), 40) for waiter in chain]
    direct = root.waiter.direct
    return [
        f"{direct:,} of {root.waiter.behind:,} {agree('wait', direct)} for it directly; the longest chain:"
        f" {dots}{' -> '.join([*names, str(root.waiter.term)])}."
    ]


def halting(hang: Hang, limits: HungThresholds, explained: set[int]) -> Iterator[Finding]:
    """No process is executed any more, while ports get rid of their output (erl_process.c, erts_halt())."""
    if hang.queues is None or not any(queue.is_halting for queue in hang.queues.queues):
        return
    halts = _who_halts(hang)
    who, subjects = "somebody called erlang:halt", []
    if halts is not None:
        process, function = halts
        who = f"{hang.name(process.pid)} called {function.name(hang.syntax)}"
        subjects.append(str(process.pid))
    ports = [port for port in hang.ports if port["is_closing"] and port["queue_size"]]
    ports.sort(key=lambda port: int(port["queue_size"]), reverse=True)
    until = "ports, drivers and other threads are done"
    evidence = ["No process is executed meanwhile."]
    commands = [("etp-ports", "which are closing, and what waits in their queues")]
    if ports:
        until = f"{hang.name(ports[0]['port'])} has written its output"
        if len(ports) > 1:
            until += f", and {plural(len(ports) - 1, 'more port')} theirs"
        evidence += map(_not_taken, ports[:NAMES_IN_EVIDENCE])
        evidence.append("A port is closed as well when its program is killed.")
        commands.insert(0, (f"etp-port-info {ports[0]['port']}", "its program and state"))
        subjects += [str(port["port"]) for port in ports]
    yield Finding(
        "halting",
        Severity.HANG,
        f"The VM is halting: {who}, which waits until {until}",
        evidence,
        commands,
        0,
        subjects,
        weight=EVERYBODY,
        explains={halts[0].address} if halts else set(),
    )


def _who_halts(hang: Hang) -> tuple[Process, Location] | None:
    addresses = [address for address, _pid in hang.vm.native.processes()]
    for address, (function, _) in zip(addresses, current_places(hang.vm, addresses)):
        if function is not None and (function.module, function.function) == ("erlang", "halt"):
            process = hang.vm.process(address)
            return (process, function) if process else None
    return None


def unexplained_suspensions(
    hang: Hang, limits: HungThresholds, explained: set[int]
) -> Iterator[Finding]:
    count = hang.waits.suspended_unknown if hang.waits else 0
    if not count or hang.waits is None:
        return
    all_first = [w for w in hang.waits.statuses["suspended"].first if w.wait == "none"]
    first = [waiter for waiter in all_first if waiter.address not in explained]
    count -= len(all_first) - len(first)
    if not count:
        return
    yield Finding(
        "suspended_unknown",
        Severity.STRAIN,
        f"{_processes(count)} {agree('are', count)} suspended, and nothing tells by whom",
        [f"{hang.name(waiter.term)} {hang.activity(waiter.address).text}." for waiter in first[:3]],
        [("etp-processes --sort status", "who is suspended")],
        0,
        [str(waiter.term) for waiter in first],
    )


def exiting(hang: Hang, limits: HungThresholds, explained: set[int]) -> Iterator[Finding]:
    status = hang.waits.statuses.get("exiting") if hang.waits else None
    if status is None or status.count < limits.exiting:
        return
    yield Finding(
        "exiting",
        Severity.STRAIN,
        f"{_processes(status.count)} are exiting",
        ["They free their tables, links and monitors; with large tables that takes long."],
        [("etp-processes --sort status", "which ones")],
        0,
        [str(waiter.term) for waiter in status.first[:NAMES_IN_EVIDENCE]],
    )


def _processes(count: int) -> str:
    return plural(count, "process", "processes")


def _more(count: int) -> str:
    return f"; {count:,} more {agree('wait', count)} behind" if count else ""
