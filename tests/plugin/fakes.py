# SPDX-License-Identifier: Apache-2.0
"""A stand-in for the binding's objects (plugin/_etp.pyi), made of Python values."""

import io
import itertools

from etp.commands.context import Context
from etp.render import Screen
from etp.term_parser import Atom, Identifier
from etp.units import format_bytes, format_count
from etp.vm import VM


class FakeTerm:
    """A term made of a Python value: Atom, Identifier, int, float, bytes, tuple, list."""

    _words = itertools.count(0x1003, 16)

    def __init__(self, value, kind=None):
        self.python = value
        self.word = next(self._words)
        self.is_literal = False
        self.kind = kind or self._kind()
        # A pid of another node is boxed.
        is_far = self.kind == "pid" and not str(value).startswith("<0.")
        is_immediate = self.kind in ("small", "atom", "pid", "nil") and not is_far
        self.address = 0 if is_immediate else self.word & ~3

    def _kind(self):
        value = self.python
        if isinstance(value, Atom):
            return "atom"
        if isinstance(value, Identifier):
            return {"<": "pid", "#P": "port", "#R": "ref"}[
                value[0] if value[0] == "<" else value[:2]
            ]
        kinds = {int: "small", float: "float", bytes: "bitstring", tuple: "tuple"}
        if type(value) in kinds:
            return kinds[type(value)]
        return "cons" if value else "nil"

    def value(self):
        return str(self.python) if isinstance(self.python, Atom) else self.python

    def __str__(self):
        return self.format()

    def format(self, redact=False, **_options):
        value = self.python
        if redact and not isinstance(value, (tuple, Identifier)):
            return f"<{self.kind}>"
        if isinstance(value, tuple):
            return "{" + ",".join(FakeTerm(v).format(redact=redact) for v in value) + "}"
        if isinstance(value, list):
            return "[" + ",".join(FakeTerm(v).format() for v in value) + "]"
        return f'<<"{value.decode()}">>' if isinstance(value, bytes) else str(value)

    def raw_words(self):
        return [0x80, 0x1F, 0x2F] if self.address else []

    def is_proper_list(self):
        return isinstance(self.python, list)

    def __len__(self):
        return len(self.python)

    def __getitem__(self, index):
        return FakeTerm(self.python[index])

    def __iter__(self):
        return (FakeTerm(value) for value in self.python)


class FakeRow:
    def __init__(self, address, value, pseudo_deleted=False):
        self.address = address
        self.term = FakeTerm(value)
        self.key = FakeTerm(value[0])
        self.words = 3 + len(value)
        self.pseudo_deleted = pseudo_deleted


class FakeRows:
    def __init__(self, rows, gaps=0, problem=""):
        self._rows = iter(rows)
        self.gaps = gaps
        self.problem = problem

    def __iter__(self):
        return self

    def __next__(self):
        row = next(self._rows)
        if row is KeyboardInterrupt:
            raise KeyboardInterrupt
        return row


OWNER = FakeTerm(Identifier("<0.45.0>"))
DEAD = FakeTerm(Identifier("<0.99.0>"))


def table_facts(name, number, **changes):
    """What the binding says of a table; ``number`` makes address and reference."""
    ref = FakeTerm(Identifier(f"#Ref<0.1.2.{number}>"))
    named = changes.get("named", True)
    facts = {
        "address": 0x10000 * number,
        "id": FakeTerm(Atom(name)) if named else ref,
        "ref": ref,
        "name": name,
        "type": "set",
        "is_catree": False,
        "protection": "public",
        "named": named,
        "owner": OWNER,
        "owner_alive": True,
        "heir": None,
        "size": 10,
        "memory_words": 400,
        "keypos": 1,
        "compressed": False,
        "read_concurrency": False,
        "write_concurrency": False,
        "decentralized_counters": False,
        "fixed": False,
        "fix_count": 0,
        "fixed_since_ns": 0,
        "fixed_for_ns": -1,
        "fixing": [],
        "is_deleting": False,
        "is_write_locked": False,
        "is_read_locked": False,
        "is_lock_awaited": False,
        "is_resizing": False,
        "status": 0,
        "problem": "",
    }
    return {**facts, **changes}


INFO = {
    "otp_release": "25", "erts_version": "13.1.5", "flavor": "jit", "machine": "x86_64",
    "schedulers": 4, "dirty_cpu_schedulers": 2, "dirty_io_schedulers": 4, "processes": 60,
    "process_limit": 262144, "ports": 3, "port_limit": 65536, "atoms": 12000,
    "atom_limit": 1048576, "ets_tables": 30, "node": "shop@db1.example", "creation": 1,
    "uptime_ns": 90_000_000_000, "core_path": "/cores/core.17", "executable_path": "/x/beam.smp",
    "core_build_id": "ab12", "executable_build_id": "ab12", "pid": 17, "signal": 6,
    "command": "beam.smp -secret", "core_mtime": 1_700_000_000, "threads": 22, "segments": 90,
    "bytes_total": 5 << 20, "bytes_saved": 4 << 20, "bytes_from_files": 0,
    "bytes_missing": 1 << 20, "bytes_truncated": 0, "layout_source": "layout file /l/otp-25.json",
    "layout_origin": "erlang 25", "layout_otp_release": "25", "layout_erts_version": "13.1.5",
    "layout_flavor": "jit", "warnings": [],
    "checks": [{"claim": "atom 0 is false", "tried": 1, "failed": 0, "unreadable": 0,
                "failure": None}],
    "files": [],
}  # fmt: skip


