"""Whether a run may touch the world, and what the driver does beyond its original (spec 40 §3.12, §8, §20)."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from ergo_cli.programs.kernel.engine.errors import driver_error
from ergo_cli.programs.kernel.engine.state import SnapshotCadence


class KernelMode(Enum):
    """The use of a kernel. Replay and Verify refuse every source of nondeterminism and every live executor."""

    NORMAL = "Normal"
    RECORD = "Record"
    REPLAY = "Replay"
    VERIFY = "Verify"

    def __init__(self, name: str) -> None:
        # An attribute rather than a property: read for every action.
        self.traps_nondeterminism = name in ("Replay", "Verify")
        """Whether clocks, randomness, threads and live executors are refused."""


class DeterministicMode(Enum):
    """The same choice as two values."""

    DETERMINISTIC = "Deterministic"
    LIVE = "Live"

    @property
    def traps_nondeterminism(self) -> bool:
        """Whether clocks, randomness and threads are refused."""
        return self is DeterministicMode.DETERMINISTIC

    @property
    def kernel_mode(self) -> KernelMode:
        """The mode of a kernel that corresponds to it."""
        return KernelMode.REPLAY if self.traps_nondeterminism else KernelMode.NORMAL


class DeterminismGuard(Struct, frozen=True):
    """Refuses, in Replay and Verify, what a recorded run could not repeat. Ask it before the operation."""

    mode: KernelMode

    def check_clock_access(self) -> None:
        """Raise KernelError if the mode forbids reading a clock."""
        self._check("clock access")

    def check_random_access(self) -> None:
        """Raise KernelError if the mode forbids drawing randomness."""
        self._check("hardware randomness")

    def check_spawn_access(self) -> None:
        """Raise KernelError if the mode forbids starting a thread."""
        self._check("thread spawn")

    def _check(self, what: str) -> None:
        if self.mode.traps_nondeterminism:
            raise driver_error(f"{what} not allowed in Replay/Verify mode (determinism guard)")


class OnOrphan(Enum):
    """What the driver does with a request without result at the end of the log, left by a crash or a deadline."""

    REEXECUTE = "reexecute"
    """Ask the step function again, which usually makes a new request: at-least-once, as the original."""

    COMPLETE = "complete"
    """Execute the recorded action under its own id: the log becomes what it would be without the crash."""

    LOOKUP = "lookup"
    """Ask the executor by ``lookup(action_id)``; complete a request that it does not know."""

    FAIL = "fail"
    """Append an ActionFailed; the run fails."""


class Extensions(Struct, frozen=True, kw_only=True):
    """Options of a program; the defaults are the original's behaviour.

    ``fold_first``: fold events into a copy of the state before they are appended. ``built_in_waits``: the driver itself
    sleeps, and blocks for signals. ``cadence``: when to take snapshots. ``state_version``: raise it when the form of
    the states changes, so that older snapshots are refused. ``log_attempts``: keep failed tries in the store, beside
    the log.
    """

    fold_first: bool = False
    built_in_waits: bool = False
    on_orphan: OnOrphan = OnOrphan.REEXECUTE
    cadence: SnapshotCadence = SnapshotCadence()
    state_version: int = 0
    log_attempts: bool = False
