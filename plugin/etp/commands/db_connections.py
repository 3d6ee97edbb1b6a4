# SPDX-License-Identifier: Apache-2.0
"""etp-db-connections: pools of DBConnection, who has their connections, and what these hold."""

from __future__ import annotations

from .declaration import Argument, Column, Command, table_arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator
    from typing import Any

    from ..diagnosis.db_connections import Verdict
    from ..inspectors.db_pool import Client, Connection, Pool, Pools
    from ..inspectors.driver_state import Copy, DriverState
    from ..views import Block, Listing, Report
    from ..vm import VM
    from .context import Context

POOLS = (
    Column(
        "pool", "registered name of the pool, or of the nearest ancestor that has one", flexible=12
    ),
    Column("pid", "of the pool's process", rank=2),
    Column(
        "driver", "module of the connections, and its release as far as it can be told", flexible=12
    ),
    Column("size", "connections", kind="count"),
    Column("idle", "connections in the pool", kind="count"),
    Column("out", "connections that a client has", kind="count"),
    Column("off", "connections that are disconnected or not ready", kind="count"),
    Column("waiting", "callers that wait for a connection", kind="count"),
    Column("longest", "how long the first of them has waited", rank=1),
    Column("cursors", "cursors that its connections hold", kind="count"),
    Column(
        "queue", "queue_target and queue_interval; of Sojourn queue_timeout and queue_size", rank=3
    ),
)

WIDE = 115
"""Columns of a screen that has room for all of POOLS."""

POOLS_NARROW = ("pool", "driver", "size", "idle", "out", "off", "waiting", "longest", "cursors")

CONNECTIONS = (
    Column("connection", "pid of its process"),
    Column("pool", "name of its pool", flexible=10, rank=3),
    Column("status", "idle, checked out, disconnected, connecting, after connect or busy"),
    Column("client", "who has it: pid, and name or initial call", flexible=10, rank=2),
    Column("owner", "whose it is in a sandbox, DBConnection.Ownership", hidden=True),
    Column("owned", "for how long", key="owned_text", hidden=True),
    Column("function", "current function of the client", flexible=12, rank=1),
    Column("query", "on the client's stack", flexible=12, rank=9),
    Column(
        "since",
        "how long ago the client asked for it (so that waiting counts; db_connection 1.x: got it)",
        key="since_text",
        rank=6,
    ),
    Column(
        "left", "until its client's deadline, or until its backoff ends", key="left_text", rank=8
    ),
    Column("idle", "how long it has been in the pool", key="idle_text", rank=7),
    Column("cursors", "cursors that it holds", kind="count"),
    Column(
        "stale",
        "cursors in the copy that its process has of an earlier moment",
        kind="count",
        rank=8,
    ),
    Column(
        "memory", "size of the driver's state, with binaries", kind="bytes", key="bytes", rank=4
    ),
    Column("queries", "statements that it caches", kind="count", rank=5),
    Column("transaction", "status of the transaction, or of the protocol", rank=6),
)

WAITING = (
    Column("caller", "pid, and name or initial call", flexible=12),
    Column("pool", "the pool that it waits for", flexible=10),
    Column("waits", "how long", key="waits_text"),
    Column("function", "its current function", flexible=16, rank=1),
)


def complete_targets(context: Context) -> list[str]:
    from ..diagnosis.db_connections import name_of
    from ..inspectors.db_connection import read

    return sorted({name_of(pool) for pool in read(context.vm).pools if pool.name})


def run(context: Context, args: Namespace) -> Report | Listing:
    from ..code import gaps
    from ..diagnosis.db_connections import diagnose
    from ..errors import UsageError
    from ..inspectors import db_connection, load

    warnings = load(str(context.settings.get("inspectors"))) + gaps(context.vm)
    vm = context.vm
    pools = db_connection.read(vm)
    verdict = diagnose(pools, vm.applications)
    if args.TARGET:
        return _target(context, args, pools, warnings)
    if args.cursors:
        raise UsageError("Cursors of which connection? etp-db-connections CONN --cursors.")
    return _all(context, args, pools, verdict, warnings)


