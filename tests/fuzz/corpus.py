#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Write what the fuzzers start from: pieces of real cores, files, and damage of each kind.

    tests/fuzz/corpus.py DIR

DIR gets a directory for each target.  Nothing of it is kept in the repository.
"""

import json
import random
import shutil
import struct
import subprocess
import sys
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)]

import cores  # noqa: E402

sys.path[:0] = [str(cores.extension_directory())]

import _etp  # noqa: E402
import native  # noqa: E402

#: The core that each target that looks at a VM has.
WORKLOADS = {
    "census": "holders",
    "dist": "distributed",
    "ets": "ets_kinds",
    "external": "distributed",
    "layout": "healthy",
    "process": "signals",
    "row": "ets_kinds",
    "term": "terms",
    "vm": "ports",
}
#: As image.c reads them: how, kind and number of a place, value.
RECORD = struct.Struct("<BIQ")
RECORDS = 12
RECORDS_MAX = 64
#: Kinds of places (image.c, find_places): words of structs, and of what they point to in LEVELS - 1 steps.
LEVELS = 5
SCHEDULERS, PROCESSES, TABLES, PORTS = (number * LEVELS for number in (1, 2, 3, 4))
#: Ways to change a word (image.c, changed) in which each member of a struct is changed: to a value, by
#: a bit, to the same member of another struct, to itself, to what is near it.
VALUE, BIT, SAME_OF_ANOTHER, TO_ITSELF, NEAR = 0, 2, 5, 6, 7
#: More rows than a table may have to stay (image.c, leave_out), and processes that fuzz_process.c looks at.
ROWS_MAX = 40
PROCESSES_LOOKED_AT = 30
SCRATCH = 0x10000
SCRATCH_MAX = 1 << 16
#: What a seed may have at most: a large one is slow, and mutations of it are spread thin.
SEED_MAX = 4096
#: Room for an ErtsMessage with its heap fragment and an ErtsDistExternal; and into how many fragments the
#: bytes of a signal from another node are cut, beside the one that they come in.
SIGNAL_SIZE = 1024
FRAGMENTS = 3


def words(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}Q", *(value & (1 << 64) - 1 for value in values))


def damage(rng: random.Random) -> Iterator[bytes]:
    """Changes of each kind of words, alone and many at a time."""
    values = [0, 1, 8, 0xFFFF, 1 << 31, 1 << 32, (1 << 47) - 8, (1 << 64) - 1]
    for number in range(RECORDS):
        records = []
        for _ in range(1 + number % 8 * (number % 3)):
            value = rng.choice([rng.getrandbits(64), rng.choice(values)])
            records.append(RECORD.pack(rng.randrange(256), rng.getrandbits(32), value))
        yield b"".join(records)


def of_members(kind: int, structs: List[Any], places: List[int], words: int) -> Iterator[bytes]:
    """Each member of some structs changed in each way, in another one of the places: so one input
    has all members changed, and no struct more than a few. Structs take ``words`` words each."""
    offsets = sorted(
        {
            offset // 8 + word
            for members in structs
            for offset, size, count in filter(None, members["members"].values())
            for word in range(max(1, size * count // 8))
            if offset // 8 + word < words
        }
    )
    for turn in range(2):
        for how, value in ((VALUE, 0), (VALUE, 8), (BIT, 4 + turn), (SAME_OF_ANOTHER, None)) + (
            (TO_ITSELF, turn),
            (NEAR, 31 + 2 * turn),
        ):
            records = []
            for number, offset in enumerate(offsets):
                at = places[(number + turn * 7) % len(places)] * words + offset
                other = places[(number + turn * 7 + 1) % len(places)] * words + offset
                records.append(RECORD.pack(how, kind << 24 | at, other if value is None else value))
            for first in range(0, len(records), RECORDS_MAX):
                yield b"".join(records[first : first + RECORDS_MAX])


def structs_of(vm: Any) -> Dict[str, Any]:
    path = vm.info()["layout_source"].split(" ", 2)[2]
    structs: Dict[str, Any] = json.loads(Path(path).read_text())["structs"]
    return structs


def members(target: str) -> Iterator[bytes]:
    """Of what this target looks at: processes, tables, ports, the first scheduler."""
    vm = native.open_vm(cores.make(WORKLOADS[target]))
    structs = structs_of(vm)

    def words(name: str) -> int:
        return structs[name]["size"] // 8

    if target in ("process", "census"):
        count = len(vm.processes())
        looked_at = list(range(0, count, 1 + count // PROCESSES_LOOKED_AT))
        yield from of_members(PROCESSES, [structs["Process"]], looked_at, words("Process"))
    if target in ("ets", "census"):
        tables = sum(table["size"] <= ROWS_MAX for table in vm.ets_tables())
        layouts = [structs[name] for name in ("DbTable", "DbTableHash", "DbTableTree")]
        yield from of_members(TABLES, layouts, list(range(tables)), words("DbTableHash"))
    if target == "vm":
        ports = list(range(len(vm.ports()[0])))
        yield from of_members(PORTS, [structs["Port"]], ports, words("Port"))
        yield from of_members(
            SCHEDULERS, [structs["ErtsSchedulerData"]], [0], words("ErtsSchedulerData")
        )


def things(term: Any) -> Dict[int, List[int]]:
    """Words of all boxed things and cons cells that a term is made of, by address."""
    found: Dict[int, List[int]] = {}
    todo = [term.word]
    while todo and len(found) < SEED_MAX // 24:
        word = todo.pop()
        address = word & ~7
        if word & 3 not in (1, 2) or address in found:
            continue
        try:
            found[address] = term.vm.term(word).raw_words()
        except _etp.Error:
            continue
        todo += reversed(found[address])
    return found


def term_seed(term: Any) -> bytes:
    """The same term in memory that begins at SCRATCH: three times the root, then the things."""
    found = things(term)
    places = {}
    size = 24
    for address, parts in found.items():
        places[address] = SCRATCH + size
        size += len(parts) * 8

    def moved(word: int) -> int:
        if word & 3 in (1, 2) and word & ~7 in places:
            return places[word & ~7] | word & 7
        return word

    body = [moved(word) for parts in found.values() for word in parts]
    return words(*[moved(term.word)] * 3, *body)


def rows(vm: Any, compressed: bool, few: int) -> Iterator[Any]:
    for table in vm.ets_tables():
        if table["compressed"] == compressed:
            for _, row in zip(range(few), vm.ets_rows(table["address"])):
                yield table, row


def terms() -> Iterator[bytes]:
    for _table, row in rows(native.open_vm(cores.make("terms")), False, 6):
        yield term_seed(row.term)


def compressed_rows() -> Iterator[bytes]:
    vm = native.open_vm(cores.make("ets_kinds"))
    for table, row in rows(vm, True, 2):
        # More than the row: where it ends is in the row.
        block = vm.read(row.address, min(SEED_MAX, 64 + row.words * 8))
        yield bytes([table["keypos"]]) + block


def external_terms() -> Iterator[bytes]:
    """As the VM encodes them, for other nodes."""
    code = """
        Big = 1 bsl 3000,
        Terms = [[], 1, 255, -1, 1 bsl 30, Big, -Big, 1.5, ok, {}, {a, {b, "c"}}, "string",
            [1 | 2], lists:seq(1, 300), #{}, #{a => 1, "b" => [c]}, <<>>, <<1:3>>, <<0:800>>,
            maps:from_list([{I, I} || I <- lists:seq(1, 40)]), self(), make_ref(),
            hd(erlang:ports()), fun lists:map/2, fun() -> Big end, list_to_tuple(lists:seq(1, 300)),
            'ü€', list_to_atom([16#4e2d]), {rex, self(), {call, m, f, [a, #{k => <<"v">>}]}}],
        [file:write_file(integer_to_list(N), tl(binary_to_list(term_to_binary(T))))
            || {N, T} <- lists:zip(lists:seq(1, length(Terms)), Terms)],
        halt().
    """
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(["erl", "-noinput", "-eval", code], cwd=directory, check=True)
        for path in sorted(Path(directory).iterdir()):
            yield b"\x01" + path.read_bytes()
            yield b"\x07" + path.read_bytes()


class Signals:
    """Signals from another node, each with the memory that it needs, moved to SCRATCH."""

    def __init__(self) -> None:
        self.vm = native.open_vm(cores.make(WORKLOADS["dist"]))
        self.structs = structs_of(self.vm)

    def offset(self, struct_name: str, member: str) -> int:
        offset: int = self.structs[struct_name]["members"][member][0]
        return offset

    def word(self, address: int, struct_name: str = "", member: str = "") -> int:
        offset = self.offset(struct_name, member) if member else 0
        return int.from_bytes(self.vm.read(address + offset, 8), "little")

    def readable(self, address: int, size: int) -> bytes:
        """As much of it as there is."""
        while size:
            try:
                found: bytes = self.vm.read(address, size)
                return found
            except _etp.Error:
                size -= 8
        return b""

    def fragment(self, signal: int) -> Tuple[int, int]:
        """The heap fragment of a signal that has an ErtsDistExternal behind it, and where that is."""
        own = signal + self.offset("ErtsMessage", "hfrag")
        attached = self.word(signal, "ErtsMessage", "attached")
        behind = self.word(own, "ErlHeapFragment", "next")
        for fragment in (own, attached, behind):
            try:
                used = self.word(fragment, "ErlHeapFragment", "used_size")
                external = fragment + self.offset("ErlHeapFragment", "mem") + used * 8
                data = self.word(external, "ErtsDistExternal", "data")
                if 0 < self.word(data, "ErtsDistExternalData", "frag_id") < 1 << 16:
                    return fragment, external
            except _etp.Error:
                pass
        raise LookupError

    def seed(self, signal: int, fragments: int) -> bytes:
        """The signal, the last of its queue, with its bytes in so many fragments."""
        fragment, external = self.fragment(signal)
        data = self.word(external, "ErtsDistExternal", "data")
        start = self.word(data, "ErtsDistExternalData", "extp")
        end = self.word(data, "ErtsDistExternalData", "ext_endp")
        content = self.vm.read(start, min(end - start, SEED_MAX))
        blocks = [(signal, self.readable(signal, SIGNAL_SIZE))]
        if not signal <= fragment < signal + SIGNAL_SIZE:
            blocks.append((fragment, self.readable(fragment, SIGNAL_SIZE)))
        places = {}
        size = 0
        for address, block in blocks:
            places[address] = SCRATCH + size
            size += len(block)
        parts = self.structs["ErtsDistExternalData"]["size"]
        first = SCRATCH + size + parts * fragments
        places[data] = SCRATCH + size

        def moved(word: int) -> int:
            for address, block in [*blocks, (data, b"\0" * 8)]:
                if address <= word < address + len(block):
                    return places[address] + word - address
            return word

        found = bytearray()
        for _address, block in blocks:
            for at in range(0, len(block) // 8 * 8, 8):
                found += words(moved(int.from_bytes(block[at : at + 8], "little")))
        at = self.offset("ErtsMessage", "next")
        found[at : at + 8] = words(0)
        cuts = [len(content) * number // fragments for number in range(fragments + 1)]
        for number, (begin, stop) in enumerate(zip(cuts, cuts[1:])):
            part = bytearray(parts)
            for member, value in (
                ("frag_id", fragments - number),
                ("extp", first + begin),
                ("ext_endp", first + stop),
                ("binp", self.word(data, "ErtsDistExternalData", "binp")),
            ):
                at = self.offset("ErtsDistExternalData", member)
                part[at : at + 8] = words(value)
            found += part
        return bytes(found) + content


def dist_signals() -> Iterator[bytes]:
    """What waits for processes that have not looked at it: messages, exit signals and those of monitors."""
    signals = Signals()
    for process, _pid in signals.vm.processes():
        for signal in signals.vm.messages(process):
            for fragments in (1, FRAGMENTS):
                with suppress(LookupError):
                    yield signals.seed(signal[8], fragments)


def core_files() -> Iterator[bytes]:
    """Headers and notes of real cores, and some pages behind them."""
    for workload in ("healthy", "signals"):
        with open(cores.make(workload).path, "rb") as file:
            head = file.read(1 << 16)
        yield head
        yield head[: len(head) // 2]


def executables() -> Iterator[bytes]:
    """Small ones, with all that is looked for in a large one."""
    source = cores.ROOT / "tests" / "c" / "layout_sample.c"
    output = cores.BUILD / "fuzz-sample"
    for options in (["-g"], ["-g", "-gz"], ["-s"]):
        command = ["gcc", "-nostdlib", "-shared", "-fPIC", "-O1", *options, "-o", str(output)]
        subprocess.run([*command, str(source)], check=True)
        yield output.read_bytes()
    output.unlink()


def layouts() -> Iterator[bytes]:
    for path in sorted((cores.ROOT / "plugin" / "etp" / "layouts").glob("*25*jit.json")):
        yield path.read_bytes()
    yield b'{"format": 1, "structs": {}, "build_id": "00"}'


def write(directory: Path) -> None:
    rng = random.Random(1)
    seeds: Dict[str, Iterator[bytes]] = {
        "core": core_files(),
        "dist": dist_signals(),
        "executable": executables(),
        "external": external_terms(),
        "layout": layouts(),
        "row": compressed_rows(),
        "term": terms(),
    }
    for target in ("census", "ets", "process", "vm"):
        seeds[target] = chain(damage(rng), members(target))
    for target, found in seeds.items():
        place = directory / target
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for number, seed in enumerate(found):
            (place / f"seed-{number:03}").write_bytes(seed)
    environment = {"ETP_FUZZ_LAYOUTS": native.LAYOUTS[0]}
    for target, workload in WORKLOADS.items():
        core = cores.make(workload)
        environment["ETP_FUZZ_CORE"] = str(core.path)
        environment["ETP_FUZZ_EXECUTABLE"] = str(core.executable)
        lines = [f"export {name}='{value}'" for name, value in environment.items()]
        (directory / f"{target}.env").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__.strip())
        sys.exit(2)
    write(Path(sys.argv[1]))
