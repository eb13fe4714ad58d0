"""What a user writes: a kernel program (spec 00 §13.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from msgspec import Struct

from ergo_cli.core.clock import Clock, StandingClock
from ergo_cli.programs.kernel.actions import Executor
from ergo_cli.programs.kernel.attempts import AttemptLog
from ergo_cli.programs.kernel.effects import EffectSink
from ergo_cli.programs.kernel.errors import KernelError, driver_error, spelled
from ergo_cli.programs.kernel.extensions import Extensions
from ergo_cli.programs.kernel.kernel import Kernel
from ergo_cli.programs.kernel.limits import Limits
from ergo_cli.programs.kernel.modes import KernelMode
from ergo_cli.programs.kernel.policy import AllowAll, Policy
from ergo_cli.programs.kernel.reducers import Reducer, StateUpdatedOnly, state_updated_only
from ergo_cli.programs.kernel.state import StateCodec
from ergo_cli.programs.kernel.steps import Step
from ergo_cli.programs.kernel.wire import FreeValue
from ergo_cli.stores.journals import EventJournal
from ergo_cli.stores.snapshots import SnapshotStore

S = TypeVar("S")


class KernelProgram(Struct, Generic[S], frozen=True):
    """An agent or a workflow as a step function; its class tells the kind of program.

    ``initial_state(payload)`` makes the first state of a run from an event's payload. ``execute`` does the actions:
    a callable, or ``"module:attribute"``, which only live runs import. ``state`` is the type of the states, without
    which they are plain JSON values. Events are folded before they are appended, unless ``extensions`` say otherwise.
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

    def first_state(self, payload: FreeValue) -> S:
        """The initial state for a payload. Raises KernelError for whatever the user's function raises."""
        try:
            return self.initial_state(payload)
        except KernelError:
            raise
        except Exception as error:
            raise driver_error(f"initial_state: {spelled(error)}") from error

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
        """The kernel that drives this program's runs in a journal; ``executor`` is ``execute`` once it is found."""
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
