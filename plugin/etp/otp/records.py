# SPDX-License-Identifier: Apache-2.0
"""Names of the fields of records that OTP keeps, by their number: a core does not have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _etp import Term

    from .state import OtpState

Fields = tuple[str, ...]

SUPERVISOR: dict[int, Fields] = {
    # Of OTP 29.
    15: (
        "name", "strategy", "children", "dynamics", "intensity", "period", "restarts", "nrestarts",
        "dynamic_restarts", "auto_shutdown", "hibernate_after", "hibernating", "tag", "module",
        "args",
    ),
    # OTP 24 added auto_shutdown.
    11: (
        "name", "strategy", "children", "dynamics", "intensity", "period", "restarts",
        "dynamic_restarts", "auto_shutdown", "module", "args",
    ),
    10: (
        "name", "strategy", "children", "dynamics", "intensity", "period", "restarts",
        "dynamic_restarts", "module", "args",
    ),
}  # fmt: skip
"""#state{} of supervisor.erl."""

CHILD: dict[int, Fields] = {
    # OTP 24 added significant.
    8: (
        "pid", "id", "mfargs", "restart_type", "significant", "shutdown", "child_type", "modules",
    ),
    7: ("pid", "id", "mfargs", "restart_type", "shutdown", "child_type", "modules"),
}  # fmt: skip
"""#child{} of supervisor.erl."""

GEN_SERVER2: dict[int, Fields] = {
    12: (
        "parent", "name", "state", "mod", "time", "timeout_state", "queue", "debug",
        "prioritisers", "timer", "emit_stats_fun", "stop_stats_fun",
    ),
}  # fmt: skip
"""#gs2_state{} of gen_server2.erl."""


APPLICATION_CONTROLLER: dict[int, Fields] = {
    # Of OTP 29.
    9: (
        "loading", "starting", "start_p_false", "running", "control", "started", "start_req",
        "stop_req", "conf_data",
    ),
    8: (
        "loading", "starting", "start_p_false", "running", "control", "started", "start_req",
        "conf_data",
    ),
}  # fmt: skip
"""#state{} of application_controller.erl."""

APPLICATION_MASTER: dict[int, Fields] = {
    6: ("child", "appl_data", "children", "procs", "gleader", "req"),
}
"""#state{} of application_master.erl."""


def fields(term: Term, known: dict[int, Fields]) -> Fields | None:
    """The names of a record's fields, if it has as many as one that is known."""
    return known.get(len(term) - 1) if term.kind == "tuple" and len(term) else None


def fields_of(found: OtpState) -> Fields | None:
    """Those of the state of a process, for behaviours whose record is known."""
    if found.term is None:
        return None
    if found.behaviour == "supervisor":
        return fields(found.term, SUPERVISOR)
    if found.behaviour == "gen_server2":
        return fields(found.term, GEN_SERVER2)
    return None


def named(term: Term, known: dict[int, Fields]) -> dict[str, Term] | None:
    """A record as a dict; None if it is none that is known."""
    names = fields(term, known)
    return None if names is None else {name: term[i + 1] for i, name in enumerate(names)}
