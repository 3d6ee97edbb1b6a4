# SPDX-License-Identifier: Apache-2.0
"""Frames as process_info(Pid, backtrace) prints them in OTP 23, 27 and 29: the state is found in each, whatever it is.

The frames of OTP 25 are tested on real cores.
"""

import pytest

from etp.otp.loops import FRAMES
from etp.otp.roles import Known, assign
from etp.term_parser import Atom, Identifier, parse

SELF, PARENT = "<0.90.0>", "<0.10.0>"


class FakeTerm:
    """A term out of its text, as far as roles look at it."""

    def __init__(self, pattern):
        self._pattern = pattern
        self.address = 0
        if isinstance(pattern, Atom):
            self.kind = "atom"
        elif isinstance(pattern, Identifier):
            self.kind = "pid"
        elif isinstance(pattern, tuple):
            self.kind = "tuple"
        elif isinstance(pattern, list):
            self.kind = "cons" if pattern else "nil"
        else:
            self.kind = "small"
        self.word = hash(repr(pattern))

    def value(self):
        return self._pattern

    def is_proper_list(self):
        return True

    def __len__(self):
        return len(self._pattern)

    def __getitem__(self, i):
        return FakeTerm(self._pattern[i])

    def __iter__(self):
        return (FakeTerm(part) for part in self._pattern)


CACHE = "{callback_cache,bt,a,b,c}"
DATA = "{server_data,<0.10.0>,tag,<0.90.0>,bt,infinity,a,b,c,d}"
LOG = "[{log,[4,{in,x}]}]"

# The function, and its Y registers from y(0) on, S being the state.
FRAMES_SEEN = [
    # OTP 23, as OTP 25.
    ("gen_server", "loop", 7, "[] infinity bt S <0.90.0> <0.10.0>"),
    ("gen_server", "loop", 7, "[] infinity 1000000 bt S <0.90.0> <0.10.0>"),
    ("gen_server", "handle_msg", 6, "[] [] [] busy {<0.80.0>,tag} infinity bt S <0.90.0> <0.10.0>"),
    ("gen_server", "handle_msg", 6, "infinity bt S <0.90.0> <0.10.0> {'$gen_cast',busy}"),
    ("gen_server", "loop", 7, "[] [] infinity {continue,busy} bt S <0.90.0> <0.10.0>"),
    ("gen_server", "handle_msg", 7, f"{LOG} infinity bt S <0.90.0> <0.10.0> {{'$gen_cast',busy}}"),
    (
        "gen_server", "handle_msg", 7,
        f"[] [] [] busy {{<0.80.0>,tag}} {LOG} infinity bt S <0.90.0> <0.10.0>",
    ),
    (
        "gen_server", "terminate", 10,
        "[] [] [] S bt [] undefined <0.90.0> normal [{gen_server,x}] normal exit",
    ),
    # OTP 26 and 27 keep the callbacks in a record.
    ("gen_server", "loop", 7, f"[] infinity {CACHE} S <0.90.0> <0.10.0>"),
    ("gen_server", "loop", 7, f"[] infinity 1000000 {CACHE} S <0.90.0> <0.10.0>"),
    (
        "gen_server", "handle_msg", 6,
        f"[] [] [] busy {{<0.80.0>,tag}} infinity {CACHE} S <0.90.0> <0.10.0>",
    ),
    # The same, and a gen_fsm, by the JIT of aarch64.
    (
        "gen_server", "handle_msg", 6,
        f"-1 -1 [] busy {{<0.80.0>,tag}} infinity {CACHE} S <0.90.0> <0.10.0>",
    ),
    (
        "gen_fsm", "handle_msg", 9,
        f"-1 -1 -1 undefined {LOG} infinity bt S idle <0.90.0> {{'$gen_event',busy}} <0.10.0>",
    ),
    # OTP 28 and 29 keep all but the state in one.
    ("gen_server", "loop", 5, f"infinity [] [] S {DATA}"),
    ("gen_server", "loop", 5, f"[] [] 1000000 S {DATA}"),
    ("gen_server", "handle_msg", 3, f"[] [] [] [] busy {{<0.80.0>,tag}} {DATA} S"),
    ("gen_server", "handle_msg", 3, f"{{'$gen_cast',busy}} S {DATA}"),
    ("gen_server", "loop", 4, f"[] [] {{continue,busy}} S {DATA}"),
    ("gen_server", "handle_msg", 4, f"{LOG} {{'$gen_cast',busy}} S {DATA}"),
    ("gen_server", "handle_msg", 4, f"[] [] [] [] [] busy {{<0.80.0>,tag}} {LOG} {DATA} S"),
    ("gen_server", "terminate", 9, f"[] [] false [] [x] normal exit undefined [] S {DATA}"),
    ("gen_server", "loop_hibernate", 4, f"[] [] S {DATA}"),
]  # fmt: skip

STATES = [
    "state_a", "[]", "5", "-1", "infinity", "hibernate", "bt", SELF, PARENT, "[{a,1},{b,2}]", "[{trace,true}]",
    "{<0.80.0>,tag}", "{continue,busy}", "undefined", '"text"', "{state,1,2}", "[a]", "false", LOG,
]  # fmt: skip


def known(pid: str = SELF) -> Known:
    own = FakeTerm(parse(pid))
    parents = frozenset([own.word, FakeTerm(parse(PARENT)).word])
    return Known(own, None, parents, frozenset(["bt", "lists"]))


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("frame", FRAMES_SEEN, ids=lambda f: f"{f[1]}/{f[2]}-{f[3][:12]}")
def test_the_state_is_found(frame, state):
    """And nothing else that could be it."""
    *function, slots = frame
    terms = [FakeTerm(parse(state if slot == "S" else slot)) for slot in slots.split(" ")]
    found = assign(FRAMES[tuple(function)], terms, known())
    words = {way["state"].word for way in found}
    if function[1:] == ["terminate", 10] and state in ("bt", "-1"):
        # Twice the module beside [], or twice what may be nothing: either may be the state, and so none is told.
        assert len(words) == 2
    else:
        assert words == {FakeTerm(parse(state)).word}
