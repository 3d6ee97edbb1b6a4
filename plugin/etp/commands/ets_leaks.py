# SPDX-License-Identifier: Apache-2.0
"""etp-ets-leaks: what is wrong with the ETS tables."""

from __future__ import annotations

from .declaration import JSON, Argument, Command, limit, sort_by
from .ets_tables import complete_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ..census import Census
    from ..diagnosis.ets_leaks import Diagnosis, Held
    from ..diagnosis.suspect import Suspect
    from ..ets import EtsTable, TableScan
    from ..views import Block, Report
    from ..vm import VM
    from .context import Context

SAMPLED_BINARIES = 20_000
"""How many of the most wasteful binaries are looked at for who else holds them."""


def run(context: Context, args: Namespace) -> Report:
    from ..diagnosis.ets_leaks import diagnose
    from ..views import Paragraph, Report

    vm = context.vm
    tables: list[EtsTable] = list(vm.ets_tables)
    only = vm.ets_table(args.TABLE) if args.TABLE else None
    census = context.census("Looking at rows", tables_only=True)
    scans = {table.address: census.tables[table.address] for table in tables}
    binaries, binary_bytes = census.ets_binaries()
    shared = _shared(scans if only is None else {only.address: scans[only.address]})
    # Who else there is takes as long again, and most leaks are of what a table alone holds.
    if shared and census.complete:
        census = context.census("Looking for who else holds their binaries")
    # Of an interrupted one it is not known who has the references that were not found.
    held = _held(vm, shared if census.complete else set(), census, context.settings.redact)
    diagnosis = diagnose(tables, scans, held=held, only=only)
    if args.sort == "freeable":
        diagnosis.suspects.sort(key=lambda suspect: -suspect.freeable_bytes)
    if only is None:
        diagnosis.gaps = vm.ets_tables.gaps + diagnosis.gaps
        # Distinct over all tables, where the sum over tables counts shared binaries again.
        looked_at = diagnosis.looked_at
        looked_at.binaries, looked_at.binary_bytes = binaries, binary_bytes
    warnings = list(diagnosis.gaps)
    if not census.complete:
        warnings.insert(
            0, "Interrupted: this is about the rows seen until then, not about the whole VM."
        )
    samples = [_sample(context, vm, suspect) for suspect in diagnosis.suspects]
    blocks = _blocks(context, diagnosis, samples, args)
    if context.settings.stats:
        blocks.append(Paragraph(census.statistics, "dim"))
    return Report(blocks, _data(diagnosis, samples, census.complete), warnings=warnings)


def _shared(scans: dict[int, TableScan]) -> set[int]:
    """The tables with much unseen of binaries that others hold too."""
    return {
        address
        for address, numbers in scans.items()
        if numbers.unseen_bytes > numbers.own_unseen_bytes + (1 << 20)
    }


def _held(vm: VM, shared: set[int], census: Census, redact: bool) -> dict[int, Held]:
    """Who else holds the binaries of these tables.  Rests on the most wasteful binaries."""
    from ..diagnosis.ets_leaks import Held

    found: dict[int, Held] = {address: Held() for address in shared}
    if not shared:
        return found
    labels: dict[int, str] = {}
    wasteful = census.binaries("waste", SAMPLED_BINARIES + 1)
    if len(wasteful) > SAMPLED_BINARIES and wasteful.pop().unseen_bytes:
        for held in found.values():
            held.looked_at = SAMPLED_BINARIES
    for binary in wasteful:
        unaccounted = max(0, binary.unaccounted_refs)
        first = True
        for holder in binary.holders:
            entry = found.get(holder.address) if holder.kind == "ets" else None
            if entry is None or (not unaccounted and binary.holder_count == 1):
                continue
            entry.unaccounted += unaccounted
            in_tables = not unaccounted
            for other in binary.holders:
                if other.address == holder.address:
                    continue
                if other.address not in labels:
                    table = vm.ets_tables.at(other.address) if other.kind == "ets" else None
                    labels[other.address] = table.label if table else other.label(vm, redact)
                label = labels[other.address]
                if other.kind == "ets":
                    entry.tables.add(label)
                else:
                    in_tables = False
                    entry.others[label] = entry.others.get(label, 0) + other.refs
            if in_tables:
                entry.together_bytes += binary.unseen_bytes
                entry.together_once_bytes += binary.unseen_bytes if first else 0
            first = False
    return found


