"""The divergences of a report for its script: lines of JSON, compressed, within bounds.

The first line has what is about the whole, every further one a divergence. A browser inflates the block by itself.
"""

from __future__ import annotations

import zlib
from base64 import b64encode
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import msgspec
from msgspec import UNSET, Struct

from ergo_cli.core.json import JsonValue
from ergo_cli.replay.results import Divergence
from ergo_cli.report.compared import Compared
from ergo_cli.report.document import BundleDocument, DivergenceDocument, Report
from ergo_cli.report.facts import value_line
from ergo_cli.report.formats.bundle_cases import change_line
from ergo_cli.report.formats.html.sides import Pair, sides_of
from ergo_cli.report.formats.html.stream import Cell, cells
from ergo_cli.report.formats.html.texts import shown
from ergo_cli.report.memory import memory_texts

MOST_BYTES = 1_100_000
"""Of the compressed block, before it is text: with all else the file stays below two million bytes."""

_MOST_STREAMS = 20
_MOST_ENTRIES = 20_000
_CHUNK = 50
_WITHOUT_FRAME = -15
"""Deflated data alone, without length and checksum: what does not fit is left out by leaving off the end."""
_MOST_MEMBERS = 20
_WIDTH = 200


class Block(NamedTuple):
    """The text of the block, and how many divergences it has, of how many."""

    text: str
    held: int
    whole: int


class _Stream(Struct, frozen=True):
    bundle: int
    cells: list[Cell]


class _Head(Struct, frozen=True):
    """The bundles by their names, the names of both sides, the streams that are drawn."""

    bundles: list[str]
    sides: tuple[str, str]
    streams: list[_Stream]


class _Entry(Struct, frozen=True, omit_defaults=True):
    """A divergence, all texts printable and cut; ``bundle`` is a number."""

    bundle: int
    seq: int
    event: str | None
    occurrence: int
    episode: int | None
    kind: str
    level: str
    path: str
    node: str
    origin: str
    cause: str
    place: str
    facts: list[str]
    because: list[str]
    sides: list[Pair]
    before: list[tuple[str, str]] = []
    memory: list[str] = []
    is_expected: bool = False


def data_block(report: Report, compared: Compared) -> Block:
    """The block of a report: as many divergences as its bounds allow, in their order."""
    streams = [
        _Stream(number, found)
        for number, result in enumerate(compared.results[:_MOST_STREAMS])
        if (found := cells(result))
    ]
    head = _Head([shown(each.path, _WIDTH) for each in report.bundles], compared.sides, streams)
    squeeze = zlib.compressobj(9, zlib.DEFLATED, _WITHOUT_FRAME)
    pieces = [squeeze.compress(_line(head)) + squeeze.flush(zlib.Z_SYNC_FLUSH)]
    size, held = len(pieces[0]), 0
    entries = islice(_entries(report, compared), _MOST_ENTRIES)
    while chunk := list(islice(entries, _CHUNK)):
        piece = squeeze.compress(b"".join(map(_line, chunk))) + squeeze.flush(zlib.Z_SYNC_FLUSH)
        size += len(piece)
        if size > MOST_BYTES:
            break
        pieces.append(piece)
        held += len(chunk)
    pieces.append(squeeze.flush())
    whole = sum(each.divergence_count for each in report.bundles)
    return Block(b64encode(b"".join(pieces)).decode(), held, whole)


def _line(value: Struct) -> bytes:
    return msgspec.json.encode(value) + b"\n"


def _entries(report: Report, compared: Compared) -> Iterator[_Entry]:
    for number, (bundle, result) in enumerate(zip(report.bundles, compared.results, strict=True)):
        for document, divergence in zip(bundle.divergences, result.divergences, strict=True):
            yield _entry(number, bundle, document, divergence)


def _entry(number: int, bundle: BundleDocument, document: DivergenceDocument, divergence: Divergence) -> _Entry:
    changes = () if bundle.changes is UNSET else bundle.changes
    place = document.place
    return _Entry(
        bundle=number,
        seq=document.seq,
        event=None if document.event_id is None else shown(document.event_id, _WIDTH),
        occurrence=document.occurrence,
        episode=document.episode_id,
        kind=document.kind,
        level=document.level,
        path=shown(document.path, _WIDTH),
        node=shown(document.node or "", _WIDTH),
        origin=shown(document.origin or "", _WIDTH),
        cause=shown(document.cause or "", _WIDTH),
        place="" if place is None else shown(place.file if place.line is None else f"{place.file}:{place.line}"),
        facts=[shown(fact) for fact in document.facts],
        because=[change_line(changes[each]) for each in document.changes if each < len(changes)],
        sides=sides_of(divergence),
        before=[_member(path, value) for path, value in islice(document.state_before.items(), _MOST_MEMBERS)],
        memory=[shown(text) for text in memory_texts(divergence.memory)],
        is_expected=document.expected_by is not None,
    )


def _member(path: str, value: JsonValue) -> tuple[str, str]:
    return shown(path, _WIDTH), shown(value_line(value), _WIDTH)
