"""All runs of a store at a glance."""

from __future__ import annotations

from msgspec import Struct

from ergo_cli.errors import ErgoError
from ergo_cli.programs.kernel.lifecycle import DerivedStatus
from ergo_cli.programs.kernel.timeline import derived_status
from ergo_cli.stores.locating import RunStore


class ListedRun(Struct, frozen=True):
    """One run; ``snapshot`` is the seq of its latest. Where the run's end cannot be read, ``error`` says why."""

    run_id: str
    head: int | None = None
    status: DerivedStatus | None = None
    snapshot: int | None = None
    error: ErgoError | None = None


def list_runs(store: RunStore) -> list[ListedRun]:
    """Every run, ascending by id; of each log only the end is read. Raises StoreError where the store is at fault."""
    return [_listed(store, run_id) for run_id in store.journal.runs()]


def _listed(store: RunStore, run_id: str) -> ListedRun:
    try:
        head = store.journal.head(run_id)
        snapshot = store.snapshots.load_latest(run_id)
        status = derived_status(store.journal, run_id)
    except ErgoError as error:
        if not _is_of_one_run(error):
            raise
        return ListedRun(run_id, error=error)
    return ListedRun(run_id, head, status, None if snapshot is None else snapshot.at_seq)


def _is_of_one_run(error: ErgoError) -> bool:
    """Whether the error is about records of a run, not about the store that holds them."""
    return error.code in ("kernel.corrupt_log", "kernel.unknown_event") or (
        error.code == "store.corrupt" and (error.where or "").startswith("run ")
    )