def _sample(context: Context, vm: VM, suspect: Suspect) -> str:
    """The text of the row that shows what is wrong, on one line and short; "" if there is none."""
    address, row_address = suspect.sample
    table = vm.ets_tables.at(address) if address else None
    if table is None:
        return ""
    from ..vm import Error

    options = context.settings.format_options(max_depth=6, max_length=12, max_string=40)
    try:
        row = table.row(row_address)
        return "" if row is None else " ".join(row.term.format(**options).split())
    except Error:
        return ""


def _blocks(
    context: Context, diagnosis: Diagnosis, samples: list[str], args: Namespace
) -> list[Block | None]:
    from ..text import plural
    from ..views import Paragraph

    suspects = diagnosis.suspects
    blocks: list[Block | None] = [_summary(diagnosis)]
    limit = args.limit or len(suspects)
    advised: dict[str, int] = {}
    for number, suspect in enumerate(suspects[:limit], 1):
        blocks.append(None)
        blocks += _suspect(number, suspect, samples[number - 1], advised)
        if args.explain:
            blocks += _explain(suspect)
    if limit < len(suspects):
        blocks.append(None)
        hidden = plural(len(suspects) - limit, "smaller suspect")
        blocks.append(Paragraph(f"{hidden} not shown; --limit all shows all."))
    if suspects:
        blocks.append(None)
    blocks.append(Paragraph(_looked_at(diagnosis), "dim"))
    for remark in diagnosis.remarks:
        blocks.append(Paragraph(remark, "dim"))
    if args.explain:
        blocks += _explain_thresholds()
    elif suspects:
        blocks.append(Paragraph("--explain shows how the numbers were derived.", "dim"))
    return blocks


def _suspect(
    number: int, suspect: Suspect, sample: str, advised: dict[str, int]
) -> list[Block | None]:
    """``advised``: by kind of suspect, the number where its advice was given."""
    from ..units import format_bytes
    from ..views import Lines, Paragraph

    amount = format_bytes(suspect.freeable_bytes or suspect.at_stake_bytes)
    blocks: list[Block | None] = [
        Paragraph(f"{number}. {suspect.title}: {amount}{_certainty(suspect)}", "strong", hang=3)
    ]
    blocks += [Paragraph(sentence, indent=3) for sentence in (suspect.sentence, *suspect.also)]
    if sample:
        note = f"  ({suspect.sample_note})" if suspect.sample_note else ""
        blocks.append(Lines([f"Row: {sample}"], indent=3, cut=True, tail=note))
    first = advised.setdefault(suspect.kind, number)
    advice = suspect.advice if first == number else [f"As for {first}."]
    blocks += [Paragraph("-> " + text, indent=3, hang=3) for text in advice]
    return blocks


def _certainty(suspect: Suspect) -> str:
    if suspect.kind == "shared_pins" and not suspect.freeable_bytes:
        return " (held elsewhere too)"
    return {"measured": "", "estimate": " (estimate)", "guess": " (to be judged)"}[
        suspect.certainty
    ]


def _summary(diagnosis: Diagnosis) -> Block:
    from ..text import plural
    from ..units import format_bytes
    from ..views import Paragraph

    suspects = diagnosis.suspects
    if not suspects:
        return Paragraph("Nothing suspicious.", "good")
    looked_at = diagnosis.looked_at
    total = format_bytes(looked_at.table_bytes + looked_at.binary_bytes)
    freeable = diagnosis.freeable_bytes
    text = plural(len(suspects), "suspect") + ": "
    where = "ETS" if looked_at.tables > 1 else "the table"
    first = suspects[0]
    if not freeable:
        most = max(suspect.at_stake_bytes for suspect in suspects)
        text += f"up to {format_bytes(most)} of the {total} of {where}, to be judged"
    else:
        text += f"{format_bytes(freeable)} of the {total} of {where} could be freed"
        if not first.freeable_bytes:
            # Not of what the next sentence is about.
            numbers = [str(n) for n, suspect in enumerate(suspects, 1) if suspect.freeable_bytes]
            more = ", ..." if len(numbers) > 3 else ""
            text += f" (see {', '.join(numbers[:3])}{more})"
            return Paragraph(f"{text}. Largest: {first.title}{_certainty(first)}.", "warning")
    return Paragraph(f"{text}. First: {first.title}.", "warning")


