"""Join the JSON reports of all shards of a replay into the result that one replay of all bundles would have had."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.structs import replace

from ergo_cli.core.diagnostics import counted
from ergo_cli.errors import ErgoError
from ergo_cli.project.project_file import Expect
from ergo_cli.replay.expected import unmet
from ergo_cli.replay.paths import parse_patterns, unmatched
from ergo_cli.replay.results import BundleResult
from ergo_cli.report.command_result import CommandResult
from ergo_cli.report.comparisons import REPLAY, Shown, render_comparison
from ergo_cli.report.document import SCHEMA, ErrorDocument
from ergo_cli.report.error_text import near
from ergo_cli.report.shard_results import PlacedResult, ShardResults, decode_results, digest_of_shard

_SAME_VERSION = "replay and merge with the same version of ergo"
_NAMED = 10
"""How many missing shards an error names."""


class ShardReport(Struct, frozen=True):
    """The report of one shard, and the file that it was read from."""

    path: str
    index: int
    count: int
    selected: int
    results: ShardResults


class _Shard(Struct, frozen=True):
    index: int
    count: int
    selected: int
    digest: str
    results: Raw


class _Document(Struct, frozen=True):
    """The members that are looked at."""

    schema: str
    command: str | None
    error: ErrorDocument | None = None
    bundles: tuple[Raw, ...] = ()
    shard: _Shard | UnsetType = UNSET


def read_shard_report(path: str, text: bytes) -> ShardReport:
    """The report of a shard.

    Raises ErgoError ``report.invalid`` for a text that is no report or was changed, ``report.version_mismatch`` for one
    of another version, ``report.not_a_shard`` for one that has no results of a shard.
    """
    try:
        document = msgspec.json.decode(text, type=_Document)
    except (ValueError, RecursionError) as error:
        raise _invalid(path, str(error)) from error
    if document.schema != SCHEMA:
        if not document.schema.startswith(SCHEMA.partition("/")[0] + "/"):
            raise _invalid(path, f"its schema is '{document.schema[:40]}'")
        message = f"'{path}' is a report of the schema '{document.schema[:40]}', and not '{SCHEMA}'"
        raise _fault("report.version_mismatch", message, path, _SAME_VERSION)
    shard = document.shard
    if isinstance(shard, UnsetType):
        raise _not_a_shard(path, document)
    digest = digest_of_shard(shard.index, shard.count, shard.selected, bytes(shard.results))
    if not 1 <= shard.index <= shard.count or digest != shard.digest:
        raise _invalid(path, "it was changed after it was written")
    try:
        results = decode_results(bytes(shard.results))
    except (ValueError, RecursionError) as error:
        message = f"'{path}' has results that this version of ergo does not read"
        raise _fault("report.version_mismatch", message, path, _SAME_VERSION) from error
    return ShardReport(path, shard.index, shard.count, shard.selected, results)


def merged(reports: Sequence[ShardReport], *, listed: bool, verbose: bool) -> CommandResult:
    """The result of all shards together.

    Raises ErgoError ``report.shards_differ`` for shards of different replays, ``report.shard_repeated``,
    ``report.shard_missing``, ``report.bundle_repeated``.
    """
    first = reports[0]
    for other in reports[1:]:
        _refuse_another_replay(first, other)
    _refuse_incomplete(reports)
    placed = sorted(_placed(reports), key=lambda each: each[1].place)
    _refuse_bundles_apart(placed, first)
    _refuse_another_program(placed)
    results = [replace(result, files=tuple(each.path for each in reports)) for _, _, result in placed]
    files = {each.result.path: each.file for _, each, _ in placed}
    patterns = parse_patterns([text for text, matched in _patterns(reports).items() if not matched])
    request = first.results.request
    shown = Shown(listed, verbose, None, request.program, request.options, accepts=True)
    notices = first.results.notices + unmatched(patterns)
    due = unmet(results, lambda path: files[path])
    rendered = render_comparison("replay", results, REPLAY, notices, shown, first.results.searched, due)
    return replace(rendered, files=tuple(each.path for each in reports))


_Placed = tuple[ShardReport, PlacedResult, BundleResult]


def _placed(reports: Iterable[ShardReport]) -> Iterator[_Placed]:
    known: dict[Expect, Expect] = {}
    return ((report, placed, result) for report in reports for placed, result in report.results.results(known))


def _patterns(reports: Iterable[ShardReport]) -> dict[str, bool]:
    """Each path to ignore, and whether it matched in any shard."""
    found: dict[str, bool] = {}
    for report in reports:
        for text, matched in report.results.patterns.items():
            found[text] = found.get(text, False) or matched
    return found


def _refuse_another_replay(first: ShardReport, other: ShardReport) -> None:
    here, there = first.results.request, other.results.request
    pairs = (
        ("version", here.version, there.version),
        ("number of shards", first.count, other.count),
        ("number of bundles selected", first.selected, other.selected),
        ("options", " ".join(here.program + here.options), " ".join(there.program + there.options)),
        ("--max-divergences", here.max_divergences, there.max_divergences),
    )
    for name, one, another in pairs:
        if one != another:
            what = f"{name}: '{one}' in '{near(first.path)}', '{another}' in '{near(other.path)}'"
            raise _differ(other.path, what)
    if here.selection != there.selection:
        raise _differ(other.path, f"'{near(first.path)}' and '{near(other.path)}' selected other bundles")
    if here.project != there.project:
        raise _differ(other.path, f"'{near(first.path)}' and '{near(other.path)}' have another ergo.toml")


def _refuse_incomplete(reports: Sequence[ShardReport]) -> None:
    known: dict[int, ShardReport] = {}
    for report in reports:
        if report.index in known:
            before = near(known[report.index].path)
            message = f"shard {report.index}/{report.count} is in '{before}' and in '{near(report.path)}'"
            raise _fault("report.shard_repeated", message, report.path, "name the report of each shard once")
        known[report.index] = report
    count = reports[0].count
    if len(known) < count:
        missing = [index for index in range(1, min(count, len(known) + _NAMED) + 1) if index not in known]
        names = ", ".join(f"{index}/{count}" for index in missing[:_NAMED])
        lacking = counted(count - len(known), "shard")
        message = f"the report of {lacking} of {count} is missing: {names}"
        fix = "name the JSON reports of all shards; a shard whose job failed to start has none: run it again"
        raise ErgoError("report.shard_missing", message, fix=fix)


def _refuse_bundles_apart(placed: Sequence[_Placed], first: ShardReport) -> None:
    """Refuse bundles that are in two shards, or in none: all shards must have selected the same ones."""
    known: dict[str, ShardReport] = {}
    for report, each, _ in placed:
        before = known.setdefault(each.result.path, report)
        if before is not report:
            message = f"the bundle '{each.result.path}' is in '{near(before.path)}' and in '{near(report.path)}'"
            fix = "replay all shards on the same selection of bundles"
            raise _fault("report.bundle_repeated", message, report.path, fix)
    if [each.place for _, each, _ in placed] != list(range(first.selected)):
        raise _differ(first.path, "the bundles that were selected")


def _refuse_another_program(placed: Sequence[_Placed]) -> None:
    known: dict[tuple[str | None, ...], tuple[str | None, ShardReport]] = {}
    for report, _, result in placed:
        if result.fingerprint is None or result.program_file is None:
            continue
        key = (result.found_by, result.graph_id, result.program_file)
        fingerprint, before = known.setdefault(key, (result.fingerprint, report))
        if fingerprint != result.fingerprint:
            what = f"the program '{result.graph_id}' is another in '{near(before.path)}' than in '{near(report.path)}'"
            raise _differ(report.path, what)


def _not_a_shard(path: str, document: _Document) -> ErgoError:
    if document.command != "replay" or not document.bundles:
        why = f": {document.error.message}" if document.error is not None else ""
        message = f"'{path}' is the report of a command that replayed nothing{why}"
    else:
        message = f"'{path}' is the report of a replay of all bundles, and not of a shard"
    fix = "name the reports of ergo replay --shard I/N --report json=PATH"
    return _fault("report.not_a_shard", message, path, fix)


def _invalid(path: str, why: str) -> ErgoError:
    message = f"'{path}' is no JSON report of ergo, or not all of it: {why}"
    return _fault("report.invalid", message, path, "name the file that ergo replay --report json=PATH wrote")


def _differ(path: str, what: str) -> ErgoError:
    fix = "replay all shards of the same commit, with the same options and the same version of ergo"
    return _fault("report.shards_differ", f"the reports are not of one replay: {what}", path, fix)


def _fault(code: str, message: str, path: str, fix: str) -> ErgoError:
    return ErgoError(code, message, where=path, fix=fix)
