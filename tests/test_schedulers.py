# SPDX-License-Identifier: Apache-2.0
"""Schedulers and run queues: who has which, and what waits, is what the VM said with all of them pinned."""

from collections import Counter

import pytest
from etp import schedulers
from etp.vm import VM

from reader import Reader


@pytest.fixture(scope="module", params=["stripped", "emu"])
def pinned(request, core):
    dump = core("schedulers", flavor=request.param)
    return dump, reader_of(dump)


def reader_of(dump):
    return Reader(VM.open(str(dump.path), executable=str(dump.executable)))


def roles(dump, *names):
    """Lines of kind scheduled."""
    return [line for line in dump.truth.by_kind["scheduled"] if line["role"] in names]


def at_rest(lengths):
    """Lengths of run queues without that of scheduler 3: `busy`, which it executes, stands in it whenever
    it has used up its reductions."""
    assert lengths[2] <= 1
    return [*lengths[:2], *lengths[3:]]


def test_run_queues_are_as_long_as_the_vm_said(pinned):
    dump, reader = pinned
    (said,) = dump.truth.by_kind["run_queues"]
    queues = schedulers.run_queues(reader.vm)
    assert queues.unreadable == 0
    assert not any(queue.is_incomplete for queue in queues.queues)
    assert at_rest([queue.length for queue in queues.queues]) == at_rest(said["lengths"])
    assert [queue.kind for queue in queues.queues] == ["normal"] * 4 + ["dirty_cpu", "dirty_io"]
    for queue in queues.queues:
        assert queue.length == sum(queue.lengths.values()) <= queue.max_length
        assert queue.is_nonempty or not queue.length
    waiting = Counter(line["priority"] for line in roles(dump, "behind"))
    assert queues.queues[1].lengths == {**waiting, "port": 0}
    assert queues.queues[1].is_executing


def test_those_who_wait_stand_in_the_queues(pinned):
    dump, reader = pinned
    (*normal, dirty_cpu, dirty_io) = schedulers.run_queues(reader.vm).queues
    behind = {level: set() for level in schedulers.PRIORITIES}
    for line in roles(dump, "behind"):
        assert line["status"] == "runnable"
        behind[line["priority"]].add(line["pid"])
    behind["normal"] |= behind["low"]
    behind["low"] = behind["normal"]
    for level in schedulers.PRIORITIES:
        found, whole = schedulers.waiting(reader.vm, normal[1], level)
        assert whole and {str(pid) for pid in found} == behind[level]
    found, whole = schedulers.waiting(reader.vm, dirty_cpu, "normal")
    assert whole
    assert [str(pid) for pid in found] == [line["pid"] for line in roles(dump, "dirty_queued")]
    assert schedulers.waiting(reader.vm, dirty_io, "port") == ([], True)


def test_schedulers_execute_whom_the_vm_said(pinned):
    dump, reader = pinned
    found = schedulers.schedulers(reader.vm)
    assert not any(scheduler.is_incomplete for scheduler in found)
    assert [s.id for s in found] == list(range(1, 11))
    executes = {str(s.pid): s for s in found if s.pid is not None}
    (stuck,), (busy,) = roles(dump, "stuck"), roles(dump, "busy")
    assert executes[stuck["pid"]].name == "scheduler 2"
    assert executes[busy["pid"]].name == "scheduler 3"
    assert executes[dump.truth.workload["writer"]].name == "scheduler 1"
    kinds = {line["pid"]: line["role"] for line in roles(dump, "dirty_cpu", "dirty_io")}
    assert {pid: executes[pid].kind for pid in kinds} == kinds
    # No other one executes anything.
    assert len(executes) == 3 + len(kinds)
    # One may just have been woken up, and look for work.
    idle = ("sleeping", "polling", "spinning", "scheduling")
    assert all(s.activity in idle for s in found if not s.is_busy)


