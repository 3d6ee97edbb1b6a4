# SPDX-License-Identifier: Apache-2.0
"""The commands on a made-up VM."""

import json
import os
import sys

import pytest

from etp.census import ProcessCensus
from etp.errors import Problem, UsageError
from etp.render import Screen
from etp.term_parser import Atom, Identifier
from fakes import DEAD, OWNER, FakeCensus, FakeRow, FakeRows, FakeTerm, table_facts

SECRET = b"4111-1111-1111-1111"


@pytest.fixture(autouse=True)
def shop(native):
    native.tables = [
        table_facts("carts", 1, size=3, memory_words=5000, keypos=2, compressed=True),
        table_facts("request", 2, named=False, size=1),
        table_facts("request", 3, named=False, size=2, owner_alive=False, is_deleting=True),
    ]
    native.rows[0x10000] = [
        FakeRow(0xA0, (Atom("anna"), SECRET)),
        FakeRow(0xB0, (Atom("bert"), b"x"), pseudo_deleted=True),
        FakeRow(0xC0, ((Atom("user"), 3), [1, 2])),
    ]
    pinned = {
        "rows": 3, "words": 20, "binary_refs": 100, "binaries": 100, "binary_bytes": 4 << 20,
        "visible_bytes": 1000, "own_binaries": 100, "own_bytes": 4 << 20,
        "own_visible_bytes": 1000, "sample_pin": 0xA0, "sample_pin_bytes": 40960,
        "sample_pin_visible": 19, "some_later_number": 1,
    }  # fmt: skip
    binaries = [
        {
            "address": 0x7000, "size": 40960, "refc": 1, "flags": 0, "refs": 1,
            "visible_bytes": 19, "holders": [("ets", 0x10000, 1, None)], "holder_count": 1,
            "data_address": 0x7018,
        },
        {
            "address": 0x8000, "size": 90, "refc": 3, "flags": 0, "refs": 2, "visible_bytes": 90,
            "holders": [("ets", 0x10000, 2, None)], "holder_count": 1, "data_address": 0x8018,
        },
    ]  # fmt: skip
    native.taken = FakeCensus({0x10000: pinned, 0x20000: {}, 0x30000: {}}, binaries)
    native.saved = {0x7018: SECRET * 9, 0x8018: bytes(90)}
    return native


def test_tables(context):
    lines = context.run("etp-ets-tables").split("\n")
    assert lines[0].split()[:2] == ["name", "type"]
    assert lines[1].split()[0] == "carts" and "<0.45.0> shop_server" in lines[1]
    assert "39.1 KiB" in lines[1]
    assert any("<0.45.0> dead" in line for line in lines)
    assert all(len(line) <= 80 for line in lines)


def test_tables_as_json_have_what_ets_info_says(context):
    tables = json.loads(context.run("etp-ets-tables", "--json"))["tables"]
    carts = tables[0]
    assert carts["memory_words"] == 5000 and carts["size"] == 3 and carts["keypos"] == 2
    assert carts["options"] == ["named_table", "{keypos,2}", "compressed"]


@pytest.mark.parametrize(
    "line, names",
    [
        ("--name car*", ["carts"]),
        ("--name request", ["request", "request"]),
        ("--owner dead", ["request"]),
        ("--owner shop_server --sort name", ["carts", "request"]),
        ("--owner <0.45.0> --limit 1", ["carts"]),
        ("--owner shop:init/1 --sort size", ["carts", "request"]),
        ("--type bag", []),
        ("--sort size --reverse", ["request", "request", "carts"]),
    ],
)
def test_tables_are_filtered_and_sorted(context, line, names):
    data = json.loads(context.run("etp-ets-tables", line + " --json"))
    assert [table["name"] for table in data["tables"]] == names


def test_rows(context):
    shown = context.run("etp-ets-show", "carts")
    assert "carts: set, 3 rows" in shown
    assert '{anna,<<"4111-1111-1111-1111">>}' in shown
    assert "(deleted) {bert," in shown
    assert "1 row looked at had been deleted" in shown


def test_rows_by_key(context):
    assert '{anna,<<"' in context.run("etp-ets-show", "carts --key anna")
    assert "{{user,3},[1,2]}" in context.run("etp-ets-show", "carts --key {user, 3}")
    assert "No row has this key; 3 rows looked at." in context.run("etp-ets-show", "carts --key x")


