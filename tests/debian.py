# SPDX-License-Identifier: Apache-2.0
"""Packages of Debian that are unpacked and not installed, because installing them starts a daemon."""

import fcntl
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, List

import cores


@contextmanager
def directory_for(name: str) -> Iterator[Path]:
    """Where packages of the suite under test are unpacked, which nobody else writes to meanwhile."""
    suite = cores.root()
    directory = cores.BUILD / (name if suite is None else f"{name}-{suite.name}")
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield directory


def with_dependencies(name: str) -> List[str]:
    """The package and those that would be installed with it."""
    text = apt_get(["install", "--simulate", "--no-install-recommends", name], cores.BUILD)
    return [line.split()[1] for line in text.splitlines() if line.startswith("Inst ")]


def unpack(names: List[str], directory: Path) -> None:
    """Download the packages, and unpack them below the directory."""
    apt_get(["download", *names], directory)
    packages = sorted(directory.glob("*.deb"))
    for package in packages:
        subprocess.run(["dpkg-deb", "-x", str(package), str(directory)], check=True)
        package.unlink()


def apt_get(arguments: List[str], directory: Path) -> str:
    command = [*cores.inside_root(), "apt-get", "-q", "-o", "APT::Sandbox::User=root", *arguments]
    result = subprocess.run(
        command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert (
        result.returncode == 0
    ), f"`{' '.join(command)}`, which these tests need, failed:\n{result.stdout}"
    return result.stdout
