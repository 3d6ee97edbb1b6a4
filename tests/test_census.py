# SPDX-License-Identifier: Apache-2.0
"""Who holds which binary, and what a garbage collection would free, against what the VM said itself."""

import ctypes
import itertools
import operator
import os
import struct
from collections import Counter
from typing import Any, Dict, List

import pytest

import _etp
import cores
import etp
import rabbitmq
from damage import Damage
from marker import marker
from etp.commands.bins import COMMAND
from etp.commands.line import parse
from etp.render import Screen, render
from etp.vm import VM
from native import open_vm
from reader import Reader

WORKLOADS = ["healthy", "terms", "ets_kinds", "ets_pins", "demo"]
FLAVORS = ["stripped", "dwarf", "emu"]


@pytest.fixture(scope="module", params=[(w, f) for w in WORKLOADS for f in FLAVORS], ids="-".join)
def case(request, core):
    workload, flavor = request.param
    dump = core(workload, flavor=flavor)
    return dump, open_vm(dump)


def by_pid(census: "_etp.Census") -> Dict[str, Dict[str, Any]]:
    return {str(process["pid"]): process for process in census.processes}


def entries(binaries) -> Counter:
    """address, size and reference count, once for each reference."""
    return Counter(tuple(int(number) for number in entry) for entry in binaries)


def check_lists(dump: cores.Core, vm: "_etp.VM") -> int:
    census = by_pid(vm.census())
    compared = 0
    for pid, said in dump.truth.processes.items():
        found = census[pid]
        assert found["unreadable"] == 0, (pid, found["problem"])
        if said["volatile"]:
            continue
        expected = entries(said["binary"])
        assert entries(vm.process_binaries(found["address"])) == expected, (
            pid,
            said["registered_name"],
        )
        assert found["binary_refs"] == sum(expected.values())
        assert found["binary_bytes"] == sum(
            size * count for (_, size, _), count in expected.items()
        )
        compared += sum(expected.values())
    return compared


def test_binaries_of_every_process(case):
    """process_info(P, binary)."""
    dump, vm = case
    compared = check_lists(dump, vm)
    if dump.truth.workload["name"] in ("terms", "ets_pins"):
        assert compared > 5


def test_every_reference_is_found(case):
    dump, vm = case
    census = vm.census()
    assert census.complete
    assert census.literals_problem == ""
    assert census.roots_unreadable == (0, "")
    assert census.binaries(unaccounted=True) == []
    binaries = census.binaries()
    assert sum(binary["refs"] for binary in binaries) == sum(binary["refc"] for binary in binaries)
    assert len(binaries) == census.binary_count()


def test_numbers_agree(case):
    """What the parts of a census say of the same thing."""
    _, vm = case
    census = vm.census()
    scan = vm.scan_ets()
    assert census.tables.keys() == scan.tables.keys()
    for address, numbers in census.tables.items():
        assert numbers["binary_refs"] == scan.tables[address]["binary_refs"]
    sizes = [binary["size"] for binary in scan.binaries()]
    assert census.ets_binaries() == (scan.binary_count(), scan.binary_bytes())
    assert census.ets_binaries() == (len(sizes), sum(sizes)), "each binary once"
    for process in census.processes:
        areas = ("young", "old", "fragment", "message", "transit", "aside")
        assert process["live_words"] <= sum(process[f"{area}_words"] for area in areas)
        assert process["visible_bytes"] <= process["distinct_bytes"]
        assert process["released_refs"] <= process["binary_refs"]


@pytest.fixture(scope="module", params=FLAVORS)
def holders(request, core):
    dump = core("holders", flavor=request.param)
    return dump, open_vm(dump)


PROCESSES = {
    "dictionary": "holds_in_dictionary",
    "received": "holds_received",
    "mailbox_on_heap": "holds_on_heap",
    "mailbox_off_heap": "holds_off_heap",
    "in_transit_on_heap": "holds_in_transit",
    "in_transit_off_heap": "holds_in_transit_off",
    "alias_message": "holds_for_alias",
    "fun_environment": "holds_in_fun",
    "nested_map": "holds_in_map",
    "nif": "holds_with_nif",
}


