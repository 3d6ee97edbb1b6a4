# SPDX-License-Identifier: Apache-2.0
"""The binding itself: what a script may do wrong, and how long things live."""

import ctypes
import gc
import itertools
import pickle
import resource
from typing import Any, Iterator

import pytest

import _etp
import cores
from native import LAYOUTS, open_vm


@pytest.fixture(scope="module")
def vm(core) -> "_etp.VM":
    return open_vm(core("ets_kinds"))


def rows(vm: "_etp.VM", compressed: bool) -> Iterator[Any]:
    for table in vm.ets_tables():
        if table["compressed"] == compressed and table["size"] > 0:
            yield from itertools.islice(vm.ets_rows(table["address"]), 20)


def made_by_vm(vm: "_etp.VM") -> Iterator[Any]:
    row = next(rows(vm, True))
    tables = vm.ets_tables()
    yield from (row, row.term, iter(row.term), vm.ets_rows(tables[0]["address"]))
    yield from (vm.messages(vm.processes()[0][1]), vm.scan_ets(tables=[]), vm.census())


def test_only_a_vm_makes_what_belongs_to_it(vm):
    for thing in made_by_vm(vm):
        kind = type(thing)
        for make in (kind, lambda: kind.__new__(kind)):
            with pytest.raises(TypeError, match="only methods of a VM"):
                make()
        with pytest.raises(TypeError):
            object.__new__(kind)
        with pytest.raises(TypeError):
            pickle.dumps(thing)


def test_nothing_works_before_a_vm_is_open(vm):
    closed = _etp.VM.__new__(_etp.VM)
    term = vm.term(0x3B)
    arguments = {
        "read": (0, 1),
        "heap_things": (0, 8),
        "symbol": ("erts_proc",),
        "find_atom": ("ok",),
    }
    arguments.update(location=(1,), fun_location=(term,), port_is_open=(term,))
    arguments.update(paths_in_process=(8, 8), paths_in_literals=(8, 8))
    for name in dir(closed):
        method = getattr(closed, name)
        if name.startswith("_"):
            continue
        for given in ((), (8,), arguments.get(name, ())):
            with pytest.raises((RuntimeError, TypeError)) as raised:
                method(*given)
        if name in arguments:
            assert raised.type is RuntimeError, name


def test_a_vm_that_could_not_be_opened_can_be_opened_again(core):
    dump = core("ets_kinds")
    vm = _etp.VM.__new__(_etp.VM)
    for _ in range(3):
        with pytest.raises(_etp.Error):
            vm.__init__(core="/nowhere/core")
    vm.__init__(core=str(dump.path), layout_directories=LAYOUTS)
    with pytest.raises(RuntimeError):
        vm.__init__(core=str(dump.path))
    assert vm.atom_count() > 1000


def test_directories_that_are_no_list_of_paths(core):
    class Shrinks(list):
        def __iter__(self):
            return iter(self[:1])

    path = str(core("ets_kinds").path)
    for wrong in (5, [5], [None]):
        with pytest.raises(TypeError):
            _etp.VM(core=path, layout_directories=wrong)
    vm = _etp.VM(core=path, layout_directories=Shrinks(LAYOUTS + ["/nowhere"]))
    assert vm.atom_count() > 1000


@pytest.mark.parametrize("compressed", [False, True])
def test_terms_outlive_their_row_iterator_and_vm(core, compressed):
    vm = open_vm(core("ets_kinds"))
    kept = [(row.term, iter(row.term), row.key) for row in rows(vm, compressed)]
    said = [str(term) for term, _, _ in kept]
    del vm
    gc.collect()
    assert [str(term) for term, _, _ in kept] == said
    assert all(len(list(elements)) == len(term) for term, elements, _ in kept)
    assert all(key.vm.atom_count() for _, _, key in kept)


def test_indexes(vm):
    term = next(rows(vm, True)).term
    for index in (len(term), -len(term) - 1, 1 << 62, -(1 << 62), 1 << 70, -(1 << 70)):
        with pytest.raises(IndexError):
            term[index]
    assert str(term[-1]) == str(term[len(term) - 1])
    assert [str(each) for each in term[::-1]] == [str(each) for each in reversed(list(term))]
    for wrong in ("0", None, 1.0):
        with pytest.raises(TypeError):
            term[wrong]


