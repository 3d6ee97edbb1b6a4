# SPDX-License-Identifier: Apache-2.0
"""Who waits for whom (include/etp/waits.h).

    from etp.waits import waits

    found = waits(vm)
    for cycle in found.cycles:
        print("deadlock:", *(member.term for member in cycle.members))
    for root in found.roots:
        print(root.behind, "wait for", root.term)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from _etp import Term

    from .vm import VM

WaitKind = Literal[
    "none", "call", "monitor", "request", "start", "exit", "suspended", "port", "send", "node"
]

ROOTS = 64
"""Of whom others wait for, those that are listed, and as many more of which there is something to tell."""

Edge = tuple[int, int, int, WaitKind]
"""Of one who waits: its pid, that of whom it waits for in truth, through whom (0: it passes on what
it is asked), and how; pids as Term.word."""


@dataclass(frozen=True)
class Waiter:
    """A process, a port or another node, as one that waits or is waited for."""

    kind: Literal["process", "port", "node"]
    #: Of the Process, Port or DistEntry.
    address: int
    #: Pid, port, or name of the node.
    term: Term
    #: How it waits itself.
    wait: WaitKind
    #: How many wait for it, and how many for it or for one of those, and so on.
    direct: int
    behind: int
    #: Length of the longest chain that ends here.
    depth: int


@dataclass(frozen=True)
class Root:
    """One whom others wait for, and who waits for nobody."""

    waiter: Waiter
    #: The longest chain that ends at it, from its end.
    chain: list[Waiter]
    #: How those wait that wait for it themselves.
    waits: dict[WaitKind, int]


@dataclass(frozen=True)
class Cycle:
    """A deadlock: each waits for the next, the last for the first."""

    #: The first of them, in their order.
    members: list[Waiter]
    size: int
    #: How many wait for a member without being one.
    behind: int
    #: None of them waits for anything else.
    is_certain: bool


@dataclass(frozen=True)
class Status:
    """Processes of one process_info(P, status)."""

    count: int
    first: list[Waiter]


@dataclass(frozen=True)
class Waits:
    #: The worst first: those that most wait for, others of which there is something to tell however few
    #: do, and those at the ends of the ways below.
    roots: list[Root]
    root_count: int
    #: Of those left out: how many, of how many there is something to tell however few wait, and the most
    #: that are behind one.
    unlisted: tuple[int, int, int]
    #: By the address of each one that is followed and waits, or is waited for: itself, whom that waits for,
    #: and so on. The last waits for nobody, or for one of them, or was the last that may be listed.
    paths: dict[int, list[Waiter]]
    cycles: list[Cycle]
    cycle_count: int
    #: How many processes wait in which way.
    kinds: dict[WaitKind, int]
    statuses: dict[str, Status]
    #: Suspended processes of which nothing tells by what.
    suspended_unknown: int
    gaps: int
    problem: str


def waits(
    vm: VM, limit: int = ROOTS, edges: Sequence[Edge] = (), followed: Sequence[int] = ()
) -> Waits:
    """One pass over all processes; of each list at most ``limit``.  ``edges`` are those of
    etp.otp.on_behalf, ``followed`` Term.word of pids and of registered names."""
    facts = vm.native.waits(limit, list(edges), list(followed))
    return Waits(
        roots=[_root(root) for root in facts["roots"]],
        root_count=facts["root_count"],
        unlisted=facts["unlisted"],
        paths={path[0].address: path for path in map(_waiters, facts["paths"])},
        cycles=[
            Cycle(_waiters(c["members"]), c["size"], c["behind"], c["is_certain"])
            for c in facts["cycles"]
        ],
        cycle_count=facts["cycle_count"],
        kinds=facts["kinds"],
        statuses={
            status: Status(count, _waiters(first))
            for status, (count, first) in facts["statuses"].items()
        },
        suspended_unknown=facts["suspended_unknown"],
        gaps=facts["gaps"],
        problem=facts["problem"],
    )


def _waiters(facts: list[dict[str, Any]]) -> list[Waiter]:
    return [Waiter(**waiter) for waiter in facts]


def _root(facts: dict[str, Any]) -> Root:
    own = {name: facts[name] for name in Waiter.__dataclass_fields__}
    return Root(Waiter(**own), _waiters(facts["chain"]), facts["waits"])
