"""Play an episode again on its recording, and see what each attempt of today's handlers reads, asks and leaves."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any, cast

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.wire import FreeValue
from ergo_cli.programs.kind import Ran
from ergo_cli.programs.plan.context import Context
from ergo_cli.programs.plan.engine import PlanResolver
from ergo_cli.programs.plan.facts import FactIo, IoResult, LiveIo
from ergo_cli.programs.plan.manifest import RunManifest
from ergo_cli.programs.plan.program import PlanProgram
from ergo_cli.programs.plan.recorded import PlanEpisode
from ergo_cli.programs.plan.recorder import Recorder
from ergo_cli.programs.plan.referee import PlanReferee
from ergo_cli.programs.plan.states import ExecutionPlan, HandlerResult, State, StateOutcome
from ergo_cli.programs.plan.stream import Writer

Place = tuple[str, int]
"""A run, and the number of the event with which an attempt begins."""


class Seen:
    """What an attempt did: the keys that it read and the facts that it asked for, in order; its handler."""

    def __init__(self, handler: Callable[..., Any], context: Context) -> None:
        self.handler = handler
        self.reads: dict[str, None] = {}
        self.asked: dict[str, tuple[str, FreeValue]] = {}
        """By the keys of facts, namespace and request of the call; without namespace a value to be recorded."""
        self.has_failed = False
        self._context = context

    def left(self) -> dict[str, FreeValue]:
        """The context as the handler left it; nothing where it did not come to its end."""
        return {} if self.has_failed else self._context.dump()


def watched(program: PlanProgram, episode: PlanEpisode, ran: Ran) -> dict[Place, Seen]:
    """What today's handlers do on the records of an episode, by attempt: those that are not taken as they were."""
    attempts: dict[Place, Seen] = {}
    referee = PlanReferee(_watched_program(program, attempts))
    referee.serve(episode)
    for _ in episode.calls:
        referee.run(program.graph_id, ran.event_id, ran.context, None)
    return attempts


def _watched_program(program: PlanProgram, attempts: dict[Place, Seen]) -> PlanProgram:
    return replace(
        program,
        states=tuple(_watched_state(state, attempts) for state in program.states),
        children=tuple(_watched_program(child, attempts) for child in program.children),
        resolver=None if program.resolver is None else _WatchedResolver(program.resolver, attempts),
    )


def _watched_state(state: State, attempts: dict[Place, Seen]) -> State:
    def handle(context: Context, io: FactIo, recorder: Recorder) -> HandlerResult:
        writer = cast("Writer", cast("LiveIo", io).writer)
        seen = attempts[writer.run_id, writer.head] = Seen(state.handle, context)
        with _noted(seen):
            result = state.handle(_WatchedContext(context, seen), _WatchedIo(io, seen), recorder)
        return _awaited(result, seen) if inspect.isawaitable(result) else result

    return replace(state, handle=handle)


async def _awaited(result: Awaitable[StateOutcome | None], seen: Seen) -> StateOutcome | None:
    with _noted(seen):
        return await result


@contextmanager
def _noted(seen: Seen) -> Generator[None]:
    """Note that a handler raised, or that its attempt ended early."""
    try:
        yield
    except BaseException:
        seen.has_failed = True
        raise


class _WatchedResolver(Struct, frozen=True):
    """Makes plans whose handlers are watched."""

    inner: PlanResolver
    attempts: dict[Place, Seen]

    def resolve(self, manifest: RunManifest) -> ExecutionPlan:
        """The plan of a manifest. Raises RunError."""
        plan = self.inner.resolve(manifest)
        return replace(plan, states=tuple(_watched_state(state, self.attempts) for state in plan.states))


class _WatchedContext(Struct, frozen=True):
    """A context that notes what is read of it."""

    inner: Context
    seen: Seen

    def __contains__(self, key: str) -> bool:
        self.seen.reads[key] = None
        return key in self.inner

    def read(self, key: str, default: FreeValue = None) -> FreeValue:
        """The value of a key, ``default`` if there is none."""
        self.seen.reads[key] = None
        return self.inner.read(key, default)

    def read_typed(self, key: str, kind: Any) -> Any:
        """The value of a key as ``kind``."""
        self.seen.reads[key] = None
        return self.inner.read_typed(key, kind)

    def write(self, key: str, value: FreeValue) -> None:
        """Set a value."""
        self.inner.write(key, value)

    def delete(self, key: str) -> None:
        """Remove a value."""
        self.inner.delete(key)

    def dump(self) -> dict[str, FreeValue]:
        """All values."""
        values = self.inner.dump()
        self.seen.reads.update(dict.fromkeys(values))
        return values


class _WatchedIo(Struct, frozen=True):
    """The world of a handler, which notes what is asked."""

    inner: FactIo
    seen: Seen

    def call(self, namespace: str, request: FreeValue, fact_key: str | None = None) -> IoResult:
        """Ask the world."""
        if fact_key is not None:
            self.seen.asked[fact_key] = namespace, request
        return self.inner.call(namespace, request, fact_key)

    def record_value(self, key: str, value: FreeValue) -> str:
        """Record a value under a key."""
        self.seen.asked[key] = "", value
        return self.inner.record_value(key, value)

    def get_recorded_fact(self, key: str) -> str | None:
        """The artifact recorded under a key."""
        return self.inner.get_recorded_fact(key)

    def now_millis(self) -> int:
        """Milliseconds since 1970."""
        return self.inner.now_millis()

    def random_bytes(self, count: int) -> bytes:
        """Random bytes."""
        return self.inner.random_bytes(count)
