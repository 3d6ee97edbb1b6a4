# SPDX-License-Identifier: Apache-2.0
import pytest

from etp.errors import UsageError
from etp.term_parser import Atom, Identifier, matches, parse
from fakes import FakeTerm


@pytest.mark.parametrize(
    "text, value",
    [
        ("foo", Atom("foo")),
        ("'hello world'", Atom("hello world")),
        (r"'it\'s'", Atom("it's")),
        (":foo", Atom("foo")),
        (':"a b"', Atom("a b")),
        ("MyApp.Cache", Atom("Elixir.MyApp.Cache")),
        ("42", 42),
        ("-7", -7),
        ("1_000", 1000),
        ("16#ff", 255),
        ("-2#101", -5),
        ("0x1F", 31),
        ("$a", 97),
        (r"$\n", 10),
        ("1.5", 1.5),
        ("-2.5e3", -2500.0),
        ("<<>>", b""),
        ('<<"abc">>', b"abc"),
        ("<<1,2,255>>", b"\x01\x02\xff"),
        ('<<"ä"/utf8>>', "ä".encode()),
        ('<<"ä">>', b"\xe4"),
        ('"abc"', b"abc"),
        ('~c"ab"', [97, 98]),
        ("{}", ()),
        ("{user, 1}", (Atom("user"), 1)),
        ("[1, 2|3]", None),
        ("[1,[2],{3}]", [1, [2], (3,)]),
        ("[a: 1, b: 2]", [(Atom("a"), 1), (Atom("b"), 2)]),
        ("<0.12.3>", Identifier("<0.12.3>")),
        ("#PID<0.12.3>", Identifier("<0.12.3>")),
        ("#Ref<0.1.2.3>", Identifier("#Ref<0.1.2.3>")),
        ("#Reference<0.1.2.3>", Identifier("#Ref<0.1.2.3>")),
        ("#Port<0.6>", Identifier("#Port<0.6>")),
        ("'{user, \"a b\"}'", (Atom("user"), b"a b")),
        ("  {a , b}  ", (Atom("a"), Atom("b"))),
    ],
)
def test_terms(text, value):
    if value is None:
        with pytest.raises(UsageError):
            parse(text)
    else:
        found = parse(text)
        assert found == value
        assert isinstance(found, Atom) == isinstance(value, Atom)


@pytest.mark.parametrize(
    "text", ["", "{", "{a", "[1,]", "<<256>>", '"abc', "a b", "{a,,b}", "$", "%"]
)
def test_what_is_no_term_is_said(text):
    with pytest.raises(UsageError) as error:
        parse(text)
    assert "term" in str(error.value)


def test_depth_is_bounded():
    with pytest.raises(UsageError, match="nested"):
        parse("[" * 100_000)


@pytest.mark.parametrize(
    "text, value, same",
    [
        ("foo", Atom("foo"), True),
        ("foo", b"foo", False),
        ("1", 1, True),
        ("1", 1.0, False),
        ("1.0", 1.0, True),
        ('"ab"', b"ab", True),
        ('"ab"', [97, 98], True),
        ('<<"ab">>', [97, 98], False),
        ('<<"ab">>', b"ab", True),
        ('""', [], True),
        ("[]", [], True),
        ("{a,1}", (Atom("a"), 1), True),
        ("{a,1}", (Atom("a"), 2), False),
        ("{a,1}", (Atom("a"), 1, 2), False),
        ("[1,2]", [1, 2], True),
        ("[1,2]", [1, 2, 3], False),
        ("<0.1.0>", Identifier("<0.1.0>"), True),
        ("<0.1.0>", Identifier("<0.2.0>"), False),
    ],
)
def test_comparison_with_terms_of_the_vm(text, value, same):
    assert matches(FakeTerm(value), parse(text)) is same


@pytest.mark.parametrize(
    "text", [r'"\x{110000}"', r'"\x{D800}"', r"'\uDFFF'", r'"\x{' + "f" * 5000 + '}"', "9" * 5000]
)
def test_what_is_no_character_or_number(text):
    with pytest.raises(UsageError, match="no character|at most 4,000 digits"):
        parse(text)
