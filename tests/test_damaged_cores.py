# SPDX-License-Identifier: Apache-2.0
"""An answer that has lost something to damage says so: each of these was once silent."""

import os
from contextlib import contextmanager
from itertools import islice

import pytest

from etp import processes
from etp.schedulers import schedulers
from etp.text import is_unreadable
from etp.vm import VM

import mutate
from damage import NOWHERE, Damage
from reader import Reader


@pytest.fixture(scope="module")
def damage(core, tmp_path_factory):
    return Damage(core("healthy"), tmp_path_factory.mktemp("damaged"))


@contextmanager
def changed(damage, address, word):
    """A Reader of the core in which a word is another one."""
    before = damage.word(address)
    damage.write(address, word)
    try:
        yield Reader(damage.open())
    finally:
        damage.write(address, before)


def pointer_to_atom(damage, name):
    """Where in the atom table the address of its Atom stands."""
    index = damage.vm.find_atom(name).word >> 6
    pages = damage.word(
        damage.vm.symbol("erts_atom_table")[0] + damage.member("IndexTable", "seg_table")
    )
    return damage.word(pages + (index >> 10) * 8) + (index & 1023) * 8


def test_list_of_tables_that_breaks_off(core, tmp_path):
    damage = Damage(core("ets_kinds"), tmp_path)
    damage.lose(damage.vm.ets_tables()[-1]["address"])
    vm = damage.open()
    assert len(vm.ets_tables) < damage.dump.truth.system["ets_count"]
    for command in ("etp-system-info", "etp-info", "etp-ets-tables", "etp-registry"):
        reader = Reader(vm, width=200)
        assert "The list of ETS tables of scheduler" in reader.run(command)
        assert any("breaks off" in warning for warning in reader.json(command)["warnings"])


def test_binaries_of_rows_that_are_met_twice_count_once(core, tmp_path):
    """Also where they are only summed up."""
    damage = Damage(core("ets_pins"), tmp_path)
    vm = damage.open()
    table = vm.ets_table("pins_session")
    whole = vm.native.census(tables_only=True).tables[table.address]
    to_dbterm, to_next = (damage.member("HashDbTerm", name) for name in ("dbterm", "next"))
    nodes = (row.address - to_dbterm for row in table.rows())
    last, other = islice((node for node in nodes if not damage.word(node + to_next)), 2)
    # The end of one chain leads to the end of another one.
    damage.write(last + to_next, other)
    native = damage.open().native
    found = native.census(tables_only=True).tables[table.address]
    assert found["rows"] == whole["rows"] + 1
    assert found["binaries"] == whole["binaries"] and found["binary_bytes"] == whole["binary_bytes"]
    assert found == native.census().tables[table.address]


def test_code_of_a_library_of_which_the_beginning_is_gone(core, tmp_path):
    damage = Damage(core("healthy"), tmp_path)
    library = next(f for f in damage.vm.info()["files"] if "/libc.so" in f["path"])
    first = next(s for s in damage.image.segments if s.address == library["start"])
    # Its bytes were not saved.
    os.pwrite(damage.image.file.fileno(), bytes(8), first.header + 32)
    reader = Reader(damage.open(), width=200)
    threads = reader.json("etp-bt")["threads"]
    told = "is not known: the core lacks what tells of which file it is."
    others = [thread["warnings"] for thread in threads if not thread["scheduler"]]
    assert 1 < len(others) < len(threads)
    assert all(any(told in warning for warning in warnings) for warnings in others)
    # Of the others, too, something is not known.
    assert all(thread["warnings"] for thread in threads)
    assert told in " ".join(reader.run("etp-bt").split())


def test_names_that_cannot_be_read(damage):
    """Who looks for a name is told that there are processes and tables whose names are not known."""
    with changed(damage, pointer_to_atom(damage, "code_server"), NOWHERE) as reader:
        assert "1 name could not be read" in reader.run("etp-registry", "code_server")
        assert "could not be read" not in reader.run("etp-registry")
        text = reader.run("etp-processes", "--name", "code_server")
        # Its module is the atom too, of which processes may be the initial call.
        assert "of unknown name may be among the wanted" in text
    with changed(damage, pointer_to_atom(damage, "ac_tab"), NOWHERE) as reader:
        text = reader.run("etp-ets-tables", "--name", "ac_tab")
        assert "1 table of unknown name may be among the wanted" in text


def test_dictionary_whose_pairs_are_gone(damage):
    """The array is there, and the pairs on the heap are not."""
    process = damage.process("application_controller")
    dictionary = damage.word(process + damage.member("Process", "dictionary"))
    slots = dictionary + damage.member("ProcDict", "data")
    used = range(slots, slots + 8 * damage.vm.process_info(process)["dictionary_size"] * 4, 8)
    slot = next(address for address in used if damage.word(address) & 3 == 2)
    with changed(damage, slot, NOWHERE | 2) as reader:
        for command in ("etp-process-info", "etp-dictdump"):
            text = reader.run(command, "application_controller")
            assert "Incomplete" in text and "dictionary" in text, command


