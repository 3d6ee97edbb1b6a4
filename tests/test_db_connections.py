# SPDX-License-Identifier: Apache-2.0
"""Pools of DBConnection in the layout of each family of releases, against what the workload put there."""

import shutil
from dataclasses import replace

import pytest

from etp import timers
from etp.commands.registry import find
from etp.diagnosis.db_connections import diagnose
from etp.diagnosis.thresholds import DB_THRESHOLDS
from etp.inspectors import load
from etp.inspectors.db_connection import read
from etp.inspectors.driver_state import cursor_entries
from etp.vm import VM
from mutate import Image
from reader import Reader

FAMILIES = ["1.1", "2.0", "2.4", "2.5", "2.10"]
#: The emulator keeps stacks and registers otherwise than the JIT.
DUMPS = [(family, "stripped") for family in FAMILIES]
DUMPS += [("2.10", "dwarf"), ("1.1", "emu"), ("2.4", "emu"), ("2.10", "emu")]
RELEASES = {
    "1.1": "up to 1.1.3",
    "2.0": "2.0.0 to 2.4.0",
    "2.4": "2.4.1 to 2.4.3",
    "2.5": "2.5.0 to 2.10.0",
    "2.10": "2.10.1 or later",
}
STATUS = {
    "checked_out": "checked out",
    "after_connect": "after connect",
}
#: Of sbroker, in 1.1.
SOJOURN = ("Elixir.MyApp.Sojourn", "Elixir.MyApp.Calm")
HOUR_MS = 3_600_000
START_NS = -576_460_752 * 10**9
"""erlang:monotonic_time() when a VM starts (ERTS_MONOTONIC_TIME_START_EXTERNAL, erl_time.h)."""
#: As each driver calls them: {as declared, fetched from}.
DECLARED = ("params", "first")


def open_vm(dump):
    load()
    return VM.open(str(dump.path), executable=str(dump.executable))


@pytest.fixture(scope="module", params=DUMPS, ids=lambda param: "-".join(param))
def dump(request, core):
    family, flavor = request.param
    return core("db_connections", flavor=flavor, family=family)


@pytest.fixture(scope="module")
def expect(dump):
    return dump.truth.workload["expect"]


@pytest.fixture(scope="module")
def vm(dump):
    return open_vm(dump)


@pytest.fixture(scope="module")
def pools(vm):
    return read(vm)


@pytest.fixture(scope="module")
def verdict(vm, pools):
    return diagnose(pools, vm.applications)


def by_pid(pools):
    return {str(connection.process.pid): connection for connection in pools.connections}


def pair(copy):
    """[as declared, fetched from] of a copy's cursors; of a driver without any, no cursor."""
    if copy is None:
        return None
    kinds = copy.content.cursors.kinds if copy.content.cursors is not None else {}
    declared = sum(count for kind, count in kinds.items() if kind in DECLARED)
    return [declared, sum(kinds.values()) - declared]


def said_cursors(expect):
    return sum(sum(c["live"] or []) for pool in expect["pools"] for c in pool["connections"])


def test_pools(pools, expect):
    found = {str(pool.pid): pool for pool in pools.pools}
    assert sorted(found) == sorted(said["pid"] for said in expect["pools"])
    assert pools.problems == [] and pools.stray_holders == []
    for said in expect["pools"]:
        pool = found[said["pid"]]
        # Pools in a PartitionSupervisor are called as that.
        assert pool.name.removesuffix(".PartitionSupervisor") == said["name"]
        assert pool.problems == []
        assert pool.release == RELEASES[expect["family"]]
        assert len(pool.connections) == len(said["connections"])
        assert pool.modules == [said["module"]]
        assert (pool.kind == "Ownership") == (said["owners"] > 0)
        assert (pool.kind == "Poolboy") == said["name"].endswith("Boy")
        assert (pool.kind == "Sojourn") == (said["name"] in SOJOURN)
        if pool.kind == "Sojourn":
            assert pool.settings == {"timeout": 5000, "max": 1024}
            assert pool.status == ("asking" if said["waiting"] else "bidding")
        if expect["family"] != "1.1":
            assert pool.settings["target"] == 100
            assert pool.settings["interval"] == (2000 if expect["family"] == "2.10" else 1000)


