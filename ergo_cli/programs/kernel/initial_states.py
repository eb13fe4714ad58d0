"""The initial states of runs that outlive their process: a log alone does not tell what it is folded from."""

from __future__ import annotations

from typing import Generic, TypeVar

from ergo_cli.programs.kernel.errors import Category
from ergo_cli.programs.kernel.run_log import store_errors
from ergo_cli.programs.kernel.snapshotting import Snapshots
from ergo_cli.programs.kernel.state import StateCodec
from ergo_cli.stores.snapshots import SnapshotStore

S = TypeVar("S")


class InitialStates(Generic[S]):
    """Keeps the initial state of each run beside its snapshots, where neither pruning nor dropping these reaches it.

    It stands under a name of its own that no run can have: run ids hold no control characters.
    """

    def __init__(self, store: SnapshotStore, codec: StateCodec[S]) -> None:
        self._store = store
        self._codec = codec

    def keep(self, run_id: str, state: S) -> None:
        """Keep the initial state of a run that is about to begin. Raises KernelError of category SnapshotStore."""
        text = self._codec.encode(state).decode()
        with store_errors(Category.SNAPSHOT_STORE, run_id):
            self._store.save(_name(run_id), 0, text, self._codec.version)

    def find(self, run_id: str) -> S | None:
        """The initial state of a run, None where it was never kept. Raises KernelError as ``Snapshots.latest``."""
        kept = Snapshots(self._store, _name(run_id), self._codec).latest()
        return None if kept is None else kept.state


def copy_initial_state(store: SnapshotStore, source: str, branch: str) -> None:
    """Let the run ``branch`` begin as ``source`` did, where that is known. Raises StoreError."""
    kept = store.load_latest(_name(source))
    if kept is not None:
        store.save(_name(branch), kept.at_seq, kept.text, kept.version)


def _name(run_id: str) -> str:
    return f"{run_id}\ninitial state"
