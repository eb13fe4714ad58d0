"""The invoker of pipeline programs: one flow for the whole stream, an episode an event (spec 60 §23.2, 00 §13.1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from msgspec import Raw

from ergo_cli.core.json import decode, free_text, record_text
from ergo_cli.core.time import StandingClock
from ergo_cli.core.values import Effect, Intent, IntentField, ProducedEffect, Value, Write, derive_intent_id
from ergo_cli.errors import ErgoError, StepError
from ergo_cli.events.external import Context
from ergo_cli.programs.pipeline.appended import AppendOrder
from ergo_cli.programs.pipeline.build import build_flow, build_stages
from ergo_cli.programs.pipeline.effects import Acted
from ergo_cli.programs.pipeline.errors import FlowDiffers, JournalError, PipelineError
from ergo_cli.programs.pipeline.flow_failures import failure_of
from ergo_cli.programs.pipeline.flow_store import FlowStore
from ergo_cli.programs.pipeline.ids import CountedIds
from ergo_cli.programs.pipeline.lifecycle import Created, Drained, Failed, State
from ergo_cli.programs.pipeline.program import PipelineProgram
from ergo_cli.programs.pipeline.scheduler import Scheduler
from ergo_cli.programs.pipeline.state_machine import name_of
from ergo_cli.programs.pipeline.stop_intent import STOP_TIMEOUT
from ergo_cli.programs.seat import DeadlinePassed, Seat
from ergo_cli.supervisor.journals import CallError, End, EpisodeJournal, EpisodeLog
from ergo_cli.supervisor.seam import ErrKind, Outcome, RunTermination
from ergo_cli.supervisor.seam import Failed as EpisodeFailed


class DeadlineReached(BaseException):
    """The time of a call is over; no handler may take that for an error of its own."""


class PipelineInvoker:
    """Runs episodes of one pipeline program; keeps effects and records until they are drained (HST-4).

    The first call starts the flow, or goes on with one of its store. ``last_error`` is what ended the last call.
    """

    def __init__(self, program: PipelineProgram, flow: FlowStore, seat: Seat) -> None:
        self._program = program
        self._seat = seat
        self._flow = flow
        self._journal: AppendOrder | None = None
        self._failure: JournalError | None = None
        self._is_stopping = False
        self._scheduler: Scheduler | None = None
        self._is_named = False
        self._log = EpisodeLog()
        self._effects: list[Effect] = []
        self._ordinals: Counter[str] = Counter()
        self._place = ("", "")
        self._moment: int | None = None
        self._run_calls = 0
        self.last_error: BaseException | None = None

    def run(self, graph_id: str, event_id: str, context: Context, deadline: int | None) -> RunTermination:
        """Admit one event and step the flow until it rests. Always replaces the pending effects.

        Raises StepError ``pipeline.flow_differs``.
        """
        self._run_calls += 1
        self._effects, self._place = [], (graph_id, event_id)
        self._ordinals.clear()
        self._moment = None
        try:
            self._look()
        except JournalError as error:
            self._failure = error
        self._begin_call()
        if self._failure is not None:
            return self._fail(self._failure)
        if self._is_stopping or (self._scheduler is not None and self._scheduler.has_ended):
            return self._refuse()
        if deadline == 0:
            return self._end_call(Outcome.ABORTED)
        self._moment = None if deadline is None else self._seat.clock.monotonic_ns() + deadline
        return self._call(lambda: self._admit(context))

    @property
    def run_calls(self) -> int:
        """How many times ``run`` was called."""
        return self._run_calls

    @property
    def appended(self) -> int:
        """The number of records of the flow so far."""
        return 0 if self._journal is None else self._journal.count

    @property
    def pending(self) -> int:
        """The number of effects not drained yet."""
        return len(self._effects)

    def drain_rendered(self) -> list[ProducedEffect]:
        """Drain the effects of the last attempt, in order of occurrence."""
        return [ProducedEffect.of(effect) for effect in self.drain()]

    def drain(self) -> list[Effect]:
        """Drain the same effects as values."""
        effects, self._effects = self._effects, []
        return effects

    def drain_journals(self) -> Sequence[EpisodeJournal]:
        """The records of the episode."""
        return (self._log.drain(),)

    def close(self, interrupted: bool) -> Sequence[EpisodeJournal]:
        """End the flow; its last records. Nothing where no event came, and where the flow is left to go on later.

        Raises StepError ``pipeline.flow_differs``.
        """
        try:
            return self._close(interrupted)
        finally:
            has_ended = self._scheduler is not None and self._scheduler.has_ended and not self._flow.has_failed
            self._flow.close(has_ended=has_ended)

    def _close(self, interrupted: bool) -> Sequence[EpisodeJournal]:
        scheduler = self._scheduler
        if scheduler is None or self._failure is not None:
            return ()
        self._moment = None
        try:
            self._look()
        except JournalError as error:
            failure = self._failure = error
            return self._closed(lambda: self._fail(failure))
        if scheduler.has_ended:
            return self._closed(lambda: self._end_call(Outcome.ABORTED))
        if interrupted and self._flow.is_behind and not self._is_stopping:
            return ()
        stops = interrupted or self._is_stopping
        return self._closed(lambda: self._call(lambda: scheduler.close(interrupted=stops)))

    def _closed(self, call: Callable[[], object]) -> Sequence[EpisodeJournal]:
        """The entry of a last call."""
        self._begin_call()
        call()
        self._effects = []
        return (self._log.drain(),)

    def _look(self) -> None:
        """Begin before all else; then see whether the flow, which is at rest, is to be stopped. Raises JournalError."""
        if self._journal is None:
            self._flow.begin()
            self._journal = AppendOrder(self._flow.journal)
        elif self._scheduler is not None and not self._scheduler.has_ended:
            self._is_stopping = self._is_stopping or self._flow.is_stopped_here

    def _call(self, work: Callable[[], object]) -> RunTermination:
        try:
            termination, error = self._worked(work)
            self._check_journals()
            self._flow.episode_ended()
        except JournalError as failure:
            if self._scheduler is not None:
                self._scheduler.fail(failure)
            self._failure = failure if self._flow.has_failed else None
            return self._fail(failure)
        return self._end_call(termination, error)

    def _worked(self, work: Callable[[], object]) -> tuple[RunTermination, PipelineError | None]:
        """How a call ended, and the error that ended it. Raises JournalError."""
        try:
            work()
        except DeadlineReached:
            if self._scheduler is not None:
                self._scheduler.time_out()
            return Outcome.TIMED_OUT, None
        except JournalError:
            raise
        except PipelineError as error:
            is_stuck = error.code == "pipeline.not_quiescent"
            return EpisodeFailed(ErrKind.SEMANTIC_ERROR if is_stuck else ErrKind.VALIDATION_FAILED), error
        return self._termination(), None

    def _check_journals(self) -> None:
        """Raise the error of a journal that the flow has failed for."""
        failure = None if self._scheduler is None else self._scheduler.supervisor.journal_failure
        if failure is not None:
            raise failure

    def _admit(self, context: Context) -> None:
        scheduler = self._scheduler
        if scheduler is None:
            scheduler = self._scheduler = self._built()
            scheduler.begin()
        if not scheduler.has_ended:
            scheduler.admit(decode(context.payload) if context.payload else None)

    def _built(self) -> Scheduler:
        assert self._journal is not None, "the flow has begun"
        flow = build_flow(
            self._program,
            self._journal,
            CountedIds(self._program.name),
            StandingClock(),
            flow_id=self._flow.flow_id,
            history=self._flow.history,
            execute=self._executed,
            acted=self._acted,
            consumed=self._consumed,
            effect_recorded=self._flow.effect_recorded,
        )
        return Scheduler(flow, build_stages(flow), between=self._check_time)

    def _begin_call(self) -> None:
        """Write the first frame; the first one of the flow names its manifest."""
        manifest = None if self._is_named else self._program.manifest(self._flow.flow_id)
        self._is_named = True
        self.last_error = None
        head = 0 if self._journal is None else self._journal.count
        self._log.begin(self._flow.flow_id.display, head, initial=manifest)

    def _end_call(self, termination: RunTermination, error: ErgoError | None = None) -> RunTermination:
        """Write the records of the call and its last frame."""
        if self._journal is not None:
            self._log.add(self._journal.take())
        self._forget_what_is_read()
        status = Raw(record_text(name_of(self._state)))
        self.last_error = error or self._why_failed()
        failure = error if isinstance(error, JournalError) else None
        self._log.end(End(termination, status, None, None if error is None else CallError.of(error)), failure)
        return termination

    def _fail(self, error: JournalError) -> RunTermination:
        """End a call with an error of the journals; one that refuses the flow is raised."""
        if isinstance(error, FlowDiffers):
            refused = StepError("FlowDiffers", error.message, where=error.where, fix=error.fix)
            refused.code = error.code
            raise refused from error
        return self._end_call(EpisodeFailed(ErrKind.ADAPTER_UNAVAILABLE), error)

    def _refuse(self) -> RunTermination:
        """End a call for which the flow, which has ended before or is to be stopped, did nothing."""
        state = self._state
        termination = self._end_call(Outcome.ABORTED)
        reason = f": {state.reason}" if isinstance(state, Failed) else ""
        has_ended, fix = f"the flow has ended before{reason}", "mend what ended the flow, and run again"
        if self._is_stopping:
            has_ended, fix = "the flow was asked to stop", "run again: that begins the next flow"
        message = f"nothing was done for the event, since {has_ended}"
        self.last_error = PipelineError("pipeline.not_running", message, fix=fix)
        return termination

    def _forget_what_is_read(self) -> None:
        if self._scheduler is not None:
            for run, count in self._scheduler.read_positions().items():
                self._flow.forget(run, count)

    @property
    def _state(self) -> State:
        return Created() if self._scheduler is None else self._scheduler.state

    def _why_failed(self) -> ErgoError | None:
        """Why the flow has failed, if it has."""
        return None if self._scheduler is None else failure_of(self._scheduler.supervisor, self._scheduler.stages)

    def _termination(self) -> RunTermination:
        """How the call ended, by the state of the flow (§23.2)."""
        scheduler = self._scheduler
        assert scheduler is not None
        stop = scheduler.supervisor.context.stop
        match scheduler.state:
            case Drained() | Failed() if stop.requested:
                return Outcome.TIMED_OUT if stop.reason == STOP_TIMEOUT else Outcome.ABORTED
            case Failed(failure_cause=None):
                return EpisodeFailed(ErrKind.SEMANTIC_ERROR)
            case Failed():
                return EpisodeFailed(ErrKind.VALIDATION_FAILED)
            case _:
                return Outcome.COMPLETED

    def _check_time(self) -> None:
        if self._flow.is_timed_out_here:
            raise DeadlineReached
        if self._moment is None or self._flow.is_behind:
            return
        if self._seat.clock.monotonic_ns() >= self._moment:
            raise DeadlineReached

    def _executed(self, work: Callable[[], object]) -> object:
        """Call an executor, for as long as the call has."""
        if self._moment is None:
            return work()
        left = max(self._moment - self._seat.clock.monotonic_ns(), 0)
        try:
            return self._seat.within(left, work, f"effect of pipeline '{self._program.name}'")
        except DeadlinePassed:
            raise DeadlineReached from None

    def _acted(self, acted: Acted) -> None:
        graph_id, event_id = self._place
        intent_id = derive_intent_id(graph_id, event_id, acted.stage, "io", self._ordinals[acted.stage])
        self._ordinals[acted.stage] += 1
        fields = {
            "namespace": acted.effect_type,
            "request": free_text(acted.input).decode(),
            "idempotency_key": acted.key or "",
        }
        named = [IntentField(name, Value(String=text)) for name, text in fields.items()]
        self._effects.append(Effect("io", [], [Intent("io", intent_id, named)]))

    def _consumed(self, sink: str, event_type: str, payload: object) -> None:
        text = free_text({"event_type": event_type, "payload": payload}).decode()
        self._effects.append(Effect("sink_write", [Write(sink, Value(String=text))]))
