"""Render the results of ``inspect``, ``validate``, ``init`` and ``fixture``."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Struct, UnsetType

from ergo_cli.bundle.inspection import Inspection, JournalCounts
from ergo_cli.core.diagnostics import counted
from ergo_cli.core.time import Duration
from ergo_cli.errors import ErgoError, exit_code
from ergo_cli.programs.kinds import TEXTUAL
from ergo_cli.report.command_result import CommandResult
from ergo_cli.report.document import (
    ConversionDocument,
    ExportedRowsDocument,
    FileDocument,
    ImportedRowsDocument,
    InitDocument,
    PassedOverDocument,
    Report,
    encoded,
    error_document,
    gravest,
    unicode,
    warning_texts,
)
from ergo_cli.report.error_text import near
from ergo_cli.report.reproducing import reproducing
from ergo_cli.report.text import Block, Line, Tone, fields

if TYPE_CHECKING:
    from ergo_cli.tools.export.exporting import Exported, ExportRequest
    from ergo_cli.tools.fixture_stats import FixtureCheck, FixtureStats
    from ergo_cli.tools.importing.importing import Imported
    from ergo_cli.tools.init_project import Initialised
    from ergo_cli.tools.validation import FileResult


def render_inspection(inspection: Inspection) -> CommandResult:
    """Render the content of a bundle."""
    report = Report(command="inspect", outcome="ok", exit_code=0, inspect=inspection)
    return CommandResult(report, (Line(inspection.path, Tone.STRONG), fields(_inspection_pairs(inspection), indent=2)))


def _inspection_pairs(found: Inspection) -> list[tuple[str, object | None]]:
    compression = "" if found.compression is None else f", {found.compression}"
    decisions = found.decisions
    return [
        ("format", f"{found.capture_version}, {found.style}{compression}, {found.size_bytes:,} bytes"),
        ("program", f"{TEXTUAL if found.program is None else found.program.kind} {found.graph_id}"),
        ("reference", None if found.program is None else found.program.ref),
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
        ("journals", None if isinstance(found.journals, UnsetType) else _journal_counts(found.journals)),
    ]


def _journal_counts(counts: JournalCounts) -> str:
    return f"entries {counts.entries:,}, runs {counts.runs:,}, calls {counts.calls:,}; {_counts(counts.records)}"


def _constraints(found: Inspection) -> str:
    config = found.config
    limits = {
        "max_in_flight": config.max_in_flight,
        "max_per_window": config.max_per_window,
        "rate_window": None if config.rate_window is None else config.rate_window.text,
        "deadline": None if config.deadline is None else config.deadline.text,
        "max_retries": config.max_retries,
    }
    return ", ".join(f"{name} {limit}" for name, limit in limits.items() if limit is not None)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"


def _span(first: Duration | None, last: Duration | None) -> str | None:
    return None if first is None or last is None else f"{first.text} to {last.text}"


def render_validation(results: Sequence[FileResult], options: Sequence[str] = ()) -> CommandResult:
    """Render the results of all files; one invalid file makes the outcome ``invalid``.

    ``options`` are the words of the command line that repeat the check.
    """
    errors = tuple(error for result in results for error in result.errors)
    code = gravest(exit_code(error.code) for error in errors)
    headline = next((error for error in errors if exit_code(error.code) == code), None)
    report = Report(
        command="validate",
        outcome=_outcome(not errors),
        exit_code=code,
        error=None if headline is None else error_document(headline),
        files=tuple(_file_document(result, options) for result in results),
    )
    notices = tuple(notice for result in results for notice in result.notices)
    files = tuple(result.path for result in results)
    seconds = tuple(result.seconds for result in results)
    blocks, complaints = tuple(_file_lines(results)), tuple(_each_once(errors))
    return CommandResult(report, blocks, complaints, notices, seconds=seconds, files=files)


def _each_once(errors: Iterable[ErgoError]) -> Iterator[ErgoError]:
    """The errors as text has them: what several profiles, or files, have in common is said once."""
    from ergo_cli.tools.project_checks import ProfileFault  # other commands of this module check no project

    found: dict[tuple[object, ...], list[ErgoError]] = {}
    for error in errors:
        message = error.unnamed if isinstance(error, ProfileFault) else error.message
        place = None if error.where is None else near(error.where)
        found.setdefault((error.code, near(message), place, error.fix, error.details), []).append(error)
    for alike in found.values():
        profiles = [each.profile for each in alike if isinstance(each, ProfileFault)]
        first = copy(alike[0])
        if isinstance(first, ProfileFault) and len(profiles) > 1:
            names = ", ".join(f"'{profile}'" for profile in profiles)
            first.message = f"profiles {names}: {first.unnamed}"
        yield first


def _file_document(result: FileResult, options: Sequence[str]) -> FileDocument:
    return FileDocument(
        path=unicode(result.path),
        kind=None if result.type is None else result.type.value,
        id=result.id,
        outcome=_outcome(not result.errors),
        errors=tuple(error_document(error) for error in result.errors),
        warnings=warning_texts(result.notices),
        reproduce=reproducing("validate", (result.path,), options) if result.errors else UNSET,
    )


def _file_lines(results: Sequence[FileResult]) -> Iterator[Block]:
    for result in results:
        what = " ".join(part for part in (result.type.value if result.type else None, result.id) if part)
        line = f"{_outcome(not result.errors)}: {result.path}" + (f" ({what})" if what else "")
        yield Line(line, Tone.BAD if result.errors else Tone.GOOD)


def _outcome(valid: bool) -> str:
    return "valid" if valid else "invalid"


def render_initialisation(directory: str, made: Initialised) -> CommandResult:
    """Render a project made in ``directory``: its path, its requirement, the next steps."""
    guide, bundle = os.path.join(directory, made.guide), os.path.join(directory, made.capture)
    document = InitDocument(
        path=unicode(directory),
        name=made.name,
        requirement=made.requirement,
        guide=unicode(guide),
        bundle=unicode(bundle),
        files=made.files,
    )
    report = Report(command="init", outcome="ok", exit_code=0, warnings=warning_texts(made.notices), init=document)
    has_channels = any(file.startswith("channels/") for file in made.files)
    pairs = (
        ("name", made.name),
        ("depends on", f"{made.requirement}, as requirements.txt says"),
        ("channels", "need Python 3, as python3 on the PATH" if has_channels else None),
        ("guide", guide),
        ("bundle", bundle),
    )
    blocks = (Line(f"created: {directory}", Tone.GOOD), fields(pairs, indent=2), *_next_steps(directory))
    return CommandResult(report, blocks, notices=made.notices)


def _next_steps(directory: str) -> Iterator[Block]:
    yield Line()
    yield Line("next steps")
    if os.path.normpath(directory) != os.curdir:
        yield Line(f"  cd {shlex.quote(directory)}")
    yield Line("  scripts/test")
    yield Line("  ergo replay --strict")


FIXTURE_INSPECT = "fixture.inspect"
FIXTURE_VALIDATE = "fixture.validate"
FIXTURE_FROM_CSV = "fixture.from-csv"

_FIXTURE_SCHEMA = "v1"


class _FixtureIssue(Struct, frozen=True):
    code: str
    message: str


class _FixtureInspection(Struct, frozen=True):
    schema_version: str
    command: str
    fixture_path: str
    stats: FixtureStats


class _FixtureValidation(Struct, frozen=True):
    schema_version: str
    command: str
    fixture_path: str
    valid: bool
    stats: FixtureStats | None
    issues: tuple[_FixtureIssue, ...]


def render_fixture_stats(path: str, stats: FixtureStats) -> CommandResult:
    """Render the counts of a fixture, in the original's JSON and text (spec 10 §7.2, 30 §23.5)."""
    lines = [
        "fixture inspect",
        f"path: {path}",
        f"total_items: {stats.total_items}",
        f"episode_count: {stats.episode_count}",
        f"event_count: {stats.event_count}",
        f"events_with_payload: {stats.events_with_payload}",
        f"events_with_semantic_kind: {stats.events_with_semantic_kind}",
        *_list_lines("event_kind_counts", (f"{kind}: {count}" for kind, count in stats.event_kind_counts.items())),
        *_list_lines("episodes", (f"{episode.label}: {episode.event_count}" for episode in stats.episodes)),
    ]
    report = Report(command=FIXTURE_INSPECT, outcome="ok", exit_code=0)
    document = _pretty(_FixtureInspection(_FIXTURE_SCHEMA, FIXTURE_INSPECT, unicode(path), stats))
    return CommandResult(report, tuple(map(Line, lines)), document=document)


