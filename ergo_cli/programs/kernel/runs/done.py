"""Refuse a capture of runs that the store has as done: it would record nothing of them."""

from __future__ import annotations

from ergo_cli.programs.done_runs import done_run
from ergo_cli.programs.kernel.engine.events import RunLog, end_of_log
from ergo_cli.stores.journals import EventJournal


def refuse_done_run(journal: EventJournal, run_id: str) -> None:
    """Raise StepError ``kernel.already_completed`` if the run is done; its details name other such runs."""

    def is_done(run: str) -> bool:
        return end_of_log(RunLog(journal, run)).is_completed

    if is_done(run_id):
        fix = "name a fresh store with --store, or give the run another id"
        raise done_run("kernel", journal, run_id, is_done, fix=fix)
