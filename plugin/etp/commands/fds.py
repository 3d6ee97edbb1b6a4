# SPDX-License-Identifier: Apache-2.0
"""etp-fds: file descriptors that the VM waits for events on."""

from __future__ import annotations

from .declaration import Column, Command, table_arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from _etp import Term

    from ..fds import FileDescriptor, FileDescriptors
    from ..views import Table
    from ..vm import VM
    from .context import Context

COLUMNS = (
    Column("fd", "number of the file descriptor", kind="count"),
    Column(
        "type",
        "driver (driver_select), nif (enif_select); stop: to be told that it may close it; none: in the poll"
        " set, and selected by nobody; nothing: the VM does not wait for it",
    ),
    Column("events", "that were asked for: in, out, error"),
    Column("active", "those that are waited for at the moment", key="active_events", rank=2),
    Column("who", "port or process that is told, with its name or program", flexible=16),
    Column("driver", "of the port; module and type of the NIF's resource", rank=1),
    Column("path", "of a process, not of a core: file, pipe, addresses of a socket", flexible=16),
    Column("address", "address of the resource", kind="address", hidden=True),
)


def run(context: Context, args: Namespace) -> Table:
    from ..fds import file_descriptors
    from ..views import Table

    found = file_descriptors(context.vm)
    ports = {str(port["port"]): port for port in context.vm.native.ports()[0]}
    rows = [_row(context, fd, ports) for fd in found.fds]
    view = Table(COLUMNS, rows, noun="file descriptors", warnings=_warnings(found))
    view.notes.append(_note(found))
    view.facts = {"no_paths": found.no_paths or None, "soft_limit": found.soft_limit}
    # Numbers are names here: the smallest first.
    sort = None if args.sort == "fd" else args.sort
    return view.arrange(sort, args.reverse, args.limit, args.columns, args.units)


def _row(
    context: Context, fd: FileDescriptor, ports: dict[str, dict[str, object]]
) -> dict[str, object]:
    told = list(dict.fromkeys(fd.receivers.values()))
    driver: object = fd.resource
    for term in told:
        driver = driver or ports.get(str(term), {}).get("driver")
    path = fd.path
    if path and context.settings.redact:
        path = path.split(":")[0] if ":[" in path else path.split(" ")[0].rsplit("/", 1)[-1]
    return {
        "fd": fd.number,
        "type": None if fd.type is None else fd.type.replace("_", " "),
        "events": ", ".join(fd.events) or None,
        "active_events": ", ".join(fd.active_events) or None,
        "who": ", ".join(_who(context, term, ports) for term in told) or None,
        "receivers": {way: str(term) for way, term in fd.receivers.items()},
        "driver": driver,
        "path": path,
        "is_incomplete": fd.is_incomplete,
        "address": f"{fd.resource_address:#x}" if fd.resource_address else None,
    }


def _who(context: Context, term: Term, ports: dict[str, dict[str, object]]) -> str:
    vm: VM = context.vm
    if term.kind == "pid":
        process = vm.process(term)
        return f"{term} {process.label}".strip() if process else f"{term} (dead)"
    port = ports.get(str(term))
    if port is None:
        return f"{term} (closed)"
    registered, owner = port["registered_name"], port["connected"]
    name = str(registered) if registered is not None else str(port["name"] or "").split(" ")[0]
    name = name.rsplit("/", 1)[-1]
    process = None if owner is None else vm.process(owner)  # type: ignore[arg-type]
    of = f" of {process.pid} {process.label}".rstrip() if process else ""
    return f"{term} {name}{of}"


def _note(found: FileDescriptors) -> str:
    from ..text import plural

    waited = [fd for fd in found.fds if fd.type is not None]
    text = f"The VM waits for events on {plural(len(waited), 'file descriptor')}"
    if found.no_paths:
        return f"{text}. What they are, and which others it has, is not known: {found.no_paths}."
    text += f" of the {len(found.fds):,} that the process has"
    if found.soft_limit is not None:
        text += f"; it may have {found.soft_limit:,}"
    return text + "."


def _warnings(found: FileDescriptors) -> list[str]:
    from ..text import plural

    warnings = []
    if found.gaps:
        warnings.append(
            f"{plural(found.gaps, 'place')} could not be read, so that some may be missing: {found.problem}."
        )
    incomplete = sum(fd.is_incomplete for fd in found.fds)
    if incomplete:
        warnings.append(f"Of {plural(incomplete, 'file descriptor')} something could not be read.")
    return warnings


COMMAND = Command(
    name="etp-fds",
    summary="List file descriptors that the VM waits for, and for whom.",
    description="""
    Sockets, pipes and terminals for which a driver or a NIF has asked to be told when they can be read or written. Of a
    process, all others that it has open too, each with what it is. The kernel writes nothing of file descriptors to a core:
    there, only those are listed that the VM waits for, by their numbers.
    """,
    run=run,
    columns=COLUMNS,
    arguments=table_arguments(COLUMNS, "fd", 50, "file descriptors"),
    examples=(
        ("etp-fds --sort who", "what each port and process waits for"),
        ("etp-fds --limit all --json", "all of them, for a script"),
    ),
)
