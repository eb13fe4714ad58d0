"""Which plan a run of a store was begun with: kept beside its stream, compared when the run goes on (spec 50 §14).

A run's stream says nothing of the plan but the states that were entered. The plan is therefore kept in the same journal
as the run ``<run id>/plan``: one record for the plan that began the run, one for each that it went on with.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from ergo_cli.core.diagnostics import Notice, counted
from ergo_cli.errors import StoreError
from ergo_cli.programs.plan.errors import RunError, invalid_plan
from ergo_cli.programs.plan.history import History
from ergo_cli.programs.plan.ids import RunId
from ergo_cli.programs.plan.manifest import RunManifest
from ergo_cli.programs.plan.plan_changes import PlanRefused, PlanShape, manifest_changes, state_changes
from ergo_cli.programs.plan.program import PlanProgram
from ergo_cli.programs.plan.states import ExecutionPlan
from ergo_cli.programs.plan.stream import journal_error
from ergo_cli.stores.journals import EventJournal


class PlanRecord(Struct, frozen=True):
    """A plan that a run was driven by, and the fingerprint of its program."""

    plan: PlanShape
    program: str


class PlanRecords:
    """The plans of the runs of a journal. ``provenance`` is the fingerprint of the program that drives them today.

    A plan that changed is refused unless the caller ``accepts`` it. ``notices`` are warnings about runs that go on:
    what ``check`` has found is one when ``keep`` says that the run does.
    """

    def __init__(self, journal: EventJournal, program: PlanProgram, provenance: str, *, accepts: bool) -> None:
        self._journal = journal
        self._program = program
        self._provenance = provenance
        self._accepts = accepts
        self._found: dict[RunId, Notice] = {}
        self.notices: list[Notice] = []

    def keep(self, run_id: RunId, plan: ExecutionPlan, order: Sequence[str]) -> None:
        """Keep the plan of a run that is about to begin or to go on, unless it is that of the last record."""
        found = self._found.pop(run_id, None)
        if found is not None:
            self.notices.append(found)
        record = PlanRecord(PlanShape.of(plan, order), self._provenance)
        if last_plan(self._journal, run_id) == record:
            return
        try:
            self._journal.append(plan_place(run_id), [msgspec.json.encode(record, order="sorted").decode()])
        except StoreError as error:
            raise journal_error(error) from error

    def check(
        self, run_id: RunId, manifest: RunManifest, plan: ExecutionPlan, order: Sequence[str], history: History
    ) -> None:
        """Raise PlanRefused ``plan.plan_changed`` for another plan than the last, unless that is accepted."""
        last, today = last_plan(self._journal, run_id), PlanRecord(PlanShape.of(plan, order), self._provenance)
        changes = state_changes(None if last is None else last.plan, today.plan, history)
        changes += self._manifest_changes(manifest)
        if changes and not self._accepts:
            raise PlanRefused(_changed(run_id, changes))
        if last != today:
            self._note(run_id, last, changes)

    def _manifest_changes(self, manifest: RunManifest) -> list[str]:
        own = self._program.manifest
        is_own = (own.op_id, own.op_version) == (manifest.op_id, manifest.op_version)
        return manifest_changes(manifest, own) if is_own else []

    def _note(self, run_id: RunId, last: PlanRecord | None, changes: Sequence[str]) -> None:
        if changes:
            self._found[run_id] = Notice(f"run '{run_id}' goes on with another plan: {'; '.join(changes)}")
        elif last is not None:
            what = "its plan is the same, the code of the program has changed since it was driven last"
            self._found[run_id] = Notice(f"run '{run_id}' goes on: {what}")


def last_plan(journal: EventJournal, run_id: str) -> PlanRecord | None:
    """The plan that a run was driven by last; None where none is kept that can be read. Raises StorageError."""
    try:
        texts = _last_text(journal, run_id)
    except StoreError as error:
        raise journal_error(error) from error
    try:
        return msgspec.json.decode(texts[0], type=PlanRecord) if texts else None
    except msgspec.DecodeError:
        return None


def copy_plan(journal: EventJournal, source: str, branch: str) -> None:
    """Give a branch the plan of the run that it is forked from. Raises StorageError."""
    try:
        journal.append(plan_place(branch), _last_text(journal, source))
    except StoreError as error:
        raise journal_error(error) from error


def _last_text(journal: EventJournal, run_id: str) -> list[str]:
    head = journal.head(plan_place(run_id))
    return [text for _, text in journal.scan(plan_place(run_id), head, head)] if head else []


def plan_place(run_id: str) -> str:
    """The name under which the plans of a run are kept."""
    return f"{run_id}/plan"


def _changed(run_id: str, changes: Sequence[str]) -> RunError:
    message = f"the plan of run '{run_id}' has changed since the run was begun: {counted(len(changes), 'difference')}"
    error = invalid_plan("plan_changed", message, where=f"run '{run_id}'", details=list(changes))
    error.details = tuple(changes)
    error.fix = "go on with the plan that began the run, or accept today's with --accept-plan-change"
    return error
