"""Remove the artifacts of a store that no run names: mark from all streams, then sweep (spec 50 §23, B-20)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NoReturn

from msgspec import Struct

from ergo_cli.errors import ErgoError, StoreError, UsageError
from ergo_cli.host.driving import live_driver
from ergo_cli.host.kept_runs import all_run_tools
from ergo_cli.host.timing import LiveClock
from ergo_cli.programs.runs import RunTools
from ergo_cli.project.profiles import NamedStore, user_folder
from ergo_cli.stores.artifacts import FileArtifacts
from ergo_cli.stores.backends import RunStore, artifact_folder, database_place, open_store
from ergo_cli.stores.sqlite import databases_in, has_table_in

SWEEP_GRACE_MS = 60 * 60 * 1000
"""Artifacts younger than this are kept by default: their runs may be about to name them."""


class Amount(Struct):
    """A number of artifacts, and their bytes."""

    artifacts: int = 0
    size: int = 0

    def add(self, size: int) -> None:
        """Count one more."""
        self.artifacts += 1
        self.size += size


class Sweep(Struct, frozen=True):
    """What a sweep removed, or would remove; what runs name; what no run names and is too young to be removed."""

    removed: Amount
    named: Amount
    young: Amount
    is_dry: bool


def sweep_artifacts(
    named: NamedStore, also: Sequence[str] = (), *, grace_ms: int = SWEEP_GRACE_MS, is_dry: bool = False
) -> Sweep:
    """Remove the artifacts of a store that no run names and that are older than ``grace_ms``.

    The folder may be shared: SQLite stores beside it are found, ``also`` names further stores. Nothing is removed
    before every stream was read. Raises StoreError ``store.run_busy`` while a run is driven, ``store.artifacts_shared``
    for a database that was not named, ``store.not_found``; UsageError, also for artifacts in an object store;
    ProgramError for a kind that cannot be used; and the error of a stream that cannot be read, which names its run.
    """
    if named.artifacts is not None:
        message = f"the artifacts of the store are in '{named.artifacts}', and only folders are swept"
        fix = "remove objects with the tools of that store; name the store with --store to sweep its folder"
        raise UsageError("cli.conflicting_options", message, where="runs gc", fix=fix)
    folder = artifact_folder(named.text, user_folder())
    texts, marks = (named.text, *also), set[str]()
    artifacts = FileArtifacts(folder)
    _check_users(artifacts, texts)
    for tools in all_run_tools(_refuse):
        for text in texts:
            with _opened(text, tools) as store:
                marks.update(_marked(tools, store))
        for file in databases_in(folder.parent):
            if has_table_in(file, tools.tables.events):
                with _opened(f"sqlite:{file}", tools) as store:
                    marks.update(_marked(tools, store))
    return _swept(artifacts, marks, LiveClock().wall_ms() - grace_ms, is_dry)


def _swept(artifacts: FileArtifacts, marks: set[str], oldest_young_ms: int, is_dry: bool) -> Sweep:
    sweep = Sweep(Amount(), Amount(), Amount(), is_dry)
    every = list(artifacts.every())
    young = {kept.id for kept in every if kept.changed_ms > oldest_young_ms}
    marks, young = _with_bases(artifacts, marks), _with_bases(artifacts, young)
    for kept in every:
        if kept.id in marks:
            sweep.named.add(kept.size)
        elif kept.id in young:
            sweep.young.add(kept.size)
        else:
            sweep.removed.add(kept.size)
            if not is_dry:
                artifacts.remove(kept.id)
    return sweep


def _with_bases(artifacts: FileArtifacts, chosen: Iterable[str]) -> set[str]:
    """The chosen artifacts, and those of the folder that they are kept as differences from."""
    found, waiting = set[str](), list(chosen)
    while waiting:
        artifact = waiting.pop()
        if artifact not in found:
            found.add(artifact)
            waiting += artifacts.references(artifact) if artifacts.exists(artifact) else ()
    return found


def _marked(tools: RunTools, store: RunStore) -> Iterator[str]:
    """The artifacts that the runs of a kind name. Raises StoreError ``store.run_busy`` if one of them is driven."""
    if store.leases is not None:
        for lease in store.leases.owners().values():
            raise store.leases.busy(lease)
    for run_id in tools.run_ids(store):
        yield from tools.artifacts(store, run_id)


def _opened(text: str, tools: RunTools) -> RunStore:
    """An existing store, which gets no tables by it."""
    wall_ms = LiveClock().wall_ms
    return open_store(text, user_folder(), wall_ms, tools.tables, create=False, driver=live_driver("gc"))


def _check_users(artifacts: FileArtifacts, texts: Sequence[str]) -> None:
    """Raise StoreError ``store.artifacts_shared`` unless every database that keeps artifacts here is named."""
    known = {database_place(text) for text in texts}
    for place in artifacts.users():
        if place not in known:
            message = f"the folder also holds the artifacts of the store '{place}', whose runs may name them"
            fix = (
                "name that store too, with --also; if it is gone for good, remove its file in the folder 'users' there"
            )
            raise StoreError("store.artifacts_shared", message, where=str(artifacts.folder), fix=fix)


def _refuse(error: ErgoError) -> NoReturn:
    raise error
