"""Requests that were left without result, which ``--strict`` does not pass over (spec 00 §13.7)."""

from __future__ import annotations

from collections.abc import Iterator

from ergo_cli.bundle.kernel_journals import KernelCall
from ergo_cli.programs.kernel.events import ActionFailed, ActionRequested, ActionSucceeded, SequencedEvent
from ergo_cli.programs.kernel.hashes import events_hash
from ergo_cli.programs.kernel.status import RunBlocked
from ergo_cli.replay.kernel.differences import JournalDifference, Spot, orphan_difference
from ergo_cli.replay.kernel.endings import is_cut_off


def orphans(spot: Spot) -> Iterator[JournalDifference]:
    """The requests of a call that have no result, and no deadline, cancellation or awaited signal to excuse it."""
    digest = ""
    for request in _without_result(spot.call):
        digest = digest or events_hash([*spot.call.before, *spot.call.events])
        yield orphan_difference(spot, request, digest)


def _without_result(call: KernelCall) -> Iterator[SequencedEvent]:
    request: SequencedEvent | None = None
    for event in call.events:
        match event.event:
            case ActionRequested():
                if request is not None:
                    yield request
                request = event
            case ActionSucceeded() | ActionFailed():
                request = None
            case _:
                pass
    if request is not None and not (request is call.events[-1] and _is_excused(call)):
        yield request


def _is_excused(call: KernelCall) -> bool:
    awaits_signal = isinstance(call.status, RunBlocked) and call.status.blocked.wait_signal is not None
    return awaits_signal or is_cut_off(call)