def _looked_at(diagnosis: Diagnosis) -> str:
    from ..text import plural
    from ..units import format_bytes

    seen = diagnosis.looked_at
    binaries = "no off-heap binaries"
    if seen.binaries:
        binaries = (
            f"{plural(seen.binaries, 'distinct binary', 'distinct binaries')} of"
            f" {format_bytes(seen.binary_bytes)} (rows hold"
            f" {plural(seen.binary_refs, 'reference')} to {'it' if seen.binaries == 1 else 'them'})"
        )
    deleted = f" ({seen.deleted_rows:,} of them deleted)" if seen.deleted_rows else ""
    return (
        f"Looked at: {plural(seen.tables, 'table')}, {plural(seen.rows, 'row')}{deleted},"
        f" {format_bytes(seen.table_bytes)} of table memory, {binaries}."
    )


def _explain(suspect: Suspect) -> list[Block | None]:
    from ..units import format_bytes, format_count, format_duration
    from ..views import Facts, Paragraph

    def value(number: int, unit: str) -> str:
        if unit == "bytes":
            return f"{format_bytes(number)} ({number:,} bytes)" if number >= 1024 else f"{number} B"
        if unit == "seconds":
            return format_duration(number) + " ago" if number else "unknown"
        return format_count(number)

    return [
        Facts([(n.label, value(n.value, n.unit)) for n in suspect.numbers], indent=3),
        *(Paragraph(text, "dim", indent=3) for text in suspect.derivation),
    ]


def _explain_thresholds() -> list[Block | None]:
    from dataclasses import asdict

    from ..diagnosis.thresholds import THRESHOLDS
    from ..units import format_bytes
    from ..views import Facts, Paragraph

    entries = []
    for name, value in asdict(THRESHOLDS).items():
        if name.endswith("_bytes"):
            text = format_bytes(value)
        elif name.endswith("_share"):
            text = f"{100 * value:.0f} %"
        else:
            text = f"{value:,}"
        entries.append((name.replace("_", " "), text))
    return [None, Paragraph("From here on a number is suspicious:", "strong"), Facts(entries, 2)]


def _data(diagnosis: Diagnosis, samples: list[str], complete: bool) -> dict[str, object]:
    from dataclasses import asdict

    return {
        "complete": complete,
        "freeable_bytes": diagnosis.freeable_bytes,
        "looked_at": asdict(diagnosis.looked_at),
        "suspects": [
            {**suspect.data(), "sample": sample or None, "sample_note": suspect.sample_note or None}
            for suspect, sample in zip(diagnosis.suspects, samples)
        ],
        "remarks": diagnosis.remarks,
    }


COMMAND = Command(
    name="etp-ets-leaks",
    summary="Diagnose ETS tables: what leaks, how much, and what to do.",
    description="""
    Suspects, those with most bytes at stake first: rows that pin binaries larger than what they
    use, rows that belong to dead processes, tables that dominate the memory of ETS, swarms of
    tables, tables of dead owners or of shells, and fixed tables that cannot free deleted rows.
    Bytes of a binary are counted once however many rows refer to it. What could not be read is
    counted and shown before the answer.
    """,
    run=run,
    arguments=(
        Argument(
            "TABLE",
            help="look at this table only: name, reference (#Ref<...>) or address",
            optional=True,
            complete=complete_names,
        ),
        Argument("--explain", help="show all numbers and how they were derived", kind="flag"),
        sort_by(
            "stake", "freeable", help="stake: what is worst first; freeable: what surely frees most"
        ),
        limit(5, "suspects"),
        JSON,
    ),
    examples=(
        ("etp-ets-leaks", "the whole VM"),
        ("etp-ets-leaks sessions --explain", "one table, with the working"),
    ),
)
