"""When the records of a flow are on the disk of their store (spec 60 §26)."""

from __future__ import annotations

from ergo_cli.programs.pipeline.journal import store_errors
from ergo_cli.programs.pipeline.modes import Fsync
from ergo_cli.stores.journals import EventJournal, SyncedJournal


class Durability:
    """Syncs the appends to ``journal`` as a mode says. Every method raises JournalError.

    ``journal`` is the one to append to. Whatever the mode, the end of the process takes nothing; what a power cut
    takes are the last records, since stores keep the order of appends.
    """

    def __init__(self, journal: EventJournal, mode: Fsync) -> None:
        synced = None if mode is Fsync.RECORD else _synced(journal)
        self.journal = journal if synced is None else synced.unsynced()
        self._synced = synced
        self._mode = mode

    def effect_recorded(self) -> None:
        """Sync what an effect recorded, and all before it, unless that waits for the end of the episode."""
        if self._mode is Fsync.GROUP:
            self._sync()

    def episode_ended(self) -> None:
        """Sync what the episode appended."""
        self._sync()

    def _sync(self) -> None:
        if self._synced is not None:
            with store_errors():
                self._synced.sync()


def _synced(journal: EventJournal) -> SyncedJournal | None:
    """The journal, if its appends wait for a disk."""
    return journal if isinstance(journal, SyncedJournal) else None