class FakeScan:
    def __init__(self, tables, binaries=(), complete=True):
        self.complete = complete
        self.tables = tables
        self._binaries = list(binaries)

    def binary_count(self):
        return len(self._binaries)

    def binaries(self, sort="size", limit=-1, unaccounted=False, reverse=False):
        keys = {
            "size": lambda b: -b["size"],
            "waste": lambda b: b["visible_bytes"] - b["size"],
            "visible": lambda b: -b["visible_bytes"],
            "refc": lambda b: -b["refc"],
            "refs": lambda b: -b["refs"],
            "address": lambda b: b["address"],
        }
        found = sorted(self._binaries, key=keys[sort])
        if unaccounted:
            found = [b for b in found if b["refc"] != b["refs"]]
        if reverse:
            found.reverse()
        return found if limit < 0 else found[:limit]

    def binary_addresses(self, sort="size", limit=-1, unaccounted=False, reverse=False, after=0):
        found = [b["address"] for b in self.binaries(sort, -1, unaccounted, reverse)]
        found = found[found.index(after) + 1 :] if after else found
        return found if limit < 0 else found[:limit]

    def binary(self, address, holders=16):
        return next((b for b in self._binaries if b["address"] == address), None)


class FakeRecords:
    """Of rows that are dicts; each has texts of its own."""

    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def values(self, column):
        return [row[column] for row in self.rows]

    shared = values

    def width(self, column, style, factor, omits_zero):
        return max(len(self._text(row, column, style)) for row in self.rows)

    def lines(self, start, stop, cells):
        return "".join(self._line(i, cells) for i in range(len(self.rows))[start:stop])

    def _line(self, index, cells):
        texts = []
        for column, *cell in cells:
            if len(cell) == 1:
                texts.append(cell[0][index].decode())
                continue
            style, _, _, width = cell
            text = self._text(self.rows[index], column, style)
            texts.append(text.ljust(width) if style == "address" else text.rjust(width))
        return "  ".join(texts).rstrip() + "\n"

    @staticmethod
    def _text(row, column, style):
        forms = {"count": format_count, "bytes": format_bytes, "address": hex}
        return forms[style](row[column])


class FakeCensus(FakeScan):
    def __init__(self, tables, binaries=(), complete=True, processes=()):
        super().__init__(tables, binaries, complete)
        self.processes = list(processes)
        self.has_others = True
        #: The most unreadable processes that somebody got at once.
        self.listed = 0
        self.literals = []
        self.literals_problem = ""
        self.roots = []
        self.roots_unreadable = (0, "")

    def binary_page(self, addresses, holders_of, preview_of):
        rows = []
        for address in addresses:
            binary = self.binary(address)
            preview = preview_of(address) if preview_of else None
            texts = {"holders": holders_of(address), "preview": preview}
            unseen = max(0, binary["size"] - binary["visible_bytes"])
            rows.append({**binary, **texts, "unseen_bytes": unseen})
        return FakeRecords(rows)

    def take_others(self, progress=None):
        if progress:
            progress(1, 2, "processes")
        self.has_others = True

    def unreadable_processes(self, limit):
        found = [p for p in self.processes if p["unreadable"]][:limit]
        self.listed = max(self.listed, len(found))
        return found

    @property
    def changing_processes(self):
        return [p for p in self.processes if p["released_refs"] or p["added_refs"]]

    def ranked_processes(self, order, changing, reverse, limit):
        rank = {
            "delta": lambda p: p["added_refs"] - p["released_refs"],
            "bytes": lambda p: p["added_bytes"] - p["released_bytes"],
            "released": lambda p: -p["released_refs"],
        }[order]
        found = sorted(self.changing_processes if changing else self.processes, key=rank)
        if reverse:
            found.reverse()
        return len(found), [self.processes.index(p) for p in found[: limit or None]]

    def process(self, number):
        return self.processes[number]

    @property
    def totals(self):
        summed = ("live_words", "released_refs", "released_bytes", "terms", "running")
        return {
            **{name: sum(p[name] for p in self.processes) for name in summed},
            "processes": len(self.processes),
            "used_words": 0,
            "garbage_words": 0,
            "message_words": 0,
            "stack_words": 0,
            "free_words": 0,
            "timer_bytes": 0,
            "released_binaries": 0,
            "freed_binaries": 0,
            "freed_bytes": 0,
            "unreadable": sum(bool(p["unreadable"]) for p in self.processes),
        }

    @property
    def binary_totals(self):
        lacking = [b for b in self._binaries if b["refc"] > b["refs"]]
        return {
            "binaries": len(self._binaries),
            "bytes": sum(b["size"] for b in self._binaries),
            "visible_bytes": sum(b["visible_bytes"] for b in self._binaries),
            "unaccounted": len(lacking),
            "unaccounted_bytes": sum(b["size"] for b in lacking),
            "unaccounted_refs": sum(b["refc"] - b["refs"] for b in lacking),
            "excess": sum(b["refc"] < b["refs"] for b in self._binaries),
            "by_kinds": self._by_kinds(self._binaries),
            "unaccounted_by_kinds": self._by_kinds(lacking),
        }

    @staticmethod
    def _by_kinds(binaries):
        sums = {}
        for b in binaries:
            kinds = tuple(sorted({h[0] for h in b["holders"]}))
            count, size = sums.get(kinds, (0, 0))
            sums[kinds] = (count + 1, size + b["size"])
        return [(list(kinds), *numbers) for kinds, numbers in sums.items()]

    def coarse_binaries(self):
        return 0

    def ets_binaries(self):
        found = [b for b in self._binaries if any(h[0] == "ets" for h in b["holders"])]
        return len(found), sum(b["size"] for b in found)


