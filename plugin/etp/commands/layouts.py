# SPDX-License-Identifier: Apache-2.0
"""etp-layouts: which layouts there are, and which of them fit."""

from __future__ import annotations

from .declaration import JSON, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ..views import Block, Report
    from ..vm import LayoutTrial
    from .context import Context

MATCHES = {
    "build-id": "names this build-id",
    "same build": "is for this ERTS version, machine, flavor and these build options",
    "near": "is for another ERTS version of this release, or another C library",
    "other": "is for another build",
}

HOW_TO = (
    "To make one, build that very version with -g and the same options (for a package of Debian:"
    " scripts/build-beam), run scripts/extract-layout BEAM and put the file that it writes into"
    " ${XDG_CONFIG_HOME:-~/.config}/etp/layouts."
)


def run(context: Context, args: Namespace) -> Report:
    from ..views import Facts, Paragraph, Report

    redact = context.settings.redact
    trials, in_use, problem = _trials(context)
    blocks: list[Block | None] = [Facts([("in use", _source(in_use, redact) or "none")])]
    if problem:
        blocks.append(Paragraph(_first_sentence(problem), "warning", hang=2))
    for title, is_users in (("Your own", True), ("Shipped", False)):
        found = [trial for trial in trials if trial.is_users == is_users]
        blocks += [None, Paragraph(f"{title} layout files: {len(found) or 'none'}", "strong")]
        for trial in found:
            blocks += _describe(trial, in_use)
    if not in_use:
        blocks += [None, Paragraph(HOW_TO, "dim")]
    facts = {
        "in_use": _source(in_use, redact) or None,
        "problem": problem,
        "layouts": [_facts(trial, in_use, redact) for trial in trials],
    }
    return Report(blocks, facts)


def _trials(context: Context) -> tuple[list[LayoutTrial], str, str | None]:
    """All layouts, where the one in use came from ("": there is none), and why there is none."""
    from ..vm import Error

    try:
        vm = context.vm
    except Error as error:
        if error.kind not in ("layout", "unsupported"):
            raise
        trials, _ = context.layouts()
        return trials, "", str(error)
    trials, problem = vm.layouts()
    return trials, vm.info.layout_source, problem


def _first_sentence(text: str) -> str:
    """The files that a message lists are told one by one below it."""
    return text.split(" Looked at:")[0].split("\n")[0]


def _source(source: str, redact: bool) -> str:
    from .info import _path

    return " ".join(_path(word, redact) if "/" in word else word for word in source.split())


def _is_in_use(trial: LayoutTrial, in_use: str) -> bool:
    return in_use == f"layout file {trial.path}"


def _describe(trial: LayoutTrial, in_use: str) -> list[Block | None]:
    from ..views import Paragraph

    name = trial.path.rsplit("/", 1)[-1]
    if trial.refusal is None and trial.match is None:
        return [Paragraph(f"{name}: not tried", "dim", indent=2, hang=2)]
    made = trial.difference or MATCHES[trial.match or "other"]
    if trial.refusal is None:
        used = ", in use" if _is_in_use(trial, in_use) else ""
        text = f"{name}: fits{used}: {made}; every check holds"
        return [Paragraph(text, "good" if used else "plain", indent=2, hang=2)]
    made = f"{made}; " if trial.otp_release else ""
    return [Paragraph(f"{name}: {made}does not fit: {trial.refusal}", "dim", indent=2, hang=2)]


def _facts(trial: LayoutTrial, in_use: str, redact: bool) -> dict[str, object]:
    from dataclasses import asdict

    from .info import _path

    facts: dict[str, object] = {**asdict(trial), "path": _path(trial.path, redact)}
    facts["fits"] = trial.match is not None and trial.refusal is None
    facts["in_use"] = _is_in_use(trial, in_use)
    return facts


COMMAND = Command(
    name="etp-layouts",
    summary="List the layouts that there are, and which of them fit.",
    description="""
    Each layout file, your own (${XDG_CONFIG_HOME:-~/.config}/etp/layouts) and those that etp ships:
    for which build it was made, and whether every self-check holds with it in this core, or which
    one fails first. Chosen is the DWARF of the executable if it has any, else the file that names
    its build-id, else one for the same ERTS version, machine, flavor and build options, else that
    of the nearest version, or of glibc for musl, if every check holds, which a warning then says.
    """,
    run=run,
    arguments=(JSON,),
)
