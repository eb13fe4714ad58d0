"""Inspections, told."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import UnsetType

from ergo_cli.bundle.inspection import Inspection, JournalCounts
from ergo_cli.core.time import Duration
from ergo_cli.report.blocks import Line, Tone, fields
from ergo_cli.report.document import Report
from ergo_cli.report.told import Told


def inspection_told(inspection: Inspection) -> Told:
    """What is in a bundle."""
    report = Report(command="inspect", outcome="ok", exit_code=0, inspect=inspection)
    return Told(report, (Line(inspection.path, Tone.STRONG), fields(_pairs(inspection), indent=2)))


def _pairs(found: Inspection) -> list[tuple[str, object | None]]:
    compression = "" if found.compression is None else f", {found.compression}"
    decisions = found.decisions
    return [
        ("format", f"{found.capture_version}, {found.style}{compression}, {found.size_bytes:,} bytes"),
        ("graph", found.graph_id),
        ("program", None if found.program is None else f"{found.program.kind} {found.program.ref}"),
        ("found by", found.found_by or "no rule: name the program to replay it"),
        ("runtime", found.runtime_provenance),
        ("adapter", found.adapter_provenance),
        ("egress", found.egress_provenance),
        ("constraints", _constraints(found)),
        ("events", f"{found.events:,} ({_counts(found.event_kinds)}), {found.payload_bytes:,} payload bytes"),
        ("time span", _span(found.first_at, found.last_at)),
        ("decisions", f"{decisions.invoke:,} invoke, {decisions.defer:,} defer, {decisions.skip:,} skip"),
        ("terminations", _counts(found.terminations)),
        ("retries", f"{found.retries:,}"),
        ("effects", _counts(found.effects)),
        ("intents", _counts(found.intents)),
        ("acks", f"{found.acks:,}"),
        ("interruptions", f"{found.interruptions:,}"),
        ("journals", None if isinstance(found.journals, UnsetType) else _journals(found.journals)),
    ]


def _journals(counts: JournalCounts) -> str:
    return f"entries {counts.entries:,}, runs {counts.runs:,}, calls {counts.calls:,}; {_counts(counts.records)}"


def _constraints(found: Inspection) -> str:
    config = found.config
    limits = {
        "max_in_flight": config.max_in_flight,
        "max_per_window": config.max_per_window,
        "rate_window": None if config.rate_window is None else _time(config.rate_window),
        "deadline": None if config.deadline is None else _time(config.deadline),
        "max_retries": config.max_retries,
    }
    return ", ".join(f"{name} {limit}" for name, limit in limits.items() if limit is not None)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"


def _span(first: Duration | None, last: Duration | None) -> str | None:
    return None if first is None or last is None else f"{_time(first)} to {_time(last)}"


def _time(duration: Duration) -> str:
    fraction = f"{duration.nanos:09d}".rstrip("0")
    return f"{duration.secs}.{fraction}s" if fraction else f"{duration.secs}s"
