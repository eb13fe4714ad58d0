"""Drives today's program from the records of an earlier call, without touching the world (spec 40 §19.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.programs.kernel.engine.actions import Action, ActionCall, ActionResult, Failure, Success
from ergo_cli.programs.kernel.engine.errors import ActionError, KernelError
from ergo_cli.programs.kernel.engine.events import (
    ActionFailed,
    ActionSucceeded,
    RunStatus,
    SequencedEvent,
    decode_event,
    encode_event,
)
from ergo_cli.programs.kernel.engine.options import KernelMode
from ergo_cli.programs.kernel.engine.policy import AllowAll, Fail, PolicyContext, RetryDecision
from ergo_cli.programs.kernel.program import Kernel
from ergo_cli.programs.kernel.replay.divergence import DivergenceReport, compare_logs
from ergo_cli.stores.journals import StoredSnapshot
from ergo_cli.stores.memory import MemorySnapshots

S = TypeVar("S")


class EndingPoint(Enum):
    """Where a recorded error ends the call, once all records are served."""

    CHECK = "check"
    """At the next check of the deadline."""

    AUTHORIZATION = "authorization"
    """When the next action is to be authorized."""

    APPEND = "append"
    """When the next event is to be appended: the event store failed."""

    RECORD = "record"
    """Directly after the last record."""


class RecordedEnding(Struct, frozen=True):
    """An error that ended a call for a reason outside its program."""

    error: KernelError
    point: EndingPoint


class DivergedError(BaseException):
    """The call departs from its record.

    A BaseException: the driver records an Exception of an executor as the failure of its action.
    """


class Recording:
    """The records of a call and the position of today's call in them; serves as the journal of today's call."""

    def __init__(
        self, prior: Sequence[SequencedEvent], records: Sequence[SequencedEvent], ending: RecordedEnding | None
    ) -> None:
        self.records = records
        self.written: list[SequencedEvent] = []
        self._prior = prior
        self._ending = ending

    @property
    def is_served(self) -> bool:
        """Whether the call has written every record."""
        return len(self.written) >= len(self.records)

    def end_at(self, point: EndingPoint) -> None:
        """Raise the error that ended the recorded call, if all records are served and it struck here."""
        if self.has_ended_at(point):
            assert self._ending is not None
            raise self._ending.error

    def has_ended_at(self, point: EndingPoint) -> bool:
        """Whether all records are served and the recorded call ended here."""
        return self.is_served and self._ending is not None and self._ending.point is point

    def result(self) -> ActionResult | None:
        """The recorded result of the request just written, None if there is none."""
        record = None if self.is_served else self.records[len(self.written)].event
        match record:
            case ActionSucceeded(_, output):
                return Success(output)
            case ActionFailed(_, error):
                return Failure(error)
            case _:
                return None

    def append(self, run: str, texts: Sequence[str], expected_head: int | None = None) -> int:
        """Take the call's events. Raises DivergedError at the first that differs from its record."""
        self.end_at(EndingPoint.APPEND)
        for text in texts:
            self._take(run, text.encode())
        self.end_at(EndingPoint.RECORD)
        return self.head(run)

    def scan(self, run: str, start: int = 1, to: int | None = None) -> Iterator[tuple[int, str]]:
        """The records before the call, and the events it has written."""
        known, first = len(self._prior), max(start, 1) - 1
        end = self.head(run) if to is None else max(to, 0)
        for event in (*self._prior[first:end], *self.written[max(first - known, 0) : max(end - known, 0)]):
            yield event.seq, encode_event(event.event).decode()

    def head(self, run: str) -> int:
        """The last seq."""
        return len(self._prior) + len(self.written)

    def runs(self) -> list[str]:
        """Return no runs: the caller knows the run of a recording."""
        return []

    def _take(self, run: str, text: bytes) -> None:
        recorded = None if self.is_served else encode_event(self.records[len(self.written)].event)
        seq = self.head(run) + 1
        self.written.append(SequencedEvent(seq, decode_event(text, run, seq)))
        if text != recorded:
            raise DivergedError


class RecordedResults:
    """An executor of recorded results. A request without one ends the call as it ended the recorded call."""

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
        """The recorded result of an open request."""
        return self._recording.result()


class RecordedPolicy(AllowAll):
    """Repeats recorded denials, allows the rest; never retries, since records hold final results."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def authorize(self, run_id: str, action: Action, context: PolicyContext) -> None:
        """Raise the recorded denial, if there was one."""
        self._recording.end_at(EndingPoint.AUTHORIZATION)

    def retry_decision(self, error: ActionError, action: Action, attempt: int) -> RetryDecision:
        """Give up."""
        return Fail()


class RecordedClock:
    """A clock that reads 0 until today's call reaches the recorded deadline, then 1; sleeping takes no time.

    ``redrive`` sets the deadline to 1, so the driver's ordinary deadline checks fail exactly where the recorded call's
    did, however fast today's call is, and nowhere else.
    """

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


class Redriven(Struct, frozen=True):
    """The outcome of a redriven call: the events it wrote, their comparison, and its status or error.

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
    """Make a recorded call again: pass ``call`` the kernel with its world replaced by the records.

    ``prior`` are the run's records before the call, from seq 1; ``standing``, if given, is the state after them, which
    saves folding them again. Step function, reducer, effect sink and extensions are the kernel's; its journal,
    snapshots, executor, policy and clock are never used. Results come from ``records``, retries collapse to one call,
    budgets and deadlines strike where ``ending`` says.
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
