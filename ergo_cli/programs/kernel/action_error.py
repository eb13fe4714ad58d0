"""What an executor raises: an error that says whether trying again can help (spec 40 §3.5)."""

from __future__ import annotations

from enum import Enum
from typing import Self

from msgspec import Struct

from ergo_cli.programs.kernel.errors import Category, KernelError


class ActionErrorKind(Enum):
    """Whether trying again can help."""

    TRANSIENT = "Transient"
    PERMANENT = "Permanent"
    RATE_LIMITED = "RateLimited"


class ActionError(KernelError):
    """An action failed. ``text`` is the message alone, ``str(error)`` has the prefix ``Executor:`` before it."""

    def __init__(self, kind: ActionErrorKind, message: str, retry_after_ms: int | None = None) -> None:
        super().__init__(Category.EXECUTOR, message)
        self.kind = kind
        self.retry_after_ms = retry_after_ms

    @classmethod
    def transient(cls, message: str) -> Self:
        """It may work the next time."""
        return cls(ActionErrorKind.TRANSIENT, message)

    @classmethod
    def permanent(cls, message: str) -> Self:
        """It will never work."""
        return cls(ActionErrorKind.PERMANENT, message)

    @classmethod
    def rate_limited(cls, message: str, retry_after_ms: int) -> Self:
        """It may work after so many milliseconds."""
        return cls(ActionErrorKind.RATE_LIMITED, message, retry_after_ms)

    @classmethod
    def of(cls, error: KernelError) -> ActionError:
        """What policies judge: an ActionError as it is, any other error as permanent with its full text."""
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