def test_rows_limited_as_json(context):
    data = json.loads(context.run("etp-ets-show", "carts --limit 1 --json"))
    assert len(data["rows"]) == 1 and data["rows"][0]["address"] == "0xa0"
    assert "1 of 3 rows shown" in data["notes"][0]


def test_rows_that_cannot_be_read_are_counted(context, native):
    native.rows[0x10000] = FakeRows(native.rows[0x10000], gaps=2, problem="torn chain")
    shown = context.run("etp-ets-show", "carts")
    assert "2 rows or chains of rows could not be read (torn chain)." in shown


def test_ctrl_c_keeps_what_was_shown(context, native):
    native.rows[0x10000] = FakeRows([*native.rows[0x10000][:1], KeyboardInterrupt])
    shown = context.run("etp-ets-show", "carts")
    assert "{anna," in shown and "Interrupted after 1 row." in shown


def test_a_table_is_found_by_name_reference_or_address(context):
    vm = context.vm
    assert vm.ets_table("carts").address == 0x10000
    assert vm.ets_table("'carts'").address == 0x10000
    assert vm.ets_table(":carts").address == 0x10000
    assert vm.ets_table("#Ref<0.1.2.2>").address == 0x20000
    assert vm.ets_table("#Reference<0.1.2.3>").address == 0x30000
    assert vm.ets_table("0x30000").address == vm.ets_table(0x30000).address == 0x30000


@pytest.mark.parametrize(
    "which, said",
    [
        ("request", "2 tables have the name request.*#Ref<0.1.2.2>, #Ref<0.1.2.3>"),
        ("cart", "No table has the name cart; 3 tables.*Did you mean carts"),
        ("#Ref<0.9.9.9>", "No table has the reference"),
        ("0x999", "No table is at 0x999"),
    ],
)
def test_a_table_that_is_not_found(context, which, said):
    with pytest.raises(Problem, match=said):
        context.run("etp-ets-show", which)


def test_leaks_name_the_leak_on_the_first_line(context):
    lines = context.run("etp-ets-leaks").split("\n")
    assert lines[0].startswith("1 suspect: 4.0 MiB of the ")
    assert "carts pins binaries" in " ".join(lines[:2])
    assert len(lines) <= 24 and all(len(line) <= 80 for line in lines)
    assert any(line.startswith("   Row: {anna,") and "(sees 19 B of 40.0 KiB)" in line
               for line in lines)  # fmt: skip
    assert any(line.startswith("   -> Insert a copy") for line in lines)


def test_leaks_explained(context):
    shown = context.run("etp-ets-leaks", "--explain")
    assert "4.0 MiB (4,194,304 bytes)" in shown
    assert "swarm tables" in shown


def test_leaks_of_a_healthy_vm(context, native):
    native.taken = FakeCensus({0x10000: {"rows": 3}, 0x20000: {}, 0x30000: {}})
    native.tables = native.tables[:2]
    shown = context.run("etp-ets-leaks")
    assert shown.startswith("Nothing suspicious.\nLooked at: 2 tables, 3 rows")


def test_leaks_as_json(context):
    data = json.loads(context.run("etp-ets-leaks", "--json"))
    assert data["complete"] is True and data["looked_at"]["tables"] == 3
    suspect = data["suspects"][0]
    assert suspect["kind"] == "pins" and suspect["at_stake_bytes"] == (4 << 20) - 1000
    assert suspect["tables"] == ["0x10000"] and suspect["sample"].startswith("{anna,")


def test_interrupted_leaks_say_so_first(context, native):
    native.taken.complete = False
    assert context.run("etp-ets-leaks").startswith("Warning: Interrupted:")
    assert context.run("etp-bins").startswith("Warning: Interrupted:")
    assert json.loads(context.run("etp-ets-leaks", "--json"))["complete"] is False


def test_gaps_come_before_the_answer(context, native):
    native.gaps = ["The list of scheduler 3 ends in memory that was not saved."]
    assert context.run("etp-ets-leaks").startswith("Warning: The list of scheduler 3 ends")
    assert context.run("etp-ets-tables").startswith("Warning: The list of scheduler 3 ends")


def test_warnings_about_the_core_are_told_once(context, native):
    native.facts["warnings"] = ["The executable is another build."]
    assert context.run("etp-info").startswith("Warning: The executable is another build.")
    assert "another build" not in context.run("etp-info")


