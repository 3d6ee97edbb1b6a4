# SPDX-License-Identifier: Apache-2.0
"""A core under the binding alone, without the Python package above it."""

from pathlib import Path
from typing import Optional

import _etp
import cores

LAYOUTS = [str(cores.ROOT / "plugin" / "etp" / "layouts")]


def open_vm(core: cores.Core, path: Optional[Path] = None, *, use_dwarf: bool = True) -> "_etp.VM":
    """With the shipped layouts; ``path`` is another copy of the same core."""
    return _etp.VM(
        core=str(path or core.path),
        executable=str(core.executable),
        layout_directories=LAYOUTS,
        use_dwarf=use_dwarf,
    )
