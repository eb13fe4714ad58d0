"""Small kernel programs and an invoker around them, with everything that it records at hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from ergo_cli.core.time import Clock, StandingClock
from ergo_cli.core.values import Effect
from ergo_cli.events.external import EventKind, ExternalEvent
from ergo_cli.programs.kernel import (
    ActionSucceeded,
    CallTool,
    Complete,
    Do,
    Emit,
    Interrupt,
    KernelProgram,
    Next,
    Resumed,
    SequencedEvent,
    StateUpdated,
)
from ergo_cli.programs.kernel.calls import RunIdRule
from ergo_cli.programs.kernel.invoker import KernelInvoker
from ergo_cli.stores.journals import EventJournal, SnapshotStore
from ergo_cli.stores.memory import MemoryJournal
from ergo_cli.supervisor.journals import EpisodeJournal
from ergo_cli.supervisor.seam import RunTermination
from ergo_cli.testing.kernel import ScriptedExecutor, ScriptedStep


def scored(state: dict[str, Any]) -> Next:
    """Ask a tool for a score, keep it, done."""
    if "answer" in state:
        return Emit([StateUpdated("score", {"amount": state["amount"], "score": state["answer"]})])
    return Complete() if "score" in state else Do(CallTool("score", {"amount": state["amount"]}))


def keep_answer(state: dict[str, Any], event: SequencedEvent) -> dict[str, Any]:
    """A tool's answer is kept beside the amount until a StateUpdated replaces both."""
    match event.event:
        case ActionSucceeded(_, output):
            return {**state, "answer": output}
        case StateUpdated(_, payload):
            return payload
        case _:
            return state


def asking(state: dict[str, Any]) -> Next:
    """Ask for a word, again and again until it is "done"."""
    return Complete() if state["words"][-1:] == ["done"] else Interrupt({"ask": len(state["words"])})


def keep_words(state: dict[str, Any], event: SequencedEvent) -> dict[str, Any]:
    """Every resumption brings a word."""
    match event.event:
        case Resumed({"word": str(word)}):
            return {"words": [*state["words"], word]}
        case _:
            return state


def amount_of(payload: Any) -> dict[str, Any]:
    return {"amount": payload["amount"]}


def no_words(payload: Any) -> dict[str, Any]:
    return {"words": []}


SCORER = KernelProgram("approve", amount_of, scored, "agent.world:execute", keep_answer, version="1")
ASKER = KernelProgram("talk", no_words, asking, "talk.world:execute", keep_words)


def scripted(*answers: Next | Exception, **options: Any) -> KernelProgram[Any]:
    """A program whose step function gives these answers, whatever the state."""
    return KernelProgram("g", lambda payload: 0, ScriptedStep(answers), "g.world:execute", **options)


class Desk:
    """An invoker; ``run`` makes one call, ``drained`` empties it as the host does after a decision."""

    def __init__(
        self,
        program: KernelProgram[Any],
        results: Sequence[Any] | Callable[..., Any] = (),
        *,
        run_id: str | None = None,
        journal: EventJournal | None = None,
        snapshots: SnapshotStore | None = None,
        clock: Clock = StandingClock(),
        attempts: EventJournal | None = None,
    ) -> None:
        self.program = program
        self.executor = results if callable(results) else ScriptedExecutor(results)
        self.journal = MemoryJournal() if journal is None else journal
        self.invoker = KernelInvoker(
            program,
            self.executor,
            self.journal,
            clock,
            RunIdRule.of(run_id),
            snapshots=snapshots,
            attempts=attempts,
        )

    def run(self, event_id: str, payload: object = None, deadline: int | None = None) -> RunTermination:
        text = b"" if payload is None else json.dumps(payload).encode()
        event = ExternalEvent.with_payload(event_id, EventKind.COMMAND, 0, text)
        return self.invoker.run(self.program.name, event_id, event.context, deadline)

    def episode(self, event_id: str, payload: object = None, deadline: int | None = None) -> tuple[Any, Episode]:
        """One call, drained."""
        return self.run(event_id, payload, deadline), self.drained()

    def drained(self) -> Episode:
        [journal] = self.invoker.drain_journals()
        return Episode(journal, self.invoker.drain())

    def log(self, run: str) -> list[Any]:
        return [json.loads(text) for _, text in self.journal.scan(run)]


class Episode:
    """What was drained: records as JSON values, effects, artifacts."""

    def __init__(self, journal: EpisodeJournal, effects: list[Effect]) -> None:
        self.run_id = journal.run_id
        self.records: list[Any] = [json.loads(record) for record in journal.records]
        self.artifacts = journal.artifacts
        self.failure = journal.failure
        self.effects = effects

    @property
    def begin(self) -> Any:
        return self.records[0]["begin"]

    @property
    def end(self) -> Any:
        return self.records[-1]["end"]

    @property
    def events(self) -> list[Any]:
        return [record["event"] for record in self.records if "event" in record]
