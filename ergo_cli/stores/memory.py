"""Stores that last as long as the process: used by captures and replays (spec 00 §13.8, 40 §13.1).

They hold immutable texts and bytes, and may be shared between threads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from threading import Lock
from typing import Self

from ergo_cli.errors import StoreError
from ergo_cli.stores.artifacts import artifact_id, no_artifact
from ergo_cli.stores.differences import Difference, Restorer
from ergo_cli.stores.journals import StoredSnapshot, check_head, check_texts, place
from ergo_cli.stores.leases import NONE_HELD, HeldLease, LeaseOf, own_lease


class _Records:
    """The records of one run, of which the first ``absent`` are not kept here."""

    def __init__(self, absent: int = 0, texts: Sequence[str] = ()) -> None:
        self.absent = absent
        self.texts = list(texts)

    @property
    def head(self) -> int:
        return self.absent + len(self.texts)


class MemoryJournal:
    """An EventJournal in memory; an append to a run is refused once its lease, if it is ``held``, is another's."""

    def __init__(self, held: Mapping[str, HeldLease] = NONE_HELD, lease_of: LeaseOf = own_lease) -> None:
        self._runs: dict[str, _Records] = {}
        self._lock = Lock()
        self._held = held
        self._lease_of = lease_of

    @classmethod
    def starting_at(cls, prior: Mapping[str, Sequence[str] | int]) -> Self:
        """A journal that continues others: for each run the earlier records, or only their number."""
        journal = cls()
        for run, before in prior.items():
            journal._runs[run] = _Records(before) if isinstance(before, int) else _Records(texts=before)
        return journal

    def under(self, held: Mapping[str, HeldLease]) -> MemoryJournal:
        """The same records, appended to under other leases."""
        journal = MemoryJournal(held, self._lease_of)
        journal._runs, journal._lock = self._runs, self._lock
        return journal

    def append(self, run: str, texts: Sequence[str], expected_head: int | None = None) -> int:
        """Number and keep all of ``texts``, or none; return the new head."""
        with self._lock:
            lease = self._held.get(self._lease_of(run))
            if lease is not None:
                lease.refresh()
            records = self._runs.get(run) or _Records()
            check_head(run, records.head, expected_head)
            check_texts(texts)
            if texts:
                records.texts.extend(texts)
                self._runs[run] = records
            return records.head

    def scan(self, run: str, start: int = 1, to: int | None = None) -> Iterator[tuple[int, str]]:
        """Numbers and texts from ``start`` to ``to``, a copy made at the call.

        Raises StoreError ``store.not_found`` for earlier records of which only the number is known.
        """
        start = max(start, 1)
        records = self._runs.get(run) or _Records()
        if start <= records.absent:
            message = f"records 1 to {records.absent} of run '{run}' are not kept here"
            fix = f"read from record {records.absent + 1} on, or start the journal with the records before"
            raise StoreError("store.not_found", message, where=place(run, start), fix=fix)
        end = None if to is None else max(to - records.absent, 0)
        return enumerate(records.texts[start - records.absent - 1 : end], start)

    def forget(self, run: str, count: int) -> None:
        """Keep the first ``count`` records of a run no longer; their number stays known."""
        with self._lock:
            records = self._runs.get(run)
            if records is not None:
                forgotten = max(min(count, records.head) - records.absent, 0)
                del records.texts[:forgotten]
                records.absent += forgotten

    def head(self, run: str) -> int:
        """The highest number of the run; 0 for an unknown one."""
        records = self._runs.get(run)
        return 0 if records is None else records.head

    def runs(self) -> list[str]:
        """The ids of all runs that have records, ascending."""
        with self._lock:
            return sorted(run for run, records in self._runs.items() if records.head)


class MemorySnapshots:
    """A SnapshotStore in memory: it keeps the highest snapshot of each run, the only one that can be loaded."""

    def __init__(self) -> None:
        self._latest: dict[str, StoredSnapshot] = {}
        self._lock = Lock()

    def load_latest(self, run: str) -> StoredSnapshot | None:
        """The snapshot with the highest ``at_seq``; None if there is none."""
        return self._latest.get(run)

    def save(self, run: str, at_seq: int, text: str, version: int = 0) -> None:
        """Keep a snapshot, unless there is a higher one."""
        with self._lock:
            latest = self._latest.get(run)
            if latest is None or latest.at_seq <= at_seq:
                self._latest[run] = StoredSnapshot(run, at_seq, text, version)

    def prune(self, run: str, keep: int) -> None:
        """Remove all snapshots of a run but the ``keep`` highest."""
        if keep < 1:
            self.drop(run)

    def drop(self, run: str) -> None:
        """Remove every snapshot of a run."""
        self._latest.pop(run, None)


class MemoryArtifacts:
    """An ArtifactStore in memory, which begins with the artifacts that are known, by id."""

    def __init__(self, known: Mapping[str, bytes] | None = None) -> None:
        self._contents = dict(known or {})
        self._differences: dict[str, Difference] = {}
        self._restorer = Restorer(self._whole, self._differences.get)

    def put(self, data: bytes) -> str:
        """Keep ``data`` and return its id."""
        artifact = artifact_id(data)
        if not self.exists(artifact):
            self._contents[artifact] = bytes(data)
        return artifact

    def put_near(self, data: bytes, near: str) -> str:
        """As ``put``, as a difference from ``near`` where that is much smaller."""
        artifact = artifact_id(data)
        if self.exists(artifact):
            return artifact
        difference = self._restorer.difference(near, data)
        if difference is None:
            return self.put(data)
        self._differences[artifact] = difference
        self._restorer.remember(artifact, difference.number, data)
        return artifact

    def get(self, artifact: str) -> bytes:
        """The bytes of an artifact. Raises StoreError ``store.not_found``."""
        return self._restorer.restored(artifact) if artifact in self._differences else self._whole(artifact)

    def exists(self, artifact: str) -> bool:
        """Whether there is an artifact of this id."""
        return artifact in self._contents or artifact in self._differences

    def references(self, artifact: str) -> tuple[str, ...]:
        """The artifact that this one is kept as a difference from. Raises StoreError ``store.not_found``."""
        difference = self._differences.get(artifact)
        if difference is None:
            self._whole(artifact)
            return ()
        return (difference.base,)

    def _whole(self, artifact: str) -> bytes:
        try:
            return self._contents[artifact]
        except KeyError:
            raise no_artifact(artifact) from None
