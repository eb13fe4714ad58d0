"""The invoker of kernel programs: the supervisor runs it, the host drains it (spec 40 §19.1–2, 00 §13.1)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Generic, TypeVar

from msgspec import Raw, Struct

from ergo_cli.core import wire
from ergo_cli.core.json import decode, record_text, template_pieces
from ergo_cli.core.time import Clock
from ergo_cli.core.values import Effect, ProducedEffect
from ergo_cli.core.wire import FreeValue
from ergo_cli.events.external import Context
from ergo_cli.programs.kernel.calls import (
    EpisodeEffects,
    EventStep,
    KnownRuns,
    RunIdRule,
    is_store_failure,
    termination_of_error,
    termination_of_status,
)
from ergo_cli.programs.kernel.engine.actions import Executor
from ergo_cli.programs.kernel.engine.errors import Category, KernelError, at
from ergo_cli.programs.kernel.engine.events import (
    ActionFailed,
    Completed,
    RunBlocked,
    RunFailed,
    RunStatus,
    SequencedEvent,
    decode_event,
)
from ergo_cli.programs.kernel.engine.policy import JournalAttemptLog, LastAttempt
from ergo_cli.programs.kernel.leases import driving
from ergo_cli.programs.kernel.program import Kernel, KernelProgram
from ergo_cli.programs.kernel.runs.done import refuse_done_run
from ergo_cli.stores.journals import EventJournal, RememberingJournal, SnapshotStore
from ergo_cli.stores.leases import Leases
from ergo_cli.supervisor.journals import CallError, End, EpisodeJournal, EpisodeLog, WaitingRun, WaitingRuns
from ergo_cli.supervisor.seam import ErrKind, Failed, Outcome, RunTermination

S = TypeVar("S")

_BEFORE_SEQ, _BEFORE_EVENT, _AFTER_EVENT = template_pieces(
    wire.encode(SequencedEvent(987654321, Completed())), b"987654321", wire.encode(Completed())
)
_RECORD = _BEFORE_SEQ + b"%d" + _BEFORE_EVENT + b"%b" + _AFTER_EVENT
"""The text of a ``SequencedEvent`` whose event is already encoded: cheaper than decoding that and encoding both."""


class CallEnding(Struct, frozen=True):
    """The end of a call: a status of the run, or an error; ``state`` is the digest of the state after it."""

    termination: RunTermination
    status: RunStatus | None = None
    error: KernelError | None = None
    state: str | None = None


class KernelInvoker(Generic[S]):
    """Runs episodes of one kernel program live; keeps effects and records until they are drained (HST-4).

    ``executor`` is the program's resolved ``execute``, ``clock`` measures deadlines and waits. Runs in a ``journal``
    with ``snapshots`` can continue in another process, which ``leases`` keep from driving them at the same time;
    ``attempts`` stores failed tries if the program logs them.
    Unless it ``continues``, an event of a run that was done before raises StepError ``kernel.already_completed``.
    ``last_error`` is what made the last run fail, if it did: where an action failed for good, its executor's exception.
    """

    def __init__(
        self,
        program: KernelProgram[S],
        executor: Executor,
        journal: EventJournal,
        clock: Clock,
        run_ids: RunIdRule = RunIdRule(),
        *,
        snapshots: SnapshotStore | None = None,
        attempts: EventJournal | None = None,
        leases: Leases | None = None,
        continues: bool = True,
    ) -> None:
        self._program = program
        self._executor = executor
        self._journal = RememberingJournal(journal)
        self._clock = clock
        self._run_ids = run_ids
        self._leases = leases
        self._continues = continues
        self._snapshots = snapshots
        wanted = attempts if program.extensions.log_attempts else None
        self._attempts = None if wanted is None else JournalAttemptLog(wanted)
        self._starts = KnownRuns(program, self._journal, snapshots)
        self._log = EpisodeLog()
        self._effects: list[ProducedEffect] = []
        self._run_calls = 0
        self._waiting = _Waiting()
        self.last_error: BaseException | None = None

    def run(self, graph_id: str, event_id: str, context: Context, deadline: int | None) -> RunTermination:
        """One call for the run of an event (spec 40 §19.1). Always replaces the pending effects."""
        self._run_calls += 1
        self.last_error = None
        sink = EpisodeEffects(graph_id, event_id)
        ending = self._call(graph_id, event_id, context, deadline, sink)
        self._effects = sink.produced
        if ending.termination is not Outcome.COMPLETED:
            self.last_error = ending.error or self.last_error
        self._log.end(
            End(
                ending.termination,
                Raw(record_text(ending.status)),
                ending.state,
                None if ending.error is None else CallError.of(ending.error),
            ),
            ending.error if ending.error is not None and is_store_failure(ending.error) else None,
        )
        return ending.termination

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
        effects, self._effects = self._effects, []
        return effects

    def drain(self) -> list[Effect]:
        """Drain the same effects as values."""
        return [produced.effect for produced in self.drain_rendered()]

    def drain_journals(self) -> Sequence[EpisodeJournal]:
        """The records of all calls since the last drain, which were those of one episode."""
        if not self._run_ids.is_shared:
            self._starts.forget()
        return (self._log.drain(),)

    def waiting(self) -> WaitingRuns:
        """The runs that the last call for each left waiting."""
        return self._waiting.runs()

    def close(self, interrupted: bool) -> Sequence[EpisodeJournal]:
        """Record nothing: runs may stay blocked."""
        return ()

    def _call(
        self, graph_id: str, event_id: str, context: Context, deadline: int | None, sink: EpisodeEffects
    ) -> CallEnding:
        """Begin the records of a call, then make it."""
        moment = None if deadline is None else self._clock.monotonic_ns() + deadline
        payload = decode(context.payload) if context.payload else None
        turn = EventStep(payload, self._run_ids.is_shared, is_retry=not self._log.is_empty)
        try:
            run_id = self._run_ids.run_id(graph_id, event_id, payload)
        except KernelError as error:
            self._log.begin("")
            return CallEnding(Failed(ErrKind.VALIDATION_FAILED), error=error)
        if deadline == 0:
            self._log.begin(run_id)
            return CallEnding(Outcome.ABORTED)
        with ExitStack() as stack:
            try:
                stack.enter_context(driving(self._leases, run_id))
            except KernelError as error:
                self._log.begin(run_id)
                return CallEnding(termination_of_error(error), error=error)
            return self._driven(turn, run_id, payload, sink, moment)

    def _driven(
        self, turn: EventStep, run_id: str, payload: FreeValue, sink: EpisodeEffects, moment: int | None
    ) -> CallEnding:
        start = self._starts.start(run_id, payload)
        if not self._continues and start.prior is not None:
            refuse_done_run(self._journal, run_id)
        self._log.begin(run_id, start.head, start.prior, start.initial)
        if start.error is not None:
            return CallEnding(termination_of_error(start.error), error=start.error)
        return self._taken(turn, run_id, start.head, sink, moment)

    def _taken(self, turn: EventStep, run_id: str, head: int, sink: EpisodeEffects, moment: int | None) -> CallEnding:
        last = LastAttempt(self._attempts)
        kernel = self._program.kernel(
            self._journal,
            self._executor,
            snapshots=self._snapshots,
            effect_sink=sink,
            clock=self._clock,
            deadline=moment,
            attempts=last,
        )
        status, error = None, None
        try:
            status = turn.take(kernel, run_id, self._starts.initial(run_id))
            termination = termination_of_status(status, last.last)
        except KernelError as raised:
            termination, error = termination_of_error(raised), raised
        self._waiting.ended(run_id, status)
        records = self._journal.take().get(run_id, [])
        if isinstance(status, RunFailed):
            self.last_error = last.error or _reported(records, run_id)
        self._log.add(_RECORD % (seq, text.encode()) for seq, text in records)
        self._starts.advanced(run_id, head + len(records))
        return CallEnding(termination, status, error, self._state(kernel, run_id))

    def _state(self, kernel: Kernel[S], run_id: str) -> str | None:
        """The digest of the state that the run's log folds to; None if it cannot be folded."""
        try:
            return kernel.codec.digest(kernel.replay_from_snapshot(run_id, self._starts.initial(run_id)))
        except KernelError:
            return None


_NAMED = 100


class _Waiting:
    """The runs that wait; of ``_NAMED`` of them is known what for."""

    def __init__(self) -> None:
        self._named: dict[str, WaitingRun] = {}
        self._others: set[str] = set()

    def ended(self, run_id: str, status: RunStatus | None) -> None:
        """Remember how a call for a run ended."""
        self._named.pop(run_id, None)
        self._others.discard(run_id)
        if not isinstance(status, RunBlocked):
            return
        if len(self._named) >= _NAMED:
            self._others.add(run_id)
            return
        asked, signal = status.blocked.interrupt, status.blocked.wait_signal
        self._named[run_id] = WaitingRun(run_id, None if asked is None else wire.encode(asked.value), signal)

    def runs(self) -> WaitingRuns:
        """All of them."""
        return WaitingRuns(tuple(self._named.values()), len(self._others))


def _reported(records: Sequence[tuple[int, str]], run_id: str) -> KernelError | None:
    """The error that an executor returned: the last record of the log has its text."""
    if not records:
        return None
    seq, text = records[-1]
    event = decode_event(text.encode(), run_id, seq)
    if not isinstance(event, ActionFailed):
        return None
    return KernelError(Category.EXECUTOR, event.error, where=at(run_id, action_id=event.action_id))
