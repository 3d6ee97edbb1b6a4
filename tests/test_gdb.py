# SPDX-License-Identifier: Apache-2.0
"""The commands in a real gdb, in batch and at a terminal."""

import json
import os
import re
import shutil
import subprocess

import cores
import pytest

ENTRY = cores.ROOT / "plugin" / "etp-gdb.py"
CLEAR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\r|\x0f")


def gdb(*commands, core=None, executable=None, check=True, environment=None):
    """(standard output, standard error) of the commands alone in `gdb -batch`."""
    arguments = ["gdb", "-nx", "-batch", "-x", str(ENTRY)]
    if core is not None:
        arguments += [str(executable or core.executable), "-c", str(core.path)]
    arguments += ["-ex", "echo ---\\n"]
    for command in commands:
        arguments += ["-ex", command]
    result = subprocess.run(
        arguments,
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "LC_ALL": "C.UTF-8", **(environment or {})},
    )
    if check:
        assert "Traceback" not in result.stderr, result.stderr
    return result.stdout.partition("---\n")[2], result.stderr


@pytest.fixture(scope="module")
def demo(core):
    return core("demo")


def test_the_leak_is_named_on_the_first_line(demo):
    out, _ = gdb("etp-ets-leaks", core=demo)
    assert re.match(r"1 suspect: \d+\.\d MiB of the .*: session_cache pins binaries\.\n", out), out


def test_leaks_are_as_large_as_the_vm_says(demo):
    out, _ = gdb("etp-ets-leaks --json", core=demo)
    (suspect,) = json.loads(out)["suspects"]
    numbers = {number["label"]: number["value"] for number in suspect["numbers"]}
    truth = demo.truth
    reference = truth.table("session_cache")["table"]
    leak = truth.leaks[reference]
    # Each session has a packet of its own, so the VM's sums over rows are sums over binaries.
    assert numbers["their bytes"] == leak["referenced_bytes"]
    assert numbers["of these, rows can see"] == leak["visible_bytes"]
    assert suspect["at_stake_bytes"] == leak["referenced_bytes"] - leak["visible_bytes"]


def test_tables_are_those_of_the_vm(demo):
    out, _ = gdb("etp-ets-tables --json --limit all", core=demo)
    found = {table["ref"]: table for table in json.loads(out)["tables"]}
    assert set(found) == set(demo.truth.tables)
    for reference, table in demo.truth.tables.items():
        assert found[reference]["name"] == table["name"]
        assert found[reference]["size"] == table["size"]
        assert found[reference]["memory_words"] == table["memory"]
        assert found[reference]["owner_pid"] == table["owner"]


def test_binaries_of_tables_are_those_of_the_vm(demo):
    out, _ = gdb("etp-ets-tables --binaries --json --limit all", core=demo)
    found = {table["ref"]: table for table in json.loads(out)["tables"]}
    for reference, said in demo.truth.tables.items():
        distinct = {address: size for address, size, _ in said["binary"]}
        assert found[reference]["binaries"] == len(distinct)
        assert found[reference]["binary_bytes"] == sum(distinct.values())
        assert found[reference]["binary_refs"] == len(said["binary"])
    leak = demo.truth.leaks[demo.truth.table("session_cache")["table"]]
    sessions = next(table for table in found.values() if table["name"] == "session_cache")
    assert sessions["visible_bytes"] == leak["visible_bytes"]
    # Sorting by a column that only a pass over the rows can fill makes that pass.
    out, _ = gdb("etp-ets-tables --sort unseen --json --limit 1", core=demo)
    assert [table["name"] for table in json.loads(out)["tables"]] == ["session_cache"]


def test_a_row_by_its_key(demo):
    out, _ = gdb("etp-ets-show session_cache --key {user, 17}", core=demo)
    header, row = out.split("\n", 1)
    assert header.startswith("session_cache: set, 1,900 rows")
    assert row.startswith("{{user,17},\n #{") and "last_seen => 1700000017" in row


def test_a_core_without_executable_names_its_own(demo):
    out, _ = gdb(f"core-file {demo.path}", "etp-info")
    assert "Erlang/OTP 25" in out and str(demo.executable) in out


