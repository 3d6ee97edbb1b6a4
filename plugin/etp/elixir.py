# SPDX-License-Identifier: Apache-2.0
"""Which Elixir runs in the VM: inspect/1 prints some terms differently from release to release."""

from __future__ import annotations

import re

from .vm import VM

_VERSION = re.compile(r"[1-9]\d?\.\d{1,3}\.[\w.+-]+")


def version(vm: VM) -> str:
    """What the application controller knows of the application elixir; "" if nothing."""
    found = vm.applications.get("elixir", "")
    return found if _VERSION.fullmatch(found) else ""


def minor(version: str) -> int:
    """14 of ``1.14.0``; 0 of anything that is no version 1."""
    found = re.match(r"1\.(\d{1,3})\.", version)
    return int(found.group(1)) if found else 0
