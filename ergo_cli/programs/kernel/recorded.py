"""Read recorded journals of kernel programs: the complete events of every run (spec 00 §13.4, 40 §3.3)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from msgspec import Struct

from ergo_cli.core import wire
from ergo_cli.core.diagnostics import counted
from ergo_cli.core.json import JsonError, NotCanonicalError
from ergo_cli.core.json import decode as decode_json
from ergo_cli.core.wire import WireError
from ergo_cli.programs.kernel.engine.errors import Category, KernelError
from ergo_cli.programs.kernel.engine.events import ActionFailed, ActionRequested, RunStatus, SequencedEvent
from ergo_cli.programs.kernel.engine.policy import is_deadline
from ergo_cli.programs.kernel.replay.redrive import EndingPoint, RecordedEnding
from ergo_cli.programs.recorded import JournalFault, RecordedCall, RecordedEntry
from ergo_cli.supervisor.journals import Begin, End
from ergo_cli.supervisor.seam import ErrKind, Failed, Outcome

_CUT_OFF = (Outcome.TIMED_OUT, Outcome.ABORTED)
_STORE_FAILED = Failed(ErrKind.ADAPTER_UNAVAILABLE)
_DENIALS = ("kernel.policy", "kernel.budget_exceeded")


class KernelRun:
    """A run as read so far: its events from seq 1 on, its initial state as canonical text.

    ``episodes`` are those that drove it, each with how many events the run had before; ``digests`` are those of the
    states behind its events, by seq, as far as they are recorded.
    """

    def __init__(self) -> None:
        self.events: list[SequencedEvent] = []
        self.initial: bytes | None = None
        self.episodes: list[tuple[int, int | None]] = []
        self.digests: dict[int, str | None] = {}

    def episode_of(self, seq: int) -> int | None:
        """The episode that recorded an event; None for one from before the bundle."""
        behind = bisect_left(self.episodes, seq, key=lambda driven: driven[0])
        return self.episodes[behind - 1][1] if behind else None


class KernelCall(Struct, frozen=True):
    """One call of a kernel program. ``first`` is the place of its ``begin`` frame among the records of its entry.

    ``initial`` is the initial state of the run as this call found it; None where none could be made.
    """

    run: KernelRun
    begin: Begin
    events: Sequence[SequencedEvent]
    end: End
    status: RunStatus | None
    initial: bytes | None
    first: int

    @property
    def before(self) -> Sequence[SequencedEvent]:
        """The events of the run before the call, from 1 on."""
        return self.run.events[: self.begin.head]

    @property
    def head(self) -> int:
        """The last sequence number of the run once the call was over."""
        return self.begin.head + len(self.events)

    def place(self, record: int) -> int:
        """The index in the entry of the call's ``record``-th record, counted from 0."""
        return self.first + 1 + record

    @property
    def end_place(self) -> int:
        """The index in the entry of the call's ``end`` frame."""
        return self.place(len(self.events))


class KernelEpisode(Struct, frozen=True):
    """What was recorded of one episode, attempt by attempt."""

    entry: RecordedEntry
    calls: tuple[KernelCall, ...]

    @property
    def entries(self) -> Sequence[RecordedEntry]:
        """The one entry of the episode: kernels spawn no runs."""
        return (self.entry,)

    @property
    def run_id(self) -> str:
        """The run that the episode drove; empty where none could be determined."""
        return self.entry.run_id