def _target(
    context: Context, args: Namespace, pools: Pools, warnings: list[str]
) -> Report | Listing:
    """One pool or one connection."""
    from ..diagnosis.db_connections import diagnose, name_of
    from ..errors import Problem
    from ..inspectors.db_pool import Pools as Some
    from ..text import safe

    text = args.TARGET.strip()
    for connection in pools.connections:
        own = str(connection.process.pid) == text.replace("#PID", "")
        if own and not (args.cursors is False and _is_own_pool(pools, connection)):
            return (
                _entries(context, args, connection) if args.cursors else _one(context, connection)
            )
    chosen = [
        pool
        for pool in pools.pools
        if text.replace("#PID", "") in (str(pool.pid), pool.name, name_of(pool))
    ]
    if not chosen:
        raise Problem(
            f"{safe(text)} is neither a connection nor a pool: {len(pools.connections):,} connections"
            f" of {len(pools.pools):,} pools were looked at; etp-db-connections lists them."
        )
    if args.cursors:
        raise Problem(f"{safe(text)} is a pool; --cursors needs the pid of one of its connections.")
    some = Some(chosen, [], [problem for pool in chosen for problem in pool.problems])
    return _all(context, args, some, diagnose(some, context.vm.applications), warnings)


def _is_own_pool(pools: Pools, connection: Connection) -> bool:
    return any(pool.pid.word == connection.process.pid.word for pool in pools.pools)


def _all(
    context: Context, args: Namespace, pools: Pools, verdict: Verdict, warnings: list[str]
) -> Report:
    from ..text import plural
    from ..views import Paragraph, Report

    problems = pools.problems + [p for pool in pools.pools for p in pool.problems]
    if pools.stray_holders:
        problems.append(
            f"{plural(len(pools.stray_holders), 'holder')} of connections that no process of a"
            " connection refers to; cursors in them are not counted"
        )
    shown = [f"{problem[:1].upper()}{problem[1:]}." for problem in dict.fromkeys(problems)]
    if len(shown) > 5:
        shown = [*shown[:5], f"{len(shown) - 5:,} more of this kind; --json has all."]
    redact = context.settings.redact
    blocks: list[Block | None] = [_answer(verdict, pools)]
    for number, suspect in enumerate(verdict.suspects[: args.limit or None], 1):
        blocks.append(None)
        blocks += _suspect(number, suspect)
    if pools.pools:
        blocks += [None, _pool_table(pools, context, args.limit)]
        blocks += [None, _connection_table(pools, args, redact)]
    waiting = _waiting_table(pools, args.limit)
    if waiting is not None:
        blocks += [None, waiting]
    if args.explain:
        blocks += _explain()
    elif verdict.suspects:
        blocks += [None, Paragraph("--explain shows from where on a number is suspicious.", "dim")]
    return Report(blocks, _data(verdict, pools, context.vm, redact, problems), warnings + shown)


def _answer(verdict: Verdict, pools: Pools) -> Block:
    """The first line: how many cursors are held, and whether that is a leak."""
    from ..text import plural
    from ..views import Paragraph

    if not pools.pools:
        return Paragraph("There is no pool of DBConnection in this VM.")
    where = f"over all {plural(verdict.connections, 'connection')}"
    if verdict.connections == 1:
        where = "by the only connection"
    if len(pools.pools) > 1:
        where += f" of {len(pools.pools):,} pools"
    held = f"{plural(verdict.cursors, 'cursor')} {'is' if verdict.cursors == 1 else 'are'} held {where}"
    if verdict.leak:
        how = "a leak" if verdict.leak == "sure" else "perhaps a leak"
        return Paragraph(f"{held}: {how}, see below.", "warning")
    if not verdict.cursors:
        held = f"No cursor is held {where}"
    others = [suspect for suspect in verdict.suspects]
    if others:
        more = f" But {plural(len(others), 'other thing')} {'is' if len(others) == 1 else 'are'} wrong: {others[0].title}."
    else:
        more = ""
    if verdict.cursors and verdict.left:
        return Paragraph(
            f"{held}, {verdict.left:,} of them by connections that are not in use.{more}", "warning"
        )
    in_use = ", all by connections that are in use: no leak" if verdict.cursors else ""
    return Paragraph(f"{held}{in_use}.{more}", "warning" if more else "good")


