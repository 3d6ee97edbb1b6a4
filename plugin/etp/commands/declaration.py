# SPDX-License-Identifier: Apache-2.0
"""How a command declares itself.

Name, arguments and columns are plain data, so that gdb can register all commands at its start
without importing argparse, rich or the binding.  The help of gdb, ``--help``, completion and the
README all come from here.
"""

from __future__ import annotations

import textwrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any, Callable, Literal

    from ..views import View
    from .context import Context

    Run = Callable[[Context, Namespace], View]
    Completer = Callable[[Context], "list[str]"]
    WordCompleter = Callable[[Context, "list[str]", str], "list[str]"]
    Kind = Literal["text", "term", "count", "bytes", "address", "percent", "yesno"]

HELP_WIDTH = 78


class Argument:
    """One argument: positional when the name does not begin with a dash."""

    __slots__ = (
        "names", "help", "metavar", "choices", "kind", "optional", "default", "complete",
        "complete_word",
    )  # fmt: skip

    def __init__(
        self,
        *names: str,
        help: str,
        metavar: str | None = None,
        choices: tuple[str, ...] = (),
        kind: Literal["text", "flag", "limit", "rest", "words"] = "text",
        optional: bool = False,
        default: Any = None,
        complete: Completer | None = None,
        complete_word: WordCompleter | None = None,
    ) -> None:
        self.names = names
        self.help = help
        self.metavar = metavar
        self.choices = choices
        #: "limit" is a count or "all"; "rest" takes the rest of the line as it is; "words" takes
        #: all further words.
        self.kind = kind
        #: A positional that may be left out.
        self.optional = optional
        self.default = default
        #: Gives the values that can be completed.
        self.complete = complete
        #: Gives them for what stands before: positional words, and the beginning of the last one.
        self.complete_word = complete_word

    @property
    def is_option(self) -> bool:
        return self.names[0].startswith("-")

    @property
    def value_name(self) -> str:
        """What stands for the value in the help; "" for a flag."""
        if self.kind == "flag":
            return ""
        if self.metavar:
            return self.metavar
        if self.choices:
            return "{" + ",".join(self.choices) + "}"
        return self.names[0].lstrip("-").upper()

    @property
    def usage(self) -> str:
        if not self.is_option:
            return f"[{self.value_name}]" if self.optional else self.value_name
        name = self.names[-1]
        return f"[{name} {self.value_name}]" if self.value_name else f"[{name}]"


class Column:
    """One column of a command's table."""

    __slots__ = ("name", "help", "kind", "key", "rank", "flexible", "hidden")

    def __init__(
        self,
        name: str,
        help: str,
        kind: Kind = "text",
        key: str | None = None,
        rank: int = 0,
        flexible: int = 0,
        hidden: bool = False,
    ) -> None:
        self.name = name
        self.help = help
        self.kind = kind
        #: Key of the value in a row.
        self.key = key or name
        #: The higher, the earlier the column is left out of a narrow screen.
        self.rank = rank
        #: Width below which the column's text is not shortened; 0: it is never shortened.
        self.flexible = flexible
        #: Shown only when --columns asks for it.
        self.hidden = hidden


class Command:
    """One command."""

    __slots__ = ("name", "summary", "description", "arguments", "columns", "examples", "run")

    def __init__(
        self,
        name: str,
        summary: str,
        description: str,
        run: Run,
        arguments: tuple[Argument, ...] = (),
        columns: tuple[Column, ...] = (),
        examples: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.name = name
        #: One line, with a final period.
        self.summary = summary
        self.description = description
        self.arguments = arguments
        self.columns = columns
        #: (command line, what it is for)
        self.examples = examples
        self.run = run

    def options(self) -> list[Argument]:
        return [a for a in self.arguments if a.is_option] + [HELP]

    def positionals(self) -> list[Argument]:
        return [a for a in self.arguments if not a.is_option]

    def usage(self) -> str:
        parts = [a.usage for a in self.options() if a is not HELP]
        parts += [a.usage for a in self.positionals()]
        return textwrap.fill(
            " ".join([self.name, *(part.replace(" ", "\0") for part in parts)]),
            HELP_WIDTH,
            initial_indent="Usage: ",
            subsequent_indent=" " * (len(self.name) + 8),
            break_long_words=False,
            break_on_hyphens=False,
        ).replace("\0", " ")

    def help(self) -> str:
        """The whole help; its first line is the summary, as gdb's `help` lists want it."""
        parts = [self.summary, self.usage()]
        if self.description:
            parts.append(paragraphs(self.description))
        entries = [(a.value_name, a.help) for a in self.positionals()]
        entries += [
            (", ".join(a.names) + (" " + a.value_name if a.value_name else ""), _option_help(a))
            for a in self.options()
        ]
        parts.append(definitions("Arguments:", entries))
        if self.columns:
            parts.append(definitions("Columns:", [(c.name, c.help) for c in self.columns]))
        if self.examples:
            lines = [f"  {line}\n      {purpose}" for line, purpose in self.examples]
            parts.append("Examples:\n" + "\n".join(lines))
        return "\n\n".join(parts)


class Group:
    """Commands that go together in etp-help."""

    __slots__ = ("name", "title", "commands")

    def __init__(self, name: str, title: str, commands: tuple[Command, ...]) -> None:
        self.name = name
        self.title = title
        self.commands = commands


def _option_help(argument: Argument) -> str:
    if argument.default in (None, False, ""):
        return argument.help
    return f"{argument.help} (default: {argument.default})"


def paragraphs(text: str) -> str:
    """Fill each paragraph; paragraphs are separated by an empty line."""
    found = textwrap.dedent(text).strip().split("\n\n")
    return "\n\n".join(textwrap.fill(" ".join(p.split()), HELP_WIDTH) for p in found)


def definitions(title: str, entries: list[tuple[str, str]]) -> str:
    indent = 24
    lines = [title]
    for name, text in entries:
        head = "  " + name
        if len(head) > indent - 2:
            lines.append(head)
            head = ""
        lines.append(
            textwrap.fill(
                text,
                HELP_WIDTH,
                initial_indent=head.ljust(indent),
                subsequent_indent=" " * indent,
                break_on_hyphens=False,
            )
        )
    return "\n".join(lines)


HELP = Argument("-h", "--help", help="show this text", kind="flag")
JSON = Argument("--json", help="print JSON for machines instead of text", kind="flag")


def limit(default: int, noun: str) -> Argument:
    return Argument(
        "--limit", help=f'show at most so many {noun}; "all" for all', kind="limit", default=default
    )


def sort_by(*keys: str, help: str) -> Argument:
    """How what a command lists is ordered; by the first key unless another is asked for."""
    return Argument("--sort", help=help, metavar="KEY", choices=keys, default=keys[0])


def table_arguments(
    columns: tuple[Column, ...], sort: str, rows: int, noun: str
) -> tuple[Argument, ...]:
    """The options that every table has."""
    names = tuple(column.name for column in columns)
    return (
        Argument(
            "--sort", help="sort by this column", metavar="COLUMN", choices=names, default=sort
        ),
        Argument("--reverse", help="turn the order round", kind="flag"),
        limit(rows, noun),
        Argument(
            "--columns",
            help='columns to show, separated by commas, or "all"; otherwise those that fit',
            metavar="LIST",
            complete=lambda _context: ["all", *names],
        ),
        Argument(
            "--units",
            help="human: 1.5 MiB; bytes, words: exact numbers",
            choices=("human", "bytes", "words"),
            default="human",
        ),
        JSON,
    )
