# SPDX-License-Identifier: Apache-2.0
"""etp-bt: stacks of C and of Erlang in one, of threads that NIFs told us which they are."""

import shutil
from pathlib import Path

import pytest
from etp import backtrace
from etp.vm import VM, Error

import cores
from damage import Damage
from reader import Reader


pytestmark = pytest.mark.skipif(cores.is_emulated(), reason="registers of x86-64 only are known")


def open_core(dump, sysroot):
    return VM.open(str(dump.path), executable=str(dump.executable), sysroot=sysroot)


def sysroot_of(dump, directory):
    """Copies of the libraries of a VM that runs in another root, where the checkout was mounted; else None."""
    if cores.root() is None:
        return None
    for file in open_core(dump, None).info.files:
        found = [cores.outside(Path(file.path)), Path(file.path)]
        for path in [path for path in found if path.is_file()][:1]:
            copy = directory / file.path.lstrip("/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
    return str(directory)


@pytest.fixture(scope="module", params=["stripped", "dwarf", "emu"])
def taken(request, core, tmp_path_factory):
    dump = core("schedulers", flavor=request.param)
    vm = open_core(dump, sysroot_of(dump, tmp_path_factory.mktemp("sysroot")))
    return dump, vm, backtrace.threads(vm)


def role(dump, name):
    return [line for line in dump.truth.by_kind["scheduled"] if line["role"] == name]


def of(threads, pid):
    (found,) = [t for t in threads if t.scheduler and str(t.scheduler.pid) == pid]
    return found


def process_of(thread):
    """The pid of the process that it executes, or None."""
    scheduler = thread.scheduler
    return str(scheduler.pid) if scheduler and scheduler.process else None


def has_symbols(vm):
    """Does it export functions? Debian's OTP 29 does not."""
    try:
        return bool(vm.symbol("process_main"))
    except Error:
        return False


def erlang(thread):
    return [frame.name for frame in thread.frames if frame.is_erlang]


def below(thread):
    """Frames of C that the last one of Erlang was called from."""
    last = max(i for i, frame in enumerate(thread.frames) if frame.is_erlang)
    return thread.frames[last + 1 :]


def c_functions(thread):
    return [backtrace.c_name(f.function or "") for f in thread.frames if not f.is_erlang]


FUNCTIONS = {
    "aux thread": "aux_thread",
    "poll thread 0": "poll_thread",
    "async thread 0": "async_main",
}
"""What ERTS starts threads that are no schedulers with; a symbol of builds that are not stripped."""


def test_threads_that_are_no_schedulers_have_names(request, taken):
    dump, vm, threads = taken
    named = {thread.kind: thread for thread in threads if thread.kind}
    assert set(named) == {*FUNCTIONS, "main thread"}
    assert named["main thread"].tid == vm.info.pid and named["main thread"].known_by == "core"
    for kind, function in FUNCTIONS.items():
        assert named[kind].known_by == "vm"
        if request.node.callspec.params["taken"] != "stripped":
            assert function in c_functions(named[kind])
    text = Reader(vm).run("etp-bt", "aux", "thread")
    assert text.startswith(f"aux thread (thread {named['aux thread'].tid}, by the VM's own data)")


def test_names_of_the_threads_of_a_process(live):
    """By the VM's own data and by the kernel's are the same."""
    vm = live("healthy")
    try:
        opened = VM.open(pid=vm.pid)
    except Error:
        pytest.skip("tracing is not allowed here")
    threads = {thread.name: thread for thread in backtrace.threads(opened)}
    assert {"main thread", "signal dispatcher", "system message dispatcher"} <= set(threads)
    assert threads["signal dispatcher"].known_by == "proc"
    for kind in FUNCTIONS:
        comm = Path(f"/proc/{vm.pid}/task/{threads[kind].tid}/comm").read_text()
        assert kind.split()[0] in comm


def test_threads_are_those_that_the_nifs_ran_in(taken):
    dump, _vm, threads = taken
    (said,) = dump.truth.by_kind["run_queues"]
    tid = {index: (thread, tid) for index, thread, tid in said["threads"]}
    (stuck,), (io,) = role(dump, "stuck"), role(dump, "dirty_io")
    found = of(threads, stuck["pid"])
    assert (found.thread, found.tid) == tid[0] and found.name == "scheduler 2"
    found = of(threads, io["pid"])
    assert (found.thread, found.tid) == tid[3]
    assert [t.name for t in threads if t.scheduler][:4] == [f"scheduler {n}" for n in range(1, 5)]
    assert len([t for t in threads if t.scheduler]) == 10


def test_what_is_left_out_of_a_stack_is_told(taken):
    _dump, vm, threads = taken
    assert not any("deeper" in warning for thread in threads for warning in thread.warnings)
    languages, expected = set(), {"C"}
    for whole, few in zip(threads, backtrace.threads(vm, most=1)):
        assert whole.tid == few.tid
        told = [w for w in few.warnings if w.startswith("Its stack is deeper: 1 frame of ")]
        languages.update(w.split(" frame of ")[1].split()[0] for w in told)
        assert bool(told) == (len(few.frames) < len(whole.frames)), whole.name
        erlang = [[f.location for f in thread.frames if f.is_erlang] for thread in (whole, few)]
        assert erlang[1] == erlang[0][: len(erlang[1])]
        expected.update({"Erlang"} if len(erlang[0]) > len(erlang[1]) else ())
    assert languages == expected


@pytest.mark.parametrize(
    "name, function",
    [("stuck", "take"), ("dirty_cpu", "take_dirty_cpu"), ("dirty_io", "take_dirty_io")],
)
def test_a_nif_stands_between_what_it_calls_and_its_caller(taken, name, function):
    dump, vm, threads = taken
    for line in role(dump, name):
        thread = of(threads, line["pid"])
        assert thread.warnings == [] or not has_symbols(vm)
        inner = thread.frames[: next(i for i, f in enumerate(thread.frames) if f.is_erlang)]
        called = [f.function for f in inner]
        # Newer ones of glibc have frames of their own in pause.
        assert "pause" in called[: called.index("take")]
        assert inner[called.index("take")].file == "schedulers_nif.so"
        # The function that runs, and the one on the stack of the process.
        assert erlang(thread)[0] == f"schedulers:{function}/1"
        assert erlang(thread)[1] == "schedulers:result/1"
        result = [f for f in thread.frames if f.is_erlang][1]
        assert result.place.startswith("corefiles/schedulers.erl:")
        assert all(frame.file for frame in inner)
        if not has_symbols(vm):
            assert thread.warnings
            continue
        # What is below belongs to the VM, down to the beginning of the thread.
        outer = below(thread)
        # The first is static; the compiler may have made its call of the second a jump.
        assert outer[0].function in ("sched_thread_func", "process_main", "erts_dirty_process_main")
        assert outer[-1].file.startswith("libc")
        assert all(frame.file for frame in outer)


def test_code_that_computes_is_on_its_stack(taken):
    dump, _vm, threads = taken
    (busy,) = role(dump, "busy")
    found = erlang(of(threads, busy["pid"]))
    assert "schedulers:result/1" in found
    assert set(found) <= {"schedulers:compute/1", "schedulers:result/1"}


def test_the_writer_aborts_in_halt(taken):
    dump, vm, threads = taken
    thread = of(threads, dump.truth.workload["writer"])
    assert thread.name == "scheduler 1"
    assert "abort" in c_functions(thread)
    assert "erts_exit" in c_functions(thread) or not has_symbols(vm)
    assert any(name.startswith("truth:run/4") for name in erlang(thread))


def test_stacks_without_a_process_have_no_erlang(taken):
    _dump, vm, threads = taken
    for thread in threads:
        if thread.scheduler is None or not thread.scheduler.process:
            assert erlang(thread) == []
    if not has_symbols(vm):
        return
    sleeping = [t for t in threads if t.scheduler and t.scheduler.activity == "sleeping"]
    assert all("erts_schedule" in c_functions(t) for t in sleeping)
    # The main thread, and pollers.
    others = [c_functions(t) for t in threads if t.scheduler is None]
    assert any("erts_sys_main_thread" in names for names in others)
    assert any("erts_check_io" in names for names in others)


def test_the_command(taken):
    dump, vm, threads = taken
    reader = Reader(vm, width=200)
    (stuck,) = role(dump, "stuck")
    out = reader.run("etp-bt", "2")
    assert out.startswith("scheduler 2 (thread ") and stuck["pid"] in out
    assert out.index("take+") < out.index("schedulers:take/1") < out.index("schedulers:result/1")
    assert out == reader.run("etp-bt", "scheduler 2") == reader.run("etp-bt", stuck["pid"])
    # Which of the idle schedulers stand at the same place is chance; threads that do are told together.
    stacks = {
        (
            tuple((frame.name, frame.place) for frame in thread.frames),
            tuple(thread.warnings),
            process_of(thread),
        )
        for thread in threads
    }
    told = f"{len(threads)} threads, {len(stacks)} different stacks."
    assert (told in reader.run("etp-bt")) == (len(stacks) < len(threads))
    facts = reader.json("etp-bt", "dirty", "io", "1", "--limit", "2")["threads"]
    assert [thread["name"] for thread in facts] == ["dirty IO scheduler 1"]
    assert len(facts[0]["frames"]) == 2 < facts[0]["frame_count"]
    depths = [t["frame_count"] for t in reader.json("etp-bt", "--sort", "depth")["threads"]]
    assert depths == sorted(depths, reverse=True)
    from etp.errors import Problem

    with pytest.raises(Problem, match="No thread is 77777777"):
        reader.run("etp-bt", "77777777")


def test_libraries_that_are_not_here_are_named(taken, tmp_path):
    """A core of another machine, without its libraries: what is known is right, and nothing is made up."""
    dump, _vm, whole = taken
    vm = open_core(dump, str(tmp_path))
    (stuck,) = role(dump, "stuck")
    thread = of(backtrace.threads(vm), stuck["pid"])
    expected = of(whole, stuck["pid"])
    first, file = thread.frames[0], expected.frames[0].file
    assert (first.pc, first.file) == (expected.frames[0].pc, file)
    assert first.is_missing and first.function is None and first.name.startswith(f"{file}+0x")
    assert any(f"What called the code in {file} is not known" in w for w in thread.warnings)
    assert not any("The process executes" in w for w in thread.warnings)
    # Nothing of the process depends on it, nor what the main loop was called from.
    assert erlang(thread) == erlang(expected)
    outer = [frame.pc for frame in below(thread)]
    assert outer == [frame.pc for frame in below(expected)][: len(outer)]


def test_names_of_cpp():
    name = "_Z17beam_jit_call_nifP7processPKvPmPFmP18enif_environment_tiS3_EP14erl_module_nif"
    assert backtrace.c_name(name) == "beam_jit_call_nif"
    assert backtrace.c_name("_ZN19BeamGlobalAssembler17emit_process_mainEv") == (
        "BeamGlobalAssembler::emit_process_main"
    )
    for plain in ("pause", "_Z", "_Z99short", "_ZTV13BeamAssembler"):
        assert backtrace.c_name(plain) == plain


def test_a_stack_that_was_not_saved_is_told(core, tmp_path):
    dump = core("schedulers")
    whole = open_core(dump, None)
    (registers,) = [r for tid, _, r, _ in whole.native.threads() if tid == whole.info.pid]
    said = "Its stack cannot be read"
    assert said not in Reader(whole).run("etp-bt")
    damage = Damage(dump, tmp_path)
    damage.lose(registers[7])
    torn = VM.open(str(damage.path), executable=str(dump.executable))
    text = Reader(torn).run("etp-bt", str(whole.info.pid))
    assert said in text and "#0" in text and "main+" not in text
