"""What stands between a pipeline's supervisor and those who control and watch it (spec 60 §11, §12.3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from msgspec import Struct

from ergo_cli.programs.pipeline.asyncio_driver.waiting import Bell
from ergo_cli.programs.pipeline.control import CHANNEL_CAPACITY, RunOutcome, run_outcome
from ergo_cli.programs.pipeline.lifecycle import Event, State


class Request(Struct):
    """An event for the lifecycle; ``outcome`` says what a request to run came to when it was taken."""

    event: Event
    outcome: asyncio.Future[RunOutcome]

    def answer(self, state: State) -> None:
        """Tell the sender in which state the request was taken."""
        if not self.outcome.done():
            self.outcome.set_result(run_outcome(state))


class ControlChannel:
    """Requests in order, at most 100 of them; a sender waits while it is full."""

    def __init__(self, bell: Bell) -> None:
        self._queue: asyncio.Queue[Request] = asyncio.Queue(CHANNEL_CAPACITY)
        self._bell = bell
        self._last: State | None = None
        self.is_closed = False
        """Whether nothing more is sent: the last controller is gone."""

    async def send(self, event: Event) -> asyncio.Future[RunOutcome]:
        """Queue an event; returns what it comes to."""
        request = Request(event, asyncio.get_running_loop().create_future())
        await self._queue.put(request)
        self._bell.ring()
        if self._last is not None:
            self.finish(self._last)
        return request.outcome

    def take(self) -> Request | None:
        """The next request, if there is one."""
        return None if self._queue.empty() else self._queue.get_nowait()

    def close(self) -> None:
        """Send nothing more; what is queued is still taken."""
        self.is_closed = True
        self._bell.ring()

    def finish(self, state: State) -> None:
        """Take nothing more: the pipeline has ended in this state."""
        self._last = state
        while (request := self.take()) is not None:
            request.answer(state)


class StateWatcher:
    """The latest published state; watchers may miss states that did not last."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.is_over = False
        self._changed = asyncio.Event()

    def publish(self, state: State) -> None:
        """Show a state, if it is another one."""
        if state != self.state:
            self.state = state
            self._wake()

    def finish(self) -> None:
        """Nothing more will be published."""
        self.is_over = True
        self._wake()

    async def changes(self) -> AsyncIterator[State]:
        """The state as it is, then the latest one after each change; ends with the pipeline."""
        while True:
            shown, changed = self.state, self._changed
            yield shown
            while self.state == shown:
                if self.is_over:
                    return
                await changed.wait()
                changed = self._changed

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