def render_fixture_check(path: str, check: FixtureCheck) -> CommandResult:
    """Render the counts and faults of a fixture, in the original's JSON and text."""
    valid, errors = not check.issues, check.issues
    report = Report(
        command=FIXTURE_VALIDATE,
        outcome="valid" if valid else "invalid",
        exit_code=0 if valid else exit_code(errors[0].code),
        error=None if valid else error_document(errors[0]),
    )
    issues = tuple(_FixtureIssue(error.code, unicode(error.message)) for error in errors)
    document = _pretty(_FixtureValidation(_FIXTURE_SCHEMA, FIXTURE_VALIDATE, unicode(path), valid, check.stats, issues))
    first, *others = _fixture_lines(path, check)
    blocks = (Line(first, Tone.GOOD if valid else Tone.BAD), *map(Line, others))
    return CommandResult(report, blocks, errors, document=document)


def render_conversion(path: str, events: int) -> CommandResult:
    """Render a fixture that was written."""
    document = ConversionDocument(unicode(path), events)
    report = Report(command=FIXTURE_FROM_CSV, outcome="ok", exit_code=0, fixture=document)
    return CommandResult(report, (Line(f"wrote {counted(events, 'event')} to {near(path)}"),))


def render_export(request: ExportRequest, exported: Exported) -> CommandResult:
    """Render rows that were written."""
    document = ExportedRowsDocument(
        path=unicode(request.path),
        records=request.records.value,
        form=request.form.value,
        output=unicode(request.output),
        rows=exported.rows,
    )
    warnings = warning_texts(exported.notices)
    report = Report(command="export", outcome="ok", exit_code=0, warnings=warnings, exported=document)
    place = "standard output" if request.output == "-" else near(request.output)
    line = f"wrote {counted(exported.rows, 'row')} of {request.records.value} to {place}"
    return CommandResult(report, (Line(line),), notices=exported.notices)


