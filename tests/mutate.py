#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Damage copies of a real core, ask everything of each, and see that nothing breaks.

    tests/mutate.py CORE --executable BEAM [--ask WHAT] [--count N] [--first N] [--seed N]

Each mutation is made from its number and the seed alone, so that a failure is repeated by
--first NUMBER --count 1.  A child process opens the damaged core and asks, within limits of time and
memory: all that the binding can answer (--ask everything), every command of the registry (commands,
see command_lines.py), or what is about pools.  It may find that the core cannot be opened or that
parts cannot be read, by an error of etp; any signal, timeout or other exception is a failure.  So is
an answer that has lost something and does not say so, where memory was taken away (never where it
was changed: nobody can know what a forged pointer pointed to).

With a build for AddressSanitizer:

    ETP_BUILD_DIR=/tmp/asan LD_PRELOAD=$(cc -print-file-name=libasan.so) \\
        ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:hard_rss_limit_mb=6000 \\
        tests/mutate.py ...
"""

import argparse
import faulthandler
import json
import os
import pickle
import random
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any, Callable, Dict, List, NamedTuple, Optional, Tuple

import command_lines
import damaged_pools

ROOT = Path(__file__).resolve().parent.parent
LAYOUTS = str(ROOT / "plugin" / "etp" / "layouts")
PAGE = 4096
SECONDS = 60
MEMORY = 6 << 30
ROWS_A_TABLE = 60
WORD = struct.Struct("<Q")

Ask = Callable[[Any, str, str], Dict[str, Any]]
Lost = Callable[[Dict[str, Any], Dict[str, Any]], Optional[str]]

# What stands in words that the VM uses as counts, sizes, pointers and headers.
VALUES = [0, 1, 2, 7, 8, 0xFFFF, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 44]
VALUES += [(1 << 47) - 8, (1 << 63) - 1, 1 << 63, (1 << 64) - 8, (1 << 64) - 1, 0x3B, 0x1F, 0x40]


def load_extension() -> Any:
    build = Path(os.environ.get("ETP_BUILD_DIR", ROOT / "build"))
    sys.path.insert(0, str(build / "src" / "python"))
    import _etp

    return _etp


class Segment(NamedTuple):
    #: Of the program header in the file.
    header: int
    address: int
    offset: int
    size: int


class Image:
    """The bytes of a core by address, through its program headers."""

    def __init__(self, path: Path):
        self.size = path.stat().st_size
        self.file = open(path, "r+b", buffering=0)
        header = self.file.read(64)
        start, entry, count = struct.unpack_from("<Q14xHH", header, 32)
        self.headers = (start, entry * count)
        self.segments: List[Segment] = []
        #: Program headers that are not needed: of guard pages, without bytes in the file.
        self.spare: List[int] = []
        self.notes: Tuple[int, int] = (0, 0)
        for i in range(count):
            at = start + i * entry
            kind, flags, offset, address, _, size = struct.unpack_from("<IIQQQQ", self.at(at, 56))
            if kind == 1 and size:
                self.segments.append(Segment(at, address, offset, size))
            elif kind == 1 and not flags:
                self.spare.append(at)
            elif kind == 4:
                self.notes = (offset, size)

    def at(self, offset: int, size: int) -> bytes:
        return os.pread(self.file.fileno(), size, offset)

    def offset(self, address: int) -> Optional[int]:
        for segment in self.segments:
            if segment.address <= address < segment.address + segment.size:
                return segment.offset + address - segment.address
        return None

    def without(self, address: int, size: int) -> List[Tuple[int, bytes]]:
        """Changes of the program headers: (offset in the file, new bytes), by which these bytes, which
        are in one segment, were not saved."""
        segment = next(s for s in self.segments if s.address <= address < s.address + s.size)
        before = address - segment.address
        end = min(before + size, segment.size)
        # p_filesz and p_memsz
        patches = [(segment.header + 32, struct.pack("<QQ", before, end))]
        if end < segment.size:
            flags = struct.unpack("<I", self.at(segment.header + 4, 4))[0]
            rest, left = segment.address + end, segment.size - end
            header = struct.pack(
                "<IIQQQQQQ", 1, flags, segment.offset + end, rest, 0, left, left, PAGE
            )
            patches.append((self.spare[0], header))
        return patches

    def word(self, address: int) -> int:
        offset = self.offset(address)
        return WORD.unpack(self.at(offset, 8))[0] if offset is not None else 0


class Places:
    """Where in the VM there is something that an answer rests on: [(address, bytes)] by kind."""

    def __init__(self, vm: Any, image: Image, rng: random.Random):
        self.vm, self.image, self.rng = vm, image, rng
        path = vm.info()["layout_source"].split(" ", 2)[2]
        self.structs = json.loads(Path(path).read_text())["structs"]
        self.by_kind: Dict[str, List[Tuple[int, int]]] = {}
        self.globals()
        self.atoms()
        self.schedulers()
        self.processes()
        self.tables()

    def add(self, kind: str, address: int, size: int) -> None:
        if address and self.image.offset(address) is not None:
            self.by_kind.setdefault(kind, []).append((address, size))

    def size(self, struct_: str) -> int:
        return self.structs[struct_]["size"]

    def offset(self, struct_: str, member: str) -> int:
        return self.structs[struct_]["members"][member][0]

    def members(self, struct_: str) -> List[int]:
        """Offsets of those that this build has."""
        return [where[0] for where in self.structs[struct_]["members"].values() if where]

    def member(self, address: int, struct_: str, member: str) -> int:
        return self.image.word(address + self.offset(struct_, member))

    def symbol(self, name: str) -> int:
        return self.vm.symbol(name)[0]

    def globals(self) -> None:
        for name in "erts_no_schedulers erts_aligned_scheduler_data erts_this_node".split():
            self.add("global", self.symbol(name), 8)
        self.add("global", self.symbol("erts_atom_table"), self.size("IndexTable"))
        self.add("global", self.symbol("erts_proc"), self.size("ErtsPTab"))
        self.add("global", self.symbol("erts_port"), self.size("ErtsPTab"))
        self.add("global", self.symbol("erts_node_table"), 64)
        self.add("node", self.image.word(self.symbol("erts_this_node")), self.size("ErlNode"))

    def atoms(self) -> None:
        table = self.symbol("erts_atom_table")
        pages = self.member(table, "IndexTable", "seg_table")
        self.add("atom table", pages, 80)
        for page in range(self.vm.atom_count() // 1024):
            address = self.image.word(pages + page * 8)
            self.add("atom page", address, 8192)
            for _ in range(50):
                atom = self.image.word(address + self.rng.randrange(1024) * 8)
                self.add("atom", atom, self.size("Atom"))
                self.add("atom name", self.member(atom, "Atom", "name"), 8)

    def schedulers(self) -> None:
        data = self.image.word(self.symbol("erts_aligned_scheduler_data"))
        start = self.offset("ErtsAlignedSchedulerData", "esd")
        for i in range(self.vm.info()["schedulers"]):
            esd = data + start + i * self.size("ErtsAlignedSchedulerData")
            for offset in self.members("ErtsSchedulerData"):
                self.add("scheduler", esd + offset, 8)

    def processes(self) -> None:
        self.add("process table", self.member(self.symbol("erts_proc"), "ErtsPTab", "tab"), 2048)
        for address, _pid in self.vm.processes():
            for offset in self.members("Process"):
                self.add("process", address + offset, 8)
            self.add("psd", self.member(address, "Process", "psd"), 80)
            self.add("dictionary", self.member(address, "Process", "dictionary"), 128)
            self.add("heap", self.member(address, "Process", "heap"), 512)

    def tables(self) -> None:
        for table in self.vm.ets_tables():
            address = table["address"]
            kind = "DbTableHash" if table["type"] != "ordered_set" else "DbTableTree"
            kind = "DbTableCATree" if table["is_catree"] else kind
            for offset in self.members("DbTable"):
                self.add("table", address + offset, 8)
            for offset in self.members(kind):
                self.add(kind, address + offset, 8)
            self.add("table reference", self.member(address, "DbTable", "btid"), 64)
            if table["fixed"]:
                self.add("fixation", self.member(address, "DbTable", "fixing_procs"), 64)
            if kind == "DbTableHash":
                segments = self.member(address, kind, "segtab")
                self.add("segment table", segments, 16)
                self.add("segment", self.image.word(segments), 2048)
            elif kind == "DbTableCATree":
                self.add("CA tree node", self.member(address, kind, "root"), 64)
            self.rows(address, kind)
        for binary in self.vm.scan_ets().binaries(limit=200):
            self.add("binary", binary["address"], 48)
            self.add("binary data", binary["address"] + 24, binary["size"])

    def rows(self, table: int, kind: str) -> None:
        node = "HashDbTerm" if kind == "DbTableHash" else "TreeDbTerm"
        head = self.offset("DbTerm", "tpl")
        for number, row in enumerate(self.vm.ets_rows(table)):
            if number == ROWS_A_TABLE:
                return
            self.add(f"{node}", row.address - self.offset(node, "dbterm"), self.size(node))
            self.add("row", row.address + head, max(8, row.words * 8))
            chain = self.member(row.address, "DbTerm", "first_oh")
            if chain:
                self.add("off heap", chain, 48)


class Mutation(NamedTuple):
    what: str
    #: (offset in the file, new bytes)
    patches: List[Tuple[int, bytes]]
    #: Cut the file here.
    size: Optional[int] = None
    #: Memory was taken away: rows that are missing must be told.
    lossy: bool = False


class Mutator:
    def __init__(self, image: Image, places: Places, seed: int):
        self.image, self.seed = image, seed
        self.places = places.by_kind
        self.kinds = sorted(self.places)
        self.makers = [self.bits, self.value, self.redirect, self.redirect, self.circle, self.swap]
        self.makers += [self.page, self.garbage, self.header_of_term, self.drop, self.truncate]
        self.makers += [self.elf, self.many, self.shared, self.lose]
        self.lossy_makers = [self.drop, self.truncate, self.lose, self.lose]

    def make(self, number: int, lossy: bool) -> Mutation:
        """With ``lossy`` one that takes memory away."""
        self.rng = random.Random(f"{self.seed}:{number}")
        return self.rng.choice(self.lossy_makers if lossy else self.makers)()

    def place(self, kind: Optional[str] = None) -> Tuple[str, int, int]:
        if kind not in self.places:
            kind = self.rng.choice(self.kinds)
        address, size = self.rng.choice(self.places[kind])
        return kind, address, size

    def any_word(self, kind: Optional[str] = None) -> Tuple[str, int, int]:
        """Kind, address and offset in the file of some aligned word."""
        while True:
            found, address, size = self.place(kind)
            address += self.rng.randrange(max(1, min(size, 1 << 16) // 8)) * 8
            offset = self.image.offset(address)
            if offset is not None:
                return found, address, offset

    def patch(self, how: str, kind: str, address: int, offset: int, value: int) -> Mutation:
        what = f"{how} {kind} at {address:#x}: {value & (1 << 64) - 1:#x}"
        return Mutation(what, [(offset, WORD.pack(value & (1 << 64) - 1))])

    def bits(self) -> Mutation:
        kind, address, offset = self.any_word()
        value = self.image.word(address)
        for _ in range(self.rng.choice([1, 1, 1, 2, 5])):
            value ^= 1 << self.rng.randrange(64)
        return self.patch("bits", kind, address, offset, value)

    def value(self) -> Mutation:
        kind, address, offset = self.any_word()
        return self.patch("value", kind, address, offset, self.rng.choice(VALUES))

    def redirect(self) -> Mutation:
        """A pointer leads to something else that is there."""
        kind, address, offset = self.any_word()
        target = self.place(self.rng.choice([kind, None]))[1]
        tag = self.image.word(address) & 7
        target += self.rng.choice([0, 0, 0, 8, 1, 4096])
        return self.patch("redirect", kind, address, offset, target | tag)

    def circle(self) -> Mutation:
        """A pointer leads back to what it stands in."""
        kind, start, size = self.place()
        words = range(max(1, min(size, 4096) // 8))
        pointers = [i for i in words if self.image.offset(self.image.word(start + i * 8) & ~7)]
        address = start + self.rng.choice(pointers or [0]) * 8
        offset = self.image.offset(address)
        if offset is None:
            return self.bits()
        tag = self.image.word(address) & 7
        back = self.rng.choice([start, address, start + 8, start - 8])
        return self.patch("circle", kind, address, offset, back & ~7 | tag)

    def swap(self) -> Mutation:
        kind, a, offset_a = self.any_word()
        _, b, offset_b = self.any_word(kind)
        patches = [(offset_a, self.image.at(offset_b, 8)), (offset_b, self.image.at(offset_a, 8))]
        return Mutation(f"swap {kind} at {a:#x} and {b:#x}", patches)

    def page(self) -> Mutation:
        kind, address, offset = self.any_word()
        count = self.rng.choice([1, 1, 4, 64])
        start = offset & ~(PAGE - 1)
        return Mutation(
            f"zeros, {count} pages, {kind} at {address:#x}", [(start, bytes(PAGE * count))]
        )

    def garbage(self) -> Mutation:
        kind, address, offset = self.any_word()
        size = self.rng.choice([8, 16, 64, 256, PAGE])
        return Mutation(
            f"garbage, {size} B, {kind} at {address:#x}", [(offset, self.rng.randbytes(size))]
        )

    def header_of_term(self) -> Mutation:
        """Another arity or tag in the words of a row or heap."""
        kind, address, offset = self.any_word(self.rng.choice(["row", "heap", "off heap"]))
        arity = self.rng.choice([0, 1, 2, 3, 31, 32, 33, 1 << 16, 1 << 26, 1 << 43, 1 << 57])
        tag = self.rng.randrange(16) << 2
        return self.patch("header", kind, address, offset, arity << 6 | tag)

    def many(self) -> Mutation:
        parts = [self.bits() for _ in range(self.rng.randrange(2, 200))]
        return Mutation(f"{len(parts)} times bits", [p for m in parts for p in m.patches])

    def shared(self) -> Mutation:
        """All words of a block lead to one place: much to walk out of little."""
        kind, start, size = self.place(self.rng.choice(["segment", "segment table", "row", None]))
        offset = self.image.offset(start)
        target = self.rng.choice([self.image.word(start) & ~7, start, self.place(kind)[1]])
        tag = self.rng.choice([0, 1, 2])
        count = max(1, min(size, 2048) // 8)
        return Mutation(
            f"shared {kind} at {start:#x}: {target | tag:#x}",
            [(offset or 0, WORD.pack(target | tag) * count)],
        )

    def drop(self) -> Mutation:
        """Segments whose bytes were not saved."""
        count = self.rng.choice([1, 1, 2, 10])
        chosen = [self.rng.choice(self.image.segments) for _ in range(count)]
        if self.rng.random() < 0.5:
            wanted = self.any_word()[1]
            chosen[0] = next(
                s for s in self.image.segments if s.address <= wanted < s.address + s.size
            )
        what = ", ".join(f"{segment.address:#x}" for segment in chosen)
        return Mutation(f"drop {what}", [(s.header + 32, bytes(8)) for s in chosen], lossy=True)

    def lose(self) -> Mutation:
        """Pages that were not saved, around something that an answer rests on."""
        kind, address, _offset = self.any_word()
        count = self.rng.choice([1, 1, 1, 4, 64])
        patches = self.image.without(address & ~(PAGE - 1), count * PAGE)
        return Mutation(f"lose {count} pages, {kind} at {address:#x}", patches, lossy=True)

    def truncate(self) -> Mutation:
        size = self.rng.randrange(self.image.size)
        if self.rng.random() < 0.3:
            size = self.rng.choice(
                [0, 1, 4, 15, 63, 64, 65, 120, PAGE, 1 << 16, 1 << 20, self.image.size - 1]
            )
        return Mutation(f"truncate to {size}", [], size=size, lossy=True)

    def elf(self) -> Mutation:
        """The file's own headers and notes."""
        start, size = self.rng.choice([(0, 64), self.image.headers, self.image.notes])
        patches = []
        for _ in range(self.rng.choice([1, 1, 2, 20])):
            width = self.rng.choice([1, 2, 4, 8])
            offset = start + self.rng.randrange(size) // width * width
            value = self.rng.choice([self.rng.getrandbits(64), self.rng.choice(VALUES)])
            patches.append((offset, WORD.pack(value)[:width]))
        return Mutation(f"ELF at {', '.join(str(p[0]) for p in patches[:5])}", patches)


