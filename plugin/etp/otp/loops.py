# SPDX-License-Identifier: Apache-2.0
"""The loops of OTP's behaviours: their functions, and what the arguments of these are.

From gen_server.erl, gen_statem.erl, gen_event.erl, gen_fsm.erl and sys.erl of OTP 23 to 29, and gen_server2.erl of
RabbitMQ.  A
release is told by what stands on the stack: the functions' arities and the records' names.
"""

from __future__ import annotations

from .frames import Function

#: Of gen_server up to OTP 25, with the callback module as an atom, and of 26, with a record of it.
_SERVER = ("parent", "name", "state", "module", "hibernate_after")

_FSM = ("parent", "name", "atom", "state", "module", "hibernate_after")

FRAMES: dict[Function, tuple[tuple[str, ...], ...]] = {
    ("gen_server", "loop", 7): (
        ("parent", "name", "state", "module", "time?", "hibernate_after", "debug?"),
        ("parent", "name", "state", "module", "continue", "hibernate_after", "debug?"),
    ),
    ("gen_server", "wake_hib", 6): ((*_SERVER, "debug?"),),
    ("gen_server", "handle_msg", 6): (
        ("any?", *_SERVER),
        (*_SERVER, "from", "any?"),
    ),
    ("gen_server", "handle_msg", 7): (
        ("any?", *_SERVER, "debug"),
        (*_SERVER, "debug", "from", "any?"),
    ),
    ("gen_server", "terminate", 10): (
        ("atom", "any", "any", "any", "name", "any", "any", "module", "state", "debug?"),
    ),
    # From OTP 28 on.
    ("gen_server", "loop", 4): (("server_data", "state", "continue", "debug?"),),
    ("gen_server", "loop", 5): (
        ("server_data", "state", "time?", "debug?", "list?", "hibernate_after?"),
    ),
    ("gen_server", "loop_hibernate", 4): (("server_data", "state", "list?", "debug?"),),
    ("gen_server", "loop_wakeup", 4): (("server_data", "state", "list?", "debug?"),),
    ("gen_server", "handle_msg", 3): (
        ("server_data", "state", "any?"),
        ("state", "server_data", "from", "any?"),
    ),
    ("gen_server", "handle_msg", 4): (
        ("server_data", "state", "any?", "debug?"),
        ("state", "server_data", "debug?", "from", "any?"),
    ),
    ("gen_server", "terminate", 9): (("server_data", "state", "..."),),
    ("gen_statem", "loop_receive", 3): (("params", "debug?", "statem", "hibernate_after?"),),
    # OTP 29.
    ("gen_statem", "loop", 3): (("params", "debug?", "statem", "hibernate_after?"),),
    ("gen_statem", "loop_hibernate", 3): (("params", "debug?", "statem"),),
    ("gen_statem", "loop_wakeup", 3): (("params", "debug?", "statem"),),
    ("gen_statem", "loop_state_callback", 11): (
        ("params", "debug?", "statem", "list", "pair", "..."),
    ),
    ("gen_event", "fetch_msg", 6): (
        ("parent", "name", "handlers", "hibernate_after", "debug?", "hibernate?"),
    ),
    ("gen_fsm", "loop", 8): (
        ("parent", "name", "atom", "state", "module", "time?", "hibernate_after", "debug?"),
    ),
    ("gen_fsm", "handle_msg", 8): (
        ("any?", *_FSM, "from_or_undefined?"),
        ("parent", "any", *_FSM[1:], "from_or_undefined?"),
    ),
    ("gen_fsm", "handle_msg", 9): (
        ("any?", *_FSM, "debug", "from_or_undefined?"),
        ("parent", "any", *_FSM[1:], "debug", "from_or_undefined?"),
    ),
    ("sys", "suspend_loop", 6): (
        ("sys_state?", "parent", "module", "debug", "misc", "hibernate?"),
    ),
}
"""By function: the arguments that its frame may have, in their order, while it waits or calls the
callback module.  What is taken out of a record or a message by then comes where it was taken out."""

HOLDERS: dict[Function, str] = {
    ("gen_server2", "process_next_msg", 1): "gs2_state",
    ("gen_server2", "handle_msg", 2): "gs2_state",
}
"""Loops that keep everything in one record, and its tag.  gen_server2 is RabbitMQ's."""

HIBERNATED: dict[tuple[str, str], tuple[tuple[str, ...], ...]] = {
    ("gen_server", "wake_hib"): (
        ("parent", "name", "state", "module", "hibernate_after", "debug"),
        ("server_data", "state", "debug"),
    ),
    ("gen_statem", "wakeup_from_hibernate"): (("params", "debug", "statem"),),
    ("gen_event", "wake_hib"): (("parent", "name", "handlers", "hibernate_after", "debug"),),
    ("gen_fsm", "wake_hib"): (
        ("parent", "name", "atom", "state", "module", "hibernate_after", "debug"),
    ),
    ("gen_server2", "wake_hib"): (("gs2_state",),),
    ("sys", "suspend_loop_hib"): (("sys_state", "parent", "module", "debug", "misc", "hibernate"),),
}
"""By module and function: the arguments with which it goes on after hibernation, in full."""

STARTING = frozenset(
    [
        ("gen", "init_it", 6), ("gen", "init_it", 7), ("gen_server", "init_it", 2),
        ("gen_server", "init_it", 6), ("gen_statem", "init_it", 6), ("gen_event", "init_it", 6),
        ("supervisor", "init", 1),
    ]
)  # fmt: skip
"""Functions that call Module:init/1, or are on the way there."""
