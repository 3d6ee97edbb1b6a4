# SPDX-License-Identifier: Apache-2.0
"""etp-state: the state of an OTP process, or a part of it."""

from __future__ import annotations

from ..errors import Problem
from .declaration import JSON, Argument, Command
from .stacktrace import PROCESS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from _etp import Term

    from ..otp import OtpState
    from ..views import Block, Report
    from ..vm import Process
    from .context import Context


def run(context: Context, args: Namespace) -> Report:
    from .. import otp, term_path
    from ..code import gaps
    from ..otp.records import fields_of
    from ..views import Report

    steps = term_path.parse(args.PATH or "")
    process = context.vm.find_process(args.PROCESS)
    if _is_sensitive(context, process) and not args.sensitive:
        raise Problem(f"{process.pid} {process.label} is sensitive; --sensitive shows its state.")
    found = otp.state(context.vm, process)
    if found.term is None:
        if steps:
            raise Problem(f"{process.pid} {process.label}: no state, because {found.problem}.")
        return _without(context, found, gaps(context.vm))
    redact = context.settings.redact
    term = term_path.walk(found.term, steps, fields_of(found), redact)
    blocks = [*_head(found), _lines(context, term)]
    warnings = _doubts(found) + gaps(context.vm)
    return Report(blocks, _data(context, found, term, args.PATH or ""), warnings=warnings)


def _is_sensitive(context: Context, process: Process) -> bool:
    return bool(context.vm.native.process_info(process.address, lists=())["is_sensitive"])


def _head(found: OtpState) -> list[Block | None]:
    from ..views import Paragraph

    text = f"{title(found)}, {activity(found)}." if found.activity != "unknown" else title(found)
    blocks: list[Block | None] = [Paragraph(text, "strong", hang=2)]
    if found.postponed:
        from ..text import agree, plural

        are = agree("are", found.postponed)
        blocks.append(
            Paragraph(
                f"{plural(found.postponed, 'event')} {are} postponed until its state changes.",
                "warning",
            )
        )
    if found.how:
        blocks.append(Paragraph(f"Found in {found.how}.", "dim"))
    return blocks


def title(found: OtpState) -> str:
    """``<0.1.0> my_server: gen_server my_module``."""
    from ..code import erlang_atom

    process = found.process
    who = f"{process.pid} {process.label}".rstrip()
    what = [found.behaviour or "", erlang_atom(found.module) if found.module else ""]
    return f"{who}: {' '.join(part for part in what if part) or 'of no behaviour that is known'}"


def activity(found: OtpState) -> str:
    if found.activity == "busy" and found.callback_text:
        return f"busy in {found.callback_text}"
    if found.activity == "terminating" and found.callback_text:
        return f"terminating in {found.callback_text}"
    return found.activity


def _doubts(found: OtpState) -> list[str]:
    doubts = []
    if not found.sure:
        doubts.append(f"A guess, from {found.how}.")
    if not found.is_current:
        doubts.append(
            "The process is in a callback, which may have made another state since: this is the"
            " one that the callback was given."
        )
    return doubts


def _lines(context: Context, term: Term) -> Block:
    from ..views import Lines

    width = context.screen().width or 80
    return Lines(term.format(**context.settings.format_options(width=width)).split("\n"))


def _without(context: Context, found: OtpState, warnings: list[str]) -> Report:
    from ..views import Paragraph, Report

    blocks = _head(found)
    blocks.append(Paragraph(f"No state is known: {found.problem}."))
    if found.candidates:
        blocks += [None, Paragraph("What it may be, or be a part of:")]
        for term in found.candidates[:10]:
            blocks.append(_lines(context, term))
    return Report(blocks, _data(context, found, None, ""), warnings=warnings)


def _data(context: Context, found: OtpState, term: Term | None, path: str) -> dict[str, object]:
    options = context.settings.format_options()

    def text(part: Term | None) -> str | None:
        return None if part is None else part.format(**options)

    return {
        "pid": str(found.process.pid),
        "name": found.process.name,
        "address": f"{found.process.address:#x}",
        "behaviour": found.behaviour,
        "module": found.module,
        "activity": found.activity,
        "callback": found.callback_text or None,
        "path": path or None,
        "state": text(term),
        "state_name": None if path else text(found.state_name),
        "postponed": found.postponed,
        "data": None if path else text(found.data),
        "how": found.how or None,
        "sure": found.sure,
        "current": found.is_current,
        "problem": found.problem or None,
        "candidates": [text(candidate) for candidate in found.candidates],
    }


def complete_path(context: Context, words: list[str], last: str) -> list[str]:
    """Steps into the state of the process that is named before."""
    from .. import otp, term_path
    from ..otp.records import fields_of

    if len(words) != 1:
        return []
    found = otp.state(context.vm, context.vm.find_process(words[0]))
    if found.term is None:
        return []
    return term_path.completions(found.term, last, fields_of(found), context.settings.redact)


PATH_HELP = """
    A path selects a part. Its steps: .name (a key that is an atom, of a map, struct or property
    list, or the field of a record of OTP's), ["key"] or [{a,1}] (any other key), [0] (of a list or
    tuple, from 0), {1} (of a tuple, from 1), [3..] (the rest of a list), fun(0) (what a fun has
    closed over). Steps may be joined by ->, as etp-who prints paths.
"""

COMMAND = Command(
    name="etp-state",
    summary="Show the state of an OTP process, or a part of it.",
    description=f"""
    What sys:get_state/1 would return: of gen_server, gen_statem (state and data), gen_event (the
    handlers), supervisor, of what Elixir and RabbitMQ build on these, and of any process that
    sys:suspend/1 stopped. It is found in the stack of a process that waits or is busy, and in the
    registers of one that hibernates. While a callback runs, the state is the one that the callback
    was given. Where it is not known for sure, the answer says so.

    {PATH_HELP.strip()}
    """,
    run=run,
    arguments=(
        PROCESS,
        Argument(
            "PATH",
            help="part of the state",
            kind="words",
            optional=True,
            complete_word=complete_path,
        ),
        Argument("--sensitive", help="also of a process that is sensitive", kind="flag"),
        JSON,
    ),
    examples=(
        ("etp-state my_server", "all of it"),
        ("etp-state my_pool .mod_state.state.cursors", "a part of it"),
        ('etp-state cache .entries["key"][0]', "a key that is a binary, and the head of a list"),
        ("etp-state kernel_sup .children", "a record of OTP's"),
    ),
)
