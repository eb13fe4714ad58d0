"""Count what is tried, keep the best so far, and stop where a limit is reached."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from time import monotonic
from typing import Generic, TypeVar

from msgspec import Struct

from ergo_cli.core.time import NANOS

T = TypeVar("T")

_LEAST_PATIENCE = 10 * NANOS
_PATIENCE = 10
"""How many times as long as the whole stream a try may take."""

_WHOLE_NS = 3600 * NANOS

MOST_HUNG = 3
"""How many tries may hang before no more are made."""


class Stop(Enum):
    """Why no more was tried, though something may still go."""

    TRIES = "max_tries"
    SECONDS = "max_seconds"
    HUNG = "hung"
    INTERRUPTED = "interrupted"


class Limits(Struct, frozen=True):
    """The most that is tried; ``seconds`` are of wall time. None has no bound."""

    tries: int | None = None
    seconds: float | None = None

    @property
    def whole(self) -> int:
        """How long the whole stream may take, in ns."""
        return _WHOLE_NS if self.seconds is None else int(self.seconds * NANOS)

    def patience(self, whole: int) -> int:
        """How long one try may take, in ns, where that of the whole stream took ``whole``."""
        patience = max(_LEAST_PATIENCE, _PATIENCE * whole)
        return patience if self.seconds is None else min(patience, self.whole)


class TryHung(Exception):
    """A try did not end in its time and was given up."""


class LimitReached(Exception):
    """No more may be tried."""

    def __init__(self, stop: Stop) -> None:
        super().__init__(stop.value)
        self.stop = stop


class Tries(Generic[T]):
    """Tries streams, lists of items; ``best`` is the last one that failed.

    The search only tries streams that are simpler than the best. ``on_try`` is called after each.
    """

    def __init__(
        self,
        fails: Callable[[Sequence[T]], bool],
        whole: Sequence[T],
        limits: Limits = Limits(),
        on_try: Callable[[], None] | None = None,
    ) -> None:
        self._fails = fails
        self._limits = limits
        self._on_try = on_try
        self._end = None if limits.seconds is None else monotonic() + limits.seconds
        self.best = list(whole)
        self.whole = len(whole)
        """The items of the whole stream."""
        self.count = 0
        self.hung = 0
        """How many tries hung; they count as not failing."""

    def __call__(self, stream: list[T]) -> bool:
        """Whether ``stream`` fails; it is the best then. Raises LimitReached."""
        self._check_limits()
        self.count += 1
        try:
            failed = self._fails(stream)
        except TryHung:
            self.hung += 1
            failed = False
        if failed:
            self.best = stream
        if self._on_try is not None:
            self._on_try()
        return failed

    def _check_limits(self) -> None:
        if self._limits.tries is not None and self.count >= self._limits.tries:
            raise LimitReached(Stop.TRIES)
        if self._end is not None and monotonic() >= self._end:
            raise LimitReached(Stop.SECONDS)
        if self.hung >= MOST_HUNG:
            raise LimitReached(Stop.HUNG)
