"""Compare today's pipeline program with a recording: the flow runs again on the recorded events and effects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import msgspec

from ergo_cli.core.time import StandingClock
from ergo_cli.core.values import ProducedEffect
from ergo_cli.events.external import Context
from ergo_cli.programs.kind import Attempt, Blame, EffectPlace, Finding, Ran
from ergo_cli.programs.pipeline.differences import call_differences, end_difference, manifests_differ
from ergo_cli.programs.pipeline.effects import RecordedHistory
from ergo_cli.programs.pipeline.errors import PipelineError
from ergo_cli.programs.pipeline.invoker import PipelineInvoker
from ergo_cli.programs.pipeline.program import PipelineProgram
from ergo_cli.programs.pipeline.recorded import JournalRecord, PipelineCall, PipelineEpisode
from ergo_cli.programs.recorded import Episode, JournalDifference
from ergo_cli.programs.seat import Seat
from ergo_cli.stores.memory import MemoryJournal
from ergo_cli.supervisor.journals import Begin, EndFrame, EpisodeJournal
from ergo_cli.supervisor.seam import ErrKind, Failed, Outcome, RunTermination

T = TypeVar("T")

_AS_RECORDED = (Outcome.TIMED_OUT, Outcome.ABORTED, Failed(ErrKind.ADAPTER_UNAVAILABLE))
"""How a call can end by what a replay does not have: time, a stop, a store that fails."""


class PipelineReferee:
    """Runs one flow of today's program; each call is compared with the recorded one of its episode and attempt.

    A call that was cut off by time or by its store is compared as far as it came, and nothing follows it.
    """

    def __init__(self, program: PipelineProgram) -> None:
        self._program = program
        self._history = RecordedHistory()
        seat = Seat(StandingClock(), _at_once)
        self._invoker = PipelineInvoker(program, MemoryJournal(), seat, self._history)
        self._episode: PipelineEpisode | None = None
        self._judged: list[tuple[PipelineCall, PipelineCall, bool]] = []
        self._is_cut_off = False
        self.last_error: BaseException | None = None

    def serve(self, episode: Episode | None) -> None:
        """Set the episode that the next calls belong to; its effects are served from now on."""
        assert episode is None or isinstance(episode, PipelineEpisode)
        self._episode, self._judged = episode, []
        if episode is not None:
            self._history.add(episode.effects)

    def run(self, graph_id: str, event_id: str, context: Context, deadline: int | None) -> RunTermination:
        """Admit the event today; returns the termination, the recorded one for a call that was cut off.

        ``ABORTED`` if no such call was recorded: it cannot be compared and is not retried.
        """
        attempt, episode = len(self._judged), self._episode
        if episode is None or attempt >= len(episode.calls):
            return Outcome.ABORTED
        recorded = episode.calls[attempt]
        termination = recorded.end.termination
        if termination in _AS_RECORDED and (not recorded.records or self._is_cut_off):
            self._judged.append((recorded, recorded, False))
            return termination
        is_cut_off = termination in _AS_RECORDED
        self._is_cut_off = self._is_cut_off or is_cut_off
        ended = self._invoker.run(graph_id, event_id, context, None)
        self.last_error = self._invoker.last_error
        self._judged.append((recorded, _call_of(self._invoker.drain_journals()), is_cut_off))
        return termination if is_cut_off else ended

    @property
    def run_calls(self) -> int:
        """How many times ``run`` was called."""
        return self._invoker.run_calls

    @property
    def pending(self) -> int:
        """The number of effects not drained yet."""
        return self._invoker.pending

    def drain_rendered(self) -> list[ProducedEffect]:
        """The effects of the last call."""
        return self._invoker.drain_rendered()

    def finding(self, recorded: RunTermination | None, *, strict: bool) -> Finding:
        """What differs in the episode's journal. Raises PipelineError ``pipeline.not_comparable`` under ``strict``."""
        episode = self._episode
        if episode is None or not self._judged:
            return Finding()
        if strict:
            self._check_comparable(episode)
        differences = tuple(
            difference
            for here, today, is_cut_off in self._judged
            if here is not today
            for difference in call_differences(episode.entry.index, here, today, is_prefix=is_cut_off)
        )
        return Finding(differences, effects_known=not any(is_cut_off for _, _, is_cut_off in self._judged))

    def blame(self, places: Sequence[EffectPlace | None], ran: Ran | None) -> Sequence[Blame]:
        """Return no blame: effects follow from the records, which are compared themselves."""
        return [Blame()] * len(places)

    def reread(self, ran: Ran) -> Attempt | None:
        """Return None: pipelines read the payload itself."""
        return None

    def close(self, closing: Episode | None) -> Iterator[JournalDifference]:
        """End today's flow as the recorded one was ended; returns the differences of the closing entry."""
        if closing is None:
            return
        assert isinstance(closing, PipelineEpisode)
        self._history.add(closing.effects)
        (recorded,) = closing.calls
        interrupted = recorded.end.termination in (Outcome.ABORTED, Outcome.TIMED_OUT)
        if self._is_cut_off or (interrupted and not recorded.records):
            return
        entries = self._invoker.close(interrupted)
        if not entries:
            return
        today = _call_of(entries)
        yield from call_differences(closing.entry.index, recorded, today)
        if recorded.end.termination != today.end.termination:
            yield end_difference(closing.entry.index, recorded, today)

    def _check_comparable(self, episode: PipelineEpisode) -> None:
        """Strictly comparable are flows of one manifest whose stages all read in the deterministic order (§13.7)."""
        differing = manifests_differ(episode.manifest, self._program.manifest())
        unordered = [stage.name for stage in self._program.stages if not stage.ordered_delivery]
        if not differing and not unordered:
            return
        why = (
            f"today's manifest differs in {', '.join(differing)}"
            if differing
            else f"the order of events is not the same in every run for stage {', '.join(unordered)}"
        )
        raise PipelineError(
            "pipeline.not_comparable",
            f"the runs cannot be compared strictly: {why}",
            where=f"pipeline '{self._program.name}'",
            fix="capture again, or replay without --strict",
        )


def _at_once(limit: int, work: Callable[[], T], name: str) -> T:
    """Call without a limit: a replay executes nothing that could take time."""
    return work()


def _call_of(entries: Sequence[EpisodeJournal]) -> PipelineCall:
    """What a call of today recorded."""
    (journal,) = entries
    records = tuple(JournalRecord.of(text) for text in journal.records[1:-1])
    return PipelineCall(Begin(0), records, msgspec.json.decode(journal.records[-1], type=EndFrame).end, 0)
