# SPDX-License-Identifier: Apache-2.0
"""The handlers of a gen_event while one of them is called (gen_event.erl).

server_notify/4 goes through the list of handlers by recursion: of those that are done, each stands
in a frame of its own; then comes the one that is called, in the frame of server_update/4, and those
that wait in a list in the innermost frame of server_notify/4.  server_call/4 and
server_add_handler/4 keep the whole list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .frames import Frame
from .roles import Known, is_record

if TYPE_CHECKING:
    from _etp import Term


def is_handler(term: Term) -> bool:
    return is_record(term, "handler", 3)


def is_handlers(term: Term) -> bool:
    """A list of #handler{}."""
    if term.kind == "nil":
        return True
    if term.kind != "cons" or not term.is_proper_list():
        return False
    return all(is_handler(element) for element in term)


def handlers_in_flight(stack: list[Frame], known: Known) -> list[Term] | None:
    """All handlers in the order of the list, with the states that the event found; None when they
    do not stand where they should.  ``stack`` ends with the frame of the loop."""
    done: list[Term] = []
    called: Term | None = None
    rest: list[Term] = []
    for frame in reversed(stack[:-1]):
        if frame.function is None or frame.function[0] != "gen_event":
            break
        handlers = [term for _y, term in frame.slots if is_handler(term)]
        lists = [term for _y, term in frame.slots if term.kind == "cons" and is_handlers(term)]
        name = frame.function[1]
        if name in ("server_notify", "server_call") and len(lists) <= 1 and len(handlers) <= 1:
            done += handlers
            rest = list(lists[0]) if lists else rest
        elif name in ("server_update", "server_call_update") and len(handlers) == 1:
            called = handlers[0]
        elif name == "server_add_handler" and len(lists) <= 1:
            # The new one has no state yet.
            return list(lists[0]) if lists else []
        else:
            return None
    if called is None:
        return None
    if any(handler.word == called.word for handler in rest):
        return rest
    return [*done, called, *rest]
