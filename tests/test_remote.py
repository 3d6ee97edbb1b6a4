# SPDX-License-Identifier: Apache-2.0
"""gdb on a process of another machine: a gdbserver on loopback, and a gdb that cannot see the process."""

import json
import re
import shutil
import subprocess
from contextlib import contextmanager

import pexpect
import pytest
from test_live import AS_OF, ENTRY, ENVIRONMENT, commands, etp, gdb, parts, require_tracing

pytestmark = pytest.mark.skipif(shutil.which("gdbserver") is None, reason="gdbserver is needed")

OURS = ("-iex", "set sysroot /")
"""Libraries are looked for here, and not fetched, which takes its time."""

ELSEWHERE = ["unshare", "--pid", "--fork", "--mount-proc"]
"""In another name space of processes, as on another machine: the number is nobody's there."""


@pytest.fixture(scope="module")
def demo(live):
    return require_tracing(live("demo"))


@contextmanager
def served(vm):
    """The VM, stopped by a gdbserver; its address."""
    server = subprocess.Popen(
        ["gdbserver", "--once", "--attach", "localhost:0", str(vm.pid)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for line in server.stderr:
            if found := re.search(r"Listening on port (\d+)", line):
                yield f"localhost:{found[1]}"
                break
        else:
            pytest.skip("gdbserver may not attach here")
    finally:
        server.kill()
        server.communicate()


def remote_gdb(address, *lines, options=OURS):
    """What each line writes to standard output, and all of standard error."""
    asked = [word for line in lines for word in ("-ex", line, "-ex", "echo ===\\n")]
    result = subprocess.run(
        [*ELSEWHERE, "gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", "-x", str(ENTRY),
         *options, "-ex", f"target remote {address}", "-ex", "echo ---\\n", *asked, "-ex", "detach"],
        capture_output=True, text=True, timeout=1200, stdin=subprocess.DEVNULL, env=ENVIRONMENT,
    )  # fmt: skip
    if "unshare" in result.stderr:
        pytest.skip("name spaces are not allowed here")
    assert "Traceback" not in result.stderr, result.stderr
    return result.stdout.partition("---\n")[2].split("===\n"), result.stderr


def test_all_commands_answer_as_on_a_snapshot_of_the_same_stop(demo, tmp_path):
    lines, path = list(commands(demo)), tmp_path / "vm"
    with served(demo) as address:
        out, _ = remote_gdb(address, *lines, f"etp-snapshot {path}")
    asked = [word for line in lines for word in ("-ex", line, "-ex", "echo ===\\n")]
    on_snapshot, _ = gdb(str(demo.executable), "-c", str(path), "-ex", "echo ---\\n", *asked)
    for line, found, expected in zip(lines, out, parts(on_snapshot)):
        assert expected, line
        assert AS_OF.sub("", found) == expected, line
    assert len(AS_OF.findall("".join(out))) == len(lines) - 1, "all but the help tell their age"
    assert f"Process {demo.pid} is in" in out[len(lines)]
    assert path.stat().st_mode & 0o777 == 0o600
    assert demo.ask() and not demo.is_traced()


def test_tables_processes_and_terms_are_those_of_the_vm(demo):
    with served(demo) as address:
        (tables, processes, rows, info, leaks, _), _ = remote_gdb(
            address,
            "etp-ets-tables --json --limit all",
            "etp-processes --json --limit all",
            "etp-ets-show session_cache --key {user,17}",
            "etp-info --json",
            "etp-ets-leaks",
            options=(),
        )
    assert {t["ref"]: t["memory_words"] for t in json.loads(tables)["tables"]} == {
        reference: table["memory"] for reference, table in demo.truth.tables.items()
    }
    found = {process["pid"]: process for process in json.loads(processes)["processes"]}
    assert set(demo.truth.processes) <= set(found)
    assert "{user,17}" in rows and "session_cache pins binaries" in leaks
    said = json.loads(info)
    assert said["otp_release"] == demo.truth.system["otp_release"] and said["pid"] == demo.pid
    # Without one of ours, gdb has fetched the executable.
    assert said["executable_build_id"] == said["core_build_id"] != ""


def test_what_ran_is_read_anew(demo):
    with served(demo) as address:
        child = pexpect.spawn(
            ELSEWHERE[0],
            [*ELSEWHERE[1:], "gdb", "-nx", "-q", "-iex", "set debuginfod enabled off", "-iex",
             "set pagination off", *OURS, "-x", str(ENTRY), "-ex", f"target remote {address}",
             "-ex", "handle SIGUSR2 nostop noprint pass"],
            encoding="utf-8", timeout=1200, env=ENVIRONMENT,
        )  # fmt: skip
        try:
            child.expect(r"\(gdb\) ")
            times = []
            for before in (None, None, "continue"):
                if before:
                    child.sendline(before)
                    child.expect("Continuing")
                    assert demo.ask()
                    child.sendintr()
                    child.expect(r"\(gdb\) ")
                child.sendline("etp-info --json")
                child.expect(r"\(gdb\) ")
                times.append(int(re.findall(r'"taken_at_ns": (\d+)', child.before)[-1]))
            assert times[0] == times[1] < times[2]
        finally:
            child.close(force=True)
    assert demo.ask() and not demo.is_traced()


def test_without_files_of_the_other_machine_it_says_what_is_missing(demo):
    with served(demo) as address:
        _, error = remote_gdb(
            address, "etp-info", options=(*OURS, "-ex", "set remote hostio-open-packet off")
        )
    assert f"gdb cannot read /proc/{demo.pid}/maps of the other machine" in " ".join(error.split())


@pytest.mark.parametrize(
    "name",
    [
        "/tmp/beam\necho done > first\nshell touch second",
        # Two words for gdb, of which the second is where it writes to.
        "/tmp/\\' written",
        "/tmp/beam.smp\\",
        "/tmp/a'b",
    ],
)
def test_names_of_files_of_the_other_machine_are_only_names(tmp_path, name):
    script = tmp_path / "fetch.py"
    script.write_text(
        "from etp.frontends import gdb_remote\n"
        f"gdb_remote.fetch_executable({'target:' + name!r}, {str(tmp_path / 'to')!r})\n"
    )
    _, said = gdb("-ex", f"cd {tmp_path}", "-ex", "echo ---\\n", "-x", str(script), check=False)
    assert "is not fetched, because of the characters in its name" in said
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path != script]


def test_a_file_of_the_other_machine_replaces_no_other(tmp_path):
    """An executable may be called as what it is put beside."""
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "snapshot").write_text("executable")
    (tmp_path / "snapshot").write_text("snapshot")
    script = tmp_path / "fetch.py"
    script.write_text(
        "from etp.frontends import gdb_remote\n"
        f"path = gdb_remote.fetch_executable('target:{tmp_path}/there/snapshot', {str(tmp_path)!r})\n"
        "print('fetched:', open(path).read())\n"
    )
    said, _ = gdb(
        "-ex", "target extended-remote | gdbserver --multi -", "-ex", "echo ---\\n",
        "-x", str(script), check=False,
    )  # fmt: skip
    assert "fetched: executable" in said
    assert (tmp_path / "snapshot").read_text() == "snapshot"