def _suspect(number: int, suspect: Any) -> list[Block | None]:
    from ..units import format_bytes
    from ..views import Paragraph

    amount = suspect.freeable_bytes or suspect.at_stake_bytes
    size = f": {format_bytes(amount)}" if amount else ""
    certainty = {"measured": "", "estimate": " (estimate)", "guess": " (to be judged)"}
    title = f"{number}. {suspect.title}{size}{certainty[suspect.certainty]}"
    return [
        Paragraph(title, "strong", hang=3),
        Paragraph(suspect.sentence, indent=3),
        *(Paragraph("-> " + text, indent=3, hang=3) for text in suspect.advice),
    ]


def _explain() -> list[Block | None]:
    from dataclasses import asdict

    from ..diagnosis.thresholds import DB_THRESHOLDS
    from ..units import format_bytes
    from ..views import Facts, Paragraph

    facts = [
        (name.replace("_", " "), format_bytes(value) if name.endswith("_bytes") else f"{value:,}")
        for name, value in asdict(DB_THRESHOLDS).items()
    ]
    return [None, Paragraph("From here on a number is suspicious:", "strong"), Facts(facts, 2)]


# ---- tables --------------------------------------------------------------------------------


def _pool_table(pools: Pools, context: Context, limit_: int) -> Block:
    from ..views import Table

    rows = [_pool_row(pool, context.vm) for pool in pools.pools]
    # --columns is about those of connections: here there are those that fit.
    wide = (context.screen().width or WIDE) >= WIDE
    table = Table(POOLS, rows, noun="pools", chosen=None if wide else POOLS_NARROW)
    return table.arrange(limit=limit_)


def _pool_row(pool: Pool, vm: VM) -> dict[str, Any]:
    from ..diagnosis.db_connections import longest_wait_ms, name_of

    size = len(pool.connections)
    longest = longest_wait_ms(pool)
    return {
        "pool": name_of(pool),
        "pid": str(pool.pid),
        "driver": ", ".join(_drivers(pool, vm)),
        "size": size,
        "idle": pool.count("idle"),
        "out": pool.count("checked out"),
        "off": size - pool.count("idle", "checked out"),
        "waiting": len(pool.waiting),
        "longest": "" if longest is None else _duration(longest * 10**6),
        "cursors": pool.cursors,
        "queue": _queue_text(pool),
    }


def _queue_text(pool: Pool) -> str:
    settings = pool.settings
    if "target" in settings:
        return f"{settings['target']}/{settings.get('interval')} ms"
    if "timeout" in settings:
        return f"{settings['timeout']} ms, {settings.get('max')}"
    return ""


def _drivers(pool: Pool, vm: VM) -> list[str]:
    """Each module of the pool with its release: of the application, else as the fields tell."""
    from ..inspectors.base import DRIVERS
    from ..text import safe

    found = []
    for module in pool.modules:
        driver = DRIVERS.get(module)
        title = driver.title if driver is not None else safe(module.replace("Elixir.", "", 1))
        release = vm.applications.get(driver.application, "") if driver is not None else ""
        if not release:
            contents = [
                c.content for c in pool.connections if c.content and c.content.struct == module
            ]
            release = contents[0].release if contents else ""
        found.append(f"{title} {safe(release)}".strip())
    return found


def _connection_table(pools: Pools, args: Namespace, redact: bool) -> Block:
    from ..views import Table

    rows = [
        _connection_row(connection, pool, redact)
        for pool in pools.pools
        for connection in pool.connections
    ]
    table = Table(CONNECTIONS, rows, noun="connections")
    return table.arrange(args.sort, args.reverse, args.limit, args.columns, args.units)


