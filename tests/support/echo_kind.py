"""A fifth, tiny kind of program, as a package of its own would add it: an echo that keeps what it heard and said.

Each event leaves two entries: one of the run that heard it, one of the run that it spawned to answer. Closing the
program leaves a last entry that counts the answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from ergo_cli.core.json import Item, Member
from ergo_cli.core.values import Effect, ProducedEffect, Value, Write
from ergo_cli.errors import StepError
from ergo_cli.events.external import Context, HostedEvent
from ergo_cli.programs.kind import Attempt, Blame, EffectPlace, Finding, Line, Ran
from ergo_cli.programs.recorded import Episode, JournalDifference, JournalFault, RecordedEntry
from ergo_cli.programs.seat import Seat, Surroundings
from ergo_cli.supervisor.journals import End, EpisodeJournal, EpisodeLog
from ergo_cli.supervisor.seam import Outcome, RunTermination


class Echo(Struct, frozen=True):
    """What a user writes: a name, and how an answer is made of what was heard."""

    graph_id: str
    answer: Callable[[str], str] = str
    version: str = "1"


class EchoEpisode(Struct, frozen=True):
    """What was recorded: the entry that heard and the one that answered; of closing, one entry."""

    entries: Sequence[RecordedEntry]


def _word(context: Context) -> str:
    return str(json.loads(context.payload)["word"])


def _record(name: str, value: object) -> bytes:
    return json.dumps({name: value}, separators=(",", ":")).encode()


def _effect(word: str) -> ProducedEffect:
    return ProducedEffect.of(Effect("said", [Write("said", Value(String=word))]))


def _journal(run_id: str, records: Iterable[bytes], attempt: int = 0) -> EpisodeJournal:
    log = EpisodeLog()
    log.begin(run_id)
    log.add(records)
    log.end(End(Outcome.COMPLETED))
    return log.drain()


class EchoInvoker:
    """Runs live."""

    def __init__(self, program: Echo) -> None:
        self._program = program
        self._pending: list[ProducedEffect] = []
        self._journals: list[EpisodeJournal] = []
        self.run_calls = 0

    @property
    def pending(self) -> int:
        return len(self._pending)

    def run(self, graph_id: str, event_id: str, context: Context, deadline: int | None) -> RunTermination:
        self.run_calls += 1
        heard, run_id = _word(context), f"{graph_id}/{event_id}"
        said = self._program.answer(heard)
        self._pending = [_effect(said)]
        self._journals = [
            _journal(run_id, [_record("heard", heard)]),
            _journal(f"{run_id}/answer", [_record("said", said)]),
        ]
        return Outcome.COMPLETED

    def drain_rendered(self) -> list[ProducedEffect]:
        effects, self._pending = self._pending, []
        return effects

    def drain_journals(self) -> Sequence[EpisodeJournal]:
        journals, self._journals = self._journals, []
        return journals

    def close(self, interrupted: bool) -> Sequence[EpisodeJournal]:
        return [_journal("echo", [_record("answers", self.run_calls)])]


class EchoReader:
    """Reads recorded journals."""

    named: frozenset[str] = frozenset()

    def episode(self, entries: Sequence[RecordedEntry]) -> EchoEpisode:
        if len(entries) != 2:
            raise JournalFault("an episode has one entry that heard and one that answered", entries[0].index)
        for entry in entries:
            _check_records(entry)
        return EchoEpisode(entries)

    def close(self, entry: RecordedEntry | None) -> EchoEpisode | None:
        if entry is None:
            return None
        _check_records(entry)
        return EchoEpisode([entry])


def _check_records(entry: RecordedEntry) -> None:
    for call in entry.calls:
        records = [json.loads(record) for record in call.records]
        if len(records) != 1 or not (isinstance(records[0], dict) and len(records[0]) == 1):
            raise JournalFault("a call records one object with one member", entry.index, call.first)


def _differences(a: RecordedEntry, b: Sequence[bytes]) -> Iterator[JournalDifference]:
    """What differs of the records of an entry's only call, in terms of the recorded one."""
    for place, (recorded, today) in enumerate(zip(a.calls[0].records, b, strict=True), a.calls[0].first + 1):
        if recorded != today:
            at = (Member("journals"), Item(a.index), Member("records"), Item(place))
            yield JournalDifference(at, json.loads(recorded), json.loads(today), node=a.run_id)


class EchoReferee:
    """Answers again what was heard, and compares what is said."""

    def __init__(self, program: Echo) -> None:
        self._live = EchoInvoker(program)
        self._episode: Episode | None = None
        self.drain_rendered = self._live.drain_rendered

    @property
    def run_calls(self) -> int:
        return self._live.run_calls

    @property
    def pending(self) -> int:
        return self._live.pending

    def serve(self, episode: Episode | None) -> None:
        self._episode = episode

    def run(self, graph_id: str, event_id: str, context: Context, deadline: int | None) -> RunTermination:
        return self._live.run(graph_id, event_id, context, deadline)

    def finding(self, recorded: RunTermination | None, *, strict: bool) -> Finding:
        assert self._episode is not None
        pairs = zip(self._episode.entries, self._live.drain_journals(), strict=True)
        return Finding([each for entry, today in pairs for each in _differences(entry, today.records[1:-1])])

    def blame(self, places: Sequence[EffectPlace | None], ran: Ran | None) -> Sequence[Blame]:
        return [Blame()] * len(places)

    def reread(self, ran: Ran) -> Attempt | None:
        return None

    def close(self, closing: Episode | None) -> Iterator[JournalDifference]:
        [today] = self._live.close(interrupted=False)
        if closing is None:
            at = (Member("journals"),)
            yield JournalDifference(at, None, json.loads(today.records[1]), node="echo", cause="never_closed")
        else:
            yield from _differences(closing.entries[0], today.records[1:-1])


class EchoActing(Struct, frozen=True):
    """What the house asks of a kind that acts."""

    written_as: str = "Echo of echo_kind"
    runs: None = None

    def live(self, program: Echo, load: Callable[[str], Callable[..., object]]) -> Echo:
        return program

    def admit(self, program: Echo, event: HostedEvent) -> None:
        if b"secret" in json.dumps(event.payload).encode():
            raise StepError("EchoSecret", "an echo must not hear secrets", where=f"event '{event.event_id}'", fix="-")

    def invoker(self, program: Echo, seat: Seat) -> EchoInvoker:
        return EchoInvoker(program)

    def reader(self, artifacts: Mapping[str, bytes]) -> EchoReader:
        return EchoReader()

    def line(self, record: bytes) -> Line:
        [(name, value)] = json.loads(record).items()
        return Line(id="-", path="", impl=name, family="record", outputs={"value": value})

    def compare(self, a: Episode, b: Episode, own_runs: tuple[str, str]) -> Iterable[JournalDifference]:
        for here, there in zip(a.entries, b.entries, strict=True):
            yield from _differences(here, there.calls[0].records)


class EchoKind(Struct, frozen=True):
    """The kind itself."""

    name: str = "echo"
    tag: str = "xpv1"
    computing: None = None
    acting: EchoActing = EchoActing()

    def claims(self, value: object) -> bool:
        return isinstance(value, Echo)

    def check(self, program: Echo, around: Surroundings) -> tuple[Any, ...]:
        return ()

    def referee(self, program: Echo, recorded: Echo | None, deadline: int | None) -> EchoReferee:
        return EchoReferee(program)


KIND = EchoKind()
