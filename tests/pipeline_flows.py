"""Flows driven by ergo's scheduler in memory, and readings of what they leave in their journals."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from ergo_cli.core.time import StandingClock
from ergo_cli.programs.pipeline.appended import AppendOrder
from ergo_cli.programs.pipeline.authoring import AuthoredStage
from ergo_cli.programs.pipeline.build import build_flow, build_stages
from ergo_cli.programs.pipeline.chain_events import ChainEvent, Data, Delivery, FlowSignal
from ergo_cli.programs.pipeline.effects import EffectHistory, EffectType
from ergo_cli.programs.pipeline.ids import CountedIds
from ergo_cli.programs.pipeline.program import PipelineProgram
from ergo_cli.programs.pipeline.scheduler import Scheduler
from ergo_cli.programs.pipeline.settings import PipelineSettings
from ergo_cli.stores.memory import MemoryJournal


def pipeline(
    *stages: AuthoredStage,
    edges: str | None = None,
    settings: PipelineSettings = PipelineSettings(),
    effects: dict[str, EffectType] | None = None,
) -> PipelineProgram:
    """A program named ``orders``; without ``edges`` (``a>b b>c``) each stage reads the one before."""
    names = [stage.name for stage in stages]
    pairs = pairwise(names) if edges is None else (edge.split(">") for edge in edges.split())
    return PipelineProgram("orders", stages, tuple((a, b) for a, b in pairs), settings, effects or {})


class Driven:
    """A flow that is stepped: what was appended call by call, and its journals by label."""

    def __init__(self, program: PipelineProgram, history: EffectHistory | None = None) -> None:
        self.store = AppendOrder(MemoryJournal())
        self.acted: list[Any] = []
        self.consumed: list[Any] = []
        self.flow = build_flow(
            program,
            self.store,
            CountedIds(program.name),
            StandingClock(),
            history=history,
            acted=self.acted.append,
            consumed=lambda *what: self.consumed.append(what),
        )
        self.scheduler = Scheduler(self.flow, build_stages(self.flow))
        self.records: list[bytes] = []

    def all(self, *payloads: Any, interrupted: bool = False) -> Driven:
        """Start, admit all payloads that still find a running flow, close."""
        self.scheduler.begin()
        for payload in payloads:
            if not self.scheduler.has_ended:
                self.scheduler.admit(payload)
        if not self.scheduler.has_ended:
            self.scheduler.close(interrupted=interrupted)
        self.records += self.store.take()
        return self

    @property
    def state(self) -> str:
        return type(self.scheduler.state).__name__

    def stage_id(self, name: str) -> Any:
        return next(stage.id for stage in self.flow.topology.stages if stage.name == name)

    def events(self, label: str) -> list[ChainEvent]:
        """The events of a data journal, or of an error journal (``error:tr``)."""
        kind, _, name = label.rpartition(":")
        journals = self.flow.errors if kind == "error" else self.flow.data
        return [record.event for record in journals[self.stage_id(name)].read_all_unordered()]

    def system(self) -> list[Any]:
        return [record.event for record in self.flow.system.read_all_unordered()]

    def names(self, label: str = "system") -> list[str]:
        """The names of the events of a journal."""
        if label == "system":
            return [event.type_name for event in self.system()]
        return [event.event_type for event in self.events(label)]

    def facts(self, stage: str) -> list[str]:
        """What a stage said of itself: ``running``, ``failed: text``, ``cancelled: reason``."""
        said: list[str] = []
        for event in self.system():
            if getattr(event.event, "stage_id", None) == self.stage_id(stage):
                fact = event.event.fact
                text = getattr(fact, "error", getattr(fact, "reason", None))
                name = event.type_name.rpartition(".")[2]
                said.append(name if text is None else f"{name}: {text}")
        return said

    def last_facts(self, count: int = 2) -> list[str]:
        return self.names()[-count:]


def data(events: Iterable[ChainEvent]) -> list[Any]:
    """The payloads of data events."""
    return [event.content.payload for event in events if isinstance(event.content, Data)]


def results(events: Iterable[ChainEvent]) -> list[Any]:
    """The results of receipts."""
    return [event.content.receipt.result for event in events if isinstance(event.content, Delivery)]


def signals(events: Iterable[ChainEvent], kind: type) -> list[Any]:
    """The signals of a class."""
    return [
        event.content.signal
        for event in events
        if isinstance(event.content, FlowSignal) and isinstance(event.content.signal, kind)
    ]
