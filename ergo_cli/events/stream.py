"""An event stream: bytes in, lines, hosted events out, checked as it runs (spec 10 §5.1, §6, 30 §3, 00 §12)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from typing import TYPE_CHECKING

import msgspec

from ergo_cli.core.digest_set import DigestSet
from ergo_cli.core.numbers import Numbers
from ergo_cli.errors import EventError
from ergo_cli.events.exact_reader import RecordFault, UnreadableLine, place_of
from ergo_cli.events.external import EpisodeStart, HostedEvent
from ergo_cli.events.records import read_record, read_usual_lines

if TYPE_CHECKING:
    from ergo_cli.events.redaction import Redaction

_STARTS_EPISODE = b'"episode_start"'
_INPUT_INVALID = "driver.input_invalid"
_FIX_LINE = "write one JSON object a line: an `event`, an `episode_start` or a hosted event"
_FIX_EVENTS = "give the stream at least one event"
_WITHHELD = "what is wrong with it is not shown, because values of the stream are redacted"
_FIX_WITHHELD = "correct the line; ergo validate names the fault, and may show what the line holds"


class SemanticKinds(Enum):
    """What a run requires of the semantic kinds of its events."""

    REQUIRED = "required"
    """An adapter is bound: each event needs one; an absent payload is ``{}``."""
    REFUSED = "refused"
    """No adapter is bound: an event that has one belongs to another run."""
    IGNORED = "ignored"
    """The program reads no payload (``ergo:schedule``)."""


def bad_line(label: str, line: int, fault: RecordFault, *, is_withheld: bool = False) -> EventError:
    """The error for a line that is not a record of a stream; one that ``is_withheld`` says nothing but where."""
    reading = "cannot read line" if isinstance(fault, UnreadableLine) else "fixture parse error at line"
    where = f"{label}:{line}:{fault.offset + 1}"
    if is_withheld:
        return EventError(_INPUT_INVALID, f"{reading} {line}: {_WITHHELD}", where=where, fix=_FIX_WITHHELD)
    return EventError(_INPUT_INVALID, f"{reading} {line}: {fault}", where=where, fix=fault.fix or _FIX_LINE)


def too_long(label: str, error: LineTooLong) -> EventError:
    """The error for a line, or for blank lines, beyond the limit."""
    message, where = f"cannot read line {error.line}: {error}", f"{label}:{error.line}:{error.column}"
    return EventError(_INPUT_INVALID, message, where=where, fix=error.fix)


class EventStream:
    """The events of a JSON-lines text, lazily and in one pass; memory grows by an id's digest an event.

    ``chunks`` are the bytes of the text, cut anywhere; ``label`` names the text in errors. Iterating raises
    EventError at the first fault in stream order, ``where`` being ``<label>:<line>:<column>``, columns in characters.
    After the last event the stream as a whole is checked: it has episodes, it has events, no episode is empty. With a
    ``redaction`` events come redacted, errors show nothing of a line, and every path must have matched at the end.
    """

    def __init__(
        self,
        chunks: Iterable[bytes],
        label: str,
        *,
        semantic_kinds: SemanticKinds,
        numbers: Numbers = Numbers.EXACT,
        redaction: Redaction | None = None,
    ) -> None:
        self._chunks = chunks
        self._label = label
        self._kind_required = semantic_kinds is SemanticKinds.REQUIRED
        self._kind_refused = semantic_kinds is SemanticKinds.REFUSED
        self._numbers = numbers
        self._redaction = redaction
        self._ids = DigestSet()
        self._piece = b""  # the whole lines being read or read last; then the number of the next line
        self._first_line = 1
        self._line = 0
        self._starts = 0
        self._empty: tuple[str, int] | None = None  # label and line of the episode that has no event so far
        self._first_empty: tuple[str, int] | None = None
        self.opened: list[tuple[str, int]] = []
        """The label of every episode opened so far, and how many events came before it."""
        self.events = 0
        """Events yielded so far."""

    @property
    def episodes(self) -> int:
        """How many episodes were opened so far, by a record or by a first event without one."""
        return len(self.opened)

    @property
    def place(self) -> str:
        """The place of the last record, or of the first of the last batch: ``<label>:<line>:1``."""
        return self.place_of(0)

    def place_of(self, index: int) -> str:
        """The place of an event of the last batch, by its index."""
        return f"{self._label}:{self._line + index}:1"

    def __iter__(self) -> Iterator[HostedEvent]:
        for batch in self.batches():
            line, before = self._line, self.events - len(batch)
            for index, event in enumerate(batch):
                self._line, self.events = line + index, before + index + 1
                yield event

    def batches(self) -> Iterator[Sequence[HostedEvent]]:
        """The same events in the batches they were read in; those of a batch stand on consecutive lines."""
        return self._read() if self._redaction is None else self._redacted(self._redaction)

    def _redacted(self, redaction: Redaction) -> Iterator[Sequence[HostedEvent]]:
        yield from map(redaction.events, self._read())
        redaction.check_matched(self._label)

    def _read(self) -> Iterator[Sequence[HostedEvent]]:
        try:
            for lines in whole_lines(self._readable_chunks()):
                for piece in set_apart(lines, _STARTS_EPISODE):
                    self._piece = piece
                    exact = self._numbers is Numbers.EXACT and len(piece) <= LINE_LIMIT
                    events = read_usual_lines(piece, self.events + 1) if exact else None
                    yield from self._line_by_line() if events is None else self._together(events)
                    self._first_line += piece.count(b"\n") + 1
        except RecordFault as fault:
            if self._redaction is not None:
                raise bad_line(self._label, self._line, fault, is_withheld=True) from None
            raise bad_line(self._label, self._line, fault) from fault
        except LineTooLong as error:
            raise too_long(self._label, error) from error
        self._check_whole()

    def _line_by_line(self) -> Iterator[Sequence[HostedEvent]]:
        for line, text in numbered_lines(self._piece, self._first_line):
            self._line = line
            record = read_record(text, self.events + 1, self._numbers)
            if isinstance(record, HostedEvent):
                yield (self._admit(record),)
            elif record is not None:
                self._start(record)

    def _together(self, events: list[HostedEvent]) -> Iterator[Sequence[HostedEvent]]:
        """All events of the piece at once, or those before the first that is refused: what ``_admit`` does with each.

        None of them lacks a payload.
        """
        self._line = self._first_line
        new = self._ids.add_all([event.event_id for event in events])
        sound = min(new, self._first_misfit(events))
        if not self.opened:
            self._open("E1")
        self._empty = None
        self.events += sound
        if sound:
            yield events[:sound]
        if sound < len(events):
            self._line = self._first_line + sound
            raise self._repeated(events[sound]) if sound == new else self._misfit(events[sound])

    @property
    def _text(self) -> bytes:
        """The line that was read last."""
        return self._piece.split(b"\n")[self._line - self._first_line].removesuffix(b"\r")

    def _readable_chunks(self) -> Iterator[bytes]:
        try:
            yield from self._chunks
        except EventError as error:
            raise self._broken_source(error) from error

    def _start(self, record: EpisodeStart) -> None:
        self._starts += 1
        self._open(f"E{self._starts}" if record.label is None else record.label)

    def _open(self, label: str) -> None:
        self._first_empty = self._first_empty or self._empty
        self._empty = (label, self._line)
        self.opened.append((label, self.events))

    def _admit(self, event: HostedEvent) -> HostedEvent:
        """The event as the run gets it, its id and semantic kind checked."""
        if not self.opened:
            self._open("E1")
        self._empty = None
        self.events += 1
        if not self._ids.add(event.event_id):
            raise self._repeated(event)
        if self._first_misfit((event,)) == 0:
            raise self._misfit(event)
        return msgspec.structs.replace(event, payload={}) if self._kind_required and event.payload is None else event

    def _first_misfit(self, events: Sequence[HostedEvent]) -> int:
        """The index of the first event whose semantic kind does not suit the run; their number if all do."""
        if not (self._kind_required or self._kind_refused):
            return len(events)
        without_kind = [event.semantic_kind is None for event in events]
        return without_kind.index(self._kind_required) if self._kind_required in without_kind else len(events)

    def _misfit(self, event: HostedEvent) -> EventError:
        return self._missing_kind(event) if event.semantic_kind is None else self._unexpected_kind(event)

    def _check_whole(self) -> None:
        empty = self._first_empty or self._empty
        if not self.opened:
            raise EventError(_INPUT_INVALID, f"{self._label} holds no episodes", where=self._label, fix=_FIX_EVENTS)
        if self.events == 0:
            raise EventError(_INPUT_INVALID, f"{self._label} holds no events", where=self._label, fix=_FIX_EVENTS)
        if empty is not None:
            label, line = empty
            message = f"episode '{label}' has no events"
            fix = "give the episode an event, or remove its `episode_start`"
            raise EventError(_INPUT_INVALID, message, where=f"{self._label}:{line}:1", fix=fix)

    def _broken_source(self, error: EventError) -> EventError:
        line = self._first_line
        message = f"cannot read line {line}: {error.message}"
        return EventError(error.code, message, where=f"{self._label}:{line}:1", fix=error.fix)

    def _repeated(self, event: HostedEvent) -> EventError:
        return self._refused(
            "fixture.duplicate_event_id",
            event,
            ("event_id", "id"),
            f"event id '{event.event_id}' is used twice",
            "give each event a different id; an event without one is called fixture_evt_<n>, n counting all events",
        )

    def _missing_kind(self, event: HostedEvent) -> EventError:
        return self._refused(
            "fixture.semantic_kind_missing",
            event,
            (),
            f"event '{event.event_id}' has no semantic kind, but the run has an adapter",
            "give the event a `semantic_kind` that the adapter declares, or run without an adapter",
        )

    def _unexpected_kind(self, event: HostedEvent) -> EventError:
        return self._refused(
            "fixture.unexpected_semantic_kind",
            event,
            ("semantic_kind",),
            f"event '{event.event_id}' has the semantic kind '{event.semantic_kind}', but the run has no adapter",
            "name the adapter (--adapter), or remove `semantic_kind`",
        )

    def _refused(self, code: str, event: HostedEvent, members: tuple[str, ...], message: str, fix: str) -> EventError:
        column = place_of(self._text, members, self._numbers) + 1
        where = f"{self._label}:{self._line}:{column} fixture event '{event.event_id}'"
        return EventError(code, message, where=where, fix=fix)


LINE_LIMIT = 16 * 1024 * 1024
"""The most bytes a line may have, its line end not counted."""


BLANK_LIMIT = 1024 * 1024
"""The most bytes of blank lines that may follow each other."""


class LineTooLong(ValueError):
    """A line beyond ``LINE_LIMIT``; the rest of it is never read. ``column`` is the first one that is too many."""

    column = LINE_LIMIT + 1
    fix = "split the line, or keep large data out of events"

    def __init__(self, line: int) -> None:
        super().__init__(f"the line is longer than {LINE_LIMIT // 2**20} MiB")
        self.line = line


class TooManyBlankLines(LineTooLong):
    """More than ``BLANK_LIMIT`` of blank lines in one place; ``line`` is one of them."""

    column = 1
    fix = "remove the blank lines"

    def __init__(self, line: int) -> None:
        ValueError.__init__(self, f"more than {BLANK_LIMIT // 2**20} MiB of blank lines follow each other")
        self.line = line


def split_lines(chunks: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Each line with its number, from 1; ``chunks`` may be cut anywhere. Raises LineTooLong."""
    last = 0
    for piece in whole_lines(chunks):
        for number, line in numbered_lines(piece, last + 1):
            last = number
            yield number, line


