# SPDX-License-Identifier: Apache-2.0
"""Collections of OTP's and Elixir's modules, told by their form, in processes and in rows of plain and compressed
tables; and that a compressed table gives the same answers as the same rows without compression."""

import pytest

import cores
import etp
from etp import accumulators, paths, processes
from reader import Reader

TEXT = {"syntax": "p", "width": 0}


@pytest.fixture(scope="module")
def dump(core):
    return core("collections", elixir="yes")


@pytest.fixture(scope="module")
def vm(dump: cores.Core) -> etp.VM:
    return etp.open(core=str(dump.path), executable=str(dump.executable))


@pytest.fixture(scope="module")
def native(vm):
    items = []
    sums = vm.native.accumulators(items.append, 1000, 1 << 20)
    assert sums["complete"] and not sums["truncated"] and not sums["unreadable"]
    return items


def large(expect):
    return {name: said for name, said in expect.items() if said["kind"] != "none"}


def test_in_a_process(dump, vm, native):
    """What each is, and its size as queue:len/1, sets:size/1, gb_trees:size/1 ... said."""
    holder = vm.find_process("coll_holder").address
    found = {}
    for item in native:
        if item["holder"] == holder:
            path = paths.Path.of(item["path"])
            assert path.root == "dictionary" and item["collections"] == 1
            (step,) = path.steps
            found[str(step.key)] = (item["kind"], item["count"])
    expect = dump.truth.workload["expect"]
    assert "map_set" in expect
    # Neither what looks like a collection and is none, nor the parts of one.
    assert found == {name: (said["kind"], said["size"]) for name, said in large(expect).items()}


@pytest.mark.parametrize("name", ["coll_plain", "coll_compressed"])
def test_in_rows(dump, vm, native, name):
    """A row is a flat copy: the words of all are those that erts_debug:flat_size/1 told."""
    table = vm.ets_table(name)
    keys = {row.address: str(row.key) for row in table.rows()}
    expect = {}
    for key, said in large(dump.truth.workload["expect"]).items():
        # An array in which nothing is set takes less words than were asked for elements.
        if said["flat_words"] >= 1000:
            expect.setdefault(said["kind"], {})[key] = (said["size"], said["flat_words"])
    found = {}
    for item in native:
        if item["holder"] != table.address:
            continue
        steps = [step[:2] for step in item["path"]["steps"]]
        if steps == [("element", 0), ("element", 1)]:
            # The list in a key, which is not compressed.
            assert (item["kind"], item["count"], item["words"]) == ("list", 2000, 4000)
            continue
        assert steps == [("element", 1)] and item["kind"] not in found
        of_kind = expect[item["kind"]]
        assert item["collections"] == len(of_kind)
        assert (
            item["largest"] == of_kind[keys[item["row"]]][0] == max(n for n, _ in of_kind.values())
        )
        sums = (item["count"], item["words"])
        found[item["kind"]] = sums
        assert sums == tuple(map(sum, zip(*of_kind.values()))), item["kind"]
    assert found.keys() == expect.keys()


def shapes(vm, name):
    found = vm.native.histogram(table=vm.ets_table(name).address)
    assert found["complete"] and not found["truncated"] and not found["unreadable"]
    return {
        (s["kind"], s["arity"], str(s["tag"]), tuple(str(key) for key in s["keys"] or ())): (
            s["count"],
            s["words"],
            s["elements"],
        )
        for s in found["shapes"]
    }


def test_histogram_of_rows(dump, vm):
    plain = shapes(vm, "coll_plain")
    assert plain == shapes(vm, "coll_compressed")
    expect = dump.truth.workload["expect"].values()
    collections = {"queue", "set", "dict", "gb_tree", "gb_set", "array", "orddict", "map_set"}
    for kind in collections:
        said = [s for s in expect if s["kind"] == kind]
        found = [numbers for shape, numbers in plain.items() if shape[0] == kind]
        assert [(n[0], n[2]) for n in found] == [(len(said), sum(s["size"] for s in said))], kind
    # Every word of every row, but for tuples of keys, which the VM counts for each map.
    words = sum(row.words for row in vm.ets_table("coll_plain").rows())
    maps = sum(n[0] * (s[1] + 1) for s, n in plain.items() if s[0] == "map")
    # A %MapSet{} had one key more before Elixir 1.15.
    map_set = 4 if cores.elixir_minor() < 15 else 3
    assert sum(numbers[1] for numbers in plain.values()) == words - maps - map_set


def test_accumulators_of_both_tables(vm):
    found = accumulators.find(vm, 1000, 1 << 20, TEXT, None)
    by_table = {
        name: {
            (item.path, item.kind, item.count, item.words, item.collections)
            for item in found.items
            if item.where == f"rows of {name}"
        }
        for name in ("coll_plain", "coll_compressed")
    }
    assert len(by_table["coll_plain"]) > 8
    assert by_table["coll_plain"] == by_table["coll_compressed"]


@pytest.mark.parametrize(
    "what, path", [("key", "{1} -> {3}"), ("value", "{2} -> deep -> [1] -> {1}")]
)
def test_paths_in_rows(vm, what, path):
    """Elements of a compressed row are expanded; its key is not, and lies elsewhere."""
    census = vm.native.census()
    found = {}
    for binary in census.binaries():
        if vm.read(binary["data_address"], 12 + len(what)) == b"collections:" + what.encode():
            (holding,) = paths.holdings_of_binary(vm, binary, TEXT)
            assert not holding.truncated and not holding.unreadable
            found[holding.label] = [p.text(TEXT) for p in holding.paths]
    assert found == {"coll_plain": [path], "coll_compressed": [path]}


def test_a_term_in_the_key_of_a_compressed_row(vm):
    row = next(r for r in vm.ets_table("coll_compressed").rows() if r.key.kind == "tuple")
    (holding,) = paths.holdings_of_term(vm, row.key[1].address)
    assert holding.label == "coll_compressed" and holding.row is not None
    assert [p.text(TEXT) for p in holding.paths] == ["{1} -> {2}"]


@pytest.mark.parametrize("command", ["etp-histogram", "etp-accumulators", "etp-who"])
def test_a_search_that_is_bounded_says_so(dump, command):
    reader = Reader(etp.open(core=str(dump.path), executable=str(dump.executable)))
    holder = reader.vm.find_process("coll_holder")
    info = processes.info(reader.vm, holder)
    largest = max((value for _, value in info.dictionary), key=lambda term: term.kind == "map")
    words = [f"{largest.address:#x}"] if command == "etp-who" else []
    whole = reader.run(command, *words)
    assert "max-things" not in whole
    reader.settings.set("max-things", 5)
    text = " ".join(reader.run(command, *words).split())
    assert "set etp max-things" in text
    reader.settings.set("max-things", "unlimited")
    assert reader.run(command, *words) == whole
