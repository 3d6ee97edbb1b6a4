# SPDX-License-Identifier: Apache-2.0
"""What the commands about pools of connections, and about timers, say of a damaged core: for mutate.py."""

import sys
from pathlib import Path
from typing import Any, Dict, Optional

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = ("etp-db-connections", "etp-inspect", "etp-timers", "etp-registry", "etp-supervision")
SHOWN = 12
"""Pools and connections that are looked at one by one."""


def ask(extension: Any, core: str, executable: str) -> Dict[str, Any]:
    """How much each answer is about, and whether something is told to be missing.  Any exception but
    etp's own is a mistake."""
    sys.path[:0] = [str(ROOT / "plugin"), str(ROOT / "tests")]
    from etp.errors import Problem
    from etp.vm import VM
    from reader import Reader

    vm = VM.open(core, executable=executable)
    reader = Reader(vm, width=100)

    def run(*words: str) -> None:
        try:
            reader.run(*words)
        except (Problem, extension.Error):
            pass

    for command in COMMANDS:
        run(command, "--limit", "all")
    pools = reader.json("etp-db-connections")
    connections = [c for pool in pools["pools"] for c in pool["connections"]]
    for pool in pools["pools"][:SHOWN]:
        run("etp-db-connections", pool["pid"])
    for connection in connections[:SHOWN]:
        run("etp-db-connections", connection["pid"])
        run("etp-db-connections", connection["pid"], "--cursors")
        run("etp-state", connection["pid"])
    due = reader.json("etp-timers", "--limit", "all")
    told = bool(pools["problems"] or vm.info.warnings or any(c["problems"] for c in connections))
    return {
        "pools": (len(pools["pools"]), told),
        "connections": (len(connections), told),
        "cursors": (pools["cursors"], told),
        "callers that wait": (sum(len(pool["waiting"]) for pool in pools["pools"]), told),
        "timers": (due["total"], bool(due["warnings"] or vm.info.warnings)),
    }


def lost(expected: Dict[str, Any], found: Dict[str, Any]) -> Optional[str]:
    """What is missing from an answer that says it is whole."""
    for what, (count, _told) in expected.items():
        now, told = found[what]
        if now < count and not told:
            return f"{now} of {count} {what} are told of, and no gap is"
    return None
