# SPDX-License-Identifier: Apache-2.0
"""What holds for whatever a person types, and whatever is printed: terms, paths, command lines, numbers, escapes.

The examples are the same in each run.
"""

import re
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etp.commands.line import HelpRequested, complete, parse as parse_line, split
from etp.commands.registry import COMMANDS
from etp.errors import Problem, UsageError
from etp.settings import SETTINGS, Settings
from etp.term_parser import Atom, Identifier, parse
from etp import process_path, term_path, text, units

settings.register_profile("etp", derandomize=True, deadline=None, max_examples=100)
settings.load_profile("etp")

# What means something somewhere, and what does not belong there.
TYPED = st.text(
    st.sampled_from("{}[]()<>\"'\\,.:;|#$?~_-+=/@ \t\n%0179aeExuAZ")
    | st.characters(blacklist_categories=()),
    max_size=30,
)
# Pieces of what is typed, put together at random.
PIECES = st.lists(
    st.sampled_from(
        [
            *(
                "{",
                "}",
                "[",
                "]",
                "<<",
                ">>",
                ",",
                '"',
                "'",
                "\\",
                ".",
                "..",
                "->",
                " ",
                "fun(",
                ")",
            ),
            *("\\x{", "\\x{110000}", "\\x{D800}", "\\u", "\\xZZ", "$", "$\\", "?", "~c", "#", "0x"),
            *(
                "16#ff",
                "37#1",
                "1#0",
                "1.5e999",
                "9" * 5000,
                "-",
                "+1",
                "<0.1.2>",
                "#Ref<0",
                "key ",
            ),
            *(
                "dictionary",
                "message ",
                "stack ",
                "register ",
                "a",
                "Foo.Bar",
                ":a",
                "a: ",
                "/utf8",
            ),
            *("--", "--limit", "--json", "--sort", "=", "all", "0", "-1", "|", ">", "é", "\x1b[2J"),
        ]
    ),
    max_size=12,
).map("".join)
ANY = TYPED | PIECES


def erlang_quoted(name, quote):
    """As a careful person types it: everything but ASCII by its number."""
    out = ""
    for character in name:
        if character in (quote, "\\"):
            out += "\\" + character
        elif character in string.printable and character.isprintable():
            out += character
        else:
            out += f"\\x{{{ord(character):x}}}"
    return quote + out + quote


CHARACTERS = st.text(st.characters(blacklist_categories=["Cs"]), max_size=8)
BLANK = st.sampled_from(["", " ", "\n  "])
LEAVES = st.one_of(
    st.integers().map(lambda n: (n, str(n))),
    st.tuples(st.integers(), st.integers(2, 36)).map(lambda p: (p[0], in_base(*p))),
    st.floats(allow_nan=False, allow_infinity=False)
    .filter(lambda f: re.fullmatch(r"-?\d+\.\d+(e[+-]?\d+)?", repr(f)))
    .map(lambda f: (f, repr(f))),
    CHARACTERS.map(lambda name: (Atom(name), erlang_quoted(name, "'"))),
    CHARACTERS.map(lambda name: (Atom(name), ":" + erlang_quoted(name, '"'))),
    CHARACTERS.map(lambda chars: (chars.encode(), erlang_quoted(chars, '"'))),
    st.binary(max_size=8).map(lambda b: (b, "<<" + ",".join(map(str, b)) + ">>")),
    st.lists(st.integers(0, 1 << 28), min_size=3, max_size=3).map(
        lambda n: (Identifier("<{}.{}.{}>".format(*n)), "<{}.{}.{}>".format(*n))
    ),
)


def in_base(number, base):
    digits = string.digits + string.ascii_lowercase
    found, rest = "", abs(number)
    while rest or not found:
        found, rest = digits[rest % base] + found, rest // base
    return f"{'-' if number < 0 else ''}{base}#{found}"


def compound(parts):
    def put(kind, items, blank):
        values = [value for value, _ in items]
        inner = f"{blank},{blank}".join(typed for _, typed in items)
        if kind == "list":
            return values, f"[{blank}{inner}{blank}]"
        return tuple(values), f"{{{blank}{inner}{blank}}}"

    return st.builds(put, st.sampled_from(["list", "tuple"]), st.lists(parts, max_size=4), BLANK)


TERMS = st.recursive(LEAVES, compound, max_leaves=12)


def kinds(value):
    if isinstance(value, (list, tuple)):
        return type(value), [kinds(part) for part in value]
    return bytes if isinstance(value, bytes) else type(value)


@given(TERMS)
def test_terms_are_read_as_they_were_typed(term):
    value, typed = term
    found = parse(typed)
    assert found == value
    assert kinds(found) == kinds(value)


@given(ANY)
def test_any_text_is_a_term_or_an_error(typed):
    try:
        parse(typed)
    except UsageError as error:
        assert str(error)


STEPS = st.one_of(
    TERMS.map(lambda term: ("index", term[0], f"[{term[1]}]")),
    st.integers(0, 1 << 40).map(lambda n: ("element", n, f"{{{n}}}")),
    st.integers(0, 1 << 40).map(lambda n: ("tail", n, f"[{n}..]")),
    st.integers(0, 255).map(lambda n: ("environment", n, f"fun({n})")),
    st.from_regex(r"[a-z][a-z0-9_@]{0,5}[?!]?", fullmatch=True).map(
        lambda name: ("name", Atom(name), "." + name)
    ),
    CHARACTERS.map(lambda name: ("name", Atom(name), "." + erlang_quoted(name, "'"))),
    TERMS.map(lambda term: ("key_itself", term[0], f" -> key {term[1]}")),
)


