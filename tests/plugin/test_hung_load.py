# SPDX-License-Identifier: Apache-2.0
"""What is said of schedulers, on made-up ones."""

from types import SimpleNamespace

import pytest

from etp.diagnosis.finding import Severity
from etp.diagnosis.hung_load import dirty_schedulers
from etp.diagnosis.thresholds import HUNG_THRESHOLDS
from etp.schedulers import Scheduler

FIRST = 0x1000


def scheduler(number, kind="normal", **changes):
    """Of a process that it executes."""
    facts = {name: 0 for name in Scheduler.__dataclass_fields__}
    facts.update(
        kind=kind,
        number=number,
        activity="process",
        process=FIRST * number,
        pid=f"<0.{number}.0>",
        port=None,
        is_in_nif=False,
    )
    return Scheduler(**{**facts, **changes})


def hang_of(schedulers, queued=0, behind=None):
    """``behind``: how many wait for the process at an address."""
    doing = SimpleNamespace(function=None, text="executes")
    return SimpleNamespace(
        schedulers=schedulers,
        queue_of=lambda kind: queued,
        behind=lambda address: (behind or {}).get(address, 0),
        activity=lambda address: doing,
        name=str,
        syntax="erlang",
    )


@pytest.mark.parametrize(
    "waiting, severity",
    [(0, None), (1, Severity.STRAIN), (3, Severity.STRAIN), (4, Severity.LIKELY)],
)
def test_dirty_schedulers_have_a_few_waiting(waiting, severity):
    own = [scheduler(number, "dirty_cpu") for number in range(1, 5)]
    hang = hang_of(own, waiting, {FIRST: 7})
    findings = list(dirty_schedulers(hang, HUNG_THRESHOLDS, set()))
    assert [finding.severity for finding in findings] == [severity] * (severity is not None)
    # No more than those are that wait.
    assert [finding.rank[1] for finding in findings] == [-(waiting + 7)] * len(findings)
