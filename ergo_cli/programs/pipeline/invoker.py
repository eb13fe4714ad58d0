"""The invoker of pipeline programs: one flow for the whole stream, an episode an event (spec 60 §23.2, 00 §13.1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from msgspec import Raw

from ergo_cli.core.json import decode, free_text, record_text
from ergo_cli.core.time import StandingClock
from ergo_cli.core.values import Effect, Intent, IntentField, ProducedEffect, Value, Write, derive_intent_id
from ergo_cli.errors import ErgoError
from ergo_cli.events.external import Context
from ergo_cli.programs.pipeline.appended import AppendOrder
from ergo_cli.programs.pipeline.build import build_flow, build_stages
from ergo_cli.programs.pipeline.effects import Acted, EffectHistory
from ergo_cli.programs.pipeline.errors import JournalError, PipelineError
from ergo_cli.programs.pipeline.ids import CountedIds, FlowId
from ergo_cli.programs.pipeline.lifecycle import Created, Drained, Failed, State
from ergo_cli.programs.pipeline.program import PipelineProgram
from ergo_cli.programs.pipeline.scheduler import Scheduler
from ergo_cli.programs.pipeline.state_machine import name_of
from ergo_cli.programs.pipeline.stop_intent import STOP_TIMEOUT
from ergo_cli.programs.seat import DeadlinePassed, Seat
from ergo_cli.stores.journals import EventJournal
from ergo_cli.supervisor.journals import CallError, End, EpisodeJournal, EpisodeLog
from ergo_cli.supervisor.seam import ErrKind, Outcome, RunTermination
from ergo_cli.supervisor.seam import Failed as EpisodeFailed


class DeadlineReached(BaseException):
    """The time of a call is over; no handler may take that for an error of its own."""


class PipelineInvoker:
    """Runs episodes of one pipeline program; keeps effects and records until they are drained (HST-4).

    The first call starts the flow. ``last_error`` is what ended the last call. ``history`` serves recorded effects.
    ``forget`` is called with runs of the journal and the number of their records that nothing reads any more.
    """

    def __init__(
        self,
        program: PipelineProgram,
        journal: EventJournal,
        seat: Seat,
        history: EffectHistory | None = None,
        *,
        forget: Callable[[str, int], object] = lambda _run, _count: None,
    ) -> None:
        self._program = program
        self._seat = seat
        self._history = history
        self._forget = forget
        self._journal = AppendOrder(journal)
        self._flow_id = CountedIds(program.name).mint(FlowId).display
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
        """Admit one event and step the flow until it rests. Always replaces the pending effects."""
        self._run_calls += 1
        self._effects, self._place = [], (graph_id, event_id)
        self._ordinals.clear()
        self._begin_call()
        if self._scheduler is not None and self._scheduler.has_ended:
            return self._refuse(self._scheduler.state)
        if deadline == 0:
            return self._end_call(Outcome.ABORTED)
        self._moment = None if deadline is None else self._seat.clock.monotonic_ns() + deadline
        return self._call(lambda: self._admit(context))

    @property
    def run_calls(self) -> int:
        """How many times ``run`` was called."""
        return self._run_calls

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
        """End the flow; its last records. Nothing where no event came."""
        scheduler = self._scheduler
        if scheduler is None:
            return ()
        self._begin_call()
        self._moment = None
        if scheduler.has_ended:
            self._end_call(Outcome.ABORTED)
        else:
            self._call(lambda: scheduler.close(interrupted=interrupted))
        self._effects = []
        return (self._log.drain(),)

    def _call(self, work: Callable[[], object]) -> RunTermination:
        try:
            work()
            self._check_journals()
        except DeadlineReached:
            if self._scheduler is not None:
                self._scheduler.time_out()
            return self._end_call(Outcome.TIMED_OUT)
        except JournalError as error:
            if self._scheduler is not None:
                self._scheduler.fail(error)
            return self._end_call(EpisodeFailed(ErrKind.ADAPTER_UNAVAILABLE), error)
        except PipelineError as error:
            is_stuck = error.code == "pipeline.not_quiescent"
            kind = ErrKind.SEMANTIC_ERROR if is_stuck else ErrKind.VALIDATION_FAILED
            return self._end_call(EpisodeFailed(kind), error)
        return self._end_call(self._termination())

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
        flow = build_flow(
            self._program,
            self._journal,
            CountedIds(self._program.name),
            StandingClock(),
            history=self._history,
            execute=self._executed,
            acted=self._acted,
            consumed=self._consumed,
        )
        return Scheduler(flow, build_stages(flow), between=self._check_time)

    def _begin_call(self) -> None:
        """Write the first frame; the first one of the flow names its manifest."""
        manifest = None if self._is_named else self._program.manifest()
        self._is_named = True
        self.last_error = None
        self._log.begin(self._flow_id, self._journal.count, initial=manifest)

    def _end_call(self, termination: RunTermination, error: ErgoError | None = None) -> RunTermination:
        """Write the records of the call and its last frame."""
        self._log.add(self._journal.take())
        self._forget_what_is_read()
        status = Raw(record_text(name_of(self._state)))
        self.last_error = error or self._crash()
        failure = error if isinstance(error, JournalError) else None
        self._log.end(End(termination, status, None, None if error is None else CallError.of(error)), failure)
        return termination

    def _refuse(self, ended: State) -> RunTermination:
        """End a call for which the flow, which has ended before, did nothing."""
        termination = self._end_call(Outcome.ABORTED)
        reason = f": {ended.reason}" if isinstance(ended, Failed) else ""
        message = f"nothing was done for the event, since the flow has ended before{reason}"
        self.last_error = PipelineError("pipeline.not_running", message, fix="mend what ended the flow, and run again")
        return termination

    def _forget_what_is_read(self) -> None:
        if self._scheduler is not None:
            for run, count in self._scheduler.read_positions().items():
                self._forget(run, count)

    @property
    def _state(self) -> State:
        return Created() if self._scheduler is None else self._scheduler.state

    def _crash(self) -> BaseException | None:
        """The exception of a handler that ended its stage, if one did."""
        stages = () if self._scheduler is None else self._scheduler.stages
        return next((stage.crash for stage in stages if stage.crash is not None), None)

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
        if self._moment is not None and self._seat.clock.monotonic_ns() >= self._moment:
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
