"""Drives a run of a store on, live: answers what it waits for, or goes on where it was broken off (spec 40 §10.1)."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, UnsetType

from ergo_cli.errors import UsageError
from ergo_cli.host.clock import LiveClock
from ergo_cli.host.runs.opening import check_run_exists
from ergo_cli.programs.kernel.attempts import JournalAttemptLog
from ergo_cli.programs.kernel.errors import KernelError
from ergo_cli.programs.kernel.initial_states import InitialStates
from ergo_cli.programs.kernel.kernel import Kernel
from ergo_cli.programs.kernel.program import KernelProgram
from ergo_cli.programs.kernel.signals import Resume
from ergo_cli.programs.kernel.status import RunStatus
from ergo_cli.programs.kernel.wire import FreeValue
from ergo_cli.stores.locating import RunStore


class Resumption(Struct, frozen=True):
    """What is asked for: ``answer`` is given to a run that waits; without one it gets null, and others just go on.

    ``payload`` makes the initial state anew, in place of the one that was kept when the run began. ``rebuild`` drops
    the snapshots, ``force`` resumes a run that does not wait (40's ``strict=False``).
    """

    answer: Resume | None = None
    payload: FreeValue | UnsetType = UNSET
    rebuild: bool = False
    force: bool = False


class ResumedRun(Struct, frozen=True):
    """What a resumption came to, and between which events."""

    run_id: str
    status: RunStatus
    head_before: int
    head: int


def resume_run(store: RunStore, program: KernelProgram[Any], run_id: str, asked: Resumption) -> ResumedRun:
    """Drive a run on, by the machine's clock and without a deadline; ``program.execute`` has been found.

    Raises StoreError ``store.not_found``, and KernelError: ``kernel.not_blocked`` for an answer that nobody waits for,
    ``kernel.already_completed`` for a run that is done, and whatever the program's functions raise; UsageError
    ``cli.missing_required_option`` where nothing tells the initial state.
    """
    check_run_exists(store, run_id)
    kernel = _kernel(store, program)
    head = store.journal.head(run_id)
    if asked.rebuild:
        kernel.replay(run_id, _initial_state(store, program, run_id, asked))  # they go only if it does without them
        store.snapshots.drop(run_id)
    has_snapshot = store.snapshots.load_latest(run_id) is not None
    initial = None if has_snapshot else _initial_state(store, program, run_id, asked)
    status = _drive(kernel, run_id, initial, asked)
    return ResumedRun(run_id, status, head, store.journal.head(run_id))


def _kernel(store: RunStore, program: KernelProgram[Any]) -> Kernel[Any]:
    assert not isinstance(program.execute, str)
    attempts = JournalAttemptLog(store.attempts) if program.extensions.log_attempts else None
    return program.kernel(
        store.journal, program.execute, snapshots=store.snapshots, clock=LiveClock(), attempts=attempts
    )


def _drive(kernel: Kernel[Any], run_id: str, initial: Any, asked: Resumption) -> RunStatus:
    end = kernel.log_end(run_id)
    waits = end.is_interrupted and not end.broken_off
    if asked.answer is None and not waits and not asked.force:
        return kernel.run_until_blocked(run_id, initial, strict=True)
    return kernel.resume(run_id, initial, asked.answer or Resume(None), strict=not asked.force)


def _initial_state(store: RunStore, program: KernelProgram[Any], run_id: str, asked: Resumption) -> Any:
    """The state before the first event: made of a payload that is given, else as it was kept when the run began."""
    if asked.payload is not UNSET:
        return program.first_state(asked.payload)
    fix = "give the payload that the run began with: --payload JSON"
    try:
        kept = InitialStates(store.snapshots, program.codec).find(run_id)
    except KernelError as error:
        error.fix = fix
        raise
    if kept is None:
        message = f"run '{run_id}' has no snapshot, and its initial state was not kept"
        raise UsageError("cli.missing_required_option", message, where="option --payload", fix=fix)
    return kept
