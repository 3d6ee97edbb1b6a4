# SPDX-License-Identifier: Apache-2.0
import pytest

from etp.text import plural, preview, safe
from etp.units import format_bytes, format_duration, format_percent, parse_limit


@pytest.mark.parametrize(
    "count, text",
    [
        (0, "0 B"),
        (1, "1 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1024 * 1024 - 1, "1.0 MiB"),
        (61_026_304, "58.2 MiB"),
        (3 << 30, "3.0 GiB"),
        (5 << 40, "5.0 TiB"),
        (-2048, "-2.0 KiB"),
    ],
)
def test_bytes(count, text):
    assert format_bytes(count) == text


@pytest.mark.parametrize(
    "part, whole, text",
    [
        (0, 10, "0 %"),
        (0, 0, "0 %"),
        (10, 10, "100 %"),
        (1, 3, "33 %"),
        (9_999_999, 10_000_000, ">99.9 %"),
        (997, 1000, "99.7 %"),
        (1, 10_000_000, "<0.1 %"),
        (5, 100, "5.0 %"),
    ],
)
def test_percent_never_rounds_to_all_or_nothing(part, whole, text):
    assert format_percent(part, whole) == text


@pytest.mark.parametrize(
    "seconds, text",
    [(0, "0 s"), (59.9, "59 s"), (60, "1 min"), (303, "5 min 3 s"), (12000, "3 h 20 min"),
     (86400 * 12 + 4 * 3600, "12 d 4 h")],
)  # fmt: skip
def test_duration(seconds, text):
    assert format_duration(seconds) == text


def test_limits():
    assert parse_limit("12") == 12
    assert parse_limit("all") == parse_limit("unlimited") == parse_limit("0") == 0
    for wrong in ("-1", "x", "1.5", ""):
        with pytest.raises(ValueError):
            parse_limit(wrong)


def test_nothing_that_acts_on_a_terminal_passes():
    evil = "a\x1b[2Jb\x9b1mc\u202ed\u200be\ud800f\ng\x7f"
    shown = safe(evil)
    assert shown == r"a\x{1B}[2Jb\x{9B}1mc\x{202E}d\x{200B}e\x{D800}f\x{A}g\x{7F}"
    assert safe("a\nb\r", keep_newlines=True) == "a\nb\\x{D}"
    assert safe("größe 日本 😀") == "größe 日本 😀"


def test_preview_of_binaries():
    assert preview(b"", 0) == "<<>>"
    assert preview(b"GET /", 5) == '<<"GET /">>'
    assert preview(b'a"b\\c', 5) == r'<<"a\"b\\c">>'
    assert preview(b"x" * 24, 100) == '<<"' + "x" * 24 + '...">>'
    assert preview(bytes([1, 2, 0x1B]), 3) == "<<1,2,27>>"
    assert preview(bytes(range(24)), 100) == "<<0,1,2,3,4,5,6,7,...>>"


def test_plural():
    assert plural(1, "row") == "1 row"
    assert plural(0, "row") == "0 rows"
    assert plural(2000, "binary", "binaries") == "2,000 binaries"
