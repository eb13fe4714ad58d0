"""Opens the store that a command works on, and finds runs in it."""

from __future__ import annotations

from ergo_cli.core.nearest import did_you_mean
from ergo_cli.errors import StoreError
from ergo_cli.host.clock import LiveClock
from ergo_cli.project.run_store import NamedStore, user_folder
from ergo_cli.stores.locating import RunStore, open_store


def open_runs(named: NamedStore) -> RunStore:
    """A store that is there already. Raises UsageError for no name of a store, StoreError ``store.not_found``."""
    return open_store(named.text, user_folder(), LiveClock().wall_ms, create=False)


def check_run_exists(store: RunStore, run_id: str) -> None:
    """Raise StoreError ``store.not_found`` for a run without events."""
    if store.journal.head(run_id):
        return
    fix = did_you_mean(run_id, store.journal.runs()) or "ergo runs list shows the runs of a store"
    message = f"there is no run '{run_id}' in the store"
    raise StoreError("store.not_found", message, where=f"run '{run_id}'", fix=fix)
