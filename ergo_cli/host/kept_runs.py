"""List, read and resume the runs of a store; find the kind that a run belongs to (spec 00 §13.8)."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import TypeVar

from ergo_cli.errors import ProgramError
from ergo_cli.host.timing import LiveClock
from ergo_cli.programs.kinds import every_kind
from ergo_cli.programs.program import AnyProgram
from ergo_cli.programs.runs import ListedRun, ResumedRun, Resumption, RunTools, run_not_found
from ergo_cli.project.profiles import NamedStore, user_folder
from ergo_cli.stores.backends import RunStore, open_store

T = TypeVar("T")


def is_run_id(text: str) -> bool:
    """Whether a text is a valid run id of any kind."""
    return any(tools.is_run_id(text) for tools in _all_tools(lambda _: None))


def list_runs(named: NamedStore, broken: Callable[[ProgramError], object] = lambda _: None) -> list[ListedRun]:
    """List the runs of all kinds in a store, kind by kind, ascending by id.

    The runs of a kind that cannot be used are left out; ``broken`` is called with its error.
    Raises UsageError for a text that names no store, StoreError ``store.not_found``.
    """
    found: list[ListedRun] = []
    for tools in _all_tools(broken):
        with open_runs(named, tools) as store:
            found += tools.list(store)
    return found


def with_run(named: NamedStore, run_id: str, use: Callable[[RunTools, RunStore], T]) -> T:
    """Call ``use`` with the tools of the run's kind and its opened store; returns its result.

    The kind is the first whose journal has the run. Raises as ``list_runs``, StoreError ``store.not_found`` for a run
    that no kind has, and ProgramError ``program.import_failed`` for one that may be of a kind that cannot be used.
    """
    broken: list[ProgramError] = []
    known: list[str] = []
    for tools in _all_tools(broken.append):
        with open_runs(named, tools) as store:
            if store.journal.head(run_id):
                return use(tools, store)
            known += store.journal.runs()
    if broken:
        raise broken[0]
    raise run_not_found(run_id, known)


def resume_run(named: NamedStore, program: AnyProgram, run_id: str, asked: Resumption) -> ResumedRun:
    """Resume a run with its program on the machine's clock. Raises as ``RunTools.resume``."""
    tools = None if program.kind.acting is None else program.kind.acting.runs
    if tools is None:
        message = f"'{program.ref}' is a {program.kind.name} program, whose runs are in no store"
        raise ProgramError("program.wrong_kind", message, where="option --program", fix="name the program of the run")
    with open_runs(named, tools) as store:
        return tools.resume(store, program.value, run_id, asked, LiveClock(), os.urandom)


@contextmanager
def open_runs(named: NamedStore, tools: RunTools) -> Generator[RunStore]:
    """Open an existing store. Raises UsageError for a text that names no store, StoreError ``store.not_found``."""
    with open_store(named.text, user_folder(), LiveClock().wall_ms, tools.tables, create=False) as store:
        yield store


def _all_tools(broken: Callable[[ProgramError], object]) -> Iterator[RunTools]:
    for kind in every_kind(broken):
        if kind.acting is not None and kind.acting.runs is not None:
            yield kind.acting.runs
