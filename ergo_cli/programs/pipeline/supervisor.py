"""The supervisor of a pipeline at work: it decides, moves its lifecycle, runs the actions (spec 60 §8.1, §9.3, H-6).

The lifecycle stands in ``lifecycle``, the decisions in ``dispatch``, what an action does in ``orchestration``. A driver
calls ``visit`` again and again, as long as there is anything to do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from ergo_cli.programs.pipeline.completion import Evidence
from ergo_cli.programs.pipeline.context import PipelineContext, Read
from ergo_cli.programs.pipeline.control import ExternalMode, external_mode
from ergo_cli.programs.pipeline.dispatch import Continue, Sight, Terminate, Transit, dispatch, polls
from ergo_cli.programs.pipeline.errors import JournalError
from ergo_cli.programs.pipeline.flow import Flow
from ergo_cli.programs.pipeline.journal import JournalReader
from ergo_cli.programs.pipeline.lifecycle import (
    LIFECYCLE,
    Created,
    Error,
    Event,
    Failed,
    Materialized,
    Materializing,
    State,
    is_terminal,
)
from ergo_cli.programs.pipeline.modes import StartupMode
from ergo_cli.programs.pipeline.orchestration import ActionFailed, ManagedStage, Orchestration
from ergo_cli.programs.pipeline.state_machine import UnhandledEvent, name_of
from ergo_cli.programs.pipeline.system_events import PipelineDrained, PipelineFact, PipelineLifecycle, SystemEvent
from ergo_cli.programs.pipeline.transition_history import TransitionHistory


class PipelineSupervisor:
    """Drives one flow from ``Created`` to its terminal fact.

    ``state`` is what watchers see: a state is published when all actions of the transition into it are done (§8.1).
    ``has_ended``: nothing is left to do. ``journal_failure`` is the first error of a journal that it met.
    ``wait_ms`` is how long a driver whose clock runs waits after a visit that moved nothing; ``log`` takes lines for
    people.
    """

    def __init__(
        self,
        flow: Flow,
        stages: Sequence[ManagedStage],
        log: Callable[[str], object] = lambda _line: None,
        *,
        startup: StartupMode = StartupMode.AUTO,
    ) -> None:
        settings = flow.program.settings
        self.flow = flow
        self.state: State = Created()
        self.has_ended = False
        self.journal_failure: JournalError | None = None
        self.wait_ms = 0
        self.history = TransitionHistory()
        self.context = PipelineContext(
            evidence=Evidence(flow.topology, settings.source_mode),
            startup=startup,
            drain_timeout_ms=settings.drain_timeout_ms,
        )
        self._state: State = self.state
        self._orchestration = Orchestration(flow, stages)
        self._requests: deque[Event] = deque()
        self._log = log

    @property
    def current(self) -> State:
        """The state of the lifecycle, which is not yet published while actions run."""
        return self._state

    @property
    def is_asked(self) -> bool:
        """Whether a request waits."""
        return bool(self._requests)

    def request(self, event: Event) -> None:
        """Ask from outside; the event is taken when the state allows it (§11)."""
        self._requests.append(event)

    async def visit(self) -> bool:
        """Take one request, or one event of the system journal, or decide without; returns whether anything moved."""
        if self.has_ended:
            return False
        if self._requests and external_mode(self._state) is not ExternalMode.IGNORE:
            await self._handle(self._requests.popleft())
            self.state = self._state
            return True
        moved = await self._dispatch()
        self.state = self._state
        return moved

    async def give_up(self, reason: str) -> None:
        """Fail because of what no state can handle; the terminal fact is written as far as that goes (H-6)."""
        if is_terminal(self._state):
            return
        failed = Failed(reason, None)
        self.history.note(self._state, Error(reason), failed, (), self.flow.clock.monotonic_ns())
        self._state = failed
        await self._orchestration.cleanup(self.context)

    async def _dispatch(self) -> bool:
        now_ns = self.flow.clock.monotonic_ns()
        try:
            sight = self._sight(now_ns)
        except JournalError as error:
            self.journal_failure = self.journal_failure or error
            await self._handle(Error(f"dispatch_state error in {name_of(self._state)}: {error}"))
            return True
        decision = dispatch(self._state, self.context, sight, now_ns)
        for fact in decision.facts:
            self._append(fact)
        self.context = decision.context
        for line in decision.log:
            self._log(line)
        match decision.directive:
            case Transit(event):
                await self._handle(event)
                return True
            case Terminate():
                self._append(PipelineDrained())
                self.has_ended = True
                return True
            case Continue(wait_ms):
                self.wait_ms = wait_ms
                return sight.polled is not None

    def _sight(self, now_ns: int) -> Sight:
        if is_terminal(self._state):
            return Sight(tail=self._tail())
        reader = self._orchestration.reader
        polled = None
        if polls(self._state, self.context, now_ns):
            polled = None if reader is None else _next_of(reader)
        if isinstance(self._state, Materializing | Materialized):
            return Sight(polled=polled, supervised=self._orchestration.initialized, ready=self._orchestration.ready)
        return Sight(polled=polled)

    def _tail(self) -> tuple[Read, ...]:
        """What is not yet read of the system journal; nothing where it cannot be read (§16)."""
        try:
            return tuple(_all_of(self.flow.system.reader(self.context.position)))
        except JournalError as error:
            self.journal_failure = self.journal_failure or error
            return ()

    async def _handle(self, event: Event) -> None:
        before = self._state
        try:
            step = LIFECYCLE.step(before, event, self.context.stop)
        except UnhandledEvent as error:
            await self.give_up(f"FSM error: {error}")
            return
        self._state = step.state
        self.context = replace(self.context, stop=step.context)
        self.history.note(before, event, step.state, step.actions, self.flow.clock.monotonic_ns())
        for action in step.actions:
            try:
                self.context = await self._orchestration.run(action, self.context)
            except (ActionFailed, JournalError) as error:
                if isinstance(error, JournalError):
                    self.journal_failure = self.journal_failure or error
                await self._fail(event, str(error))
                return

    async def _fail(self, event: Event, text: str) -> None:
        """Feed the failure of an action to the lifecycle, in its new state; a failure of that ends the supervisor."""
        if isinstance(event, Error):
            await self.give_up(f"Action error during failure handling: {text}")
        else:
            await self._handle(Error(text))

    def _append(self, fact: PipelineFact) -> None:
        """Append a fact whose failure changes nothing."""
        try:
            self.flow.note(self.flow.writer, PipelineLifecycle(fact))
        except JournalError as error:
            self.journal_failure = self.journal_failure or error


def _next_of(reader: JournalReader[SystemEvent]) -> Read | None:
    record = reader.next()
    return None if record is None else Read(reader.position, record.event)


def _all_of(reader: JournalReader[SystemEvent]) -> list[Read]:
    reads: list[Read] = []
    while (read := _next_of(reader)) is not None:
        reads.append(read)
    return reads
