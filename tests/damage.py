# SPDX-License-Identifier: Apache-2.0
"""Copies of real cores in which chosen words are changed."""

import json
import os
import subprocess
from pathlib import Path

import cores
import mutate
from etp.vm import VM
from native import open_vm

#: No VM has anything there.
NOWHERE = 0x7000_0000_0000


class Damage:
    """A copy of a core, which is changed before it is opened."""

    def __init__(self, dump: cores.Core, directory: Path):
        self.dump = dump
        self.path = directory / "core"
        # A copy of the holes too: these cores are mostly holes.
        subprocess.run(["cp", "--sparse=always", str(dump.path), str(self.path)], check=True)
        self.image = mutate.Image(self.path)
        self.vm = open_vm(dump)
        self.structs = json.loads(
            Path(self.vm.info()["layout_source"].split(" ", 2)[2]).read_text(encoding="utf-8")
        )["structs"]

    def process(self, name: str) -> int:
        pid = self.dump.truth.process(name)["pid"]
        return next(address for address, found in self.vm.processes() if str(found) == pid)

    def member(self, struct: str, name: str) -> int:
        return self.structs[struct]["members"][name][0]

    def word(self, address: int) -> int:
        return self.image.word(address)

    def write(self, address: int, word: int) -> None:
        offset = self.image.offset(address)
        assert offset is not None
        os.pwrite(self.image.file.fileno(), word.to_bytes(8, "little"), offset)

    def lose(self, address: int) -> None:
        """The page of this address was not saved."""
        for offset, data in self.image.without(address & ~0xFFF, mutate.PAGE):
            os.pwrite(self.image.file.fileno(), data, offset)

    def open(self) -> VM:
        return VM.open(str(self.path), executable=str(self.dump.executable))
