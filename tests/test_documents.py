# SPDX-License-Identifier: Apache-2.0
"""The documents at the root say what is so.

As a program, `/usr/bin/python3 tests/test_documents.py` puts the list of commands and settings into README.md.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import matrix
import pytest

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
DOCUMENTS = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"]
COMMANDS = re.compile(
    r"(<!-- begin of python3 -m etp\.docs -->\n)(.*?)(<!-- end of python3 -m etp\.docs -->)", re.S
)
# `path` or `path/`: files and directories of this repository, in backquotes.
PATH = re.compile(r"`((?:src|include|plugin|scripts|tests|corefiles|\.ci)/[\w./-]*)`")
# | `NAME` | value | `file` | what it bounds | and perhaps: what raises it |
LIMIT = re.compile(
    r"^\| `([\w-]+)` \| ([^|]*) \| `((?:src|include|plugin)/\S+)` \|[^|\n]*\|(?:([^|\n]*)\|)?$",
    re.M,
)
# What looks like a bound in the source.
BOUND = re.compile(r"\b(?:MAX_\w+|\w+_MAX(?:_\w+)?|\w+_LIMIT|\w+_DEPTH|max_read|max_total) =(?!=)")
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


def limits() -> list:
    """(name, value, file, what raises it) of the tables of limits."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    section = text[text.index("\n## Limits\n") : text.index("\n## How it is tested\n")]
    return LIMIT.findall(section)


def test_limits_that_the_architecture_lists_are_those_of_the_source():
    rows = limits()
    assert len(rows) > 90
    assert len({(name, path) for name, _, path, _ in rows}) == len(rows)
    for name, value, path, _ in rows:
        if name == name.lower() and "-" in name:
            continue
        pattern = rf"\b{name} = {re.escape(value)}[,;\s]"
        assert re.search(pattern, (ROOT / path).read_text()), f"{path}: {name} = {value}"


def test_limits_of_options_are_their_defaults():
    from etp.commands import registry
    from etp.settings import SETTINGS

    settings = {setting.name: setting.default for setting in SETTINGS}
    options = {}
    for command in registry.COMMANDS:
        for option in command.options():
            options[command.name, option.names[-1]] = option.default
    raised = 0
    for name, value, path, by in limits():
        for text in re.findall(r"`([^`]+)`", by):
            words = text.split()
            if words[:2] == ["set", "etp"]:
                assert words[2] in settings, text
                if words[2] == name:
                    assert settings[name] == eval(value), name
                    raised += 1
            elif words[0].startswith("etp-"):
                assert options[words[0], name] == eval(value), text
                raised += 1
    assert raised >= 8


def test_every_limit_of_the_source_is_listed():
    known = {(name, path) for name, _, path, _ in limits()}
    text = (ROOT / "ARCHITECTURE.md").read_text()
    (formats,) = re.findall(
        r"^Numbers of ERTS's formats, which bound nothing: (.*?)\.$", text, re.M | re.S
    )
    formats = set(re.findall(r"`(\w+)`", formats))
    found = set()
    for pattern in ("src/**/*.[ch]", "include/**/*.h"):
        for path in ROOT.glob(pattern):
            for match in BOUND.finditer(path.read_text()):
                found.add((match[0].rpartition(" ")[0], str(path.relative_to(ROOT))))
    assert {name for name, _ in found} >= formats
    assert {each for each in found - known if each[0] not in formats} == set()


def test_the_table_of_releases_is_of_certain_layouts_and_decoders(tmp_path):
    """CI runs the matrix when they are others."""
    assert matrix.STAMP.search(README.read_text())
    for name in ("src/term/scheme.c", "include/etp/members.def", "plugin/etp/layouts/one.json"):
        before = matrix.digest(tmp_path)
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("1")
        one = matrix.digest(tmp_path)
        (tmp_path / name).write_text("2")
        assert len({before, one, matrix.digest(tmp_path)}) == 3
    (tmp_path / "src/term/notes.txt").write_text("1")
    now = matrix.digest(tmp_path)
    (tmp_path / "src/term/notes.txt").unlink()
    assert matrix.digest(tmp_path) == now != matrix.digest(ROOT)


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
