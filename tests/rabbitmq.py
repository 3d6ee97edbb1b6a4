# SPDX-License-Identifier: Apache-2.0
"""Debian's rabbitmq-server, which is unpacked and not installed, because installing it starts a broker.

It is a real system of OTP processes, and ships recon.
"""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import cores

#: For the VM of the workload rabbitmq: no epmd is started or asked, no cookie is left in the home directory.
FLAGS = ("-epmd_module", "rabbitmq", "-erl_epmd_port", "1", "-setcookie", "etp")


def plugins() -> Path:
    """RabbitMQ's applications, each with its ebin."""
    # Code that an older compiler made is not loaded by each release.
    suite = cores.root()
    directory = cores.BUILD / (
        "rabbitmq-server" if suite is None else f"rabbitmq-server-{suite.name}"
    )
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / "plugins").exists():
            unpack(directory)
    return directory / "plugins"


def recon() -> Path:
    """The directory of recon.beam; $ETP_RECON names another one."""
    if "ETP_RECON" in os.environ:
        return Path(os.environ["ETP_RECON"])
    found = sorted(plugins().glob("recon-*/ebin"))
    assert found, f"{plugins()} has no recon; set ETP_RECON to a directory with recon.beam"
    return found[-1]


def unpack(directory: Path) -> None:
    command = [*cores.inside_root(), "apt-get", "download", "-q", "-o", "APT::Sandbox::User=root"]
    command.append("rabbitmq-server")
    result = subprocess.run(
        command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    packages = sorted(directory.glob("rabbitmq-server_*.deb"))
    assert packages, f"`{' '.join(command)}`, which these tests need, failed:\n{result.stdout}"
    tree = subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", str(packages[-1])], stdout=subprocess.PIPE
    )
    subprocess.run(
        ["tar", "-x", "-C", str(directory), "--wildcards", "*/plugins/*"],
        stdin=tree.stdout,
        check=True,
    )
    tree.communicate()
    found = sorted(directory.glob("usr/lib/**/rabbitmq_server-*/plugins"))
    assert found, f"{packages[-1]} has no plugins"
    # RabbitMQ 3.8 comes as archives of applications.
    for archive in found[-1].glob("*.ez"):
        shutil.unpack_archive(archive, found[-1], "zip")
    found[-1].rename(directory / "plugins")
    for package in packages:
        package.unlink()