def test_initial_call_that_is_gone(damage):
    """It stands in the dictionary, as proc_lib left it; that of proc_lib itself is no answer."""
    process = damage.process("kernel_sup")
    said = damage.dump.truth.process("kernel_sup")
    assert Reader(damage.open()).json("etp-process-info", "kernel_sup")["proc_lib_initial_call"]
    dictionary = damage.word(process + damage.member("Process", "dictionary"))
    slots = dictionary + damage.member("ProcDict", "data")
    for slot in range(slots, slots + 8 * 16, 8):
        if damage.word(slot) & 3 != 2:
            continue
        with changed(damage, slot, NOWHERE | 2) as reader:
            row = next(r for r in processes.rows(reader.vm) if r.name == "kernel_sup")
            is_lost = row.initial_call == ("proc_lib", "init_p", 5)
            assert is_lost == ("initial_call" in row.unknown) == is_unreadable(row.call_text)
            assert is_lost == is_unreadable(reader.vm.process(process).initial_call_text)
            if is_lost:
                break
    else:
        raise AssertionError(f"the initial call of {said['pid']} was not lost")


def test_registered_name_that_is_gone(damage):
    process = damage.process("kernel_sup")
    with changed(damage, process + damage.member("Process", "reg"), NOWHERE) as reader:
        assert "#UnreadableName" in reader.run("etp-registry", "--kind", "local", "--limit", "all")
        assert "1 name could not be read" in reader.run("etp-registry", "kernel_sup")
        pid = damage.dump.truth.process("kernel_sup")["pid"]
        assert "#UnreadableName" in reader.run("etp-process-info", pid)


def test_a_process_whose_end_is_gone(core, tmp_path):
    """It is listed, for its pid is there; it is not said to be in a state that nobody has read."""
    damage = Damage(core("healthy"), tmp_path)
    pid, size = damage.member("Process", "id"), damage.structs["Process"]["size"]
    torn = next(
        address
        for address, _ in damage.vm.processes()
        if (address + pid) >> 12 < (address + size - 1) >> 12
    )
    damage.lose(torn + size - 1)
    vm = damage.open()
    rows = processes.rows(vm)
    row = next(row for row in rows if row.address == torn)
    assert row.status == "unknown" and row.unknown == list(processes.ITEMS)
    assert "free" not in rows.values("status")
    reader = Reader(vm, width=200)
    listed = reader.json("etp-processes", "--status", "unknown", "--limit", "all")["processes"]
    assert str(row.pid) in [each["pid"] for each in listed]
    assert {each["status"] for each in listed} == {"unknown"}
    text = reader.run("etp-processes", "--limit", "all")
    assert f"{len(listed)} unknown" in text and "could not be read in full" in text


def test_atoms_that_are_gone(damage):
    index = damage.vm.find_atom("code_server").word >> 6
    with changed(damage, pointer_to_atom(damage, "code_server"), NOWHERE) as reader:
        assert f"1 of {len(reader.vm.atoms):,} atoms".replace(",", "") in reader.run("etp-info")
        assert reader.vm.atoms[index] == f"#UnreadableAtom<{index}>"


def test_code_that_is_gone(core, tmp_path):
    """Names and lines of functions are missing, and loops of OTP are not known by theirs."""
    damage = Damage(core("healthy"), tmp_path)
    modules = {module["address"] for module in damage.vm.modules()}
    lost = 0
    for segment in damage.image.segments:
        if any(segment.address <= start < segment.address + segment.size for start in modules):
            os.pwrite(damage.image.file.fileno(), bytes(8), segment.header + 32)
            lost += 1
    assert lost
    whole = VM.open(str(damage.dump.path), executable=str(damage.dump.executable))
    vm = damage.open()
    told = (
        f"The code of {sum(m['missing'] for m in vm.native.modules())} modules is not in the core"
    )
    commands = (
        *(("etp-stacktrace", "kernel_sup"), ("etp-stackdump", "kernel_sup")),
        *(("etp-process-info", "kernel_sup"), ("etp-state", "kernel_sup"), ("etp-processes",)),
        *(("etp-timers",), ("etp-supervision",), ("etp-bt",), ("etp-schedulers",)),
        *(("etp-bin-leaks",), ("etp-db-connections",), ("etp-modules",)),
    )
    for name, *words in commands:
        assert told not in " ".join(Reader(whole).run(name, *words).split()), name
        reader = Reader(vm, width=200)
        assert " ".join(reader.run(name, *words).split()).count(told) == 1, name
        if name != "etp-stackdump":
            said = [w for w in reader.json(name, *words)["warnings"] if w.startswith(told)]
            assert len(said) == 1, name
    assert any(told in sentence for sentence in Reader(vm).json("etp-hung")["unread"])