def _connection_row(connection: Connection, pool: Pool, redact: bool) -> dict[str, Any]:
    from ..diagnosis.db_connections import name_of

    content = connection.content
    stale = next((copy for copy in connection.older if copy.where == "process"), None)
    client = connection.client
    cursors = None if content is None or content.cursors is None else content.cursors.count
    return {
        "connection": str(connection.process.pid),
        "pool": name_of(pool),
        "status": connection.status,
        "client": _client_text(connection),
        "owner": "" if connection.owner is None else str(connection.owner),
        "owned_text": "" if connection.owned_ns is None else _duration(connection.owned_ns),
        "function": _function_text(client),
        "query": _query_text(client, redact),
        "since_text": _since_text(connection),
        "left_text": _left_text(connection),
        "idle_text": "" if connection.idle_ns is None else _duration(connection.idle_ns),
        "cursors": cursors,
        "stale": stale.content.cursors.count if stale and stale.content.cursors else None,
        "bytes": None if content is None else content.bytes,
        "queries": content.queries.count if content and content.queries else None,
        "transaction": "" if content is None else content.transaction,
    }


def _client_text(connection: Connection) -> str:
    client = connection.client
    if client is not None:
        return f"{client.pid} {client.label}".strip()
    if connection.proxy is not None:
        return f"proxy {connection.proxy.pid} of {_owner_text(connection)}"
    return ""


def _owner_text(connection: Connection) -> str:
    return (
        "an owner that it does not monitor any more"
        if connection.owner is None
        else str(connection.owner)
    )


def _since_text(connection: Connection) -> str:
    if connection.out_ns is not None:
        return _duration(connection.out_ns)
    return "unknown" if connection.out_unknown else ""


def _left_text(connection: Connection) -> str:
    """Of a deadline or a backoff."""
    left = connection.deadline_ms if connection.backoff_ms is None else connection.backoff_ms
    return "" if left is None else _until(left)


def _until(milliseconds: int) -> str:
    if milliseconds < 0:
        return f"overdue {_duration(-milliseconds * 10**6)}"
    return _duration(milliseconds * 10**6)


def _ends(milliseconds: int) -> str:
    return f"in {_until(milliseconds)}" if milliseconds >= 0 else _until(milliseconds)


def _function_text(client: Client | None) -> str:
    """As Elixir writes it, since that is what runs pools of DBConnection."""
    return "" if client is None or client.function is None else client.function.name("elixir")


def _query_text(client: Client | None, redact: bool) -> str:
    if client is None or not client.query:
        return ""
    return f"({len(client.query):,} characters)" if redact else client.query


def _waiting_table(pools: Pools, limit_: int) -> Block | None:
    from ..views import Table

    rows = [_waiting_row(client, pool) for pool in pools.pools for client in pool.waiting]
    if not rows:
        return None
    rows.sort(key=lambda row: -(row["waits_ns"] or 0))
    return Table(WAITING, rows, noun="callers that wait").arrange(limit=limit_)


def _waiting_row(client: Client, pool: Pool) -> dict[str, Any]:
    from ..diagnosis.db_connections import name_of

    return {
        "caller": f"{client.pid} {client.label}".strip()
        if client.process
        else f"{client.pid} (dead)",
        "pool": name_of(pool),
        "waits_text": "" if client.waits_ns is None else _duration(client.waits_ns),
        "waits_ns": client.waits_ns,
        "function": _function_text(client),
    }


