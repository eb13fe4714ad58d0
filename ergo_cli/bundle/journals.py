"""The journals of a v4 bundle, entry by entry: whole, in order, each with its frames (spec 00 §13.4, §13.7)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import TypeVar

import msgspec
from msgspec import Struct

from ergo_cli.bundle.entries import WireEntry, entry_digest
from ergo_cli.bundle.faults import journal_invalid
from ergo_cli.bundle.reader import BundleReader
from ergo_cli.bundle.schema import DecisionRecord
from ergo_cli.errors import BundleError
from ergo_cli.supervisor.journals import Begin, BeginFrame, End, EndFrame
from ergo_cli.supervisor.log import Decision

_BEGIN, _END = b'{"begin":', b'{"end":'

FrameT = TypeVar("FrameT", BeginFrame, EndFrame)

_encode = msgspec.json.Encoder().encode
_decode_entry = msgspec.json.Decoder(WireEntry).decode
_decode_begin = msgspec.json.Decoder(BeginFrame).decode
_decode_end = msgspec.json.Decoder(EndFrame).decode


class RecordedCall(Struct, frozen=True):
    """One call of a program: its frames, the texts between them; ``first`` is the place of ``begin`` in the entry."""

    begin: Begin
    records: tuple[bytes, ...]
    end: End
    first: int


class RecordedEntry(Struct, frozen=True):
    """What was recorded of one episode; ``index`` is the entry's place in ``journals``."""

    index: int
    episode_id: int | None
    run_id: str
    calls: tuple[RecordedCall, ...]


class _Fault(Exception):
    """What is wrong with an entry, and at which of its records."""

    def __init__(self, why: str, record: int | None = None) -> None:
        super().__init__(why)
        self.record = record


def read_entries(reader: BundleReader) -> Iterator[RecordedEntry]:
    """The entries in order, each checked for itself: its form, its digest, its frames, its attempts.

    Raises BundleError ``bundle.journal_invalid``.
    """
    for index, text in enumerate(reader.journal_texts()):
        try:
            yield _entry(index, msgspec.json.format(text, indent=-1))
        except _Fault as fault:
            record = "" if fault.record is None else f".records[{fault.record}]"
            raise entry_invalid(reader, index, str(fault), record) from fault


def invoked_entries(reader: BundleReader) -> Iterator[tuple[DecisionRecord, RecordedEntry | None]]:
    """Every decision, each Invoke with the entry of its episode: as many calls as attempts, no entry left over.

    For kinds of programs that write one entry an episode. Raises BundleError ``bundle.journal_invalid``, and as
    ``BundleReader.decisions``.
    """
    entries = read_entries(reader)
    for seq, decision in enumerate(reader.decisions()):
        if decision.decision is not Decision.INVOKE:
            yield decision, None
            continue
        entry = next(entries, None)
        if entry is None:
            where = f"{reader.path} decisions[{seq}]"
            raise journal_invalid(reader.path, f"decision {seq} has no entry", where)
        _check_pair(reader, seq, decision, entry)
        yield decision, entry
    surplus = next(entries, None)
    if surplus is not None:
        raise entry_invalid(reader, surplus.index, "it belongs to no decision")


def check_no_journals(reader: BundleReader) -> None:
    """Raise BundleError ``bundle.journal_invalid`` for a bundle of a graph program that has journals or artifacts."""
    if next(reader.journal_texts(), None) is not None:
        raise entry_invalid(reader, 0, "a graph program records nothing in journals")
    if reader.artifacts:
        where = f"{reader.path} artifacts"
        raise journal_invalid(reader.path, "there are artifacts that nothing names", where)


def entry_invalid(reader: BundleReader, index: int, why: str, inside: str = "") -> BundleError:
    """The error for the entry at ``index``; ``inside`` is the path from there on."""
    where = f"journals[{index}]{inside}"
    return journal_invalid(reader.path, f"{why} ({where})", f"{reader.path} {where}")


def _check_pair(reader: BundleReader, seq: int, decision: DecisionRecord, entry: RecordedEntry) -> None:
    if entry.episode_id != decision.episode_id:
        why = f"it is of episode {entry.episode_id}, decision {seq} ran episode {decision.episode_id}"
        raise entry_invalid(reader, entry.index, why)
    calls, attempts = len(entry.calls), decision.retry_count + 1
    if calls != attempts:
        raise entry_invalid(reader, entry.index, f"it has {calls} calls, decision {seq} tells of {attempts}")


def _entry(index: int, text: bytes) -> RecordedEntry:
    try:
        entry = _decode_entry(text)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _Fault(f"it is no entry: {error}") from error
    if _encode(entry) != text:
        raise _Fault("it is not written as a capture writes it")
    texts = [bytes(record) for record in entry.records]
    digest = entry_digest(texts)
    if digest != entry.sha256:
        raise _Fault(f"its records have the digest '{digest}', recorded is '{entry.sha256}'")
    return RecordedEntry(index, entry.episode_id, entry.run_id, tuple(_calls(texts)))


def _calls(texts: list[bytes]) -> Iterator[RecordedCall]:
    begins = [place for place, text in enumerate(texts) if text.startswith(_BEGIN)]
    if not begins or begins[0] != 0:
        raise _Fault("a `begin` frame is missing", 0)
    for attempt, (first, behind) in enumerate(pairwise([*begins, len(texts)])):
        call = _call(texts[first:behind], first)
        if call.begin.attempt != attempt:
            raise _Fault(f"it tells of attempt {call.begin.attempt} where attempt {attempt} stands", first)
        yield call


def _call(texts: list[bytes], first: int) -> RecordedCall:
    *records, last = texts
    if not last.startswith(_END):
        raise _Fault("an `end` frame is missing", first + len(records))
    inner = next((place for place, text in enumerate(records) if text.startswith(_END)), None)
    if inner is not None:
        raise _Fault("a `begin` frame is missing", first + inner + 1)
    begin = _frame(_decode_begin, texts[0], first).begin
    return RecordedCall(begin, tuple(records[1:]), _frame(_decode_end, last, first + len(records)).end, first)


def _frame(decode: Callable[[bytes], FrameT], text: bytes, place: int) -> FrameT:
    try:
        frame = decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _Fault(f"it is no frame: {error}", place) from error
    if _encode(frame) != text:
        raise _Fault("the frame is not written as a capture writes it", place)
    return frame
