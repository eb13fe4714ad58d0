"""How an event was processed, and what a handler's error is about (spec 60 §4, §6)."""

from __future__ import annotations

from enum import Enum
from typing import Self

from ergo_cli.core.wire import FreeValue, Variant, WireForm
from ergo_cli.programs.pipeline.counters import Count


class ErrorKind(WireForm, Enum):
    """What a handler's error is about; the kind decides where the event goes. Unknown names are read as ``Unknown``."""

    TIMEOUT = "Timeout"
    REMOTE = "Remote"
    RATE_LIMITED = "RateLimited"
    PERMANENT_FAILURE = "PermanentFailure"
    DESERIALIZATION = "Deserialization"
    VALIDATION = "Validation"
    DOMAIN = "Domain"
    UNKNOWN = "Unknown"

    @property
    def stays_in_data(self) -> bool:
        """Whether the event flows on, marked; all others go to the error journal."""
        return self in (ErrorKind.VALIDATION, ErrorKind.DOMAIN)

    def to_wire(self) -> FreeValue:
        """The name."""
        return self.value

    @classmethod
    def from_wire(cls, value: FreeValue) -> Self:
        """The kind of this name. Raises ValueError for what is no text."""
        if not isinstance(value, str):
            raise ValueError(f"expected the name of an error kind, got {value!r}")
        return next((kind for kind in cls if kind.value == value), cls("Unknown"))


class Success(Variant, frozen=True):
    """The event is what a handler made of its input."""


class Filtered(Variant, frozen=True):
    """A signal that a handler emitted."""


class Error(Variant, frozen=True, omit_defaults=True):
    """A handler failed on the event; without a kind it goes to the error journal."""

    message: str
    kind: ErrorKind | None = None


class Retry(Variant, frozen=True):
    """The event is tried again."""

    attempt: Count


Status = Success | Filtered | Error | Retry
