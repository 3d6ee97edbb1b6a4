# SPDX-License-Identifier: Apache-2.0
"""Every row of real cores in each syntax, against what the VM itself printed."""

import re
from collections import defaultdict
from typing import Any, Dict, Iterator, List, Tuple

import pytest

import _etp
import cores
from native import open_vm


# The truth's columns, and how this program is asked for the same.
SYNTAXES: Dict[str, Dict[str, Any]] = {
    "w": {"syntax": "w", "unicode": False},
    "tw": {"syntax": "w", "unicode": True},
    "p": {"syntax": "p", "unicode": False, "width": 80},
    "tp": {"syntax": "p", "unicode": True, "width": 80},
    "inspect": {"syntax": "elixir", "unicode": True, "width": 0},
    "inspect_pretty": {"syntax": "elixir", "unicode": True, "width": 80},
}


def syntaxes() -> Dict[str, Dict[str, Any]]:
    """As above, for the Elixir that the VMs of the tests run."""
    minor = cores.elixir_minor()
    return {syntax: {**options, "elixir_minor": minor} for syntax, options in SYNTAXES.items()}


# Whose inspect/2 is followed to the letter; others differ in what they escape, and in dates and regexes.
ELIXIR_MINOR = 14

# Indentation makes some texts larger than a print is by default.
NO_LIMIT = 1 << 31

CASES = [
    ("terms", "stripped", {}),
    ("terms", "dwarf", {}),
    ("terms", "emu", {}),
    ("terms", "stripped", {"elixir": "yes"}),
    ("elixir_terms", "stripped", {}),
    ("elixir_terms", "dwarf", {}),
    ("elixir_terms", "emu", {}),
]


@pytest.fixture(
    scope="module", params=CASES, ids=lambda case: "-".join([case[0], case[1], *case[2]])
)
def case(request, core):
    workload, flavor, options = request.param
    minor = cores.elixir_minor()
    if minor != ELIXIR_MINOR and (options or workload == "elixir_terms"):
        pytest.skip(f"Elixir 1.{minor}: only what 1.{ELIXIR_MINOR} prints is compared")
    dump = core(workload, flavor=flavor, **options)
    vm = open_vm(dump)
    return dump, vm


def rows_in_pairs(dump: cores.Core, vm: "_etp.VM") -> Iterator[Tuple[Dict[str, Any], "_etp.Term"]]:
    """What the truth has of each row, and the row. Rows of unordered tables are told apart by their ~w."""
    for table in vm.ets_tables():
        said = dump.truth.rows_of.get(str(table["ref"]), [])
        if not said or table["is_deleting"]:
            continue
        found = [row.term for row in vm.ets_rows(table["address"]) if not row.pseudo_deleted]
        assert len(found) == len(said), table["name"]
        if table["type"] == "ordered_set":
            yield from zip(said, found)
            continue
        by_text: Dict[str, List[Dict[str, Any]]] = defaultdict(list)
        for row in said:
            by_text[cores.same_floats(row["w"])].append(row)
        for term in found:
            text = cores.same_floats(term.format(max_bytes=NO_LIMIT, **SYNTAXES["w"]))
            assert by_text.get(text), f"{table['name']} has no row {text}"
            yield by_text[text].pop(), term


def is_derived(term: "_etp.Term") -> bool:
    """The module decides how Elixir shows it, see corefiles/elixir_terms.ex."""
    return (
        term.kind == "tuple"
        and len(term) == 3
        and term[1].kind == "atom"
        and term[1].value() == "derived"
    )


def shown_safely(text: str) -> str:
    """Characters that change the direction of text are shown raw by the VM, and here as the VM shows others."""
    return re.sub(
        "[\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f]", lambda m: f"\\x{{{ord(m[0]):04X}}}", text
    )


def test_every_row_in_every_syntax(case):
    dump, vm = case
    compared = dict.fromkeys(SYNTAXES, 0)
    wrong = []
    for said, term in rows_in_pairs(dump, vm):
        for syntax, options in syntaxes().items():
            if said.get(syntax) is None or (is_derived(term) and syntax.startswith("inspect")):
                continue
            compared[syntax] += 1
            text = term.format(max_bytes=NO_LIMIT, **options)
            if cores.same_floats(text) != cores.same_floats(shown_safely(said[syntax])):
                wrong.append(f"{syntax}: {text[:400]}\ninstead of {said[syntax][:400]}")
    assert wrong == []
    # Rows there are; a truth without them would compare nothing.
    assert compared["w"] > 800
    assert compared["tp"] > 800
    if "inspect" in dump.truth.by_kind["row"][0]:
        assert compared["inspect"] > 800
        assert compared["inspect_pretty"] > 800


def test_fields_that_only_code_hides_are_shown(core):
    dump = core("elixir_terms")
    vm = open_vm(dump)
    shown = [
        term.format(**SYNTAXES["inspect"])
        for said, term in rows_in_pairs(dump, vm)
        if is_derived(term)
    ]
    assert len(shown) == 1
    assert '%ElixirTerms.Secret{login: "bob", password: ' in shown[0]


def redacted(text: str) -> str:
    """What may be left of a text once contents are hidden: no digit but those of sizes and identifiers."""
    text = re.sub(r"<<\d+ (bytes?|bits)>>|[\"']\d+ chars?[\"']", "", text)
    return re.sub(
        r"<[0-9.]+>|#Fun<[^>]*>|#Function<[^>]*>|fun [^,}\]]*/\d+|&[^,}\]]*/\d+", "", text
    )


def test_redacted_rows_show_no_contents(core):
    dump = core("terms")
    vm = open_vm(dump)
    table = next(t for t in vm.ets_tables() if t["name"] == "etp_terms")
    hidden = 0
    for row in vm.ets_rows(table["address"]):
        label = row.term[1].value()
        for options in SYNTAXES.values():
            text = row.term.format(redact=True, max_bytes=NO_LIMIT, **options)
            if label in ("small", "big", "float", "binary", "bitstring", "string"):
                hidden += 1
                assert not re.search(r"\d", redacted(text)), text
    assert hidden > 500


def test_the_version_of_elixir_is_that_of_its_application(core):
    import etp
    from etp.commands.context import Context

    elixir = core("elixir_terms")
    version = cores.elixir_version()
    context = Context()
    context.open_vm = lambda: etp.open(str(elixir.path), str(elixir.executable))
    assert context.vm.elixir_version == version
    context.settings.set("syntax", "elixir")
    assert f"1.{context.settings.format_options()['elixir_minor']}." in version

    demo = core("demo")
    assert etp.open(str(demo.path), str(demo.executable)).elixir_version == ""
