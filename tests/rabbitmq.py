# SPDX-License-Identifier: Apache-2.0
"""Debian's rabbitmq-server. It is a real system of OTP processes, and ships recon."""

import os
import shutil
from pathlib import Path

import debian

#: For the VM of the workload rabbitmq: no epmd is started or asked, no cookie is left in the home directory.
FLAGS = ("-epmd_module", "rabbitmq", "-erl_epmd_port", "1", "-setcookie", "etp")


def plugins() -> Path:
    """RabbitMQ's applications, each with its ebin."""
    # Code that an older compiler made is not loaded by each release.
    with debian.directory_for("rabbitmq-server") as directory:
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
    debian.unpack(["rabbitmq-server"], directory)
    found = sorted(directory.glob("usr/lib/**/rabbitmq_server-*/plugins"))
    assert found, f"{directory} has no plugins"
    # RabbitMQ 3.8 comes as archives of applications.
    for archive in found[-1].glob("*.ez"):
        shutil.unpack_archive(archive, found[-1], "zip")
    found[-1].rename(directory / "plugins")
