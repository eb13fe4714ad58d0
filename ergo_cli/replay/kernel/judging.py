"""Recorded calls made again by today's program, and what came out otherwise (spec 40 §19.3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.bundle.kernel_journals import KernelCall, KernelEpisode
from ergo_cli.core.effects import ProducedEffect
from ergo_cli.programs.kernel.divergence import Verdict as LogVerdict
from ergo_cli.programs.kernel.divergence import compare_logs
from ergo_cli.programs.kernel.endings import termination_of_error, termination_of_status
from ergo_cli.programs.kernel.episode_effects import EpisodeEffects
from ergo_cli.programs.kernel.errors import KernelError
from ergo_cli.programs.kernel.events import SequencedEvent
from ergo_cli.programs.kernel.program import KernelProgram
from ergo_cli.programs.kernel.redrive import redrive
from ergo_cli.programs.kernel.status import RunFailed, RunStatus
from ergo_cli.programs.kernel.stubs import no_execution
from ergo_cli.programs.kernel.turns import Turn
from ergo_cli.programs.kernel.wire import FreeValue
from ergo_cli.replay.kernel.differences import (
    JournalDifference,
    Spot,
    end_differences,
    log_difference,
    state_difference,
    termination_difference,
)
from ergo_cli.replay.kernel.endings import has_struck, recorded_ending
from ergo_cli.replay.kernel.folds import Folds
from ergo_cli.replay.paths import Member
from ergo_cli.stores.artifacts import artifact_id
from ergo_cli.stores.memory import MemoryJournal
from ergo_cli.supervisor.journals import CallError
from ergo_cli.supervisor.seam import ErrKind, Failed, Outcome, RunTermination

S = TypeVar("S")

_FAILURES = (Failed(ErrKind.NETWORK_TIMEOUT), Failed(ErrKind.SEMANTIC_ERROR))


class Occasion(Struct, frozen=True):
    """What a call was made for: the event whose episode it is, and the deadline in ns."""

    graph_id: str
    event_id: str
    payload: FreeValue
    deadline: int | None


class Verdict(Struct, frozen=True):
    """What a recorded call came to today.

    ``ended`` is the difference of its termination, ``differences`` holds all others. Where ``parted``, its records
    differ: how it ended is as recorded then, and its effects are unknown.
    """

    termination: RunTermination
    effects: Sequence[ProducedEffect] = ()
    differences: tuple[JournalDifference, ...] = ()
    ended: JournalDifference | None = None
    parted: bool = False


class _Made(Struct, frozen=True):
    """A call made again: what it wrote, whether that ``parts`` from the records, and how it ended."""

    termination: RunTermination
    written: Sequence[SequencedEvent] = ()
    parts: bool = False
    status: RunStatus | None = None
    error: KernelError | CallError | None = None
    effects: Sequence[ProducedEffect] = ()


class SideEffectReached(Exception):
    """Today's program was about to touch the world (``kernel.replay_side_effect``)."""

    def __init__(self, error: KernelError) -> None:
        super().__init__(str(error))
        self.error = error


class Judge(Generic[S]):
    """Judges the calls of one bundle, each on the *recorded* records before it, so that no difference spreads."""

    def __init__(self, program: KernelProgram[S]) -> None:
        self._program = program
        self._kernel = program.kernel(MemoryJournal(), no_execution)
        self._folds = Folds(self._kernel)

    def judge(self, episode: KernelEpisode, attempt: int, occasion: Occasion) -> Verdict:
        """Make the call of this attempt again. Raises SideEffectReached."""
        call = episode.calls[attempt]
        spot = Spot(episode.entry.index, episode.run_id, call)
        if not episode.run_id:
            return _compared(spot, _nothing_done(call, Failed(ErrKind.VALIDATION_FAILED), call.end.error))
        if occasion.deadline == 0:
            return _compared(spot, _nothing_done(call, Outcome.ABORTED, call.end.error))
        turn = Turn(occasion.payload, is_shared=_is_shared(episode, occasion), is_retry=attempt > 0)
        if not (turn.is_shared or turn.is_retry):
            self._folds.forget()
        try:
            initial = self._initial(spot, occasion.payload)
        except _OtherInitialState as other:
            return Verdict(call.end.termination, (), (other.difference,), parted=True)
        except KernelError as error:
            return _compared(spot, _nothing_done(call, termination_of_error(error), error))
        verdict = _compared(spot, self._made(spot, turn, initial, occasion))
        return replace(verdict, differences=(*verdict.differences, *self._fold(spot)))

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
            raise _OtherInitialState(spot, artifact_id(text), None)
        return self._folds.begin(spot.run_id, today)

    def _made(self, spot: Spot, turn: Turn, initial: S, occasion: Occasion) -> _Made:
        sink = EpisodeEffects(occasion.graph_id, occasion.event_id)
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
            raise SideEffectReached(again.error)
        termination, error = _termination(spot.call, again.status, again.error), again.error
        if again.error is not None and ending is not None and has_struck(ending, again.error):
            termination, error = spot.call.end.termination, spot.call.end.error
        parts = again.report.verdict is LogVerdict.DIVERGED
        return _Made(termination, again.written, parts, again.status, error, sink.produced)

    def _fold(self, spot: Spot) -> Iterator[JournalDifference]:
        """The state behind the recorded events, folded by today's reducer."""
        recorded, error = spot.call.end.state, None
        try:
            today = self._folds.digest(spot.run_id, spot.call)
        except KernelError as raised:
            today, error = None, raised
        if recorded != today:
            yield state_difference(spot, (*spot.end, Member("state")), spot.call.head, (recorded, today), error)


class _OtherInitialState(Exception):
    """Today's program begins the run otherwise."""

    def __init__(self, spot: Spot, today: str | None, error: KernelError | None) -> None:
        super().__init__()
        hashes = spot.call.begin.initial, today
        self.difference = state_difference(spot, (*spot.begin, Member("initial")), 0, hashes, error)


def _nothing_done(call: KernelCall, termination: RunTermination, error: KernelError | CallError | None) -> _Made:
    return _Made(termination, parts=bool(call.events), error=error)


def _compared(spot: Spot, made: _Made) -> Verdict:
    """The first record that differs; where none does, how the call ended."""
    call = spot.call
    if made.parts:
        before = call.before
        report = compare_logs(spot.run_id, [*before, *call.events], [*before, *made.written])
        return Verdict(call.end.termination, (), (log_difference(spot, report, made.error),), parted=True)
    return Verdict(
        made.termination,
        made.effects,
        tuple(end_differences(spot, (call.status, call.end.error), (made.status, made.error))),
        termination_difference(spot, made.termination),
    )


def _termination(call: KernelCall, status: RunStatus | None, error: KernelError | None) -> RunTermination:
    """How the call ended; of a failed action the recorded kind of error, since the log keeps only its text."""
    if error is not None:
        return termination_of_error(error)
    if status is None or (isinstance(status, RunFailed) and call.end.termination in _FAILURES):
        return call.end.termination
    return termination_of_status(status, None)


def _is_shared(episode: KernelEpisode, occasion: Occasion) -> bool:
    """Whether the run may belong to several events: it is not named after this one (spec 00 §13.2)."""
    return episode.run_id != f"{occasion.graph_id}/{occasion.event_id}"
