# SPDX-License-Identifier: Apache-2.0
"""Locks that are held: the main lock of a process is, exactly while a scheduler executes it."""

import pytest
from etp import schedulers
from etp.locks import locks
from reader import Reader

import etp


def opened(dump):
    return Reader(etp.open(core=str(dump.path), executable=str(dump.executable)))


@pytest.mark.parametrize("flavor", ["stripped", "emu"])
def test_main_locks_of_processes(core, flavor):
    """Of the workload all processes are pinned: on a scheduler, or behind one."""
    dump = core("schedulers", flavor=flavor)
    reader = opened(dump)
    found = locks(reader.vm)
    assert found.gaps == 0
    held = {str(lock.term): lock for lock in found.locks if lock.name == "proc_main"}
    lines = dump.truth.by_kind["scheduled"]
    stuck = {line["pid"] for line in lines if line["role"] == "stuck"}
    behind = {line["pid"] for line in lines if line["role"] in ("behind", "dirty_queued")}
    assert stuck and behind
    assert stuck <= set(held) and not behind & set(held)
    executing = {
        str(s.pid): s.number
        for s in schedulers.schedulers(reader.vm)
        if s.kind == "normal" and s.pid is not None
    }
    for pid in stuck:
        assert held[pid].is_exclusive and held[pid].holder.number == executing[pid]
    # A process that waits has none of its locks.
    waiting = {p["pid"] for p in dump.truth.processes.values() if p["status"] == "waiting"}
    waiting -= stuck | set(executing)
    assert waiting and not waiting & {str(lock.term) for lock in found.locks}
    rows = reader.json("etp-locks", "--limit", "all")["locks"]
    assert len(rows) == len(found.locks)
    for row in rows:
        if row["lock"] == "proc_main" and row["of"].split(" ")[0] in stuck:
            assert row["held"] == "exclusively" and row["by"].startswith("scheduler ")


def test_lock_of_a_table(core):
    """A match reads it, an insertion waits for it."""
    reader = opened(core("hangs", kind="ets_lock"))
    (first, *_) = reader.json("etp-locks")["locks"]
    assert (first["lock"], first["of"], first["owner"]) == ("db_tab", "locked_table", "table")
    assert first["held"] == "by 1 reader" and first["awaited"]
    text = reader.run("etp-locks")
    assert text.splitlines()[1].split()[:2] == ["db_tab", "locked_table"]
    assert "1 awaited" in text


def test_nothing_is_held_in_a_quiet_vm(core):
    """erlang:halt/1 gives the main lock back before it dumps."""
    found = locks(opened(core("healthy")).vm)
    assert found.gaps == 0
    assert not [lock for lock in found.locks if lock.owner in ("process", "table")]