def test_holders(holders):
    """Each kind of holder is found, and nobody else holds its binary."""
    dump, vm = holders
    names = {said["pid"]: name for name, said in named_processes(dump).items()}
    tables = {table["address"]: table["name"] for table in vm.ets_tables()}
    pids = {address: str(pid) for address, pid in vm.processes()}
    found = {}
    for binary in vm.census().binaries():
        kind = marker(vm, binary)
        if kind is None:
            continue
        assert binary["holder_count"] == 1 and binary["refs"] == 1, kind
        holder, address, refs, term = binary["holders"][0]
        assert refs == 1
        label = {"process": lambda: names[pids[address]], "ets": lambda: tables[address]}.get(
            holder, lambda: str(term)
        )()
        found[kind] = (holder, label)
    target = dump.truth.process("holds_timers")["pid"]
    expected = {kind: ("process", name) for kind, name in PROCESSES.items()}
    expected["ets_row"] = ("ets", "holders_rows")
    expected["persistent_term"] = ("persistent_term", "{holders,key}")
    expected["module_literal"] = ("module", "holders")
    for kind in ("match_spec", "row_match_spec", "term_match_spec"):
        expected[kind] = ("magic", "None")
    expected["send_after"] = ("timer", target)
    expected["start_timer"] = ("timer", "holds_timers")
    expect = dump.truth.workload["expect"]
    for kind in ("socket_queue", "socket_queue_end", "port_command", "port_data"):
        expected[kind] = ("port", expect["ports"][kind])
    assert found == expected
    assert {*found, "port_queue", "input_buffer"} == set(expect["kinds"])


def named_processes(dump: cores.Core) -> Dict[str, Any]:
    return {p["registered_name"]: p for p in dump.truth.processes.values() if p["registered_name"]}


def test_ports(holders):
    """What does not fit into the pipe waits in the port; the driver copied it to a binary of its own."""
    dump, vm = holders
    expect = dump.truth.workload["expect"]
    ports = {str(r["term"]): r for r in vm.census().roots if r["kind"] == "port"}
    held = Counter(expect["ports"].values())
    assert {port: root["binary_refs"] for port, root in ports.items()} == held
    binaries = [b for b in vm.census().binaries() if b["holders"][0][0] == "port"]
    assert [b["refc"] for b in binaries] == [1] * 6
    (rest,) = [b for b in binaries if set(vm.read(b["data_address"], 200)) == {ord(".")}]
    assert str(rest["holders"][0][3]) == expect["ports"]["port_queue"]
    assert rest["visible_bytes"] == dump.truth.ports[expect["ports"]["port_queue"]]["queue_size"]
    (input,) = [b for b in binaries if b["size"] == expect["sizes"]["input_buffer"]]
    assert str(input["holders"][0][3]) == expect["ports"]["input_buffer"]


def test_a_reference_of_a_nif_is_unaccounted(holders):
    dump, vm = holders
    census = vm.census()
    assert census.roots_unreadable == (0, "")
    unaccounted = census.binaries(unaccounted=True)
    assert Counter(marker(vm, binary) for binary in unaccounted) == {"nif": 1, None: 3}
    assert {binary["refc"] - binary["refs"] for binary in unaccounted} == {1}


def test_resources_have_names(holders):
    """Binaries whose bytes are a NIF's: one that a process refers to by a magic reference as well, one in a row."""
    dump, vm = holders
    census = vm.census()
    assert [p["problem"] for p in census.processes if p["unreadable"]] == []
    assert [t["problem"] for t in census.tables.values() if t["unreadable"]] == []
    found = {}
    for binary in census.binaries():
        if binary["flags"] & 1:
            kind, module, name = vm.magic_binary(binary["address"])
            assert (kind, str(module), str(name)) == ("resource", "holders", "buffer")
            by = tuple(sorted((holder, refs) for holder, _, refs, _ in binary["holders"]))
            found[by] = (binary["refc"], binary["size"] - binary["visible_bytes"])
    assert found == {
        (("process", 2),): (3, 0),
        (("ets", 1),): (2, 0),
        # A row has the magic reference.
        (("ets", 1), ("process", 1)): (3, 0),
    }


