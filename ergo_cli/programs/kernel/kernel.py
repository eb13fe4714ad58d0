"""The kernel: the collaborators of a program's runs, and what can be done with them (spec 40 §4–5)."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from msgspec import Struct

from ergo_cli.core.clock import Clock, StandingClock
from ergo_cli.programs.kernel.actions import Executor
from ergo_cli.programs.kernel.attempts import AttemptLog
from ergo_cli.programs.kernel.driver import Answer, Drive
from ergo_cli.programs.kernel.effects import EffectSink
from ergo_cli.programs.kernel.errors import at, driver_error
from ergo_cli.programs.kernel.events import ActionSucceeded, Resumed
from ergo_cli.programs.kernel.extensions import Extensions
from ergo_cli.programs.kernel.guard import DeterminismGuard
from ergo_cli.programs.kernel.lifecycle import LogEnd, end_of_log
from ergo_cli.programs.kernel.limits import Limits
from ergo_cli.programs.kernel.modes import KernelMode
from ergo_cli.programs.kernel.policy import AllowAll, Policy
from ergo_cli.programs.kernel.reducers import Reducer
from ergo_cli.programs.kernel.replaying import ReplayCursor
from ergo_cli.programs.kernel.run_log import RunLog
from ergo_cli.programs.kernel.signals import ResumeSignal, Signal
from ergo_cli.programs.kernel.snapshotting import Snapshots
from ergo_cli.programs.kernel.state import StateCodec
from ergo_cli.programs.kernel.status import RunStatus
from ergo_cli.programs.kernel.steps import Step
from ergo_cli.programs.kernel.stubs import complete_at_once, no_execution
from ergo_cli.programs.kernel.timeline import RunTimeline, run_timeline
from ergo_cli.programs.kernel.waits import open_request, unexpected_signal
from ergo_cli.stores.journals import EventJournal
from ergo_cli.stores.snapshots import SnapshotStore

S = TypeVar("S")


class Kernel(Struct, Generic[S], frozen=True, kw_only=True):
    """Drives and replays runs. It holds no run state: one kernel may drive many runs.

    ``state`` is the type of the states (None: JSON values), ``deadline`` a moment on ``clock``'s monotonic
    nanoseconds. Without ``limits`` nothing bounds a call but the deadline.
    """

    journal: EventJournal
    reducer: Reducer[S]
    step: Step[S] = complete_at_once
    executor: Executor = no_execution
    state: Any = None
    policy: Policy = AllowAll()
    snapshots: SnapshotStore | None = None
    effect_sink: EffectSink | None = None
    mode: KernelMode = KernelMode.NORMAL
    clock: Clock = StandingClock()
    deadline: int | None = None
    limits: Limits | None = None
    extensions: Extensions = Extensions()
    attempts: AttemptLog | None = None

    def run_until_blocked(self, run_id: str, initial_state: S, *, strict: bool = False) -> RunStatus:
        """Drive a run from where its log ends until it blocks, fails or is done.

        Raises KernelError; ``kernel.already_completed`` for a run that is done only if ``strict``.
        """
        if strict and self.log_end(run_id).is_completed:
            raise driver_error("the run is already completed", code="kernel.already_completed", where=at(run_id))
        return Drive(self, run_id).run(initial_state)

    def resume(self, run_id: str, initial_state: S, signal: ResumeSignal, *, strict: bool = True) -> RunStatus:
        """Give a blocked run what it waits for, and drive it on.

        Raises KernelError ``kernel.not_blocked`` for a run that does not wait, unless ``strict`` is off;
        ``kernel.signal_unexpected`` for another signal than the one awaited.
        """
        end = self.log_end(run_id)
        answer = self._answer(run_id, end, signal, strict=strict)
        return Drive(self, run_id).run(initial_state, Answer(answer, end.head))

    def replay(self, run_id: str, initial_state: S) -> S:
        """The state that the whole log folds to. Reads nothing but events, calls nothing but the reducer."""
        return self.cursor.replay(run_id, initial_state)

    def replay_from_snapshot(self, run_id: str, initial_state: S) -> S:
        """The same state, from the latest snapshot if there is one. Writes none."""
        return self.cursor.replay_from_checkpoint(run_id, initial_state)

    def run_timeline(self, run_id: str) -> RunTimeline:
        """What happened in a run, event by event."""
        return run_timeline(self.journal, run_id)

    def log_end(self, run_id: str) -> LogEnd:
        """Where a run's log ends."""
        return end_of_log(RunLog(self.journal, run_id))

    def determinism_guard(self) -> DeterminismGuard:
        """A guard for this kernel's mode."""
        return DeterminismGuard(self.mode)

    @property
    def codec(self) -> StateCodec[S]:
        """Writes and reads this kernel's states."""
        return StateCodec(self.state, self.extensions.state_version)

    @property
    def cursor(self) -> ReplayCursor[S]:
        """Replay without any means to act."""
        return ReplayCursor(self.journal, self.reducer, self.snapshots, self.codec)

    def snapshots_of(self, run_id: str) -> Snapshots[S] | None:
        """The snapshots of a run, if this kernel keeps any."""
        if self.snapshots is None:
            return None
        return Snapshots(self.snapshots, run_id, self.codec, self.extensions.cadence)

    def _answer(self, run_id: str, end: LogEnd, signal: ResumeSignal, *, strict: bool) -> Resumed | ActionSucceeded:
        """The event that a signal becomes."""
        if self.extensions.built_in_waits:
            request = open_request(end.last, run_id)
            if request is not None and request.awaited_signal is not None:
                return request.answered_by(signal, run_id)
            if isinstance(signal, Signal):
                raise unexpected_signal(f"the run does not wait for signal '{signal.name}'", run_id)
        if strict and not end.is_interrupted:
            raise driver_error("the run is not blocked", code="kernel.not_blocked", where=at(run_id))
        return Resumed(signal.value)
