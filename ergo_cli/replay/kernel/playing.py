"""Drives a kernel program from a bundle's events and journals: same supervisor, recorded world (spec 00 §13.7)."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.bundle.kernel_journals import KernelEpisode
from ergo_cli.bundle.schema import CapturedEffect, DecisionRecord, EventRecord
from ergo_cli.core.json import decode
from ergo_cli.core.numbers import Numbers
from ergo_cli.events.external import Context
from ergo_cli.replay.kernel.judging import Judge, Occasion, Verdict
from ergo_cli.replay.playing import rehydrated
from ergo_cli.supervisor.constraints import Constraints
from ergo_cli.supervisor.log import LogEntry
from ergo_cli.supervisor.seam import Outcome, RunTermination
from ergo_cli.supervisor.supervisor import Supervisor


class Played(Struct, frozen=True):
    """A decision as it came out now, and what each recorded call of its episode came to."""

    record: DecisionRecord
    verdicts: tuple[Verdict, ...]


class KernelReplay:
    """Steps the events of one bundle, each with what was recorded of its episode."""

    def __init__(self, judge: Judge[Any], graph_id: str, constraints: Constraints) -> None:
        self._invoker = _RecordedInvoker(judge)
        self._supervisor = Supervisor(graph_id, constraints, self, self._invoker)
        self._entry: LogEntry

    def log(self, entry: LogEntry) -> None:
        """Take the decision of the supervisor."""
        self._entry = entry

    def step(self, event: EventRecord, episode: KernelEpisode | None, numbers: Numbers) -> Played:
        """Decide about one event, its calls served from ``episode``.

        Raises ReplayError as ``rehydrated`` does, SideEffectReached as ``Judge.judge``.
        """
        self._invoker.serve(episode)
        self._supervisor.on_event(rehydrated(event, numbers))
        record, verdicts = DecisionRecord.of(self._entry), tuple(self._invoker.verdicts)
        if not verdicts or record.termination is None:
            return Played(record, verdicts)
        last = verdicts[-1]
        effects = tuple(CapturedEffect.rendered(effect.text) for effect in last.effects)
        return Played(replace(record, termination=last.termination, effects=effects), verdicts)


class _RecordedInvoker:
    """Answers each call of an episode with the verdict on the recorded one; a call beyond them ends the episode."""

    def __init__(self, judge: Judge[Any]) -> None:
        self._judge = judge
        self._episode: KernelEpisode | None = None
        self.verdicts: list[Verdict] = []

    def serve(self, episode: KernelEpisode | None) -> None:
        """The calls to come are those of this episode."""
        self._episode, self.verdicts = episode, []

    def run(self, graph_id: str, event_id: str, context: Context, deadline: int | None) -> RunTermination:
        """How the call ended; ``ABORTED`` where none was recorded: nothing can be said of it, and it is not retried."""
        attempt = len(self.verdicts)
        if self._episode is None or attempt >= len(self._episode.calls):
            return Outcome.ABORTED
        payload = decode(context.payload) if context.payload else None
        verdict = self._judge.judge(self._episode, attempt, Occasion(graph_id, event_id, payload, deadline))
        self.verdicts.append(verdict)
        return verdict.termination
