"""Write the runs of a store to an archive, and take the runs of an archive into a store of any kind (docs/runs.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import NoReturn

from msgspec import Struct

from ergo_cli.errors import CaptureWriteError, ErgoError, StoreError
from ergo_cli.host.driving import live_driver
from ergo_cli.host.files_read import Read, refuse_replacing
from ergo_cli.host.kept_runs import open_runs
from ergo_cli.host.timing import LiveClock
from ergo_cli.programs.kinds import every_kind
from ergo_cli.programs.runs import RunParts, RunTools, run_not_found
from ergo_cli.project.profiles import NamedStore, user_folder
from ergo_cli.stores.backends import RunStore, open_store, store_files
from ergo_cli.stores.files import Compressor, compressor_for
from ergo_cli.stores.journals import EventJournal, place
from ergo_cli.stores.run_archives import (
    ArchivedRun,
    ArchiveWriter,
    ArtifactLine,
    JournalName,
    PartLine,
    RecordLine,
    RunLine,
    SnapshotLine,
    archived_runs,
    invalid_archive,
)
from ergo_cli.stores.standard_output import open_output


class Moved(Struct):
    """What was written or taken: numbers of runs, records and artifacts; ``present`` runs were there already."""

    runs: int = 0
    records: int = 0
    artifacts: int = 0
    present: int = 0


def export_runs(named: NamedStore, run_ids: Sequence[str], output: str) -> Moved:
    """Write runs of a store, all without ``run_ids``, with what they have spawned and that has not ended, to a file.

    At an error nothing is written. Raises StoreError ``store.not_found`` for a run that no kind has,
    ``store.run_busy`` while one of them is driven; UsageError for an output that is a file of the store; ErgoError
    ``cli.export_write_failed``; ProgramError for a kind that cannot be used; and the error of a run that cannot be
    read whole.
    """
    refuse_replacing(output, (Read(file, "a file of the store") for file in store_files(named.text, user_folder())))
    moved = Moved()
    try:
        with open_output(output) as file:
            compressor = compressor_for(output)
            archive = ArchiveWriter(file.write if compressor is None else _compressing(compressor, file.write))
            _write_runs(named, run_ids, archive, moved)
            archive.end()
            if compressor is not None:
                file.write(compressor.flush())
            file.commit()
    except CaptureWriteError as error:
        raise ErgoError("cli.export_write_failed", error.message, where=error.where, fix=error.fix) from error
    return moved


def _compressing(compressor: Compressor, write: Callable[[bytes], object]) -> Callable[[bytes], object]:
    return lambda data: write(compressor.compress(data))


def _write_runs(named: NamedStore, run_ids: Sequence[str], archive: ArchiveWriter, moved: Moved) -> None:
    waiting, known, written = dict.fromkeys(run_ids), list[str](), set[str]()
    for kind, tools in _kinds_with_runs():
        with open_runs(named, tools, "export") as store:
            present = list(tools.run_ids(store))
            chosen = _with_children(store, [run for run in present if run in waiting]) if run_ids else present
            _check_undriven(store, chosen)
            for run_id in chosen:
                archive.add(RunLine(kind, run_id))
                for line in _lines(tools, store, run_id, written):
                    archive.add(line)
                    moved.records += isinstance(line, RecordLine)
                    moved.artifacts += isinstance(line, ArtifactLine)
                moved.runs += 1
                waiting.pop(run_id, None)
            known += present
    for run_id in waiting:
        raise run_not_found(run_id, known)


def _with_children(store: RunStore, run_ids: Iterable[str]) -> list[str]:
    """The runs, and those that they have spawned and that have not ended."""
    children = () if store.leases is None else (child for run in run_ids for child in store.leases.children(run))
    return list(dict.fromkeys((*run_ids, *children)))


def _check_undriven(store: RunStore, run_ids: Iterable[str]) -> None:
    """Raise StoreError ``store.run_busy`` if one of the runs is driven."""
    if store.leases is not None:
        owners = store.leases.owners()
        for run_id in run_ids:
            if run_id in owners:
                raise store.leases.busy(owners[run_id])


def _lines(tools: RunTools, store: RunStore, run_id: str, written: set[str]) -> Iterator[PartLine]:
    """What an archive has of a run; ``written`` artifacts are in it already."""
    for artifact in tools.artifacts(store, run_id):
        if artifact not in written:
            written.add(artifact)
            yield ArtifactLine.of(artifact, store.artifacts.get(artifact))
    parts = tools.parts(store, run_id)
    for name in parts.snapshots:
        snapshot = store.snapshots.load_latest(name)
        if snapshot is not None:
            yield SnapshotLine(name, snapshot.at_seq, snapshot.version, snapshot.text)
    for journal, name in _names(parts):
        for seq, text in _journal(store, journal).scan(name):
            yield RecordLine(journal, name, seq, text)


def _names(parts: RunParts) -> list[tuple[JournalName, str]]:
    return [*(("attempts", name) for name in parts.attempts), *(("events", name) for name in parts.events)]


def import_runs(named: NamedStore, path: str) -> Moved:
    """Take the runs of an archive into a store, which is made if it is not there.

    A run that the store has in part is completed, one that it has whole stays as it is. The archive is read whole, and
    compared with the store, before anything is written; a run appears when all of it was written, and an import that
    was cut off goes on when it is repeated. Raises StoreError: ``store.archive_invalid``; ``store.run_differs`` for a
    run of which the store has something else, or more; ``store.run_busy`` for one that is driven; ProgramError for a
    kind that cannot be used.
    """
    for _ in archived_runs(path, lambda _: None):  # a damaged archive makes no store
        pass
    with ExitStack() as opened:
        stores = _Stores(named, opened)
        for run in archived_runs(path, lambda _: None):
            _check(*stores.of(run, path), run, path)
        moved = Moved()
        for run in archived_runs(path, stores.put):
            _take(*stores.of(run, path), run, moved)
        moved.artifacts = stores.artifacts
        return moved


class _Stores:
    """A store as each kind sees it, opened when the first run of the kind comes; ``artifacts`` is how many were put."""

    def __init__(self, named: NamedStore, opened: ExitStack) -> None:
        self.artifacts = 0
        self._named = named
        self._opened = opened
        self._kinds = dict(_kinds_with_runs())
        self._stores: dict[str, RunStore] = {}

    def of(self, run: ArchivedRun, path: str) -> tuple[RunTools, RunStore]:
        """The tools and the store of the kind of a run. Raises StoreError ``store.archive_invalid``."""
        tools = self._kinds.get(run.kind)
        if tools is None or not tools.is_run_id(run.run_id):
            why = f"'{run.run_id}' is not the run of a kind that is installed, '{run.kind}'"
            raise invalid_archive(path, run.number, why)
        if run.kind not in self._stores:
            self._stores[run.kind] = self._opened.enter_context(_made(self._named, tools))
        return tools, self._stores[run.kind]

    def put(self, content: bytes) -> None:
        """Keep an artifact; all kinds share them."""
        next(iter(self._stores.values())).artifacts.put(content)
        self.artifacts += 1


def _made(named: NamedStore, tools: RunTools) -> RunStore:
    return open_store(
        named.text,
        user_folder(),
        LiveClock().wall_ms,
        tools.tables,
        driver=live_driver("import"),
        artifacts=named.artifacts,
    )


def _check(tools: RunTools, store: RunStore, run: ArchivedRun, path: str) -> None:
    """Raise StoreError unless all there is of a run is its own, and continues what the store has of it."""
    _check_undriven(store, (run.run_id,))
    names = [*(name for _, name in run.records), *(snapshot.of for snapshot in run.snapshots)]
    for name in names:
        if not tools.is_part(run.run_id, name):
            raise invalid_archive(path, run.number, f"'{name}' is no part of the run '{run.run_id}'")
    _check_continues(tools, store, run)


def _check_continues(tools: RunTools, store: RunStore, run: ArchivedRun) -> None:
    """Raise StoreError ``store.run_differs`` unless all that the store has of a run is the beginning of its records."""
    for journal, name in dict.fromkeys((*_names(tools.parts(store, run.run_id)), *run.records)):
        _check_journal(store, run, journal, name)


def _check_journal(store: RunStore, run: ArchivedRun, journal: JournalName, name: str) -> None:
    texts = run.records.get((journal, name), [])
    for seq, kept in _journal(store, journal).scan(name):
        if seq > len(texts) or texts[seq - 1] != kept:
            what = "has gone on" if seq > len(texts) else "is another one"
            message = f"run '{run.run_id}' {what} in the store, from record {seq} of '{name}' on: it is not replaced"
            fix = "import into another store, or name other runs in the export"
            raise StoreError("store.run_differs", message, where=place(name, seq), fix=fix)


def _take(tools: RunTools, store: RunStore, run: ArchivedRun, moved: Moved) -> None:
    """Write what the store lacks of a run: first what it begins from, last the journal that makes it appear.

    Raises StoreError as ``_check_continues``: the run may have gone on since it was compared.
    """
    with store.driving(run.run_id):
        _check_continues(tools, store, run)
        heads = {(journal, name): _journal(store, journal).head(name) for journal, name in run.records}
        if all(heads[place] == len(texts) for place, texts in run.records.items()):
            moved.present += 1
            return
        _save(store, [snapshot for snapshot in run.snapshots if snapshot.at_seq == 0])
        for (journal, name), texts in run.records.items():
            head = heads[journal, name]
            moved.records += _journal(store, journal).append(name, texts[head:], head) - head
        _save(store, [snapshot for snapshot in run.snapshots if snapshot.at_seq > 0])
        moved.runs += 1


def _save(store: RunStore, snapshots: Iterable[SnapshotLine]) -> None:
    for snapshot in snapshots:
        store.snapshots.save(snapshot.of, snapshot.at_seq, snapshot.text, snapshot.version)


def _journal(store: RunStore, journal: JournalName) -> EventJournal:
    return store.attempts if journal == "attempts" else store.journal


def _kinds_with_runs() -> Iterator[tuple[str, RunTools]]:
    """Every kind that keeps runs, by name. Raises ProgramError for one that cannot be used."""
    for kind in every_kind(_refuse):
        if kind.acting is not None and kind.acting.runs is not None:
            yield kind.name, kind.acting.runs


def _refuse(error: ErgoError) -> NoReturn:
    raise error
