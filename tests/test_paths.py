# SPDX-License-Identifier: Apache-2.0
"""Who holds a binary and by which path, and which collections grow: against workloads that put
each thing where they say."""

import pytest

import cores
import etp
from etp import accumulators, paths
from marker import marker
from reader import Reader

FLAVORS = ["stripped", "dwarf", "emu"]
TEXT = {"syntax": "p", "width": 0}


def open_vm(core: cores.Core) -> etp.VM:
    return etp.open(core=str(core.path), executable=str(core.executable))


@pytest.fixture(scope="module", params=FLAVORS)
def held(request, core):
    """{kind: holdings} of the binaries of the workload `holders`, by what they contain."""
    dump = core("holders", flavor=request.param)
    vm = open_vm(dump)
    census = vm.native.census()
    sizes = dump.truth.workload["expect"]["sizes"]
    found = {}
    for binary in census.binaries():
        head = vm.read(binary["data_address"], min(binary["size"], 60))
        kind = marker(vm, binary)
        if kind is None and binary["size"] == sizes["input_buffer"]:
            kind = "input_buffer"
        elif kind is None and head == b"." * len(head):
            # What the pipe took is gone: the driver keeps the rest, without its beginning.
            kind = "port_queue"
        if kind is None:
            continue
        assert kind not in found
        found[kind] = list(paths.holdings_of_binary(vm, binary, TEXT, 5))
    return found


@pytest.mark.parametrize(
    "kind, holder, path",
    [
        ("dictionary", "holds_in_dictionary", "dictionary -> kept"),
        ("mailbox_on_heap", "holds_on_heap", "message 1 -> {2}"),
        ("mailbox_off_heap", "holds_off_heap", "message 1 -> {2}"),
        ("in_transit_on_heap", "holds_in_transit", "message in transit 1 -> {2}"),
        ("in_transit_off_heap", "holds_in_transit_off", "message in transit 1 -> {2}"),
        ("fun_environment", "holds_in_fun", "dictionary -> kept -> fun(0)"),
        (
            "nested_map",
            "holds_in_map",
            "dictionary -> kept -> cache -> [1] -> 17 -> body -> {1}",
        ),
        ("ets_row", "holders_rows", "{2} -> [0]"),
        ("persistent_term", "persistent term {holders,key}", "body"),
        ("nif", "holds_with_nif", "dictionary -> kept"),
        ("send_after", "timer for", "{2}"),
        ("start_timer", "timer for", "{3} -> [0]"),
    ],
)
def test_path(held, kind, holder, path):
    (holding,) = held[kind]
    assert holder in holding.label
    assert [p.text(TEXT) for p in holding.paths] == [path]


@pytest.mark.parametrize(
    "kind, path",
    [
        ("port_queue", "output queue"),
        ("socket_queue", "output queue"),
        ("socket_queue_end", "output queue"),
        ("port_command", "waiting command"),
        ("port_data", "port data -> {2} -> [0]"),
        ("input_buffer", "input buffer"),
    ],
)
def test_path_in_port(core, held, kind, path):
    (holding,) = held[kind]
    port = core("holders").truth.workload["expect"]["ports"][kind]
    assert holding.label == f"port {port}"
    assert [p.text(TEXT) for p in holding.paths] == [path]


@pytest.mark.parametrize(
    "kind, holder",
    [
        ("match_spec", "match specification"),
        ("module_literal", "literals of holders"),
    ],
)
def test_holder_without_a_path(held, kind, holder):
    (holding,) = held[kind]
    assert holder in holding.label
    assert holding.paths == ()


def test_received_message_is_on_the_stack_or_in_a_register(held):
    (holding,) = held["received"]
    (path,) = holding.paths
    assert path.root in ("stack", "register")


def test_holders_are_sorted_and_limited(core):
    """A payload that a process and rows of a table hold."""
    vm = open_vm(core("ets_pins"))
    table = vm.ets_table("pins_process").address
    shared = [
        binary
        for binary in vm.census().binaries()
        if binary.holder_count > 1 and table in [holder.address for holder in binary.holders]
    ]
    address = f"{shared[0].address:#x}"
    reader = Reader(vm)
    for order in ("path", "refs"):
        found = reader.json("etp-who", address, "--sort", order)["holders"]
        assert {holder["kind"] for holder in found} == {"ets", "process"}
        assert len(found) == shared[0].holder_count
    refs = [holder["refs"] for holder in found]
    assert refs == sorted(refs, reverse=True)
    assert len(reader.json("etp-who", address, "--limit", "1")["holders"]) == 1
    text = reader.run("etp-who", address, "--limit", "1")
    assert f"{shared[0].holder_count - 1} more holder not shown" in text
    reader.settings.set("stats", True)
    assert "terms/s." in reader.run("etp-who", address)


def test_term_is_found_where_it_lies(core):
    """The path to a term leads to the very word that was asked for."""
    vm = open_vm(core("holders"))
    table = vm.ets_table("holders_rows")
    (row,) = table.rows()
    inner = row.term[1]
    (holding,) = paths.holdings_of_term(vm, inner.address)
    assert holding.kind == "ets" and holding.row is not None
    assert holding.paths[0].text(TEXT) == "{2}"
    assert holding.paths[0].target == inner


