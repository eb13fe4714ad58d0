"""A log of failed tries beside the event log, where nothing but the last error of an action stands (spec 40 §20)."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from ergo_cli.programs.kernel import wire
from ergo_cli.programs.kernel.action_error import ActionErrorKind
from ergo_cli.programs.kernel.errors import Category
from ergo_cli.programs.kernel.run_log import store_errors
from ergo_cli.stores.journals import EventJournal


class Attempt(Struct, frozen=True):
    """One failed try; ``delay_ms`` is the wait before the next, None if there is none."""

    action_id: str
    attempt: int
    kind: ActionErrorKind
    message: str
    delay_ms: int | None


class AttemptLog(Protocol):
    """Takes note of every failed try of an action."""

    def record(self, run_id: str, attempt: Attempt) -> None:
        """Take note of it."""
        ...


class JournalAttemptLog:
    """Keeps attempts in a journal of their own, under the run's id; never in the run's log, never in a bundle."""

    def __init__(self, journal: EventJournal) -> None:
        self._journal = journal

    def record(self, run_id: str, attempt: Attempt) -> None:
        """Append it. Raises KernelError of category EventStore."""
        with store_errors(Category.EVENT_STORE, run_id):
            self._journal.append(run_id, [wire.encode(attempt).decode()])

    def attempts(self, run_id: str) -> list[Attempt]:
        """All of a run, in order."""
        return [wire.decode(text.encode(), Attempt) for _, text in self._journal.scan(run_id)]


class LastAttempt:
    """Remembers the last failed try, and passes all of them on if there is somebody to pass them to."""

    def __init__(self, then: AttemptLog | None = None) -> None:
        self._then = then
        self.last: Attempt | None = None

    def record(self, run_id: str, attempt: Attempt) -> None:
        """Take note of it."""
        self.last = attempt
        if self._then is not None:
            self._then.record(run_id, attempt)
