# SPDX-License-Identifier: Apache-2.0
"""What is wrong with the pools of DBConnection."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..text import plural, safe, shorten
from ..units import format_bytes, format_milliseconds
from .suspect import Number, Suspect
from .thresholds import DB_THRESHOLDS, DbThresholds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..inspectors.base import Driver
    from ..inspectors.db_pool import Connection, Pool, Pools

_URGENT = 1 << 62
"""Rank of what keeps callers waiting now: before all that takes memory only."""


@dataclass
class Verdict:
    """The answer to how many cursors are held, and all that is suspicious."""

    cursors: int
    connections: int
    #: On connections that are checked out.
    in_use: int
    #: On others.
    left: int
    suspects: list[Suspect]

    @property
    def leak(self) -> str:
        """ "sure", "perhaps" or ""."""
        found = [s.certainty for s in self.suspects if s.kind == "cursor_leak"]
        return "sure" if "measured" in found else "perhaps" if found else ""


def diagnose(
    pools: Pools, versions: dict[str, str], limits: DbThresholds = DB_THRESHOLDS
) -> Verdict:
    """``versions`` of the applications that are loaded, by name."""
    connections = pools.connections
    by_struct: dict[str, list[Connection]] = defaultdict(list)
    for connection in connections:
        if connection.content is not None:
            by_struct[connection.content.struct].append(connection)
    suspects: list[Suspect] = []
    for group in by_struct.values():
        suspects += _cursors(group, versions, limits)
        suspects += _orphans(group, versions, limits)
    for pool in pools.pools:
        suspects += _exhausted(pool, limits)
        suspects += _down(pool)
        suspects += _statements(pool, limits)
        suspects += _parts(pool, limits)
    suspects.sort(key=lambda suspect: -suspect.rank)
    in_use = sum(c.cursors for c in connections if _is_used(c))
    total = pools.cursors
    return Verdict(total, len(connections), in_use, total - in_use, suspects)


def _is_used(connection: Connection) -> bool:
    """A process has it that may use a cursor: a client, or the owner of a proxy between queries."""
    return connection.status in ("checked out", "after connect")


def title_of(driver: Driver | None, struct: str) -> str:
    return driver.title if driver is not None else safe(struct.replace("Elixir.", ""))


# ---- releases ------------------------------------------------------------------------------


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("-")[0])[:3])


def is_within(version: str, first: str, last: str) -> bool:
    """Is a release in a range?  Of ``0.2.5 to 0.2.9`` all must be."""
    releases = [_numbers(part) for part in re.split(" to | or |, ", version) if _numbers(part)]
    if not releases or "later" in version:
        return False
    return all(_numbers(first) <= release <= _numbers(last) for release in releases)


def release_of(connection: Connection, versions: dict[str, str]) -> str:
    """The driver's release: as the application controller knows it, or else as its fields tell."""
    content = connection.content
    if content is None or content.driver is None:
        return ""
    return versions.get(content.driver.application, "") or content.release


# ---- cursors -------------------------------------------------------------------------------


def _cursors(
    group: list[Connection], versions: dict[str, str], limits: DbThresholds
) -> list[Suspect]:
    holding = [c for c in group if c.cursors]
    content = holding[0].content if holding else None
    if content is None:
        return []
    driver = content.driver
    release = release_of(holding[0], versions)
    leak = driver.cursor_leak if driver is not None else None
    known = leak is not None and is_within(release, leak[0], leak[1])
    used = [c for c in holding if _is_used(c)]
    left = [c for c in holding if not _is_used(c)]
    crowded = [c for c in used if c.cursors >= limits.busy_cursors]
    on_left, on_used = _sum(left), _sum(used)
    if not known and on_left < limits.idle_cursors and not crowded:
        return []
    name = f"{title_of(driver, content.struct)} {release if known else ''}".strip()
    parts = []
    if left:
        parts.append(
            f"{plural(on_left, 'cursor')} on {_these(left)} that nobody uses: their streams have ended"
        )
    if used:
        what = "some of which may be in use" if left or not crowded else "more than streams in use"
        parts.append(
            f"{plural(on_used, 'cursor')} on {_these(used)} that {_is(used)} checked out, {what}"
        )
    sentence = "; ".join(parts) + "."
    advice = []
    if known and leak is not None:
        sentence += f" {title_of(driver, content.struct)} {leak[0]} to {leak[1]} deletes no cursor when a stream ends."
        advice.append(
            f"Update {title_of(driver, content.struct)} to {leak[2]} or later, which deletes them. Until then,"
            " disconnecting frees them: DBConnection.disconnect_all/3 (db_connection 2.4.1 and later), or"
            " a restart of the pool."
        )
    else:
        advice.append(
            "Which stream or cursor is never closed? etp-db-connections CONN --cursors lists them, and"
            " their statements' ids."
        )
    bytes_left, bytes_used = _cursor_bytes(left), _cursor_bytes(used)
    worst = max(holding, key=lambda c: c.cursors)
    return [
        Suspect(
            kind="cursor_leak",
            title=f"{name} leaks cursors" if known else f"{name}: cursors are left behind",
            sentence=sentence,
            freeable_bytes=bytes_left,
            at_stake_bytes=bytes_left + bytes_used,
            certainty="measured" if left else "guess",
            tables=[],
            numbers=[
                Number("cursors on connections that nobody uses", on_left, "times"),
                Number("cursors on connections that are checked out", on_used, "times"),
                Number("bytes of the former", bytes_left, "bytes"),
                Number("bytes of the latter", bytes_used, "bytes"),
            ],
            derivation=[
                "Pairs of the map of cursors in the state of each connection, as the holder has it; a"
                " stream needs its connection from the first row to the last, so that a cursor on an"
                " idle one is of a stream that has ended.",
                f"Most of them, {worst.cursors:,}, are on {worst.process.pid}.",
            ],
            advice=advice,
        )
    ]