@pytest.mark.parametrize("flavor", FLAVORS)
def test_accumulators(core, flavor):
    dump = core("accumulators", flavor=flavor)
    expect = dump.truth.workload["expect"]
    vm = open_vm(dump)
    found = accumulators.find(vm, 1000, 1 << 20, TEXT, None)
    assert found.complete and not found.unreadable and not found.truncated
    by_path = {(item.where, item.path): item for item in found.items}

    for n in range(1, expect["connections"] + 1):
        cursors = by_path[(f"acc_connection_{n}", "dictionary -> state -> mod_state -> cursors")]
        assert (cursors.kind, cursors.collections) == ("map", 1)
        assert cursors.count == cursors.largest == expect["cursors"]
    waiting = by_path[("acc_broker", "dictionary -> waiting")]
    assert (waiting.kind, waiting.count) == ("list", expect["waiting"])
    # A cell and a tuple of two for each.
    assert waiting.words == expect["waiting"] * 5
    events = by_path[("rows of acc_events", "{2}")]
    assert (events.kind, events.count, events.collections) == ("list", expect["events"], 1)
    log = by_path[("acc_log", "dictionary -> log -> {2}")]
    assert (log.kind, log.count) == ("binary", expect["log_bytes"])
    assert log.binary_bytes == expect["log_bytes"]
    # However many there are in one process, all count.
    rooms = by_path[("acc_chat", "dictionary -> rooms -> * -> history")]
    assert (rooms.kind, rooms.holders, rooms.binary_bytes) == ("list", 1, 0)
    assert sums(rooms) == expect["rooms"]
    # And what many rows have in common counts once.
    users = by_path[("rows of acc_inbox", "{2}")]
    assert (users.kind, users.holders) == ("list", 1)
    assert sums(users) == expect["users"]
    assert users.binary_bytes == expect["picture_bytes"]
    picture = by_path[("rows of acc_inbox", "{2} -> [*]")]
    assert (picture.kind, picture.collections) == ("binary", 2)
    assert picture.binary_bytes == picture.largest == expect["picture_bytes"]
    cache = by_path[("acc_cache", "dictionary")]
    assert (cache.kind, cache.collections, cache.count) == ("dictionary", 1, expect["cached"])
    # A pair, the tuple {key, I}, and {value, I, [I]}.
    assert cache.words >= expect["cached"] * (3 + 3 + 4 + 2)
    routes = by_path[("persistent term {acc,routes}", "all")]
    assert (routes.kind, routes.count, routes.words) == (
        "map",
        expect["routes"]["elements"],
        expect["routes"]["words"],
    )
    assert (found.mailboxes, found.messages) == (1, expect["messages"])
    assert found.small_rows > 0


def test_one_binary_at_very_many_paths(core):
    """It counts once for each path, however many there are."""
    dump = core("accumulators")
    expect, vm = dump.truth.workload["expect"], open_vm(dump)
    table, by_path = vm.ets_table("acc_columns").address, {}

    def found(item):
        if item["holder"] == table:
            ((_, element, *_),) = item["path"]["steps"]
            assert element not in by_path and item["kind"] == "binary"
            by_path[element] = (item["collections"], item["binary_bytes"])

    vm.native.accumulators(found, 1 << 20, expect["stamp_bytes"])
    # The first has the key.
    assert by_path.keys() == set(range(1, expect["columns"]))
    assert set(by_path.values()) == {(1, expect["stamp_bytes"])}


def sums(item):
    return {"collections": item.collections, "elements": item.count, "words": item.words}


def test_what_was_looked_at_is_told(core):
    """Also when there is nothing to list."""
    reader = Reader(open_vm(core("accumulators")))
    messages = core("accumulators").truth.workload["expect"]["messages"]
    text = " ".join(reader.run("etp-accumulators", "--limit", "2").split())
    assert f"1 process has {messages:,} messages, see etp-messages" in text
    processes = len(reader.vm.native.processes())
    assert f"Looked at {processes:,} processes, " in text and "more are too small)" in text
    text = reader.run("etp-accumulators", "--min-elements", "1000000", "--min-bytes", "8388608")
    assert "No collection of 1,000,000 elements or more" in text
    assert "No off-heap binary of 8.0 MiB" in text.replace("and no", "No")


def test_histogram_of_one_table(core):
    dump = core("accumulators")
    vm = open_vm(dump)
    expect = dump.truth.workload["expect"]
    found = vm.native.histogram(table=vm.ets_table("acc_events").address)
    shapes = {(shape["kind"], shape["arity"]): shape for shape in found["shapes"]}
    assert shapes.keys() == {("tuple", 2), ("list", 0)}
    # Two rows, and the cells of both lists.
    assert sum(s["count"] for s in found["shapes"] if s["kind"] == "tuple") == 2
    assert shapes[("list", 0)]["count"] == expect["events"] + 10


@pytest.mark.parametrize("flavor", FLAVORS)
def test_histogram_counts_each_live_word(core, flavor):
    """Words by shape add up to what the census marks, but for tuples of keys, which maps share."""
    vm = open_vm(core("accumulators", flavor=flavor))
    census = vm.native.census()
    for process in census.processes:
        shapes = vm.native.histogram(process=process["address"])["shapes"]
        words = sum(shape["words"] for shape in shapes)
        maps = sum(s["count"] * (s["arity"] + 1) for s in shapes if s["kind"] in ("map", "struct"))
        # So are sets since OTP 28; a tuple of keys has at most 32.
        maps += sum(s["count"] * 33 for s in shapes if s["kind"] == "set")
        assert words <= process["live_words"] <= words + maps
