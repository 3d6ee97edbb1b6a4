# SPDX-License-Identifier: Apache-2.0
"""What a diagnosis says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Certainty = Literal["measured", "estimate", "guess"]


@dataclass
class Number:
    """A number with its meaning: ``bytes`` and ``rows`` say what is counted."""

    label: str
    value: int
    unit: Literal["bytes", "rows", "tables", "binaries", "references", "seconds", "times"]


@dataclass
class Suspect:
    """One thing that looks wrong."""

    #: "pins", "shared_pins", "dead_pids", "dead_refs", "dominating", "swarm", "dead_owner",
    #: "shell_owner" or "fixed".
    kind: str
    #: What it is called on the screen.
    title: str
    #: One sentence that says what is wrong.
    sentence: str
    #: What doing as advised would free.
    freeable_bytes: int
    #: What the suspicion is about.
    at_stake_bytes: int
    certainty: Certainty
    #: Addresses of the tables, the worst first.
    tables: list[int]
    numbers: list[Number]
    #: How the numbers came about, for --explain.
    derivation: list[str]
    advice: list[str]
    #: (address of the table, address of the DbTerm) of a row that shows it, (0, 0) for none.
    sample: tuple[int, int] = (0, 0)
    #: What about the sample row.
    sample_note: str = ""
    #: Suspects are ranked by it; None: at_stake_bytes.
    rank_bytes: int | None = None
    #: Further findings about the same table, a sentence each.
    also: list[str] = field(default_factory=list)

    @property
    def rank(self) -> int:
        return self.at_stake_bytes if self.rank_bytes is None else self.rank_bytes

    def data(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "title": self.title,
            "sentence": self.sentence,
            "freeable_bytes": self.freeable_bytes,
            "at_stake_bytes": self.at_stake_bytes,
            "certainty": self.certainty,
            "tables": [f"{address:#x}" for address in self.tables],
            "numbers": [{"label": n.label, "value": n.value, "unit": n.unit} for n in self.numbers],
            "derivation": self.derivation,
            "advice": self.advice,
            "also": self.also,
        }
