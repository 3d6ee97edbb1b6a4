# SPDX-License-Identifier: Apache-2.0
"""Command lines: splitting, parsing and completion, all from the declarations."""

from __future__ import annotations

from ..errors import UsageError
from ..text import safe
from ..units import parse_limit
from .declaration import Argument, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from .context import Context

_CLOSING = {"{": "}", "[": "]", "(": ")"}


class HelpRequested(Exception):
    """-h or --help was among the arguments."""


def no_shell(name: str) -> str:
    """For those who typed | or > behind a command: gdb hands these to the command."""
    return (
        f"gdb knows no | and > behind a command. Use: pipe {name} | less, or, into a file:"
        f" pipe {name} | cat > FILE."
    )


def split(line: str) -> list[str]:
    """Words of a line.  Quotes and brackets keep a term together: ``--key {user, "a b"}`` has two
    words.  Quotes stay, because they mean something in a term; those around a whole word that is
    an option's value or a name are dealt with by whoever reads it.
    """
    words: list[str] = []
    word = ""
    closing: list[str] = []
    quote = ""
    escaped = False
    for character in line:
        if quote:
            word += character
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == quote:
                quote = ""
        elif character.isspace() and not closing:
            if word:
                words.append(word)
                word = ""
        else:
            word += character
            if character in "'\"":
                quote = character
            elif character in _CLOSING:
                closing.append(_CLOSING[character])
            elif closing and character == closing[-1]:
                closing.pop()
    if quote:
        raise UsageError(f"The closing {quote} is missing in: {safe(line)}")
    if word:
        words.append(word)
    return words


def parse(command: Command, line: str | list[str]) -> Namespace:
    """Raises UsageError, and HelpRequested for -h and --help."""
    rest = next((a for a in command.arguments if a.kind == "rest"), None)
    if isinstance(line, str):
        words = _split_rest(command, line) if rest else split(line)
        if not rest and any(word == "|" or word.startswith(">") for word in words):
            raise UsageError(no_shell(command.name))
    else:
        words = line
    if any(word in ("-h", "--help") for word in words[: len(words) if not rest else 1]):
        raise HelpRequested()
    # An arrow is no option.
    words = [" " + word if word.startswith("->") else word for word in words]
    arguments = _parser(command).parse_intermixed_args(words)
    for argument in command.arguments:
        if argument.kind == "words":
            given = getattr(arguments, argument.names[0])
            setattr(arguments, argument.names[0], " ".join(given) if given else None)
        if argument.kind == "limit":
            name = argument.names[-1].lstrip("-").replace("-", "_")
            try:
                setattr(arguments, name, parse_limit(str(getattr(arguments, name))))
            except ValueError:
                raise UsageError(
                    f"{argument.names[-1]} is a number or all, not "
                    f"{safe(str(getattr(arguments, name)))!r}; see {command.name} --help."
                ) from None
    return arguments


def _split_rest(command: Command, line: str) -> list[str]:
    """Leading options, then the rest of the line as one word, which "--" protects from argparse."""
    words: list[str] = []
    rest = line.strip()
    options = {name: a for a in command.options() for name in a.names}
    while rest.startswith("-"):
        word, _, tail = rest.partition(" ")
        if word == "--":
            rest = tail.strip()
            break
        option = options.get(word.partition("=")[0])
        if option is None:
            if word[1:2] != "-":
                break  # a negative number, or an expression that begins with a minus
            words.append(word)
            rest = tail.strip()
            continue
        words.append(word)
        rest = tail.strip()
        if option.kind != "flag" and "=" not in word:
            value, _, tail = rest.partition(" ")
            words.append(value)
            rest = tail.strip()
    return [*words, "--", rest] if rest else words


def _parser(command: Command) -> ArgumentParser:
    import argparse

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> None:  # type: ignore[override]
            raise UsageError(f"{safe(message)}; see {command.name} --help.")

        def exit(self, status: int = 0, message: str | None = None) -> None:  # type: ignore[override]
            raise UsageError(safe(message or "").strip() or f"see {command.name} --help.")

    parser = Parser(prog=command.name, add_help=False)
    for argument in command.arguments:
        if argument.kind == "flag":
            parser.add_argument(*argument.names, action="store_true")
        elif argument.is_option:
            parser.add_argument(
                *argument.names,
                choices=argument.choices or None,
                default=argument.default,
                metavar=argument.value_name,
            )
        else:
            few = "?" if argument.optional else None
            parser.add_argument(
                argument.names[0],
                nargs="*" if argument.kind == "words" else few,  # type: ignore[arg-type]
                choices=argument.choices or None,
                default=argument.default,
                metavar=argument.value_name,
            )
    return parser


def complete(command: Command, line: str, context: Context) -> list[str]:
    """What the last word of ``line`` (empty after a space) can become, whole words.  Names of a core
    that could act on a terminal are left out: debuggers show and insert words as they are."""
    words = line.split()
    last = "" if not line or line[-1].isspace() else words.pop()
    options = {name: a for a in command.options() for name in a.names}
    before = words[-1] if words else ""
    if before in options and options[before].kind != "flag":
        found = _values(options[before], context)
        if before == "--columns" and "," in last:
            head = last.rpartition(",")[0] + ","
            found = [head + value for value in found if value != "all"]
    elif last.startswith("-"):
        found = [a.names[-1] for a in command.options() if a.names[-1] not in words]
    else:
        given = _positionals_given(words, options)
        positionals = command.positionals()
        found = []
        if positionals and (len(given) < len(positionals) or positionals[-1].kind == "rest"):
            argument = positionals[min(len(given), len(positionals) - 1)]
            if argument.complete_word:
                found = argument.complete_word(context, given, last)
            else:
                found = _values(argument, context)
        if not found and not last:
            found = [a.names[-1] for a in command.options() if a.names[-1] not in words]
    return sorted(value for value in found if value.startswith(last) and value.isprintable())


def _values(argument: Argument, context: Context) -> list[str]:
    if argument.complete:
        return argument.complete(context)
    return list(argument.choices)


def _positionals_given(words: list[str], options: dict[str, Argument]) -> list[str]:
    given = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in options:
            skip = options[word].kind != "flag"
        elif not word.startswith("-"):
            given.append(word)
    return given
