"""States of runs as the fold of recorded events: the reference replay (spec 40 §7, §19.3)."""

from __future__ import annotations

from typing import Generic, TypeVar

from msgspec import Struct

from ergo_cli.bundle.kernel_journals import KernelCall
from ergo_cli.programs.kernel.errors import driver_error
from ergo_cli.programs.kernel.kernel import Kernel
from ergo_cli.programs.kernel.reducers import fold
from ergo_cli.stores.snapshots import StoredSnapshot

S = TypeVar("S")


class Folds(Generic[S]):
    """Folds runs with a kernel's reducer; how far a run was folded before is remembered."""

    def __init__(self, kernel: Kernel[S]) -> None:
        self._kernel = kernel
        self._reducer = kernel.reducer
        self._codec = kernel.codec
        self._initials: dict[str, S] = {}
        self._reached: dict[str, tuple[int, S]] = {}

    def begin(self, run_id: str, state: S) -> S:
        """Remember the initial state of a run; returns a copy that may be spoilt."""
        self._initials[run_id] = state
        self._reached.pop(run_id, None)
        return self._codec.copy(state)

    def initial(self, run_id: str, call: KernelCall) -> S:
        """A copy of a run's initial state: the one remembered, else the recorded one.

        Raises KernelError for a recorded state that is none of the program's.
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
        """The hash of the state behind a call's recorded events.

        Raises KernelError: what the reducer raises, and for a state that is no canonical JSON.
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
        """Let go of all runs: none of them goes on."""
        self._initials.clear()
        self._reached.clear()

    def _is_portable(self, state: S) -> bool:
        """Whether a state is read back as it was written, and the drive writes states anyway."""
        return self._kernel.extensions.fold_first and not (self._kernel.state is None and isinstance(state, Struct))
