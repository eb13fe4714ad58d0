"""Run a kernel program once more on recorded answers, which is how a new recording is made (spec 00 §13.8).

Unlike a redriven call, one that parts from its record goes on: each request gets the recorded answer to an equal one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.json import free_text
from ergo_cli.core.numbers import I64_MAX
from ergo_cli.core.wire import FreeValue
from ergo_cli.events.external import Context
from ergo_cli.programs.answers import AnswerMissing
from ergo_cli.programs.kernel.calls import RunIdRule
from ergo_cli.programs.kernel.engine.actions import (
    Action,
    ActionCall,
    ActionResult,
    Failure,
    Success,
    action_value,
)
from ergo_cli.programs.kernel.engine.errors import ActionError, Category, KernelError
from ergo_cli.programs.kernel.engine.events import (
    ActionFailed,
    ActionRequested,
    ActionSucceeded,
    decode_event,
    encode_event,
)
from ergo_cli.programs.kernel.engine.policy import AllowAll, Fail, PolicyContext, RetryDecision
from ergo_cli.programs.kernel.engine.state import InitialStates
from ergo_cli.programs.kernel.invoker import KernelInvoker
from ergo_cli.programs.kernel.program import KernelProgram
from ergo_cli.programs.kernel.recorded import KernelCall, KernelEpisode, recorded_ending
from ergo_cli.programs.kernel.replay.redrive import EndingPoint
from ergo_cli.programs.recorded import Episode
from ergo_cli.stores.memory import MemoryJournal, MemorySnapshots
from ergo_cli.supervisor.seam import ErrKind, Failed, RunTermination

S = TypeVar("S")

_EXHAUSTED = Failed(ErrKind.NETWORK_TIMEOUT)


class _Request(Struct, frozen=True, eq=False):
    """A recorded request; ``result`` is None where it has none in its call, ``is_last``: nothing follows it there."""

    payload: FreeValue
    result: ActionResult | None
    is_last: bool


class _Answers:
    """What was recorded of one call, and how far today's has come in it. ``is_same``: it has not parted so far."""

    def __init__(self, call: KernelCall | None) -> None:
        self.ending = None if call is None else recorded_ending(call)
        self.exhausts = call is not None and call.end.termination == _EXHAUSTED
        self.open: _Request | None = None
        self.is_settled = True
        """Whether today's last record is not a request that was answered."""
        events = () if call is None else call.events
        self._requests = list(_requests(call))
        self._results = {
            each.event.action_id: _result(each.event)
            for each in events
            if isinstance(each.event, ActionSucceeded | ActionFailed)
        }
        self._texts = [encode_event(each.event) for each in events]
        self._written = 0
        self._is_same = True
        self._has_begun = False
        self._has_asked = False

    def take(self, text: bytes, payload: FreeValue | None) -> None:
        """Take in what today's call appends; ``payload`` is that of a request."""
        following = self._texts[self._written] if self._written < len(self._texts) else None
        self._is_same = self._is_same and text == following
        self._written += 1
        self.is_settled = payload is None
        self._has_asked = self._has_asked or payload is not None
        if payload is not None:
            self.open = next((each for each in self._requests if each.payload == payload), None)
            if self.open is not None:
                self._requests.remove(self.open)
                self.is_settled = self.open.result is None

    def knows(self, payload: FreeValue) -> bool:
        """Whether an equal request was recorded, and is not answered yet."""
        return any(each.payload == payload for each in self._requests)

    def result(self, action_id: str) -> ActionResult | None:
        """The recorded result of the open request; of one that an earlier call left open, by its id."""
        if self._has_asked:
            return None if self.open is None else self.open.result
        return self._results.get(action_id)

    def ended_the_call(self, result: ActionResult) -> bool:
        """Whether the time was over while the recorded request was executed."""
        ending = self.ending
        return (
            isinstance(result, Failure)
            and ending is not None
            and ending.point is EndingPoint.CHECK
            and result.error == str(ending.error)
        )

    def has_ended_at(self, point: EndingPoint) -> bool:
        """Whether the recorded call was ended from outside where today's stands."""
        if self.ending is None or self.ending.point is not point:
            return False
        is_at_the_end = self._is_same and self._written == len(self._texts)
        return is_at_the_end or (self.open is not None and self.open.is_last)

    def is_late(self) -> bool:
        """Whether the recorded time was over where today's call stands; not when it begins."""
        if not self._has_begun:
            self._has_begun = True
            return False
        return self.has_ended_at(EndingPoint.CHECK) and (self.open is None or self.open.result is None)


