"""The two sides of a replay: a recorded decision, and what today's program made of its event."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from msgspec import Struct

from ergo_cli.bundle.decoding import decode_decision
from ergo_cli.bundle.encoding import encode_decision
from ergo_cli.bundle.schema import DecisionRecord, Version
from ergo_cli.core.values import ProducedEffect
from ergo_cli.events.external import Context
from ergo_cli.programs.kind import Finding, Ran, Referee
from ergo_cli.programs.recorded import Episode as RecordedEpisode
from ergo_cli.replay.joining import Row
from ergo_cli.supervisor.seam import RunTermination


class Recorded:
    """A recorded decision: its text if it has no journal, else the record with its episode."""

    def __init__(
        self,
        text: bytes,
        version: Version,
        record: DecisionRecord | None = None,
        episode: RecordedEpisode | None = None,
    ) -> None:
        self._text = text
        self._version = version
        self._record = record
        self.episode = episode

    @cached_property
    def record(self) -> DecisionRecord:
        """The record, decoded when it is first asked for."""
        return decode_decision(self._text, self._version) if self._record is None else self._record

    def is_same(self, now: DecisionRecord) -> bool:
        """Whether today's decision has the same bytes."""
        return encode_decision(now) == self._text if self._record is None else now == self._record


class Played(Struct, frozen=True):
    """A replayed decision, the referee's finding, the episode that ran for it, and what made it fail, or None."""

    record: DecisionRecord
    finding: Finding
    ran: Ran | None
    error: BaseException | None = None


Pair = tuple[Row[Recorded] | None, Row[Played] | None]
"""A recorded decision and the one of today; None where there is none."""


class Witness:
    """Records the arguments of the referee's runs: deferred work runs with its origin event's id and context."""

    def __init__(self, referee: Referee) -> None:
        self._run = referee.run
        self.run_calls, self.pending = 0, 0
        self.drain_rendered: Callable[[], list[ProducedEffect]] = referee.drain_rendered
        self.ran: Ran | None = None

    def run(self, graph_id: str, event_id: str, context: Context, deadline: int | None) -> RunTermination:
        """Run an episode, and keep what it ran with."""
        self.ran = Ran(event_id, context)
        return self._run(graph_id, event_id, context, deadline)
