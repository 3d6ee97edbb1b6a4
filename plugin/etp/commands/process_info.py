# SPDX-License-Identifier: Apache-2.0
"""etp-process-info: everything about one process."""

from __future__ import annotations

from collections import Counter

from .declaration import JSON, Command, limit, sort_by
from .stacktrace import PROCESS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from _etp import Term

    from ..processes import Monitor, ProcessInfo
    from ..views import Block, Report
    from ..vm import VM
    from .context import Context


def run(context: Context, args: Namespace) -> Report:
    from .. import code, processes
    from ..views import Facts, Report

    vm = context.vm
    process = vm.find_process(args.PROCESS)
    info = _sorted(vm, processes.info(vm, process), args.sort)
    entries = [
        *_identity(info),
        *_where(context, info),
        *_messages(info),
        *_relations(vm, info, args.limit),
        *_memory(info),
    ]
    blocks: list[Block | None] = [Facts([(name, text) for name, text in entries if text])]
    return Report(blocks, data(context, info), warnings=info.warnings + code.gaps(vm))


def _sorted(vm: VM, info: ProcessInfo, order: str) -> ProcessInfo:
    """With links and monitors in this order."""
    from dataclasses import replace

    from ..views import ranked

    def key(term: Term | None) -> int | str | None:
        if term is None:
            return None
        return -term.word if order == "pid" else _named(vm, term).partition(" ")[2]

    if order == "listed":
        return info
    return replace(
        info,
        links=ranked(info.links, key),
        all_monitors=ranked(info.all_monitors, lambda monitor: key(monitor.other)),
    )


def _identity(info: ProcessInfo) -> list[tuple[str, str]]:
    from ..processes import call_text
    from ..text import safe

    states = [info.status]
    if info.is_hibernated:
        states.append("hibernated")
    if info.scheduler:
        states.append(f"on {info.scheduler_text}")
    suspenders = ", ".join(str(m.other) for m in info.suspended_by)
    if suspenders:
        states.append(f"suspended by {suspenders}")
    call = call_text(info.initial_call)
    if info.proc_lib_initial_call:
        call = f"{call_text(info.proc_lib_initial_call)} (by {call or 'proc_lib'})"
    return [
        ("pid", str(info.pid)),
        ("registered_name", safe(info.registered_name or "")),
        ("address", f"{info.address:#x}"),
        ("initial_call", safe(call)),
        ("status", ", ".join(states)),
        ("priority", info.priority),
        ("trap_exit", str(info.trap_exit).lower()),
        ("sensitive", "true" if info.is_sensitive else ""),
        ("error_handler", "" if info.error_handler == "error_handler" else info.error_handler),
    ]


def _where(context: Context, info: ProcessInfo) -> list[tuple[str, str]]:
    from ..code import execution

    process = context.vm.process(info.address)
    found = execution(context.vm, process) if process else None
    if not found or not found.current_function:
        return []
    syntax = str(context.settings.get("syntax"))
    place = found.current_location.place if found.current_location else ""
    name = found.current_function.name(syntax)
    return [("current_function", f"{name}  {place}".rstrip())]


def _messages(info: ProcessInfo) -> list[tuple[str, str]]:
    parts = [f"{info.message_queue_len:,}"]
    if info.in_transit:
        queues = [f"{n:,} {name}" for name, n in info.queues.items() if n and name != "inner"]
        parts.append(f"{info.in_transit:,} of them in transit ({', '.join(queues)})")
    if info.external_messages:
        parts.append(f"{info.external_messages:,} in external format")
    if info.signals:
        parts.append(f"and {info.signals:,} other signals in transit")
    return [
        ("message_queue_len", ", ".join(parts)),
        ("message_queue_data", info.message_queue_data),
    ]


def _relations(vm: VM, info: ProcessInfo, most: int) -> list[tuple[str, str]]:
    from ..text import plural

    return [
        ("links", _some([_named(vm, link) for link in info.links], most)),
        ("monitors", _some([_monitor(vm, m) for m in info.monitors], most)),
        ("monitored_by", _some([_monitor(vm, m) for m in info.monitored_by], most)),
        ("suspending", _some([_monitor(vm, m) for m in info.suspending], most)),
        ("group_leader", _named(vm, info.group_leader)),
        ("parent", _named(vm, info.parent) if info.parent is not None else ""),
        ("dictionary", plural(len(info.dictionary), "pair") if info.dictionary else ""),
    ]


def _some(texts: list[str], most: int) -> str:
    """What is there several times is shown once: one process may monitor another ever again."""
    counts = Counter(texts)
    each = [f"{count:,} x {text}" if count > 1 else text for text, count in counts.items()]
    shown = each[:most] if most else each
    more = len(texts) - sum(list(counts.values())[: len(shown)])
    head = f"{len(texts):,}: " if len(each) > 1 else ""
    return head + ", ".join(shown) + (f", ... {more:,} more" if more else "")


