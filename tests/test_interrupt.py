# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C at gdb's prompt: long work stops at once and shows what it has so far, and says so."""

import os
import pty
import select
import subprocess
import time

import pytest

import cores

PLUGIN = cores.ROOT / "plugin" / "etp-gdb.py"

#: A scan of any core takes long when each look at the callback does. Other threads go on meanwhile,
#: and may have done all that there is before the second look.
SLOW = """
import contextlib, time
import etp.progress
quick = etp.progress.progress
@contextlib.contextmanager
def slow(*arguments, **options):
    with quick(*arguments, **options) as step:
        def wait(*numbers):
            time.sleep(2)
            return step(*numbers)
        yield wait
etp.progress.progress = slow
"""


class Gdb:
    """A gdb at a terminal of its own."""

    def __init__(self, core: cores.Core, script: str):
        self.terminal, theirs = pty.openpty()
        command = ["gdb", "-nx", "-q", "-iex", "set pagination off"]
        command += ["-x", str(PLUGIN), "-x", script, str(core.executable), str(core.path)]
        environment = {**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8"}
        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
            start_new_session=True,
            preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),
        )
        os.close(theirs)
        self.text = ""

    def type(self, keys: str) -> None:
        self.text = ""
        os.write(self.terminal, keys.encode())

    def wait_for(self, words: str) -> None:
        """How long that takes is the machine's; none that works is as slow as this."""
        deadline = time.monotonic() + 300
        while words not in self.text:
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self.terminal], [], [], left)[0], self.text
            self.text += os.read(self.terminal, 65536).decode("utf-8", "replace")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.terminal)


@pytest.mark.parametrize("command", ["etp-ets-leaks", "etp-bins"])
def test_ctrl_c_shows_what_there_is(core, tmp_path, command):
    script = tmp_path / "slow.py"
    script.write_text(SLOW)
    gdb = Gdb(core("ets_kinds"), str(script))
    try:
        gdb.wait_for("(gdb) ")
        gdb.type(command + "\n")
        gdb.wait_for("Looking")
        time.sleep(0.5)
        gdb.type("\x03")
        gdb.wait_for("(gdb) ")
        assert "nterrupted" in gdb.text, gdb.text
        assert "Traceback" not in gdb.text and "mistake in etp" not in gdb.text, gdb.text
        # And gdb goes on.
        gdb.type("etp-info\n")
        gdb.wait_for("Erlang/OTP 25")
    finally:
        gdb.close()
