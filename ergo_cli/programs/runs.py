"""Runs of stateful programs of any kind in a store, as ``ergo runs`` shows them (spec 00 §13.8)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, Protocol, TypeAlias

from msgspec import UNSET, Struct, UnsetType

from ergo_cli.core.diagnostics import Notice, did_you_mean
from ergo_cli.core.json import JsonValue
from ergo_cli.core.time import Clock
from ergo_cli.errors import ErgoError, StoreError
from ergo_cli.programs.seat import CallWithin
from ergo_cli.stores.backends import RunStore
from ergo_cli.stores.database import RunTables
from ergo_cli.stores.folders import AnyPath
from ergo_cli.stores.journals import EventJournal
from ergo_cli.stores.leases import Owner


class Standing(Enum):
    """The status of a run."""

    EMPTY = "Empty"
    ACTIVE = "Active"
    BLOCKED = "Blocked"
    FAILED = "Failed"
    COMPLETED = "Completed"
    CANCELLED = "Cancelled"


class RunDriver(Struct, frozen=True):
    """Who drives a run now, since when, and when its last heartbeat was, in ms ago."""

    owner: Owner
    held_ms: int
    heartbeat_ms: int


class ListedRun(Struct, frozen=True):
    """One run; ``snapshot`` is the seq of its latest, ``driver`` drives it now.

    ``program`` is the name of its program, where the run keeps it and its id does not say it. Where the run cannot be
    read, ``error`` says why.
    """

    run_id: str
    head: int | None = None
    standing: Standing | None = None
    snapshot: int | None = None
    error: ErgoError | None = None
    driver: RunDriver | None = None
    program: str | None = None


class RunRecord(Struct, frozen=True):
    """One record of a run: ``id`` is what it belongs to, a step, an action or a journal; ``record`` and ``content`` are
    JSON texts.
    """

    seq: int
    name: str
    id: str | None
    record: bytes
    content: bytes | None = None


class Snapshot(Struct, frozen=True):
    """The latest snapshot of a run, and the version of the state in it."""

    at_seq: int
    version: int


class Request(Struct, frozen=True):
    """A request without result: its record, its action and what it asks for, as JSON texts."""

    record: bytes
    action_id: str
    payload: bytes


class RunTable(Struct, frozen=True):
    """A part of a run's status for people: names of columns, rows under them; ``numeric`` names columns of numbers."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    numeric: frozenset[str] = frozenset()


class ShownRun(Struct, frozen=True):
    """A run at its end; ``status`` is the kind's own summary as JSON text.

    ``interrupt`` is the record of the one that is unanswered, ``question`` its value. ``about`` and ``tables`` are what
    else people see of the summary: names with values, and tables that have rows. ``driver`` drives it now.
    """

    run_id: str
    head: int
    status: bytes
    standing: Standing
    snapshot: Snapshot | None
    interrupt: bytes | None
    question: bytes | None
    request: Request | None
    last_records: Sequence[RunRecord]
    about: Sequence[tuple[str, str]] = ()
    tables: Sequence[RunTable] = ()
    driver: RunDriver | None = None


class TimedRun(Struct, frozen=True):
    """A run record by record; each row is what ``columns`` name, by default sequence number, name, step and action."""

    run_id: str
    records: Sequence[bytes]
    rows: Sequence[tuple[int | str | None, ...]]
    final_status: bytes
    standing: Standing
    columns: tuple[str, ...] = ("seq", "event", "step", "action")


class Resumption(Struct, frozen=True):
    """What is asked of a resumed run: ``answer`` is given to one that waits; without it one gets null.

    ``payload`` makes the initial state anew, in place of the one kept when the run began. ``rebuild`` drops the
    snapshots; ``force`` resumes a run that does not wait. ``accept_plan_change`` resumes a run whose plan has changed
    since it was begun; ``provenance`` is the fingerprint of the program that it is resumed with.
    """

    answer: JsonValue | UnsetType = UNSET
    payload: JsonValue | UnsetType = UNSET
    rebuild: bool = False
    force: bool = False
    accept_plan_change: bool = False
    provenance: str = ""


class ResumedRun(Struct, frozen=True):
    """A run that was driven on: its status as JSON text, its last record before and after, and what it waits for.

    ``notices`` are warnings about what has changed since it was begun.
    """

    run_id: str
    status: bytes
    standing: Standing
    head_before: int
    head: int
    question: bytes | None = None
    wait_signal: str | None = None
    notices: Sequence[Notice] = ()


