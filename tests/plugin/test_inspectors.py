# SPDX-License-Identifier: Apache-2.0
"""The seam of inspectors: files of the user, and releases; no core."""

import pytest

from etp import inspectors
from etp.diagnosis.db_connections import is_within
from etp.inspectors.base import queue
from fakes import FakeTerm

GOOD = """
from etp.inspectors import Driver, Inspector, register

@register
class Sessions(Inspector):
    name = "sessions"
    summary = "Sessions of a chat server."
    modules = ("Elixir.Chat.Session",)

    def inspect(self, seen):
        return {"unread": seen.count("unread")}

register(Driver(struct="Elixir.Own.Protocol", application="own", title="Own", cursors="open"))
"""


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(inspectors, "_loaded", {})
    monkeypatch.setenv("XDG_CONFIG_HOME", "/nonexistent")
    inspectors.load()
    before = (dict(inspectors.REGISTERED), dict(inspectors.DRIVERS))
    yield
    for known, was in zip((inspectors.REGISTERED, inspectors.DRIVERS), before):
        known.clear()
        known.update(was)


def test_files_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert inspectors.load() == []
    assert "Elixir.MyXQL.Connection" in inspectors.DRIVERS
    directory = tmp_path / "etp" / "inspectors"
    directory.mkdir(parents=True)
    (directory / "own.py").write_text(GOOD)
    (directory / "readme.txt").write_text("no Python")
    assert inspectors.load() == []
    assert inspectors.DRIVERS["Elixir.Own.Protocol"].cursors == "open"


def test_a_directory_that_was_set(tmp_path):
    (tmp_path / "own.py").write_text(GOOD)
    assert inspectors.load(str(tmp_path)) == []
    assert "Elixir.Own.Protocol" in inspectors.DRIVERS
    missing = inspectors.load(str(tmp_path / "missing"))
    assert len(missing) == 1 and "There is no directory" in missing[0]


@pytest.mark.parametrize(
    "text,said",
    [
        ("def broken(:\n", "SyntaxError"),
        ("import math\n\nmath.sqrt('x')\n", "line 3"),
        ("from etp.inspectors import register\nregister(7)\n", "no Inspector"),
        ("raise SystemExit(3)\n", "SystemExit"),
    ],
)
def test_mistakes_are_told_without_a_traceback(tmp_path, text, said):
    path = tmp_path / "own.py"
    path.write_text(text)
    problems = inspectors.load(str(tmp_path))
    assert len(problems) == 1 and said in problems[0] and str(path) in problems[0]
    assert "Traceback" not in problems[0]
    path.write_text("")
    path.touch()
    assert inspectors.load(str(tmp_path)) == []


def test_nothing_is_loaded_from_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "inspectors").mkdir()
    (tmp_path / "own.py").write_text(GOOD)
    (tmp_path / "inspectors" / "own.py").write_text(GOOD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    inspectors.load()
    assert "Elixir.Own.Protocol" not in inspectors.DRIVERS


@pytest.mark.parametrize(
    "version,within",
    [
        ("0.2.0", True),
        ("0.4.0", True),
        ("0.4.0-dev", True),
        ("0.4.1", False),
        ("0.1.9", False),
        ("0.10.0", False),
        ("0.2.5 to 0.2.9", True),
        ("0.3.0 or 0.6.0", False),
        ("0.2.10, or 0.3.1 or later", False),
        ("", False),
    ],
)
def test_releases(version, within):
    assert is_within(version, "0.2.0", "0.4.0") == within


class Asked(FakeTerm):
    """Counts the elements that were asked for."""

    def __iter__(self):
        self.count = 0
        for element in super().__iter__():
            self.count += 1
            yield element


class Queue(FakeTerm):
    def __init__(self, rear, front):
        super().__init__((rear.python, front.python))
        self.parts = (rear, front)

    def __getitem__(self, index):
        return self.parts[index]


def test_the_front_of_a_queue_is_read_as_far_as_it_is_wanted():
    front = Asked([1, 2, 3])
    elements = queue(Queue(FakeTerm([5, 4]), front))
    assert next(elements).python == 1 and front.count == 1
    assert [term.python for term in elements] == [2, 3, 4, 5]
    assert list(queue(Queue(FakeTerm([]), FakeTerm([])))) == []
