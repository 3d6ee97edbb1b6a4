# SPDX-License-Identifier: Apache-2.0
"""Where recon is: Debian ships it inside rabbitmq-server, which is unpacked and not installed, because installing it
starts a broker."""

import fcntl
import os
import subprocess
from pathlib import Path

import cores


def ebin() -> Path:
    """The directory of recon.beam; $ETP_RECON names another one."""
    if "ETP_RECON" in os.environ:
        return Path(os.environ["ETP_RECON"])
    directory = cores.BUILD / "recon"
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / "ebin" / "recon.beam").exists():
            unpack(directory)
    return directory / "ebin"


def unpack(directory: Path) -> None:
    command = ["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", "rabbitmq-server"]
    result = subprocess.run(
        command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    packages = sorted(directory.glob("rabbitmq-server_*.deb"))
    assert packages, (
        f"these tests need recon, and `{' '.join(command)}`, whose package has it, failed:\n{result.stdout}\n"
        "set ETP_RECON to a directory with recon.beam"
    )
    tree = subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", str(packages[-1])], stdout=subprocess.PIPE
    )
    subprocess.run(
        ["tar", "-x", "-C", str(directory), "--wildcards", "*/recon-*/ebin"],
        stdin=tree.stdout,
        check=True,
    )
    tree.communicate()
    found = sorted(directory.glob("usr/lib/**/recon-*/ebin"))
    assert found, f"{packages[-1]} has no recon"
    found[-1].rename(directory / "ebin")
    for package in packages:
        package.unlink()
