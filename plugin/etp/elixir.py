# SPDX-License-Identifier: Apache-2.0
"""Which Elixir runs in the VM: inspect/1 prints some terms differently from release to release."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .errors import Problem
from .term_parser import Atom, matches
from .vm import VM, Error

if TYPE_CHECKING:
    from _etp import Term

_VERSION = re.compile(r"[1-9]\d?\.\d{1,3}\.[\w.+-]+")


def version(vm: VM) -> str:
    """What the application controller knows of the application elixir; "" if nothing."""
    # {{loaded, elixir}, #appl{}} in ac_tab, application_controller.erl.
    try:
        for row in vm.ets_table("ac_tab").rows():
            if matches(row.key, (Atom("loaded"), Atom("elixir"))):
                return _version_in(row.term[1])
    except (Problem, Error):
        pass
    return ""


def _version_in(record: Term) -> str:
    """The first element that looks like a version: which one it is depends on the release."""
    if record.kind != "tuple":
        return ""
    for element in record:
        if element.kind == "cons" and element.is_proper_list() and 5 <= len(element) <= 40:
            codes = [character.value() for character in element]
            if all(isinstance(code, int) and 32 < code < 127 for code in codes):
                text = "".join(map(chr, codes))
                if _VERSION.fullmatch(text):
                    return text
    return ""


def minor(version: str) -> int:
    """14 of ``1.14.0``; 0 of anything that is no version 1."""
    found = re.match(r"1\.(\d{1,3})\.", version)
    return int(found.group(1)) if found else 0
