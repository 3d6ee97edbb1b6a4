# SPDX-License-Identifier: Apache-2.0
"""Which word of a frame is which argument of a loop.

No number of a Y register stands here: it depends on the compiler.  What does not is that the
arguments of a loop function keep their order among the registers, forwards or backwards, and that
most of them can be told by what they are: the parent is a pid, the module is one that is loaded,
hibernate_after a timeout, and so on.  What remains is the state.  All ways in which the registers
of a frame can be the arguments of its function are tried, and only if all of them agree on the
state it is believed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _etp import Term

MAX_WAYS = 2000
"""Ways that are tried for one frame."""


@dataclass(frozen=True)
class Known:
    """What is known of a process beforehand."""

    pid: Term
    #: Its registered name.
    name: str | None
    #: Words of the pids that may be its parent; empty: unknown.
    parents: frozenset[int]
    #: Names of loaded modules.
    modules: frozenset[str]


Test = Callable[["Term", Known], bool]
Roles = Sequence[str]
Way = dict[str, "Term"]


def is_atom(term: Term, *names: str) -> bool:
    return term.kind == "atom" and (not names or term.value() in names)


def is_record(term: Term, tag: str, least: int = 1) -> bool:
    """A tuple with the tag, and at least so many fields."""
    return term.kind == "tuple" and len(term) > least and is_atom(term[0], tag)


def _parent(term: Term, known: Known) -> bool:
    if term.kind != "pid":
        return False
    return not known.parents or term.word in known.parents or term.address != 0


def _name(term: Term, known: Known) -> bool:
    if known.name is not None and is_atom(term, known.name):
        return True
    if term.kind == "pid":
        return term.word == known.pid.word
    # Names that global or another registry has may be anything; those of the VM are atoms.
    return True


def _timeout(term: Term, known: Known) -> bool:
    if term.kind == "small":
        return int(term.value()) >= 0
    return is_atom(term, "infinity") or term.kind == "big"


def _time(term: Term, known: Known) -> bool:
    return _timeout(term, known) or is_atom(term, "hibernate")


def _module(term: Term, known: Known) -> bool:
    if is_record(term, "callback_cache"):
        return True
    return term.kind == "atom" and term.value() in known.modules


def _debug(term: Term, known: Known) -> bool:
    """sys:dbg_opt(): [{trace, true}, {log, _}, {Fun, State}, {Id, {Fun, State}} ...]."""
    if term.kind == "nil":
        return True
    if term.kind != "cons" or not term.is_proper_list() or len(term) > 100:
        return False
    return all(option.kind == "tuple" and len(option) == 2 and _option(option) for option in term)


def _option(option: Term) -> bool:
    key, value = option[0], option[1]
    if is_atom(key, "trace"):
        return is_atom(value, "true")
    if is_atom(key, "log", "statistics", "log_to_file"):
        return True
    if key.kind in ("fun", "export"):
        return True
    return value.kind == "tuple" and len(value) == 2 and value[0].kind in ("fun", "export")


def _from(term: Term, known: Known) -> bool:
    return term.kind == "tuple" and len(term) == 2 and term[0].kind == "pid"


def _continue(term: Term, known: Known) -> bool:
    return term.kind == "tuple" and len(term) == 2 and is_atom(term[0], "continue")


def _handlers(term: Term, known: Known) -> bool:
    """A list of #handler{} (gen_event.erl)."""
    if term.kind == "nil":
        return True
    if term.kind != "cons" or not term.is_proper_list():
        return False
    return all(is_record(handler, "handler", 3) for handler in term)


def _state_record(term: Term, known: Known) -> bool:
    """#state{} of gen_statem: state_data = {State, Data} is its first field."""
    return is_record(term, "state", 3) and _pair(term[1], known)


def _pair(term: Term, known: Known) -> bool:
    return term.kind == "tuple" and len(term) == 2


def _record(tag: str) -> Test:
    return lambda term, _known: is_record(term, tag)


