"""Read and check the journals of a v4 bundle, episode by episode (spec 00 §13.4, §13.7)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from itertools import pairwise
from typing import TypeVar

import msgspec
from msgspec import Struct

from ergo_cli.bundle.reader import BundleReader
from ergo_cli.bundle.schema import (
    DecisionRecord,
    Version,
    WireEntry,
    artifact_bytes,
    artifact_text,
    entry_digest,
    journal_invalid,
)
from ergo_cli.core.json import record_opening
from ergo_cli.errors import BundleError
from ergo_cli.programs.recorded import Episode, JournalFault, RecordedCall, RecordedEntry
from ergo_cli.stores.artifacts import artifact_id
from ergo_cli.supervisor.journals import BeginFrame, EndFrame
from ergo_cli.supervisor.seam import Decision

_encode = msgspec.json.Encoder().encode


_BEGIN, _END = record_opening(BeginFrame), record_opening(EndFrame)

FrameT = TypeVar("FrameT", BeginFrame, EndFrame)

_decode_entry = msgspec.json.Decoder(WireEntry).decode
_decode_begin = msgspec.json.Decoder(BeginFrame).decode
_decode_end = msgspec.json.Decoder(EndFrame).decode


class Recorded(Struct, frozen=True):
    """A decision and the recorded episode that ran for it; None if none ran or nothing is recorded."""

    decision: DecisionRecord
    episode: Episode | None


class BundleJournals:
    """The journals of one bundle; every call reads and checks them from the beginning, episode by episode.

    ``closing`` is what closing the program recorded; it is set once ``episodes`` is exhausted.
    """

    def __init__(self, reader: BundleReader) -> None:
        self._reader = reader
        self.closing: Episode | None = None

    @cached_property
    def _artifacts(self) -> dict[str, bytes]:
        return read_artifacts(self._reader)

    def check(self) -> None:
        """Raise BundleError ``bundle.journal_invalid`` for the first violation of spec 00 §13.4."""
        if self._reader.version is Version.V3:  # it has no journals: skip importing a kind
            return
        if self._reader.kind.acting is None:
            _check_none(self._reader)
            return
        for _ in self.episodes():
            pass

    def recorded(self) -> Iterator[Episode]:
        """Yield every recorded episode, and last what closing the program recorded. Raises as ``episodes``."""
        for recorded in self.episodes():
            if recorded.episode is not None:
                yield recorded.episode
        if self.closing is not None:
            yield self.closing

    def episodes(self) -> Iterator[Recorded]:
        """Yield every decision with its episode; check that calls match attempts and that nothing is left over.

        Raises as ``check``, and BundleError ``bundle.parse_failed`` at a decision that is malformed.
        """
        self.closing = None
        acting = None if self._reader.version is Version.V3 else self._reader.kind.acting
        if acting is None:
            _check_none(self._reader)
            for decision in self._reader.decisions():
                yield Recorded(decision, None)
            return
        artifacts = self._artifacts
        journal = acting.reader(artifacts)
        entries = _Entries(self._reader)
        for seq, decision in enumerate(self._reader.decisions()):
            if decision.decision is not Decision.INVOKE:
                yield Recorded(decision, None)
                continue
            with _placed(self._reader):
                episode = journal.episode(entries.of(seq, decision))
            yield Recorded(decision, episode)
        with _placed(self._reader):
            self.closing = journal.close(entries.closing())
        surplus = next((name for name in artifacts if name not in journal.named), None)
        if surplus is not None:
            raise _artifact_invalid(self._reader, surplus, "is named by no frame")


class _Entries:
    """Assigns the entries of a bundle to its decisions; a faulty entry raises when it is reached."""

    def __init__(self, reader: BundleReader) -> None:
        self._reader = reader
        self._entries = _read_entries(reader)
        self._ahead: list[RecordedEntry | JournalFault | BundleError | None] = []

    def of(self, seq: int, decision: DecisionRecord) -> list[RecordedEntry]:
        """The entry of a decision's episode, followed by those of the runs that it spawned."""
        entry = self._next()
        if entry is None:
            where = f"{self._reader.path} decisions[{seq}]"
            raise journal_invalid(self._reader.path, f"decision {seq} has no entry", where)
        _check_pair(seq, decision, entry)
        entries = [entry]
        while (spawned := self._peek()) is not None and spawned.episode_id == entry.episode_id:
            entries.append(spawned)
            self._ahead.clear()
        return entries

    def closing(self) -> RecordedEntry | None:
        """The last entry, recorded by closing the program; the kind decides whether one is allowed."""
        entry = self._next()
        if entry is not None and entry.episode_id is not None:
            raise JournalFault("it belongs to no decision", entry.index)
        surplus = self._next()
        if surplus is not None:
            raise JournalFault("it belongs to no decision", surplus.index)
        return entry

    def _next(self) -> RecordedEntry | None:
        entry = self._ahead.pop() if self._ahead else next(self._entries, None)
        if isinstance(entry, Exception):
            raise entry
        return entry

    def _peek(self) -> RecordedEntry | None:
        if not self._ahead:
            try:
                self._ahead.append(next(self._entries, None))
            except (JournalFault, BundleError) as fault:
                self._ahead.append(fault)
        entry = self._ahead[0]
        return None if isinstance(entry, Exception) else entry


