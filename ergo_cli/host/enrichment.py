"""Decisions completed with what came of them before they are kept (spec 30 §14, 11 §7.3)."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from ergo_cli.bundle.schema import CapturedEffect, DecisionRecord, EventRecord
from ergo_cli.bundle.sink import BundleSink
from ergo_cli.core.effects import Effect


class EnrichingSink:
    """Holds the decision of the current step back until its effects are known, then passes it on.

    What is attached belongs to the decision of this step, by position and never by event id: effects of deferred work
    go to the Pump that served it.
    """

    def __init__(self, sink: BundleSink) -> None:
        self._sink = sink
        self._held: list[DecisionRecord] = []

    @property
    def held(self) -> list[DecisionRecord]:
        """The decisions made since the last release: exactly one where everything is in order."""
        return self._held

    def event(self, record: EventRecord) -> None:
        """Pass an event on."""
        self._sink.event(record)

    def decision(self, record: DecisionRecord) -> None:
        """Hold a decision back."""
        self._held.append(record)

    def attach_effects(self, effects: Iterable[Effect]) -> None:
        """Give the held decision its effects; a later call replaces an earlier one."""
        captured = tuple(map(CapturedEffect.of, effects))
        self._held[-1] = replace(self._held[-1], effects=captured)

    def release(self) -> None:
        """Pass the held decision on."""
        self._sink.decision(self._held.pop())
