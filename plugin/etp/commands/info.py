# SPDX-License-Identifier: Apache-2.0
"""etp-info: what VM this is, and how good the core."""

from __future__ import annotations

from .declaration import JSON, Argument, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ..views import Block, Report
    from ..vm import Info, MappedFile
    from .context import Context


def run(context: Context, args: Namespace) -> Report:
    from ..views import Facts, Paragraph, Report

    info = context.vm.info
    redact = context.settings.redact
    failed = [check for check in info.checks if check.failed]
    entries = [
        ("VM", f"Erlang/OTP {info.otp_release}, ERTS {info.erts_version}, {info.flavor},"
               f" {info.machine}"),
        ("node", _node(info, redact)),
        ("process", _process(info)),
        ("snapshot taken" if info.is_snapshot else "core written", _written(info)),
        ("schedulers", f"{info.schedulers}, dirty CPU {info.dirty_cpu_schedulers},"
                       f" dirty IO {info.dirty_io_schedulers}; {info.threads} threads"),
        ("processes", _of(info.processes, info.process_limit)),
        ("ports", _of(info.ports, info.port_limit)),
        ("atoms", _of(info.atoms, info.atom_limit)),
        ("ETS tables", f"{info.ets_tables:,}"),
        ("layout", _layout(info, redact)),
        ("checks", _checks(info)),
        ("core", _path(info.core_path, redact)),
        ("executable", _path(info.executable_path, redact) or "not found"),
        ("build-id", _build_id(info)),
        ("memory", _memory(info)),
    ]  # fmt: skip
    if info.command and not redact:
        entries.insert(4, ("command", _command(info)))
    blocks: list[Block | None] = [Facts([(label, value) for label, value in entries if value])]
    for check in failed:
        blocks.append(Paragraph(f"Check failed: {check.claim}: {check.failure}", "warning", hang=2))
    # A core without notes of its files does not name them; that there is no build-id of beam.smp is a warning.
    missing = [file for file in info.files if not file.matched and file.path]
    if args.verbose:
        blocks += _verbose(info, redact)
    elif missing and not redact:
        names = ", ".join(file.path for file in missing[:3])
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        blocks.append(
            Paragraph(
                f"Not found with the right build-id: {names}{more}."
                f" {_needed(missing)} `set etp sysroot` says where to look; --verbose lists all"
                " files.",
                "dim",
            )
        )
    return Report(blocks, _facts(info, redact), warnings=list(context.vm.ets_tables.gaps))


def _needed(missing: list[MappedFile]) -> str:
    if any(file.is_executable for file in missing):
        return "Pages of beam.smp that the core lacks are missing; libraries are not needed."
    return "etp needs none of them for its answers."


def _of(count: int, limit: int) -> str:
    return f"{count:,}" + (f" of at most {limit:,}" if limit else "")


def _node(info: Info, redact: bool) -> str:
    name = info.node
    if redact and "@" in name:
        name = name.split("@")[0] + "@..."
    return name


def _path(path: str, redact: bool) -> str:
    if redact and path:
        return ".../" + path.rsplit("/", 1)[-1]
    return path


def _process(info: Info) -> str:
    import signal

    from ..units import format_duration

    parts = []
    if info.pid:
        parts.append(f"pid {info.pid}")
    if info.signal:
        try:
            parts.append(signal.Signals(info.signal).name)
        except ValueError:
            parts.append(f"signal {info.signal}")
    if info.uptime_ns >= 0:
        parts.append(f"up for {format_duration(info.uptime_ns / 1e9)} by the VM's own clock")
    return ", ".join(parts)


def _command(info: Info) -> str:
    from ..system_info import without_secrets

    return " ".join(without_secrets(info.command.split(" ")))


