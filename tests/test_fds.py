# SPDX-License-Identifier: Apache-2.0
"""File descriptors that the VM waits for: what etp says is what check_io said of itself, and /proc of the process."""

import os
import re

import pytest
from reader import Reader

import etp

# print_drv_event_state() of erl_check_io.c: what erts_debug:get_internal_state(check_io_debug) writes.
SAID = re.compile(r"fd=(\d+) .*?(driver|enif)_select (?:cio_)?ev=(\S+)(.*)")


@pytest.fixture(scope="module", params=["stripped", "emu"])
def case(request, core):
    dump = core("fds", flavor=request.param)
    reader = Reader(etp.open(core=str(dump.path), executable=str(dump.executable)))
    return dump, reader, reader.json("etp-fds", "--limit", "all")


def test_as_check_io_says(case):
    dump, _, found = case
    said = {}
    for line in (dump.directory / "log").read_text(errors="replace").splitlines():
        if match := SAID.search(line):
            said[int(match[1])] = match.groups()[1:]
    selected = dump.truth.workload["expect"]["selected"]
    assert found["warnings"] == []
    rows = {row["fd"]: row for row in found["file_descriptors"]}
    assert set(rows) == set(said) and len(said) == selected["drivers"] + selected["nifs"]
    for fd, (who, events, rest) in said.items():
        row = rows[fd]
        assert row["type"] == {"driver": "driver", "enif": "nif"}[who]
        assert row["events"].upper().split(", ") == events.split("|")
        ids = re.findall(r"\b(in|out|err)(?:port|pid)=(#Port<[\d.]+>|<[\d.]+>)", rest)
        assert row["receivers"] == {way.replace("err", "error"): term for way, term in ids}
        if driver := re.search(r"(?:in|out)drv=(\S+)", rest):
            assert row["driver"] == driver[1]
        if resource := re.search(r"resource=0x0*(\w+)\((.*?)\)", rest):
            assert (row["address"], row["driver"]) == ("0x" + resource[1], resource[2])


def test_who_is_told(case):
    dump, _, found = case
    expect = dump.truth.workload["expect"]
    rows = {row["fd"]: row for row in found["file_descriptors"]}
    for said in expect["drivers"]:
        assert rows[said["fd"]]["receivers"] == {"in": said["port"]}
        assert rows[said["fd"]]["who"].endswith(" driver_owner")
    for said in expect["nifs"]:
        assert rows[said["fd"]]["receivers"] == {"in": said["pid"]}
        assert rows[said["fd"]]["who"] == f"{said['pid']} nif_owner"
    # The pipe that is full is the only one that the VM waits to write to.
    assert [r["receivers"]["out"] for r in rows.values() if "out" in r["receivers"]] == [
        expect["full"]
    ]


def test_of_a_core_nothing_else_is_known(case):
    _, reader, found = case
    assert found["no_paths"] and {row["path"] for row in found["file_descriptors"]} == {None}
    assert "a core does not have them" in reader.run("etp-fds")


def _receivers(rows, links, link):
    """Of all that are open to the same pipe: who waits for it."""
    same = [rows[fd] for fd, other in links.items() if other == link]
    assert same
    return [row["receivers"] for row in same if row["receivers"]]


def test_of_a_process_all_are_named(live):
    vm = live("fds")
    expect = vm.truth.workload["expect"]
    reader = Reader(etp.open(pid=vm.pid))
    rows = {r["fd"]: r for r in reader.json("etp-fds", "--limit", "all")["file_descriptors"]}
    said = {said["fd"]: said["link"] for said in expect["links"]}
    # A file that was open only while the VM looked, as of a module that it loaded.
    links = {fd: link for fd, link in said.items() if os.path.lexists(f"/proc/{vm.pid}/fd/{fd}")}
    assert len(said) - 2 <= len(links)
    for fd, link in links.items():
        if link.startswith("socket:"):
            assert link.startswith(rows[fd]["path"][:6]) or re.match(
                "tcp|udp|unix", rows[fd]["path"]
            )
        else:
            assert rows[fd]["path"] == link
    tcp, udp = (rows[said["fd"]]["path"] for said in expect["drivers"])
    assert re.fullmatch(r"tcp listens on 127\.0\.0\.1:\d+", tcp)
    assert udp.startswith("udp 127.0.0.1:")
    # The program's own ends may still be open here while it starts; nobody waits for these.
    for pipe in expect["pipes"]:
        assert _receivers(rows, links, pipe["output"]) == [{"in": pipe["port"]}]
        # Where nothing is to be written, nobody waits for it.
        full = [{"out": pipe["port"]}] if pipe["port"] == expect["full"] else []
        assert _receivers(rows, links, pipe["input"]) == full
    assert any((row["path"] or "").endswith("/fds.beam") for row in rows.values())
    reader.settings.set("redact", True)
    text = reader.run("etp-fds", "--limit", "all", "--columns", "all")
    assert "127.0.0.1" not in text and str(vm.directory) not in text
