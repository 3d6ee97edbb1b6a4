# SPDX-License-Identifier: Apache-2.0
"""Debian's ejabberd, with the libraries that it needs."""

from pathlib import Path

import debian


def libs() -> Path:
    """The applications, each with its ebin and its NIFs."""
    with debian.directory_for("ejabberd") as directory:
        libs = directory / "libs"
        if not libs.exists():
            # Libraries in C are not loaded from here.
            names = [
                name
                for name in debian.with_dependencies("ejabberd")
                if name == "ejabberd" or name.startswith("erlang-")
            ]
            debian.unpack(names, directory)
            unfinished = directory / "unfinished"
            unfinished.mkdir(exist_ok=True)
            for ebin in sorted(directory.glob("usr/lib/**/ebin")):
                if not ebin.parent.is_symlink():
                    ebin.parent.rename(unfinished / ebin.parent.name)
            unfinished.rename(libs)
    return libs
