# SPDX-License-Identifier: Apache-2.0
"""Text that is safe to put on a terminal."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def safe(text: str, keep_newlines: bool = False) -> str:
    """Escape what could act on a terminal: control characters, bidi overrides, surrogates.

    Escapes look as Erlang's do, ``\\x{1B}``.  Bytes of a core can say anything.
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or (keep_newlines and c == "\n") else f"\\x{{{ord(c):X}}}"
        for c in text
    )


def similar(name: str, known: Iterable[str]) -> str:
    """`` Did you mean a or b?``, or "" if none of the known names is like this one."""
    import difflib

    names = list(dict.fromkeys(known))
    found = [each for each in names if len(name) > 2 and name.lower() in each.lower()]
    found = found or difflib.get_close_matches(name, names, n=3)
    return f" Did you mean {' or '.join(safe(each) for each in found[:3])}?" if found else ""


def agree(verb: str, count: int) -> str:
    """The verb behind a number of things: ``wait``, of one ``waits``; ``are``, of one ``is``."""
    if count != 1:
        return verb
    return "is" if verb == "are" else verb + "s"


def is_unreadable(text: str) -> bool:
    """Is it the text of an atom or a term of which a part is not in the core?"""
    return "#Unreadable" in text


def shorten(text: str, width: int) -> str:
    """At most ``width`` characters, the last one an ellipsis where something was cut."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def preview(data: bytes, size: int, limit: int = 24) -> str:
    """The first bytes of a binary as an Erlang binary, for a table's cell.

    ``data`` are the bytes at hand, ``size`` how many the binary has.
    """
    if size == 0:
        return "<<>>"
    head = data[:limit]
    dots = "..." if size > len(head) else ""
    if head and sum(0x20 <= byte < 0x7F for byte in head) * 4 >= len(head) * 3:
        return f'<<"{"".join(map(_character, head))}{dots}">>'
    body = ",".join(str(byte) for byte in head[: limit // 3])
    return f"<<{body}{',...' if size > limit // 3 else ''}>>"


def _character(byte: int) -> str:
    if byte in b'"\\':
        return "\\" + chr(byte)
    if 0x20 <= byte < 0x7F:
        return chr(byte)
    return {9: "\\t", 10: "\\n", 13: "\\r"}.get(byte) or f"\\x{byte:02X}"


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """``1 row``, ``1,000 rows``, ``2 processes``."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"