FORMATS: List[Dict[str, Any]] = [
    {"syntax": "w", "max_bytes": 1 << 20},
    {"syntax": "p", "width": 80, "max_depth": 30, "max_length": 100, "max_string": 400},
    {"syntax": "elixir", "width": 80, "max_depth": 30, "max_length": 100, "max_string": 400},
    {"syntax": "p", "width": 80, "max_depth": 30, "max_length": 100, "redact": True},
]


def look_at(term: Any, error: type) -> None:
    """Everything that a script can do with a term."""
    for options in FORMATS:
        term.format(**{"max_bytes": 1 << 18, **options})
    repr(term)
    for ask in (term.raw_words, term.value, term.binary, term.is_proper_list):
        try:
            ask()
        except error:
            pass
    if term.kind in ("tuple", "cons", "map", "bitstring"):
        try:
            len(term)
            if term.kind != "bitstring":
                for _, part in zip(range(20), term):
                    part.kind, part.address, term == part
            if term.kind == "map":
                for _, (key, value) in zip(range(20), term.items()):
                    key in term, value.kind
        except (error, TypeError):
            # An improper list has no length.
            pass


def ask_everything(extension: Any, core: str, executable: str) -> Dict[str, Any]:
    """Rows found and gaps told by table."""
    error = extension.Error
    vm = extension.VM(core=core, executable=executable, layout_directories=[LAYOUTS])
    info = vm.info()
    for index in range(0, vm.atom_count(), 1 + vm.atom_count() // 500):
        vm.atom(index)
    for address, pid in vm.processes()[:2000]:
        pid.format(syntax="elixir")
        for which in (pid, address):
            try:
                vm.process(which)
            except error:
                pass
    found: Dict[str, Any] = {
        "tables": {},
        "warnings": info["warnings"],
        "gaps": vm.ets_tables_gaps(),
    }
    scan = vm.scan_ets(progress=lambda done, total, what: None, threads=1)
    # Whatever is damaged, parts of tables that others look at say the same.
    shared = vm.scan_ets(threads=3, rows_a_part=1)
    assert shared.tables == scan.tables and shared.binaries() == scan.binaries()
    tables = vm.ets_tables()
    for table in tables[:500]:
        str(table["id"]), str(table["owner"]), str(table["ref"]), str(table["heir"])
        rows = vm.ets_rows(table["address"])
        for number, row in enumerate(rows):
            if number == ROWS_A_TABLE:
                break
            look_at(row.term, error)
            try:
                str(row.key)
            except error:
                pass
        numbers = scan.tables[table["address"]]
        told = numbers["unreadable"] or numbers["problem"] or table["problem"]
        found["tables"][table["address"]] = (numbers["rows"], bool(told))
    for binary in scan.binaries(sort="waste", limit=100):
        scan.binary(binary["address"])
        try:
            vm.read(binary["data_address"], min(binary["size"], 100))
        except error:
            pass
    ask_the_census(vm, error)
    ask_for_messages(vm, error)
    return found


def ask_for_messages(vm: Any, error: Any) -> None:
    for address, _pid in vm.processes()[:500]:
        try:
            for number, message in enumerate(vm.messages(address)):
                if number == ROWS_A_TABLE:
                    break
                for term in (message[2], message[3]):
                    if term is not None:
                        look_at(term, error)
            vm.message_shapes(address)
        except error:
            pass


def ask_the_census(vm: Any, error: Any) -> None:
    census = vm.census(progress=lambda done, total, what: None)
    for process in census.processes[:500]:
        assert process["live_words"] >= 0 and str(process["pid"])
        try:
            vm.process_binaries(process["address"])
        except error:
            pass
    terms = [holder["term"] for holder in (*census.literals[:200], *census.roots[:200])]
    for binary in census.binaries(limit=100):
        terms += [term for _kind, _address, _refs, term in binary["holders"]]
    for term in terms:
        if term is not None:
            look_at(term, error)
    census.binaries(unaccounted=True, limit=100)
    vm.memory()
    collections: List[Any] = []
    vm.accumulators(collections.append, min_count=100)
    for item in collections[:200]:
        look_at_path(item["path"], error)
    for shape in vm.histogram()["shapes"][:200]:
        for term in (shape["tag"], *(shape["keys"] or ())):
            if term is not None:
                look_at(term, error)


def look_at_path(path: Dict[str, Any], error: Any) -> None:
    for _kind, _index, key in path["steps"]:
        if key is not None:
            look_at(key, error)


def child(write: int, where: IO[str], extension: Any, core: str, executable: str, ask: Ask) -> None:
    """Does not return.  The parent reads what was found, or the error's kind, from the pipe, and, when
    time is up, from ``where`` what was being done."""
    for number in (signal.SIGPROF, signal.SIGALRM):
        faulthandler.register(number, where, all_threads=False, chain=True)
    # Of work, so that a busy machine does not count; and of waiting.
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.alarm(10 * SECONDS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if "asan" not in os.environ.get("LD_PRELOAD", ""):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    try:
        result: Tuple[str, Any] = ("ok", ask(extension, core, executable))
    except extension.Error as error:
        result = ("error", str(error))
    except BaseException:
        import traceback

        result = ("exception", traceback.format_exc())
    with os.fdopen(write, "wb") as pipe:
        pickle.dump(result, pipe)
    os._exit(0)


def run_child(extension: Any, core: Path, executable: str, ask: Ask) -> Tuple[str, Any, float]:
    """How it ended, what it said, and the processor time that it took."""
    read, write = os.pipe()
    with tempfile.TemporaryFile("w+") as where:
        pid = os.fork()
        if pid == 0:
            os.close(read)
            child(write, where, extension, str(core), executable, ask)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            answer = pipe.read()
        _, status, usage = os.wait4(pid, 0)
        took = usage.ru_utime + usage.ru_stime
        if os.WIFSIGNALED(status):
            name = signal.Signals(os.WTERMSIG(status)).name
            if name not in ("SIGALRM", "SIGPROF"):
                return "signal", name, took
            where.seek(0)
            return "timeout", f"{name} after {took:.1f} s of work, in:\n{where.read()}", took
    if os.WEXITSTATUS(status) or not answer:
        return "exit", str(os.WEXITSTATUS(status)), took
    return (*pickle.loads(answer), took)


def lost_rows(expected: Dict[str, Any], found: Dict[str, Any]) -> Optional[str]:
    """Rows or tables that are missing from an answer that says it is whole."""
    for address, (rows, _) in expected["tables"].items():
        if address not in found["tables"]:
            if not found["gaps"]:
                return f"table {address:#x} is missing, and no gap is told"
            continue
        now, told = found["tables"][address]
        if now < rows and not told:
            return f"table {address:#x} has {now} of {rows} rows, and no gap is told"
    return None


QUESTIONS: Dict[str, Tuple[Callable[[Path, str, int], Ask], Lost]] = {
    "everything": (lambda *_: ask_everything, lost_rows),
    "commands": (command_lines.asker, command_lines.lost),
    "pools": (lambda *_: damaged_pools.ask, damaged_pools.lost),
}
"""What is asked of a damaged core, given the undamaged one, its executable and a seed; and what tells
that an answer lost something without a word."""


def copy(core: Path, to: Path) -> None:
    """A sparse copy, sharing blocks where the file system can."""
    os.system(f"cp --reflink=auto --sparse=always '{core}' '{to}'")


def apply(path: Path, image: Image, mutation: Mutation) -> List[Tuple[int, bytes]]:
    """Returns what undoes it."""
    undo = []
    for offset, data in mutation.patches:
        data = data[: max(0, image.size - offset)]
        undo.append((offset, image.at(offset, len(data))))
        os.pwrite(image.file.fileno(), data, offset)
    if mutation.size is not None:
        # Only the end is lost; copying it back costs what was cut.
        undo.append((mutation.size, image.at(mutation.size, image.size - mutation.size)))
        os.truncate(path, mutation.size)
    return undo[::-1]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("core", type=Path)
    parser.add_argument("--executable", required=True)
    parser.add_argument("--ask", choices=list(QUESTIONS), default="everything")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0, help="start no more after this time")
    parser.add_argument("--lossy", action="store_true", help="take memory away, and change none")
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    extension = load_extension()
    directory = Path(tempfile.mkdtemp(prefix="etp-mutations-"))
    try:
        return campaign(arguments, extension, directory / "core")
    finally:
        shutil.rmtree(directory)


def campaign(arguments: argparse.Namespace, extension: Any, path: Path) -> int:
    copy(arguments.core, path)
    os.utime(path, (0, 0))
    image = Image(path)
    vm = extension.VM(core=str(path), executable=arguments.executable, layout_directories=[LAYOUTS])
    places = Places(vm, image, random.Random(arguments.seed))
    del vm, places.vm
    make_ask, lost_something = QUESTIONS[arguments.ask]
    ask = make_ask(path, arguments.executable, arguments.seed)
    expected = run_child(extension, path, arguments.executable, ask)
    slowest = (expected[2], "none")
    assert expected[0] == "ok", f"the undamaged core: {expected}"
    mutator = Mutator(image, places, arguments.seed)
    tally = {"ok": 0, "error": 0, "failed": 0}
    started = time.monotonic()
    for number in range(arguments.first, arguments.first + arguments.count):
        if arguments.seconds and time.monotonic() - started > arguments.seconds:
            break
        mutation = mutator.make(number, arguments.lossy)
        undo = apply(path, image, mutation)
        # When the core was written is part of some answers.
        os.utime(path, (0, 0))
        outcome, detail, took = run_child(extension, path, arguments.executable, ask)
        slowest = max(slowest, (took, f"{number}, {mutation.what}"))
        for offset, data in undo:
            os.pwrite(image.file.fileno(), data, offset)
        if outcome == "ok" and mutation.lossy:
            lost = lost_something(expected[1], detail)
            if lost:
                outcome, detail = "silent", lost
        failed = outcome not in ("ok", "error")
        tally["failed" if failed else outcome] += 1
        if failed:
            print(f"FAILED {number}: {mutation.what}: {outcome} {detail}", flush=True)
        elif arguments.verbose:
            said = detail if outcome == "error" else ""
            print(f"{outcome} {number}, {took:.1f} s: {mutation.what}: {said}", flush=True)
    tried = sum(tally.values())
    print(
        f"{tried} mutations of {arguments.core.parent.name}, seed {arguments.seed}: {tally['ok']} answered, "
        f"{tally['error']} refused, {tally['failed']} failed, {time.monotonic() - started:.0f} s"
    )
    print(
        f"most processor time: {slowest[0]:.1f} s, of {slowest[1]}; undamaged: {expected[2]:.1f} s"
    )
    return 1 if tally["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