def test_binaries(context):
    shown = context.run("etp-bins")
    lines = shown.split("\n")
    assert lines[1].split()[:2] == ["0x7000", "40.0"]
    assert '<<"4111' in lines[1]
    assert "table carts" in lines[2] and "<<0,0," in lines[2]
    data = json.loads(context.run("etp-bins", "--sort waste --limit 1 --json"))
    assert [b["address"] for b in data["binaries"]] == ["0x7000"] and data["total"] == 2
    data = json.loads(context.run("etp-bins", "--unaccounted --json"))
    assert [b["address"] for b in data["binaries"]] == ["0x8000"]
    assert data["unaccounted"] == {"binaries": 1, "bytes": 90, "refs": 1}


def test_memory(context):
    shown = context.run("etp-memory")
    lines = shown.split("\n")
    # What most of it is comes first, with the command that says more, and what is free.
    assert lines[0] == "51 % ets, not in a table, 101.2 KiB"
    assert lines[1] == "21 % ets, tables, 42.2 KiB: etp-ets-tables --sort memory"
    assert lines[2].startswith("20 % binary, held by ets, ") and lines[2].endswith(
        ": etp-ets-leaks"
    )
    assert lines[3].startswith("50 % of what the allocators have of the system is free, 196.3 KiB:")
    table = lines.index("")
    assert lines[table + 2].split()[:2] == ["total", "197.3"]
    assert any("held by ets" in line and "82 %" in line for line in lines)
    data = json.loads(context.run("etp-memory", "--json"))
    # 900 of heaps, 90 of fix_alloc's 100, and 10 of the table.
    assert data["memory"]["processes"] == 1000 and data["memory"]["total"] == 202008
    assert data["memory"]["processes_used"] == 990 and data["memory"]["system"] == 201008
    assert data["memory"]["atom"] == 350 and data["memory"]["atom_used"] == 250
    assert data["memory"]["code"] == 1015
    assert [part["see"] for part in data["largest"]][1:] == [
        "etp-ets-tables --sort memory",
        "etp-ets-leaks",
    ]
    missing = next(row for row in data["rows"] if row["what"].endswith("unaccounted"))
    assert missing["bytes"] == 90 and missing["of"] == "binary"
    shown = json.loads(context.run("etp-memory", "--sort bytes --limit 1 --json"))["rows"]
    assert [row["what"].strip() for row in shown if row.get("of") == "system"] == ["ets"]


def test_bin_leaks(context, native):
    numbers = {name: 0 for name in ProcessCensus.__dataclass_fields__}
    leaky = {
        **numbers, "address": OWNER.word, "pid": OWNER, "binary_refs": 5, "released_refs": 4,
        "released_bytes": 4096, "added_refs": 1, "added_bytes": 100, "problem": "",
    }  # fmt: skip
    damaged = {**numbers, "address": 1, "pid": DEAD, "unreadable": 2, "problem": "no heap"}
    native.taken.processes = [damaged, leaky]
    lines = context.run("etp-bin-leaks").split("\n")
    assert lines[0] == "Warning: 1 process could not be read whole: <0.99.0> (no heap)."
    assert lines[2].split()[:5] == ["<0.45.0>", "shop_server", "-3", "-3.9", "KiB"]
    data = json.loads(context.run("etp-bin-leaks", "--all --sort delta --json"))
    assert [p["delta"] for p in data["processes"]] == [-3, 0]
    assert [p["doubt"] for p in data["processes"]] == ["", "damaged"]
    assert len(json.loads(context.run("etp-bin-leaks", "--all --limit 1 --json"))["processes"]) == 1


def test_many_unreadable_processes(context, native):
    """Of all that a damaged core may have, no more objects are made than are named."""
    numbers = {name: 0 for name in ProcessCensus.__dataclass_fields__}
    damaged = {**numbers, "pid": DEAD, "unreadable": 2, "problem": "no heap"}
    native.taken.processes = [{**damaged, "address": i} for i in range(1, 1001)]
    context.run("etp-bin-leaks", "--limit 1")
    assert context.vm.census().gaps == [
        "1,000 processes could not be read whole: <0.99.0> (no heap), <0.99.0> (no heap),"
        " <0.99.0> (no heap) and 997 more."
    ]
    assert native.taken.listed == 3


def test_info(context):
    shown = context.run("etp-info")
    assert "Erlang/OTP 25, ERTS 13.1.5, jit, x86_64" in shown
    assert "up for 1 min 30 s" in shown and "SIGABRT" in shown
    assert "1 of 1 hold" in shown
    assert json.loads(context.run("etp-info", "--json"))["otp_release"] == "25"


