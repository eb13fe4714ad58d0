"""List, read and resume the runs of a store; find the kind that a run belongs to (spec 00 §13.8)."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from msgspec.structs import replace

from ergo_cli.core.time import NANOS, Clock
from ergo_cli.errors import ErgoError, ProgramError, UsageError
from ergo_cli.host.driving import live_driver
from ergo_cli.host.timing import LiveClock, call_within
from ergo_cli.programs.kinds import every_kind
from ergo_cli.programs.program import AnyProgram
from ergo_cli.programs.runs import (
    CancelledRun,
    ExportedRun,
    ListedRun,
    ResumedRun,
    Resumption,
    RunDriver,
    RunTools,
    ShownRun,
    run_not_found,
)
from ergo_cli.project.profiles import NamedStore, user_folder
from ergo_cli.stores.backends import RunStore, open_store
from ergo_cli.stores.folders import AnyPath

T = TypeVar("T")

CANCEL_PATIENCE = 10 * NANOS
"""How long one who drives a run may take to end it, by default."""

_LOOK_NS = NANOS // 10
"""The time between two looks at a run whose driver was asked to end it."""


def is_run_id(text: str) -> bool:
    """Whether a text is a valid run id of any kind."""
    return any(tools.is_run_id(text) for tools in all_run_tools(lambda _: None))


def list_runs(named: NamedStore, broken: Callable[[ProgramError], object] = lambda _: None) -> list[ListedRun]:
    """List the runs of all kinds in a store, kind by kind, ascending by id.

    The runs of a kind that cannot be used are left out; ``broken`` is called with its error.
    Raises UsageError for a text that names no store, StoreError ``store.not_found``.
    """
    found: list[ListedRun] = []
    for tools in all_run_tools(broken):
        with open_runs(named, tools) as store:
            drivers = run_drivers(store)
            found += [replace(run, driver=drivers.get(run.run_id)) for run in tools.list(store)]
    return found


def show_run(named: NamedStore, run_id: str) -> ShownRun:
    """The status of a run, and who drives it. Raises as ``with_run``."""

    def shown(tools: RunTools, store: RunStore) -> ShownRun:
        return replace(tools.show(store, run_id), driver=run_drivers(store).get(run_id))

    return with_run(named, run_id, shown)


def cancel_run(named: NamedStore, run_id: str, patience: int, clock: Clock = LiveClock()) -> CancelledRun:
    """End a run as cancelled; one that another process drives is ended by that, which is asked and waited for.

    Waits for at most ``patience`` ns, then raises the kind's ``run_busy``: the request stays. Raises as
    ``RunTools.cancel``, and as ``with_run``.
    """

    def cancelled(tools: RunTools, store: RunStore) -> CancelledRun:
        asked, end = False, clock.monotonic_ns() + patience
        while True:
            try:
                return tools.cancel(store, run_id, was_asked=asked)
            except ErgoError as busy:
                if not busy.code.endswith(".run_busy") or store.leases is None:
                    raise
                if asked and clock.monotonic_ns() >= end:
                    busy.fix = "it was asked, and ends the run before its next attempt: look with ergo runs show"
                    raise
            for run in (run_id, *store.leases.children(run_id)):
                store.leases.request_cancel(run)
            asked = True
            clock.sleep_ns(_LOOK_NS)

    return with_run(named, run_id, cancelled, "cancel")


def export_run(named: NamedStore, run_id: str, form: str, folder: AnyPath) -> ExportedRun:
    """Write a run as files of another form into a folder. Raises as ``with_run``, and as the export.

    Raises UsageError ``cli.export_form_unknown`` where the kind of the run has no such form.
    """

    def exported(tools: RunTools, store: RunStore) -> ExportedRun:
        export = tools.exports.get(form)
        if export is None:
            raise _no_export(run_id, form, tools.exports)
        return export(store.journal, run_id, folder)

    return with_run(named, run_id, exported)


def _no_export(run_id: str, form: str, known: Iterable[str]) -> UsageError:
    forms = ", ".join(known)
    message = f"run '{run_id}' is of a kind that is not exported as '{form}'"
    fix = f"it can be exported as {forms}" if forms else "ergo runs timeline RUN --format json has all of its records"
    return UsageError("cli.export_form_unknown", message, where=f"run '{run_id}'", fix=fix)


def run_drivers(store: RunStore) -> dict[str, RunDriver]:
    """Who drives which run of a store now."""
    leases = store.leases
    if leases is None:
        return {}
    return {run: RunDriver(lease.owner, *leases.ages_ms(lease)) for run, lease in leases.owners().items()}


def with_run(named: NamedStore, run_id: str, use: Callable[[RunTools, RunStore], T], name: str = "look") -> T:
    """Call ``use`` with the tools of the run's kind and its opened store; returns its result.

    ``name`` says what it does, for those who find a run driven by it. The kind is the first that has the run.
    Raises as ``list_runs``, StoreError ``store.not_found`` for a run that no kind has, and ProgramError
    ``program.import_failed`` for one that may be of a kind that cannot be used.
    """
    broken: list[ProgramError] = []
    known: list[str] = []
    for tools in all_run_tools(broken.append):
        with open_runs(named, tools, name) as store:
            if tools.has(store, run_id):
                return use(tools, store)
            known += tools.run_ids(store)
    if broken:
        raise broken[0]
    raise run_not_found(run_id, known)


def resume_run(named: NamedStore, program: AnyProgram, run_id: str, asked: Resumption) -> ResumedRun:
    """Resume a run with its program on the machine's clock. Raises as ``RunTools.resume``."""
    tools = None if program.kind.acting is None else program.kind.acting.runs
    if tools is None:
        message = f"'{program.ref}' is a {program.kind.name} program, whose runs are in no store"
        raise ProgramError("program.wrong_kind", message, where="option --program", fix="name the program of the run")
    with open_runs(named, tools, "resume") as store:
        asked = replace(asked, provenance=program.provenance)
        return tools.resume(store, program.value, run_id, asked, LiveClock(), os.urandom, call_within)


@contextmanager
def open_runs(named: NamedStore, tools: RunTools, name: str = "look") -> Generator[RunStore]:
    """Open an existing store. Raises UsageError for a text that names no store, StoreError ``store.not_found``."""
    user, driver, wall_ms = user_folder(), live_driver(name), LiveClock().wall_ms
    with open_store(
        named.text, user, wall_ms, tools.tables, create=False, driver=driver, artifacts=named.artifacts
    ) as store:
        yield store


def all_run_tools(broken: Callable[[ProgramError], object]) -> Iterator[RunTools]:
    """The tools of every kind that keeps runs; ``broken`` is called with the error of a kind that cannot be used."""
    for kind in every_kind(broken):
        if kind.acting is not None and kind.acting.runs is not None:
            yield kind.acting.runs
