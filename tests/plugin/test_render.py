# SPDX-License-Identifier: Apache-2.0
import io
import json

import pytest

from etp.commands.declaration import Column
from etp.errors import UsageError
from etp.render import Screen, render
from etp.views import Facts, Lines, Listing, Paragraph, Report, Table, TermText

COLUMNS = (
    Column("name", "", flexible=6),
    Column("rows", "", kind="count"),
    Column("memory", "", kind="bytes", key="bytes"),
    Column("note", "", rank=2),
)


def table(*rows):
    return Table(COLUMNS, [dict(zip(("name", "rows", "bytes", "note"), row)) for row in rows])


def text_of(view, width=80, **options):
    out = io.StringIO()
    render(view, Screen(out.write, width=width, **options))
    return out.getvalue()


ROWS = (("alpha", 12, 2048, "x"), ("beta", 3456, 10, ""), ("gamma", 7, 5 << 20, "long note"))


def test_a_table_has_aligned_columns_and_no_trailing_blanks():
    assert text_of(table(*ROWS)) == (
        "name    rows   memory  note\n"
        "alpha     12  2.0 KiB  x\n"
        "beta   3,456     10 B\n"
        "gamma      7  5.0 MiB  long note\n"
    )


def test_values_that_are_equal_keep_texts_of_their_own():
    mixed = table((1, 1, 1, True), (True, 2, 2, 1), (1.0, 3, 3, [1]), (None, 1, 1, "1"))
    lines = text_of(mixed).splitlines()[1:]
    assert [line.split()[0] for line in lines] == ["1", "True", "1.0", "1"]
    assert [line.split()[-1] for line in lines] == ["True", "1", "1", "1"]


def test_columns_give_way_on_a_narrow_screen_and_this_is_said():
    shown = text_of(table(*ROWS), width=24)
    assert "note" not in shown.split("\n")[0]
    assert "No room for: note" in shown.replace("\n", " ")
    shown = text_of(table(("a" * 40, 1, 1, "")), width=30)
    assert all(len(line) <= 30 for line in shown.split("\n"))
    assert "…" in shown


def test_sorting_puts_large_numbers_first_and_names_in_order():
    def names(view):
        return [row["name"] for row in view.rows]

    assert names(table(*ROWS).arrange("memory")) == ["gamma", "alpha", "beta"]
    assert names(table(*ROWS).arrange("memory", reverse=True)) == ["beta", "alpha", "gamma"]
    assert names(table(*ROWS).arrange("name")) == ["alpha", "beta", "gamma"]
    assert names(table(*ROWS).arrange("note")) == ["gamma", "alpha", "beta"], "nothing comes last"


def test_a_limit_is_said():
    view = table(*ROWS).arrange("rows", limit=2)
    assert "2 of 3 rows shown" in text_of(view)
    assert view.data()["total"] == 3


def test_columns_can_be_chosen():
    assert text_of(table(*ROWS).arrange(columns="rows,name")).startswith(" rows  name\n   12")
    with pytest.raises(UsageError, match="no column 'size'.*name, rows, memory, note"):
        table(*ROWS).arrange(columns="name,size")


def test_units():
    assert "2,048" in text_of(table(*ROWS).arrange(units="bytes"))
    shown = text_of(table(*ROWS).arrange(units="words"))
    assert "memory/words" in shown and " 256" in shown


def test_a_column_without_values_is_left_out():
    assert "note" not in text_of(table(("a", 1, 1, ""), ("b", 1, 1, None)))


def test_nothing_from_the_core_acts_on_the_terminal():
    evil = "\x1b[31mred\x9b\u202e"
    views = [
        table((evil, 1, 1, evil)),
        Report([Paragraph(evil), Facts([("x", evil)]), Lines([evil])], {}),
        Report([Facts([(evil, "x")]), Lines(["x"], tail=evil)], {}),
        TermText(evil, {}),
        Listing([(evil, {})], lambda _count, _interrupted: [evil]),
    ]
    for view in views:
        shown = text_of(view)
        assert "\\x{1B}[31mred" in shown
        assert not set(shown) & {"\x1b", "\x9b", "\u202e"}


def test_markup_of_rich_has_no_meaning():
    assert "[bold]x[/bold] :smile:" in text_of(table(("[bold]x[/bold] :smile:", 1, 1, "")))
    assert "[red]" in text_of(Report([Paragraph("[red]")], {}))


def test_colors_only_where_they_are_wanted():
    report = Report([Paragraph("look", "warning")], {})
    assert "\x1b[" not in text_of(report)


def test_ascii_screens_get_ascii():
    shown = text_of(table(("größe" * 9, 1, 1, "")), width=40, unicode=False)
    assert shown.isascii() and "\\xf6" in shown


def test_paragraphs_wrap_by_words_and_long_words_stay_whole():
    path = "/a/very/long/path" * 8
    shown = text_of(
        Report([Paragraph("The file is " + path + " and more", indent=2)], {}), width=40
    )
    lines = shown.rstrip("\n").split("\n")
    assert lines == ["  The file is", "  " + path, "  and more"]


def test_wide_characters_are_counted_as_wide():
    lines = text_of(table(("日本", 1, 1, "x"), ("ab", 1, 1, "x"))).split("\n")
    from rich.cells import cell_len

    assert cell_len(lines[1]) == cell_len(lines[2])


def test_warnings_come_first():
    view = table(*ROWS)
    view.warnings.append("two rows are missing")
    assert text_of(view).startswith("Warning: two rows are missing\nname")


def test_json_is_ascii_and_complete():
    out = io.StringIO()
    view = table(("größe\x1b", 1, 2048, ""))
    view.warnings.append("gap")
    render(view, Screen(out.write), as_json=True, warnings=("other core",))
    assert out.getvalue().isascii()
    data = json.loads(out.getvalue())
    assert data["rows"] == [{"name": "größe\x1b", "rows": 1, "bytes": 2048, "note": ""}]
    assert data["warnings"] == ["other core", "gap"]


def test_a_listing_stops_at_ctrl_c_and_says_so():
    def entries():
        yield "one", {"n": 1}
        raise KeyboardInterrupt

    def close(count, interrupted):
        return [f"{count} shown, interrupted: {interrupted}"]

    assert text_of(Listing(entries(), close)) == "one\n1 shown, interrupted: True\n"
    out = io.StringIO()
    render(Listing(entries(), close, facts={"table": "t"}), Screen(out.write), as_json=True)
    data = json.loads(out.getvalue())
    assert data["rows"] == [{"n": 1}] and data["complete"] is False and data["table"] == "t"


def test_an_empty_table_says_so():
    assert text_of(table()) == "No rows.\n"
