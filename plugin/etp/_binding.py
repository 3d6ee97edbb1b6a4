# SPDX-License-Identifier: Apache-2.0
"""Finds and loads ``_etp``, the binding of the C library.

It lies next to this package when installed.  In a checkout it is in the build directory: that of
$ETP_BUILD_DIR, or build/.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location

from .errors import BindingMissing

FILE_NAME = "_etp.abi3.so"


def candidates() -> list[str]:
    """Paths where the binding may be, in the order in which they are tried."""
    package = os.path.dirname(os.path.abspath(__file__))
    plugin = os.path.dirname(package)
    directories = [plugin]
    build = os.environ.get("ETP_BUILD_DIR")
    if build:
        directories = [os.path.join(build, "src", "python"), build]
    else:
        directories.append(os.path.join(os.path.dirname(plugin), "build", "src", "python"))
    return [os.path.join(directory, FILE_NAME) for directory in directories]


def is_outdated() -> bool:
    """Is this a checkout whose sources in C are newer than what was built of them?"""
    built = _etp.__file__
    plugin = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    sources = os.path.join(os.path.dirname(plugin), "src", "python")
    if built is None or not os.path.isdir(sources):
        return False
    newest = max(entry.stat().st_mtime for entry in os.scandir(sources))
    return newest > os.stat(built).st_mtime


def _load() -> None:
    if "_etp" in sys.modules:
        return
    paths = candidates()
    for path in paths:
        if not os.path.exists(path):
            continue
        spec = spec_from_file_location("_etp", path, loader=ExtensionFileLoader("_etp", path))
        if spec is None or spec.loader is None:
            continue
        try:
            module = module_from_spec(spec)
            sys.modules["_etp"] = module
            spec.loader.exec_module(module)
            return
        except ImportError as error:
            sys.modules.pop("_etp", None)
            raise BindingMissing(
                f"{path} cannot be loaded: {error}. "
                "Are libelf, libdw and libjson-c installed, and is it built for this machine?"
            ) from error
    raise BindingMissing(
        "The C part of etp was looked for and not found at " + " nor at ".join(paths) + ". "
        "In a checkout run scripts/build; otherwise run scripts/install again."
    )


_load()

import _etp  # noqa: E402 - only now can it be found

__all__ = ["_etp", "BindingMissing", "candidates", "is_outdated"]
