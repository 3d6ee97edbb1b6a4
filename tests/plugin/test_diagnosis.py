# SPDX-License-Identifier: Apache-2.0
"""The diagnosis on made-up numbers: what is a suspect, what is not, and in which order."""

import pytest

from etp.diagnosis.ets_leaks import Held, copy_cost, diagnose
from etp.ets import EtsTable, TableScan
from etp.units import MIB
from etp.vm import VM
from fakes import DEAD, OWNER, FakeNative, FakeTerm, Identifier, table_facts

OTHER = FakeTerm(Identifier("<0.77.0>"))
SHELL = FakeTerm(Identifier("<0.78.0>"))


class World:
    """Some tables and what their rows hold."""

    def __init__(self):
        self.native = FakeNative()
        self.native.live[OTHER.word] = {"name": None, "initial_call": ("x", "loop", 0)}
        self.native.live[SHELL.word] = {"name": None, "initial_call": ("shell", "evaluator", 3)}
        self.vm = VM(self.native)
        self.tables = []
        self.scans = {}

    def add(self, name, scan=None, **facts):
        scan = scan or TableScan(rows=10, words=60)
        table = EtsTable.of(self.vm, table_facts(name, len(self.tables) + 1, **facts))
        self.tables.append(table)
        self.scans[table.address] = scan
        return table

    def diagnose(self, **options):
        return diagnose(self.tables, self.scans, **options)

    def kinds(self, **options):
        return [(s.kind, self.name(s.tables[0])) for s in self.diagnose(**options).suspects]

    def name(self, address):
        return next(table.name for table in self.tables if table.address == address)


@pytest.fixture
def world():
    return World()


def pins(binaries=1000, size=32768, visible=100, own=True):
    numbers = TableScan(
        rows=binaries,
        words=binaries * 8,
        binary_refs=binaries,
        binaries=binaries,
        binary_bytes=binaries * size,
        visible_bytes=binaries * visible,
        pinned_rows=binaries,
        sample_pin=0x123,
        sample_pin_bytes=size,
        sample_pin_visible=visible,
    )
    if own:
        numbers.own_binaries = binaries
        numbers.own_bytes = numbers.binary_bytes
        numbers.own_visible_bytes = numbers.visible_bytes
    return numbers


