# SPDX-License-Identifier: Apache-2.0
"""The drivers of DBConnection that etp knows by name: what of their states grows, and which
releases leak.  Others are looked at for large collections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .base import Driver, get, register

if TYPE_CHECKING:
    from _etp import Term

# lib/myxql/connection.ex (protocol.ex in 0.2.0): handle_declare/4 puts {:params, params} into `cursors`, handle_fetch/4
# {:column_defs, column_defs} in its place, with the id of the statement behind it from 0.2.10 on.
# handle_deallocate/4 deletes it since 0.4.1; disconnect/2 deletes the table of queries since 0.4.3.
_MYXQL_CURSORS = ("0.2.0", "0.4.0", "0.4.1")
_MYXQL_ENTRY = {"params": (2, 1), "column_defs": (2, 1)}


@dataclass
class MyXQL(Driver):
    def release(self, state: Term) -> str:
        if "client" not in state:
            return "0.2.1 to 0.2.3" if "prepared_statements" in state else "0.2.4 to 0.2.9"
        if "last_query" in state:
            return "0.3.0 or 0.6.0"
        return "0.2.10, or 0.3.1 or later"


register(
    MyXQL(
        struct="Elixir.MyXQL.Connection",
        application="myxql",
        title="MyXQL",
        cursors="cursors",
        queries="queries",
        transaction=("transaction_status",),
        cursor_leak=_MYXQL_CURSORS,
        table_leak=("0.2.4", "0.4.2", "0.4.3"),
        entry=_MYXQL_ENTRY,
    )
)


@dataclass
class OldMyXQL(Driver):
    def release(self, state: Term) -> str:
        return "0.2.0"


register(
    OldMyXQL(
        struct="Elixir.MyXQL.Protocol",
        application="myxql",
        title="MyXQL",
        cursors="cursors",
        queries="prepared_statements",
        transaction=("transaction_status",),
        cursor_leak=_MYXQL_CURSORS,
        entry=_MYXQL_ENTRY,
    )
)


@dataclass
class Postgrex(Driver):
    def release(self, state: Term) -> str:
        return "0.18 or later" if "messages" in state else "before 0.18"


# lib/postgrex/protocol.ex: rows of `queries` are {name, ref} or {name, ref, query}, never deleted
# but by Postgrex.close/3.
register(
    Postgrex(
        struct="Elixir.Postgrex.Protocol",
        application="postgrex",
        title="Postgrex",
        queries="queries",
        buffers=("buffer",),
        transaction=("postgres",),
    )
)

# lib/tds/protocol.ex: `result` and `query` are those of the last execution.
register(
    Driver(
        struct="Elixir.Tds.Protocol",
        application="tds",
        title="Tds",
        results=("result",),
        transaction=("transaction", "state"),
        statement="query",
    )
)

register(
    Driver(
        struct="Elixir.Exqlite.Connection",
        application="exqlite",
        title="Exqlite",
        transaction=("transaction_status",),
    )
)


@dataclass
class Mariaex(Driver):
    def release(self, state: Term) -> str:
        # From 0.9 on.
        return "0.9" if get(state, "transaction_status") is not None else "before 0.9"


# lib/mariaex/protocol.ex: `cursors` has lists of columns in 0.8, in 0.9 {:first, id, params},
# {:cont, id, columns} and {:halt, id, columns}; handle_deallocate/4 deletes them in both.
register(
    Mariaex(
        struct="Elixir.Mariaex.Protocol",
        application="mariaex",
        title="Mariaex",
        cursors="cursors",
        queries="lru_cache",
        buffers=("buffer",),
        transaction=("transaction_status", "state"),
        entry={"first": (1, 2), "cont": (1, 2), "halt": (1, 2)},
    )
)
