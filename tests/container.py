# SPDX-License-Identifier: Apache-2.0
"""VMs in roots of their own, as in a chroot or in a container.

Their beam.smp and its libraries are in /srv/app of that root, where this machine has nothing; all else is the
machine's, or that of the root of the release under test.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Iterator, List

import pytest

import cores

APP = Path("srv/app")
LIBRARIES = ("libc.so.6", "libm.so.6", "libgcc_s.so.1", "libstdc++.so.6", "libz.so.1")

# What is mounted is so for what runs here only. pivot_root wants a mount point.
ENTER = r"""
set -e
root=$1 base=$2 project=$3 output=$4 way=$5
shift 5
mount --rbind "$root" "$root"
for directory in usr etc dev; do
	mount --rbind "$base/$directory" "$root/$directory"
done
mount --rbind "$project" "$root$project"
mount --bind "$output" "$root$output"
if [ "$way" = chroot ]; then
	mount --rbind /proc "$root/proc"
	exec chroot "$root" "$@"
fi
mount -t proc proc "$root/proc"
cd "$root"
pivot_root . old
exec "$@"
"""

#: chroot shares process numbers and paths with us, a container has its own.
UNSHARE = {
    "chroot": ("--mount", "--propagation", "private"),
    "container": ("--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"),
}


def make_root(directory: Path) -> Path:
    """Files of the root, with what is mounted there left empty."""
    root, base = directory / "root", cores.root() or Path("/")
    for name in ("usr", "etc", "dev", "proc", "old", "tmp", str(cores.ROOT).lstrip("/")):
        (root / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        if (base / name).is_symlink():
            (root / name).symlink_to(os.readlink(base / name))
    libraries = root / APP / "lib"
    libraries.mkdir(parents=True)
    shutil.copy(cores.installed_beam(), root / APP / "beam.smp")
    for name in LIBRARIES:
        (found,) = base.glob(f"usr/lib/*-linux-gnu/{name}")
        shutil.copy(found, libraries / name)
    return root


def command(
    way: str, root: Path, output: Path, workload: str, method: str, *words: str
) -> List[str]:
    """make-core for the root; skips the test where mounting is not allowed."""
    if subprocess.run(["unshare", *UNSHARE[way], "true"], capture_output=True).returncode:
        pytest.skip("name spaces are not allowed here")
    (root / str(output).lstrip("/")).mkdir(parents=True, exist_ok=True)
    output.mkdir(parents=True, exist_ok=True)
    base = cores.root() or Path("/")
    enter = [
        "sh",
        "-c",
        ENTER,
        way,
        str(root),
        str(base).rstrip("/"),
        str(cores.ROOT),
        str(output),
        way,
    ]
    environment = ["env", "LD_LIBRARY_PATH=/srv/app/lib", "PYTHONDONTWRITEBYTECODE=1"]
    make_core = [str(cores.MAKE_CORE), workload, "--method", method, "--output", str(output)]
    return [
        "unshare", *UNSHARE[way], *enter, *environment, *make_core,
        "--beam", "/srv/app/beam.smp", *words,
    ]  # fmt: skip


def make(way: str, root: Path, output: Path, workload: str, *words: str) -> cores.Core:
    """The core of a VM that aborted in the root."""
    wanted = command(way, root, output, workload, "abort", *words)
    result = subprocess.run(
        wanted, env=cores.ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert result.returncode == 0, result.stdout
    return cores.Core(output)


class Live(cores.Live):
    """A VM that runs in a root of its own; its number there is another one than here."""

    def __init__(self, directory: Path, maker: "subprocess.Popen[bytes]"):
        super().__init__(directory, maker)
        (self.pid,) = [pid for pid in descendants(maker.pid) if is_beam(pid)]


def start(way: str, root: Path, output: Path, workload: str, *words: str) -> Live:
    wanted = command(way, root, output, workload, "live", *words)
    return Live(output, cores.start_maker(wanted, output))


def descendants(pid: int) -> Iterator[int]:
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield int(child)
        yield from descendants(int(child))


def is_beam(pid: int) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/exe").endswith("/beam.smp")
    except FileNotFoundError:
        # It has just ended.
        return False
