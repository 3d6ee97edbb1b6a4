# SPDX-License-Identifier: Apache-2.0
"""Applications that the application controller has loaded, and their versions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .errors import Problem
from .term_parser import Atom, matches
from .vm import VM, Error

if TYPE_CHECKING:
    from _etp import Term

_VERSION = re.compile(r"\d[\w.+-]*")
_VSN = 5
"""Position of the version in #appl{} (application_controller.erl of OTP 23 to 29)."""


def versions(vm: VM) -> dict[str, str]:
    """By name, as in ``{"myxql": "0.4.0"}``; empty when the table of the controller is not there."""
    found: dict[str, str] = {}
    # {{loaded, Name}, #appl{}} in ac_tab, application_controller.erl.
    try:
        for row in vm.ets_table("ac_tab").rows():
            key = row.key
            if key.kind == "tuple" and len(key) == 2 and matches(key[0], Atom("loaded")):
                version = version_in(row.term[1])
                if version and key[1].kind == "atom":
                    found[str(key[1].value())] = version
    except (Problem, Error):
        pass
    return found


def version_in(record: Term) -> str:
    """The version in a #appl{}; "" if it has none."""
    if record.kind != "tuple" or len(record) <= _VSN:
        return ""
    text = record[_VSN]
    if text.kind != "cons" or not text.is_proper_list() or len(text) > 40:
        return ""
    codes = [character.value() for character in text]
    if not all(isinstance(code, int) and 32 < code < 127 for code in codes):
        return ""
    version = "".join(map(chr, codes))
    return version if _VERSION.fullmatch(version) else ""
