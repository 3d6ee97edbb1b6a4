# SPDX-License-Identifier: Apache-2.0
"""What ports hold: queues, commands that wait, input that is not a packet yet, data of port_set_data/2."""

import pytest

import cores
import etp

HEADER = 4
"""Bytes of the length before a packet."""


@pytest.fixture(scope="module", params=["stripped", "dwarf", "emu"])
def case(request, core):
    dump: cores.Core = core("ports", flavor=request.param)
    return dump, etp.open(core=str(dump.path), executable=str(dump.executable))


def test_each_binary_is_found_in_its_port(case):
    dump, vm = case
    census = vm.native.census()
    assert census.roots_unreadable == (0, "")
    assert census.binaries(unaccounted=True) == []
    found = {}
    for binary in census.binaries():
        ports = [holder for holder in binary["holders"] if holder[0] == "port"]
        head = vm.read(binary["data_address"], min(binary["size"], 60))
        for start in (0, HEADER):
            if ports and head[start:].startswith(b"holder:"):
                kind = head[start:].split(b":")[1].decode()
                ((_, _, refs, port),) = ports
                found[kind] = (refs, dump.truth.ports[str(port)]["name"])
    assert found.keys() == set(dump.truth.workload["expect"]["kinds"])
    assert {name for kind, (_, name) in found.items() if kind != "data"} == {"tcp_inet"}
    assert found["data"] == (1, "udp_inet")
    assert found["command"][0] == found["input"][0] == 1 and found["queue"][0] >= 1