def read_artifacts(reader: BundleReader) -> dict[str, bytes]:
    """The bytes of all artifacts by id.

    Raises BundleError ``bundle.journal_invalid`` for a malformed artifact and for one whose bytes have another hash.
    """
    return {name: _artifact(reader, name, text) for name, text in reader.artifacts.items()}


def _artifact(reader: BundleReader, name: str, text: bytes) -> bytes:
    try:
        content = artifact_bytes(text)
    except (ValueError, msgspec.MsgspecError) as error:
        raise _artifact_invalid(reader, name, f"cannot be read: {error}") from error
    if artifact_id(content) != name:
        raise _artifact_invalid(reader, name, f"holds bytes whose hash is '{artifact_id(content)}'")
    if artifact_text(content) != text:
        raise _artifact_invalid(reader, name, "is not written as a capture writes it")
    return content


def _artifact_invalid(reader: BundleReader, name: str, why: str) -> BundleError:
    return journal_invalid(reader.path, f"artifact '{name}' {why}", f'{reader.path} artifacts."{name}"')


@contextmanager
def _placed(reader: BundleReader) -> Generator[None]:
    """Turn a JournalFault into BundleError ``bundle.journal_invalid`` with its place in the bundle."""
    try:
        yield
    except JournalFault as fault:
        if fault.artifact is not None:
            raise _artifact_invalid(reader, fault.artifact, str(fault)) from fault
        where = f"journals[{fault.entry}]" + ("" if fault.record is None else f".records[{fault.record}]")
        raise journal_invalid(reader.path, f"{fault} ({where})", f"{reader.path} {where}") from fault


def _read_entries(reader: BundleReader) -> Iterator[RecordedEntry]:
    """Yield the entries in order, each checked on its own: form, digest, frames, attempts."""
    for index, text in enumerate(reader.journal_texts()):
        yield _entry(index, msgspec.json.format(text, indent=-1))


def _check_none(reader: BundleReader) -> None:
    """Raise BundleError ``bundle.journal_invalid`` if a program that records none has journals or artifacts."""
    if next(reader.journal_texts(), None) is not None:
        why = f"a {reader.kind_name} program records nothing in journals"
        raise journal_invalid(reader.path, f"{why} (journals[0])", f"{reader.path} journals[0]")
    if reader.artifacts:
        where = f"{reader.path} artifacts"
        raise journal_invalid(reader.path, "there are artifacts that nothing names", where)


def _whose(entry: RecordedEntry) -> str:
    return "closing the program" if entry.episode_id is None else f"episode {entry.episode_id}"


def _check_pair(seq: int, decision: DecisionRecord, entry: RecordedEntry) -> None:
    if entry.episode_id != decision.episode_id:
        why = f"it is of {_whose(entry)}, decision {seq} ran episode {decision.episode_id}"
        raise JournalFault(why, entry.index)
    if entry.records:
        raise JournalFault("a `begin` frame is missing", entry.index, 0)
    calls, attempts = len(entry.calls), decision.retry_count + 1
    if calls != attempts:
        raise JournalFault(f"it has {calls} calls, decision {seq} tells of {attempts}", entry.index)


def _entry(index: int, text: bytes) -> RecordedEntry:
    try:
        entry = _decode_entry(text)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise JournalFault(f"it is not an entry: {error}", index) from error
    if _encode(entry) != text:
        raise JournalFault("it is not written as a capture writes it", index)
    texts = [bytes(record) for record in entry.records]
    digest = entry_digest(texts)
    if digest != entry.sha256:
        raise JournalFault(f"its records have the digest '{digest}', recorded is '{entry.sha256}'", index)
    if texts and not any(text.startswith((_BEGIN, _END)) for text in texts):
        return RecordedEntry(index, entry.episode_id, entry.run_id, (), tuple(texts))
    return RecordedEntry(index, entry.episode_id, entry.run_id, tuple(_calls(texts, index)))


def _calls(texts: list[bytes], index: int) -> Iterable[RecordedCall]:
    begins = [place for place, text in enumerate(texts) if text.startswith(_BEGIN)]
    if not begins or begins[0] != 0:
        raise JournalFault("a `begin` frame is missing", index, 0)
    for attempt, (first, behind) in enumerate(pairwise([*begins, len(texts)])):
        call = _call(texts[first:behind], index, first)
        if call.begin.attempt != attempt:
            raise JournalFault(f"it tells of attempt {call.begin.attempt} where attempt {attempt} stands", index, first)
        yield call


def _call(texts: list[bytes], index: int, first: int) -> RecordedCall:
    *records, last = texts
    if not last.startswith(_END):
        raise JournalFault("an `end` frame is missing", index, first + len(records))
    inner = next((place for place, text in enumerate(records) if text.startswith(_END)), None)
    if inner is not None:
        raise JournalFault("a `begin` frame is missing", index, first + inner + 1)
    begin = _frame(_decode_begin, texts[0], index, first).begin
    end = _frame(_decode_end, last, index, first + len(records)).end
    return RecordedCall(begin, tuple(records[1:]), end, first)


def _frame(decode: Callable[[bytes], FrameT], text: bytes, index: int, place: int) -> FrameT:
    try:
        frame = decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise JournalFault(f"it is not a frame: {error}", index, place) from error
    if _encode(frame) != text:
        raise JournalFault("the frame is not written as a capture writes it", index, place)
    return frame