def test_a_healthy_vm_is_clean(world):
    world.add("code", TableScan(rows=400, words=14000))
    world.add("ac_tab", TableScan(rows=12, words=1000))
    # Binaries that rows see whole are no pins, however large.
    world.add("templates", pins(binaries=100, size=1 * MIB // 8, visible=1 * MIB // 8))
    # Cleaning up after dead processes takes a moment.
    world.add("registry", TableScan(rows=500, words=4000, dead_pid_keys=20, live_pid_rows=480))
    world.add("pool", TableScan(rows=1), fixed=True, fix_count=1)
    world.add("big", TableScan(rows=900), memory_words=100_000)
    diagnosis = world.diagnose()
    assert diagnosis.suspects == [] and diagnosis.gaps == []
    assert diagnosis.looked_at.tables == 6
    assert diagnosis.looked_at.rows == 400 + 12 + 100 + 500 + 1 + 900


def test_rows_that_pin(world):
    world.add("sessions", pins())
    (suspect,) = world.diagnose().suspects
    assert suspect.kind == "pins" and suspect.certainty == "measured"
    assert suspect.at_stake_bytes == 1000 * (32768 - 100)
    # What copies cost is not freed.
    assert suspect.freeable_bytes == suspect.at_stake_bytes - copy_cost(100_000, 1000)
    assert suspect.sample == (world.tables[0].address, 0x123)
    assert "97.7 KiB of the 31.2 MiB" in suspect.sentence
    assert any("binary:copy" in advice for advice in suspect.advice)
    assert any("nobody else holds" in line.lower() for line in suspect.derivation)


def test_a_little_waste_is_no_suspect(world):
    world.add("few", pins(binaries=30))
    world.add("mostly_used", pins(binaries=1000, size=32768, visible=20000))
    world.add("other", memory_words=10_000_000 // 2)
    assert "pins" not in {kind for kind, _name in world.kinds()}


def test_many_rows_into_few_binaries_are_counted_once(world):
    scan = pins(binaries=100)
    scan.rows = scan.binary_refs = 100_000
    world.add("shared", scan, memory_words=10)
    (suspect,) = world.diagnose().suspects
    assert suspect.at_stake_bytes == 100 * (32768 - 100)
    assert "100,000 references" in suspect.derivation[0]


def test_pins_that_others_hold_too_come_last(world):
    world.add("held", pins(binaries=5000, own=False))
    world.add("own", pins(binaries=100))
    held = {
        world.tables[0].address: Held(
            others={"<0.9.0> reader": 4000, "<0.8.0>": 900}, unaccounted=100
        )
    }
    diagnosis = world.diagnose(held=held)
    assert [s.kind for s in diagnosis.suspects] == ["pins", "shared_pins"]
    shared = diagnosis.suspects[1]
    assert shared.freeable_bytes == 0
    assert "<0.9.0> reader, <0.8.0> (4,900 references) and something" in shared.sentence
    assert "(100 references of a NIF or driver) hold them too" in shared.sentence
    assert diagnosis.freeable_bytes == diagnosis.suspects[0].freeable_bytes


def test_tables_that_pin_the_same_binaries_can_free_them_together(world):
    first = world.add("first", pins(own=False))
    second = world.add("second", pins(own=False))
    size = 1000 * (32768 - 100)
    held = {
        first.address: Held(tables={"second"}, together_bytes=size, together_once_bytes=size),
        second.address: Held(tables={"first"}, together_bytes=size),
    }
    diagnosis = world.diagnose(held=held)
    assert diagnosis.freeable_bytes == size, "the same bytes are not freed twice"
    assert "table second holds them too" in diagnosis.suspects[0].sentence


def test_holders_that_were_not_all_looked_at(world):
    table = world.add("first", pins(own=False))
    for looked_at in (0, 20_000):
        held = {table.address: Held(tables={"second"}, together_bytes=7, looked_at=looked_at)}
        (suspect,) = world.diagnose(held=held).suspects
        told = "known of the 20,000 binaries with most waste" in suspect.sentence
        assert told == bool(looked_at)


def test_rows_of_dead_processes(world):
    world.add(
        "registry",
        TableScan(rows=2040, words=20400, dead_pid_rows=2000, dead_pid_keys=2000, live_pid_rows=40),
    )
    world.add("calls", TableScan(rows=1000, words=9000, dead_pid_rows=900, live_pid_rows=10))
    world.add("history", TableScan(rows=10000, words=90000, dead_pid_rows=600))
    world.add("aliases", TableScan(rows=1000, words=5000, dead_ref_rows=990))
    assert world.kinds() == [
        ("dead_pids", "registry"),
        ("dead_pids", "calls"),
        ("dead_refs", "aliases"),
    ]
    registry = world.diagnose().suspects[0]
    assert registry.certainty == "estimate"
    assert registry.freeable_bytes == 20400 * 8 * 2000 // 2040
    assert "keyed by pids" in registry.sentence


def test_a_table_that_dominates(world):
    world.add("events", TableScan(rows=500_000), memory_words=10_000_000)
    world.add("other", TableScan(rows=100), memory_words=1_000_000)
    (suspect,) = world.diagnose().suspects
    assert suspect.kind == "dominating" and suspect.freeable_bytes == 0
    assert "91 %" in suspect.sentence and "rows" in suspect.sentence


def test_a_row_that_is_most_of_a_table_is_shown(world):
    scan = TableScan(rows=100, largest_row=0x120, largest_row_words=8_000_000)
    table = world.add("history", scan, memory_words=10_000_000)
    world.add("other", TableScan(rows=100), memory_words=1_000_000)
    (suspect,) = world.diagnose().suspects
    assert "One of its 100 rows has 61.0 MiB." in suspect.sentence
    assert suspect.sample == (table.address, 0x120) and suspect.sample_note == "the largest"
    assert suspect.advice == ["Ask what should have kept this row small."]


def test_one_table_is_judged_against_all(world):
    small = TableScan(rows=2)
    history = world.add("history", small, memory_words=10_000_000)
    other = world.add("other", small, memory_words=1_000_000)
    (suspect,) = world.diagnose(only=history).suspects
    assert suspect.kind == "dominating" and "91 %" in suspect.sentence
    diagnosis = world.diagnose(only=other)
    assert diagnosis.suspects == []
    assert (diagnosis.looked_at.tables, diagnosis.looked_at.rows) == (1, 2)


def test_a_dominating_table_that_pins_is_one_suspect(world):
    world.add("sessions", pins(binaries=5000))
    world.add("other")
    (suspect,) = world.diagnose().suspects
    assert suspect.kind == "pins"
    assert ">99.9 %" in suspect.also[0] or "100 %" in suspect.also[0] or "%" in suspect.also[0]


def test_swarms(world):
    for _ in range(300):
        world.add("request", named=False, memory_words=300)
    for number in range(250):
        world.add(f"shard_{number}", owner=OTHER, memory_words=300)
    for number in range(50):
        world.add(f"pool_{number}", owner=DEAD, memory_words=300, owner_alive=True)
    suspects = world.diagnose().suspects
    swarms = [s for s in suspects if s.kind == "swarm"]
    assert [len(s.tables) for s in swarms] == [300, 250]
    assert "request" in swarms[0].title and "shop_server" in swarms[0].sentence
    assert "<0.77.0>" in swarms[1].title


def test_mnesia_may_own_many_tables(world):
    world.native.live[OWNER.word] = {"name": "mnesia_monitor", "initial_call": None}
    for number in range(400):
        world.add(f"mnesia_{number}")
    assert world.kinds() == []


def test_fixed_tables(world):
    scan = TableScan(rows=20, pseudo_deleted=20_000, pseudo_deleted_words=400_000)
    world.add("walked", scan, fixed=True, fix_count=1, fixed_for_ns=7200 * 10**9,
              fixing=[(OTHER, 1)])  # fmt: skip
    (suspect,) = world.diagnose().suspects
    assert suspect.kind == "fixed" and suspect.freeable_bytes == 400_000 * 8
    assert "for 2 h" in suspect.sentence and "<0.77.0> x:loop/0" in suspect.sentence


@pytest.mark.parametrize("age, suspected", [(10, False), (3600, True), (None, False)])
def test_age_makes_a_fixation_suspicious_earlier(world, age, suspected):
    """An unknown age is not old."""
    scan = TableScan(rows=20, pseudo_deleted=150, pseudo_deleted_words=3000)
    fixed_for_ns = -1 if age is None else age * 10**9
    world.add("walked", scan, fixed=True, fix_count=1, fixed_for_ns=fixed_for_ns)
    assert world.kinds() == [("fixed", "walked")] * suspected


def test_owners(world):
    world.add("orphan", owner=DEAD, owner_alive=False)
    world.add("going", owner=DEAD, owner_alive=False, is_deleting=True)
    world.add("by_hand", owner=SHELL, memory_words=3_000_000)
    world.add("other", owner=OWNER, memory_words=3_000_000)
    world.add("left", TableScan(rows=500), heir=OWNER)
    world.add("heir_waits", TableScan(rows=500), heir=OTHER)
    kinds = world.kinds()
    assert ("dead_owner", "orphan") in kinds
    assert ("shell_owner", "by_hand") in kinds
    assert ("inherited", "left") in kinds
    assert len(kinds) == 3


def started_by_spawn(pid):
    return {
        "address": 1,
        "pid": pid,
        "name": None,
        "initial_call": ("erlang", "apply", 2),
        "initial_call_source": "spawn",
    }


def test_unsupervised_owners(world):
    world.native.process = started_by_spawn
    world.add("small", owner=OTHER, memory_words=100)
    world.add("scratch", owner=SHELL, memory_words=100_000, named=False)
    assert world.kinds() == [("stray_owner", "scratch")]


def test_tables_being_deleted_are_remarks_not_suspects(world):
    world.add("going", TableScan(rows=500_000, unreadable=3), is_deleting=True,
              memory_words=9_000_000)  # fmt: skip
    world.add("other")
    diagnosis = world.diagnose()
    assert diagnosis.suspects == [] and diagnosis.gaps == []
    assert "1 table (68.7 MiB) had been deleted" in diagnosis.remarks[0]


def test_what_could_not_be_read_is_counted(world):
    world.add("torn", TableScan(rows=5, unreadable=7))
    world.add("worse", TableScan(rows=5, unreadable=9), problem="its bucket array is not saved")
    gaps = world.diagnose().gaps
    assert gaps[0].startswith("16 rows or chains of rows of 2 tables")
    assert "most in worse: 9" in gaps[0]
    assert "bucket array" in gaps[1]


def test_gaps_of_all_tables_that_a_suspect_is_about_are_told(world):
    world.native.process = started_by_spawn
    first = world.add("first", owner=SHELL, memory_words=100_000)
    world.add("torn", TableScan(rows=5, unreadable=7), owner=SHELL, memory_words=100_000)
    world.add("elsewhere", TableScan(rows=5, unreadable=9))
    diagnosis = world.diagnose(only=first)
    assert len(diagnosis.suspects[0].tables) == 2 and diagnosis.looked_at.tables == 1
    (gap,) = diagnosis.gaps
    assert gap.startswith("7 rows or chains of rows of 1 table")


def test_names_of_the_core_are_made_safe(world):
    world.add("evil\x1b[2J", pins())
    assert "\x1b" not in world.diagnose().suspects[0].title