class FakeNative:
    """Stands for _etp.VM; tests fill it in."""

    def __init__(self):
        self.facts = dict(INFO)
        self.tables = []
        self.gaps = []
        self.rows = {}
        self.scan = None
        self.taken = None
        self.live = {OWNER.word: {"name": "shop_server", "initial_call": ("shop", "init", 1)}}
        self.saved = {}

    def modules(self):
        return []

    def modules_problem(self):
        return ""

    def info(self):
        return self.facts

    def ets_tables(self):
        return self.tables

    def ets_tables_gaps(self):
        return self.gaps

    def ets_rows(self, address):
        rows = self.rows.get(address, [])
        return rows if isinstance(rows, FakeRows) else FakeRows(rows)

    def ets_row(self, table, address=0):
        return next((row for row in self.ets_rows(table) if address in (0, row.address)), None)

    def process(self, pid):
        address = pid if isinstance(pid, int) else pid.word
        found = self.live.get(address)
        if found is None:
            return None
        return {
            "address": address,
            "pid": OWNER if isinstance(pid, int) else pid,
            "initial_call_source": "proc_lib",
            **found,
        }

    def processes(self):
        return [(OWNER.word, OWNER)]

    def scan_ets(self, tables=None, progress=None, threads=0):
        if progress:
            progress(1, 2, "rows")
        return self.scan or FakeScan({table["address"]: {} for table in self.tables})

    def census(self, progress=None, tables_only=False):
        if progress:
            progress(1, 2, "rows" if tables_only else "processes")
        census = self.taken or FakeCensus({table["address"]: {} for table in self.tables})
        census.has_others = not tables_only
        return census

    def memory(self):
        blocks = {"eheap": 900, "fix": 100, "binary": 50000, "ets": 150000, "literal": 8, "temp": 1}
        allocators = {
            name: {"blocks": size, "carriers": 2 * size, "instances": 5}
            for name, size in blocks.items()
        }
        fixed = {
            "proc": {"allocated": 90, "used": 80}, "sl_thr_q_element": {"allocated": 10, "used": 0},
        }  # fmt: skip
        areas = {
            "atom_space": 300, "atom_space_used": 200, "atom_table": 50, "atoms": 7, "atom_blocks": 9, "module_table": 1,
            "export_table": 2, "export_list": 3, "fun_table": 4, "fun_list": 0, "module_refs": 5,
        }  # fmt: skip
        return {
            "allocators": allocators, "fixed": fixed, "areas": areas, "code": 1000, "process_table": 10, "port_table": 20,
            "ets_misc": 0, "unreadable": 0, "problem": "",
        }  # fmt: skip

    def execution(self, address):
        return {"current_function": None}

    def read(self, address, size):
        return self.saved[address][:size]

    def term(self, word):
        return FakeTerm(word)

    def atom_count(self):
        return 3

    def atom(self, index):
        return ["false", "true", "_"][index]


class FakeContext(Context):
    """Collects what a command prints."""

    def __init__(self, native, width=80):
        super().__init__()
        self.native = native
        self.width = width
        self.out = io.StringIO()

    def open_vm(self):
        return VM(self.native)

    def screen(self):
        return Screen(self.out.write, width=self.width)

    def run(self, name, line=""):
        """What the command prints."""
        from etp.commands.registry import find
        from etp.commands.runner import run_command

        self.out.seek(0)
        self.out.truncate()
        run_command(find(name), line, self)
        return self.out.getvalue()
