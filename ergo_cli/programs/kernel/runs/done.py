"""Refuse a capture of runs that the store has as done: it would record nothing of them."""

from __future__ import annotations

from itertools import islice

from ergo_cli.errors import StepError
from ergo_cli.programs.kernel.engine.errors import at
from ergo_cli.programs.kernel.engine.events import RunLog, end_of_log
from ergo_cli.stores.journals import EventJournal

_NAMED = 10
_LOOKED_AT = 1000


def refuse_done_run(journal: EventJournal, run_id: str) -> None:
    """Raise StepError ``kernel.already_completed`` if the run is done; its details name other such runs."""
    if not _is_done(journal, run_id):
        return
    others = (other for other in journal.runs()[:_LOOKED_AT] if other != run_id and _is_done(journal, other))
    details = [f"also completed: run '{other}'" for other in islice(others, _NAMED)]
    message = f"run '{run_id}' is already completed in the store: nothing would be recorded for its event"
    fix = "name a fresh store with --store, or give the run another id; --continue goes on with the runs of the store"
    error = StepError("AlreadyCompleted", message, where=at(run_id), fix=fix, details=details)
    error.code = "kernel.already_completed"
    raise error


def _is_done(journal: EventJournal, run_id: str) -> bool:
    return end_of_log(RunLog(journal, run_id)).is_completed
