"""The results of one shard as they stand in its JSON report, so that all shards can be rendered as one replay.

Reports hold less than text shows: a text that is merged of documents would be another than that of the whole replay.
Paths of the machine that replayed are relative to its current folder, as in documents.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from ergo_cli.core.code_places import CodePlace
from ergo_cli.core.diagnostics import Notice
from ergo_cli.errors import ErgoError
from ergo_cli.host.failures import FailureGroup, FailureSummary
from ergo_cli.project.project_file import Expect
from ergo_cli.replay.results import BundleResult, Divergence, ExpectedHere, Outcome
from ergo_cli.report.document import ErrorDocument, ShardDocument, error_document, unicode, without_controls
from ergo_cli.report.error_text import near
from ergo_cli.report.failures import place_document
from ergo_cli.version import __version__


class ShardRequest(Struct, frozen=True):
    """What all shards of a replay have in common: the version of ergo, and the words of the command line.

    ``selection`` is the digest of the paths of all bundles selected, relative to the current folder, ``project`` that
    of the project's file, which says what is ignored and expected.
    """

    version: str
    program: tuple[str, ...]
    options: tuple[str, ...]
    max_divergences: int
    selection: str
    project: str


class Expected(Struct, frozen=True):
    """One ``[[expect]]`` and the bundles that it names; ``place`` is its place, relative to the current folder."""

    expect: Expect
    place: str
    is_past: bool
    bundles: tuple[str, ...]


class PlacedResult(Struct, frozen=True):
    """The result at a place of the whole selection; ``file`` is the real path of its bundle.

    ``expects`` are the numbers of the expectations that apply to it, each with whether it names the bundle, and how
    many divergences it took.
    """

    place: int
    file: str
    result: BundleResult
    expects: tuple[tuple[int, bool, int], ...]


class ShardResults(Struct, frozen=True):
    """All that rendering a replay needs of one shard.

    ``notices`` and ``searched`` are those of the selection, ``patterns`` the paths to ignore, each with whether it
    matched.
    """

    request: ShardRequest
    notices: tuple[Notice, ...]
    searched: tuple[str, ...]
    patterns: dict[str, bool]
    expected: tuple[Expected, ...]
    placed: tuple[PlacedResult, ...]

    def results(self, known: dict[Expect, Expect]) -> Iterator[tuple[PlacedResult, BundleResult]]:
        """Every result as the replay had it; ``known`` are the expectations of other shards, by their places."""
        table = [
            (known.setdefault(replace(each.expect, where=each.place), each.expect), each) for each in self.expected
        ]
        for each in self.placed:
            here = tuple(
                ExpectedHere(table[at][0], fits, table[at][1].is_past, count, table[at][1].bundles)
                for at, fits, count in each.expects
            )
            yield each, replace(each.result, expects=here)


def request_of(
    program: Sequence[str], options: Sequence[str], max_divergences: int, selected: Sequence[str], project: bytes
) -> ShardRequest:
    """The request of a replay by this version of ergo: of the bundles ``selected``, under the text of a project."""
    paths = [_from_here(os.path.realpath(path)) for path in selected]
    return ShardRequest(
        __version__,
        tuple(map(unicode, program)),
        tuple(map(unicode, options)),
        max_divergences,
        digest_of(msgspec.json.encode(paths)),
        digest_of(project),
    )


def placed_results(
    results: Sequence[BundleResult], places: Sequence[int]
) -> tuple[tuple[Expected, ...], tuple[PlacedResult, ...]]:
    """The expectations of results, each once, and the results at their places of the whole selection."""
    table: dict[Expect, tuple[int, Expected]] = {}
    for here in (here for result in results for here in result.expects):
        if here.expect not in table:
            bundles = tuple(map(_from_here, here.bundles))
            table[here.expect] = len(table), Expected(here.expect, near(here.expect.where), here.is_past, bundles)
    placed = tuple(
        PlacedResult(
            place,
            _from_here(os.path.realpath(result.path)),
            _without_places(result),
            tuple((table[here.expect][0], here.fits, here.count) for here in result.expects),
        )
        for place, result in zip(places, results, strict=True)
    )
    return tuple(expected for _, expected in table.values()), placed


def shard_document(index: int, count: int, selected: int, results: ShardResults) -> ShardDocument:
    """The member ``shard`` of a report."""
    try:
        text = _ENCODER.encode(results)
    except UnicodeEncodeError:  # the name of a file that is no Unicode
        text = _ENCODER.encode(_escaped(msgspec.to_builtins(results, enc_hook=_plain)))
    text = without_controls(text)
    return ShardDocument(index, count, selected, digest_of_shard(index, count, selected, text), Raw(text))


def digest_of_shard(index: int, count: int, selected: int, results: bytes) -> str:
    """The digest of all that the member ``shard`` says; ``results`` as they are written."""
    return digest_of(f"{index}/{count} of {selected}\n".encode() + results)


def digest_of(text: bytes) -> str:
    """The digest of a text."""
    return f"sha256:{sha256(text).hexdigest()}"


def decode_results(text: bytes) -> ShardResults:
    """The results of a shard. Raises ValueError for a text that no shard can have written."""
    results = _DECODER.decode(text)
    if not all(_is_sound(each, len(results.expected)) for each in results.placed):
        raise ValueError("its results contradict themselves")
    return results


def _is_sound(placed: PlacedResult, expected: int) -> bool:
    """Whether all that refers to something by its number refers to something."""
    result = placed.result
    every = [inner for each in result.divergences for inner in (each, *(each.by_key or ()))]
    return (
        (result.outcome is Outcome.REFUSED) == (result.error is not None)
        and all(0 <= number < len(result.changes) for each in every for number in each.changes)
        and all(0 <= each.expected_by < len(placed.expects) for each in every if each.expected_by is not None)
        and all(0 <= number < expected for number, _, _ in placed.expects)
    )


def _without_places(result: BundleResult) -> BundleResult:
    """A result without what is of its machine alone."""
    return replace(
        result,
        files=(),
        expects=(),
        divergences=tuple(map(_nearer, result.divergences)),
        changes=tuple(replace(each, file=_near(each.file)) for each in result.changes),
        failures=_nearer_failures(result.failures),
        program_file=_near(result.program_file),
    )


def _nearer(divergence: Divergence) -> Divergence:
    place = divergence.place and (near(divergence.place[0]), divergence.place[1])
    return replace(divergence, place=place, by_key=divergence.by_key and tuple(map(_nearer, divergence.by_key)))


def _nearer_failures(failures: FailureSummary) -> FailureSummary:
    return replace(failures, groups=tuple(map(_nearer_group, failures.groups)))


def _nearer_group(group: FailureGroup) -> FailureGroup:
    cause = replace(group.cause, place=group.cause.place and _nearer_place(group.cause.place))
    return replace(group, cause=cause, frames=tuple(map(_nearer_place, group.frames)))


def _nearer_place(place: CodePlace) -> CodePlace:
    return replace(place, file=place_document(place).file)


def _near(file: str | None) -> str | None:
    return None if file is None else near(file)


def _from_here(real: str) -> str:
    """A real path relative to the current folder, so that it is the same on machines with another one."""
    return unicode(os.path.relpath(real, os.path.realpath(os.curdir)))


def _escaped(value: Any) -> Any:
    """A tree with lone surrogates, which JSON may not hold, as escapes."""
    match value:
        case str():
            return unicode(value)
        case list() | tuple():
            return [_escaped(each) for each in value]  # pyright: ignore[reportUnknownVariableType]
        case dict():
            return {_escaped(key): _escaped(each) for key, each in value.items()}  # pyright: ignore[reportUnknownVariableType]
        case _:
            return value


def _plain(value: object) -> ErrorDocument | str:
    """What stands in JSON for a value that the encoder does not know: an error, or an id of a kind of program."""
    if isinstance(value, str):
        return str(value)
    assert isinstance(value, ErgoError), type(value)
    return error_document(value)


def _error_of_document(kind: type, value: Any) -> ErgoError:
    assert kind is ErgoError, kind
    return _error(msgspec.convert(value, ErrorDocument))


def _error(document: ErrorDocument) -> ErgoError:
    causes = map(_error, document.causes)
    return ErgoError(
        document.code,
        document.message,
        where=document.where,
        fix=document.fix,
        rule=document.rule,
        details=document.details,
        causes=causes,
    )


_ENCODER = msgspec.json.Encoder(enc_hook=_plain)
_DECODER = msgspec.json.Decoder(ShardResults, dec_hook=_error_of_document)