def _duration(nanoseconds: int) -> str:
    from ..units import format_milliseconds

    return format_milliseconds(nanoseconds // 10**6)


# ---- one connection ------------------------------------------------------------------------


def _one(context: Context, connection: Connection) -> Report:
    from ..views import Facts, Paragraph, Report

    redact = context.settings.redact
    facts = [
        (
            "status",
            connection.status
            + (f" ({connection.holder_status})" if connection.holder_status else ""),
        )
    ]
    client = connection.client
    if client is not None:
        function = f", in {_function_text(client)}" if client.function is not None else ""
        facts.append(("client", f"{client.pid} {client.label}{function}"))
        if client.query:
            facts.append(("query", _query_text(client, redact)))
    if connection.proxy is not None:
        facts.append(("proxy", f"{connection.proxy.pid}, for its owner {_owner_text(connection)}"))
        if connection.owned_ns is not None and connection.owner_left_ms is not None:
            owned = _duration(connection.owned_ns)
            facts.append(("owned for", f"{owned}, ends {_ends(connection.owner_left_ms)}"))
    facts += _times(connection)
    if connection.holder is not None:
        facts.append(("holder", f"{connection.holder.ref}"))
    if connection.orphans:
        facts.append(("orphaned tables", f"{len(connection.orphans):,}"))
    title = f"Connection {connection.process.pid} of the pool {connection.pool_pid or connection.process.pid}: {connection.module.replace('Elixir.', '', 1)}"
    blocks: list[Block | None] = [Paragraph(title, "strong"), Facts(facts, 2)]
    if connection.live is not None:
        blocks += _copy_blocks(
            f"Its state, in the {_where(connection.live, connection)}:", connection.live, redact
        )
    for copy in connection.older:
        blocks += _copy_blocks(f"A stale copy, in the {_where(copy, connection)}:", copy, redact)
    cursors = connection.cursors
    if cursors:
        blocks.append(None)
        blocks.append(
            Paragraph(
                f"etp-db-connections {connection.process.pid} --cursors lists the cursors.", "dim"
            )
        )
    warnings = [f"{p[:1].upper()}{p[1:]}." for p in connection.problems]
    return Report(blocks, _connection_data(connection, redact), warnings)


def _times(connection: Connection) -> Iterator[tuple[str, str]]:
    """Since when it is what it is, and for how long yet."""
    if connection.out_ns is not None:
        how = "got it" if connection.holder is None else "asked for it"
        yield "since", f"its client {how} {_duration(connection.out_ns)} ago"
        if connection.deadline_ms is not None:
            yield "deadline", _ends(connection.deadline_ms)
    elif connection.out_unknown:
        yield "since", f"unknown: {connection.out_unknown}"
    for label, time in (
        ("idle for", connection.idle_ns),
        ("connected for", connection.connected_ns),
    ):
        if time is not None:
            yield label, _duration(time)
    if connection.backoff_ms is not None:
        yield "backoff", f"{connection.backoff}, ends {_ends(connection.backoff_ms)}"
    elif connection.backoff:
        yield "backoff", connection.backoff


def _where(copy: Copy, connection: Connection) -> str:
    if copy.where == "process":
        return "process of the connection"
    if copy.where == "proxy" and connection.live is not copy:
        return "proxy, as of when its client got it"
    if copy.where == "holder" and connection.live is not copy:
        return "pool's holder, as of when the proxy took it"
    return copy.where


def _copy_blocks(title: str, copy: Copy, redact: bool) -> list[Block | None]:
    from ..text import plural
    from ..units import format_bytes
    from ..views import Facts, Paragraph

    content = copy.content
    facts = [("size", format_bytes(content.bytes))]
    if content.cursors is not None:
        kinds = ", ".join(
            f"{count:,} {kind}" for kind, count in sorted(content.cursors.kinds.items())
        )
        text = f"{content.cursors.count:,}"
        if kinds:
            text += f" ({kinds}) of {format_bytes(content.cursors.bytes)}"
        facts.append(("cursors", text))
    if content.queries is not None:
        table = f" in the table {content.queries.table.ref}" if content.queries.table else ""
        facts.append(
            (
                "cached queries",
                f"{content.queries.count:,}{table}, {format_bytes(content.queries.bytes)}",
            )
        )
    if content.buffer_bytes:
        facts.append(("buffer", format_bytes(content.buffer_bytes)))
    if content.result_bytes:
        facts.append(("last result", format_bytes(content.result_bytes)))
    if content.statement:
        facts.append(
            (
                "last statement",
                f"({len(content.statement):,} characters)" if redact else content.statement,
            )
        )
    if content.transaction:
        facts.append(("transaction", content.transaction))
    for name, count, size in content.parts:
        elements = "" if count is None else f"{plural(count, 'element')}, "
        facts.append((name, f"{elements}{format_bytes(size)}"))
    return [None, Paragraph(title), Facts(facts, 2)]


def _entries(context: Context, args: Namespace, connection: Connection) -> Listing:
    from ..text import plural
    from ..views import Listing

    live = connection.live
    total = connection.cursors
    limit_ = args.limit or total
    where = "" if live is None else f", in the {_where(live, connection)}"
    redact = context.settings.redact

    def texts() -> Iterator[tuple[str, Any]]:
        from ..inspectors.driver_state import cursor_entries

        if live is None:
            return
        for number, (ref, entry) in enumerate(cursor_entries(live)):
            if number == limit_:
                return
            facts = entry_facts(live.content, entry, redact)
            parts = [f"{ref}", facts["kind"]]
            if facts["statement_id"] is not None:
                parts.append(f"statement {facts['statement_id']}")
            if facts["columns"]:
                parts.append("columns " + ", ".join(facts["columns"]))
            elif facts["params"] is not None:
                parts.append(plural(facts["params"], "parameter"))
            yield "  ".join(parts), {"ref": str(ref), **facts}

    def close(count: int, interrupted: bool) -> list[str]:
        if interrupted:
            return ["Interrupted."]
        if count < total:
            return [f"{count:,} of {plural(total, 'cursor')} shown; --limit all shows all."]
        return []

    pid = connection.process.pid
    header = f"{plural(total, 'cursor')} of the connection {pid} ({connection.status}{where})"
    facts = {"connection": str(pid), "status": connection.status, "total": total}
    return Listing(texts(), close, header, facts, noun="cursors")


def entry_facts(content: DriverState, entry: Any, redact: bool) -> dict[str, Any]:
    """Of one cursor: kind, id of the statement, names of columns or number of parameters."""
    from ..inspectors.base import atom, element, integer, size
    from ..text import safe

    kind = atom(element(entry, 0))
    positions = content.driver.entry.get(kind or "") if content.driver is not None else None
    found: dict[str, Any] = {
        "kind": safe(kind) if kind else entry.kind, "statement_id": None, "columns": [], "params": None,
    }  # fmt: skip
    values = entry
    if positions is not None:
        found["statement_id"] = integer(element(entry, positions[0]))
        values = element(entry, positions[1])
    if kind in ("params", "first"):
        found["params"] = size(values)
    elif values is not None and values.kind == "cons" and values.is_proper_list():
        names = [element(column, 1) for column in list(values)[:20]]
        found["columns"] = [
            "?" if name is None or name.kind != "bitstring" else
            f"({len(name)} bytes)" if redact else safe(name.bytes(64).decode("utf-8", "replace"))
            for name in names
        ]  # fmt: skip
    return found


# ---- JSON ----------------------------------------------------------------------------------


def _data(
    verdict: Verdict, pools: Pools, vm: VM, redact: bool, problems: list[str]
) -> dict[str, Any]:
    return {
        "cursors": verdict.cursors,
        "cursors_in_use": verdict.in_use,
        "leak": verdict.leak or None,
        "suspects": [suspect.data() for suspect in verdict.suspects],
        "pools": [
            {
                **_pool_row(pool, vm),
                "name": pool.name,
                "kind": pool.kind,
                "status": pool.status,
                "db_connection": vm.applications.get("db_connection", "") or pool.release,
                "layout": pool.release,
                "settings": pool.settings,
                "pool_size": pool.pool_size,
                "waiting": [
                    {
                        "pid": str(client.pid),
                        "alive": client.process is not None,
                        **_waiting_row(client, pool),
                    }
                    for client in pool.waiting
                ],
                "connections": [_connection_data(c, redact) for c in pool.connections],
            }
            for pool in pools.pools
        ],
        "stray_holders": [f"{table.address:#x}" for table in pools.stray_holders],
        "problems": problems,
    }


def _connection_data(connection: Connection, redact: bool) -> dict[str, Any]:
    client = connection.client
    return {
        "pid": str(connection.process.pid),
        "module": connection.module,
        "status": connection.status,
        "holder": str(connection.holder.ref) if connection.holder else None,
        "holder_status": connection.holder_status or None,
        "client": None if client is None else {
            "pid": str(client.pid),
            "label": client.label,
            "function": _function_text(client) or None,
            "query": _query_text(client, redact) or None,
        },
        "proxy": str(connection.proxy.pid) if connection.proxy else None,
        "owner": str(connection.owner) if connection.owner is not None else None,
        "owned_ns": connection.owned_ns,
        "owner_left_ms": connection.owner_left_ms,
        "out_ns": connection.out_ns,
        "deadline_ms": connection.deadline_ms,
        "out_unknown": connection.out_unknown or None,
        "idle_ns": connection.idle_ns,
        "connected_ns": connection.connected_ns,
        "backoff": connection.backoff or None,
        "backoff_ms": connection.backoff_ms,
        "orphaned_tables": [f"{table.address:#x}" for table in connection.orphans],
        "state": None if connection.live is None else _copy_data(connection.live, redact),
        "stale_copies": [_copy_data(copy, redact) for copy in connection.older],
        "problems": connection.problems,
    }  # fmt: skip


def _copy_data(copy: Copy, redact: bool) -> dict[str, Any]:
    content = copy.content
    cursors, queries = content.cursors, content.queries
    return {
        "where": copy.where,
        "struct": content.struct,
        "release": content.release or None,
        "bytes": content.bytes,
        "cursors": None if cursors is None else {
            "count": cursors.count, "kinds": cursors.kinds, "bytes": cursors.bytes, "unreadable": cursors.unreadable,
        },
        "queries": None if queries is None else {"count": queries.count, "bytes": queries.bytes},
        "buffer_bytes": content.buffer_bytes,
        "result_bytes": content.result_bytes,
        "transaction": content.transaction or None,
        "statement": None if redact or not content.statement else content.statement,
        "parts": [{"name": name, "count": count, "bytes": size} for name, count, size in content.parts],
        "unreadable": content.unreadable,
    }  # fmt: skip


COMMAND = Command(
    name="etp-db-connections",
    summary="Pools of database connections: cursors, clients, who waits.",
    description="""
    For the pools of DBConnection (Ecto's, with MyXQL, Postgrex, Tds, Exqlite, Mariaex or any other
    driver): how many cursors are held over all connections, and whether that is a leak; what else
    is wrong; each pool, each connection with the client that has it, and the callers that wait.
    While a connection is in use or in the pool, its state is not in its process but in a table, the
    holder; what the process has is a copy of an earlier moment, and is called stale. Options of
    connections, which may have passwords, are never printed.

    TARGET is a pool, by name or pid, or the pid of a connection, of which all is shown.
    """,
    run=run,
    arguments=(
        Argument(
            "TARGET",
            help="a pool (name or pid) or a connection (pid)",
            optional=True,
            complete=complete_targets,
        ),
        Argument("--cursors", help="list the cursors of the connection", kind="flag"),
        Argument("--explain", help="show from where on a number is suspicious", kind="flag"),
        *table_arguments(CONNECTIONS, "cursors", 20, "of each kind"),
    ),
    columns=CONNECTIONS,
    examples=(
        ("etp-db-connections", "all pools"),
        ("etp-db-connections MyApp.Repo", "one pool"),
        ("etp-db-connections <0.412.0>", "all of one connection"),
        ("etp-db-connections <0.412.0> --cursors", "the cursors that it holds"),
    ),
)
