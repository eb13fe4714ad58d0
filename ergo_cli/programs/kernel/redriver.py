"""Make recorded calls again with today's program and compare the results (spec 40 §19.3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.json import Member
from ergo_cli.core.values import ProducedEffect
from ergo_cli.core.wire import FreeValue
from ergo_cli.programs.kernel.calls import EpisodeEffects, EventStep, termination_of_error, termination_of_status
from ergo_cli.programs.kernel.differences import (
    Spot,
    end_differences,
    log_difference,
    made_by_step,
    state_difference,
    termination_difference,
)
from ergo_cli.programs.kernel.engine.actions import no_execution
from ergo_cli.programs.kernel.engine.errors import KernelError, driver_error
from ergo_cli.programs.kernel.engine.events import RunFailed, RunStatus, SequencedEvent
from ergo_cli.programs.kernel.engine.state import fold
from ergo_cli.programs.kernel.history import History
from ergo_cli.programs.kernel.program import Kernel, KernelProgram
from ergo_cli.programs.kernel.recorded import KernelCall, KernelEpisode, has_struck, recorded_ending
from ergo_cli.programs.kernel.replay.divergence import LogVerdict, compare_logs
from ergo_cli.programs.kernel.replay.redrive import redrive
from ergo_cli.programs.kind import SideEffectReached
from ergo_cli.programs.recorded import JournalDifference
from ergo_cli.stores.artifacts import artifact_id
from ergo_cli.stores.journals import StoredSnapshot
from ergo_cli.stores.memory import MemoryJournal
from ergo_cli.supervisor.journals import CallError
from ergo_cli.supervisor.seam import ErrKind, Failed, Outcome, RunTermination

S = TypeVar("S")

_MOST_EXPLAINED = 20
"""How many differences of a bundle come with the states around them."""

_MOST_FOLDED = 20_000
"""How many records are folded for that."""

_FAILURES = (Failed(ErrKind.NETWORK_TIMEOUT), Failed(ErrKind.SEMANTIC_ERROR))


class CallContext(Struct, frozen=True):
    """The context of a call: the event of its episode, and the deadline in ns."""

    graph_id: str
    event_id: str
    payload: FreeValue
    deadline: int | None


class Verdict(Struct, frozen=True):
    """The result of making a recorded call again.

    ``ended`` is the difference of its termination, ``differences`` holds all others. If ``parted``, its records
    differ: its termination is the recorded one, and its effects are unknown. ``error`` is what ended it today, if that
    is not what ended it when it was recorded, and ``today`` the termination that this error gives it.
    """

    termination: RunTermination
    effects: Sequence[ProducedEffect] = ()
    differences: tuple[JournalDifference, ...] = ()
    ended: JournalDifference | None = None
    parted: bool = False
    error: BaseException | None = None
    today: RunTermination | None = None


class _Made(Struct, frozen=True):
    """A call made again: what it wrote, whether that ``parts`` from the records, and how it ended."""

    termination: RunTermination
    written: Sequence[SequencedEvent] = ()
    parts: bool = False
    status: RunStatus | None = None
    error: KernelError | CallError | None = None
    effects: Sequence[ProducedEffect] = ()


class Redriver(Generic[S]):
    """Redrivers the calls of one bundle, each on the *recorded* records before it, so that no difference spreads."""

    def __init__(self, program: KernelProgram[S]) -> None:
        self._program = program
        self._kernel = program.kernel(MemoryJournal(), no_execution)
        self._folds = Folds(self._kernel)
        self._differences = 0
        self._folded = 0

    def judge(self, episode: KernelEpisode, attempt: int, context: CallContext) -> Verdict:
        """Make the call of this attempt again. Raises SideEffectReached."""
        call = episode.calls[attempt]
        spot = Spot(episode.entry.index, episode.run_id, call)
        if not episode.run_id:
            return _compared(spot, _nothing_done(call, Failed(ErrKind.VALIDATION_FAILED), call.end.error))
        if context.deadline == 0:
            return _compared(spot, _nothing_done(call, Outcome.ABORTED, call.end.error))
        turn = EventStep(context.payload, is_shared=_is_shared(episode, context), is_retry=attempt > 0)
        if not (turn.is_shared or turn.is_retry):
            self._folds.forget()
        try:
            initial = self._initial(spot, context.payload)
        except _OtherInitialState as other:
            return Verdict(call.end.termination, (), (other.difference,), parted=True)
        except KernelError as error:
            return _compared(spot, _nothing_done(call, termination_of_error(error), error))
        verdict = _compared(spot, self._made(spot, turn, initial, context))
        differences = (*verdict.differences, *self._fold(spot))
        return replace(verdict, differences=tuple(self._with_states(spot, each) for each in differences))

    def _initial(self, spot: Spot, payload: FreeValue) -> S:
        """The initial state of the call's run: at its first call what today's program makes of the payload.

        Raises KernelError where it makes none, as it did; _OtherInitialState where it is not the recorded one.
        """
        call = spot.call
        if call.initial is not None and (call.begin.initial is None or call.begin.head):
            return self._folds.initial(spot.run_id, call)
        try:
            today = self._program.first_state(payload)
            text = self._kernel.codec.encode(today)
        except KernelError as error:
            if call.initial is None:
                raise
            raise _OtherInitialState(spot, None, error) from error
        if text != call.initial:
            raise _OtherInitialState(spot, text, None)
        return self._folds.begin(spot.run_id, today)

    def _made(self, spot: Spot, turn: EventStep, initial: S, context: CallContext) -> _Made:
        sink = EpisodeEffects(context.graph_id, context.event_id)
        ending = recorded_ending(spot.call)
        again = redrive(
            replace(self._kernel, effect_sink=sink),
            spot.run_id,
            lambda kernel: turn.take(kernel, spot.run_id, initial),
            spot.call.events,
            prior=spot.call.before,
            standing=self._folds.standing(spot.run_id, spot.call),
            ending=ending,
        )
        if again.error is not None and again.error.code == "kernel.replay_side_effect":
            raise SideEffectReached(again.error.code, again.error.message)
        termination, error = _termination(spot.call, again.status, again.error), again.error
        if again.error is not None and ending is not None and has_struck(ending, again.error):
            termination, error = spot.call.end.termination, spot.call.end.error
        parts = again.report.verdict is LogVerdict.DIVERGED
        return _Made(termination, again.written, parts, again.status, error, sink.produced)

    def _fold(self, spot: Spot) -> Iterator[JournalDifference]:
        """Compare the recorded state with the fold of the recorded events by today's reducer."""
        recorded, error = spot.call.end.state, None
        try:
            today = self._folds.digest(spot.run_id, spot.call)
        except KernelError as raised:
            today, error = None, raised
        if recorded != today:
            yield state_difference(spot, (*spot.end, Member("state")), spot.call.head, (recorded, today), error)

    def _with_states(self, spot: Spot, difference: JournalDifference) -> JournalDifference:
        """A difference with the states around it; of the first alone, since each run is folded from its beginning."""
        log, call = difference.log, spot.call
        if log is None or self._differences >= _MOST_EXPLAINED or self._folded + call.head > _MOST_FOLDED:
            return difference
        self._differences += 1
        self._folded += call.head
        run = History(self._kernel, spot.run_id, call.initial, [*call.before, *call.events])
        if log.lines == (None, None):
            states = tuple(run.texts[call.begin.head :]) if len(run.texts) > call.head else ()
            return replace(difference, log=replace(log, states=states))
        seen = run.seen(log.first_divergent_seq) if made_by_step(log.actual) or made_by_step(log.expected) else ()
        return replace(difference, log=replace(log, before=seen))


