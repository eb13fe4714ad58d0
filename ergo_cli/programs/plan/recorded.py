"""Read recorded journals of plan programs: the streams of all runs, and the calls that appended them (spec 50 §20)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

from ergo_cli.core import wire
from ergo_cli.core.diagnostics import counted
from ergo_cli.core.json import JsonError, NotCanonicalError
from ergo_cli.core.json import decode as decode_json
from ergo_cli.core.wire import WireError
from ergo_cli.programs.plan.engine import Phase
from ergo_cli.programs.plan.errors import IoForm
from ergo_cli.programs.plan.events import CALL_FAILED, Envelope, line, named_artifacts, read_line
from ergo_cli.programs.plan.history import EnvelopeFault, History
from ergo_cli.programs.plan.reasons import reasons_of, skip_tags_of
from ergo_cli.programs.plan.stream import Artifacts
from ergo_cli.programs.recorded import JournalFault, RecordedCall, RecordedEntry
from ergo_cli.stores.memory import MemoryArtifacts
from ergo_cli.supervisor.journals import Begin, End


class CallFailed(Struct, frozen=True):
    """The payload of ``call_failed`` events."""

    attempt: int
    error: IoForm
    key: str
    state_id: str


class PlanCall(Struct, frozen=True):
    """One call of a plan program. ``first`` is the place of its ``begin`` frame among the records of its entry."""

    before: Sequence[Envelope]
    begin: Begin
    events: Sequence[Envelope]
    end: End
    phase: Phase | None
    first: int

    def place(self, seq: int) -> int:
        """The index in the entry of the event of this number."""
        return self.first + seq - self.begin.head

    @property
    def end_place(self) -> int:
        """The index in the entry of the call's ``end`` frame."""
        return self.first + 1 + len(self.events)

    @property
    def stream(self) -> list[Envelope]:
        """The run from its beginning to the end of the call."""
        return [*self.before, *self.events]


class PlanChild(Struct, frozen=True):
    """What a child run appended in an episode; ``before`` are its events of earlier episodes."""

    entry: RecordedEntry
    before: Sequence[Envelope]
    events: Sequence[Envelope]

    @property
    def stream(self) -> list[Envelope]:
        """The run from its beginning to the end of the episode."""
        return [*self.before, *self.events]


class PlanEpisode(Struct, frozen=True):
    """What was recorded of one episode: the calls for its run, and its child runs in order of spawning.

    ``artifacts`` are those of the bundle, by id.
    """

    entry: RecordedEntry
    calls: tuple[PlanCall, ...]
    children: tuple[PlanChild, ...]
    artifacts: Mapping[str, bytes]

    @property
    def entries(self) -> Sequence[RecordedEntry]:
        """The entry of the episode's run, then those of its children."""
        return (self.entry, *(child.entry for child in self.children))

    @property
    def run_id(self) -> str:
        """The run that the episode drove."""
        return self.entry.run_id

    def reasons(self) -> Mapping[str, Sequence[tuple[str, str]]]:
        """By run, each state with one line why it ran, ran again or was left out, as ``ergo runs show`` has it."""
        children = {child.entry.run_id: child.stream for child in self.children}
        return {run: self._reasons(stream) for run, stream in {self.run_id: self.calls[-1].stream, **children}.items()}

    def _reasons(self, stream: Sequence[Envelope]) -> Sequence[tuple[str, str]]:
        return reasons_of(stream, skip_tags_of(stream, Artifacts(MemoryArtifacts(self.artifacts))))


