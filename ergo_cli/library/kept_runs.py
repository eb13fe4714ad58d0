"""The operations of ``ergo runs`` from Python, on the store of a profile or a named store."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from ergo_cli.core.json import JsonValue, decode, free_text
from ergo_cli.errors import ErgoError, UsageError
from ergo_cli.host.kept_runs import (
    CANCEL_PATIENCE,
    cancel_run,
    export_run,
    is_run_id,
    list_runs,
    resume_run,
    show_run,
    with_run,
)
from ergo_cli.library.categories import NO_PROJECT
from ergo_cli.library.errors import KeptRunError
from ergo_cli.library.items import plain_json
from ergo_cli.programs.runs import (
    CancelledRun,
    ExportedRun,
    ForkedRun,
    ListedRun,
    ResumedRun,
    Resumption,
    ShownRun,
    TimedRun,
)
from ergo_cli.project.finding import find_run_program
from ergo_cli.project.profiles import RunFlags, find_run_store
from ergo_cli.stores.folders import AnyPath


class KeptRuns:
    """The runs of one store, which is opened for each operation and closed after it.

    The store must exist. Every method raises KeptRunError; its ``category`` is ``config``, ``store``, ``program`` or
    ``run``, the last if the run itself refuses the operation.
    """

    def __init__(self, flags: RunFlags) -> None:
        self._flags = flags

    def list(self) -> Sequence[ListedRun]:
        """Every run, ascending by id."""
        with raising_kept():
            return tuple(list_runs(find_run_store(self._flags)))

    def show(self, run_id: str) -> ShownRun:
        """The state of a run, what it waits for, and its last records."""
        with raising_kept():
            _check_run_id(run_id)
            return show_run(find_run_store(self._flags), run_id)

    def timeline(self, run_id: str) -> TimedRun:
        """A run record by record."""
        with raising_kept():
            _check_run_id(run_id)
            return with_run(find_run_store(self._flags), run_id, lambda tools, store: tools.timeline(store, run_id))

    def resume(self, run_id: str, asked: Resumption = Resumption()) -> ResumedRun:
        """Continue a run, live, until it blocks, fails or completes; ``Resumption(answer=…)`` answers its request.

        The program is that of the profile, or the ``program`` named for this handle; it is imported from the project.
        """
        with raising_kept():
            _check_run_id(run_id)
            plain = replace(
                asked, answer=_json(asked.answer, "the answer"), payload=_json(asked.payload, "the payload")
            )
            if self._flags.project is None:
                raise no_project("resume")
            program = find_run_program(self._flags)
            return resume_run(find_run_store(self._flags), program, run_id, plain)

    def fork(self, run_id: str, at: int, branch: str, event: JsonValue | UnsetType = UNSET) -> ForkedRun:
        """Write the run ``branch``: the first ``at`` records of another, then ``event`` if one is given."""
        with raising_kept():
            _check_run_id(run_id)
            _check_run_id(branch)
            if at < 0:
                raise _unfit("the fork point is negative", "give the number of records to take over")
            own = _json(event, "the event")
            named = find_run_store(self._flags)
            return with_run(named, run_id, lambda tools, store: tools.fork(store, run_id, at, branch, own), "fork")

    def cancel(self, run_id: str, patience: int = CANCEL_PATIENCE) -> CancelledRun:
        """End a run as cancelled; a process that drives it is asked, and waited for at most ``patience`` ns."""
        with raising_kept():
            _check_run_id(run_id)
            return cancel_run(find_run_store(self._flags), run_id, patience)

    def export(self, run_id: str, form: str, folder: AnyPath) -> ExportedRun:
        """Write a run as files of another form into a folder."""
        with raising_kept():
            _check_run_id(run_id)
            return export_run(find_run_store(self._flags), run_id, form, folder)


@contextmanager
def raising_kept() -> Generator[None]:
    """Re-raise every ErgoError as KeptRunError."""
    try:
        yield
    except ErgoError as error:
        raise KeptRunError(error) from error


def no_project(where: str) -> UsageError:
    """The error of an operation that needs a project's folder."""
    message = "the handle has no project in a folder"
    return UsageError(NO_PROJECT, message, where=where, fix="build the handle with project_root()")


def _check_run_id(run_id: str) -> None:
    if not is_run_id(run_id):
        raise _unfit(f"{run_id!r:.80} is not a run id", "a run id is a text without control characters")


def _json(value: JsonValue | UnsetType, what: str) -> Any:
    """A copy in the plain types of JSON, as the command line reads it."""
    if value is UNSET:
        return UNSET
    try:
        return decode(free_text(plain_json(value)))
    except (ValueError, RecursionError) as error:
        raise _unfit(f"{what} is not JSON: {error}", "give nothing but JSON values") from error


def _unfit(message: str, fix: str) -> UsageError:
    return UsageError("cli.invalid_option_value", message, where="runs", fix=fix)
