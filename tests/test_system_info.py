# SPDX-License-Identifier: Apache-2.0
"""etp-system-info says what erlang:system_info/1 said, and no cookie."""

import pytest
from etp import system_info
from etp.vm import VM

from reader import Reader

COOKIE = "this_cookie_is_secret"
FLAGS = ("+S", "4:3", "+SDcpu", "2:1", "-setcookie", COOKIE)


@pytest.fixture(scope="module", params=["stripped", "emu"])
def some_online(request, core):
    dump = core("healthy", flavor=request.param, flags=FLAGS)
    return dump, VM.open(str(dump.path), executable=str(dump.executable))


def test_it_says_what_the_vm_said(some_online):
    dump, vm = some_online
    said = dump.truth.system
    found = system_info.system_info(vm)
    for name in (
        "otp_release", "erts_version", "emu_flavor", "emu_type", "wordsize", "kernel_poll", "node", "schedulers",
        "schedulers_online", "dirty_cpu_schedulers", "dirty_cpu_schedulers_online", "dirty_io_schedulers",
        "process_limit", "port_limit", "atom_limit", "ets_limit", "dist_buf_busy_limit", "backtrace_depth",
    ):  # fmt: skip
        assert getattr(found, name) == said[name], name
    assert (found.schedulers_online, found.dirty_cpu_schedulers_online) == (3, 1)
    assert found.processes == said["process_count"]
    assert found.ports == said["port_count"]
    assert found.atoms == said["atom_count"]
    assert found.ets_tables == said["ets_count"]
    assert found.arch == said["system_architecture"]
    # The VM says 0 where it has none but one that it does not use.
    assert said["thread_pool_size"] <= found.async_threads <= max(said["thread_pool_size"], 1)
    assert found.is_alive is False and not found.is_halting and not found.is_writing_crash_dump
    assert abs(found.allocated - said["memory"]["total"]) < 0.5 * said["memory"]["total"]
    assert found.carriers > found.allocated


def test_the_command_line_has_no_cookie(some_online):
    dump, vm = some_online
    found = system_info.system_info(vm)
    said = dump.truth.system["emu_args"]
    assert COOKIE in said
    assert found.command_line == ["<redacted>" if word == COOKIE else word for word in said]
    reader = Reader(vm)
    for out in (reader.run("etp-system-info"), reader.run("etp-system-info", "--json")):
        assert COOKIE not in out and "-setcookie" in out
    reader.settings.set("redact", True)
    out = reader.run("etp-system-info")
    assert str(dump.directory) not in out and "-run ... ..." in out


def test_values_of_the_cookie_flag():
    words = ["beam.smp", "-setcookie", "a", "-name", "b", "-setcookie", "node", "cookie", "c", None]
    assert system_info.without_secrets(words) == [
        "beam.smp", "-setcookie", "<redacted>", "-name", "b",
        "-setcookie", "<redacted>", "<redacted>", "c", "<unreadable>",
    ]  # fmt: skip
