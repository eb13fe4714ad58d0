"""Fixtures, told: the original's JSON and text (spec 10 §7.2, 30 §23.5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct

from ergo_cli.errors import exit_code
from ergo_cli.host.fixtures.analysis import FixtureCheck, FixtureStats
from ergo_cli.report.blocks import Line, Tone
from ergo_cli.report.document import ConversionDocument, Report, error_document, unicode
from ergo_cli.report.told import Told

INSPECT = "fixture.inspect"
VALIDATE = "fixture.validate"
FROM_CSV = "fixture.from-csv"

_SCHEMA = "v1"


class _Issue(Struct, frozen=True):
    code: str
    message: str


class _Inspection(Struct, frozen=True):
    schema_version: str
    command: str
    fixture_path: str
    stats: FixtureStats


class _Validation(Struct, frozen=True):
    schema_version: str
    command: str
    fixture_path: str
    valid: bool
    stats: FixtureStats | None
    issues: tuple[_Issue, ...]


def fixture_inspected(path: str, stats: FixtureStats) -> Told:
    """The counts of a fixture."""
    lines = [
        "fixture inspect",
        f"path: {path}",
        f"total_items: {stats.total_items}",
        f"episode_count: {stats.episode_count}",
        f"event_count: {stats.event_count}",
        f"events_with_payload: {stats.events_with_payload}",
        f"events_with_semantic_kind: {stats.events_with_semantic_kind}",
        *_listed("event_kind_counts", (f"{kind}: {count}" for kind, count in stats.event_kind_counts.items())),
        *_listed("episodes", (f"{episode.label}: {episode.event_count}" for episode in stats.episodes)),
    ]
    report = Report(command=INSPECT, outcome="ok", exit_code=0)
    document = _pretty(_Inspection(_SCHEMA, INSPECT, unicode(path), stats))
    return Told(report, tuple(map(Line, lines)), document=document)


def fixture_validated(path: str, check: FixtureCheck) -> Told:
    """A fixture held against its rules."""
    valid, errors = not check.issues, check.issues
    report = Report(
        command=VALIDATE,
        outcome="valid" if valid else "invalid",
        exit_code=0 if valid else exit_code(errors[0].code),
        error=None if valid else error_document(errors[0]),
    )
    issues = tuple(_Issue(error.code, unicode(error.message)) for error in errors)
    document = _pretty(_Validation(_SCHEMA, VALIDATE, unicode(path), valid, check.stats, issues))
    first, *others = _validation_lines(path, check)
    blocks = (Line(first, Tone.GOOD if valid else Tone.BAD), *map(Line, others))
    return Told(report, blocks, errors, document=document)


def fixture_converted(path: str, events: int) -> Told:
    """A fixture written."""
    document = ConversionDocument(unicode(path), events)
    report = Report(command=FROM_CSV, outcome="ok", exit_code=0, fixture=document)
    return Told(report, (Line(f"wrote {events} event(s) to {path}"),))


def _validation_lines(path: str, check: FixtureCheck) -> Iterator[str]:
    yield "fixture invalid" if check.issues else "fixture valid"
    yield f"path: {path}"
    if check.stats is not None:
        yield f"episode_count: {check.stats.episode_count}"
        yield f"event_count: {check.stats.event_count}"
    if not check.issues:
        yield "issues: (none)"
        return
    yield from _listed("issues", (f"[{issue.code}] {issue.message}" for issue in check.issues))


def _listed(name: str, items: Iterable[str]) -> Iterator[str]:
    yield f"{name}:"
    lines = [f"  - {item}" for item in items]
    yield from lines or ["  - (none)"]


def _pretty(document: Struct) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