def test_redaction_shows_no_contents_anywhere(context):
    context.settings.set("redact", "on")
    for line in (
        "etp-ets-show carts", "etp-ets-show carts --json", "etp-ets-show carts --raw",
        "etp-ets-leaks --explain", "etp-ets-leaks --json", "etp-bins", "etp-bins --json",
        "etp-info --verbose", "etp-info --json", "etp 0x1003", "etp --raw 0x1003",
    ):  # fmt: skip
        name, _, rest = line.partition(" ")
        shown = context.run(name, rest)
        for secret in ("4111", "anna", "db1.example", "-secret", "/cores/"):
            assert secret not in shown, line


def test_a_pid_says_whose_it_is(context):
    assert context.run("etp", "<0.45.0>") == "<0.45.0>  shop_server  shop:init/1\n"
    assert context.run("etp", "#PID<0.45.0>") == "<0.45.0>  shop_server  shop:init/1\n"
    with pytest.raises(Problem, match="No live process has the pid <0.1.2>"):
        context.run("etp", "<0.1.2>")


def test_addresses_that_other_commands_list_are_known(native, context):
    assert "etp-ets-show carts shows its rows" in " ".join(context.run("etp", "0x10000").split())
    assert "etp-ets-show #Ref<0.1.2.2>" in " ".join(context.run("etp", "0x20000").split())
    native.saved[0x7000] = bytes(8)
    shown = context.run("etp", "0x7000")
    assert shown.startswith("The off-heap binary at 0x7000: 40.0 KiB") and "4111-" in shown
    context.settings.set("redact", "on")
    assert "4111" not in context.run("etp", "0x7000")


def test_what_is_no_expression_without_a_debugger(context):
    with pytest.raises(Problem, match="need a debugger"):
        context.run("etp", "$rax + 1")
    with pytest.raises(UsageError, match="Which term"):
        context.run("etp", "")
    with pytest.raises(UsageError, match="64 bits"):
        context.run("etp", "0x10000000000000000")


def test_an_address_without_a_tag_is_understood(native, context):
    class Words(dict):
        def __missing__(self, address):
            raise AssertionError(hex(address))

    kinds = {0x5000: "header", 0x6000: "header"}
    native.term = lambda word: FakeTerm(word, kind=kinds.get(word, "tuple"))
    # A header word has the primary tag 00; a cons cell begins with a term, which never has.
    native.saved = Words({0x5000: (0x80).to_bytes(8, "little"), 0x6000: b"\x0f" + bytes(7)})
    assert context.vm.term_at(0x5000).python == 0x5002
    assert context.vm.term_at(0x6000).python == 0x6001
    assert context.vm.term_at(0x5002).python == 0x5002


def test_help_lists_all_commands_and_settings(context):
    from etp.commands.registry import COMMANDS, GROUPS

    shown = context.run("etp-help", "all")
    assert "etp-ets-leaks" in shown and "redact" in shown
    assert all(f"  {command.name} " in shown for command in COMMANDS)
    assert "redact" in context.run("etp-help", "settings")
    assert context.run("etp-help", "ets-show") == context.run("etp-ets-show", "--help")
    for group in GROUPS:
        said = context.run("etp-help", group.name)
        assert all(f"  {command.name} " in said for command in group.commands)
    with pytest.raises(UsageError):
        context.run("etp-help", "nope")


def test_the_first_screen_of_help_is_a_screen(context):
    from etp.commands.registry import COMMANDS

    context.width = 80
    lines = context.run("etp-help").split("\n")
    # Above it is the line that was typed, below it the next prompt.
    assert len(lines) <= 22 and max(map(len, lines)) <= 80
    assert "etp-hung" in lines[1]
    words = " ".join(lines).replace(",", "").split()
    assert not {command.name.removeprefix("etp-") for command in COMMANDS} - {*words, "etp"}


def test_a_command_that_is_not_there_has_likely_ones(context):
    from etp.commands.registry import did_you_mean

    assert did_you_mean("leaks") == " Did you mean ets-leaks or bin-leaks?"
    assert "ets-tables" in did_you_mean("etp-ets-table")
    assert did_you_mean("xyzzy") == ""
    with pytest.raises(UsageError, match="ets-leaks"):
        context.run("etp-help", "leaks")