def test_taking_elements_can_be_interrupted(core):
    """Ctrl-C comes while functions of C call each other, so that nobody but the binding hears it."""
    dump = core("accumulators")
    vm, columns = open_vm(dump), dump.truth.workload["expect"]["columns"]
    (table,) = [t["address"] for t in vm.ets_tables() if str(t["name"]) == "acc_columns"]
    elements = iter(next(vm.ets_rows(table)).term)
    got: list = []
    interrupt = map(ctypes.pythonapi.PyErr_SetInterrupt, [0])
    with pytest.raises(KeyboardInterrupt):
        got.extend(itertools.chain(interrupt, elements))
    assert 1 < len(got) < columns
    assert len(got) - 1 + sum(1 for _ in elements) == columns


def test_sizes_and_addresses_that_make_no_sense(vm):
    for address in (0, 1, 1 << 47, (1 << 64) - 1):
        with pytest.raises(_etp.Error):
            vm.read(address, 1 << 40)
        with pytest.raises(_etp.Error):
            vm.ets_rows(address)
        assert vm.off_heap(address)[0] == []
        assert len(vm.heap_things(address, (1 << 64) - 1)[0]) == 0
        for tag in range(64):
            term = vm.term((address | tag) & ((1 << 64) - 1))
            assert str(term) and repr(term) and term.kind and hash(term) == hash(term)
    with pytest.raises(ValueError):
        vm.read(0, -1)
    with pytest.raises(IndexError):
        vm.atom(1 << 63)


@pytest.mark.parametrize("compressed", [False, True])
def test_equal_terms_have_one_hash(vm, compressed):
    table = next(t for t in vm.ets_tables() if t["compressed"] == compressed and t["size"] > 100)
    once = [row.term for row in vm.ets_rows(table["address"])]
    again = [row.term for row in vm.ets_rows(table["address"])]
    for one, other in zip(once, again):
        assert one == other and hash(one) == hash(other)
        assert not one != other
    assert len(set(once)) == len(set(map(str, once))) == len(set(once + again))
    # A table of terms by their hash must not be a list of them all.
    assert len({hash(term) for term in once}) > len(set(once)) * 0.9
    assert once[0] != 5 and once[0] != "text" and once[0] is not None


def test_equal_terms_of_plain_and_compressed_tables(vm):
    """A row of a compressed table stands in words of our own; the same term elsewhere is equal to it."""
    plain = {str(term): term for row in rows(vm, False) for term in row.term}
    both = 0
    for row in rows(vm, True):
        for term in row.term:
            other = plain.get(str(term))
            # Two funs may look alike and have closed over different terms.
            if other is not None and "#Fun" not in str(term):
                both += 1
                assert term == other and other == term and hash(term) == hash(other)
    assert both > 10


def test_terms_of_two_cores_are_never_equal(core, vm):
    other = open_vm(core("ets_kinds"))
    for one, two in zip(rows(vm, False), rows(other, False)):
        assert str(one.term) == str(two.term)
        assert one.term != two.term
        assert two.key not in one.term
        assert one.key in one.term
    theirs = other.processes()[0][1]
    for ask in (vm.process, vm.process_info, vm.messages, vm.port_is_open, vm.fun_location):
        with pytest.raises(ValueError, match="another VM"):
            ask(theirs)


def test_repeated_calls_do_not_grow(vm):
    def ask() -> None:
        for row in itertools.chain(rows(vm, False), rows(vm, True)):
            str(row.term), row.key, row.binaries(), hash(row.term), list(row.term)
            row.term.format(syntax="p"), row.term.value(), row.term.kind
        vm.ets_tables_gaps(), vm.process_list(), vm.info(), vm.modules()
        for address, pid in vm.processes():
            vm.process(pid), vm.process_info(pid), list(vm.messages(pid)), vm.stack(address)
            vm.stacktrace(address), vm.heap_areas(address), vm.process_binaries(address)
        for attempt in (lambda: vm.read(0, 8), lambda: vm.term(0)[0], lambda: vm.process_info(5)):
            with pytest.raises((_etp.Error, TypeError)):
                attempt()

    def size() -> int:
        gc.collect()
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()

    def analyse() -> None:
        scan, census = vm.scan_ets(), vm.census()
        scan.tables, scan.binaries(), census.tables, census.processes, census.literals, census.roots
        for binary in census.binaries(limit=3):
            vm.place_of(binary["address"]), census.binary(binary["address"])
        for address, _ in vm.processes()[:5]:
            vm.paths_in_process(address, address, 3)
        row = next(rows(vm, False))
        row.paths(row.address), vm.accumulators([].append, min_count=10), vm.message_shapes(
            vm.processes()[0][1]
        )
        with pytest.raises(ZeroDivisionError):
            vm.census(progress=lambda done, total, what: 1 / 0)

    for _ in range(3):
        ask(), analyse()
    before = size()
    for _ in range(10):
        ask(), analyse()
    assert size() - before < 2 << 20