def render_import(source: str, form: str, output: str, imported: Imported) -> CommandResult:
    """Render events that were written, and every reason why rows became none."""
    skipped = imported.passed_over.reasons
    document = ImportedRowsDocument(
        path=unicode(source),
        form=form,
        output=unicode(output),
        rows=imported.rows,
        events=imported.events,
        at_unit=None if imported.unit is None else imported.unit.value,
        skipped=tuple(PassedOverDocument(unicode(each.text), each.rows, unicode(each.first)) for each in skipped),
    )
    warnings = warning_texts(imported.notices)
    report = Report(command="import", outcome="ok", exit_code=0, warnings=warnings, imported=document)
    place = "standard output" if output == "-" else near(output)
    line = f"wrote {counted(imported.events, 'event')} of {counted(imported.rows, 'row')} to {place}"
    if skipped:
        line += f", passed over {imported.passed_over.rows:,}: {imported.passed_over.sentence()}"
    if imported.unit is not None:
        line += f"; times count {imported.unit.value} since 1970"
    return CommandResult(report, (Line(line),), notices=imported.notices)


def _fixture_lines(path: str, check: FixtureCheck) -> Iterator[str]:
    yield "fixture invalid" if check.issues else "fixture valid"
    yield f"path: {path}"
    if check.stats is not None:
        yield f"episode_count: {check.stats.episode_count}"
        yield f"event_count: {check.stats.event_count}"
    if not check.issues:
        yield "issues: (none)"
        return
    yield from _list_lines("issues", (f"[{issue.code}] {issue.message}" for issue in check.issues))


def _list_lines(name: str, items: Iterable[str]) -> Iterator[str]:
    yield f"{name}:"
    lines = [f"  - {item}" for item in items]
    yield from lines or ["  - (none)"]


def _pretty(document: Struct) -> bytes:
    return msgspec.json.format(encoded(document), indent=2) + b"\n"
