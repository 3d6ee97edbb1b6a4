# SPDX-License-Identifier: Apache-2.0
"""What may keep a VM from answering."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any


class Severity(IntEnum):
    """What comes first on the screen."""

    #: It does not go on by itself, or somebody has waited for it for too long already.
    HANG = 0
    #: Others wait for it; one look cannot tell for how long.
    LIKELY = 1
    #: A limit is near, or something is much larger than it should be.
    STRAIN = 2


@dataclass
class Finding:
    #: Name of the rule, and of what it found: "deadlock", "blocker", "busy_port" ...
    kind: str
    severity: Severity
    #: The cause in one line, with pids and functions.
    title: str
    #: Sentences with the evidence.
    evidence: list[str]
    #: Commands that show more, and what.
    commands: list[tuple[str, str]]
    #: Processes that wait because of it, directly or not.
    behind: int
    #: Those who cause it: pids, ports, names of tables.
    subjects: list[str]
    #: It is deduced, or could be otherwise; why.
    doubt: str = ""
    #: Findings of one severity are ranked by it, largest first.
    weight: int = 0
    #: Addresses of processes that this explains: no other finding is made of them.
    explains: set[int] = field(default_factory=set)

    @property
    def rank(self) -> tuple[int, int]:
        return (int(self.severity), -(self.weight or self.behind))

    def data(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "severity": self.severity.name.lower(),
            "title": self.title,
            "evidence": self.evidence,
            "commands": [command for command, _ in self.commands],
            "behind": self.behind,
            "subjects": self.subjects,
            "doubt": self.doubt or None,
        }