def test_lists_of_holders(holders):
    assert check_lists(*holders) > 5


@pytest.fixture(scope="module", params=FLAVORS)
def leaks(request, core):
    dump = core("bin_leaks", flavor=request.param, method="gcore", recon=str(rabbitmq.recon()))
    return dump, open_vm(dump)


def test_bin_leaks_as_recon_says(leaks):
    """recon:bin_leak/1 collected every process right after the core was taken."""
    dump, vm = leaks
    processes = by_pid(vm.census())
    writer = dump.truth.workload["writer"]
    said = {line["pid"]: line for line in dump.truth.by_kind["bin_leak"] if line["pid"] != writer}
    assert said.keys() == processes.keys() - {writer}
    found = {
        pid: p["added_refs"] - p["released_refs"] for pid, p in processes.items() if pid != writer
    }
    assert found == {pid: line["delta"] for pid, line in said.items()}
    deltas = found.values()
    assert min(deltas) <= -60 and max(deltas) >= 5
    # Since OTP 27 binaries that were appended to are on the list before and after.
    assert sum(delta < 0 for delta in deltas) >= 10 and sum(delta > 0 for delta in deltas) >= 2


def test_binaries_that_a_collection_frees(leaks):
    """Those to which the VM had all of their references in lists before, and none after."""
    dump, vm = leaks
    writer = dump.truth.workload["writer"]
    processes = by_pid(vm.census())
    released, sizes, refcs = Counter(), {}, {}
    for line in dump.truth.by_kind["bin_leak"]:
        before = Counter()
        for address, size, refc in vm.process_binaries(processes[line["pid"]]["address"]):
            before[address] += 1
            sizes[address], refcs[address] = size, refc
        if line["pid"] != writer:
            released += before - Counter(int(address) for address, _, _ in line["after"])
    freed = {address for address, refs in released.items() if refs >= refcs[address]}
    shared = dump.truth.workload["expect"]["shared_bytes"]
    assert [released[a] for a in freed if sizes[a] == shared] == [10]
    # What the writer of the truth held is not known of after.
    own = Counter(a for a, _, _ in vm.process_binaries(processes[writer]["address"]))
    totals = vm.census().totals
    said = processes[writer]["released_refs"]
    assert totals["released_refs"] == sum(released.values()) + said
    assert len(released) <= totals["released_binaries"] <= len(released) + said
    assert len(freed) <= totals["freed_binaries"] <= len(freed) + said
    size = sum(sizes[a] for a in freed)
    assert size <= totals["freed_bytes"] <= size + sum(sizes[a] * n for a, n in own.items())
    text = " ".join(
        Reader(etp.open(core=str(dump.path), executable=str(dump.executable)))
        .run("etp-bin-leaks")
        .split()
    )
    assert f"and free {totals['freed_binaries']:,} of these" in text


