#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Run the tests that compare with a VM's truth on each OTP release and flavor, and print what passed.

    tests/matrix.py                 the installed Erlang, and all roots that scripts/add-release made
    tests/matrix.py 27 --write      only that release; --write puts the rows into README.md
    tests/matrix.py --check states  only that column
    tests/matrix.py 25-arm64        that of another machine, in qemu-user: only what Debian ships
    tests/matrix.py --is-current    has the README's table seen the layouts and decoders as they are? (exit status)
    tests/matrix.py --stamp         say that it has, when all was run and written piece by piece
"""

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from pathlib import Path
from typing import Dict, List, Tuple

import cores

README = cores.ROOT / "README.md"
TABLE = re.compile(
    r"(<!-- begin of tests/matrix\.py -->\n)(.*?)(<!-- end of tests/matrix\.py -->)", re.S
)

STAMP = re.compile(r"(<!-- layouts and decoders: )(\w+)( -->)")
# Layouts and decoders: what differs between releases is in these.
DECODERS = (
    "plugin/etp/layouts/*.json",
    "include/etp/*.def",
    "src/layout/*.[ch]",
    "src/term/*.[ch]",
)

# Columns, and the modules of tests behind them.
CHECKS = {
    "terms": ("test_terms",),
    "ETS": ("test_ets", "test_ets_leaks"),
    "processes": ("test_processes",),
    "messages": ("test_signals", "test_distribution", "test_priority_messages"),
    "binaries": ("test_census", "test_paths"),
    "states": ("test_otp_state", "test_supervision", "test_collections", "test_registry"),
    "timers": ("test_timers",),
    "ports, nodes": ("test_ports", "test_dist"),
    "schedulers": ("test_schedulers", "test_waits", "test_locks"),
    "in the middle": ("test_traps", "test_collecting"),
    "code and stacks": ("test_code", "test_bt"),
    "layouts": ("test_layouts",),
}
HEADER = ["OTP", "beam.smp", *CHECKS]
# As tests name flavors in their ids: what Debian ships, and builds with DWARF with and without JIT.
FLAVORS = {"stripped": "stripped", "dwarf": "with DWARF", "emu": "with DWARF, no JIT"}
# Tests of layouts name the flavor by that of the emulator.
LAYOUT_FLAVORS = {"jit": "dwarf", "emu": "emu"}

Cell = Tuple[int, int]


def flavor_of(module: str, name: str) -> str:
    if "is_refused" in name:
        # Behind the flavor, the names of layout files.
        return "emu" if "[emu" in name else "stripped"
    words = re.split(r"[^a-z]+", name)
    known = LAYOUT_FLAVORS if module == "test_layouts" else dict(zip(FLAVORS, FLAVORS))
    found = [known[word] for word in words if word in known]
    flavor = found[-1] if found else "stripped"
    # Without a JIT there is one build with DWARF.
    return "emu" if flavor == "dwarf" and not cores.has_jit() else flavor


def left_out() -> List[str]:
    """What need not run on the release under test."""
    # Millions of terms measure speed and say nothing of a release; RabbitMQ does not run on each.
    conditions = ["not many_processes and not broker"]
    of_flavor = {flavor: f"([{flavor} or -{flavor})" for flavor in FLAVORS}
    if not cores.has_jit():
        # One build with DWARF is like the other.
        conditions.append("not " + of_flavor["dwarf"])
    if cores.is_emulated():
        # A core takes minutes. What layouts are compared with needs none.
        conditions.append(f"(test_layouts or not ({of_flavor['dwarf']} or {of_flavor['emu']}))")
    return conditions


def run(release: str, installed: str, checks: List[str]) -> Dict[Tuple[str, str], Cell]:
    """Passed and failed tests by flavor and check; tests that do not apply are in neither."""
    modules = {module: check for check in checks for module in CHECKS[check]}
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report.name}"]
        command += ["--numprocesses", "auto", "--dist", "loadfile"]
        command += [str(cores.ROOT / "tests" / f"{module}.py") for module in modules]
        cores.release = None if release == installed else release
        command += ["--otp", release] if cores.release else []
        command += ["-k", " and ".join(left_out())]
        subprocess.run(command, cwd=cores.ROOT)
        suite = ElementTree.parse(report.name).getroot()
    counted: Dict[Tuple[str, str], List[int]] = defaultdict(lambda: [0, 0])
    for case in suite.iter("testcase"):
        module = case.get("classname", "").split(".")[-1]
        name = case.get("name", "")
        if module not in modules or case.find("skipped") is not None:
            continue
        failed = case.find("failure") is not None or case.find("error") is not None
        counted[flavor_of(module, name), modules[module]][failed] += 1
    return {key: (passed, failed) for key, (passed, failed) in counted.items()}


NOT_RUN = "-"


def row(release: str, flavor: str, cells: Dict[Tuple[str, str], Cell]) -> List[str]:
    def text(check: str) -> str:
        passed, failed = cells.get((flavor, check), (0, 0))
        return f"{passed} of {passed + failed}" if failed else str(passed) if passed else NOT_RUN

    return [release, FLAVORS[flavor], *map(text, CHECKS)]


def table(rows: List[List[str]]) -> str:
    lines = [HEADER, ["---"] * len(HEADER), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def merged(rows: List[List[str]]) -> str:
    """These rows and, of releases and columns that were not run, what the README has."""
    found = TABLE.search(README.read_text())
    assert found, "README.md has lost the comments around the table of releases"
    header, _, *kept = [
        [cell.strip() for cell in line.strip("| ").split("|")] for line in found[2].splitlines()
    ]
    whole = {(line[0], line[1]): dict(zip(header, line)) for line in kept}
    for line in rows:
        old = whole.setdefault((line[0], line[1]), {})
        old.update({name: cell for name, cell in zip(HEADER, line) if cell != NOT_RUN})
    lines = [[cells.get(name, NOT_RUN) for name in HEADER] for cells in whole.values()]
    flavors = list(FLAVORS.values())
    return table(sorted(lines, key=lambda line: (*number(line[0]), flavors.index(line[1]))))


def digest(root: Path) -> str:
    """Of the layouts and decoders below a checkout."""
    found = hashlib.sha256()
    for path in sorted(path for pattern in DECODERS for path in root.glob(pattern)):
        found.update(f"{path.relative_to(root)} {path.stat().st_size}\n".encode())
        found.update(path.read_bytes())
    return found.hexdigest()[:16]


def is_current() -> bool:
    found = STAMP.search(README.read_text())
    assert found, "README.md has lost the comment of which layouts and decoders its table is"
    return found[2] == digest(cores.ROOT)


def stamp(text: str) -> str:
    return STAMP.sub(lambda match: match[1] + digest(cores.ROOT) + match[3], text)


def number(release: str) -> Tuple[int, str]:
    """What releases are sorted by: those of another machine come after that of this one."""
    of_otp, _, machine = release.partition("-")
    return int(of_otp), machine


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "release", nargs="*", help="OTP releases; default: all that are here and for this machine"
    )
    parser.add_argument(
        "--check", choices=CHECKS, action="append", help="only this column; may be repeated"
    )
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    parser.add_argument("--is-current", action="store_true", help="exit with 0 if it need not run")
    parser.add_argument("--stamp", action="store_true", help="run nothing; the table is current")
    arguments = parser.parse_args()
    if arguments.is_current:
        sys.exit(0 if is_current() else 1)
    if arguments.stamp:
        README.write_text(stamp(README.read_text()))
        return
    here = cores.installed_release()
    releases = arguments.release or sorted({here, *filter(str.isdecimal, cores.roots())}, key=int)
    rows, failures = [], 0
    for release in releases:
        print(f"== OTP {release}", flush=True)
        cells = run(release, here, arguments.check or list(CHECKS))
        failures += sum(failed for _, failed in cells.values())
        rows += [row(release, f, cells) for f in FLAVORS if any(key[0] == f for key in cells)]
    print(table(rows), end="")
    if arguments.write:
        text = TABLE.sub(lambda match: match[1] + merged(rows) + match[3], README.read_text())
        is_whole = not (arguments.release or arguments.check or failures)
        README.write_text(stamp(text) if is_whole else text)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