def test_threads_are_those_in_which_the_nifs_were(pinned):
    dump, reader = pinned
    (said,) = dump.truth.by_kind["run_queues"]
    thread = {index: thread for index, thread, _tid in said["threads"]}
    executes = {str(s.pid): s for s in schedulers.schedulers(reader.vm)}
    (stuck,) = roles(dump, "stuck")
    assert executes[stuck["pid"]].thread == thread[0]
    (io,) = roles(dump, "dirty_io")
    assert executes[io["pid"]].thread == thread[3]
    found = {executes[line["pid"]].thread for line in roles(dump, "dirty_cpu")}
    assert found == {thread[1], thread[2]}


def test_nifs_are_named(pinned):
    dump, reader = pinned
    names = {"stuck": "take", "dirty_cpu": "take_dirty_cpu", "dirty_io": "take_dirty_io"}
    taken = {line["pid"]: line["role"] for line in roles(dump, *names)}
    for scheduler in schedulers.schedulers(reader.vm):
        role = taken.get(str(scheduler.pid))
        assert scheduler.is_in_nif == (role is not None)
        if role is None:
            continue
        what = schedulers.running(reader.vm, scheduler)
        assert scheduler.nif_library == "schedulers"
        assert what.function.name() == f"schedulers:{names[role]}/1"
        assert what.status == "running" and not what.is_collecting_garbage
        assert "RUNNING" in what.flags or "DIRTY_RUNNING" in what.flags


def test_the_stuck_scheduler_holds_up_thread_progress(pinned):
    _dump, reader = pinned
    progress = schedulers.thread_progress(reader.vm)
    assert not progress.is_incomplete and not progress.unreadable
    # aux thread, four schedulers, pollers.
    assert len(progress.threads) > 5
    assert "scheduler 2" in [thread.name for thread in progress.awaited]
    assert not progress.is_blocking
    # What the VM keeps for itself is what the schedulers know.
    by_scheduler = {thread.scheduler: thread for thread in progress.threads if thread.scheduler}
    sleeping = [
        s for s in schedulers.schedulers(reader.vm) if s.activity in ("sleeping", "polling")
    ]
    assert all(by_scheduler[s.number].is_waiting for s in sleeping if s.kind == "normal")


def test_an_idle_vm(core):
    dump = core("healthy")
    reader = reader_of(dump)
    found = schedulers.schedulers(reader.vm)
    (writer,) = [s for s in found if s.is_busy]
    assert str(writer.pid) == dump.truth.workload["writer"]
    queues = schedulers.run_queues(reader.vm)
    assert queues.length == 0 and not any(q.lengths["port"] for q in queues.queues)


def test_what_the_commands_say(pinned):
    dump, reader = pinned
    out = reader.run("etp-schedulers")
    line = next(line for line in out.splitlines() if line.startswith("2 "))
    assert "schedulers:take/1" in line and "NIF of schedulers" in line
    assert "All dirty CPU schedulers are taken, and 3 processes wait for one." in out
    assert "Thread progress waits for" in out
    facts = reader.json("etp-schedulers")
    assert [row["id"] for row in facts["schedulers"]] == list(range(1, 11))
    assert "scheduler 2" in facts["thread_progress"]["awaited"]
    queues = reader.json("etp-run-queues", "--sort", "length")["run_queues"]
    (said,) = dump.truth.by_kind["run_queues"]
    lengths = [row["length"] for row in queues]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[:2] == sorted(at_rest(said["lengths"]), reverse=True)[:2]
    (first,) = [line["pid"] for line in roles(dump, "behind") if line["priority"] == "max"]
    assert queues[0]["name"] == "2" and queues[0]["first"].startswith(first)
    assert len(reader.json("etp-run-queues", "--limit", "1")["run_queues"]) == 1


def test_names_of_aux_work_come_from_the_vm(pinned):
    _dump, reader = pinned
    found = {name for s in schedulers.schedulers(reader.vm) for name in s.aux_work}
    assert all(name.isupper() for name in found), "each has a name"
