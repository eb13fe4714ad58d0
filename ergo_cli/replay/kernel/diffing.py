"""Two journals of one episode compared without running anything (spec 00 §13.7, 40 §9.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from ergo_cli.bundle.kernel_journals import KernelCall, KernelEpisode
from ergo_cli.programs.kernel.divergence import compare_logs
from ergo_cli.programs.kernel.events import ActionFailed, ActionRequested, ActionSucceeded, SequencedEvent
from ergo_cli.replay.kernel.differences import (
    JournalDifference,
    Spot,
    end_differences,
    log_difference,
    state_difference,
    termination_difference,
)
from ergo_cli.replay.paths import Item, Member


def journal_differences(
    here: KernelEpisode, there: KernelEpisode, own_runs: tuple[str, str]
) -> Iterator[JournalDifference]:
    """What differs of B, in terms of A: records that only moved within a run are no difference.

    ``own_runs`` is what a run of this event alone is called on either side. The last termination is left to the
    decisions, and so is how many calls there were.
    """
    runs = here.run_id, there.run_id
    if runs[0] != runs[1] and runs != own_runs:
        yield JournalDifference((Member("journals"), Item(here.entry.index), Member("run_id")), *runs)
    for call, counterpart in zip(here.calls, there.calls, strict=False):
        spot = Spot(here.entry.index, here.run_id, call)
        yield from _call_differences(spot, counterpart, there.run_id)
        ended = termination_difference(spot, counterpart.end.termination)
        if ended is not None and call is not here.calls[-1]:
            yield ended


def _call_differences(spot: Spot, counterpart: KernelCall, run_id: str) -> Iterator[JournalDifference]:
    call = spot.call
    initials = call.begin.initial, counterpart.begin.initial
    if initials[0] != initials[1]:
        yield state_difference(spot, (*spot.begin, Member("initial")), 0, initials)
    moved = _moved(counterpart, run_id, spot)
    if compare_logs(spot.run_id, call.events, moved).kind is not None:
        before = call.before
        yield log_difference(spot, compare_logs(spot.run_id, [*before, *call.events], [*before, *moved]))
    elif call.end.state != counterpart.end.state:
        states = call.end.state, counterpart.end.state
        yield state_difference(spot, (*spot.end, Member("state")), call.head, states)
    yield from end_differences(spot, (call.status, call.end.error), (counterpart.status, counterpart.end.error))


def _moved(counterpart: KernelCall, run_id: str, spot: Spot) -> Sequence[SequencedEvent]:
    """The events of the other side as if they stood where the call of this one does."""
    offset = spot.call.begin.head - counterpart.begin.head
    if not offset and run_id == spot.run_id:
        return counterpart.events
    return [_renamed(event, run_id, spot.run_id, offset) for event in counterpart.events]


def _renamed(sequenced: SequencedEvent, run_id: str, name: str, offset: int) -> SequencedEvent:
    event = sequenced.event
    if isinstance(event, ActionRequested | ActionSucceeded | ActionFailed):
        prefix, _, seq = event.action_id.rpartition("-")
        if prefix == run_id and seq.isdecimal():
            event = replace(event, action_id=f"{name}-{int(seq) + offset}")
    return SequencedEvent(sequenced.seq + offset, event)
