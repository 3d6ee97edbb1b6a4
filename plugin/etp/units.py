# SPDX-License-Identifier: Apache-2.0
"""Numbers as people read them."""

from __future__ import annotations

WORD = 8
"""Bytes of a word: all VMs that etp reads are 64-bit."""

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

_STEPS = ((GIB * KIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB"))


def format_bytes(count: int) -> str:
    """``512 B``, ``1.5 KiB``, ``58.2 MiB``."""
    size = abs(count)
    for step, name in _STEPS:
        # 1023.95 KiB would round to 1024.0 KiB.
        if size >= step or round(size * KIB / step, 1) >= KIB:
            return f"{count / step:.1f} {name}"
    return f"{count} B"


def format_words(count: int) -> str:
    return f"{count:,} words"


def format_count(count: int) -> str:
    return f"{count:,}"


def format_percent(part: int, whole: int) -> str:
    """A share: ``99.7 %``, ``0 %``; never 100 % of less than all, nor 0 % of more than nothing."""
    if whole <= 0 or part == 0:
        return "0 %"
    if part == whole:
        return "100 %"
    percent = 100 * part / whole
    if 10 <= percent < 99.5:
        return f"{percent:.0f} %"
    if percent < 0.1:
        return "<0.1 %"
    if 99.95 <= percent < 100:
        return ">99.9 %"
    return f"{percent:.1f} %"


def format_duration(seconds: float) -> str:
    """``42 s``, ``5 min 3 s``, ``3 h 20 min``, ``12 d 4 h``."""
    total = int(seconds)
    if total < 60:
        return f"{total} s"
    for big, big_name, small, small_name in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if total >= big:
            rest = total % big // small
            return f"{total // big} {big_name}" + (f" {rest} {small_name}" if rest else "")
    raise AssertionError("unreachable")


def format_milliseconds(milliseconds: int) -> str:
    """``446 ms``, ``9999 ms``, from 10 s on as format_duration() has it."""
    return f"{milliseconds} ms" if milliseconds < 10_000 else format_duration(milliseconds / 1000)


def format_pause(seconds: float) -> str:
    """``85 ms``, ``2.4 s``: how long something stood still."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s"


def parse_limit(text: str) -> int:
    """A number of things; ``unlimited``, ``all`` and 0 mean no limit (0)."""
    if text in ("unlimited", "all"):
        return 0
    value = int(text, 10)
    if value < 0:
        raise ValueError(text)
    # More than there can be of anything, and no more than C can count.
    return min(value, 1 << 62)
