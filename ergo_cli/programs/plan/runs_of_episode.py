"""The runs that an episode drove, as their streams tell: attempts, who wrote a key, who spawned a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec
from msgspec import Struct

from ergo_cli.core.diagnostics import counted
from ergo_cli.core.json import JsonError, decode
from ergo_cli.core.wire import FreeValue
from ergo_cli.programs.plan.context import changed_keys
from ergo_cli.programs.plan.events import (
    CALL_FAILED,
    Envelope,
    FactRecorded,
    RunStarted,
    StateCompleted,
    StateEntered,
    StateFailed,
    asked_keys,
)
from ergo_cli.programs.plan.ids import child_run
from ergo_cli.programs.plan.named_contents import bound_fact
from ergo_cli.programs.plan.recorded import PlanEpisode
from ergo_cli.programs.plan.watched import Place

_IDS = ("_snapshot_id", "_manifest_id")
"""How members of answers about child runs end that name an artifact."""


class AttemptRecords(Struct, frozen=True):
    """An attempt of a run: its events, the first of which enters the state."""

    run: str
    state: str
    number: int
    base: str
    events: tuple[Envelope, ...]

    @property
    def place(self) -> Place:
        """The run, and the number of its first event."""
        return self.run, self.events[0].seq

    @property
    def name(self) -> str:
        """The state, and which try it is."""
        return f"{self.state}#{self.number}"

    @property
    def snapshot(self) -> str | None:
        """The context that it left; None where it did not complete."""
        last = self.events[-1].kernel
        return last.context_snapshot_id if isinstance(last, StateCompleted) else None


class EpisodeRuns:
    """The streams of an episode's run and of its children, up to the end of the episode."""

    def __init__(self, episode: PlanEpisode) -> None:
        self._artifacts = episode.artifacts
        self._contents: dict[str, FreeValue] = {}
        self.own = episode.run_id
        children = {child.entry.run_id: child.stream for child in episode.children}
        self.streams: Mapping[str, Sequence[Envelope]] = {self.own: episode.calls[-1].stream, **children}
        self.attempts = {run: list(_attempts(run, stream)) for run, stream in self.streams.items()}

    @property
    def all_attempts(self) -> list[AttemptRecords]:
        """The attempts of all runs, those of the episode's own first."""
        return [attempt for of_run in self.attempts.values() for attempt in of_run]

    def fact_keys(self) -> list[str]:
        """The keys of all facts that are bound."""
        return [fact.key for stream in self.streams.values() for _, fact in _facts(stream)]

    def bound_at(self, key: str) -> tuple[str, int] | None:
        """The run, and the number of the event, that binds a fact key."""
        found = ((run, self.fact(run, key)) for run in self.streams)
        return next(((run, fact[0].seq) for run, fact in found if fact is not None), None)

    def of_child(self, run: str) -> str:
        """What to put behind the number of a record: nothing for the episode's own run."""
        started = self.started(run)
        return "" if run == self.own or started is None else f" of {started.op_id}"

    def child(self, run: str, key: str) -> str | None:
        """The run that a call with this fact key spawned; None where it recorded nothing in this episode."""
        child = child_run(run, key)
        return child if child in self.streams else None

    def awaited(self, awaited: FactRecorded) -> AttemptRecords | None:
        """The last attempt of the child run that an answer tells of."""
        answer = self.content(awaited.payload_id)
        run = cast("dict[str, Any]", answer).get("child_run_id") if isinstance(answer, dict) else None
        attempts = self.attempts.get(str(run))
        return attempts[-1] if attempts else None

    def record(self, run: str, seq: int) -> Envelope | None:
        """The event of a run with a number."""
        stream = self.streams.get(run, ())
        return stream[seq - 1] if 0 < seq <= len(stream) else None

    def attempt_at(self, run: str, seq: int) -> AttemptRecords | None:
        """The attempt that the event with this number belongs to."""
        ends = ((each.events[0].seq, each.events[-1].seq, each) for each in self.attempts.get(run, ()))
        return next((each for first, last, each in ends if first <= seq <= last), None)

    def started(self, run: str) -> RunStarted | None:
        """How a run began."""
        stream = self.streams.get(run, ())
        first = stream[0].kernel if stream else None
        return first if isinstance(first, RunStarted) else None

    def context(self, snapshot: str | None) -> dict[str, FreeValue]:
        """The values of a snapshot; none where it cannot be read."""
        value = self.content(snapshot)
        return cast("dict[str, FreeValue]", value) if isinstance(value, dict) else {}

    def content(self, artifact: str | None) -> FreeValue:
        """The JSON of an artifact; None where it is not known, or no JSON."""
        if artifact is None or artifact not in self._artifacts:
            return None
        if artifact not in self._contents:
            try:
                self._contents[artifact] = decode(self._artifacts[artifact])
            except JsonError:
                self._contents[artifact] = None
        return self._contents[artifact]

    def text(self, artifact: str) -> str:
        """What an artifact holds: JSON without ids of other artifacts, or how many bytes."""
        content = self.content(artifact)
        if content is None and self._artifacts.get(artifact) != b"null":
            return counted(len(self._artifacts.get(artifact, b"")), "byte")
        if isinstance(content, dict):
            members = cast("dict[str, FreeValue]", content)
            content = {name: value for name, value in members.items() if not name.endswith(_IDS)}
        return msgspec.json.encode(content).decode()

    def writer(self, attempt: AttemptRecords, key: str) -> AttemptRecords | None:
        """The attempt that wrote the value that an attempt found under a key; None: it is of the first context."""
        value = self.context(attempt.base).get(key)
        for earlier in reversed(self.attempts[attempt.run]):
            if earlier.snapshot is None or earlier.events[-1].seq > attempt.events[0].seq:
                continue
            left = self.context(earlier.snapshot)
            if left.get(key) == value and key in self.changed(earlier):
                return earlier
        return None

    def changed(self, attempt: AttemptRecords) -> list[str]:
        """The keys that a completed attempt changed."""
        return changed_keys(self.context(attempt.base), self.context(attempt.snapshot))

    def fact(self, run: str, key: str) -> tuple[Envelope, FactRecorded] | None:
        """The event that binds a fact key, and what it binds."""
        return next((each for each in _facts(self.streams.get(run, ())) if each[1].key == key), None)

    def failed_call(self, attempt: AttemptRecords, key: str) -> Envelope | None:
        """The event of a call that failed."""
        failed = (each for each in attempt.events if each.domain is not None and each.domain.name == CALL_FAILED)
        return next((each for each in failed if key in asked_keys([each])), None)

    def spawning(self, run: str) -> tuple[AttemptRecords, str] | None:
        """The attempt that spawned a run, and the fact key of its call; None for the episode's own run."""
        for parent, attempts in self.attempts.items():
            for attempt in attempts:
                for key in asked_keys(attempt.events):
                    if child_run(parent, key) == run:
                        return attempt, key
        return None


def _facts(stream: Sequence[Envelope]) -> Iterator[tuple[Envelope, FactRecorded]]:
    for envelope in stream:
        fact = bound_fact(envelope)
        if fact is not None:
            yield envelope, fact


def _attempts(run: str, stream: Sequence[Envelope]) -> Iterator[AttemptRecords]:
    begun: list[Envelope] = []
    for envelope in stream:
        match envelope.kernel:
            case StateEntered():
                if begun:  # it was cut off
                    yield _attempt(run, begun)
                begun = [envelope]
            case StateCompleted() | StateFailed():
                yield _attempt(run, [*begun, envelope])
                begun = []
            case _ if begun:
                begun.append(envelope)
            case _:
                pass
    if begun:
        yield _attempt(run, begun)


def _attempt(run: str, events: Sequence[Envelope]) -> AttemptRecords:
    entered = events[0].kernel
    assert isinstance(entered, StateEntered)
    return AttemptRecords(run, entered.state_id, entered.attempt, entered.base_snapshot_id, tuple(events))