def test_connections(pools, expect):
    """Status, clients, cursors by kind, both live and stale, cached queries: all of it exact."""
    found = by_pid(pools)
    seen = set()
    for pool in expect["pools"]:
        for said in pool["connections"]:
            connection = found.pop(said["pid"])
            assert connection.status == STATUS.get(said["status"], said["status"]), said
            assert pair(connection.live) == said["live"], said
            stale = [copy for copy in connection.older if copy.where == "process"]
            own_is_live = connection.live is not None and connection.live.where == "process"
            if not own_is_live:
                assert pair(stale[0] if stale else None) == said["stale"], said
            client = connection.client
            if said["status"] != "after_connect":
                assert (str(client.pid) if client else None) == said["client"], said
            proxy = connection.proxy
            assert (str(proxy.pid) if proxy else None) == said["proxy"], said
            assert (str(connection.owner) if connection.owner else None) == said["owner"], said
            between = [copy for copy in connection.older if copy.where in ("holder", "proxy")]
            assert pair(between[0] if between else None) == said["between"], said
            assert len(connection.orphans) == said["orphans"], said
            if connection.content is not None:
                queries = connection.content.queries
                assert (queries.count if queries else 0) == said["queries"], said
            seen.add(connection.status)
    assert not found
    assert {"idle", "checked out", "disconnected"} <= seen
    assert pools.cursors == said_cursors(expect) > 0


def test_clients(pools, expect):
    """What clients do: their function, and the query on the stack."""
    found = by_pid(pools)
    for pool in expect["pools"]:
        for said in pool["connections"]:
            client = found[said["pid"]].client
            if said["client"] is None:
                continue
            assert client.query.startswith("SELECT u0.`id`"), said
            assert client.function.function in ("com_stmt_execute", "each_row", "handle_execute")


@pytest.fixture(scope="module")
def now(vm):
    """The VM's monotonic time in the core, in nanoseconds."""
    return START_NS + vm.info.uptime_ns


def is_since(duration_ns, at, now):
    """Something began when, or right after, the VM's clock said ``at``: the process that looked at
    the clock may have been interrupted then.  Some clocks are in milliseconds."""
    return -5 * 10**8 <= duration_ns - (now - int(at)) <= 2 * 10**6


def test_waiting(pools, expect, now):
    """Who waits, and for how long, where the pool keeps that: those of 1.x do not, but for sbroker."""
    found = {str(pool.pid): pool for pool in pools.pools}
    waiting = 0
    for said in expect["pools"]:
        callers = found[said["pid"]].waiting
        assert sorted(str(caller.pid) for caller in callers) == sorted(said["waiting"])
        waiting += len(callers)
        since = dict(zip(said["waiting"], said["waits_since"]))
        for caller in callers:
            name = (caller.function.function, caller.function.arity)
            if expect["family"] == "1.1":
                assert name == ("do_call", 4)
            else:
                assert name == ("checkout_call", 5)
            if expect["family"] == "1.1" and said["name"] not in SOJOURN:
                assert caller.waits_ns is None
            else:
                assert is_since(caller.waits_ns, since[str(caller.pid)], now), said
    assert waiting >= 3


def test_since_when_a_connection_is_out(pools, expect, now):
    """By whom, test_connections has.  A client without a timeout leaves no trace of when it came."""
    found = by_pid(pools)
    unknown = 0
    for pool in expect["pools"]:
        for said in pool["connections"]:
            connection = found[said["pid"]]
            if said["asked"] is None:
                used = connection.status == "after connect"
                assert (connection.out_ns is not None) == used, said
            elif said["timeout"] == "infinity":
                assert connection.out_ns is None and connection.deadline_ms is None
                assert connection.out_unknown == "its client has no timeout"
                unknown += 1
            else:
                assert is_since(connection.out_ns, said["asked"], now), said
                left = connection.deadline_ms * 10**6 + connection.out_ns
                assert left == said["timeout"] * 10**6, said
                assert connection.out_unknown == ""
    assert unknown == 1


