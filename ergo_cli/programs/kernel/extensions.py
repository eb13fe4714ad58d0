"""What the driver does beyond its original, where a program asks for it (spec 40 §20)."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from ergo_cli.programs.kernel.snapshotting import SnapshotCadence


class OnOrphan(Enum):
    """What becomes of a request at the end of the log that has no result: a crash, or a passed deadline, left it."""

    REEXECUTE = "reexecute"
    """The step function is asked anew and, as a rule, makes a new request: at least once, as the original."""

    COMPLETE = "complete"
    """The recorded action is executed under its own id: the log ends up as if there had been no crash."""

    LOOKUP = "lookup"
    """The executor is asked by ``lookup(action_id)``; what it does not know is completed."""

    FAIL = "fail"
    """The request gets an ActionFailed, and the run fails."""


class Extensions(Struct, frozen=True, kw_only=True):
    """Choices of a program; the defaults are the original's behaviour.

    ``fold_first``: events are folded into a copy of the state before they are appended. ``built_in_waits``: the
    driver itself sleeps, and blocks for signals. ``cadence``: when snapshots are taken. ``state_version``: to be raised
    when the form of the states changes, so that no older snapshot is taken for a state of today. ``log_attempts``:
    failed tries are kept in the store, beside the log.
    """

    fold_first: bool = False
    built_in_waits: bool = False
    on_orphan: OnOrphan = OnOrphan.REEXECUTE
    cadence: SnapshotCadence = SnapshotCadence()
    state_version: int = 0
    log_attempts: bool = False
