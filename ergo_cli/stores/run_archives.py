"""Runs of stores as a file of lines, ``ergo-runs/v1``, that any store can take them from (docs/runs.md).

The first line names the form. Those of a run follow it: the artifacts it names that no earlier run has named, its
snapshots, then the records of its journals, each a text that is kept byte for byte. The last line counts the runs and
has the SHA-256 of all lines before it, so that a file that was cut off or changed is recognised.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from ergo_cli.errors import StoreError, reason
from ergo_cli.stores.artifacts import verified
from ergo_cli.stores.files import CompressionError, read_blocks
from ergo_cli.stores.journals import HIGHEST_SEQ

FORM = "ergo-runs/v1"

JournalName: TypeAlias = Literal["events", "attempts"]
"""The journal of what happened in runs; that of failed attempts, and of parts that are not yet in a run's own."""


class FormLine(Struct, frozen=True, forbid_unknown_fields=True, tag_field="line", tag="form"):
    """The first line."""

    form: str


class RunLine(Struct, frozen=True, forbid_unknown_fields=True, tag_field="line", tag="run"):
    """A run begins: the lines up to the next of these are its own."""

    kind: str
    run: str


class ArtifactLine(Struct, frozen=True, forbid_unknown_fields=True, tag_field="line", tag="artifact"):
    """An artifact; ``data`` is in base64."""

    id: str
    data: str

    @classmethod
    def of(cls, artifact: str, data: bytes) -> ArtifactLine:
        """The line of an artifact's bytes."""
        return cls(artifact, b64encode(data).decode())


class SnapshotLine(Struct, frozen=True, forbid_unknown_fields=True, tag_field="line", tag="snapshot"):
    """A snapshot of the name ``of``: the state after the record ``at_seq``."""

    of: str
    at_seq: int
    version: int
    text: str


class RecordLine(Struct, frozen=True, forbid_unknown_fields=True, tag_field="line", tag="record"):
    """The record ``seq`` of the name ``of`` in the journal of events or of attempts."""

    journal: JournalName
    of: str
    seq: int
    text: str


class EndLine(Struct, frozen=True, forbid_unknown_fields=True, tag_field="line", tag="end"):
    """The last line: the number of runs, and the SHA-256 of all bytes before it."""

    runs: int
    sha256: str


PartLine: TypeAlias = ArtifactLine | SnapshotLine | RecordLine
"""A line that belongs to the run before it."""

_AnyLine: TypeAlias = FormLine | RunLine | PartLine | EndLine