class PlanReader:
    """Reads the journals of one bundle. Raises JournalFault for the first violation of spec 00 §13.4.

    Keeps the events of all runs read so far, since later calls of a run are checked against them.
    """

    def __init__(self, artifacts: Mapping[str, bytes]) -> None:
        self._artifacts = artifacts
        self._runs: dict[str, list[Envelope]] = {}
        self.named: set[str] = set()

    def episode(self, entries: Sequence[RecordedEntry]) -> PlanEpisode:
        """The next episode: the entry of its run, then those of its children, which have no frames."""
        entry, *spawned = entries
        calls = tuple(self._call(entry, call) for call in entry.calls)
        children = tuple(map(self._child, spawned))
        return PlanEpisode(entry, calls, children, self._artifacts)

    def close(self, entry: RecordedEntry | None) -> None:
        """Return None: plans record nothing when they are closed."""
        if entry is not None:
            raise JournalFault("it belongs to no decision", entry.index)

    def _call(self, entry: RecordedEntry, call: RecordedCall) -> PlanCall:
        run = self._runs.setdefault(entry.run_id, [])
        if call.begin.initial is not None:
            raise JournalFault("a plan's `begin` frame names no initial state", entry.index, call.first)
        if call.begin.prior is not None:
            run[:] = self._prior(entry, call, call.begin.prior, run)
        if len(run) != call.begin.head:
            why = f"the run has {counted(len(run), 'record')} there, the frame tells of {call.begin.head}"
            raise JournalFault(why, entry.index, call.first)
        before = tuple(run)
        events = self._events(entry, call.records, call.first + 1, before)
        run += events
        return PlanCall(before, call.begin, events, call.end, self._phase(entry, call), call.first)

    def _child(self, entry: RecordedEntry) -> PlanChild:
        if entry.calls:
            raise JournalFault("a run that another one spawned has no frames", entry.index, 0)
        run = self._runs.setdefault(entry.run_id, [])
        before = tuple(run)
        events = self._events(entry, entry.records, 0, before)
        run += events
        return PlanChild(entry, before, events)

    def _prior(self, entry: RecordedEntry, call: RecordedCall, name: str, known: Sequence[Envelope]) -> list[Envelope]:
        self.named.add(name)
        try:
            prior: list[Envelope] = wire.decode(self._artifact(entry, call.first, name), list[Envelope])
        except (JsonError, WireError) as error:
            raise JournalFault(f"its `prior` records cannot be read: {error}", entry.index, call.first) from error
        if prior[: len(known)] != list(known):
            raise JournalFault("its `prior` records are not those of the entries before", entry.index, call.first)
        self._check(entry, prior, lambda _: call.first)
        return prior

    def _events(
        self, entry: RecordedEntry, texts: Sequence[bytes], first: int, before: Sequence[Envelope]
    ) -> tuple[Envelope, ...]:
        events = tuple(self._event(entry, first + place, text) for place, text in enumerate(texts))
        for place, event in enumerate(events):
            if event.seq != len(before) + place + 1:
                why = f"it has seq {event.seq} where {len(before) + place + 1} follows: there is a gap"
                raise JournalFault(why, entry.index, first + place)
        self._check(entry, [*before, *events], lambda seq: first + seq - len(before) - 1)
        return events

    def _event(self, entry: RecordedEntry, record: int, text: bytes) -> Envelope:
        try:
            event = read_line(text)
            if line(event) != text:
                raise JournalFault("it is not in canonical form", entry.index, record)
        except (JsonError, WireError, NotCanonicalError) as error:
            raise JournalFault(f"it is not an event of a plan run: {error}", entry.index, record) from error
        if event.run_id != entry.run_id:
            raise JournalFault(f"it is of run '{event.run_id}'", entry.index, record)
        return event

    def _check(self, entry: RecordedEntry, stream: Sequence[Envelope], place_of: Callable[[int], int]) -> None:
        """Check that a run can have written a stream, and that its artifacts are there; events by their seq."""
        try:
            History.of(stream)
        except EnvelopeFault as fault:
            raise JournalFault(f"no run can have written it: {fault}", entry.index, place_of(fault.seq)) from fault
        for event in stream:
            for name in self._names(entry, event, place_of(event.seq)):
                self._artifact(entry, place_of(event.seq), name)
                self.named.add(name)

    def _names(self, entry: RecordedEntry, event: Envelope, place: int) -> Iterable[str]:
        try:
            if event.domain is not None and event.domain.name == CALL_FAILED:
                wire.read(event.domain.payload, CallFailed)
            return list(named_artifacts([event]))
        except WireError as error:
            raise JournalFault(f"its payload cannot be read: {error}", entry.index, place) from error

    def _artifact(self, entry: RecordedEntry, record: int, name: str) -> bytes:
        if name not in self._artifacts:
            raise JournalFault(f"there is no artifact '{name}'", entry.index, record)
        return self._artifacts[name]

    def _phase(self, entry: RecordedEntry, call: RecordedCall) -> Phase | None:
        text = bytes(call.end.status)
        try:
            return wire.read(decode_json(text), Phase | None)
        except (JsonError, WireError) as error:
            why = f"its status is not one of a plan run: {error}"
            raise JournalFault(why, entry.index, call.first + 1 + len(call.records)) from error
