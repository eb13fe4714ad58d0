"""Compare today's kernel program with a recording: make each call again on the recorded records before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

from ergo_cli.core.json import decode
from ergo_cli.core.values import ProducedEffect
from ergo_cli.events.external import Context
from ergo_cli.programs.kernel.differences import Spot, orphans
from ergo_cli.programs.kernel.program import KernelProgram
from ergo_cli.programs.kernel.recorded import KernelEpisode
from ergo_cli.programs.kernel.redriver import CallContext, Redriver, Verdict
from ergo_cli.programs.kind import Attempt, Blame, EffectPlace, Finding, Ran
from ergo_cli.programs.recorded import Episode, JournalDifference
from ergo_cli.supervisor.seam import Outcome, RunTermination

S = TypeVar("S")


class KernelReferee(Generic[S]):
    """Answers each call of an episode with the verdict on the recorded one; a call beyond them ends the episode."""

    def __init__(self, program: KernelProgram[S]) -> None:
        self._redriver = Redriver(program)
        self._episode: KernelEpisode | None = None
        self._verdicts: list[Verdict] = []
        self._effects: Sequence[ProducedEffect] = ()
        self._run_calls = 0

    def serve(self, episode: Episode | None) -> None:
        """Set the episode that the next calls belong to."""
        assert episode is None or isinstance(episode, KernelEpisode)
        self._episode, self._verdicts, self._effects = episode, [], ()

    def run(self, graph_id: str, event_id: str, context: Context, deadline: int | None) -> RunTermination:
        """Make the next recorded call again; returns its termination today. Raises SideEffectReached.

        ``ABORTED`` if no such call was recorded: it cannot be compared and is not retried.
        """
        self._run_calls += 1
        attempt = len(self._verdicts)
        if self._episode is None or attempt >= len(self._episode.calls):
            return Outcome.ABORTED
        payload = decode(context.payload) if context.payload else None
        verdict = self._redriver.judge(self._episode, attempt, CallContext(graph_id, event_id, payload, deadline))
        self._verdicts.append(verdict)
        self._effects = verdict.effects
        return verdict.termination

    @property
    def run_calls(self) -> int:
        """How many times ``run`` was called."""
        return self._run_calls

    @property
    def last_error(self) -> BaseException | None:
        """What ended the last call today, if it failed otherwise than when it was recorded."""
        return self._verdicts[-1].error if self._verdicts else None

    @property
    def pending(self) -> int:
        """The number of effects not drained yet."""
        return len(self._effects)

    def drain_rendered(self) -> list[ProducedEffect]:
        """The effects of the last call that was recorded; empties the buffer."""
        effects, self._effects = list(self._effects), ()
        return effects

    def finding(self, recorded: RunTermination | None, *, strict: bool) -> Finding:
        """What differs in the episode's journal; the last termination is left to the decision where that differs."""
        if not self._verdicts:
            return Finding()
        last = self._verdicts[-1]
        differences = tuple(self._differences(recorded, strict=strict))
        return Finding(differences, last.termination, effects_known=not last.parted, failed=last.today)

    def blame(self, places: Sequence[EffectPlace | None], ran: Ran | None) -> Sequence[Blame]:
        """Return no blame: a kernel's effects follow from its records, which are compared themselves."""
        return [Blame()] * len(places)

    def reread(self, ran: Ran) -> Attempt | None:
        """Return None: kernels read the payload itself."""
        return None

    def close(self, closing: Episode | None) -> Iterator[JournalDifference]:
        """Return no differences: runs may stay blocked."""
        return iter(())

    def _differences(self, recorded: RunTermination | None, *, strict: bool) -> Iterator[JournalDifference]:
        episode = self._episode
        assert episode is not None
        for call, verdict in zip(episode.calls, self._verdicts, strict=False):
            yield from verdict.differences
            is_last = call is episode.calls[-1]
            if verdict.ended is not None and not (is_last and recorded != verdict.termination):
                yield verdict.ended
            if strict:
                yield from orphans(Spot(episode.entry.index, episode.run_id, call))
