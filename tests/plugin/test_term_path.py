# SPDX-License-Identifier: Apache-2.0
"""Paths into terms: what they parse to, where one ends and a term begins, and what errors say."""

import pytest

from etp.errors import UsageError
from etp.term_parser import Atom
from etp.term_path import parse, split


def kinds(text):
    return [(step.kind, step.key) for step in parse(text)]


@pytest.mark.parametrize(
    "text, steps",
    [
        ("", []),
        (".state.cursors", [("name", Atom("state")), ("name", Atom("cursors"))]),
        (".'odd name'.ok?", [("name", Atom("odd name")), ("name", Atom("ok?"))]),
        (".a[0][17]", [("name", Atom("a")), ("index", 0), ("index", 17)]),
        ('.a["key"]', [("name", Atom("a")), ("index", b"key")]),
        ("[{user, 1}].x", [("index", (Atom("user"), 1)), ("name", Atom("x"))]),
        ("[:atom][Foo.Bar]", [("index", Atom("atom")), ("index", Atom("Elixir.Foo.Bar"))]),
        ("{2}{ 3 }", [("element", 2), ("element", 3)]),
        ("[3..]", [("tail", 3)]),
        ("fun(0)", [("environment", 0)]),
        # As etp-who tells them.
        (
            'cache -> [1] -> 17 -> "body" -> {1}',
            [
                ("key", Atom("cache")),
                ("index", 1),
                ("key", 17),
                ("key", b"body"),
                ("element", 1),
            ],
        ),
        ("key {a,b} -> fun(2)", [("key_itself", (Atom("a"), Atom("b"))), ("environment", 2)]),
        ("-> a -> .b[0]", [("key", Atom("a")), ("name", Atom("b")), ("index", 0)]),
    ],
)
def test_steps(text, steps):
    assert kinds(text) == steps


@pytest.mark.parametrize(
    "text", [".a..b", ".1", "[", "[1", ".a b", "[1]x", "->", ".'a", "a ->", ".a]"]
)
def test_what_is_no_path(text):
    with pytest.raises(UsageError):
        parse(text)


def test_a_path_has_a_bound():
    with pytest.raises(UsageError, match="at most"):
        parse(".a" * 1000)


@pytest.mark.parametrize(
    "line, term, path",
    [
        ("0x12", "0x12", ""),
        ("0x12 .a.b", "0x12", ".a.b"),
        ("0x12 [0]", "0x12", "[0]"),
        ("0x12 {1}.a", "0x12", "{1}.a"),
        ("0x12 -> a", "0x12", "-> a"),
        ("*(long *) ($rsp + 8) .a", "*(long *) ($rsp + 8)", ".a"),
        ("$p->heap + 0.5", "$p->heap + 0.5", ""),
        ("arr[3]", "arr[3]", ""),
        ("x + .5", "x + .5", ""),
    ],
)
def test_where_a_path_begins(line, term, path):
    assert split(line) == (term, path)
