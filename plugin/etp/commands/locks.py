# SPDX-License-Identifier: Apache-2.0
"""etp-locks: locks that are held, and awaited."""

from __future__ import annotations

from .declaration import Column, Command, table_arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ..locks import Lock
    from ..views import Table
    from .context import Context

COLUMNS = (
    Column("lock", "as ERTS calls it: proc_main, port_lock, db_tab ..."),
    Column("of", "process, port, ETS table or node that it protects", flexible=16),
    Column("held", "exclusively, or by so many that read"),
    Column("awaited", "somebody waits for it", kind="yesno"),
    Column(
        "by",
        "thread that has it; of a process the scheduler that executes it, which must; else it is not recorded",
    ),
    Column("index", "which of the locks of a table", kind="count", rank=2),
    Column("address", "address of what it protects", kind="address", hidden=True),
)

_NOT_READ = (
    "locks without an owner in this list (of memory allocators, tables of the VM, permissions to change code)",
    "of ordered sets with write_concurrency those of their parts",
    "who reads a table with read_concurrency, while nobody waits",
)


def run(context: Context, args: Namespace) -> Table:
    from ..locks import locks
    from ..text import plural
    from ..views import Table

    found = locks(context.vm)
    rows = [_row(context, lock) for lock in found.locks]
    warnings = []
    if found.gaps:
        warnings.append(f"{plural(found.gaps, 'lock')} could not be read.")
    view = Table(COLUMNS, rows, noun="locks", warnings=warnings)
    awaited = sum(lock.is_awaited for lock in found.locks)
    held = sum(lock.is_exclusive or lock.readers != 0 for lock in found.locks)
    view.notes += [
        f"{plural(held, 'lock')} held, {awaited or 'none'} awaited."
        " A lock is held for a moment, and does not say by whom.",
        f"Not looked at: {'; '.join(_NOT_READ)}.",
    ]
    # Those that are awaited first.
    rows.sort(key=lambda row: not row["awaited"])
    sort = None if args.sort == "awaited" else args.sort
    return view.arrange(sort, args.reverse, args.limit, args.columns, args.units)


def _row(context: Context, lock: Lock) -> dict[str, object]:
    readers = "by readers" if lock.readers < 0 else f"by {lock.readers:,} readers"
    if lock.readers == 1:
        readers = "by 1 reader"
    held = "exclusively" if lock.is_exclusive else readers if lock.readers else "no"
    return {
        "lock": lock.name,
        "of": _of(context, lock),
        "owner": lock.owner,
        "held": held,
        "is_exclusive": lock.is_exclusive,
        "readers": lock.readers,
        "awaited": lock.is_awaited,
        "by": _by(lock),
        "thread": lock.thread or None,
        "index": lock.index if lock.name == "db_hash_slot" else None,
        "address": f"{lock.address:#x}",
    }


def _by(lock: Lock) -> str | None:
    if lock.holder is not None:
        return lock.holder.name
    return f"thread {lock.thread}" if lock.thread else None


def _of(context: Context, lock: Lock) -> str:
    if lock.owner == "process":
        process = context.vm.process(lock.term)
        return f"{lock.term} {process.label}".strip() if process else str(lock.term)
    if lock.owner == "node" and context.settings.redact:
        return f"{lock.address:#x}"
    return str(lock.term)


COMMAND = Command(
    name="etp-locks",
    summary="List held locks of processes, ports, tables and connections.",
    description="""
    A lock that is held is nothing out of the ordinary: whoever executes a process has its main lock. One that is awaited
    in every look, or by all schedulers, is what a VM hangs on.
    """,
    run=run,
    columns=COLUMNS,
    arguments=table_arguments(COLUMNS, "awaited", 50, "locks"),
    examples=(("etp-locks --json --limit all", "all of them, for a script"),),
)