class _OtherInitialState(Exception):
    """Today's program begins the run with another initial state."""

    def __init__(self, spot: Spot, today: bytes | None, error: KernelError | None) -> None:
        super().__init__()
        hashes = spot.call.begin.initial, None if today is None else artifact_id(today)
        texts = spot.call.initial, today
        at = (*spot.begin, Member("initial"))
        self.difference = state_difference(spot, at, 0, hashes, error, texts, is_compared_on=False)


def _nothing_done(call: KernelCall, termination: RunTermination, error: KernelError | CallError | None) -> _Made:
    return _Made(termination, parts=bool(call.events), error=error)


def _compared(spot: Spot, made: _Made) -> Verdict:
    """Compare the records of a call; if they are equal, compare its termination."""
    call = spot.call
    if made.parts:
        before = call.before
        report = compare_logs(spot.run_id, [*before, *call.events], [*before, *made.written])
        difference = log_difference(spot, report, made.error)
        failed = _exception(made)
        today = None if failed is None else made.termination
        return Verdict(call.end.termination, (), (difference,), parted=True, error=failed, today=today)
    differences = tuple(end_differences(spot, (call.status, call.end.error), (made.status, made.error)))
    ended = termination_difference(spot, made.termination)
    error = None if ended is None and not differences else _exception(made)
    return Verdict(made.termination, made.effects, differences, ended, error=error)


