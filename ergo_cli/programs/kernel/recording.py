"""The records of one earlier call, served to today's program (spec 40 §19.3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum

from msgspec import Struct

from ergo_cli.programs.kernel.action_error import ActionError
from ergo_cli.programs.kernel.actions import Action, ActionCall, ActionResult, Failure, Success
from ergo_cli.programs.kernel.errors import KernelError
from ergo_cli.programs.kernel.events import ActionFailed, ActionSucceeded, SequencedEvent, decode_event, encode_event
from ergo_cli.programs.kernel.policy import AllowAll, Fail, PolicyContext, RetryDecision


class EndingPoint(Enum):
    """Where, once all records are served, a recorded error ends the call."""

    CHECK = "check"
    """At the next look at the deadline."""

    AUTHORIZATION = "authorization"
    """When the next action is to be authorized."""

    APPEND = "append"
    """When the next event is to be appended: the event store had failed."""

    RECORD = "record"
    """Right behind the last record."""


class RecordedEnding(Struct, frozen=True):
    """An error that ended a call for reasons that its program could not know."""

    error: KernelError
    point: EndingPoint


class DivergedError(BaseException):
    """The call is about to do something else than was recorded.

    No Exception, which the driver would take for a fault of the executor and record as the action's failure.
    """


class Recording:
    """The records of a call, and how far today's call has come in them. It is the journal of that call."""

    def __init__(
        self, prior: Sequence[SequencedEvent], records: Sequence[SequencedEvent], ending: RecordedEnding | None
    ) -> None:
        self.records = records
        self.written: list[SequencedEvent] = []
        self._prior = prior
        self._ending = ending

    @property
    def is_served(self) -> bool:
        """Whether the call has written all that was recorded."""
        return len(self.written) >= len(self.records)

    def end_at(self, point: EndingPoint) -> None:
        """Raise the error that ended the recorded call, if all is served and this is where it struck."""
        if self.has_ended_at(point):
            assert self._ending is not None
            raise self._ending.error

    def has_ended_at(self, point: EndingPoint) -> bool:
        """Whether all is served and the recorded call ended here."""
        return self.is_served and self._ending is not None and self._ending.point is point

    def result(self) -> ActionResult | None:
        """The recorded result of the request that was just written; None if there is none."""
        record = None if self.is_served else self.records[len(self.written)].event
        match record:
            case ActionSucceeded(_, output):
                return Success(output)
            case ActionFailed(_, error):
                return Failure(error)
            case _:
                return None

    def append(self, run: str, texts: Sequence[str], expected_head: int | None = None) -> int:
        """Take the call's events. Raises DivergedError at the first that was not recorded."""
        self.end_at(EndingPoint.APPEND)
        for text in texts:
            self._take(run, text.encode())
        self.end_at(EndingPoint.RECORD)
        return self.head(run)

    def scan(self, run: str, start: int = 1, to: int | None = None) -> Iterator[tuple[int, str]]:
        """What the call may read: the records before it, and what it wrote."""
        known, first = len(self._prior), max(start, 1) - 1
        end = self.head(run) if to is None else max(to, 0)
        for event in (*self._prior[first:end], *self.written[max(first - known, 0) : max(end - known, 0)]):
            yield event.seq, encode_event(event.event).decode()

    def head(self, run: str) -> int:
        """The last seq."""
        return len(self._prior) + len(self.written)

    def runs(self) -> list[str]:
        """None: whoever drives a recording knows its run."""
        return []

    def _take(self, run: str, text: bytes) -> None:
        recorded = None if self.is_served else encode_event(self.records[len(self.written)].event)
        seq = self.head(run) + 1
        self.written.append(SequencedEvent(seq, decode_event(text, run, seq)))
        if text != recorded:
            raise DivergedError


class RecordedResults:
    """Answers every action with its recorded result. A request without one ends the call where it ended before."""

    answers_from_records = True

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def __call__(self, action: Action, call: ActionCall) -> ActionResult:
        """The recorded result. Raises DivergedError where none was recorded."""
        result = self._recording.result()
        if result is None:
            self._recording.end_at(EndingPoint.RECORD)
            raise DivergedError
        return result

    def lookup(self, action_id: str) -> ActionResult | None:
        """The recorded result of an open request; what was known then is known now."""
        return self._recording.result()


class RecordedPolicy(AllowAll):
    """Allows what was allowed and denies what was denied; never tries again, since records hold final results."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def authorize(self, run_id: str, action: Action, context: PolicyContext) -> None:
        """Raise the recorded denial, where there was one."""
        self._recording.end_at(EndingPoint.AUTHORIZATION)

    def retry_decision(self, error: ActionError, action: Action, attempt: int) -> RetryDecision:
        """Give up."""
        return Fail()


class RecordedClock:
    """Stands still at 0, and is at 1 once the recorded call had come to its deadline; sleeps are over at once."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def wall_ms(self) -> int:
        """Zero."""
        return 0

    def monotonic_ns(self) -> int:
        """0, or 1 at the recorded deadline."""
        return int(self._recording.has_ended_at(EndingPoint.CHECK))

    def sleep_ns(self, duration: int) -> None:
        """Return at once."""
