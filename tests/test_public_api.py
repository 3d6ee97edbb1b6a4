# SPDX-License-Identifier: Apache-2.0
"""The C library as others get it: public headers that stand alone, and a shared library."""

import re
import subprocess
from collections import Counter, defaultdict

import pytest

import cores

HEADERS = sorted((cores.ROOT / "include" / "etp").glob("*.h"))


@pytest.mark.parametrize("header", HEADERS, ids=lambda path: path.name)
def test_header_stands_alone(header):
    result = subprocess.run(
        ["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c"]
        + ["-I", str(header.parent.parent), str(header)],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr


# What our own Python calls or a test in C does: by the symbols that their objects leave open.
CALLERS = ["tests/c/*.p/*.o", "src/python/*.p/*.o"]


def symbols(*arguments):
    result = subprocess.run(["nm", "-P", *arguments], check=True, capture_output=True, text=True)
    # "NAME TYPE ...", and a line for each file.
    return {line.split()[0] for line in result.stdout.splitlines() if " " in line.strip()}


def test_every_function_of_the_headers_is_called():
    library = str(cores.BUILD / "src" / "libetp.so")
    # Others are of what it may be built with, to count or to check.
    exported = {name for name in symbols("-D", "--defined-only", library) if name[:4] == "etp_"}
    declared = set()
    for header in HEADERS:
        declared |= set(re.findall(r"\b(etp_\w+)\(", header.read_text()))
    assert len(exported) > 200
    assert exported - declared == {"etp_error_no_memory", "etp_error_interrupted"}
    objects = [str(path) for pattern in CALLERS for path in cores.BUILD.glob(pattern)]
    called = symbols("--undefined-only", *objects)
    assert exported - called == set()


def test_every_inline_function_of_the_headers_is_called():
    callers = [*(cores.ROOT / "tests" / "c").glob("*.[ch]"), *(cores.ROOT / "src").rglob("*.c")]
    text = "".join(path.read_text() for path in callers)
    for header in HEADERS:
        for name in re.findall(r"^static inline [^(;]*\b\*?(etp_\w+)\(", header.read_text(), re.M):
            assert f"{name}(" in text, (header.name, name)


def lines_of(program, dump, *arguments):
    """What a program of tests/c prints of a core."""
    layouts = cores.ROOT / "plugin" / "etp" / "layouts"
    result = subprocess.run(
        [str(cores.BUILD / "tests" / "c" / program), str(dump.path), str(dump.executable)]
        + [str(layouts), *arguments],
        env=cores.ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout.splitlines()


def test_program_of_somebody_else(core):
    dump = core("demo")
    lines = lines_of("public_api", dump, "rooms")
    tables = sorted(line[len("table ") :] for line in lines if line.startswith("table "))
    truth = dump.truth
    assert tables == sorted(f"{said['name']} {said['size']}" for said in truth.tables.values())
    first = truth.rows_of[truth.table("rooms")["table"]][0]["w"]
    assert [line for line in lines if line.startswith("row ")] == [f"row {first}"]


def walked(dump):
    """Lines of public_walks by their first word."""
    found = defaultdict(list)
    for line in lines_of("public_walks", dump):
        kind, _, rest = line.partition(" ")
        found[kind].append(rest)
    return found


@pytest.fixture(scope="module")
def node(core):
    """A node with another, and what can be walked of it."""
    dump = core("distributed")
    return dump, walked(dump)


def test_walk_of_processes(node):
    dump, found = node
    processes = dict(line.split(" ", 1) for line in found["process"])
    compared = 0
    for pid, said in dump.truth.processes.items():
        if said["volatile"] or said["initial_call"][0] in cores.BUSY_BY_THEMSELVES:
            continue
        counts = f"monitors {len(said['monitors'])} monitored_by {len(said['monitored_by'])}"
        assert processes[pid] == f"{said['status']} {counts}", said
        compared += 1
    assert compared > 30


def test_walk_of_connections(node):
    """Whoever has a link to a process of the other node, a monitor on one, or is watched by one."""
    dump, found = node
    links = Counter()
    for pid, said in dump.truth.processes.items():
        # Who exits when it has been asked has no links any more.
        if pid != dump.truth.workload["expect"]["dying"]:
            links[pid] = sum(not other.startswith(("<0.", "#Port")) for other in said["links"])
    peer = "etp_peer@127.0.0.1"
    assert Counter(found["link"]) == {f"'{peer}' {pid}": n for pid, n in links.items() if n}
    assert len(found["link"]) > 2
    names = {"monitor": "dist_monitors", "monitored": "dist_monitored"}
    for kind, key in (("monitor", "monitors"), ("monitored", "monitored_by")):
        said = dump.truth.process(names[kind])
        # Whoever is watched by name is told by it.
        ends = [f"'{peer}' {end}" for end in (said["pid"], said["registered_name"])]
        assert sum(line in ends for line in found[kind]) == len(said[key]) > 0, kind


def test_walk_of_what_is_not_decoded(node):
    """Each that the VM was sent has all its bytes; the large ones came in fragments of 64 KB."""
    dump, found = node
    sizes = []
    for line in found["external"]:
        peer, count, size, whole = re.fullmatch(
            r"(\S+) (\d+) fragments (\d+) bytes (all|not all)", line
        ).groups()
        assert (peer, whole) == ("'etp_peer@127.0.0.1'", "all")
        assert int(count) >= int(size) / (64 << 10)
        sizes.append(int(size))
    assert len(sizes) > len(dump.truth.workload["expect"]["messages"])
    assert max(sizes) > 150000


def test_walk_of_persistent_terms(node):
    dump, found = node
    assert len(found["persistent_term"]) == dump.truth.system["persistent_term"]["count"] > 0


def test_walk_of_timers(core):
    dump = core("timers")
    found = Counter(walked(dump)["timer"])
    # One that is due in seconds may be over before the VM has dumped.
    said = Counter(
        f"{line['what']} {line['receiver']} {line['message']}"
        for line in dump.truth.by_kind["timer"]
        if line["left"] > 60_000
    )
    assert said - found == Counter()
    assert sum(said.values()) > 3000


def test_names_of_structs_and_members(node):
    _, found = node
    registry = (cores.ROOT / "include" / "etp" / "members.def").read_text()
    assert found["struct"] == re.findall(r"^ETP_STRUCT\((\w+),", registry, re.M)
    members = re.findall(r"^ETP_MEMBER\((\w+), (\w+),", registry, re.M)
    assert found["member"] == [f"{struct}.{member}" for struct, member in members]