def _sum(connections: Iterable[Connection]) -> int:
    return sum(connection.cursors for connection in connections)


def _cursor_bytes(connections: Iterable[Connection]) -> int:
    return sum(c.content.cursors.bytes for c in connections if c.content and c.content.cursors)


def _these(connections: list[Connection]) -> str:
    return plural(len(connections), "connection")


def _is(connections: list[Connection]) -> str:
    return "is" if len(connections) == 1 else "are"


# ---- tables and statements -----------------------------------------------------------------


def _orphans(
    group: list[Connection], versions: dict[str, str], limits: DbThresholds
) -> Iterator[Suspect]:
    having = [c for c in group if c.orphans]
    content = having[0].content if having else None
    driver = content.driver if content is not None else None
    if content is None or driver is None or driver.table_leak is None:
        return
    first, last, fixed = driver.table_leak
    release = release_of(having[0], versions)
    known = is_within(release, first, last)
    tables = [table for c in having for table in c.orphans]
    if not known and len(tables) < limits.orphan_tables:
        return
    bytes_ = sum(table.memory_bytes for table in tables)
    name = f"{driver.title} {release if known else ''}".strip()
    yield Suspect(
        kind="orphaned_queries",
        title=f"{name} leaves tables of queries behind",
        sentence=f"{plural(len(having), 'connection')} own{'s' if len(having) == 1 else ''}"
        f" {plural(len(tables), 'table')} of cached queries that no state refers to:"
        f" {driver.title} {first} to {last} makes one at each connect and deletes none at a disconnect.",
        freeable_bytes=bytes_,
        at_stake_bytes=bytes_,
        certainty="measured",
        tables=[table.address for table in tables],
        numbers=[
            Number("tables", len(tables), "tables"),
            Number("rows", sum(table.size for table in tables), "rows"),
            Number("bytes", bytes_, "bytes"),
        ],
        derivation=[
            f"Tables named {safe(driver.struct)} of a connection's process, other than the one in its"
            " state's field queries."
        ],
        advice=[
            f"Update {driver.title} to {fixed} or later. As many reconnects as there are tables took"
            " place: why does the database close connections?"
        ],
    )


def _statements(pool: Pool, limits: DbThresholds) -> Iterator[Suspect]:
    found = [
        (c, c.content.queries)
        for c in pool.connections
        if c.content is not None
        and c.content.queries is not None
        and c.content.queries.count >= limits.cached_queries
    ]
    if not found:
        return
    total = sum(queries.count for _, queries in found)
    bytes_ = sum(queries.bytes for _, queries in found)
    most = max(queries.count for _, queries in found)
    yield Suspect(
        kind="statement_cache",
        title=f"{name_of(pool)} caches {total:,} statements",
        sentence=f"{plural(len(found), 'connection')} of {len(pool.connections):,}"
        f" {'caches' if len(found) == 1 else 'cache'} at least {limits.cached_queries:,} statements,"
        f" up to {most:,} each, in tables of {format_bytes(bytes_)}; as many are prepared on the"
        " database's side.",
        freeable_bytes=bytes_,
        at_stake_bytes=bytes_,
        certainty="estimate",
        tables=[queries.table.address for _, queries in found if queries.table is not None],
        numbers=[
            Number("connections", len(found), "times"),
            Number("statements", total, "rows"),
            Number("bytes of the tables", bytes_, "bytes"),
        ],
        derivation=[
            "Rows of the tables of cached queries; nothing but closing a query deletes one."
        ],
        advice=[
            "Are values put into the text of queries, or lists of changing length? Pass them as"
            " parameters, or let the pool not keep names of statements (prepare: :unnamed)."
        ],
    )