@given(st.lists(STEPS, max_size=6))
def test_paths_are_read_as_they_were_typed(steps):
    path = " -> ".join(typed.removeprefix(" -> ") for _, _, typed in steps)
    assert [(step.kind, step.key) for step in term_path.parse(path)] == [
        (kind, key) for kind, key, _ in steps
    ]


@given(st.sampled_from(["0x7f00", "<0.12.0>", "name"]), st.lists(STEPS, min_size=1, max_size=4))
def test_a_path_is_told_from_what_it_begins_at(what, steps):
    path = "".join(typed for _, _, typed in steps).strip()
    if path.startswith("fun("):
        path = "-> " + path
    before, found = term_path.split(f"{what} {path}")
    assert (before, found) == (what, path)


@given(ANY)
def test_any_text_is_a_path_or_an_error(typed):
    term_path.split(typed)
    try:
        term_path.parse(typed)
    except UsageError as error:
        assert text.safe(str(error), keep_newlines=True) == str(error)


@given(ANY)
def test_any_text_is_a_path_in_a_process_or_an_error(typed):
    class Vm:
        """Has nothing."""

        class native:
            @staticmethod
            def process_info(address):
                return {"is_sensitive": True}

    class Process:
        address, pid, label = 8, "<0.1.0>", "init"

    if typed.strip().startswith(("stack", "register")):
        return
    with pytest.raises(Problem):
        process_path.find(Vm, Process, typed)


@given(ANY)
def test_words_of_a_line(line):
    try:
        words = split(line)
    except UsageError:
        return
    # Nothing is lost but blanks, and words stay as they are.
    assert re.sub(r"\s", "", "".join(words)) == re.sub(r"\s", "", line)
    assert all(words)
    for word in words:
        assert split(word) == [word]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
@settings(max_examples=25)
@given(line=st.lists(ANY | st.sampled_from(["--limit 3", "--json", "--sort x", "-h"]), max_size=4))
def test_any_line_has_arguments_or_an_error(command, line):
    line = " ".join(line)
    try:
        parse_line(command, line)
    except HelpRequested:
        assert "-h" in line
    except UsageError as error:
        assert text.safe(str(error), keep_newlines=True) == str(error)


@given(st.integers(0, 1 << 70))
def test_bytes_are_told_to_a_tenth(count):
    number, unit = units.format_bytes(count).split()
    step = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}[unit]
    assert abs(float(number) * step - count) <= step * 0.0501 + count * 1e-12
    assert unit == "TiB" or float(number) < 1024


@given(st.floats(0, 1e12))
def test_durations_are_told_to_the_smaller_unit(seconds):
    size = {"d": 86400, "h": 3600, "min": 60, "s": 1}
    parts = re.findall(r"(\d+) (d|h|min|s)\b", units.format_duration(seconds))
    told = sum(int(number) * size[unit] for number, unit in parts)
    smaller = {"d": "h", "h": "min"}.get(parts[0][1], "s")
    assert told <= seconds < told + size[smaller]


@given(st.integers(0, 1 << 60), st.integers(0, 1 << 60))
def test_shares(part, whole):
    part = min(part, whole)
    told = units.format_percent(part, whole)
    assert (told == "100 %") == (0 < part == whole)
    assert (told == "0 %") == (part == 0)
    number = float(told.strip("<> %"))
    assert whole == 0 or abs(number - 100 * part / whole) <= 0.5


@given(st.integers(0) | ANY)
def test_limits(typed):
    try:
        limit = units.parse_limit(str(typed))
    except ValueError:
        assert not isinstance(typed, int)
    else:
        assert limit >= 0
        assert not isinstance(typed, int) or limit == min(typed, 1 << 62)


@given(st.text(st.characters(blacklist_categories=()), max_size=40), st.integers(1, 50))
def test_nothing_that_acts_on_a_terminal_is_printed(said, width):
    shown = text.safe(said)
    assert shown.isprintable() and text.safe(shown) == shown
    shown.encode()
    assert (shown == said) == said.isprintable()
    # Each character is there, as it is or by its number.
    again = re.sub(r"\\x\{([0-9A-F]+)\}", lambda found: chr(int(found[1], 16)), shown)
    assert "\\x{" in said or again == said
    assert len(text.shorten(shown, width)) <= width
    lines = text.safe(said, keep_newlines=True)
    assert lines.replace("\n", "").isprintable() and lines.count("\n") == said.count("\n")


@given(st.binary(max_size=40), st.integers(0, 1 << 40))
def test_previews_of_binaries(data, more):
    shown = text.preview(data, len(data) + more)
    assert shown.isascii() and shown.isprintable()
    assert shown.startswith("<<") and shown.endswith(">>") and len(shown) <= 24 * 4 + 10


@given(st.sampled_from(SETTINGS), ANY | st.sampled_from(["on", "off", "elixir", "10", "unlimited"]))
def test_settings(setting, typed):
    values = Settings()
    try:
        values.set(setting.name, typed)
    except UsageError as error:
        assert setting.name in str(error)
        assert values.get(setting.name) == setting.default
    else:
        again = Settings()
        again.set(setting.name, values.show(setting.name).replace("not set", ""))
        assert again.get(setting.name) == values.get(setting.name)


@given(st.sampled_from(COMMANDS), ANY)
def test_completion_of_any_line(command, line):
    class Nothing:
        """No VM is open."""

        settings = Settings()

        @property
        def vm(self):
            raise UsageError("There is none.")

    try:
        found = complete(command, line, Nothing())
    except Problem:
        return
    assert all(isinstance(word, str) for word in found)