class ArchiveWriter:
    """Writes the lines of an archive; ``write`` takes their bytes."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._digest = sha256()
        self._runs = 0
        self.add(FormLine(FORM))

    def add(self, line: FormLine | RunLine | PartLine) -> None:
        """Write one line."""
        self._runs += isinstance(line, RunLine)
        text = msgspec.json.encode(line) + b"\n"
        self._digest.update(text)
        self._write(text)

    def end(self) -> None:
        """Write the last line."""
        self._write(msgspec.json.encode(EndLine(self._runs, self._digest.hexdigest())) + b"\n")


class ArchivedRun(Struct, frozen=True):
    """A run of an archive, which begins at the line ``number``: texts by journal and name, in order; snapshots."""

    number: int
    kind: str
    run_id: str
    records: dict[tuple[JournalName, str], list[str]]
    snapshots: list[SnapshotLine]


def archived_runs(path: str, on_artifact: Callable[[bytes], object]) -> Iterator[ArchivedRun]:
    """The runs of an archive, decompressed by its suffix; ``on_artifact`` is given the artifacts as they come.

    Those of a run come before the run. Raises StoreError: ``store.archive_invalid`` at what is no archive, was cut off
    or changed, which may only be known at the end; ``store.not_found`` for no such file, ``store.unreachable`` for one
    that cannot be read.
    """
    run: ArchivedRun | None = None
    begun = set[tuple[str, str]]()
    for number, line in _lines(path):
        match line:
            case RunLine():
                if run is not None:
                    yield _whole(path, run)
                if (line.kind, line.run) in begun:
                    raise invalid_archive(path, number, f"the run '{line.run}' is in it twice")
                begun.add((line.kind, line.run))
                run = ArchivedRun(number, line.kind, line.run, {}, [])
            case _ if run is None:
                raise invalid_archive(path, number, "it belongs to no run")
            case ArtifactLine():
                on_artifact(_content(path, number, line))
            case SnapshotLine():
                if not (0 <= line.at_seq <= HIGHEST_SEQ and 0 <= line.version <= HIGHEST_SEQ):
                    raise invalid_archive(path, number, "the numbers of a snapshot are out of range")
                _check_json(path, number, line.text)
                run.snapshots.append(line)
            case RecordLine():
                _check_json(path, number, line.text)
                texts = run.records.setdefault((line.journal, line.of), [])
                texts.append(line.text)
                if line.seq != len(texts):
                    raise invalid_archive(path, number, f"record {line.seq} stands where {len(texts)} should")
    if run is not None:
        yield _whole(path, run)


def _whole(path: str, run: ArchivedRun) -> ArchivedRun:
    """The run, if it has records, and its snapshots are of states that these lead to."""
    longest = max((len(texts) for (journal, _), texts in run.records.items() if journal == "events"), default=0)
    if not longest:
        raise invalid_archive(path, run.number, f"the run '{run.run_id}' has no records")
    if any(snapshot.at_seq > longest for snapshot in run.snapshots):
        raise invalid_archive(path, run.number, f"a snapshot of '{run.run_id}' is of a record that it does not have")
    return run


_check_raw = msgspec.json.Decoder(msgspec.Raw).decode


def _check_json(path: str, number: int, text: str) -> None:
    try:
        _check_raw(text)
    except (ValueError, RecursionError) as error:
        raise invalid_archive(path, number, "its text is not JSON, or nests too deep") from error


def _lines(path: str) -> Iterator[tuple[int, RunLine | PartLine]]:
    """The lines but for the first and the last, with their numbers from 1."""
    digest, runs, begun, ended = sha256(), 0, False, False
    for number, text in enumerate(_texts(path), 1):
        line = _decoded(path, number, text)
        if ended:
            raise invalid_archive(path, number, "it follows the last line")
        match line:
            case FormLine():
                _check_form(path, number, line)
                begun = True
            case _ if not begun:
                raise invalid_archive(path, number, f"it begins without the line of the form {FORM}")
            case EndLine():
                ended = True
                if (line.runs, line.sha256) != (runs, digest.hexdigest()):
                    raise invalid_archive(path, number, "the lines before it are not those that were written")
            case _:
                runs += isinstance(line, RunLine)
                yield number, line
        digest.update(text + b"\n")
    if not ended:
        raise invalid_archive(path, None, "it was cut off: its last line is missing")


def _content(path: str, number: int, line: ArtifactLine) -> bytes:
    try:
        return verified(line.id, b64decode(line.data, validate=True), f"{path} line {number}")
    except ValueError as error:
        raise invalid_archive(path, number, f"the artifact {line.id} is not in base64: {error}") from error


def invalid_archive(path: str, number: int | None, why: str) -> StoreError:
    """The error for a line of an archive; without a number for its end."""
    where = path if number is None else f"{path} line {number}"
    fix = "export the runs again: ergo runs export -o FILE"
    return StoreError("store.archive_invalid", f"'{path}' is no archive of runs: {why}", where=where, fix=fix)


def _check_form(path: str, number: int, line: FormLine) -> None:
    if number != 1:
        raise invalid_archive(path, number, "it begins again")
    if line.form != FORM:
        raise invalid_archive(path, number, f"its form is '{line.form}', this version of ergo reads {FORM}")


_decode = msgspec.json.Decoder(_AnyLine).decode


def _decoded(path: str, number: int, text: bytes) -> _AnyLine:
    try:
        return _decode(text)
    except (ValueError, RecursionError) as error:
        raise invalid_archive(path, number, str(error)) from error


def _texts(path: str) -> Iterator[bytes]:
    try:
        yield from _split(read_blocks(path))
    except FileNotFoundError as error:
        fix = "name a file that ergo runs export wrote"
        raise StoreError("store.not_found", f"there is no file '{path}'", where=path, fix=fix) from error
    except CompressionError as error:
        raise invalid_archive(path, None, str(error)) from error
    except OSError as error:
        fix = "check that the file and its folder can be read, or name another"
        message = f"'{path}' cannot be read: {reason(error)}"
        raise StoreError("store.unreachable", message, where=path, fix=fix) from error


def _split(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines without their ends; what follows the last end is a line too, unless it is empty."""
    parts: list[bytes] = []
    for block in blocks:
        first, *rest = block.split(b"\n")
        parts.append(first)
        for line in rest:
            yield b"".join(parts)
            parts = [line]
    if last := b"".join(parts):
        yield last