def test_functions_of_a_module_that_are_gone(core, tmp_path):
    damage = Damage(core("healthy"), tmp_path)
    # One whose list of functions goes on in a second page, which has nothing of another module.
    module = next(
        m
        for m in damage.vm.modules()
        if mutate.PAGE - m["address"] % mutate.PAGE < m["functions"] * 8 < mutate.PAGE
        and m["size"] > 2 * mutate.PAGE
    )
    damage.lose(module["address"] + mutate.PAGE)
    told = (
        "The functions of 1 module could not be read, and have no names: of"
        f" {module['name']}, its list of functions is not in the core."
    )
    for command in ("etp-processes", "etp-modules"):
        assert told in Reader(damage.open()).json(command)["warnings"], command


def test_stacks_that_are_gone(core, tmp_path):
    """That of a process that waits, and that of the one that took the core."""
    damage = Damage(core("healthy"), tmp_path)
    whole = VM.open(str(damage.dump.path), executable=str(damage.dump.executable))
    running = next(s.process for s in schedulers(whole) if s.process)
    lost = {}
    for address in (running, damage.process("kernel_sup")):
        found = damage.vm.execution(address)
        assert found["stack_unreadable"] == 0
        damage.lose(found["stack_start"] - 8)
        words = (found["stack_start"] - found["stack_top"]) // 8
        gone = min(words, (found["stack_start"] - 8) % mutate.PAGE // 8 + 1)
        lost[address] = f"{gone:,} words at the bottom of its stack could not be read"
    pid = str(whole.process(running).pid)
    commands = {
        ("etp-stacktrace", "kernel_sup"): lost[damage.process("kernel_sup")],
        ("etp-state", "kernel_sup"): lost[damage.process("kernel_sup")],
        ("etp-stacktrace", pid): lost[running],
        ("etp-bt", pid): lost[running],
    }
    vm = damage.open()
    for words, told in commands.items():
        assert "bottom of its stack" not in Reader(whole).run(*words), words
        text = " ".join(Reader(vm, width=200).run(*words).split())
        assert text.count(told) == 1, words
        assert "It is in no code" not in text


def test_handlers_of_logger_that_cannot_be_told(damage):
    """Their initial call stands in the dictionary; that they are there, in the links of logger_sup."""
    process = damage.process("logger_std_h_default")
    dictionary = damage.word(process + damage.member("Process", "dictionary"))
    slots = dictionary + damage.member("ProcDict", "data")
    told = "it could not be read whether it is one"
    assert told not in Reader(damage.open()).run("etp-hung")
    said = []
    for slot in range(slots, slots + 8 * 16, 8):
        if damage.word(slot) & 3 == 2:
            with changed(damage, slot, NOWHERE | 2) as reader:
                found = reader.json("etp-hung")
            is_there = any("2 logger processes" in checked for checked in found["checked"])
            assert is_there != any(told in sentence for sentence in found["unread"])
            said.append(not is_there)
    assert any(said)
    links = damage.process("logger_sup") + damage.member("Process", "links")
    with changed(damage, links, NOWHERE) as reader:
        unread = " ".join(reader.json("etp-hung")["unread"])
        assert "not all children of logger_sup could be read" in unread


def places_of_thread_types(damage):
    """Addresses of the ErtsMsAcc of threads, in which these stand, with their types."""
    to_tid, to_id = (damage.member("ErtsMsAcc", name) for name in ("tid", "id"))
    found = {}
    for thread, (kind, number) in damage.vm.thread_types()[0].items():
        wanted = thread.to_bytes(8, "little")
        for segment in damage.image.segments:
            data = damage.image.at(segment.offset, segment.size)
            at = data.find(wanted)
            while at >= 0:
                address = segment.address + at - to_tid
                if damage.word(address + to_id) == number << 4 | 0xF:
                    found[address] = kind
                at = data.find(wanted, at + 1)
    return found


def test_threads_whose_names_are_gone(core, tmp_path):
    damage = Damage(core("healthy"), tmp_path)
    places = places_of_thread_types(damage)
    to_next, to_tid = (damage.member("ErtsMsAcc", name) for name in ("next", "tid"))
    behind = {address: damage.word(address + to_next) for address in places}
    told = "lists of its threads could not be read in full"
    assert told not in Reader(damage.open()).run("etp-bt")
    # The list ends early: the thread behind is no scheduler.
    last = next(address for address, other in behind.items() if places.get(other) == "async")
    with changed(damage, last + to_next, NOWHERE) as reader:
        assert "async thread 0" not in reader.run("etp-bt")
        assert told in reader.text
        assert any(told in warning for warning in reader.json("etp-bt")["warnings"])
    # The list of dirty schedulers is not seen at all, from its head on.
    head = next(a for a in places if a not in behind.values() and places[a] == "poll")
    with changed(damage, head + to_tid, NOWHERE) as reader:
        assert not reader.vm.native.thread_types()[1]
        assert "poll thread 0" not in reader.run("etp-bt")
        assert told in reader.text
