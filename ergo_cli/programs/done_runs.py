"""Refuse a capture of runs that the store has as done: it would record nothing of them (spec 00 §13.8)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from ergo_cli.errors import StepError
from ergo_cli.stores.journals import EventJournal

_NAMED = 10
_LOOKED_AT = 1000


def done_run(
    kind: str, journal: EventJournal, run_id: str, is_done: Callable[[str], bool], *, fix: str, event_id: str = ""
) -> StepError:
    """The error ``<kind>.already_completed`` for a run that is done; its details name other such runs."""
    others = (other for other in journal.runs()[:_LOOKED_AT] if other != run_id and is_done(other))
    details = [f"also completed: run '{other}'" for other in islice(others, _NAMED)]
    event = f"event '{event_id}'" if event_id else "its event"
    message = f"run '{run_id}' is already completed in the store: nothing would be recorded for {event}"
    fix = f"{fix}; --continue goes on with the runs of the store"
    error = StepError("AlreadyCompleted", message, where=f"run '{run_id}'", fix=fix, details=details)
    error.code = f"{kind}.already_completed"
    return error