def test_a_python_without_rich_is_no_mistake_of_etp(context, monkeypatch):
    from etp.commands.registry import find
    from etp.commands.runner import explain

    for name in ("rich", "rich.text", "rich.console"):
        monkeypatch.setitem(sys.modules, name, None)
    plain = context.run("etp-ets-tables")
    monkeypatch.setattr(context, "screen", lambda: Screen(context.out.write, color=True))
    with pytest.raises(ModuleNotFoundError) as error:
        context.run("etp-ets-tables")
    assert plain.startswith("name ")
    said = explain(error.value, find("etp-ets-tables"))
    assert "python3-rich" in said and "mistake" not in said


@pytest.mark.parametrize(
    "built, said", [(1, "run scripts/build"), (9, "mistake in etp itself (TypeError: 11 given)")]
)
def test_a_binding_older_than_its_sources_is_no_mistake_of_etp(tmp_path, monkeypatch, built, said):
    from etp import _binding
    from etp.commands.registry import find
    from etp.commands.runner import explain

    sources = tmp_path / "src" / "python"
    package = tmp_path / "plugin" / "etp"
    for directory in (sources, package):
        directory.mkdir(parents=True)
    for path, time in ((sources / "vm.c", 5), (tmp_path / "_etp.so", built)):
        path.touch()
        os.utime(path, (time, time))
    monkeypatch.setattr(_binding, "__file__", str(package / "_binding.py"))
    monkeypatch.setattr(_binding._etp, "__file__", str(tmp_path / "_etp.so"), raising=False)
    assert said in explain(TypeError("11 given"), find("etp-ets-tables"))


@pytest.mark.parametrize("kind", [Problem, ValueError])
def test_what_an_error_names_does_not_act_on_a_terminal(kind):
    from etp.commands.registry import find
    from etp.commands.runner import explain

    said = explain(kind("No process \x1b]0;x\x07.\nThere is a\u202e."), find("etp-state"))
    assert r"\x{1B}]0;x\x{7}" in said and r"a\x{202E}" in said
    assert not set(said) & {"\x1b", "\x07", "\u202e"} and said.count("\n") == 1


@pytest.mark.parametrize("line", ["| less", "> /tmp/x", ">>x", "carts | head"])
def test_a_shells_redirection_is_not_an_argument(context, line):
    with pytest.raises(UsageError, match="pipe etp-ets-leaks | less"):
        context.run("etp-ets-leaks", line)


def test_options_are_written_as_ets_new_takes_them(native, context):
    locks = ("debug_hash_fixed_number_of_locks", 256)
    native.tables = [
        table_facts("a", 1, write_concurrency=locks),
        table_facts("b", 2, write_concurrency="auto"),
        table_facts("c", 3, write_concurrency=True),
    ]
    options = {t["name"]: t["options"][1:] for t in
               json.loads(context.run("etp-ets-tables", "--json"))["tables"]}  # fmt: skip
    assert options == {
        "a": ["{write_concurrency,{debug_hash_fixed_number_of_locks,256}}"],
        "b": ["{write_concurrency,auto}"],
        "c": ["{write_concurrency,true}"],
    }


def test_leaks_name_what_can_be_freed(native, context):
    """... when it is not what is largest; and count in good English."""
    scan = {"rows": 20, "pseudo_deleted": 20_000, "pseudo_deleted_words": 400_000}
    native.tables = [
        table_facts("log", 1, memory_words=4_000_000),
        table_facts("walked", 2, fixed=True, fix_count=1),
    ]
    native.taken = FakeCensus({0x10000: {"rows": 5}, 0x20000: scan})
    shown = " ".join(context.run("etp-ets-leaks", "--limit 1").split())
    assert "(see 2). Largest: log dominates (to be judged)." in shown
    assert "1 smaller suspect not shown" in shown and "no off-heap binaries." in shown


def test_identifiers_of_fakes():
    assert FakeTerm(Identifier("<0.1.0>")).kind == "pid"


@pytest.mark.parametrize(
    "arguments, text",
    [
        (["core"], "etp: Which command? hung, memory"),
        (["core", "ets-leek"], "No command 'ets-leek'. Did you mean ets-leaks"),
        (["core", "xyzzy", "--limit", "5"], "No command 'xyzzy'. `etp help all` lists all."),
        (["/no/such", "ets-tables", "--limit", "5"], "/no/such"),
    ],
)
def test_the_command_line_says_what_it_lacks(arguments, text, capsys):
    from etp.__main__ import main

    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert text in said and len(said.splitlines()) == 1
