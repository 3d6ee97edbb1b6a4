# SPDX-License-Identifier: Apache-2.0
"""etp-registry: the names by which processes can be reached."""

from __future__ import annotations

from .declaration import Argument, Column, Command, table_arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ..otp.registry import Entry
    from ..views import Table
    from .context import Context

KINDS = ("local", "global", "pg", "registry")

COLUMNS = (
    Column("kind", "local: register/2; global; pg: a group; registry: one of Elixir's"),
    Column("where", "scope of pg, or name of the Registry", flexible=24),
    Column("name", "name, group, or key", flexible=20),
    Column("who", "pid or port"),
    Column("alive", "no: it is dead, and nobody has taken its name away", kind="yesno"),
    Column("label", "registered name or initial call of the process", flexible=16, rank=1),
    Column("value", "what was given to Registry.register/3", flexible=16, rank=2),
)


def run(context: Context, args: Namespace) -> Table:
    from ..otp import registry
    from ..text import is_unreadable, plural
    from ..views import Table

    found = registry.names(context.vm, (args.kind,) if args.kind else registry.KINDS)
    entries = [entry for entry in found.entries if _wanted(context, entry, args)]
    chosen = [entry for entry in entries if _is_named(context, entry, args.NAME)]
    warnings = [f"{problem}." for problem in found.problems]
    unread = sum(is_unreadable(_name(context, entry)) for entry in entries if args.NAME)
    if unread:
        warnings.append(f"{plural(unread, 'name')} could not be read, and may be among the wanted.")
    view = Table(
        COLUMNS,
        [],
        warnings=warnings,
        notes=[_summary(chosen)],
        noun="names",
    )
    total = len(chosen)
    if not args.sort and args.limit and args.limit < total and not args.reverse:
        # What is not shown need not be printed.
        chosen = chosen[: args.limit]
        view.total = total
    view.rows = [_row(context, entry) for entry in chosen]
    return view.arrange(args.sort, args.reverse, args.limit, args.columns, args.units)


def _wanted(context: Context, entry: Entry, args: Namespace) -> bool:
    if args.where and not _same(entry.where, args.where):
        return False
    if args.dead and _alive(context, entry) is not False:
        return False
    return not args.who or args.who.replace("#PID", "") == str(entry.who)


def _is_named(context: Context, entry: Entry, wanted: str | None) -> bool:
    from fnmatch import fnmatchcase

    if not wanted:
        return True
    text = _name(context, entry)
    return fnmatchcase(text, wanted) or fnmatchcase(text, f"Elixir.{wanted}")


def _same(name: str, wanted: str) -> bool:
    return name in (wanted, f"Elixir.{wanted}")


def _name(context: Context, entry: Entry) -> str:
    from ..text import safe

    if isinstance(entry.name, str):
        return safe(entry.name)
    return _text(context, entry.name)


def _text(context: Context, term: object) -> str:
    options = context.settings.format_options(width=0)
    options.update(max_depth=6, max_length=20, max_string=100)
    return str(term.format(**options))  # type: ignore[attr-defined]


def _alive(context: Context, entry: Entry) -> bool | None:
    """Of other nodes nothing is known."""
    if entry.who.address:
        return None
    if entry.who.kind == "pid":
        return context.vm.process(entry.who) is not None
    return context.vm.native.port_is_open(entry.who) if entry.who.kind == "port" else None


def _row(context: Context, entry: Entry) -> dict[str, object]:
    process = None
    if entry.who.kind == "pid" and not entry.who.address:
        process = context.vm.process(entry.who)
    # A local name says nothing that the name does not.
    label = "" if process is None else process.label
    if process is not None and entry.kind == "local":
        label = process.initial_call_text
    return {
        "kind": entry.kind,
        "where": entry.where,
        "name": _name(context, entry),
        "who": str(entry.who),
        "alive": _alive(context, entry),
        "label": label,
        "value": None if entry.value is None else _text(context, entry.value),
    }


def _summary(entries: list[Entry]) -> str:
    from collections import Counter

    from ..text import plural

    counts = Counter(entry.kind for entry in entries)
    parts = [f"{counts[kind]:,} {kind}" for kind in KINDS if counts[kind]]
    text = plural(len(entries), "name")
    return text + (f": {', '.join(parts)}." if parts else ".")


def _complete_where(context: Context) -> list[str]:
    from ..otp import registry

    return sorted({entry.where for entry in registry.names(context.vm).entries if entry.where})


COMMAND = Command(
    name="etp-registry",
    summary="List the names by which processes can be reached.",
    description="""
    registered/0, global:registered_names/0, the groups of each scope of pg with their members, and
    the entries of each Registry of Elixir with their values, as the VM's memory holds them. A
    process that is in a group twice is listed twice.
    """,
    run=run,
    columns=COLUMNS,
    arguments=(
        Argument(
            "NAME",
            help="only these names, as they are printed; * and ? stand for any characters",
            optional=True,
        ),
        Argument("--kind", help="only names of this kind", choices=KINDS),
        Argument(
            "--where",
            help="only of this scope of pg, or this Registry",
            metavar="WHERE",
            complete=_complete_where,
        ),
        Argument("--who", help="only those of this pid or port", metavar="PID"),
        Argument("--dead", help="only names of the dead", kind="flag"),
        *table_arguments(COLUMNS, "", 50, "names"),
    ),
    examples=(
        ("etp-registry --kind global", "the names of global"),
        ("etp-registry --where MyApp.Registry --limit 10", "of one Registry of Elixir"),
        ("etp-registry --who <0.123.0>", "all names of one process"),
        ("etp-registry --dead", "names that lead nowhere"),
    ),
)
