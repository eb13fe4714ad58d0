"""Compare today's plan program with a recording: each recorded call made again on the records before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ergo_cli.core.json import decode
from ergo_cli.core.values import ProducedEffect
from ergo_cli.errors import ErgoError
from ergo_cli.events.external import Context
from ergo_cli.programs.kind import Attempt, Blame, EffectPlace, Finding, Ran
from ergo_cli.programs.plan.differences import Judged, call_differences, excused_differences
from ergo_cli.programs.plan.effects import run_effects
from ergo_cli.programs.plan.engine import Engine, OneByOne, RunResult, StartRun
from ergo_cli.programs.plan.errors import PlanError
from ergo_cli.programs.plan.events import fact_of
from ergo_cli.programs.plan.ids import RunId, child_run
from ergo_cli.programs.plan.invoker import termination_of, termination_of_error
from ergo_cli.programs.plan.program import PlanProgram
from ergo_cli.programs.plan.recorded import PlanCall, PlanChild, PlanEpisode
from ergo_cli.programs.plan.served import (
    CallOver,
    Parted,
    RecordedJournal,
    ServedChildRuns,
    ServedTransports,
    served_engine,
)
from ergo_cli.programs.plan.served_parallel import ServedScheduler
from ergo_cli.programs.plan.stream import Artifacts
from ergo_cli.programs.plan.transports import TransportFactory
from ergo_cli.programs.recorded import Episode, JournalDifference
from ergo_cli.stores.memory import MemoryArtifacts
from ergo_cli.supervisor.seam import ErrKind, Failed, Outcome, RunTermination


class PlanReferee:
    """Answers each call of an episode with the verdict on the recorded one; a call beyond them ends the episode."""

    def __init__(self, program: PlanProgram) -> None:
        self._program = program
        self._episode: PlanEpisode | None = None
        self._judged: list[Judged] = []
        self._effects: list[ProducedEffect] = []
        self._run_calls = 0
        self.last_error: BaseException | None = None

    def serve(self, episode: Episode | None) -> None:
        """Set the episode that the next calls belong to."""
        assert episode is None or isinstance(episode, PlanEpisode)
        self._episode, self._judged, self._effects = episode, [], []

    def run(self, graph_id: str, event_id: str, context: Context, deadline: int | None) -> RunTermination:
        """Make the next recorded call again; returns its termination today.

        ``ABORTED`` if no such call was recorded: it cannot be compared and is not retried.
        """
        self._run_calls += 1
        self.last_error = None
        attempt, episode = len(self._judged), self._episode
        if episode is None or attempt >= len(episode.calls):
            return Outcome.ABORTED
        call = episode.calls[attempt]
        store = MemoryArtifacts(episode.artifacts)
        judged = self._judge(episode, call, store, context)
        self._judged.append(judged)
        self.last_error = judged.new_error
        children = {child.entry.run_id: child.stream for child in episode.children}
        self._effects = run_effects(
            graph_id, event_id, call.events, call.stream, Artifacts(store), lambda run: children.get(run, ())
        )
        return judged.termination

    @property
    def run_calls(self) -> int:
        """How many times ``run`` was called."""
        return self._run_calls

    @property
    def pending(self) -> int:
        """The number of effects not drained yet."""
        return len(self._effects)

    def drain_rendered(self) -> list[ProducedEffect]:
        """The effects of the last call: those of its records, which are compared themselves."""
        effects, self._effects = self._effects, []
        return effects

    def finding(self, recorded: RunTermination | None, *, strict: bool) -> Finding:
        """What differs in the episode's journal; the last termination is left to the decision where that differs."""
        if self._episode is None or not self._judged:
            return Finding()
        last = self._judged[-1]
        differences = tuple(
            difference
            for judged in self._judged
            for difference in call_differences(self._episode, judged, strict=strict)
        )
        excused = (
            ()
            if strict
            else tuple(
                difference for judged in self._judged for difference in excused_differences(self._episode, judged)
            )
        )
        return Finding(differences, last.termination, excused=excused)

    def blame(self, places: Sequence[EffectPlace | None], ran: Ran | None) -> Sequence[Blame]:
        """Return no blame: a plan's effects follow from its records, which are compared themselves."""
        return [Blame()] * len(places)

    def reread(self, ran: Ran) -> Attempt | None:
        """Return None: plans read the payload itself."""
        return None

    def close(self, closing: Episode | None) -> Iterator[JournalDifference]:
        """Return no differences: runs may stay unfinished."""
        return iter(())

    def _judge(self, episode: PlanEpisode, call: PlanCall, store: MemoryArtifacts, context: Context) -> Judged:
        """Run the engine on the records of one call, and those of the children that it spawned."""
        run = RunId(episode.run_id)
        journal = RecordedJournal(
            {run: call.stream, **{child.entry.run_id: child.stream for child in episode.children}},
            {run: len(call.before), **_child_heads(episode, call)},
        )
        recorded = call.end.termination
        if not call.events and recorded in (Outcome.ABORTED, Outcome.TIMED_OUT):
            return Judged(call, recorded, store)
        try:
            result = self._driven(journal, store, run, bool(call.before), context)
        except CallOver:
            return Judged(call, recorded, store, partings=journal.partings)
        except Parted as parted:
            return Judged(call, recorded, store, partings=[*journal.partings, parted.parting])
        except PlanError as error:
            return Judged(call, termination_of_error(error), store, error, partings=journal.partings)
        except ErgoError as error:
            return Judged(call, Failed(ErrKind.VALIDATION_FAILED), store, error, partings=journal.partings)
        return Judged(call, termination_of(result, call.stream), store, None, result, journal.partings)

    def _driven(
        self, journal: RecordedJournal, store: MemoryArtifacts, run: RunId, is_known: bool, context: Context
    ) -> RunResult:
        def child(transports: TransportFactory) -> Engine:
            return served_engine(self._program, journal, store, transports, OneByOne())

        scheduler = ServedScheduler() if self._program.parallel else OneByOne()
        world = ServedChildRuns(ServedTransports(journal), child, journal)
        engine = served_engine(self._program, journal, store, world, scheduler)
        if is_known:
            return engine.resume(run)
        manifest = self._program.manifest
        start = StartRun(
            manifest=manifest,
            manifest_id=engine.artifacts.put(manifest.canonical(engine.allowed_names)),
            plan=self._program.plan,
            run_config=manifest.run_config,
            initial_context=self._program.first_context(decode(context.payload) if context.payload else None),
            run_id=run,
        )
        return engine.start(start)


def _child_heads(episode: PlanEpisode, call: PlanCall) -> dict[str, int]:
    """How far the children of a run had come before a call: those whose spawning is recorded had come to their end.

    An attempt that was cut off is not made again, and so neither is what it added to a child: that is judged where the
    attempt of the parent ends. In a run that was begun elsewhere the first of several entries is from there.
    """
    facts = (fact_of(event.domain) for event in call.before if event.domain is not None)
    spawned = {child_run(episode.run_id, fact.key) for fact in facts if fact is not None}
    entries: dict[str, list[PlanChild]] = {}
    for child in episode.children:
        entries.setdefault(child.entry.run_id, []).append(child)
    is_continued = episode.calls[0].begin.head > 0
    heads: dict[str, int] = {}
    for run, [first, *others] in entries.items():
        begun = first.stream if is_continued and others else first.before
        heads[run] = len(entries[run][-1].stream if run in spawned else begun)
    return heads
