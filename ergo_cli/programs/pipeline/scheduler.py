"""Ergo's driver of a pipeline: one thread, a clock that stands, visits until rest (spec 60 §23.2).

A pass visits the pipeline's supervisor, then every stage in topology order; a visit does one step. Passes repeat until
one moves nothing. Then a stage with several inputs may take what there is (§19.5), and if none does, the flow is at
rest: the end of an episode.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

from ergo_cli.core.wire import FreeValue
from ergo_cli.errors import ErgoError
from ergo_cli.programs.pipeline.dispatch import DRAIN_EVIDENCE_MISSING
from ergo_cli.programs.pipeline.errors import PipelineError
from ergo_cli.programs.pipeline.flow import Flow
from ergo_cli.programs.pipeline.handlers import finished
from ergo_cli.programs.pipeline.lifecycle import Error, Materialize, State, StopRequested
from ergo_cli.programs.pipeline.stages.reading import ReadingStage
from ergo_cli.programs.pipeline.stages.source import SourceSupervisor
from ergo_cli.programs.pipeline.stages.supervisor import StageSupervisor
from ergo_cli.programs.pipeline.stop_intent import STOP_TIMEOUT, USER_STOP, Cancel, Graceful
from ergo_cli.programs.pipeline.supervisor import PipelineSupervisor

PASS_LIMIT = 100_000
"""How many passes an episode may take."""


class Scheduler:
    """Steps one flow. Every method raises JournalError where a journal fails, and what ``between`` raises.

    ``between`` is called before every pass.
    """

    def __init__(
        self, flow: Flow, stages: Sequence[StageSupervisor], *, between: Callable[[], object] = lambda: None
    ) -> None:
        self.flow = flow
        self.stages = stages
        self.supervisor = PipelineSupervisor(flow, stages)
        self._sources = {each.stage.name: each for each in stages if isinstance(each, SourceSupervisor)}
        self._between = between

    @property
    def state(self) -> State:
        """The state of the pipeline."""
        return self.supervisor.state

    @property
    def has_ended(self) -> bool:
        """Whether the pipeline has written its terminal fact."""
        return self.supervisor.has_ended

    def begin(self) -> None:
        """Start the pipeline, until it is at rest."""
        self.supervisor.request(Materialize())
        self.run_until_rest()

    def source_for(self, payload: FreeValue) -> SourceSupervisor:
        """The source that a payload is for: the only one, or the one that its member ``source`` names.

        Raises PipelineError ``pipeline.no_such_source`` and ``pipeline.source_ended``.
        """
        if len(self._sources) == 1:
            (found,) = self._sources.values()
        else:
            named = cast("dict[str, object]", payload).get("source") if isinstance(payload, dict) else None
            source = self._sources.get(named) if isinstance(named, str) else None
            if source is None:
                raise self._no_such_source(named)
            found = source
        if not found.takes_payloads:
            message = f"the source '{found.stage.name}' has ended"
            fix = "admit its events before its EOF"
            raise PipelineError("pipeline.source_ended", message, where=f"stage '{found.stage.name}'", fix=fix)
        return found

    def admit(self, payload: FreeValue) -> None:
        """Let a source admit a payload, and step until rest. Raises as ``source_for`` before anything is done.

        Raises PipelineError ``pipeline.not_quiescent`` where no rest is reached; the pipeline has then failed.
        """
        self.source_for(payload).offer(payload)
        self.run_until_rest()

    def run_until_rest(self) -> None:
        """Step until nothing moves. Raises PipelineError ``pipeline.not_quiescent``."""
        for _ in range(PASS_LIMIT):
            self._between()
            if not self._pass() and not self._move_at_rest():
                return
        error = PipelineError(
            "pipeline.not_quiescent",
            f"the pipeline did not come to rest in {PASS_LIMIT} passes",
            where=f"pipeline '{self.flow.name}'",
            fix="let its handlers give an end of outputs for every input",
        )
        self.fail(error)
        raise error

    def close(self, *, interrupted: bool) -> None:
        """End every source, or stop the pipeline gracefully, and step until its terminal fact is written."""
        if interrupted:
            timeout_ms = self.flow.program.settings.shutdown_timeout_ms
            self.supervisor.request(StopRequested(Graceful(timeout_ms), USER_STOP, self._now_ns))
        else:
            for source in self._sources.values():
                source.exhaust()
        self.run_until_rest()
        if not self.has_ended:
            self._end_stuck(interrupted)

    def time_out(self) -> None:
        """Stop because the time is over: gracefully without time left. A flow that has not started ends at once."""
        self.supervisor.request(StopRequested(Graceful(0), STOP_TIMEOUT, self._now_ns))
        self._settle()

    def fail(self, error: ErgoError) -> None:
        """Fail because a journal, or the flow itself, cannot go on; what can still be written is (H-6)."""
        finished(self.supervisor.give_up(str(error)))
        self._settle()

    def read_positions(self) -> Mapping[str, int]:
        """For every journal, by its run, how many of its records have been read by all that read it."""
        flow = self.flow
        journals = (*flow.data.values(), *flow.errors.values())
        positions = {flow.system.run: self.supervisor.context.position} | {each.run: each.head for each in journals}
        for stage in self.stages:
            readers = stage.subscription.readers if isinstance(stage, ReadingStage) else ()
            for reader in readers:
                if not reader.has_ended:
                    run = flow.data[reader.upstream].run
                    positions[run] = min(positions[run], reader.position)
        return positions

    @property
    def _now_ns(self) -> int:
        return self.flow.clock.monotonic_ns()

    def _end_stuck(self, interrupted: bool) -> None:
        """End a pipeline at rest that waits for what will not come: nothing moves it any more."""
        if interrupted:
            self.supervisor.request(StopRequested(Cancel(), STOP_TIMEOUT, self._now_ns))
        else:
            self.supervisor.request(Error(DRAIN_EVIDENCE_MISSING))
        self.run_until_rest()

    def _settle(self) -> None:
        """Let the supervisor alone come to its end."""
        while finished(self.supervisor.visit()):
            pass

    def _pass(self) -> bool:
        moved = finished(self.supervisor.visit())
        if self.has_ended:
            return moved
        for stage in self.stages:
            moved = (not stage.is_idle and finished(stage.visit(at_rest=False))) or moved
        return moved

    def _move_at_rest(self) -> bool:
        """Let the first stage move that takes what there is (§19.5)."""
        return not self.has_ended and any(finished(stage.visit(at_rest=True)) for stage in self.stages)

    def _no_such_source(self, named: object) -> PipelineError:
        known = ", ".join(f"'{name}'" for name in self._sources)
        said = "names none" if named is None else f"names {named!r}"
        return PipelineError(
            "pipeline.no_such_source",
            f"the payload's member 'source' {said}, the pipeline has {known}",
            where=f"pipeline '{self.flow.name}'",
            fix="give every payload a member 'source' with the name of a source",
        )