def test_order_of_bin_leaks(leaks):
    """As recon has it, what loses most comes first; what is equal stays in the order of the VM."""
    dump, vm = leaks
    census = vm.census()
    said = {line["pid"]: line["delta"] for line in dump.truth.by_kind["bin_leak"]}
    said.pop(dump.truth.workload["writer"], None)
    count, numbers = census.ranked_processes("delta", True, False, 0)
    found = [census.process(number) for number in numbers]
    assert count == len(found) == len(census.changing_processes)
    pids = [str(p["pid"]) for p in found]
    assert [said[pid] for pid in pids if pid in said] == sorted(
        said[pid] for pid in pids if pid in said
    )
    assert {pid for pid, delta in said.items() if delta} <= set(pids)
    largest = {
        "released": "released_refs",
        "released-bytes": "released_bytes",
        "added": "added_refs",
        "added-bytes": "added_bytes",
        "refs": "binary_refs",
        "refs-bytes": "binary_bytes",
    }
    for order, key in largest.items():
        processes = census.processes
        expected = sorted(range(len(processes)), key=lambda number: -processes[number][key])
        assert census.ranked_processes(order, False, False, 0) == (len(expected), expected)
        assert census.ranked_processes(order, False, True, 3)[1] == expected[::-1][:3]
    assert [census.process(number) for number in range(len(processes))] == processes
    with pytest.raises(ValueError):
        census.ranked_processes("pid", True, False, 0)
    for number in (-1, len(processes)):
        with pytest.raises(IndexError):
            census.process(number)