def test_since_when_an_owner_has_its_connection(vm, pools, expect, now):
    """Of the test sandbox: who owns it, test_connections has."""
    found = by_pid(pools)
    owned = 0
    for pool in expect["pools"]:
        for said in pool["connections"]:
            connection = found[said["pid"]]
            if said["owned"] is None:
                assert connection.owned_ns is None and connection.owner_left_ms is None
                continue
            owned += 1
            assert is_since(connection.owned_ns, said["owned"], now), said
            left = connection.owner_left_ms * 10**6 + connection.owned_ns
            assert left == said["ownership_timeout"] * 10**6, said
            if said["pid"] == pool["pid"]:
                # It is shown as a pool.
                continue
            text = Reader(vm, width=100).run("etp-db-connections", said["pid"])
            assert f"{said['proxy']}, for its owner {said['owner']}" in text
            assert "owned for" in text
    assert owned == sum(pool["owners"] for pool in expect["pools"])
    assert owned == {"1.1": 4, "2.0": 2, "2.10": 2}.get(expect["family"], 0)


def test_backoffs(pools, expect, now):
    found = by_pid(pools)
    closed = [c for pool in expect["pools"] for c in pool["connections"] if c["closed"]]
    assert len(closed) in (1, 2)
    for connection in pools.connections:
        assert (connection.backoff_ms is not None) == (connection.status == "disconnected")
    for said in closed:
        connection = found[said["pid"]]
        assert is_since((HOUR_MS - connection.backoff_ms) * 10**6, said["closed"], now)
        assert connection.backoff == "rand_exp, 1,000 to 30,000 ms"


def test_deadlines_are_those_of_read_timer(vm, dump, pools, expect, now):
    """What erlang:read_timer/1 said right before the dump, less the time since, to the tick."""

    def ticks(nanoseconds):
        return (int(nanoseconds) - 1) // 10**6 + 1

    left = {str(timer.ref): timer.remaining_ms for timer in timers.take(vm).timers}
    said = dump.truth.by_kind["timer"]
    for line in said:
        bounds = [line["left"] - (ticks(now) - ticks(line[when])) for when in ("before", "after")]
        assert bounds[0] <= left[line["ref"]] <= bounds[1], line
    statem = expect["family"] in ("2.5", "2.10")
    found = [
        c.deadline_ms if c.backoff_ms is None else c.backoff_ms
        for c in pools.connections
        if (c.deadline_ms is not None or c.backoff_ms is not None)
        # Timers of a gen_statem are none that the workload can ask for.
        and not (statem and c.status in ("disconnected", "after connect"))
    ]
    found += [c.owner_left_ms for c in pools.connections if c.owner_left_ms is not None]
    assert sorted(found) == sorted(left[line["ref"]] for line in said)
    assert len(found) >= 3


def test_times(pools, expect):
    idle = 0
    for connection in pools.connections:
        if expect["family"] not in ("1.1", "2.0") and connection.status in ("idle", "checked out"):
            assert 0 <= connection.connected_ns < 60 * 10**9
        if connection.status == "idle" and connection.idle_ns is not None:
            assert 0 <= connection.idle_ns < 60 * 10**9
            idle += 1
        assert (
            connection.idle_ns is not None
            or connection.status != "idle"
            or (expect["family"] == "1.1" and connection.module == "Elixir.Mariaex.Protocol")
        )
    assert idle >= 2


def test_cursor_entries(pools):
    for connection in pools.connections:
        if connection.live is not None and connection.cursors:
            entries = list(cursor_entries(connection.live))
            assert len(entries) == connection.cursors
            assert all(ref.kind == "ref" for ref, _entry in entries)


def test_parts(pools, expect):
    """What states hold beside cursors: as the VM says of their fields."""
    if expect["family"] == "1.1":
        pytest.skip("it has no holders")
    fields = {(line["connection"], line["name"]): line for line in expect["parts"]}
    parts = set()
    buffers = results = 0
    for connection in pools.connections:
        if connection.live is None or connection.live.where != "holder":
            continue
        pid = str(connection.process.pid)
        content = connection.content
        parts |= {(content.struct, name) for name, _, _ in content.parts}
        for name, count, size in content.parts:
            line = fields[pid, name]
            assert (count, size) == (line["count"], line["bytes"]), line
        told = {name for name, _, _ in content.parts} | set(
            content.driver.fields if content.driver else ()
        )
        for (owner, name), line in fields.items():
            assert owner != pid or name in told or line["bytes"] < 64 * 1024, line
        if content.buffer_bytes:
            buffers += 1
            assert content.buffer_bytes == fields[pid, "buffer"]["bytes"]
        if content.result_bytes:
            results += 1
            assert content.result_bytes == sum(fields[pid, n]["bytes"] for n in ("result", "query"))
    live = {str(c.process.pid) for c in pools.connections if c.live and c.live.where == "holder"}
    said = [owner for (owner, name), line in fields.items() if name == "buffer" and line["bytes"]]
    assert buffers == len(live & set(said)) > 0 or expect["family"] in ("2.4", "2.5")
    new = expect["family"] == "2.10"
    assert results == new
    other = {("Elixir.MyApp.Driver", name) for name in ("pending", "log", "jobs")}
    assert parts == (other | {("Elixir.Postgrex.Protocol", "messages")} if new else set())


