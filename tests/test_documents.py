# SPDX-License-Identifier: Apache-2.0
"""The documents at the root say what is so.

As a program, `/usr/bin/python3 tests/test_documents.py` puts the list of commands and settings into README.md.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
DOCUMENTS = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"]
COMMANDS = re.compile(
    r"(<!-- begin of python3 -m etp\.docs -->\n)(.*?)(<!-- end of python3 -m etp\.docs -->)", re.S
)
# `path` or `path/`: files and directories of this repository, in backquotes.
PATH = re.compile(r"`((?:src|include|plugin|scripts|tests|corefiles|\.ci)/[\w./-]*)`")
# | `NAME` | value | `file` | ...
LIMIT = re.compile(r"^\| `(\w+)` \| ([^|]*) \| `(src/\S+|include/\S+)` \|", re.M)
LINK = re.compile(r"\]\(([^)#]*)(#[^)]*)?\)")


def command_list() -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "plugin")}
    command = [sys.executable, "-m", "etp.docs"]
    result = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return result.stdout


def anchors(text: str) -> set:
    """The anchors that GitHub makes of headings."""
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    return {"#" + re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_readme_lists_the_commands_and_settings_that_there_are():
    found = COMMANDS.search(README.read_text())
    assert found, "README.md has lost the comments around the list of commands"
    assert found[2] == command_list(), "run: /usr/bin/python3 tests/test_documents.py"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_paths_that_a_document_names_exist(document):
    paths = PATH.findall((ROOT / document).read_text())
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_of_a_document_lead_somewhere(document):
    text = (ROOT / document).read_text()
    for path, anchor in LINK.findall(text):
        if "://" in path:
            continue
        target = ROOT / path if path else ROOT / document
        assert target.exists(), path
        if anchor:
            assert anchor in anchors(target.read_text()), anchor


def test_limits_that_the_architecture_lists_are_those_of_the_source():
    rows = LIMIT.findall((ROOT / "ARCHITECTURE.md").read_text())
    assert len(rows) > 10
    for name, value, path in rows:
        pattern = rf"\b{name} = {re.escape(value)}[,;\s]"
        assert re.search(pattern, (ROOT / path).read_text()), f"{path}: {name} = {value}"


def test_the_script_in_the_readme_runs(core):
    (script,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.S)
    demo = core("demo")
    script = re.sub(r'core="[^"]*"', f"core={str(demo.path)!r}", script)
    script = re.sub(r'executable="[^"]*"', f"executable={str(demo.executable)!r}", script)
    result = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT / "plugin")},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == f"{demo.truth.system['otp_release']} nonode@nohost {len(demo.truth.atoms)}"
    leak = demo.truth.leaks[demo.truth.table("session_cache")["table"]]
    assert lines[-1].split()[1:] == [str(leak["referenced_bytes"]), str(leak["visible_bytes"])]


if __name__ == "__main__":
    text, count = COMMANDS.subn(
        lambda match: match[1] + command_list() + match[3], README.read_text()
    )
    if not count:
        sys.exit("README.md has lost the comments around the list of commands")
    README.write_text(text)