def test_another_core_is_another_vm(demo, core):
    other = core("healthy")
    out, _ = gdb("etp-ets-leaks", f"core-file {other.path}", "etp-ets-leaks", core=demo)
    assert "session_cache pins binaries" in out
    assert "Nothing suspicious." in out.partition("Looked at:")[2]


def test_words_and_expressions(demo):
    # The small integer 12 (tag 1111), as a word and as a sum.
    out, _ = gdb("etp 0xcf", "etp 0xc0 + 0xf", "etp 207", "etp --raw 0xcf", core=demo)
    assert out.split("\n")[:3] == ["12", "12", "12"]
    assert "kind  small" in out


def test_addresses_of_processes_tables_and_binaries(demo):
    tables, _ = gdb("etp-ets-tables --json --limit all", core=demo)
    table = next(t for t in json.loads(tables)["tables"] if t["name"] == "session_cache")
    binaries, _ = gdb("etp-bins --json --limit 1", core=demo)
    (binary,) = json.loads(binaries)["binaries"]
    pid = demo.truth.process("session_cache_server")["pid"]
    addresses = table["address"], binary["address"]
    out, _ = gdb(f"etp {pid}", *(f"etp {address}" for address in addresses), core=demo)
    assert out.startswith(f"{pid}  session_cache_server  ")
    assert f"The ETS table at {table['address']}: session_cache, set" in out
    assert f"The off-heap binary at {binary['address']}: " in out
    _, error = gdb("etp 0x1000", core=demo)
    assert "0x1000 is no term" in error, "the address as it was typed"


@pytest.mark.parametrize(
    "command, said",
    [
        ("etp no_such_symbol", "could not evaluate 'no_such_symbol'"),
        ("etp-ets-show", "etp-ets-show --help"),
        ("etp-ets-show no_such_table", "No table has the name no_such_table"),
        ("etp-ets-show rooms --limit x", "--limit is a number or all"),
        ("etp-ets-tables --sort colour", "see etp-ets-tables --help"),
        ("etp-ets-show rooms --key {a", "is not a term"),
        ("set etp syntax lisp", "lisp"),
        ("set etp nonsense", "show etp"),
    ],
)
def test_mistakes_get_one_clear_error(demo, command, said):
    out, error = gdb(command, core=demo)
    assert out == ""
    assert said in " ".join(error.split())


def test_no_core(tmp_path):
    _, error = gdb("etp-ets-leaks")
    assert "gdb has no core file open" in error and "core-file" in error


def test_a_process_that_is_no_vm():
    sleep = subprocess.Popen(["sleep", "60"], env=cores.ENVIRONMENT)
    try:
        _, error = gdb(f"attach {sleep.pid}", "etp-ets-leaks")
    finally:
        sleep.kill()
        sleep.wait()
    if "ptrace" in error:
        pytest.skip("attaching is not allowed here")
    assert "is not a beam.smp" in error


def test_a_core_of_another_program(tmp_path):
    sleep = subprocess.Popen(["sleep", "60"], env=cores.ENVIRONMENT)
    try:
        made = subprocess.run(
            ["gcore", "-o", str(tmp_path / "core"), str(sleep.pid)], capture_output=True, text=True
        )
    finally:
        sleep.kill()
        sleep.wait()
    path = tmp_path / f"core.{sleep.pid}"
    if not path.exists():
        pytest.skip(f"gcore is not allowed here: {made.stderr}")
    _, error = gdb(f"core-file {path}", "etp-info")
    assert "failed by a mistake" not in error
    assert "Erlang" in error or "beam.smp" in error


def test_settings(demo):
    out, _ = gdb(
        "set etp syntax elixir",
        "show etp syntax",
        "set etp max-length unlimited",
        "show etp max-length",
        "set etp max-depth 3",
        "show etp max-depth",
        "etp-ets-show session_cache --key {:user, 17}",
        core=demo,
    )
    assert out.startswith("syntax: elixir\nmax-length: unlimited\nmax-depth: 3\n")
    assert "%{" in out and "{:user, 17}" in out