def test_large_parts_are_suspicious(vm, pools, expect):
    limits = replace(DB_THRESHOLDS, part_bytes=60_000)
    suspects = diagnose(pools, vm.applications, limits).suspects
    large = {suspect.title.split(" of ")[0] for suspect in suspects if suspect.kind == "large_part"}
    new = expect["family"] == "2.10"
    assert large == ({"The field log", "The field jobs"} if new else set())


def test_verdict(verdict, expect):
    """The leak is named with the release that fixes it; the exhausted pool; what is healthy is not."""
    kinds = {suspect.kind: suspect for suspect in verdict.suspects}
    assert verdict.cursors == said_cursors(expect)
    leaks = sorted({pool["leak"] for pool in expect["pools"]} - {""})
    assert verdict.leak == ("sure" if leaks else "")
    if leaks:
        suspect = kinds["cursor_leak"]
        assert f"to {leaks[0]} or later" in suspect.advice[0]
        assert f"MyXQL {expect['releases']['myxql']} leaks" in "".join(
            s.title for s in verdict.suspects
        )
        left = sum(
            sum(c["live"]) for p in expect["pools"] for c in p["connections"]
            if p["leak"] and c["status"] == "idle"
        )  # fmt: skip
        assert sum(s.numbers[0].value for s in verdict.suspects if s.kind == "cursor_leak") == left
        assert "0.4.3" in kinds["orphaned_queries"].advice[0]
        orphans = sum(c["orphans"] for p in expect["pools"] for c in p["connections"])
        assert len(kinds["orphaned_queries"].tables) == orphans == 6
    else:
        assert "orphaned_queries" not in kinds
    assert "MyApp.Busy is exhausted" == kinds["exhausted"].title
    assert "MyApp.Down has no connection" == kinds["down"].title
    assert ("statement_cache" in kinds) == (expect["family"] == "2.10")
    titles = " ".join(suspect.title for suspect in verdict.suspects)
    assert "MyApp.Repo" not in titles and "MyApp.Sandbox" not in titles


def test_the_password_is_in_no_output(vm, expect, pools):
    """In text and JSON, redacted or not, of all pools and of each pool and connection."""
    secret = expect["secret"]
    assert len(secret) > 20
    for redact in (False, True):
        reader = Reader(vm, width=400)
        reader.settings.set("redact", "on" if redact else "off")
        said = reader.run("etp-db-connections", "--limit", "all", "--columns", "all", "--explain")
        said += reader.run("etp-db-connections", "--json")
        said += reader.run("etp-inspect")
        for pool in pools.pools:
            said += reader.run("etp-db-connections", str(pool.pid))
        for connection in pools.connections:
            pid = str(connection.process.pid)
            said += reader.run("etp-db-connections", pid)
            if connection.live is not None:
                said += reader.run("etp-db-connections", pid, "--cursors", "--limit", "all")
        assert secret not in said and "battery-staple" not in said
        assert ("SELECT u0" in said) != redact
        assert "db.example.org" not in said


def test_screen(vm, expect):
    """The first line answers; no line is wider than the screen."""
    text = Reader(vm, width=80).run("etp-db-connections")
    assert text.startswith(f"{said_cursors(expect):,} cursors are held over all ")
    leak = any(pool["leak"] for pool in expect["pools"])
    assert (": a leak" in text.split("\n\n")[0]) == leak
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "MyApp.Busy" in text and "callers wait" in text
    assert "checked out, the longest for " in " ".join(text.split())