def _written(info: Info) -> str:
    """A copy's time is when it was copied, so this is only what the file says."""
    import time

    if info.is_snapshot:
        from ..units import format_pause

        when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(info.taken_at_ns // 10**9))
        pause = format_pause(info.pause_ns / 1e9)
        return when + (f"; the VM stood still for {pause}" if info.pause_ns else "")
    if not info.core_mtime:
        return ""
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(info.core_mtime))
    return f"{when}, by the time of the file (that of a copy may be later)"


def _layout(info: Info, redact: bool) -> str:
    source = info.layout_source
    if redact:
        source = " ".join(_path(word, True) if "/" in word else word for word in source.split())
    made = f"OTP {info.layout_otp_release}, ERTS {info.layout_erts_version}, {info.layout_flavor}"
    origin = f"; made from {info.layout_origin}" if info.layout_origin and not redact else ""
    return f"{source} ({made}{origin})"


def _checks(info: Info) -> str:
    if not info.checks:
        return "none made"
    failed = sum(1 for check in info.checks if check.failed)
    tried = sum(check.tried for check in info.checks)
    unreadable = sum(check.unreadable for check in info.checks)
    text = f"{len(info.checks) - failed} of {len(info.checks)} hold ({tried:,} cases"
    return text + (f", {unreadable:,} unreadable)" if unreadable else ")")


def _build_id(info: Info) -> str:
    memory = "memory" if info.is_process else "core"
    if not info.core_build_id:
        return info.executable_build_id and info.executable_build_id + f" (not in the {memory})"
    if info.core_build_id == info.executable_build_id:
        return info.core_build_id + f", the same in {memory} and executable"
    return f"{memory} {info.core_build_id}, executable {info.executable_build_id or 'unknown'}"


def _memory(info: Info) -> str:
    from ..units import format_bytes

    text = f"{format_bytes(info.bytes_total)} in {info.segments:,} segments:"
    text += f" {format_bytes(info.bytes_saved)} {'readable' if info.is_process else 'saved'}"
    if info.bytes_from_files:
        text += f", {format_bytes(info.bytes_from_files)} taken from files"
    text += f", {format_bytes(info.bytes_missing)} {'left out' if info.is_process else 'missing'}"
    if info.bytes_truncated:
        text += f"; the core is cut off by {format_bytes(info.bytes_truncated)}"
    return text


def _verbose(info: Info, redact: bool) -> list[Block | None]:
    from ..views import Lines, Paragraph

    blocks: list[Block | None] = [None, Paragraph("Self-checks", "strong")]
    blocks.append(
        Lines(
            [
                f"{'FAILED' if check.failed else 'ok':6}  {check.claim} ({check.tried:,} cases"
                + (f", {check.unreadable:,} unreadable)" if check.unreadable else ")")
                for check in info.checks
            ],
            indent=2,
        )
    )
    if not redact:
        blocks += [None, Paragraph("Mapped files", "strong")]
        blocks.append(
            Lines(
                [
                    f"{'ok' if file.matched else 'absent':6}  {file.path}"
                    + (f" <- {file.used_path}" if file.used_path not in (None, file.path) else "")
                    for file in info.files
                ],
                indent=2,
            )
        )
    return blocks


def _facts(info: Info, redact: bool) -> dict[str, object]:
    from dataclasses import asdict

    facts = asdict(info)
    facts["command"] = _command(info)
    if redact:
        facts["node"] = _node(info, True)
        for name in ("core_path", "executable_path", "layout_source"):
            facts[name] = _path(facts[name], True)
        for name in ("command", "files", "layout_origin"):
            facts[name] = None
    return facts


COMMAND = Command(
    name="etp-info",
    summary="Show release, layout, counts and the state of the core.",
    description="""
    Everything that an answer rests on: which Erlang/OTP it is, where the layout of its structs came
    from and whether it fits the core, how many processes, ports, atoms and tables there are, and
    what memory is missing from the core.
    """,
    run=run,
    arguments=(
        Argument("--verbose", help="list all self-checks and mapped files", kind="flag"),
        JSON,
    ),
)
