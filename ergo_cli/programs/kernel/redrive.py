"""Driving today's program from what an earlier call recorded, without touching the world (spec 40 §19.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.programs.kernel.divergence import DivergenceReport, compare_logs
from ergo_cli.programs.kernel.errors import KernelError
from ergo_cli.programs.kernel.events import ActionFailed, SequencedEvent
from ergo_cli.programs.kernel.kernel import Kernel
from ergo_cli.programs.kernel.modes import KernelMode
from ergo_cli.programs.kernel.recording import (
    DivergedError,
    RecordedClock,
    RecordedEnding,
    RecordedPolicy,
    RecordedResults,
    Recording,
)
from ergo_cli.programs.kernel.status import RunStatus
from ergo_cli.stores.memory import MemorySnapshots
from ergo_cli.stores.snapshots import StoredSnapshot

S = TypeVar("S")


class Redriven(Struct, frozen=True):
    """What became of a call that was driven again: what it wrote, how that compares, and its status or its error.

    A call that diverged has neither: it ended there.
    """

    report: DivergenceReport
    written: Sequence[SequencedEvent] = ()
    status: RunStatus | None = None
    error: KernelError | None = None


def redrive(
    kernel: Kernel[S],
    run_id: str,
    call: Callable[[Kernel[S]], RunStatus],
    records: Sequence[SequencedEvent],
    *,
    prior: Sequence[SequencedEvent] = (),
    standing: StoredSnapshot | None = None,
    ending: RecordedEnding | None = None,
) -> Redriven:
    """Make a recorded call again: ``call`` is given the kernel with its world replaced by the records.

    ``prior`` are the run's records before the call, from seq 1, ``standing`` may be the state behind them, which saves
    folding them again. Step function, reducer, effect sink and extensions are the kernel's own; its journal, snapshots,
    executor, policy and clock are never reached. Results come from ``records``, retries collapse to one call, budgets
    and deadlines strike where ``ending`` says.
    """
    recording = Recording(prior, records, ending)
    status, error = None, None
    try:
        status = call(_without_world(kernel, recording, standing))
    except DivergedError:
        pass
    except KernelError as raised:
        error = raised
    if status is not None and ending is not None and _failed_by(ending.error, recording):
        status, error = None, ending.error
    return Redriven(compare_logs(run_id, records, recording.written), recording.written, status, error)


def _without_world(kernel: Kernel[S], recording: Recording, standing: StoredSnapshot | None) -> Kernel[S]:
    limits, snapshots = kernel.limits, None
    if standing is not None:
        snapshots = MemorySnapshots()
        snapshots.save(standing.run, standing.at_seq, standing.text, standing.version)
    return replace(
        kernel,
        journal=recording,
        snapshots=snapshots,
        executor=RecordedResults(recording),
        policy=RecordedPolicy(recording),
        mode=KernelMode.VERIFY,
        clock=RecordedClock(recording),
        deadline=1,
        limits=None if limits is None else replace(limits, max_tool_calls=None, max_llm_tokens=None),
        attempts=None,
    )


def _failed_by(error: KernelError, recording: Recording) -> bool:
    """Whether the last record is the failure that ``error`` gave an action before it ended the call."""
    last = recording.written[-1].event if recording.is_served and recording.written else None
    return isinstance(last, ActionFailed) and last.error == str(error)