class ForkedRun(Struct, frozen=True):
    """A branch that was written; ``alternate_event`` is the JSON text of its own first event, ``head`` its length."""

    source_run_id: str
    branch_id: str
    fork_point_seq: int
    alternate_event: bytes | None
    head: int


class CancelledRun(Struct, frozen=True):
    """A run that was ended as cancelled: the number of its last record, and the runs that ended with it.

    ``was_driven``: the process that drove it did so, as it was asked.
    """

    run_id: str
    head: int
    children: tuple[str, ...] = ()
    was_driven: bool = False


class ExportedRun(Struct, frozen=True):
    """A run that was written as files of another form: where they are, how many, and the records in them."""

    run_id: str
    form: str
    path: str
    files: int
    records: int


class RunParts(Struct, frozen=True):
    """The names under which a store keeps what belongs to a run: in its journals, in order, and of its snapshots.

    A run is there as soon as the last of ``events`` has a record.
    """

    events: Sequence[str]
    attempts: Sequence[str] = ()
    snapshots: Sequence[str] = ()


Export: TypeAlias = Callable[[EventJournal, str, AnyPath], ExportedRun]
"""Writes a run of a journal into a folder."""


class TimelineEntry(Struct, frozen=True, omit_defaults=True):
    """One record of a run; ids that the record does not have are omitted."""

    seq: int
    kind: str
    step_id: str | None = None
    action_id: str | None = None


def run_not_found(run_id: str, known: Iterable[str]) -> StoreError:
    """The error for a run that a store does not have; ``known`` are those that it has."""
    fix = did_you_mean(run_id, known) or "ergo runs list shows the runs of a store"
    message = f"there is no run '{run_id}' in the store"
    return StoreError("store.not_found", message, where=f"run '{run_id}'", fix=fix)


class RunTools(Protocol):
    """What can be done with the runs of one kind. Every method raises StoreError and the kind's own errors."""

    @property
    def tables(self) -> RunTables:
        """Where a database keeps them."""
        ...

    @property
    def exports(self) -> Mapping[str, Export]:
        """What runs can be exported as, by the name of the form; an export raises as ``new_folder``."""
        ...

    def is_run_id(self, text: str) -> bool:
        """Whether a text can be the id of a run."""
        ...

    def run_ids(self, store: RunStore) -> Iterable[str]:
        """The ids of all runs, ascending; one run may be several of the store's journal."""
        ...

    def has(self, store: RunStore, run_id: str) -> bool:
        """Whether the store has a run of this id."""
        ...

    def list(self, store: RunStore) -> Sequence[ListedRun]:
        """Every run, ascending by id."""
        ...

    def show(self, store: RunStore, run_id: str) -> ShownRun:
        """The status of a run. Raises StoreError ``store.not_found``."""
        ...

    def timeline(self, store: RunStore, run_id: str) -> TimedRun:
        """What happened in a run. Raises as ``show``."""
        ...

    def resume(
        self,
        store: RunStore,
        program: Any,
        run_id: str,
        asked: Resumption,
        clock: Clock,
        entropy: Callable[[int], bytes] = bytes,
        within: CallWithin | None = None,
    ) -> ResumedRun:
        """Resume a run live, under its lease; ``entropy`` gives random bytes, ``within`` keeps time limits of calls.

        Raises UsageError for missing requirements, and the kind's ``run_busy`` for a run that another drives.
        """
        ...

    def parts(self, store: RunStore, run_id: str) -> RunParts:
        """What the store keeps of a run, and under which names."""
        ...

    def is_part(self, run_id: str, name: str) -> bool:
        """Whether what is kept under a name belongs to a run."""
        ...

    def artifacts(self, store: RunStore, run_id: str) -> Iterable[str]:
        """The ids of the artifacts that a run names; raises for one that cannot be read whole."""
        ...

    def cancel(self, store: RunStore, run_id: str, *, was_asked: bool) -> CancelledRun:
        """End a run as cancelled, under its lease, with the runs that it spawned.

        ``was_asked``: its driver was asked to before, so that a run that has ended as cancelled is no error. Raises the
        kind's ``run_busy`` for a run that another drives, and its error for a run that has ended, which says how.
        """
        ...

    def fork(self, store: RunStore, source: str, at: int, branch: str, event: JsonValue | UnsetType) -> ForkedRun:
        """Write a run of the first ``at`` records of ``source``, followed by ``event``, under the new run's lease."""
        ...