def test_redaction(demo):
    commands = ["etp-ets-show session_cache", "etp-ets-leaks", "etp-bins", "etp-info"]
    out, _ = gdb("set etp redact on", *commands, core=demo)
    assert "session_cache pins binaries" in out
    # v2. and the base64 of the demo's tokens, its device reports, its time stamps.
    assert not re.search(r"v2\.|Zm9v|battery|17000000|nonode@nohost", out)


def test_help_is_that_of_the_option(demo):
    helped, _ = gdb("help etp-ets-show")
    asked, _ = gdb("etp-ets-show --help")
    assert helped.strip() == asked.strip()


def test_completion(demo):
    out, _ = gdb(
        "complete etp-ets-show ses",
        "complete etp-ets-tables --so",
        "complete etp-ets-tables --sort me",
        "complete set etp ma",
        core=demo,
    )
    assert out.split("\n")[:3] == [
        "etp-ets-show session_cache",
        "etp-ets-tables --sort",
        "etp-ets-tables --sort memory",
    ]
    assert "set etp max-depth" in out


def test_steps_of_a_path_are_completed(core):
    out, _ = gdb(
        "complete etp-state otp_states_pa",
        "complete etp-state otp_states_paths .mod_st",
        "complete etp-state otp_states_paths .mod_state.state.",
        "etp-state otp_states_paths .mod_state.opts -> port",
        core=core("otp_states"),
    )
    assert out.split("\n")[:4] == [
        "etp-state otp_states_paths",
        "etp-state otp_states_paths .mod_state",
        "etp-state otp_states_paths .mod_state.state.__struct__",
        "etp-state otp_states_paths .mod_state.state.cursors",
    ]
    assert out.endswith("\n1\n")


def test_loading_the_plugin_imports_nothing_heavy():
    out, _ = gdb(
        "python import sys; print([m for m in ('rich', '_etp', 'argparse', 'dataclasses', 'json')"
        " if m in sys.modules])"
    )
    assert out == "[]\n"


def test_a_screen_without_utf8_gets_ascii(demo):
    out, _ = gdb("etp-ets-leaks", core=demo, environment={"LC_ALL": "C"})
    assert out.isascii() and "session_cache pins binaries" in out


class Terminal:
    """gdb at a terminal."""

    def __init__(self, core, lines=24, columns=80, settings=()):
        pexpect = pytest.importorskip("pexpect")
        arguments = ["-nx", "-q", "-x", str(ENTRY), "-ex", "set debuginfod enabled off"]
        for setting in settings:
            arguments += ["-ex", setting]
        environment = {**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
        environment.pop("NO_COLOR", None)
        self.child = pexpect.spawn(
            "gdb", arguments, dimensions=(lines, columns), env=environment, timeout=60,
            encoding="utf-8",
        )  # fmt: skip
        self.prompt()
        self.run("set pagination off")
        self.run("set confirm off")
        self.run(f"core-file {core.path}")
        self.run(f"file {core.executable}")

    def prompt(self):
        self.child.expect(r"\(gdb\) ")
        return self.child.before

    def run(self, command):
        """What the command prints, escapes included."""
        self.child.sendline(command)
        return self.prompt()

    def close(self):
        self.child.close(force=True)


@pytest.fixture
def terminal(demo):
    found = Terminal(demo)
    yield found
    found.close()


def screen_lines(text):
    return CLEAR.sub("", text).split("\n")


def test_the_answer_fits_a_screen_of_24_by_80(terminal):
    lines = screen_lines(terminal.run("etp-ets-leaks"))[1:]
    assert len(lines) <= 23
    assert all(len(line) <= 80 for line in lines)
    assert "session_cache" in lines[0]


def test_the_width_of_gdb_is_respected(terminal):
    terminal.run("set width 60")
    lines = screen_lines(terminal.run("etp-ets-tables"))[1:]
    assert [line for line in lines if len(line) > 60] == []


def test_colors_follow_gdb(terminal):
    assert "\x1b[1m" in terminal.run("etp-ets-leaks")
    terminal.run("set style enabled off")
    assert "\x1b[1m" not in terminal.run("etp-ets-leaks")


def test_gdb_pages(terminal):
    terminal.run("set height 10")
    terminal.run("set pagination on")
    terminal.child.sendline("etp-ets-tables")
    terminal.child.expect("--Type <RET> for more")
    terminal.child.sendline("q")
    assert "Traceback" not in terminal.prompt()
    terminal.run("set pagination off")
    assert "session_cache" in terminal.run("etp-ets-leaks")


def test_ctrl_c_stops_a_listing(terminal):
    terminal.child.sendline("etp-ets-show session_cache --limit all")
    terminal.child.expect("last_seen")
    terminal.child.sendintr()
    assert "Traceback" not in terminal.prompt()
    assert "session_cache" in terminal.run("etp-ets-leaks")


def test_tab_completes_names_of_tables(terminal):
    terminal.child.send("etp-ets-show sess\t")
    terminal.child.expect("session_cache")
    terminal.child.sendcontrol("u")
    terminal.run("")


@pytest.fixture
def home(tmp_path):
    """A home for a user's installation; removed with all that was installed."""
    return {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / ".config")}


