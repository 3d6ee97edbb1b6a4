# SPDX-License-Identifier: Apache-2.0
"""What the user can set; independent of the debugger.

gdb shows each as ``set etp NAME`` and ``show etp NAME``.
"""

from __future__ import annotations

from .errors import UsageError
from .units import parse_limit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Literal

    Kind = Literal["choice", "limit", "switch", "path"]

MAX_BYTES = 1 << 20
"""Bytes of the text of one term, unless length and strings are unlimited: what a forged core can
put on the screen at once."""


class Setting:
    """Declaration of one setting; help in the debugger and in the README come from it."""

    __slots__ = ("name", "kind", "default", "choices", "summary", "help")

    def __init__(
        self,
        name: str,
        kind: Kind,
        default: str | int | bool,
        summary: str,
        help: str,
        choices: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.kind = kind
        self.default = default
        self.choices = choices
        self.summary = summary
        self.help = help

    def parse(self, value: object) -> str | int | bool:
        """The value as this setting keeps it.  Raises UsageError."""
        if self.kind == "switch":
            switch = {"on": True, "off": False, True: True, False: False}.get(value)
            if switch is None:
                raise UsageError(f"{self.name} is on or off, not {value!r}")
            return switch
        if self.kind == "limit":
            try:
                return parse_limit("0" if value is None else str(value))
            except ValueError:
                raise UsageError(f"{self.name} is a number or unlimited, not {value!r}") from None
        text = "" if value is None else str(value)
        if self.kind == "choice" and text not in self.choices:
            raise UsageError(f"{self.name} is one of {', '.join(self.choices)}, not {text!r}")
        return text

    def show(self, value: str | int | bool) -> str:
        if self.kind == "switch":
            return "on" if value else "off"
        if self.kind == "limit":
            return str(value) if value else "unlimited"
        return str(value) or "not set"


SETTINGS = (
    Setting(
        "syntax",
        "choice",
        "erlang",
        "Syntax in which terms are printed.",
        'erlang prints as io:format("~p") does, elixir as inspect/1 of the version of\n'
        "Elixir that is loaded in the VM (1.14 if none is).",
        choices=("erlang", "elixir"),
    ),
    Setting(
        "max-depth",
        "limit",
        30,
        "Levels of nesting of a term that are printed.",
        'What lies deeper is printed as "...". 0 or unlimited: all.',
    ),
    Setting(
        "max-length",
        "limit",
        100,
        "Elements of a list, tuple or map that are printed.",
        "Also the bytes of a binary that is not text. 0 or unlimited: all.",
    ),
    Setting(
        "max-string",
        "limit",
        400,
        "Characters of a string or text binary that are printed.",
        "0 or unlimited: all.",
    ),
    Setting(
        "max-things",
        "limit",
        32 << 20,
        "Tuples, cons cells ... of one process or row that a search looks at.",
        "By etp-who, etp-accumulators and etp-histogram, which need 16 bytes for each and\n"
        "say when there was more. 0 or unlimited: all.",
    ),
    Setting(
        "redact",
        "switch",
        False,
        "Print shapes and sizes instead of contents.",
        "For output that leaves the house. Hidden: every number, string, binary and\n"
        "atom out of a term; the host of the node, the command line, paths of files.\n"
        "Kept, because they come from code and an answer says nothing without them:\n"
        "atoms that are the first element of a tuple or a key of a map, and names of\n"
        "structs; names of tables, registered processes, modules and functions; pids,\n"
        "ports, references; shapes and sizes. If your application makes such names out\n"
        "of what users type, look before you send.",
    ),
    Setting(
        "sysroot",
        "path",
        "",
        "Directory with the files of the machine or container that the core is from.",
        "Paths that the core names are looked up below it. Not set: gdb's own\n"
        "`set sysroot`, and lldb's `platform select --sysroot`.",
    ),
    Setting(
        "search-path",
        "path",
        "",
        "Directories, separated by colons, with files that are not at the core's paths.",
        "A file of the right build-id is taken from below them by its path, or by its\n"
        "name alone. Not set: gdb's own `set solib-search-path`, and lldb's\n"
        "`settings set target.exec-search-paths`.",
    ),
    Setting(
        "max-libraries",
        "limit",
        1000,
        "Libraries that the core names and that files are sought for.",
        "A warning says when it names more: what it lacks of these stays missing, which only\n"
        "etp-bt needs. 0 or unlimited: all.",
    ),
    Setting(
        "layout",
        "path",
        "",
        "Layout file to use instead of the one that fits the core.",
        "scripts/extract-layout makes one from a beam.smp with debug information.",
    ),
    Setting(
        "inspectors",
        "path",
        "",
        "Directory with inspectors of your own, Python files that are run.",
        "Not set: ~/.config/etp/inspectors. See ARCHITECTURE.md for what they look like.",
    ),
    Setting(
        "stats",
        "switch",
        False,
        "Show how long the census took, and how much it went through.",
        "The census is the pass over all memory that etp-bins, etp-bin-leaks and\n"
        "etp-memory rest on.",
    ),
    Setting(
        "debug",
        "switch",
        False,
        "Show Python tracebacks of errors.",
        "For people who work on etp itself.",
    ),
)


class Settings:
    """The values; ``opens_vm`` names those that change how a core is opened."""

    opens_vm = ("sysroot", "search-path", "max-libraries", "layout")

    def __init__(self) -> None:
        self._values: dict[str, str | int | bool] = {s.name: s.default for s in SETTINGS}
        #: Called with the name of a setting after it changed.
        self.on_change: Callable[[str], None] | None = None
        #: Minor version of the VM's Elixir 1.x, 0 when unknown; asked only when it matters.
        self.elixir_minor: Callable[[], int] = lambda: 0

    def declaration(self, name: str) -> Setting:
        for setting in SETTINGS:
            if setting.name == name:
                return setting
        raise UsageError(f"no setting {name!r}; there are: {', '.join(s.name for s in SETTINGS)}")

    def set(self, name: str, value: object) -> None:
        parsed = self.declaration(name).parse(value)
        changed = self._values[name] != parsed
        self._values[name] = parsed
        if changed and self.on_change:
            self.on_change(name)

    def get(self, name: str) -> str | int | bool:
        return self._values[self.declaration(name).name]

    def show(self, name: str) -> str:
        return self.declaration(name).show(self.get(name))

    @property
    def redact(self) -> bool:
        return bool(self._values["redact"])

    @property
    def stats(self) -> bool:
        return bool(self._values["stats"])

    @property
    def debug(self) -> bool:
        return bool(self._values["debug"])

    @property
    def max_things(self) -> int:
        """For VM.max_things of the binding, to which 0 is its own default."""
        return int(self._values["max-things"]) or 1 << 32

    @property
    def sysroot(self) -> str | None:
        return str(self._values["sysroot"]) or None

    @property
    def search_path(self) -> str | None:
        return str(self._values["search-path"]) or None

    @property
    def max_libraries(self) -> int:
        """For VM.open(), to which 0 is its own default."""
        return int(self._values["max-libraries"]) or 1 << 32

    @property
    def layout(self) -> str | None:
        return str(self._values["layout"]) or None

    def format_options(self, width: int = 0, column: int = 0, **limits: int) -> dict[str, Any]:
        """Keywords for Term.format(); width 0 is for one line.  ``limits`` may only lower
        max_depth, max_length and max_string."""
        options: dict[str, Any] = {
            "syntax": "elixir" if self._values["syntax"] == "elixir" else "p",
            "width": width,
            "column": column,
            "unicode": True,
            "redact": self.redact,
        }
        for name in ("max-depth", "max-length", "max-string"):
            key = name.replace("-", "_")
            own = int(self._values[name])
            lower = limits.get(key, 0)
            options[key] = min(own, lower) if own and lower else own or lower
        if options["max_length"] or options["max_string"]:
            options["max_bytes"] = MAX_BYTES
        if options["syntax"] == "elixir":
            options["elixir_minor"] = self.elixir_minor()
        return options
