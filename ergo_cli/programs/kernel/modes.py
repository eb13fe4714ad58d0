"""Whether a run may touch the world (spec 40 §3.12)."""

from __future__ import annotations

from enum import Enum


class KernelMode(Enum):
    """What a kernel is for. Replay and Verify trap every source of nondeterminism and every live executor."""

    NORMAL = "Normal"
    RECORD = "Record"
    REPLAY = "Replay"
    VERIFY = "Verify"

    @property
    def traps_nondeterminism(self) -> bool:
        """Whether clocks, randomness, threads and live executors are out of bounds."""
        return self in (KernelMode.REPLAY, KernelMode.VERIFY)


class DeterministicMode(Enum):
    """The same choice in two words."""

    DETERMINISTIC = "Deterministic"
    LIVE = "Live"

    @property
    def traps_nondeterminism(self) -> bool:
        """Whether clocks, randomness and threads are out of bounds."""
        return self is DeterministicMode.DETERMINISTIC

    @property
    def kernel_mode(self) -> KernelMode:
        """The mode of a kernel that corresponds to it."""
        return KernelMode.REPLAY if self.traps_nondeterminism else KernelMode.NORMAL
