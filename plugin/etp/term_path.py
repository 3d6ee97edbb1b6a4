# SPDX-License-Identifier: Apache-2.0
"""Paths into terms: ``.mod_state.state.cursors``.

A path is a row of steps, each from a term to one in it:

    .name       the value of the atom name: in a map, struct, keyword or property list, or the field
                of a record that is known.  'quoted name' if it is no plain name
    [TERM]      the value of any key: ["binary"], [{user,1}], [:atom], [#Ref<0.1.2.3>]
    [N]         of a list, the element N, and of a tuple, as elem/2: both from 0.  Of a map, key N
    {N}         of a tuple, as element/2: from 1
    [N..]       the list without its first N elements
    fun(N)      what a fun has closed over, from 0
    key TERM    the key itself of a map

Steps may be joined by `` -> ``, and behind an arrow a bare term is a key: this is how etp-who tells
paths, so that these can be pasted.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Union

from .code import erlang_atom
from .errors import Problem, UsageError
from .term_parser import Atom, Pattern, TextBytes, matches, parse_prefix
from .text import plural, safe, shorten

if TYPE_CHECKING:
    from _etp import Term

MAX_STEPS = 200
KEYS_SHOWN = 12
"""Keys that an error names."""
KEYS_LOOKED_AT = 1000
"""Keys of a collection that are looked at for errors and for completion."""
KEY_WIDTH = 60

_NAME = re.compile(r"[^\W\d][\w@]*[?!]?")
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'", re.S)
# With more digits it is none.
_ELEMENT = re.compile(r"\{\s*(\d{1,18})\s*\}")
_TAIL = re.compile(r"\[\s*(\d{1,18})\s*\.\.\s*\]")
_ENVIRONMENT = re.compile(r"fun\(\s*(\d{1,18})\s*\)")
_KEY_ITSELF = re.compile(r"key\s+")
_ARROW = re.compile(r"\s*->\s*")
_SPACE = re.compile(r"\s*")
# What a path may begin with behind the blank that ends a term.
_START = re.compile(r"\s+(?=\.[^\W\d'\"]|\.'|\[|->|\{\s*\d+\s*\})")


@dataclass(frozen=True)
class Step:
    """One step; ``kind`` says how ``key`` (a pattern) or ``index`` is meant."""

    #: "name", "index" ([...]), "element", "tail", "environment", "key_itself", or "key" (bare).
    kind: str
    text: str
    key: Pattern = 0
    index: int = 0


class PathProblem(Problem):
    """A step that leads nowhere."""


def split(text: str) -> tuple[str, str]:
    """What stands before a path on a command line, and the path."""
    found = _START.search(text)
    return (text, "") if found is None else (text[: found.start()], text[found.end() :])


def parse(text: str) -> tuple[Step, ...]:
    """Raises UsageError."""
    steps: list[Step] = []
    at = _skip(text, 0)
    while at < len(text):
        arrow = _ARROW.match(text, at)
        if arrow:
            at = arrow.end()
        # At the beginning a bare term can only be a key.
        step, end = _step(text, at, bare=bool(arrow) or not steps)
        steps.append(step)
        if len(steps) > MAX_STEPS:
            raise UsageError(f"A path has at most {MAX_STEPS} steps.")
        # Blanks are for arrows, but do no harm elsewhere.
        at = _skip(text, end)
    return tuple(steps)


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _step(text: str, at: int, bare: bool) -> tuple[Step, int]:
    if text.startswith(".", at):
        return _named(text, at)
    for pattern, kind in ((_ELEMENT, "element"), (_TAIL, "tail"), (_ENVIRONMENT, "environment")):
        found = pattern.match(text, at)
        if found:
            return Step(kind, found.group(), int(found[1]), int(found[1])), found.end()
    if text.startswith("[", at):
        return _bracketed(text, at)
    itself = _KEY_ITSELF.match(text, at)
    if itself and bare:
        key, end = parse_prefix(text, itself.end())
        return Step("key_itself", text[at:end], key), end
    if not bare or at >= len(text):
        rest = safe(text[at : at + 20])
        where = f"at {rest!r}" if rest else "at its end"
        raise UsageError(
            f'{safe(text)!r} is no path: a step such as .name, [0], ["key"] or {{1}} was expected'
            f" {where}."
        )
    key, end = parse_prefix(text, at)
    return Step("key", text[at:end], key), end


def _named(text: str, at: int) -> tuple[Step, int]:
    name = _NAME.match(text, at + 1)
    if name:
        return Step("name", text[at : name.end()], Atom(name.group())), name.end()
    quoted = _QUOTED.match(text, at + 1)
    if quoted:
        key, end = parse_prefix(text, at + 1)
        return Step("name", text[at:end], key), end
    raise UsageError(
        f"{safe(text)!r} is no path: a name was expected behind the dot at"
        f" {safe(text[at : at + 20])!r}; other keys go into brackets."
    )


def _bracketed(text: str, at: int) -> tuple[Step, int]:
    key, end = parse_prefix(text, at + 1)
    end = _skip(text, end)
    if not text.startswith("]", end):
        raise UsageError(f'{safe(text)!r} is no path: "]" was expected at {safe(text[end:])!r}.')
    whole = text[at : end + 1]
    index = key if isinstance(key, int) and not isinstance(key, bool) else -1
    return Step("index", whole, key, index), end + 1


# ---- walking ----------------------------------------------------------------------------------


Fields = Union[tuple[str, ...], None]


def walk(term: Term, steps: tuple[Step, ...], fields: Fields = None, redact: bool = False) -> Term:
    """The term that the steps lead to; ``fields`` are the names of those of the first one, if it is
    a record that is known.  Raises PathProblem, which names the step and, unless ``redact`` forbids
    it, keys that there are."""
    for number, step in enumerate(steps):
        known = fields if number == 0 else None
        found = _find(term, step, known)
        if found is None:
            raise PathProblem(_lost(term, steps, number, known, redact))
        term = found
    return term


def _find(term: Term, step: Step, fields: Fields) -> Term | None:
    if step.kind == "element":
        return _element(term, step)
    if step.kind == "tail":
        return _tail(term, step.index)
    if step.kind == "environment":
        return _closed_over(term, step.index)
    if step.kind == "key_itself":
        return next((key for key in _keys(term) if matches(key, step.key)), None)
    if step.kind == "index" and step.index >= 0 and term.kind in ("cons", "tuple"):
        return _at(term, step.index)
    if step.kind == "name" and fields is not None and str(step.key) in fields:
        return _at(term, fields.index(str(step.key)) + 1)
    return _value(term, step)


def _element(term: Term, step: Step) -> Term | None:
    if term.kind == "map":
        return _value(term, Step("key", step.text, (step.index,)))
    return _at(term, step.index - 1) if term.kind == "tuple" else None


def _at(term: Term, index: int) -> Term | None:
    if term.kind == "tuple":
        return term[index] if 0 <= index < len(term) else None
    tail = _tail(term, index)
    return tail[0] if tail is not None and tail.kind == "cons" else None


def _elements(term: Term) -> Iterator[Term]:
    """Of a proper list; of others, which may go round, none."""
    if term.kind == "cons" and term.is_proper_list():
        yield from term


def _tail(term: Term, count: int) -> Term | None:
    for _ in range(count):
        if term.kind != "cons":
            return None
        term = term.tail()
    return term if term.kind in ("cons", "nil") else None


def _closed_over(term: Term, index: int) -> Term | None:
    if term.kind != "fun":
        return None
    found = term.environment()
    return found[index] if index < len(found) else None


def _value(term: Term, step: Step) -> Term | None:
    """Of a key, in a map or a list of pairs."""
    if term.kind == "map":
        found = _in_map(term, step.key)
        # In brackets a number may be a key, or a list of one number that is a key, as ~w prints it.
        if found is None and step.kind == "index":
            found = _in_map(term, [step.key])
        return found
    for element in _elements(term):
        if element.kind == "tuple" and len(element) == 2 and matches(element[0], step.key):
            return element[1]
        if element.kind == "atom" and step.kind == "name" and matches(element, step.key):
            # Of a property list: true, which the name itself stands for.
            return element
    return None


def _in_map(term: Term, key: Pattern) -> Term | None:
    if isinstance(key, (Atom, int, float)) or type(key) in (bytes, TextBytes):
        plain = str(key) if isinstance(key, Atom) else bytes(key) if isinstance(key, bytes) else key
        if plain in term:
            return term[plain]
        if not isinstance(key, TextBytes):
            return None
    for known, value in term.items():
        if matches(known, key):
            return value
    return None


# ---- what there is ----------------------------------------------------------------------------


def _keys(term: Term) -> Iterator[Term]:
    if term.kind == "map":
        yield from term.keys()
    else:
        for element in _elements(term):
            if element.kind == "tuple" and len(element) == 2:
                yield element[0]


def next_steps(term: Term, fields: Fields = None, redact: bool = False) -> list[str]:
    """Steps that lead on from a term, as one would type them; with ``redact`` keys that are atoms
    only."""
    found: list[str] = []
    if term.kind == "tuple":
        if fields is not None:
            found += ["." + erlang_atom(name) for name in fields]
        found += [f"{{{n}}}" for n in range(1, min(len(term), KEYS_LOOKED_AT) + 1)]
    elif term.kind in ("map", "cons"):
        keys = islice(_keys(term), KEYS_LOOKED_AT)
        found = [_step_text(key) for key in keys if key.kind == "atom" or not redact]
        if term.kind == "cons" and not found:
            found = [f"[{n}]" for n, _ in enumerate(islice(_elements(term), KEYS_SHOWN))]
    elif term.kind == "fun":
        found = [f"fun({n})" for n in range(len(term.environment()))]
    return found


def _step_text(key: Term) -> str:
    if key.kind == "atom":
        name = str(key.value())
        if _NAME.fullmatch(name):
            return "." + name
        return "." + erlang_atom(name)
    return "[" + key.format(syntax="p", width=0, max_string=200, max_length=100) + "]"


def describe(term: Term) -> str:
    """``a map with 3 keys``."""
    kind = term.kind
    if kind == "map":
        return f"a map with {plural(len(term), 'key')}"
    if kind == "tuple":
        return f"a tuple with {plural(len(term), 'element')}"
    if kind == "cons":
        return f"a list with {plural(len(term), 'element')}" if term.is_proper_list() else "a list"
    names = {
        "nil": "the empty list", "small": "an integer", "big": "an integer", "bitstring": "a binary",
        "atom": "an atom", "export": "an external fun",
    }  # fmt: skip
    return names.get(kind, f"a {kind.replace('_', ' ')}")


def _lost(term: Term, steps: tuple[Step, ...], number: int, fields: Fields, redact: bool) -> str:
    step = steps[number]
    before = "".join(_joined(steps[:number])) or "the term"
    which = f"step {number + 1}, {safe(step.text)}: " if len(steps) > 1 else f"{safe(step.text)}: "
    text = f"There is no {which}{safe(shorten(before, 200))} is {describe(term)}"
    there = next_steps(term, fields, redact)
    if term.kind == "tuple" and fields is None:
        there = [f"{{1}} to {{{len(term)}}}"] if len(term) else []
    near = difflib.get_close_matches(step.text, there, n=1)
    if near and len(there) > 1:
        text += f"; the nearest is {safe(shorten(near[0], KEY_WIDTH))}"
    shown = [safe(shorten(name, KEY_WIDTH)) for name in there[:KEYS_SHOWN]]
    if shown:
        text += f". There are: {', '.join(shown)}" + (", ..." if len(there) > len(shown) else "")
    return text + "."


def _joined(steps: tuple[Step, ...]) -> Iterator[str]:
    for number, step in enumerate(steps):
        yield (" -> " if number else "") + step.text if step.kind in (
            "key",
            "key_itself",
        ) else step.text


def completions(term: Term, text: str, fields: Fields = None, redact: bool = False) -> list[str]:
    """What the path ``text`` can become: it with its last step completed, or with one more."""
    found: list[str] = []
    for at in _ends(text):
        head, last = text[:at], text[at:]
        try:
            steps = parse(head)
            here = walk(term, steps, fields)
        except Problem:
            continue
        there = next_steps(here, None if steps else fields, redact)
        found += [head + step for step in there if step.startswith(last)]
        if found and last:
            break
    return found


def _ends(text: str) -> Iterator[int]:
    """Where the last step may begin, the last place first."""
    yield len(text)
    for at in range(len(text) - 1, -1, -1):
        if text[at] in ".[{":
            yield at
    yield 0
