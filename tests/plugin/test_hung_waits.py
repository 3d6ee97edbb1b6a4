# SPDX-License-Identifier: Apache-2.0
"""What is said of those whom others wait for, by how these wait, on made-up numbers."""

from types import SimpleNamespace

import pytest

from etp.diagnosis.finding import Severity
from etp.diagnosis.hung_waits import blockers
from etp.diagnosis.thresholds import HUNG_THRESHOLDS
from etp.waits import Root, Waiter

MANY = HUNG_THRESHOLDS.callers
STALLED = HUNG_THRESHOLDS.stalled_callers


def found(kind, waits, behind=0):
    """``behind``: those who wait for those who wait for it."""
    count = sum(waits.values())
    root = Root(Waiter(kind, 0x1000, "THAT", "none", count, count + behind, 1), [], waits)
    idle = SimpleNamespace(kind="idle", caller="", text="waits", arguments=[], messages=0)
    hang = SimpleNamespace(
        waits=SimpleNamespace(roots=[root]),
        name=str,
        port=lambda term: None,
        process=lambda term: None,
        activity=lambda address: idle,
        redact=False,
        roles={},
    )
    return list(blockers(hang, HUNG_THRESHOLDS, set()))


def test_only_a_port_that_suspends_is_busy():
    (busy,) = found("port", {"port": 1})
    assert busy.kind == "busy_port"
    assert found("port", {"call": MANY - 1}) == []
    (watched,) = found("port", {"call": MANY})
    assert watched.kind == "watched_port" and watched.severity == Severity.STRAIN
    assert "busy" not in watched.title and watched.doubt == ""


@pytest.mark.parametrize(
    "direct, behind, severity",
    [
        (1, 0, Severity.STRAIN),
        (1, 1, Severity.HANG),
        (STALLED - 1, 0, Severity.STRAIN),
        (STALLED, 0, Severity.HANG),
    ],
)
def test_who_writes_to_one_that_is_slow_may_be_nobody_elses_matter(direct, behind, severity):
    (busy,) = found("port", {"port": direct}, behind)
    assert busy.severity == severity and busy.behind == direct + behind


@pytest.mark.parametrize(
    "behind, messages, queue_size, is_found",
    [
        (0, 0, 1000, False),
        (0, HUNG_THRESHOLDS.stalled_callers, 1000, True),
        (1, 0, 1000, True),
        (1, 0, 0, False),
    ],
)
def test_who_sends_to_a_slow_reader_matters_if_others_wait(behind, messages, queue_size, is_found):
    sender = Waiter("process", 0x2000, "SENDER", "send", behind, behind, 0)
    port = Waiter("port", 0x1000, "PORT", "none", 1, 1 + behind, 1)
    doing = SimpleNamespace(kind="waiting", caller="", text="waits", messages=messages)
    facts = {"is_busy": False, "queue_size": queue_size, "os_pid": 0, "output": 0}
    hang = SimpleNamespace(
        waits=SimpleNamespace(roots=[Root(port, [sender], {"send": 1})]),
        name=str,
        port=lambda term: facts,
        activity=lambda address: doing,
        roles={},
    )
    findings = list(blockers(hang, HUNG_THRESHOLDS, set()))
    assert [finding.kind for finding in findings] == ["full_port"] * is_found


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
