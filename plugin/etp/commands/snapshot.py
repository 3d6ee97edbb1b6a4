# SPDX-License-Identifier: Apache-2.0
"""etp-snapshot: the memory of a process in a file."""

from __future__ import annotations

from .declaration import JSON, Argument, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ..views import Report
    from .context import Context


def run(context: Context, args: Namespace) -> Report:
    import os

    from ..units import format_bytes, format_pause
    from ..views import Paragraph, Report

    pid, stands_still = context.process()
    path = os.path.expanduser(args.FILE)
    with context.progress("Writing the snapshot") as progress:
        facts = context.snapshot(path, args.force, progress)
    said = f"Process {pid} is in {args.FILE}: {format_bytes(facts['disk_bytes'])}."
    if stands_still:
        said += " It stands still yet; `detach` or `continue` lets it run."
    elif facts["pause_ns"]:
        said += f" It stood still for {format_pause(facts['pause_ns'] / 1e9)}."
    said += f" Open it as a core: etp {args.FILE} etp-info."
    warnings = facts.pop("warnings")
    if facts["unreadable_bytes"]:
        warnings.append(
            f"{format_bytes(facts['unreadable_bytes'])} could not be read; they are zeros in the"
            " file."
        )
    return Report([Paragraph(said)], {"pid": pid, "path": path, **facts}, warnings)


COMMAND = Command(
    name="etp-snapshot",
    summary="Write the memory of a process to a file that is opened like a core.",
    description="""
    Takes all that the analyses need, and no more: the file is smaller than a core by gcore, and the
    VM stands still for a fraction of the time. Without a debugger, the process is stopped for as long
    as it takes to copy its memory, or only for a moment if it executes nothing meanwhile, and runs on
    while the copy is written. In a debugger it stands still anyway.

    The file holds everything that was in the VM's memory, secrets too: only its owner can read it. gdb
    and lldb open it as well. Holes make it look larger than what it takes on the disk: copy it with cp
    --sparse=always or tar -S.
    """,
    run=run,
    arguments=(
        Argument("FILE", help="file to write"),
        Argument("--force", help="replace FILE if there is one", kind="flag"),
        JSON,
    ),
    examples=(("etp-snapshot /var/tmp/vm.snapshot", "to be looked at elsewhere"),),
)
