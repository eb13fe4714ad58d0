"""Kernel programs as users write them, and the kernel that drives their runs (spec 00 §13.2, spec 40 §4–5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from msgspec import Struct

from ergo_cli.core.time import Clock, StandingClock
from ergo_cli.core.wire import FreeValue
from ergo_cli.errors import described
from ergo_cli.programs.kernel.engine.actions import (
    EffectSink,
    Executor,
    ResumeSignal,
    Signal,
    Step,
    open_request,
    unexpected_signal,
)
from ergo_cli.programs.kernel.engine.driver import Answer, Collaborators, Drive
from ergo_cli.programs.kernel.engine.errors import KernelError, at, driver_error
from ergo_cli.programs.kernel.engine.events import ActionSucceeded, LogEnd, Resumed, RunLog, RunStatus, end_of_log
from ergo_cli.programs.kernel.engine.options import DeterminismGuard, Extensions, KernelMode
from ergo_cli.programs.kernel.engine.policy import AllowAll, AttemptLog, Limits, Policy
from ergo_cli.programs.kernel.engine.state import (
    Reducer,
    ReplayCursor,
    StateCodec,
    StateUpdatedOnly,
    state_updated_only,
)
from ergo_cli.programs.kernel.runs.timeline import RunTimeline, run_timeline
from ergo_cli.stores.journals import EventJournal, SnapshotStore

S = TypeVar("S")


class Kernel(Collaborators[S], frozen=True, kw_only=True):
    """Drives and replays runs. It holds no run state: one kernel may drive many runs.

    Its fields are those of Collaborators.
    """

    def run_until_blocked(self, run_id: str, initial_state: S, *, strict: bool = False) -> RunStatus:
        """Drive a run from where its log ends until it blocks, fails or is done.

        Raises KernelError; ``kernel.already_completed`` for a run that is done only if ``strict``.
        """
        if strict and self.log_end(run_id).is_completed:
            raise driver_error("the run is already completed", code="kernel.already_completed", where=at(run_id))
        return Drive(self, run_id).run(initial_state)

    def resume(self, run_id: str, initial_state: S, signal: ResumeSignal, *, strict: bool = True) -> RunStatus:
        """Give a blocked run the answer it waits for, and drive it on.

        Raises KernelError ``kernel.not_blocked`` for a run that does not wait, unless ``strict`` is off;
        ``kernel.signal_unexpected`` for another signal than the one awaited.
        """
        end = self.log_end(run_id)
        answer = self._answer(run_id, end, signal, strict=strict)
        return Drive(self, run_id).run(initial_state, Answer(answer, end.head))

    def replay(self, run_id: str, initial_state: S) -> S:
        """The fold of the whole log. Reads only events, calls only the reducer."""
        return self.cursor.replay(run_id, initial_state)

    def replay_from_snapshot(self, run_id: str, initial_state: S) -> S:
        """The same state, folded from the latest snapshot if there is one. Writes nothing."""
        return self.cursor.replay_from_checkpoint(run_id, initial_state)

    def run_timeline(self, run_id: str) -> RunTimeline:
        """The events of a run, and the status they lead to."""
        return run_timeline(self.journal, run_id)

    def log_end(self, run_id: str) -> LogEnd:
        """The end of a run's log."""
        return end_of_log(RunLog(self.journal, run_id))

    def determinism_guard(self) -> DeterminismGuard:
        """A guard for this kernel's mode."""
        return DeterminismGuard(self.mode)

    @property
    def cursor(self) -> ReplayCursor[S]:
        """Replay without any means to act."""
        return ReplayCursor(self.journal, self.reducer, self.snapshots, self.codec)

    def _answer(self, run_id: str, end: LogEnd, signal: ResumeSignal, *, strict: bool) -> Resumed | ActionSucceeded:
        """The event that records a signal."""
        if self.extensions.built_in_waits:
            request = open_request(end.last, run_id)
            if request is not None and request.awaited_signal is not None:
                return request.answered_by(signal, run_id)
            if isinstance(signal, Signal):
                raise unexpected_signal(f"the run does not wait for signal '{signal.name}'", run_id)
        if strict and not end.is_interrupted:
            raise driver_error("the run is not blocked", code="kernel.not_blocked", where=at(run_id))
        return Resumed(signal.value)


class KernelProgram(Struct, Generic[S], frozen=True):
    """An agent or a workflow as a step function; its class identifies the kind of program.

    ``initial_state(payload)`` makes the first state of a run from an event's payload. ``execute`` executes the
    actions: a callable, or ``"module:attribute"``, which only live runs import. ``state`` is the type of the states;
    without it they are plain JSON values. Events are folded before they are appended, unless ``extensions`` say
    otherwise.
    """

    name: str
    initial_state: Callable[[FreeValue], S]
    step: Step[S]
    execute: Executor | str
    reduce: Reducer[S] = state_updated_only
    policy: Policy = AllowAll()
    state: Any = None
    version: str = "0"
    limits: Limits = Limits()
    extensions: Extensions = Extensions(fold_first=True)

    @property
    def graph_id(self) -> str:
        """The name that bundles record as their graph id."""
        return self.name

    def first_state(self, payload: FreeValue) -> S:
        """The first state for a payload. Wraps exceptions of ``initial_state`` as KernelError."""
        try:
            return self.initial_state(payload)
        except KernelError:
            raise
        except (Exception, SystemExit) as error:
            raise driver_error(f"initial_state: {described(error)}") from error

    @property
    def codec(self) -> StateCodec[S]:
        """Writes and reads the states of this program."""
        return StateCodec(self.state, self.extensions.state_version)

    def kernel(
        self,
        journal: EventJournal,
        executor: Executor,
        *,
        snapshots: SnapshotStore | None = None,
        effect_sink: EffectSink | None = None,
        mode: KernelMode = KernelMode.NORMAL,
        clock: Clock = StandingClock(),
        deadline: int | None = None,
        attempts: AttemptLog | None = None,
    ) -> Kernel[S]:
        """The kernel that drives this program's runs in a journal; ``executor`` is the resolved ``execute``."""
        declared_only = self.reduce is state_updated_only
        return Kernel(
            journal=journal,
            reducer=StateUpdatedOnly(self.state) if declared_only else self.reduce,
            step=self.step,
            executor=executor,
            state=self.state,
            policy=self.policy,
            snapshots=snapshots,
            effect_sink=effect_sink,
            mode=mode,
            clock=clock,
            deadline=deadline,
            limits=self.limits,
            extensions=self.extensions,
            attempts=attempts,
        )
