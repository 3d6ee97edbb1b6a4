# SPDX-License-Identifier: Apache-2.0
"""Terms that people type, in Erlang's or Elixir's syntax, to be compared with terms of the VM.

Integers, floats, atoms, strings, binaries, tuples, lists, pids, ports and references; enough to
name the key of a row.  Depth is bounded: this is a person's input.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, Union

from .errors import UsageError
from .text import safe

if TYPE_CHECKING:
    from _etp import Term


class Atom(str):
    """An atom, as opposed to a string."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Atom({str(self)!r})"


class Identifier(str):
    """A pid, port or reference as ~w prints it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Identifier({str(self)!r})"


#: ``str`` alone does not occur; a tuple is a tuple, a list a proper list.
Pattern = Union[int, float, bytes, Atom, Identifier, "tuple[Any, ...]", "list[Any]"]

MAX_DEPTH = 100
MAX_DIGITS = 4000
"""Python refuses to read more (sys.int_info.default_max_str_digits)."""

_SKIP = re.compile(r"\s*")
_NUMBER = re.compile(
    r"[+-]?(?:\d[\d_]*\.\d+(?:[eE][+-]?\d+)?|\d+#[0-9a-zA-Z]+|0[xX][0-9a-fA-F]+|\d[\d_]*)"
)
_CHARACTER = re.compile(r"[$?](\\.|[^\\])", re.S)
_ATOM = re.compile(r"[^\W\d_A-Z][\w@]*")
_ELIXIR_ATOM = re.compile(r":([^\W\d][\w@]*[?!]?)")
_ALIAS = re.compile(r"[A-Z]\w*(?:\.[A-Z]\w*)*")
_IDENTIFIER = re.compile(r"(?:#(PID|Port|Ref|Reference))?(<\d+(?:\.\d+)*>)")
_KEYWORD = re.compile(r"([^\W\d][\w@]*[?!]?):\s")
_ESCAPES = {
    "n": "\n", "t": "\t", "r": "\r", "e": "\x1b", "b": "\b", "f": "\f", "v": "\v", "s": " ",
    "d": "\x7f", "a": "\a", "0": "\0",
}  # fmt: skip


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0

    def fail(self, expected: str) -> UsageError:
        rest = self.text[self.at : self.at + 20]
        where = f"at {rest!r}" if rest else "at the end"
        return UsageError(f"{self.text!r} is not a term: {expected} was expected {where}.")

    def skip(self) -> None:
        match = _SKIP.match(self.text, self.at)
        assert match
        self.at = match.end()

    def take(self, literal: str) -> bool:
        self.skip()
        if self.text.startswith(literal, self.at):
            self.at += len(literal)
            return True
        return False

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self.text, self.at)
        if found:
            self.at = found.end()
        return found

    def whole(self) -> Pattern:
        value = self.term()
        self.skip()
        if self.at != len(self.text):
            raise self.fail("the end")
        return value

    def term(self) -> Pattern:
        self.skip()
        if self.at >= len(self.text):
            raise self.fail("a term")
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise UsageError(f"The term is nested more than {MAX_DEPTH} levels deep.")
        try:
            return self.one()
        finally:
            self.depth -= 1

    def one(self) -> Pattern:
        if self.take("<<"):
            return self.binary()
        if self.take("{"):
            return tuple(self.elements("}"))
        if self.take("["):
            return self.elements("]")
        identifier = self.match(_IDENTIFIER)
        if identifier:
            return _identifier(identifier.group(1), identifier.group(2))
        number = self.match(_NUMBER)
        if number:
            return _number(number.group())
        character = self.match(_CHARACTER)
        if character:
            return ord(_unescape(character.group(1)))
        if self.text.startswith('~c"', self.at):
            self.at += 2
            return [ord(c) for c in self.quoted('"')]
        # A string is a list in Erlang, a binary in Elixir: compare() takes either.
        if self.text.startswith('"', self.at):
            return Text(self.quoted('"')).encode()
        if self.text.startswith("'", self.at):
            return Atom(self.quoted("'"))
        if self.text.startswith(':"', self.at):
            self.at += 1
            return Atom(self.quoted('"'))
        name = self.match(_ELIXIR_ATOM)
        if name:
            return Atom(name.group(1))
        name = self.match(_ATOM)
        if name:
            return Atom(name.group())
        name = self.match(_ALIAS)
        if name:
            return Atom("Elixir." + name.group())
        raise self.fail("a term")

    def elements(self, end: str) -> list[Pattern]:
        found: list[Pattern] = []
        if self.take(end):
            return found
        while True:
            self.skip()
            keyword = self.match(_KEYWORD)
            if keyword:
                found.append((Atom(keyword.group(1)), self.term()))
            else:
                found.append(self.term())
            if self.take(end):
                return found
            if not self.take(","):
                raise self.fail(f'"," or "{end}"')

    def binary(self) -> bytes:
        if self.take(">>"):
            return b""
        data = bytearray()
        while True:
            self.skip()
            if self.text.startswith('"', self.at):
                text = self.quoted('"')
                if self.take("/utf8") or any(ord(c) > 255 for c in text):
                    data += text.encode("utf-8")
                else:
                    data += text.encode("latin-1")
            else:
                number = self.match(_NUMBER)
                if not number:
                    raise self.fail("a byte or a string")
                value = _number(number.group())
                if not isinstance(value, int) or not -128 <= value <= 255:
                    raise self.fail("a byte")
                data.append(value & 255)
            if self.take(">>"):
                return bytes(data)
            if not self.take(","):
                raise self.fail('"," or ">>"')

    def quoted(self, quote: str) -> str:
        self.at += 1
        out: list[str] = []
        while self.at < len(self.text):
            character = self.text[self.at]
            if character == quote:
                self.at += 1
                return "".join(out)
            if character == "\\":
                escape = re.compile(
                    r"\\(x\{[0-9a-fA-F]+\}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)", re.S
                )
                found = self.match(escape)
                if not found:
                    break
                out.append(_unescape("\\" + found.group(1)))
            else:
                out.append(character)
                self.at += 1
        raise UsageError(f"{self.text!r} is not a term: the closing {quote} is missing.")


class Text(str):
    """A string in double quotes: equal to the charlist and to the binary."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> TextBytes:
        return TextBytes(str.encode(self, encoding, errors))