def _named(vm: VM, term: Term) -> str:
    """A pid or port with the label of its process."""
    if term.kind == "pid" and not term.address:
        process = vm.process(term)
        return f"{term} {process.label}".rstrip() if process else f"{term} (dead)"
    return str(term)


def _monitor(vm: VM, monitor: Monitor) -> str:
    if monitor.name is not None and not monitor.is_target:
        return f"{monitor.name} on {monitor.node}"
    other = "" if monitor.other is None else _named(vm, monitor.other)
    return f"{other} (by name)" if monitor.name is not None else other


def _memory(info: ProcessInfo) -> list[tuple[str, str]]:
    from ..units import format_bytes, format_words

    gc = info.garbage_collection
    sizes = info.garbage_collection_info
    maximum = gc["max_heap_size"]
    young = f"{sizes['heap_size']:,} of {format_words(sizes['heap_block_size'])} used"
    old = f"{sizes['old_heap_size']:,} of {format_words(sizes['old_heap_block_size'])} used"
    return [
        (
            "memory",
            f"{format_bytes(info.memory)} ({info.memory:,} bytes), without off-heap binaries",
        ),
        ("total_heap_size", format_words(info.total_heap_size)),
        ("  young heap", young),
        ("  old heap", old if sizes["old_heap_block_size"] else ""),
        ("  mbuf_size", format_words(sizes["mbuf_size"]) if sizes["mbuf_size"] else ""),
        ("stack_size", format_words(info.stack_size)),
        ("min_heap_size", format_words(info.min_heap_size)),
        ("max_heap_size", format_words(maximum["size"]) if maximum["size"] else ""),
        ("reductions", f"{info.reductions:,}"),
        ("catchlevel", str(info.catchlevel)),
        (
            "garbage_collection",
            f"{gc['minor_gcs']} minor since the last full sweep, which comes after"
            f" {gc['fullsweep_after']:,}",
        ),
    ]


def data(context: Context, info: ProcessInfo) -> dict[str, object]:
    """Names and values of process_info/2; terms as text."""
    from ..code import execution

    process = context.vm.process(info.address)
    found = execution(context.vm, process) if process else None
    where = found.current_location if found else None
    return {
        "pid": str(info.pid),
        "address": f"{info.address:#x}",
        "registered_name": info.registered_name,
        "initial_call": info.initial_call,
        "proc_lib_initial_call": info.proc_lib_initial_call,
        "current_function": (
            found.current_function.data() if found and found.current_function else None
        ),
        "current_location": where.data() if where else None,
        "status": info.status,
        "hibernated": info.is_hibernated,
        "scheduler": info.scheduler,
        "priority": info.priority,
        "trap_exit": info.trap_exit,
        "sensitive": info.is_sensitive,
        "error_handler": info.error_handler,
        "message_queue_len": info.message_queue_len,
        "message_queue_data": info.message_queue_data,
        "queues": info.queues,
        "external_messages": info.external_messages,
        "signals": info.signals,
        "links": [str(link) for link in info.links],
        "monitors": [_monitor_data(m) for m in info.monitors],
        "monitored_by": [_monitor_data(m) for m in info.monitored_by],
        "suspending": [_monitor_data(m) for m in info.suspending],
        "group_leader": str(info.group_leader),
        "parent": None if info.parent is None else str(info.parent),
        "dictionary_size": len(info.dictionary),
        "memory": info.memory,
        "total_heap_size": info.total_heap_size,
        "heap_size": info.heap_size,
        "stack_size": info.stack_size,
        "min_heap_size": info.min_heap_size,
        "fullsweep_after": info.fullsweep_after,
        "reductions": info.reductions,
        "catchlevel": info.catchlevel,
        "garbage_collection": info.garbage_collection,
        "garbage_collection_info": info.garbage_collection_info,
        "unknown": info.unknown,
        "uncertain": info.uncertain,
        "gaps": info.gaps,
        "problem": info.problem or None,
    }


def _monitor_data(monitor: Monitor) -> dict[str, object]:
    found: dict[str, object] = {
        "type": monitor.type,
        "other": None if monitor.other is None else str(monitor.other),
        "ref": None if monitor.ref is None else str(monitor.ref),
    }
    if monitor.name is not None:
        found.update(name=str(monitor.name), node=str(monitor.node))
    if monitor.type == "suspend":
        found.update(count=monitor.suspend_count, active=monitor.suspend_active)
    return found


COMMAND = Command(
    name="etp-process-info",
    summary="Show what process_info/2 says of a process.",
    description="""
    Names, values and units are those of process_info/2. What was in registers or in transition
    when the core was taken is named before the answer.
    """,
    run=run,
    arguments=(
        PROCESS,
        sort_by(
            "listed",
            "pid",
            "name",
            help="of links and monitors: as process_info/2 lists them; by pid; by the name or initial"
            " call of the other end",
        ),
        limit(8, "links and monitors"),
        JSON,
    ),
    examples=(
        ("etp-process-info <0.123.0>", "the process that prints so"),
        ("etp-process-info application_controller", "a registered one"),
    ),
)