TESTS: dict[str, Test] = {
    "parent": _parent,
    "name": _name,
    "module": _module,
    "time": _time,
    "hibernate_after": _timeout,
    "debug": _debug,
    "hibernate": lambda term, _known: is_atom(term, "true", "false"),
    "from": _from,
    "from_or_undefined": lambda term, known: is_atom(term, "undefined") or _from(term, known),
    "continue": _continue,
    "handlers": _handlers,
    "list": lambda term, _known: term.kind in ("nil", "cons"),
    "params": _record("params"),
    "statem": _state_record,
    "pair": _pair,
    "server_data": _record("server_data"),
    "gs2_state": lambda term, _known: is_record(term, "gs2_state", 5),
    "sys_state": lambda term, _known: is_atom(term, "suspended", "running"),
    "atom": lambda term, _known: term.kind == "atom",
    "any": lambda _term, _known: True,
    "state": lambda _term, _known: True,
    "misc": lambda _term, _known: True,
}
"""Can this term be that argument?"""


def _may_be_remains(term: Term) -> bool:
    """Of an argument that is not needed any more, or of none: init_yregs writes [], and where the
    JIT of aarch64 uses vector registers (since OTP 27) the small -1."""
    return term.kind == "nil" or term.kind == "small" and term.value() == -1


class _Matcher:
    """Tries the ways in which the terms can be these arguments, in this order."""

    def __init__(self, roles: Roles, terms: Sequence[Term], known: Known) -> None:
        self.open_end = roles[-1] == "..."
        if self.open_end:
            roles = roles[:-1]
        self.names = [role.rstrip("?") for role in roles]
        self.optional = [role.endswith("?") for role in roles]
        self.terms = terms
        self.known = known
        self._fits: dict[tuple[int, int], bool] = {}

    def fits(self, role: int, i: int) -> bool:
        key = (role, i)
        if key not in self._fits:
            self._fits[key] = TESTS[self.names[role]](self.terms[i], self.known)
        return self._fits[key]

    def ways(self) -> list[tuple[int, Way]] | None:
        """Each with the number of terms that are taken for the remains of arguments; None: too many
        to try."""
        found: list[tuple[int, Way]] = []
        # Each entry: the next role, the next term, remains, who got what so far.
        open_: list[tuple[int, int, int, tuple[tuple[int, int], ...]]] = [(0, 0, 0, ())]
        for _ in range(MAX_WAYS):
            if not open_:
                return found
            role, i, remains, given = open_.pop()
            at_end = i == len(self.terms) or self.open_end and role == len(self.names)
            if at_end and all(self.optional[role:]):
                found.append((remains, {self.names[r]: self.terms[t] for r, t in given}))
                continue
            if i < len(self.terms) and _may_be_remains(self.terms[i]):
                open_.append((role, i + 1, remains + 1, given))
            if role == len(self.names):
                continue
            if self.optional[role]:
                open_.append((role + 1, i, remains, given))
            if i < len(self.terms) and self.fits(role, i):
                open_.append((role + 1, i + 1, remains, (*given, (role, i))))
        return None


def assign(alternatives: Sequence[Roles], terms: Sequence[Term], known: Known) -> list[Way]:
    """The ways in which the Y registers of a frame can be one of these rows of arguments, forwards
    or backwards.  ``?`` behind a role: the argument may be missing, because it is not needed any
    more; ``...`` at the end: others may follow.  The ways that take fewest terms for mere remains
    of arguments win over others, and then those in which the name is the process's own.  None too
    if there are too many."""
    ways: list[tuple[int, Way]] = []
    for roles in alternatives:
        for direction in (1, -1):
            found = _Matcher(roles, terms[::direction], known).ways()
            if found is None:
                return []
            ways += found
    fewest = min((remains for remains, _way in ways), default=0)
    best = [way for remains, way in ways if remains == fewest]
    own = [way for way in best if _is_own_name(way.get("name"), known)]
    return own or best


def arguments(roles: Sequence[str], terms: Sequence[Term], known: Known) -> dict[str, Term] | None:
    """Arguments in full and in order, as those of a function that was called by apply; None if
    these are not what the function takes."""
    if len(terms) != len(roles):
        return None
    if not all(TESTS[role](term, known) for role, term in zip(roles, terms)):
        return None
    return dict(zip(roles, terms))


def _is_own_name(name: Term | None, known: Known) -> bool:
    if name is None:
        return False
    if known.name is not None and is_atom(name, known.name):
        return True
    return name.word == known.pid.word
