"""A bundle in parts that can be left out: whole runs of programs that record journals, else single events."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.bundle.journals import BundleJournals, Recorded, read_artifacts
from ergo_cli.bundle.memory import CaptureBundle
from ergo_cli.bundle.reader import BundleReader
from ergo_cli.bundle.schema import (
    CapturedEffect,
    DecisionRecord,
    EventRecord,
    ProgramRecord,
    WireEntry,
    payload_hash,
    rehydrate,
)
from ergo_cli.core.json import JsonError, JsonValue, canonical, decode
from ergo_cli.core.numbers import Numbers
from ergo_cli.errors import ErgoError
from ergo_cli.events.external import ContextRule, ContextValues
from ergo_cli.programs.program import AnyProgram
from ergo_cli.supervisor.supervisor import Decider


class Step(Struct, frozen=True):
    """An event with what was recorded for it; ``place`` is its number in the bundle."""

    place: int
    event: EventRecord
    decision: DecisionRecord
    entries: tuple[bytes, ...] = ()


class Part(Struct, frozen=True, eq=False):
    """What stays or goes together: one event, or the events of one run; ``artifacts`` are the ids that it names."""

    steps: tuple[Step, ...]
    artifacts: frozenset[str] = frozenset()

    @property
    def groups(self) -> Sequence[Hashable]:
        """Its mechanical kind."""
        return (self.steps[-1].event.kind,)

    @property
    def payload(self) -> dict[str, JsonValue] | None:
        """The payload of its event; None for a run, whose records belong to it."""
        first, *others = self.steps
        if others or first.entries:
            return None
        try:
            payload: JsonValue = decode(first.event.payload)
        except JsonError:
            return None
        return payload if isinstance(payload, dict) else None

    def with_payload(self, payload: dict[str, JsonValue]) -> Part:
        """The same event with another payload; what was decided for it must be decided anew."""
        text = canonical(payload)
        [step] = self.steps
        event = replace(step.event, payload=text, payload_hash=payload_hash(text))
        return Part((replace(step, event=event),))


class Recording:
    """A bundle up to and with one decision, in parts; ``bundle_of`` makes a bundle of some of them.

    ``program`` decides anew for the events of such a bundle, None takes over what was recorded for them.
    """

    def __init__(
        self,
        reader: BundleReader,
        last: int,
        program: AnyProgram | None,
        numbers: Numbers,
        rule: ContextRule = ContextValues,
    ) -> None:
        self._header = reader.header
        self._record: ProgramRecord | None = reader.program
        self._egress_provenance = reader.egress_provenance
        self._artifacts = reader.artifacts
        self._version = reader.capture_version
        self._numbers = numbers
        self._rule = rule
        self.program = program
        self.parts = tuple(_parts(reader, last))

    def bundle_of(self, parts: Sequence[Part]) -> CaptureBundle:
        """The bundle of these parts, episodes numbered from 0. Raises ErgoError where nothing can be decided anew."""
        steps = sorted((step for part in parts for step in part.steps), key=lambda step: step.place)
        events = tuple(step.event for step in steps)
        if self.program is not None:
            decisions, entries = tuple(self._decided(self.program, events)), ()
        else:
            decisions = tuple(replace(step.decision, episode_id=number) for number, step in enumerate(steps))
            entries = tuple(_renumbered(text, number) for number, step in enumerate(steps) for text in step.entries)
        named = frozenset[str]().union(*(part.artifacts for part in parts))
        return CaptureBundle(
            self._header,
            events,
            decisions,
            self._egress_provenance,
            self._record,
            entries,
            {name: text for name, text in self._artifacts.items() if name in named},
            self._version,
        )

    def _decided(self, program: AnyProgram, events: Sequence[EventRecord]) -> Iterator[DecisionRecord]:
        computing = program.kind.computing
        assert computing is not None, "what a program that acts decides cannot be decided anew"
        decide = Decider(self._header.graph_id, self._header.constraints, computing.invoker(program.value)).decide
        for event in events:
            entry, effects = decide(rehydrate(event, self._numbers, self._rule))
            yield DecisionRecord.of(entry, tuple(CapturedEffect.rendered(effect.text) for effect in effects))


def is_independent(reader: BundleReader) -> bool:
    """Whether what was decided for an event or a run does not depend on others.

    It does where limits deferred an event, and where closing the program was recorded: its end depends on all events.
    """
    journals = BundleJournals(reader)
    deferred = any(recorded.decision.schedule_at is not None for recorded in journals.episodes())
    return not deferred and journals.closing is None


def are_paired(reader: BundleReader) -> bool:
    """Whether each event has its decision, in the same order."""
    if reader.event_count != reader.decision_count:
        return False
    pairs = zip(reader.events(), reader.decisions(), strict=True)
    return all(event.event_id == decision.event_id for event, decision in pairs)


def indivisible(path: str, why: str, fix: str) -> ErgoError:
    """The error for a bundle of which nothing can be left out."""
    return ErgoError("shrink.indivisible", f"no event can be left out of '{path}': {why}", where=path, fix=fix)


def _parts(reader: BundleReader, last: int) -> Iterator[Part]:
    """The parts in the order of their last events; what comes behind the decision ``last`` is left out."""
    acting = None if reader.program is None else reader.kind.acting
    texts = [] if acting is None else [msgspec.json.format(text, indent=-1) for text in reader.journal_texts()]
    artifacts = {} if acting is None else read_artifacts(reader)
    runs: dict[object, list[tuple[Step, Recorded]]] = {}
    pairs = zip(reader.events(), BundleJournals(reader).episodes(), strict=True)
    for place, (event, recorded) in enumerate(pairs):
        if place > last:
            continue
        entries = () if recorded.episode is None else tuple(recorded.episode.entries)
        step = Step(place, event, recorded.decision, tuple(texts[entry.index] for entry in entries))
        runs.setdefault(entries[0].run_id if entries else place, []).append((step, recorded))
    for steps in sorted(runs.values(), key=lambda steps: steps[-1][0].place):
        names = frozenset[str]()
        if acting is not None:
            journal = acting.reader(artifacts)
            for _, recorded in steps:
                if recorded.episode is not None:
                    journal.episode(recorded.episode.entries)
            names = frozenset(journal.named)
        yield Part(tuple(step for step, _ in steps), names)


def _renumbered(text: bytes, episode_id: int) -> bytes:
    entry = msgspec.json.decode(text, type=WireEntry)
    return msgspec.json.encode(replace(entry, episode_id=episode_id))
