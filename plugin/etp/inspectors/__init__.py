# SPDX-License-Identifier: Apache-2.0
"""What etp knows of libraries and applications: inspectors of processes, drivers of databases.

Those that are shipped are the modules beside this one. Those of the user are all files ``*.py`` in
``${XDG_CONFIG_HOME:-~/.config}/etp/inspectors``, or in the directory of ``set etp inspectors``; no
other place is looked at, least of all one beside a core. They are code, and run as the user.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .base import DRIVERS, REGISTERED, Driver, Inspector, Seen, register

if TYPE_CHECKING:
    from ..vm import VM, Process

SHIPPED = ("drivers", "nimble_pool", "rabbitmq", "redix")

_loaded: dict[str, int] = {}
"""Files of the user that were run, by path, and when they had been written."""


def directory(setting: str = "") -> str:
    """Where the files of the user are."""
    if setting:
        return os.path.expanduser(setting)
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return os.path.join(home, "etp", "inspectors")


def load(setting: str = "") -> list[str]:
    """Make all inspectors known.  A file that has changed is run again.  Returns what is wrong with
    files of the user, a sentence each."""
    for name in SHIPPED:
        importlib.import_module(f"{__name__}.{name}")
    where = directory(setting)
    try:
        names = sorted(name for name in os.listdir(where) if name.endswith(".py"))
    except FileNotFoundError:
        return [f"There is no directory {where} with inspectors."] if setting else []
    except OSError as error:
        return [f"The inspectors in {where} cannot be read: {error.strerror}."]
    return [problem for name in names for problem in _run(os.path.join(where, name))]


def _run(path: str) -> Iterator[str]:
    try:
        written = os.stat(path).st_mtime_ns
        if _loaded.get(path) == written:
            return
        name = "etp_inspector_" + os.path.basename(path)[: -len(".py")]
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            yield f"{path} is no Python."
            return
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
        _loaded[path] = written
    except (Exception, SystemExit) as error:  # Whatever a file of the user does, etp goes on.
        line = _line_of(error, path)
        yield f"The inspectors in {path} were left out: {type(error).__name__}: {error}{line}."


def _line_of(error: BaseException, path: str) -> str:
    if isinstance(error, SyntaxError):
        return ""
    trace = error.__traceback__
    line = 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == path:
            line = trace.tb_lineno
        trace = trace.tb_next
    return f" (line {line})" if line else ""


def by_module() -> dict[str, list[Inspector]]:
    """Inspectors by the callback modules that they know."""
    found: dict[str, list[Inspector]] = {}
    for inspector in REGISTERED.values():
        for module in inspector.modules:
            found.setdefault(module, []).append(inspector)
    return found


def known_processes(vm: VM) -> Iterator[tuple[Process, Inspector]]:
    """All processes that an inspector knows, by the module of their initial call."""
    modules = by_module()
    for process in vm.processes():
        call = process.initial_call
        for inspector in modules.get(call[0], ()) if call is not None else ():
            yield process, inspector


def inspect(vm: VM, process: Process, inspector: Inspector) -> tuple[dict[str, object], list[str]]:
    """What an inspector says of a process, and what is wrong with it.  A mistake of the inspector,
    and a state that was not found, are in ``problem``."""
    from ..otp import state

    found = state(vm, process)
    if found.data is None:
        return {"problem": found.problem or "its state was not found"}, []
    seen = Seen(vm, process, found)
    try:
        facts = dict(inspector.inspect(seen))
        return facts, list(inspector.suspicions(seen, facts))
    except Exception as error:  # A mistake of one inspector is not one of etp.
        return {"problem": f"{type(error).__name__} in the inspector: {error}"}, []


__all__ = [
    "DRIVERS", "REGISTERED", "Driver", "Inspector", "Seen", "by_module", "directory", "inspect",
    "known_processes", "load", "register",
]  # fmt: skip
