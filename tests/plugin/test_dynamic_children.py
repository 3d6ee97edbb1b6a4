# SPDX-License-Identifier: Apache-2.0
"""The ways in which supervisors keep the children of simple_one_for_one."""

import pytest
from fakes import FakeTerm

from etp.otp.supervision import _dynamics
from etp.term_parser import Atom, Identifier

PIDS = [Identifier(f"<0.{number}.0>") for number in range(3)]


def hashed(tag, entries):
    """#set{} of sets.erl, or #dict{} of dict.erl: one segment, with a bucket for each entry."""
    buckets = tuple([entry] for entry in entries) + ([],) * (16 - len(entries))
    return (Atom(tag), len(entries), 16, 16, 8, 80, 48, ([],) * 16, (buckets,))


@pytest.mark.parametrize(
    "kept",
    [
        (Atom("sets"), hashed("set", PIDS)),
        hashed("set", PIDS),
        hashed("dict", [[pid, b"args"] for pid in PIDS]),
    ],
    ids=["supervisor", "supervisor2, temporary", "supervisor2"],
)
def test_sets_and_dicts(kept):
    found = _dynamics(FakeTerm(kept))
    assert found is not None and [str(term) for term in found] == list(map(str, PIDS))


def test_what_is_not_known_is_not_empty():
    assert _dynamics(FakeTerm((Atom("sets"), hashed("queue", PIDS)))) is None
    assert _dynamics(FakeTerm(17)) is None