class KernelReader:
    """Reads the journals of one bundle. Raises JournalFault for the first violation of spec 00 §13.4.

    Keeps the events of all runs read so far, since later calls of a run are checked against them.
    """

    def __init__(self, artifacts: Mapping[str, bytes]) -> None:
        self._artifacts = artifacts
        self._runs: dict[str, KernelRun] = {}
        self.named: set[str] = set()

    def episode(self, entries: Sequence[RecordedEntry]) -> KernelEpisode:
        """The next episode, which has one entry."""
        entry, *others = entries
        if others:
            raise JournalFault("it belongs to no decision", others[0].index)
        run = self._runs.setdefault(entry.run_id, KernelRun())
        calls: list[KernelCall] = []
        for call in entry.calls:
            self.named.update(name for name in (call.begin.prior, call.begin.initial) if name is not None)
            run.episodes.append((call.begin.head, entry.episode_id))
            calls.append(self._call(entry, call, run))
        return KernelEpisode(entry, tuple(calls))

    def close(self, entry: RecordedEntry | None) -> None:
        """Return None: kernels record nothing when they are closed."""
        if entry is not None:
            raise JournalFault("it belongs to no decision", entry.index)

    def _call(self, entry: RecordedEntry, call: RecordedCall, run: KernelRun) -> KernelCall:
        if not entry.run_id and call.records:
            raise JournalFault("a call that could not tell its run has records", entry.index, call.first + 1)
        self._begin(entry, call, run)
        if call.begin.initial is not None:
            run.initial = self._artifact(entry, call, call.begin.initial)
        events = [self._event(entry, call, place, text) for place, text in enumerate(call.records)]
        run.events += events
        run.digests[len(run.events)] = call.end.state
        status = self._status(entry, call)
        return KernelCall(run, call.begin, events, call.end, status, run.initial, call.first)

    def _begin(self, entry: RecordedEntry, call: RecordedCall, run: KernelRun) -> None:
        """Bring ``run`` to its position before the call."""
        if call.begin.prior is not None:
            prior = self._prior(entry, call, call.begin.prior)
            if prior[: len(run.events)] != run.events:
                raise JournalFault("its `prior` records are not those of the entries before", entry.index, call.first)
            run.events[:] = prior
        if len(run.events) != call.begin.head:
            why = f"the run has {counted(len(run.events), 'record')} there, the frame tells of {call.begin.head}"
            raise JournalFault(why, entry.index, call.first)

    def _prior(self, entry: RecordedEntry, call: RecordedCall, name: str) -> list[SequencedEvent]:
        try:
            events: list[SequencedEvent] = wire.decode(self._artifact(entry, call, name), list[SequencedEvent])
        except (JsonError, WireError) as error:
            raise JournalFault(f"its `prior` records cannot be read: {error}", entry.index, call.first) from error
        for seq, event in enumerate(events, 1):
            if event.seq != seq:
                raise JournalFault(f"record {seq} of its `prior` records has seq {event.seq}", entry.index, call.first)
        return events

    def _artifact(self, entry: RecordedEntry, call: RecordedCall, name: str) -> bytes:
        if name not in self._artifacts:
            raise JournalFault(f"there is no artifact '{name}'", entry.index, call.first)
        return self._artifacts[name]

    def _event(self, entry: RecordedEntry, call: RecordedCall, place: int, text: bytes) -> SequencedEvent:
        record = call.first + 1 + place
        try:
            event = wire.decode(text, SequencedEvent)
            if wire.encode(event) != text:
                raise JournalFault("it is not in canonical form", entry.index, record)
        except (JsonError, WireError, NotCanonicalError) as error:
            raise JournalFault(f"it is not an event of a kernel run: {error}", entry.index, record) from error
        if event.seq != call.begin.head + place + 1:
            why = f"it has seq {event.seq} where {call.begin.head + place + 1} follows: there is a gap"
            raise JournalFault(why, entry.index, record)
        return event

    def _status(self, entry: RecordedEntry, call: RecordedCall) -> RunStatus | None:
        text = bytes(call.end.status)
        if text == b"null":
            return None
        try:
            status: RunStatus = wire.read(decode_json(text), RunStatus)
            if wire.encode(status) == text:
                return status
            why = "its status is not in canonical form"
        except (JsonError, WireError, NotCanonicalError) as error:
            why = f"its status is none of a kernel run: {error}"
        raise JournalFault(why, entry.index, call.first + 1 + len(call.records))


def recorded_ending(call: KernelCall) -> RecordedEnding | None:
    """The outside error that ended a recorded call, and where; None if the program ended it."""
    error, last = call.end.error, call.events[-1].event if call.events else None
    if call.end.termination in _CUT_OFF:
        return _ending(call, Category.DRIVER, EndingPoint.CHECK)
    if call.end.termination == _STORE_FAILED:
        return _ending(call, Category.EVENT_STORE, EndingPoint.APPEND)
    if error is None:
        return None
    if error.code in _DENIALS:
        return _ending(call, Category.POLICY, EndingPoint.AUTHORIZATION)
    if isinstance(last, ActionRequested) or (isinstance(last, ActionFailed) and last.error == error.message):
        return _ending(call, Category.DRIVER, EndingPoint.RECORD)
    return None


def has_struck(ending: RecordedEnding, error: KernelError) -> bool:
    """Whether ``error`` is the error with which ``ending`` ended today's call."""
    return error is ending.error or (ending.point is EndingPoint.CHECK and is_deadline(error))


def is_cut_off(call: KernelCall) -> bool:
    """Whether a deadline or a cancellation ended the call: the only reasons for a request without result."""
    return call.end.termination in _CUT_OFF


def _ending(call: KernelCall, category: Category, point: EndingPoint) -> RecordedEnding:
    error = call.end.error
    code, message = ("kernel.deadline", "deadline exceeded") if error is None else (error.code, error.message)
    return RecordedEnding(KernelError(category, message.removeprefix(category.prefix), code=code), point)