@pytest.mark.skipif(os.geteuid() != 0, reason="changes to another user, to leave the system alone")
def test_install_and_uninstall_for_a_user(tmp_path_factory, demo):
    runner = shutil.which("setpriv")
    if runner is None:
        pytest.skip("setpriv (util-linux) is needed to become another user")
    # pytest's own directories are closed to other users.
    home = cores.BUILD / "install-test-home"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    try:
        os.chown(home, 65534, 65534)
        _install_and_uninstall(runner, home, demo)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _install_and_uninstall(runner, home, demo):
    def as_user(*command):
        return subprocess.run(
            [runner, "--reuid=65534", "--regid=65534", "--clear-groups", *command],
            env={"PATH": "/usr/bin:/bin", "HOME": str(home), "LC_ALL": "C.UTF-8",
                 "PYTHONDONTWRITEBYTECODE": "1", "ETP_BUILD_DIR": str(cores.BUILD)},
            capture_output=True,
            text=True,
            cwd="/",
        )  # fmt: skip

    init = home / ".gdbinit"
    init.write_text("set confirm off\n")
    lldb_init = home / ".lldbinit"
    lldb_init.write_text("settings set use-color false\n")
    probe = as_user("test", "-x", str(cores.ROOT / "scripts" / "install"))
    if probe.returncode:
        pytest.skip("the checkout cannot be read by other users")
    for _ in range(2):
        done = as_user(str(cores.ROOT / "scripts" / "install"), "--no-build")
        assert done.returncode == 0, done.stdout + done.stderr
    assert init.read_text().count("# >>> etp") == 1
    shown = as_user("gdb", "-batch", "-ex", "help etp-ets-leaks")
    assert "Diagnose ETS tables" in shown.stdout and shown.stderr == ""
    program = home / ".local" / "bin" / "etp"
    shown = as_user(str(program), "--help")
    assert "etp-ets-leaks" in shown.stdout and shown.stderr == ""
    if shutil.which("lldb"):
        assert lldb_init.read_text().count("# >>> etp") == 1
        assert lldb_init.read_text().startswith("settings set use-color false\n")
        shown = as_user("lldb", "-b", "-o", "help etp-ets-leaks", "-o", "etp-help ets")
        assert "Diagnose ETS tables" in shown.stdout and "etp-ets-show" in shown.stdout
        assert shown.stderr == ""
    done = as_user(str(cores.ROOT / "scripts" / "install"), "--uninstall")
    assert done.returncode == 0
    assert init.read_text() == "set confirm off\n"
    assert lldb_init.read_text() == "settings set use-color false\n"
    assert not list(home.glob(".local/lib/python3*/site-packages/etp*"))
    assert not program.exists()
    assert "Undefined" in as_user("gdb", "-batch", "-ex", "help etp-ets-leaks").stderr

    init.unlink()
    lldb_init.unlink()
    assert as_user(str(cores.ROOT / "scripts" / "install"), "--no-build").returncode == 0
    made = home / ".config" / "gdb" / "gdbinit"
    assert made.exists()
    assert as_user(str(cores.ROOT / "scripts" / "install"), "--uninstall").returncode == 0
    assert (
        not made.exists() and not lldb_init.exists()
    ), "a gdbinit that was made for etp goes with it"