def test_json(vm, expect):
    data = Reader(vm).json("etp-db-connections")
    assert data["cursors"] == said_cursors(expect)
    assert data["problems"] == []
    out = [c for pool in data["pools"] for c in pool["connections"] if c["client"]]
    assert sum(c["out_ns"] is None for c in out) == sum(c["out_unknown"] is not None for c in out)
    for pool in data["pools"]:
        assert pool["db_connection"] == expect["releases"]["db_connection"]
        assert pool["layout"] == RELEASES[expect["family"]]


def test_times_on_the_screen(vm, pools):
    """Of one connection that is out, of one without a timeout, and of one that is disconnected."""
    reader = Reader(vm, width=100)
    own = {pool.pid.word for pool in pools.pools}
    for connection in pools.connections:
        if connection.process.pid.word in own:
            # It is shown as a pool.
            continue
        text = reader.run("etp-db-connections", str(connection.process.pid))
        if connection.out_unknown:
            assert "unknown: its client has no timeout" in text
        elif connection.status == "checked out" and connection.out_ns is not None:
            assert ("asked for it " in text) == (connection.holder is not None)
            assert "deadline" in text and " ago" in text
        if connection.backoff_ms is not None:
            assert "30,000 ms, ends in 59 min" in text
    table = Reader(vm, width=400).run("etp-db-connections", "--limit", "all")
    assert "unknown" in table and "59 min" in table


def test_sort_and_limit(vm):
    reader = Reader(vm, width=200)
    text = reader.run("etp-db-connections", "--sort", "cursors", "--limit", "1")
    counts = [c.cursors for c in read(vm).connections]
    assert f"  {max(counts):,}" in text
    assert f"1 of {len(counts)} connections shown" in text


def test_a_state_that_is_not_in_the_core_is_told(core, tmp_path):
    """The rest is shown, and nothing of it is lost without a word."""
    dump = core("db_connections", family="2.5")
    whole = read(open_vm(dump))
    victim = next(c for c in whole.connections if c.status == "idle")
    # Element 4 of the holder's row, now a tuple nowhere.
    address = victim.holder.row().term.address + 8 * 4
    damaged = tmp_path / "core"
    shutil.copy(dump.path, damaged)
    image = Image(damaged)
    segment = next(s for s in image.segments if s.address <= address < s.address + s.size)
    image.file.seek(segment.offset + address - segment.address)
    image.file.write((0x7000_0000_0000 | 2).to_bytes(8, "little"))
    image.file.close()
    vm = VM.open(str(damaged), executable=str(dump.executable))
    pools = read(vm)
    found = by_pid(pools)
    assert len(found) == len(whole.connections)
    mine = found[str(victim.process.pid)]
    assert mine.status == "idle" and mine.live is None
    assert [str(victim.process.pid) in problem for problem in pools.problems] == [True]
    assert pools.cursors == whole.cursors
    assert "was not read whole" in Reader(vm).run("etp-db-connections")


@pytest.fixture(scope="module")
def healthy(core):
    return open_vm(core("db_connections", family="2.10", healthy=1))


def test_a_healthy_pool_is_clean(healthy):
    verdict = diagnose(read(healthy), healthy.applications)
    assert verdict.suspects == [] and verdict.cursors == verdict.in_use == 3
    text = Reader(healthy, width=80).run("etp-db-connections")
    assert "no leak" in text.splitlines()[1]


def test_names_of_pools_complete(vm, expect):
    command = find("etp-db-connections")
    names = command.arguments[0].complete(Reader(vm))
    assert {name.removesuffix(".PartitionSupervisor") for name in names} == {
        pool["name"].removeprefix("Elixir.") for pool in expect["pools"]
    }
    assert "MyApp.Repo" in names
    assert "MyApp.Repo" in Reader(vm).run("etp-db-connections", "MyApp.Repo")


def test_no_pools(core):
    vm = open_vm(core("healthy"))
    assert "no pool" in Reader(vm, width=80).run("etp-db-connections")


@pytest.fixture(scope="module")
def hundred_thousand(core):
    return core("db_connections", family="1.1", cursors=100_000)


def test_many_cursors_are_counted_and_printed(hundred_thousand):
    said = said_cursors(hundred_thousand.truth.workload["expect"])
    assert said > 100_000
    vm = open_vm(hundred_thousand)
    assert diagnose(read(vm), vm.applications).cursors == said
    mine = max(read(vm).connections, key=lambda connection: connection.cursors)
    assert mine.live.term["cursors"].format().count("column") > 100_000