def numbered_lines(piece: bytes, first: int) -> Iterator[tuple[int, bytes]]:
    """The lines of a piece, the first of them being number ``first``; one CR before an LF belongs to the line end.

    Raises LineTooLong.
    """
    for number, line in enumerate(piece.split(b"\n"), first):
        line = line.removesuffix(b"\r")
        if len(line) > LINE_LIMIT:
            raise LineTooLong(number)
        yield number, line


def set_apart(piece: bytes, mark: bytes) -> Iterator[bytes]:
    """The lines of a piece as they are, in smaller pieces: each line that holds ``mark`` by itself."""
    while (found := piece.find(mark)) >= 0:
        start, end = piece.rfind(b"\n", 0, found) + 1, piece.find(b"\n", found)
        if start:
            yield piece[: start - 1]
        if end < 0:
            yield piece[start:]
            return
        yield piece[start:end]
        piece = piece[end + 1 :]
    yield piece


def whole_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes cut at line ends only, each piece without its last LF; nothing after a line that is too long.

    ``chunks`` may be cut anywhere. A last line without LF counts. Memory is one chunk and one line. Raises
    TooManyBlankLines.
    """
    rest: list[bytes] = []
    size = blank = lines = 0
    for chunk in chunks:
        end = chunk.rfind(b"\n")
        if end >= 0:
            piece = b"".join((*rest, chunk[:end]))
            lines += piece.count(b"\n") + 1
            blank = 0 if piece.strip() else blank + len(piece)
            if blank > BLANK_LIMIT:
                raise TooManyBlankLines(lines)
            yield piece
            chunk, rest, size = chunk[end + 1 :], [], 0
        rest.append(chunk)
        size += len(chunk)
        if size > LINE_LIMIT + 1:  # one more for a CR; the line is too long however it continues
            break
    if size:
        yield b"".join(rest)
