# SPDX-License-Identifier: Apache-2.0
"""Lines for every command of the registry, made of its declaration and of what a VM has; and what
they answer."""

import random
import re
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import cores

sys.path[:0] = [str(cores.ROOT / "plugin"), str(cores.extension_directory())]
from etp.commands.declaration import Argument, Command
from etp.commands.line import complete
from etp.commands.registry import COMMANDS, find
from etp.commands.runner import is_for_users, run_command
from etp.vm import VM
from reader import Reader

#: (name of a command, its arguments)
Line = Tuple[str, str]

#: Words of an answer that say that it is not all.
SAYS_GAPS = re.compile(
    r"#Unread|#Atom<|leads out|could not be|cannot be|can't|unreadable|not in the core|missing|truncated|incomplete|not saved"
    r"|damaged|unknown|lacks|no longer|gap|left out|breaks off|does not lead|uncertain|\bnot read\b",
    re.I,
)
#: Why a layout of another VM is refused depends on what is looked at first.
NO_LOSS = ("etp-layouts",)


class Lines:
    """``file`` is where a command may write."""

    def __init__(self, vm: VM, rng: random.Random, file: str):
        self.context = Reader(vm)
        self.rng = rng
        binaries = [f"{binary.address:#x}" for binary in vm.census().binaries(limit=50)]
        #: To choose from for values that a declaration neither lists nor completes.
        self.samples: Dict[str, List[str]] = {
            "PID": [str(process.pid) for process in vm.processes()],
            "ADDRESS": binaries or ["0x1234"],
            "TERM": ["1", "{key,5}", '"key 13"'],
            "NAME": ["*", "*sup*"],
            "FILE": [file],
            "N": ["1", "5"],
        }

    def of_all(self) -> List[Line]:
        return [(command.name, line) for command in COMMANDS for line in self.of(command)]

    def of(self, command: Command) -> Iterator[str]:
        """The shortest line that there is; one with all that may be left out, and with options as
        chance has it; and the same for machines."""
        yield " ".join(self.positionals(command, optional=False))
        options = command.options()
        json = ["--json"] if any("--json" in option.names for option in options) else []
        for last in ([], json):
            words = [word for option in options for word in self.option(command, option)]
            yield " ".join([*words, *last, *self.positionals(command, optional=True)])

    def positionals(self, command: Command, optional: bool) -> List[str]:
        words: List[str] = []
        for argument in command.positionals():
            if argument.optional and not optional:
                break
            words.append(self.value(command, argument, " ".join([*words, ""])))
        return words

    def option(self, command: Command, option: Argument) -> Iterator[str]:
        name = option.names[-1]
        if name in ("--json", "--help") or self.rng.random() < 0.7:
            return
        yield name
        if option.kind != "flag":
            yield self.value(command, option, f"{name} ")

    def value(self, command: Command, argument: Argument, before: str) -> str:
        if argument.choices:
            return self.rng.choice(argument.choices)
        if argument.complete or argument.complete_word:
            found = complete(command, before, self.context)
            found = [word for word in found if not word.startswith("-")]
            if found:
                return self.rng.choice(found)
        if argument.kind == "limit":
            return self.rng.choice(["1", "3", "20", "all"])
        # A word that nothing has, for what this VM has none of.
        return self.rng.choice(self.samples.get(argument.value_name) or ["no_such_thing"])


def answer(vm: VM, line: Line, redact: bool = False) -> str:
    """What a command writes, or the error that it ends with. Raises what no user may see."""
    command = find(line[0])
    assert command is not None
    context = Reader(vm)
    context.settings.set("redact", "on" if redact else "off")
    try:
        run_command(command, line[1], context)
    except Exception as error:
        if not is_for_users(error):
            raise RuntimeError(f"{line[0]} {line[1]}") from error
        return f"{context.text}\n{error} (could not be answered)"
    return context.text


def answers(vm: VM, lines: List[Line], redact: bool = False) -> Dict[Line, str]:
    return {line: answer(vm, line, redact) for line in lines}


def asker(core: Path, executable: str, seed: int) -> Callable[[Any, str, str], Dict[Line, str]]:
    """For mutate.py: asks the same of damaged copies of a core."""
    vm = VM.open(core=str(core), executable=executable)
    lines = Lines(vm, random.Random(seed), str(core.with_name("written"))).of_all()

    def ask(_extension: Any, damaged: str, executable: str) -> Dict[Line, str]:
        return answers(VM.open(core=damaged, executable=executable), lines)

    return ask


def lost(expected: Dict[Line, str], found: Dict[Line, str]) -> Optional[str]:
    """Answers of which something is missing, and that do not say so."""
    silent = []
    for line, text in found.items():
        before, after = expected[line].split("\n"), text.split("\n")
        missing = [part for part in before if part not in after]
        told = any(SAYS_GAPS.search(part) for part in after if part not in before)
        if missing and not told and line[0] not in NO_LOSS:
            silent.append(f"{line[0]} {line[1]}: no longer says {missing[0].strip()!r}")
    return "; ".join(silent) or None