class TextBytes(bytes):
    """Bytes of a string in double quotes, which in Erlang is a list of characters."""

    __slots__ = ()


def _number(text: str) -> int | float:
    plain = text.replace("_", "")
    if len(plain) > MAX_DIGITS:
        raise UsageError(f"A number has at most {MAX_DIGITS:,} digits.")
    if "#" in plain:
        base, digits = plain.split("#")
        sign = -1 if base.startswith("-") else 1
        try:
            return sign * int(digits, abs(int(base)))
        except ValueError:
            raise UsageError(f"{text} is not a number.") from None
    if "." in plain:
        return float(plain)
    return int(plain, 0) if plain.lstrip("+-")[:2].lower() == "0x" else int(plain, 10)


def _unescape(text: str) -> str:
    if not text.startswith("\\"):
        return text
    body = text[1:]
    if body[0] in "xu" and len(body) > 1:
        code = body[1:].strip("{}")
        # Surrogates are no characters.
        if len(code) > 8 or int(code, 16) > sys.maxunicode or 0xD800 <= int(code, 16) < 0xE000:
            raise UsageError(f"There is no character with the number {safe(code[:20])}.")
        return chr(int(code, 16))
    return _ESCAPES.get(body, body)


def _identifier(kind: str | None, numbers: str) -> Identifier:
    if kind in (None, "PID"):
        return Identifier(numbers)
    return Identifier(("#Port" if kind == "Port" else "#Ref") + numbers)


def parse(text: str) -> Pattern:
    """The term that ``text`` says.  Raises UsageError."""
    # Someone who is used to a shell puts quotes around a compound term.
    if len(text) > 2 and text[0] == text[-1] and text[0] in "'\"" and text[1] in "{[<":
        try:
            return _Parser(text[1:-1]).whole()
        except UsageError:
            pass
    return _Parser(text).whole()


def parse_prefix(text: str, at: int) -> tuple[Pattern, int]:
    """The term that begins at ``at``, and where it ends.  Raises UsageError."""
    parser = _Parser(text)
    parser.at = at
    return parser.term(), parser.at


def matches(term: Term, pattern: Pattern) -> bool:
    """Is the term of the VM the one that was typed?  As =:=, except that a string in double
    quotes is both the list of its characters and the binary."""
    kind = term.kind
    if isinstance(pattern, Atom):
        return kind == "atom" and term.value() == str(pattern)
    if isinstance(pattern, Identifier):
        return kind in ("pid", "port", "ref") and str(term) == str(pattern)
    if isinstance(pattern, bool):
        return False
    if isinstance(pattern, int):
        return kind in ("small", "big") and bool(term.value() == pattern)
    if isinstance(pattern, float):
        return kind == "float" and bool(term.value() == pattern)
    if isinstance(pattern, bytes):
        if kind == "bitstring":
            value = term.value()
            return isinstance(value, bytes) and value == pattern
        if isinstance(pattern, TextBytes):
            return _elements_match(term, [ord(c) for c in pattern.decode("utf-8")])
        return False
    if isinstance(pattern, tuple):
        if kind != "tuple" or len(term) != len(pattern):
            return False
        return all(matches(term[i], part) for i, part in enumerate(pattern))
    return _elements_match(term, pattern)


def _elements_match(term: Term, pattern: list[Pattern]) -> bool:
    if not pattern:
        return term.kind == "nil"
    if term.kind != "cons" or not term.is_proper_list() or len(term) != len(pattern):
        return False
    return all(matches(element, part) for element, part in zip(term, pattern))
