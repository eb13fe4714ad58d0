"""The journals of a kernel bundle: the events of every run, in one piece and in order (spec 00 §13.4, 40 §3.3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

from msgspec import Struct

from ergo_cli.bundle.artifacts import artifact_invalid, read_artifacts
from ergo_cli.bundle.journals import RecordedCall, RecordedEntry, entry_invalid, invoked_entries
from ergo_cli.bundle.reader import BundleReader
from ergo_cli.bundle.schema import DecisionRecord
from ergo_cli.core.canonical import NotCanonicalError
from ergo_cli.core.json import JsonError
from ergo_cli.core.json import decode as decode_json
from ergo_cli.programs.kernel import wire
from ergo_cli.programs.kernel.events import SequencedEvent
from ergo_cli.programs.kernel.status import RunStatus
from ergo_cli.programs.kernel.wire import WireError
from ergo_cli.supervisor.journals import Begin, End


class KernelRun:
    """A run as far as the entries read so far tell of it: its events from 1 on, its initial state as canonical text."""

    def __init__(self) -> None:
        self.events: list[SequencedEvent] = []
        self.initial: bytes | None = None


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
        """Where in the entry the record stands that is the call's ``record``-th, counted from 0."""
        return self.first + 1 + record

    @property
    def end_place(self) -> int:
        """Where in the entry the call's ``end`` frame stands."""
        return self.place(len(self.events))


class KernelEpisode(Struct, frozen=True):
    """What was recorded of one episode, attempt by attempt."""

    entry: RecordedEntry
    calls: tuple[KernelCall, ...]

    @property
    def run_id(self) -> str:
        """The run that the episode drove; empty where none could be determined."""
        return self.entry.run_id


class KernelJournals:
    """The journals of one bundle, checked whenever they are read.

    The events of all runs read so far are held, since every later call of a run is judged on them.
    """

    def __init__(self, reader: BundleReader) -> None:
        self._reader = reader
        self._runs: dict[str, KernelRun] = {}

    @cached_property
    def _artifacts(self) -> dict[str, bytes]:
        return read_artifacts(self._reader)

    def check(self) -> None:
        """Raise BundleError ``bundle.journal_invalid`` for the first thing that is not what spec 00 §13.4 says."""
        for _ in self.episodes():
            pass

    def episodes(self) -> Iterator[tuple[DecisionRecord, KernelEpisode | None]]:
        """Every decision with what was recorded of its episode, None where none ran; each time from the beginning.

        Raises as ``check``, and BundleError ``bundle.parse_failed`` at a decision that is malformed.
        """
        self._runs = {}
        named: set[str] = set()
        for decision, entry in invoked_entries(self._reader):
            yield decision, None if entry is None else self._episode(entry, named)
        surplus = next((name for name in self._artifacts if name not in named), None)
        if surplus is not None:
            raise artifact_invalid(self._reader, surplus, "is named by no frame")

    def _episode(self, entry: RecordedEntry, named: set[str]) -> KernelEpisode:
        run = self._runs.setdefault(entry.run_id, KernelRun())
        calls: list[KernelCall] = []
        for call in entry.calls:
            named.update(name for name in (call.begin.prior, call.begin.initial) if name is not None)
            calls.append(self._call(entry, call, run))
        return KernelEpisode(entry, tuple(calls))

    def _call(self, entry: RecordedEntry, call: RecordedCall, run: KernelRun) -> KernelCall:
        if not entry.run_id and call.records:
            raise self._invalid(entry, call.first + 1, "a call that could not tell its run has records")
        self._begin(entry, call, run)
        if call.begin.initial is not None:
            run.initial = self._artifact(entry, call, call.begin.initial)
        events = [self._event(entry, call, place, text) for place, text in enumerate(call.records)]
        run.events += events
        status = self._status(entry, call)
        return KernelCall(run, call.begin, events, call.end, status, run.initial, call.first)

    def _begin(self, entry: RecordedEntry, call: RecordedCall, run: KernelRun) -> None:
        """Bring ``run`` to where the call found it."""
        if call.begin.prior is not None:
            prior = self._prior(entry, call, call.begin.prior)
            if prior[: len(run.events)] != run.events:
                raise self._invalid(entry, call.first, "its `prior` records are not those of the entries before")
            run.events[:] = prior
        if len(run.events) != call.begin.head:
            why = f"the run has {len(run.events)} records there, the frame tells of {call.begin.head}"
            raise self._invalid(entry, call.first, why)

    def _prior(self, entry: RecordedEntry, call: RecordedCall, name: str) -> list[SequencedEvent]:
        try:
            events: list[SequencedEvent] = wire.decode(self._artifact(entry, call, name), list[SequencedEvent])
        except (JsonError, WireError) as error:
            raise self._invalid(entry, call.first, f"its `prior` records cannot be read: {error}") from error
        for seq, event in enumerate(events, 1):
            if event.seq != seq:
                raise self._invalid(entry, call.first, f"record {seq} of its `prior` records has seq {event.seq}")
        return events

    def _artifact(self, entry: RecordedEntry, call: RecordedCall, name: str) -> bytes:
        if name not in self._artifacts:
            raise self._invalid(entry, call.first, f"there is no artifact '{name}'")
        return self._artifacts[name]

    def _event(self, entry: RecordedEntry, call: RecordedCall, place: int, text: bytes) -> SequencedEvent:
        record = call.first + 1 + place
        try:
            event = wire.decode(text, SequencedEvent)
            if wire.encode(event) != text:
                raise self._invalid(entry, record, "it is not in canonical form")
        except (JsonError, WireError, NotCanonicalError) as error:
            raise self._invalid(entry, record, f"it is no event of a kernel run: {error}") from error
        if event.seq != call.begin.head + place + 1:
            why = f"it has seq {event.seq} where {call.begin.head + place + 1} follows: there is a gap"
            raise self._invalid(entry, record, why)
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
        raise self._invalid(entry, call.first + 1 + len(call.records), why)

    def _invalid(self, entry: RecordedEntry, record: int, why: str) -> Exception:
        return entry_invalid(self._reader, entry.index, why, f".records[{record}]")
