# SPDX-License-Identifier: Apache-2.0
"""Read the memory of an Erlang VM that can no longer answer for itself.

    import etp

    vm = etp.open(core="core", executable="/usr/lib/erlang/erts-13.1.5/bin/beam.smp")
    for table in vm.ets_tables:
        print(table.name, table.size, table.owner_label)
    for row in vm.ets_table("sessions").rows():
        print(row.key, row.term[1])

Importing this package is cheap: the binding and rich are loaded on first use, because gdb imports
it at every start.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .vm import VM as VM
    from .vm import Error as Error
    from .ets import EtsTable as EtsTable

__all__ = ["open", "VM", "EtsTable", "Error"]

#: Where to find each lazily loaded name.
_LAZY = {"VM": "vm", "Error": "vm", "EtsTable": "ets"}


def open(  # noqa: A001 - the name is the interface
    core: str | None = None,
    executable: str | None = None,
    sysroot: str | None = None,
    layout: str | None = None,
    pid: int = 0,
    search_path: str | None = None,
    max_libraries: int = 0,
) -> VM:
    """Open a core file of beam.smp, or a copy of the memory of the process ``pid``.

    The process is stopped while it is copied, or, if it executes nothing meanwhile, for a moment
    only, and then runs on; ``vm.info.pause_ns`` says for how long.  Where there is no room for a
    copy, it stands still until the VM is dropped.
    ``executable`` is the beam.smp that dumped it (default: the path that the core names, below
    ``sysroot`` when given, or else in the directories of ``search_path``, which colons separate).
    ``layout`` names a layout file to use instead of the one that fits.  Files are sought for
    ``max_libraries`` of the libraries that the core names (0: 1000); ``vm.info.warnings`` says if there
    are more.
    Raises ``etp.Error`` with one or more plain sentences.
    """
    from .vm import VM

    return VM.open(
        core,
        executable=executable,
        sysroot=sysroot,
        layout=layout,
        pid=pid,
        search_path=search_path,
        max_libraries=max_libraries,
    )


def __getattr__(name: str) -> object:
    if name in _LAZY:
        import importlib

        return getattr(importlib.import_module("." + _LAZY[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