def _parts(pool: Pool, limits: DbThresholds) -> Iterator[Suspect]:
    for connection in pool.connections:
        content = connection.content
        if content is None:
            continue
        parts = [("buffer", content.buffer_bytes), ("last result", content.result_bytes)]
        parts += [(f"field {name}", size) for name, _count, size in content.parts]
        for name, size in parts:
            if size < limits.part_bytes:
                continue
            yield Suspect(
                kind="large_part",
                title=f"The {name} of {connection.process.pid} in {name_of(pool)}",
                sentence=f"The state of this connection ({connection.status}) holds"
                f" {format_bytes(size)} in its {name}.",
                freeable_bytes=size if connection.status == "idle" else 0,
                at_stake_bytes=size,
                certainty="estimate" if connection.status == "idle" else "guess",
                tables=[],
                numbers=[Number("bytes", size, "bytes")],
                derivation=[
                    "Heap words of the part, and the binaries off the heap that it refers to."
                ],
                advice=[
                    "Select less at a time, or stream. It goes with the next result, or a reconnect."
                ],
            )


# ---- pools ---------------------------------------------------------------------------------


def name_of(pool: Pool) -> str:
    name = pool.name.replace("Elixir.", "", 1) if pool.name.startswith("Elixir.") else pool.name
    return safe(name) if name else f"Pool {pool.pid}"


def longest_wait_ms(pool: Pool) -> int | None:
    waits = [client.waits_ns for client in pool.waiting if client.waits_ns is not None]
    return max(waits) // 10**6 if waits else None


def _exhausted(pool: Pool, limits: DbThresholds) -> Iterator[Suspect]:
    if not pool.waiting or pool.count("idle"):
        return
    longest = longest_wait_ms(pool)
    target = min(int(pool.settings.get("target", limits.wait_ms)), limits.wait_ms)
    if longest is not None and longest <= target and len(pool.waiting) < len(pool.connections):
        return
    out, total = pool.count("checked out"), len(pool.connections)
    waited = "" if longest is None else f", the longest for {format_milliseconds(longest)}"
    callers = plural(len(pool.waiting), "caller waits", "callers wait")
    since = [
        c.out_ns for c in pool.connections if c.status == "checked out" and c.out_ns is not None
    ]
    held = f", the longest for {format_milliseconds(max(since) // 10**6)}" if since else ""
    others = total - out
    missing = f", {plural(others, 'other')} not connected or busy" if others else ""
    yield Suspect(
        kind="exhausted",
        title=f"{name_of(pool)} is exhausted",
        sentence=f"{out:,} of {plural(total, 'connection')} {'is' if out == 1 else 'are'} checked out{held}{missing};"
        f" {callers}{waited}. Those who have one are {_doing(pool)}.",
        freeable_bytes=0,
        at_stake_bytes=0,
        certainty="measured",
        tables=[],
        numbers=[
            Number("connections", total, "times"),
            Number("checked out", out, "times"),
            Number("callers that wait", len(pool.waiting), "times"),
        ],
        derivation=[
            "Rows of the pool's queue, which are callers when none of its connections is idle."
        ],
        advice=[
            "Look at what the clients do (etp-stacktrace): slow queries, or work between queries of a"
            " transaction? Only then is a larger pool_size the answer."
        ],
        rank_bytes=_URGENT + len(pool.waiting),
    )


def _doing(pool: Pool) -> str:
    """Functions of the clients, the most frequent first."""
    counts: dict[str, int] = defaultdict(int)
    for connection in pool.connections:
        if connection.client is not None and connection.client.function is not None:
            counts[connection.client.function.name("elixir")] += 1
    names = sorted(counts, key=lambda name: -counts[name])[:2]
    if not names:
        return "unknown"
    return "in " + " and ".join(
        f"{shorten(name, 60)} ({counts[name]:,})" if counts[name] > 1 else shorten(name, 60)
        for name in names
    )


def _down(pool: Pool) -> Iterator[Suspect]:
    down = pool.count("disconnected")
    if not down or pool.count("idle", "checked out"):
        return
    yield Suspect(
        kind="down",
        title=f"{name_of(pool)} has no connection",
        sentence=f"{down:,} of {plural(len(pool.connections), 'connection')}"
        f" {'is' if down == 1 else 'are'} disconnected, and none is idle or in use.",
        freeable_bytes=0,
        at_stake_bytes=0,
        certainty="measured",
        tables=[],
        numbers=[Number("disconnected", down, "times")],
        derivation=["Processes of connections whose client is :closed."],
        advice=["Is the database up, and does it accept the login? The log has why it was closed."],
        rank_bytes=_URGENT,
    )


__all__ = ["Verdict", "diagnose", "is_within", "longest_wait_ms", "name_of", "release_of"]