def _exception(made: _Made) -> KernelError | None:
    """The error that today's code raised; a recorded one has no code behind it."""
    return made.error if isinstance(made.error, KernelError) else None


def _termination(call: KernelCall, status: RunStatus | None, error: KernelError | None) -> RunTermination:
    """How the call ended; of a failed action the recorded kind of error, since the log keeps only its text."""
    if error is not None:
        return termination_of_error(error)
    if status is None or (isinstance(status, RunFailed) and call.end.termination in _FAILURES):
        return call.end.termination
    return termination_of_status(status, None)


def _is_shared(episode: KernelEpisode, context: CallContext) -> bool:
    """Whether the run may belong to several events: it is not named after this one (spec 00 §13.2)."""
    return episode.run_id != f"{context.graph_id}/{context.event_id}"


class Folds(Generic[S]):
    """Folds runs with a kernel's reducer, continuing from the last fold of each."""

    def __init__(self, kernel: Kernel[S]) -> None:
        self._kernel = kernel
        self._reducer = kernel.reducer
        self._codec = kernel.codec
        self._initials: dict[str, S] = {}
        self._reached: dict[str, tuple[int, S]] = {}

    def begin(self, run_id: str, state: S) -> S:
        """Remember the initial state of a run; returns a copy that may be changed."""
        self._initials[run_id] = state
        self._reached.pop(run_id, None)
        return self._codec.copy(state)

    def initial(self, run_id: str, call: KernelCall) -> S:
        """A copy of a run's initial state: the one remembered, else the recorded one.

        Raises KernelError for a recorded state that is not a state of the program.
        """
        if run_id not in self._initials:
            assert call.initial is not None
            try:
                self._initials[run_id] = self._codec.decode(call.initial)
            except ValueError as error:
                raise driver_error(f"the recorded initial state is none of today's program: {error}") from error
        return self._codec.copy(self._initials[run_id])

    def standing(self, run_id: str, call: KernelCall) -> StoredSnapshot | None:
        """The state before a call, if it was folded already and can be handed on as text."""
        head, state = self._reached.get(run_id, (0, None))
        if state is None or head != call.begin.head or not self._is_portable(state):
            return None
        return StoredSnapshot(run_id, head, self._codec.encode(state).decode(), self._codec.version)

    def digest(self, run_id: str, call: KernelCall) -> str:
        """The hash of the state after a call's recorded events.

        Raises KernelError: what the reducer raises, and for a state that is not canonical JSON.
        """
        head, state = self._reached.pop(run_id, (0, None))
        events = call.events
        if state is None or head != call.begin.head:
            state, events = self.initial(run_id, call), [*call.before, *call.events]
        state = fold(self._reducer, self._codec.copy(state), events, run_id)
        digest = self._codec.digest(state)
        self._reached[run_id] = (call.head, state)
        return digest

    def forget(self) -> None:
        """Forget all runs."""
        self._initials.clear()
        self._reached.clear()

    def _is_portable(self, state: S) -> bool:
        """Whether a state is read back as it was written, and the drive writes states anyway."""
        return self._kernel.extensions.fold_first and not (self._kernel.state is None and isinstance(state, Struct))
