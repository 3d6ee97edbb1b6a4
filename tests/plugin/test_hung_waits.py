# SPDX-License-Identifier: Apache-2.0
"""What is said of those whom others wait for, by how these wait, on made-up numbers."""

from types import SimpleNamespace

import pytest

from etp.diagnosis.finding import Severity
from etp.diagnosis.hung_waits import blockers
from etp.diagnosis.thresholds import HUNG_THRESHOLDS
from etp.waits import Root, Waiter

MANY = HUNG_THRESHOLDS.callers


def found(kind, waits):
    count = sum(waits.values())
    root = Root(Waiter(kind, 0x1000, "THAT", "none", count, count, 1), [], waits)
    idle = SimpleNamespace(kind="idle", caller="", text="waits", arguments=[], messages=0)
    hang = SimpleNamespace(
        waits=SimpleNamespace(roots=[root]),
        name=str,
        port=lambda term: None,
        process=lambda term: None,
        activity=lambda address: idle,
        redact=False,
    )
    return list(blockers(hang, HUNG_THRESHOLDS, set()))


def test_only_a_port_that_suspends_is_busy():
    (busy,) = found("port", {"port": 1})
    assert busy.kind == "busy_port" and busy.severity == Severity.HANG
    assert found("port", {"call": MANY - 1}) == []
    (watched,) = found("port", {"call": MANY})
    assert watched.kind == "watched_port" and watched.severity == Severity.STRAIN
    assert "busy" not in watched.title and watched.doubt == ""


@pytest.mark.parametrize(
    "waits, severity, doubt",
    [
        ({"call": MANY}, Severity.LIKELY, ""),
        ({"call": MANY, "monitor": 3}, Severity.LIKELY, "3 of them have the reference"),
        ({"monitor": MANY}, Severity.STRAIN, "They have the reference"),
    ],
)
def test_who_has_a_monitor_at_hand_may_wait_for_something_else(waits, severity, doubt):
    (finding,) = found("process", waits)
    assert finding.kind == "blocker" and finding.severity == severity
    assert finding.doubt.startswith(doubt) and bool(finding.doubt) == bool(doubt)