@pytest.mark.parametrize("sort", ["size", "waste", "visible", "refc", "refs", "address"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("unaccounted", [False, True])
def test_order_of_binaries_goes_on_behind_any(leaks, sort, reverse, unaccounted):
    """However many are asked for at a time, all of them come, in the same order."""
    _, vm = leaks
    census = vm.census()
    whole = [b["address"] for b in census.binaries(sort, -1, unaccounted, reverse)]
    assert unaccounted or len(whole) > 300
    found, last = [], 0
    while part := census.binary_addresses(sort, 71, unaccounted, reverse, last):
        found += part
        last = part[-1]
    assert found == whole
    with pytest.raises(_etp.Error):
        census.binary_addresses(after=1)


@pytest.mark.parametrize("redact", [False, True])
@pytest.mark.parametrize(
    "width, columns", [(None, None), (70, None), (120, "holders,refs,preview")]
)
def test_what_the_binding_writes_of_binaries_is_what_python_would(
    holders, monkeypatch, redact, width, columns
):
    """A table of them is the same as one of rows in Python: with resources, many holders, and all
    kinds of them."""
    dump, _ = holders
    vm = VM.open(str(dump.path), executable=str(dump.executable))
    monkeypatch.setattr("etp.views.PAGE", 10)
    texts = []
    for make_rows in (lambda rows: rows, list):
        context = Reader(vm)
        context.settings.set("redact", "on" if redact else "off")
        view = COMMAND.run(context, parse(COMMAND, ["--limit", "all", "--sort", "refs"]))
        view.rows = make_rows(view.rows)
        text = []
        view.arrange(columns=columns)
        render(view, Screen(text.append, width=width))
        texts.append("".join(text))
    assert texts[0] == texts[1]
    assert len(texts[0].splitlines()) > len(view.rows) > 30
    assert redact or columns or width or "NIF resource buffer" in texts[0]


def test_wrong_pages_of_binaries_are_refused(holders):
    found = holders[1].census()
    with pytest.raises(KeyError):
        found.binary_page([1], str, str)
    with pytest.raises(TypeError):
        found.binary_page(["1"], str, str)
    (address,) = found.binary_addresses("size", 1)
    with pytest.raises(TypeError):
        found.binary_page([address], None, None)


def test_binaries_by_parts(leaks, monkeypatch):
    dump, _ = leaks
    vm = VM.open(str(dump.path), executable=str(dump.executable))
    found = vm.census()
    monkeypatch.setattr("etp.census.ORDERED", 100)
    expected = [binary.address for binary in found.binaries("waste")]
    between = found.addresses_between(len(expected), "waste")
    for size in (7, 100, 300):
        parts = (between(i, i + size) for i in range(0, len(expected) + size, size))
        assert [address for part in parts for address in part] == expected
    assert between(250, 260) == expected[250:260]
    assert between(90, 110) == expected[90:110]
    between = found.addresses_between(150, "waste")
    assert between(0, 120) + between(120, 300) == expected[:150]


def test_bytes_of_bin_leaks(leaks):
    """The bytes that recon does not tell, from the list before and after."""
    dump, vm = leaks
    writer = dump.truth.workload["writer"]
    processes = by_pid(vm.census())
    for line in dump.truth.by_kind["bin_leak"]:
        if line["pid"] == writer:
            continue
        found = processes[line["pid"]]
        # Reference counts fall meanwhile; addresses and sizes stay.
        before = Counter((a, s) for a, s, _ in vm.process_binaries(found["address"]))
        after = Counter((int(a), int(s)) for a, s, _ in line["after"])
        assert size_of(before) + found["added_bytes"] - found["released_bytes"] == size_of(
            after
        ), line["name"]
        # A binary that is released once and added once is on both lists.
        assert sum((before - after).values()) <= found["released_refs"], line["name"]
        assert sum((after - before).values()) <= found["added_refs"], line["name"]


def size_of(counted: Counter) -> int:
    return sum(size * count for (_, size), count in counted.items())


def test_lists_before_the_leaks(leaks):
    assert check_lists(*leaks) > 200
    assert leaks[1].census().binaries(unaccounted=True) == []


class DamagedHeaps(Damage):
    def heap(self, process: int) -> range:
        """Addresses of the words of its young heap."""
        start, end = (self.word(process + self.member("Process", m)) for m in ("heap", "htop"))
        return range(start, end, 8)

    def proc_bins(self, process: int) -> List[int]:
        """The binaries of its off-heap chain."""
        found, thing = [], self.word(process + self.member("Process", "off_heap"))
        while thing:
            if self.word(thing) in REFERENCE_HEADERS:
                found.append(thing)
            thing = self.word(thing + self.member("ErlOffHeapHeader", "next"))
        return found

    def check(self, damaged: str, *problems: str) -> None:
        """That process is damaged, by one of these problems, and all others are as they were."""
        before = by_pid(self.vm.census())
        after = by_pid(open_vm(self.dump, self.path).census())
        assert after.keys() == before.keys()
        pid = self.dump.truth.process(damaged)["pid"]
        assert after[pid]["unreadable"] > 0
        assert after[pid]["problem"] in problems
        pids = ("pid",)
        for other in before.keys() - {pid}:
            for key in before[other].keys() - set(pids):
                assert after[other][key] == before[other][key], (other, key)


# Of a ProcBin, and since OTP 27 of a BinRef.
REFERENCE_HEADERS = (5 << 6 | 8 << 2, 2 << 6 | 10 << 2)


@pytest.fixture
def damage(core, tmp_path):
    return DamagedHeaps(core("bin_leaks", method="gcore", recon=str(rabbitmq.recon())), tmp_path)


def test_a_header_with_an_absurd_arity(damage):
    process = damage.process("leaks_live")
    # A tuple of 2^50 elements where a live binary was, which no longer ends its chain.
    damage.write(damage.proc_bins(process)[-1], 1 << 56)
    damage.check(
        "leaks_live",
        "a thing on the heap makes no sense",
        # Since OTP 27 it is only ever referred to by sub-bits.
        "sub-bits whose original cannot be read",
    )


def test_a_pointer_to_nowhere(damage):
    process = damage.process("leaks_live")
    stop = damage.word(process + damage.member("Process", "stop"))
    hend = damage.word(process + damage.member("Process", "hend"))
    terms = [a for a in range(stop, hend, 8) if damage.word(a) & 3 == 1]
    # A word of its own heap that is no header.
    place = next(address for address in damage.heap(process) if damage.word(address) & 3)
    for address in terms:
        damage.write(address, place | 2)
    damage.check("leaks_live", "a pointer into the heap leads to no thing")


def test_an_off_heap_chain_that_loops(damage):
    process = damage.process("leaks_garbage")
    chain = damage.proc_bins(process)
    assert len(chain) == 50
    damage.write(chain[40] + damage.member("ErlOffHeapHeader", "next"), chain[10])
    damage.check("leaks_garbage", "an off-heap chain runs in a circle")


def test_an_off_heap_chain_that_ends_in_the_heap_of_another(damage):
    process = damage.process("leaks_garbage")
    other = damage.heap(damage.process("leaks_map"))
    tuples = [a for a in other if damage.word(a) == 2 << 6]
    chain = damage.proc_bins(process)
    damage.write(chain[10] + damage.member("ErlOffHeapHeader", "next"), (tuples or other)[0])
    damage.check("leaks_garbage", "an off-heap chain leads to something that is none")


def test_messages_that_run_in_a_circle(damage):
    process = damage.process("leaks_queue_off_heap")
    first = damage.word(process + damage.member("Process", "sig_qs_first"))
    second = damage.word(first + damage.member("ErtsMessage", "next"))
    damage.write(second + damage.member("ErtsMessage", "next"), first)
    damage.check("leaks_queue_off_heap", "a signal queue loops")


def test_a_heap_that_ends_before_it_starts(damage):
    process = damage.process("leaks_parts")
    damage.write(process + damage.member("Process", "htop"), damage.heap(process).start - 8)
    before = damage.vm.census()
    damage.check("leaks_parts", "an area of its heap ends before it starts")
    assert before.complete


def test_as_many_unreadable_processes_as_are_wanted(damage):
    names = ("leaks_parts", "leaks_live", "leaks_map")
    for process in map(damage.process, names):
        damage.write(process + damage.member("Process", "htop"), damage.heap(process).start - 8)
    vm = damage.open()
    census = vm.census()
    pids = {damage.dump.truth.process(name)["pid"] for name in names}
    assert census.totals.unreadable == len(names)
    for limit in range(5):
        found = {str(p.pid) for p in census.unreadable_processes(limit)}
        assert len(found) == min(limit, len(names)) and found <= pids
    assert census.gaps[0].startswith("3 processes could not be read whole: <")


def test_listing_processes_can_be_interrupted(leaks):
    """Ctrl-C comes while functions of C call each other, so that nobody but the binding hears it."""
    _, vm = leaks
    census, got = vm.census(), []
    interrupt = map(ctypes.pythonapi.PyErr_SetInterrupt, [0])
    with pytest.raises(KeyboardInterrupt):
        got.extend(itertools.chain(interrupt, map(operator.attrgetter("processes"), [census])))
    assert len(got) == 1


def test_only_holders_whose_addresses_differ_at_the_top(core, tmp_path):
    """No page of a table takes one for the other: the second stands where only a forged core has memory."""
    damage = DamagedHeaps(core("many_processes", processes=3000), tmp_path)
    tab = damage.word(damage.vm.symbol("erts_proc")[0] + damage.member("ErtsPTab", "tab"))
    (first, _), (second, _) = damage.vm.processes()[-2:]
    slot = next(slot for slot in range(tab, tab + (1 << 20), 8) if damage.word(slot) == second)
    twin, size = first | 1 << 60, damage.structs["Process"]["size"]
    offset = damage.image.offset(second)
    header = struct.pack("<IIQQQQQQ", 1, 6, offset, twin, 0, size, size, 8)
    os.pwrite(damage.image.file.fileno(), header, damage.image.spare[0])
    damage.write(slot, twin)
    census = open_vm(damage.dump, damage.path).census()
    only = {b["address"]: b["holders"][0][1] for b in census.binaries() if b["holder_count"] == 1}
    wanted = [address for address, holder in only.items() if holder in (first, twin)]
    page = census.binary_page(wanted, lambda address: f"{only[address]:#x}", None)
    assert page.values("holders") == [f"{only[address]:#x}" for address in wanted]
    assert {only[address] for address in wanted} == {first, twin}


def test_thousands_of_processes(core):
    """ETP_MANY_PROCESSES=100000 for the size that speed is measured with: 10 million terms."""
    count = int(os.environ.get("ETP_MANY_PROCESSES", "3000"))
    dump = core("many_processes", processes=count)
    vm = open_vm(dump)
    assert check_lists(dump, vm) >= count
    census = vm.census()
    assert census.binaries(unaccounted=True) == []
    assert sum(process["terms"] for process in census.processes) >= count * 100


def test_memory(leaks):
    """erlang:memory/0 right after the core was taken; the process that asked has grown a little."""
    from etp.memory import memory

    dump, native = leaks
    vm = VM(native)
    found = memory(vm, vm.census())
    assert found.gaps == []
    said = dump.truth.by_kind["memory"][0]["memory"]
    # Nothing of these moves in between.
    for name in ("ets", "atom", "atom_used", "code"):
        assert found.row(name).bytes == said[name], name
    # The process that asks reads the file that says when, and grows.
    assert abs(found.row("binary").bytes - said["binary"]) < 4096
    for name in ("total", "processes", "processes_used"):
        assert abs(found.row(name).bytes - said[name]) < 100000, name
    # What is not of processes grows by that file's name and port, at most.
    assert abs(found.row("system").bytes - said["system"]) < 8192
    for row in found.rows:
        whole = [part for part in row.parts if not part.name.startswith("of the above")]
        assert not whole or sum(part.bytes for part in whole) == row.bytes, row.name
    system = {part.name: part.bytes for part in found.row("system").parts}
    assert 0 < system["what nothing here explains"] < found.row("system").bytes
    literals = {part.name: part for part in found.row("literals").parts}
    assert int(literals["persistent terms"].note) == dump.truth.system["persistent_term"]["count"]
    assert found.row("binary").parts[0].name == "held by process"


def test_blocks_of_heaps(leaks):
    """What is in use, free and stack of the heaps of a process is process_info(P, total_heap_size)."""
    dump, native = leaks
    census = VM(native).census()
    compared = 0
    for process in census.processes:
        said = dump.truth.processes.get(str(process.pid))
        # Who writes the truth goes on meanwhile.
        if said is None or said["status"] == "running" or process.running:
            continue
        # Heap fragments count there, too.
        if process.fragment_words or process.messages:
            continue
        words = process.young_words + process.old_words + process.stack_words + process.free_words
        assert words == said["total_heap_size"], process.pid
        assert process.stack_words == said["stack_size"], process.pid
        compared += 1
    assert compared >= 20
    totals = census.totals
    for name in ("stack_words", "free_words"):
        assert getattr(totals, name) == sum(getattr(p, name) for p in census.processes)
    assert totals.message_words == sum(p.message_words + p.transit_words for p in census.processes)


def test_allocated_areas(leaks):
    """The sizes of the VM's tables that erlang:memory/0 adds up."""
    dump, vm = leaks
    found = vm.memory()["areas"]
    said = dump.truth.by_kind["memory"][0]["areas"]
    assert [found["atom_space"], found["atom_space_used"]] == said["atom_space"]
    for name in found.keys() - {"atom_space", "atom_space_used", "atoms", "atom_blocks"}:
        # Before OTP 29 funs are not counted.
        assert [found[name]] == said.get(name, [0]), name
    # An Atom has five words in OTP 25; to say that the core may be taken makes an atom or two.
    assert 0 <= found["atoms"] // 40 - dump.truth.system["atom_count"] <= 2
    # In blocks of its allocator, which are not smaller than what a tree of free ones needs.
    assert 56 <= found["atom_blocks"] / (found["atoms"] // 40) < 72
    assert vm.memory()["code"] == said["loaded_code"][0]
    assert vm.memory()["process_table"] == said["process_table"][0]


@pytest.mark.parametrize("workload", ["ets_swarm", "many_processes", "elixir_terms", "stacks"])
def test_atoms_and_code_of_other_workloads(core, workload):
    """Many atoms, modules and reloaded code: erlang:memory/0 when the VM had done its work."""
    from etp.memory import memory

    args = {"processes": 3000} if workload == "many_processes" else {}
    dump = core(workload, **args)
    vm = VM(open_vm(dump))
    found = memory(vm, vm.census())
    assert found.gaps == []
    for name in ("atom", "atom_used", "code"):
        assert found.row(name).bytes == dump.truth.system["memory"][name], name