class _AnsweredJournal(MemoryJournal):
    """The journal of all runs; it sees what calls append, and fails where the recorded one did."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = _Answers(None)

    def append(self, run: str, texts: Sequence[str], expected_head: int | None = None) -> int:
        """Append, and take the call on by what was recorded of it."""
        answers = self.answers
        self._end_at(EndingPoint.APPEND)
        for text in texts:
            event = decode_event(text.encode(), run, self.head(run) + 1)
            answers.take(text.encode(), event.payload if isinstance(event, ActionRequested) else None)
        head = super().append(run, texts, expected_head)
        if answers.is_settled:
            self._end_at(EndingPoint.RECORD)
        return head

    def _end_at(self, point: EndingPoint) -> None:
        if self.answers.has_ended_at(point):
            assert self.answers.ending is not None
            raise self.answers.ending.error


class _AnsweredPolicy(AllowAll):
    """Denies what was denied, allows the rest; never retries, since records hold final results."""

    def __init__(self, journal: _AnsweredJournal) -> None:
        self._journal = journal

    def authorize(self, run_id: str, action: Action, context: PolicyContext) -> None:
        """Raise the recorded denial where the recorded call ended with one, and nothing equal was allowed."""
        answers = self._journal.answers
        ending = answers.ending
        is_denied = ending is not None and ending.point is EndingPoint.AUTHORIZATION
        if is_denied and not answers.knows(action_value(action)):
            assert ending is not None
            raise ending.error

    def retry_decision(self, error: ActionError, action: Action, attempt: int) -> RetryDecision:
        """Give up."""
        return Fail()


class _AnsweredExecutor:
    """Answers from records."""

    answers_from_records = True

    def __init__(self, journal: _AnsweredJournal) -> None:
        self._journal = journal

    def __call__(self, action: Action, call: ActionCall) -> FreeValue:
        """The recorded result. Raises AnswerMissing."""
        answers = self._journal.answers
        result = answers.result(call.action_id)
        if result is None:
            raise AnswerMissing(free_text(action_value(action)).decode(), f"run '{call.run_id}'")
        if answers.ended_the_call(result):
            assert answers.ending is not None
            raise answers.ending.error
        if isinstance(result, Failure) and answers.exhausts and result.error.startswith(Category.EXECUTOR.prefix):
            raise ActionError.transient(result.error.removeprefix(Category.EXECUTOR.prefix))
        return result

    def lookup(self, action_id: str) -> ActionResult | None:
        """The recorded result of a request that an earlier call left open."""
        return self._journal.answers.result(action_id)


class _AnsweredClock:
    """A clock that stands until the recorded time of a call was over."""

    def __init__(self, journal: _AnsweredJournal) -> None:
        self._journal = journal

    def wall_ms(self) -> int:
        """Zero."""
        return 0

    def monotonic_ns(self) -> int:
        """Zero, and later than any deadline once the time is over."""
        return I64_MAX if self._journal.answers.is_late() else 0

    def sleep_ns(self, duration: int) -> None:
        """Return at once."""


class AnsweredKernel(KernelInvoker[S], Generic[S]):
    """Runs episodes of today's program on what was recorded of them."""

    def __init__(self, program: KernelProgram[S]) -> None:
        journal = _AnsweredJournal()
        self._answered = journal
        self._states = MemorySnapshots()
        limits = replace(program.limits, max_tool_calls=None, max_llm_tokens=None)
        super().__init__(
            replace(program, policy=_AnsweredPolicy(journal), limits=limits),
            _AnsweredExecutor(journal),
            journal,
            _AnsweredClock(journal),
            snapshots=self._states,
        )
        self._episode: KernelEpisode | None = None
        self._attempt = 0

    def serve(self, episode: Episode | None) -> None:
        """Answer the next calls from this episode, whose run is the recorded one."""
        assert episode is None or isinstance(episode, KernelEpisode)
        self._episode, self._attempt = episode, 0

    def run(self, graph_id: str, event_id: str, context: Context, deadline: int | None) -> RunTermination:
        """One call for the run of the event. Raises AnswerMissing."""
        call = None
        if self._episode is not None:
            self._run_ids = _rule(self._episode, graph_id, event_id)
            if self._attempt < len(self._episode.calls):
                call = self._episode.calls[self._attempt]
                self._continue(self._episode.run_id, call)
        self._attempt += 1
        self._answered.answers = _Answers(call)
        return super().run(graph_id, event_id, context, deadline)

    def _continue(self, run_id: str, call: KernelCall) -> None:
        """Put the records of a run in place that began before the bundle, and its first state."""
        if call.begin.prior is None or self._answered.head(run_id):
            return
        self._answered.answers = _Answers(None)
        self._answered.append(run_id, [encode_event(each.event).decode() for each in call.before])
        if call.initial is not None:
            codec = self._program.codec
            InitialStates(self._states, codec).keep(run_id, codec.decode(call.initial))


class _NoRun(RunIdRule, frozen=True):
    """The rule of an event whose run could not be told: with the recorded error."""

    error: KernelError | None = None

    def run_id(self, graph_id: str, event_id: str, payload: FreeValue) -> str:
        """Raise the error."""
        assert self.error is not None
        raise self.error


def _rule(episode: KernelEpisode, graph_id: str, event_id: str) -> RunIdRule:
    run_id = episode.run_id
    if run_id:
        return RunIdRule() if run_id == f"{graph_id}/{event_id}" else RunIdRule(text=run_id)
    error = episode.calls[0].end.error
    message = "" if error is None else error.message.removeprefix(Category.DRIVER.prefix)
    code = None if error is None else error.code
    return _NoRun(member="", error=KernelError(Category.DRIVER, message, code=code))


def _requests(call: KernelCall | None) -> Iterator[_Request]:
    events = [] if call is None else [each.event for each in call.events]
    for place, event in enumerate(events):
        if isinstance(event, ActionRequested):
            following = events[place + 1] if place + 1 < len(events) else None
            is_answered = isinstance(following, ActionSucceeded | ActionFailed)
            yield _Request(
                event.payload, _result(following) if is_answered else None, place + 1 + is_answered == len(events)
            )


def _result(event: object) -> ActionResult:
    match event:
        case ActionSucceeded(_, output):
            return Success(output)
        case ActionFailed(_, error):
            return Failure(error)
        case _:
            raise AssertionError("no result")
