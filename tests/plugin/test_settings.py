# SPDX-License-Identifier: Apache-2.0
import pytest

from etp.errors import UsageError
from etp.settings import Settings


def test_values_are_checked():
    settings = Settings()
    for name, wrong in [("syntax", "lisp"), ("max-depth", "-1"), ("redact", "maybe"), ("nope", 1)]:
        with pytest.raises(UsageError) as error:
            settings.set(name, wrong)
        assert name in str(error.value)
    assert settings.get("syntax") == "erlang"


def test_show():
    settings = Settings()
    settings.set("max-depth", "unlimited")
    settings.set("redact", "on")
    assert settings.show("max-depth") == "unlimited"
    assert settings.show("redact") == "on"
    assert settings.show("sysroot") == "not set"


def test_changes_are_told_once():
    settings = Settings()
    changed = []
    settings.on_change = changed.append
    settings.set("sysroot", "/a")
    settings.set("sysroot", "/a")
    assert changed == ["sysroot"]


def test_who_wants_all_of_a_term_gets_all_of_it():
    settings = Settings()
    settings.set("max-length", 0)
    settings.set("max-string", 0)
    assert "max_bytes" not in settings.format_options()


def test_options_for_terms():
    settings = Settings()
    assert settings.format_options(width=80) == {
        "syntax": "p", "width": 80, "column": 0, "unicode": True, "redact": False,
        "max_depth": 30, "max_length": 100, "max_string": 400, "max_bytes": 1 << 20,
    }  # fmt: skip
    settings.set("syntax", "elixir")
    settings.set("max-depth", 0)
    settings.set("max-length", 5)
    options = settings.format_options(max_depth=6, max_length=12)
    assert options["syntax"] == "elixir"
    assert options["max_depth"] == 6, "a limit of the caller holds where the user has none"
    assert options["max_length"] == 5, "the lower limit wins"


def test_limits_of_opening():
    settings = Settings()
    assert settings.max_libraries == 1000
    settings.set("max-libraries", "unlimited")
    assert settings.max_libraries > 1 << 31
    assert "max-libraries" in settings.opens_vm
