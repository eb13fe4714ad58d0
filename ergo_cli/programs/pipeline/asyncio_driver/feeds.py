"""Where the payloads of a source come from (spec 60 §4, §18.1)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias, cast

from ergo_cli.core.wire import FreeValue
from ergo_cli.errors import described
from ergo_cli.programs.pipeline.asyncio_driver.waiting import Bell, LoopClock
from ergo_cli.programs.pipeline.authoring import HandlerError
from ergo_cli.programs.pipeline.idle_backoff import IDLE_CAP_MS, IdleBackoff
from ergo_cli.programs.pipeline.stages.source import SourceSupervisor

NANOS_A_MS = 1_000_000

Batch: TypeAlias = Sequence[FreeValue] | None
"""Payloads, none for now, or None: there will be no more."""

Feed: TypeAlias = Iterable[FreeValue] | AsyncIterable[FreeValue] | Callable[[], Batch | Awaitable[Batch]]
"""Payloads to iterate over, or a plain or ``async`` function ``next()`` that gives a batch."""


def is_feed(value: object) -> bool:
    """Whether a value is a feed. Iterating over a text or a mapping would give characters, numbers or names."""
    if isinstance(value, str | bytes | bytearray | memoryview | Mapping):
        return False
    return isinstance(value, Iterable | AsyncIterable) or callable(value)


class Feeder:
    """Gets payloads for a source while it has nothing to admit; the bell is that of the source's task."""

    def __init__(
        self, source: SourceSupervisor, feed: Feed, call: Callable[..., Awaitable[object]], bell: Bell, clock: LoopClock
    ) -> None:
        self._source = source
        self._next = _next_of(feed)
        self._call = call
        self._bell = bell
        self._clock = clock
        self._asked: asyncio.Future[object] | None = None
        self._backoff = IdleBackoff(IDLE_CAP_MS)
        self._again_ns = 0

    @property
    def wait_ns(self) -> int | None:
        """How long the feed is left alone after it had nothing; None while it is asked, or not wanted."""
        if self._asked is not None or not self._source.wants_payload:
            return None
        return max(self._again_ns - self._clock.monotonic_ns(), 0)

    async def serve(self) -> bool:
        """Take the answer of the feed, or ask it; returns whether an answer was taken."""
        if not self._source.wants_payload:
            self.stop()
            return False
        if self._asked is None:
            if self._clock.monotonic_ns() < self._again_ns:
                return False
            self._asked = asyncio.ensure_future(self._call(self._next))
            self._asked.add_done_callback(lambda _asked: self._bell.ring())
        if not self._asked.done():
            return False
        asked, self._asked = self._asked, None
        await self._take(asked)
        return True

    def stop(self) -> None:
        """Ask no more."""
        if self._asked is not None:
            self._asked.cancel()
            self._asked.add_done_callback(_forget)
            self._asked = None

    async def _take(self, asked: asyncio.Future[object]) -> None:
        try:
            batch = asked.result()
        except HandlerError as error:
            self._source.note(error)
            self._wait()
            return
        except (Exception, SystemExit, asyncio.CancelledError) as error:  # noqa: BLE001 - a feed is a handler
            await self._source.fail(f"its feed raised {described(error)}", error)
            return
        if batch is None:
            self._source.exhaust()
        elif not isinstance(batch, list | tuple):
            await self._source.fail(f"its feed gave {type(batch).__name__}, not a list of payloads", None)
        elif batch:
            self._backoff.reset()
            for payload in cast("Sequence[FreeValue]", batch):
                self._source.offer(payload)
        else:
            self._wait()

    def _wait(self) -> None:
        self._again_ns = self._clock.monotonic_ns() + self._backoff.next_ms() * NANOS_A_MS


def _forget(asked: asyncio.Future[object]) -> None:
    """Take an answer that is no longer wanted, so that an error in it is not reported as overlooked."""
    if not asked.cancelled():
        asked.exception()


def _next_of(feed: Feed) -> Callable[[], Batch | Awaitable[Batch]]:
    if isinstance(feed, AsyncIterable):
        return _next_async(aiter(cast("AsyncIterable[FreeValue]", feed)))
    if isinstance(feed, Iterable):
        return _next_plain(iter(cast("Iterable[FreeValue]", feed)))
    return feed


def _next_plain(payloads: Iterator[FreeValue]) -> Callable[[], Batch]:
    def next_payload() -> Batch:
        for payload in payloads:
            return (payload,)
        return None

    return next_payload


def _next_async(payloads: AsyncIterator[FreeValue]) -> Callable[[], Awaitable[Batch]]:
    async def next_payload() -> Batch:
        async for payload in payloads:
            return (payload,)
        return None

    return next_payload
