# SPDX-License-Identifier: Apache-2.0
"""Why a VM does not answer: one rule for each cause."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from . import hung_limits, hung_load, hung_locks, hung_services, hung_waits
from .thresholds import HUNG_THRESHOLDS, HungThresholds

if TYPE_CHECKING:
    from ..hang import Hang
    from .finding import Finding

# A rule leaves out what one before it has explained.
RULES = (
    hung_waits.halting,
    hung_waits.deadlocks,
    hung_locks.process_locks,
    hung_locks.table_locks,
    hung_load.stuck_schedulers,
    hung_load.all_schedulers,
    hung_load.dirty_schedulers,
    hung_load.collections,
    hung_services.loggers,
    hung_waits.blockers,
    hung_limits.full_tables,
    hung_limits.memory,
    hung_services.tracers,
    hung_load.abandoned,
    hung_load.long_mailboxes,
    hung_load.timer_storm,
    hung_load.run_queues,
    hung_waits.unexplained_suspensions,
    hung_waits.exiting,
)


def diagnose(hang: Hang, limits: HungThresholds = HUNG_THRESHOLDS) -> list[Finding]:
    """The most likely cause first."""
    findings = list(_all(hang, limits))
    findings.sort(key=lambda finding: finding.rank)
    return findings


def _all(hang: Hang, limits: HungThresholds) -> Iterator[Finding]:
    explained: set[int] = set()
    for rule in RULES:
        for finding in rule(hang, limits, explained):
            explained |= finding.explains
            yield finding
