# SPDX-License-Identifier: Apache-2.0
import pytest

from etp.commands.line import HelpRequested, complete, parse, split
from etp.commands.registry import COMMANDS, find
from etp.errors import UsageError
from fakes import table_facts


@pytest.mark.parametrize(
    "line, words",
    [
        ("", []),
        ("  a  b ", ["a", "b"]),
        ('sessions --key {user, "a b"}', ["sessions", "--key", '{user, "a b"}']),
        ("t --key 'two words'", ["t", "--key", "'two words'"]),
        (r'--key "a\" b" x', ["--key", r'"a\" b"', "x"]),
        ("#Ref<0.1.2.3> --limit 3", ["#Ref<0.1.2.3>", "--limit", "3"]),
    ],
)
def test_quotes_and_brackets_keep_terms_together(line, words):
    assert split(line) == words


def test_a_quote_that_is_not_closed():
    with pytest.raises(UsageError, match="closing"):
        split("t --key 'abc")


def test_errors_of_a_line_are_one_sentence():
    command = find("etp-ets-tables")
    for line in ("--nope", "--limit many", "--sort colour", "extra", "--limit"):
        with pytest.raises(UsageError) as error:
            parse(command, line)
        assert "\n" not in str(error.value)
        assert "etp-ets-tables --help" in str(error.value)


def test_limits_are_numbers_or_all():
    command = find("etp-ets-show")
    assert parse(command, "t").limit == 20
    assert parse(command, "t --limit 7").limit == 7
    assert parse(command, "t --limit all").limit == 0


@pytest.mark.parametrize(
    "line, raw, expression",
    [
        ("0x12", False, "0x12"),
        ("--raw 0x12", True, "0x12"),
        ("--raw -- -5", True, "-5"),
        ("-5", False, "-5"),
        ("*(long *) ($rsp + 8)", False, "*(long *) ($rsp + 8)"),
        ('--raw strlen("a  b")', True, 'strlen("a  b")'),
        ("", False, None),
    ],
)
def test_an_expression_is_left_as_it_is(line, raw, expression):
    args = parse(find("etp"), line)
    assert (args.raw, args.EXPRESSION) == (raw, expression)


@pytest.mark.parametrize("line", ["-h", "--help", "x --help"])
def test_help_is_asked_for(line):
    with pytest.raises(HelpRequested):
        parse(find("etp-ets-show"), line)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_each_command_documents_itself(command):
    text = command.help()
    assert text.split("\n")[0] == command.summary
    assert command.summary.endswith(".") and len(command.summary) < 70
    assert all(len(line) <= 80 for line in text.split("\n"))
    for argument in command.arguments:
        assert argument.names[-1] in text and argument.help.split()[0] in text
    for column in command.columns:
        assert column.help.split()[0] in text


def test_completion(context, native):
    native.tables = [table_facts("sessions", 1), table_facts("settings", 2), table_facts("x", 3)]
    show = find("etp-ets-show")
    assert complete(show, "se", context) == ["sessions", "settings"]
    assert complete(show, "sessions --l", context) == ["--limit"]
    assert complete(show, "--limit 5 se", context) == ["sessions", "settings"]
    assert "--key" in complete(show, "sessions ", context)
    tables = find("etp-ets-tables")
    assert complete(tables, "--sort me", context) == ["memory"]
    assert complete(tables, "--type ", context) == ["bag", "duplicate_bag", "ordered_set", "set"]
    assert complete(tables, "--columns name,si", context) == ["name,size"]
    assert complete(tables, "--owner ", context) == ["shop_server"]
    assert complete(tables, "--json --js", context) == []


def test_names_that_could_act_on_a_terminal_are_not_offered(context, native):
    names = ["sessions", "se\x1b]0;x\x07", "se\nshell id", "se\u202e"]
    native.tables = [table_facts(name, index + 1) for index, name in enumerate(names)]
    assert complete(find("etp-ets-show"), "se", context) == ["sessions"]
