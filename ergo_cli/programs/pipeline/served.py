"""What a replay puts in the place of the world: recorded effects, and the time that a recorded call had."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from msgspec.structs import replace

from ergo_cli.programs.pipeline.effects import AttemptStarted, Cursor, Descriptor, EffectRecord, Place
from ergo_cli.programs.pipeline.recorded import PipelineCall
from ergo_cli.programs.pipeline.system_events import PipelineLifecycle, PipelineStopRequested, SystemEvent
from ergo_cli.programs.seat import DeadlinePassed
from ergo_cli.supervisor.seam import Outcome

T = TypeVar("T")


class ServedEffects:
    """The effects of the episodes read so far, as their history; those that were asked for are given up.

    A call is that of its stage, input and ordinal, whatever the flow is called now. It gets the recorded outcome also
    where it asks for something else: that shows in its record, and the flow goes on. ``is_cut_off``: a deadline ended
    the recorded call, so one more effect may have been about to be executed.
    """

    def __init__(self) -> None:
        self.is_cut_off = False
        self._records: dict[Place, list[EffectRecord]] = {}

    @property
    def is_replay(self) -> bool:
        """Whether an effect without an outcome is refused; otherwise it is given to ``RecordedTime``."""
        return not self.is_cut_off

    def add(self, records: Iterable[EffectRecord]) -> None:
        """Take in the records of an episode."""
        for record in records:
            self._records.setdefault(record.cursor.place, []).append(record)

    def places(self, cursor: Cursor) -> Iterator[Place]:
        """The calls of the same stage and input that nothing was asked of yet."""
        return (place for place in self._records if place[:2] == cursor.place[:2])

    def records(self, place: Place) -> Sequence[EffectRecord]:
        """What is recorded of a call that nothing was asked of yet."""
        return self._records.get(place, ())

    def at(self, cursor: Cursor, asked: Descriptor) -> Sequence[EffectRecord]:
        """The records of a call, as if it had asked for this; none of one that the deadline cut off.

        A flow makes each call once.
        """
        found = self._records.pop(cursor.place, ())
        if self.is_cut_off and all(isinstance(record.outcome, AttemptStarted) for record in found):
            return ()
        return [replace(record, descriptor_hash=asked.hash, descriptor=asked) for record in found]


class RecordedTime:
    """A clock that stands until a flow has appended as many records as the recorded one had when its time was over.

    ``appended`` gives how many it has appended.
    """

    def __init__(self, appended: Callable[[], int]) -> None:
        self._appended = appended
        self._end: int | None = None

    def limit(self, place: int | None) -> int | None:
        """Begin a call; ``place`` is how many records it may append, None without end. Returns its deadline in ns."""
        self._end = None if place is None else self._appended() + place
        return None if place is None else 1

    def wall_ms(self) -> int:
        """Zero."""
        return 0

    def monotonic_ns(self) -> int:
        """Zero, and one when the time is over."""
        return int(self._end is not None and self._appended() >= self._end)

    def sleep_ns(self, duration: int) -> None:
        """Return at once."""

    def within(self, limit: int, work: Callable[[], T], name: str) -> T:
        """Execute nothing: the recorded time was over when this was executed. Raises DeadlinePassed."""
        raise DeadlinePassed


def time_out_place(call: PipelineCall) -> int | None:
    """How many records a call had appended when its time was over; None for one that ended otherwise."""
    if call.end.termination is not Outcome.TIMED_OUT:
        return None
    stops = (place for place, record in enumerate(call.records) if _is_stop(record.envelope.event))
    return next(stops, len(call.texts))


def _is_stop(event: object) -> bool:
    return (
        isinstance(event, SystemEvent)
        and isinstance(event.event, PipelineLifecycle)
        and isinstance(event.event.fact, PipelineStopRequested)
    )
