"""How a call of the driver can end (spec 40 §3.8)."""

from __future__ import annotations

from msgspec import Struct

from ergo_cli.programs.kernel.wire import FreeValue


class InterruptInfo(Struct, frozen=True):
    """What an interrupted run asks for."""

    value: FreeValue


class BlockedInfo(Struct, frozen=True):
    """What a blocked run waits for: a resumption, or (only with built-in waits) a signal of this name."""

    interrupt: InterruptInfo | None = None
    wait_signal: str | None = None


class RunCompleted(Struct, frozen=True, tag_field="status", tag="Completed"):
    """The step function answered Complete: ``{"status":"Completed"}``."""


class RunBlocked(Struct, frozen=True, tag_field="status", tag="Blocked"):
    """The run waits: ``{"status":"Blocked","blocked":{…}}``."""

    blocked: BlockedInfo


class RunFailed(Struct, frozen=True, tag_field="status", tag="Failed"):
    """An action failed for good: ``{"status":"Failed","recoverable":false}``."""

    recoverable: bool = False


RunStatus = RunCompleted | RunBlocked | RunFailed
