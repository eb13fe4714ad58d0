"""Errors of a kernel run: six categories with their text prefixes, and the product's codes (spec 40 §3.5, §15).

::

    KernelError        kernel.*: a run cannot go on; ``category`` names the part that refused
    ├── ActionError    kernel.executor: what an executor raises, with the kind that policies act on
    └── InterruptError kernel.interrupt: an interrupt or suspension in the wrong state, or without a handler

``str(error)`` is prefix and text, the form that ``ActionFailed`` events keep.
"""

from __future__ import annotations

from enum import Enum
from typing import Self

from msgspec import Struct

from ergo_cli.errors import ErgoError


class Category(Enum):
    """The part of a kernel that refused, with its text prefix and default code."""

    EVENT_STORE = ("EventStore error: ", "kernel.event_store")
    SNAPSHOT_STORE = ("SnapshotStore error: ", "kernel.snapshot_store")
    REDUCER = ("Reducer error: ", "kernel.reducer")
    POLICY = ("Policy error: ", "kernel.policy")
    DRIVER = ("Driver error: ", "kernel.driver")
    EXECUTOR = ("Executor: ", "kernel.executor")

    @property
    def prefix(self) -> str:
        """The prefix of the text form."""
        return self.value[0]

    @property
    def code(self) -> str:
        """The code of an error without a more specific one."""
        return self.value[1]


_FIXES = {
    "kernel.event_store": "look at the store and the event that `where` names",
    "kernel.snapshot_store": "look at the snapshot store; snapshots may be dropped, they only shorten replay",
    "kernel.reducer": "mend `reduce` so that it takes every event of the run",
    "kernel.policy": "let the policy allow the action, or let the step function ask for another",
    "kernel.driver": "mend the step function or the executor that the message names",
    "kernel.executor": "look at what the executor talks to, then run again",
    "kernel.seq_conflict": "another process drives this run: wait until it is done, then run again",
    "kernel.run_busy": "wait until the process that the message names is done, or end it",
    "kernel.not_cancellable": "end the process that drives it, or give the run an answer that completes it",
    "kernel.not_blocked": "resume only a run that waits, or use --force (strict=False in Python)",
    "kernel.already_completed": "start a run with another id",
    "kernel.replay_side_effect": "give replay an executor that answers from records",
    "kernel.budget_exceeded": "raise the limit, or let the program do with less",
    "kernel.step_limit": "let the step function make progress, or raise the limit in Limits()",
    "kernel.snapshot_ahead": "drop the run's snapshots: its state is folded anew from the log",
    "kernel.schema_version": "drop the run's snapshots: its state is folded anew from the log",
    "kernel.corrupt_log": "restore the run from a copy, or fork it before the event that `where` names",
    "kernel.not_canonical": "keep to finite floats, integers of 64 bits and valid text",
    "kernel.deadline": "raise the deadline, or make the executor answer sooner",
    "kernel.signal_unexpected": "send the signal that the run waits for",
    "kernel.unknown_event": "read this log with the version of ergo that wrote it",
    "kernel.interrupt": "look at the status of the interrupt and at the registered handlers",
}


class KernelError(ErgoError):
    """A kernel run cannot go on; ``text`` is the message without the prefix of its category."""

    def __init__(
        self,
        category: Category,
        text: str,
        *,
        code: str | None = None,
        where: str | None = None,
        fix: str | None = None,
    ) -> None:
        code = code or category.code
        super().__init__(code, category.prefix + text, where=where, fix=fix or _FIXES.get(code, _FIXES[category.code]))
        self.category = category
        self.text = text


class InterruptError(ErgoError):
    """An interrupt or suspension is in the wrong state, or has no handler."""

    def __init__(self, message: str) -> None:
        super().__init__("kernel.interrupt", message, fix=_FIXES["kernel.interrupt"])


def driver_error(text: str, *, code: str | None = None, where: str | None = None) -> KernelError:
    """An error of category Driver: guards, limits, the user's step function."""
    return KernelError(Category.DRIVER, text, code=code, where=where)


def denied(text: str) -> KernelError:
    """The error that a policy raises to deny an action."""
    return KernelError(Category.POLICY, text)


def at(run_id: str, seq: int | None = None, action_id: str | None = None) -> str:
    """A place in a run: ``run 'a/e1' seq 4``, ``run 'a/e1' action 'a/e1-3'``."""
    seq_part = "" if seq is None else f" seq {seq}"
    return f"run '{run_id}'{seq_part}" + ("" if action_id is None else f" action '{action_id}'")


class ActionErrorKind(Enum):
    """Whether a retry can help."""

    TRANSIENT = "Transient"
    PERMANENT = "Permanent"
    RATE_LIMITED = "RateLimited"


class ActionError(KernelError):
    """An action failed. ``text`` is the message, ``str(error)`` puts the prefix ``Executor:`` before it."""

    def __init__(self, kind: ActionErrorKind, message: str, retry_after_ms: int | None = None) -> None:
        super().__init__(Category.EXECUTOR, message)
        self.kind = kind
        self.retry_after_ms = retry_after_ms

    @classmethod
    def transient(cls, message: str) -> Self:
        """An error that a retry may overcome."""
        return cls(ActionErrorKind.TRANSIENT, message)

    @classmethod
    def permanent(cls, message: str) -> Self:
        """An error that no retry overcomes."""
        return cls(ActionErrorKind.PERMANENT, message)

    @classmethod
    def rate_limited(cls, message: str, retry_after_ms: int) -> Self:
        """An error that a retry may overcome after ``retry_after_ms`` milliseconds."""
        return cls(ActionErrorKind.RATE_LIMITED, message, retry_after_ms)

    @classmethod
    def of(cls, error: KernelError) -> ActionError:
        """The form that policies get: an ActionError as it is, another error as permanent with its full text."""
        return error if isinstance(error, ActionError) else cls.permanent(str(error))

    @property
    def wire(self) -> ActionErrorRecord:
        """Its form in attempt logs and scenario documents."""
        return ActionErrorRecord(self.kind, self.text, self.retry_after_ms)


class ActionErrorRecord(Struct, frozen=True):
    """``{"kind":"Transient","message":"…","retry_after_ms":null}``."""

    kind: ActionErrorKind
    message: str
    retry_after_ms: int | None

    def error(self) -> ActionError:
        """The error it records."""
        return ActionError(self.kind, self.message, self.retry_after_ms)
