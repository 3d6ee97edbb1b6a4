# SPDX-License-Identifier: Apache-2.0
"""What is said of those whom others wait for, by how these wait, on made-up numbers."""

from types import SimpleNamespace
from unittest.mock import patch

import pytest

from etp.diagnosis import hung_waits
from etp.diagnosis.finding import Severity
from etp.diagnosis.hung_waits import blockers
from etp.diagnosis.thresholds import HUNG_THRESHOLDS
from etp.waits import Root, Waiter

MANY = HUNG_THRESHOLDS.callers
STALLED = HUNG_THRESHOLDS.stalled_callers


def found(kind, waits, behind=0, doing="idle", role="", name=None, heap=0):
    """``behind``: those who wait for those who wait for it."""
    count = sum(waits.values())
    root = Root(Waiter(kind, 0x1000, "THAT", "none", count, count + behind, 1), [], waits)
    doing = SimpleNamespace(
        kind=doing, caller="", text="waits", arguments=[], messages=0, heap_bytes=heap
    )
    hang = SimpleNamespace(
        waits=SimpleNamespace(roots=[root]),
        name=str,
        port=lambda term: None,
        process=lambda term: SimpleNamespace(name=name, initial_call=None),
        activity=lambda address: doing,
        members=lambda root: [root.waiter, *root.chain],
        redact=False,
        roles={0x1000: role} if role else {},
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


def full_port(behind, messages, module="shop", **facts):
    """One sends to the port, whose first function was of the module, and others wait behind."""
    sender = Waiter("process", 0x2000, "SENDER", "send", behind, behind, 0)
    port = Waiter("port", 0x1000, "PORT", "none", 1, 1 + behind, 1)
    doing = SimpleNamespace(kind="waiting", caller="", text="waits", messages=messages)
    facts = {"is_busy": False, "queue_size": 1000, "os_pid": 0, "output": 0, **facts}
    hang = SimpleNamespace(
        waits=SimpleNamespace(roots=[Root(port, [sender], {"send": 1})]),
        name=str,
        port=lambda term: facts,
        process=lambda term: SimpleNamespace(name=None, initial_call=(module, "init", 1)),
        activity=lambda address: doing,
        roles={},
    )
    return list(blockers(hang, HUNG_THRESHOLDS, set()))


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
    findings = full_port(behind, messages, queue_size=queue_size)
    assert [finding.kind for finding in findings] == ["full_port"] * is_found


@pytest.mark.parametrize("behind, messages, is_found", [(1, 1, False), (2, 2, True)])
def test_with_tls_one_waits_for_the_one_that_sends(behind, messages, is_found):
    findings = full_port(behind, messages, "tls_sender")
    assert [finding.kind for finding in findings] == ["full_port"] * is_found


def test_a_port_with_a_queue_need_not_be_busy():
    (full,), (busy,) = full_port(1, 0), full_port(1, 0, is_busy=True)
    assert "to send to the port PORT" in full.title
    assert "to send to the busy port PORT" in busy.title


def found_node(direct, behind, suspended):
    """Of those who wait for a node, some are in the list of its connection."""
    here, other = 0x1000, 0x2000
    node = Waiter("node", here if suspended else 0, "shop@db", "none", direct, direct + behind, 1)
    entries = [
        SimpleNamespace(address=address, ties={"suspended": count})
        for address, count in ((other, 99), (here, suspended))
    ]
    hang = SimpleNamespace(
        vm=None,
        waits=SimpleNamespace(roots=[Root(node, [], {"node": direct})]),
        name=str,
        redact=False,
    )
    with patch.object(hung_waits, "connections", lambda vm: SimpleNamespace(connections=entries)):
        return list(blockers(hang, HUNG_THRESHOLDS, set()))


def test_somebody_always_calls_another_node():
    assert found_node(1, 0, 0) == [] and found_node(STALLED - 1, 0, 0) == []
    (finding,) = found_node(STALLED - 1, 1, 0)
    assert finding.kind == "remote_call" and finding.severity == Severity.LIKELY
    assert (
        finding.title
        == f"{STALLED - 1} processes wait for processes of the node shop@db; 1 more waits behind"
    )


def test_who_calls_another_node_does_not_wait_for_its_connection():
    (finding,) = found_node(3, 0, 3)
    assert finding.kind == "busy_node"
    assert finding.title == "3 processes wait for the busy connection to the node shop@db"
    (finding,) = found_node(5, 2, 3)
    assert finding.title == "3 processes wait for the busy connection to the node shop@db"
    assert finding.evidence[0].startswith(
        "2 more wait for processes of that node; 7 processes wait"
    )


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


def test_nobody_but_the_boot_process_waits_for_an_application():
    starts = "starts the application shop"
    (finding,) = found("process", {"start": 1}, doing="waiting", role=starts)
    assert finding.title == f"1 process waits for THAT, which {starts} and waits"
    assert finding.severity == Severity.LIKELY and finding.evidence == []
    assert found("process", {"start": 1}, doing="running", role=starts) == []
    assert found("process", {"start": 1}, doing="waiting") == []


@pytest.mark.parametrize(
    "doing, callers, severity",
    [
        ("waiting", HUNG_THRESHOLDS.system_callers - 1, None),
        ("waiting", HUNG_THRESHOLDS.system_callers, Severity.LIKELY),
        ("running", HUNG_THRESHOLDS.system_callers - 1, None),
        ("running", HUNG_THRESHOLDS.system_callers, Severity.STRAIN),
        ("running", MANY - 1, Severity.STRAIN),
        ("running", MANY, Severity.LIKELY),
    ],
)
def test_a_server_of_otp_that_works_may_have_many_to_answer(doing, callers, severity):
    findings = found("process", {"call": callers}, doing=doing, name="code_server")
    assert [finding.severity for finding in findings] == [severity] * (severity is not None)


def test_who_collects_a_little_garbage_works():
    large = HUNG_THRESHOLDS.collected_bytes
    assert found("process", {"call": MANY - 1}, doing="collecting", heap=large - 1) == []
    assert len(found("process", {"call": STALLED}, doing="collecting", heap=large)) == 1


def test_what_follows_of_those_who_wait():
    (calls,) = found("process", {"call": MANY})
    assert calls.evidence[0].startswith("It has taken their requests and put off the replies")
    # It may be watched only, or told to end.
    for other in ("monitor", "exit", "request"):
        assert found("process", {other: MANY})[0].evidence == []
    (works,) = found("process", {"call": MANY}, doing="running")
    assert works.evidence == ["It works: on one request for long, or on more than it can answer."]
