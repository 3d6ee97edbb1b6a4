# SPDX-License-Identifier: Apache-2.0
"""What workloads write at the beginning of binaries, to tell them apart: ``holder:KIND:``."""

from typing import Any, Dict, Optional


def marker(vm: Any, binary: Dict[str, Any]) -> Optional[str]:
    """KIND of an off-heap binary of a census, None of one that is not marked."""
    parts = vm.read(binary["data_address"], min(binary["size"], 60)).split(b":")
    return parts[1].decode() if len(parts) > 2 and parts[0] == b"holder" else None
