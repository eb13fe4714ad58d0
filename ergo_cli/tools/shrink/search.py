"""Shrink a stream: its events, then their payloads, then its events again."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Generic, Protocol, Self, TypeVar

from msgspec import Struct

from ergo_cli.core.json import JsonValue
from ergo_cli.errors import ErgoError
from ergo_cli.signals import is_of_a_signal
from ergo_cli.tools.shrink.minimiser import one_minimal, smallest
from ergo_cli.tools.shrink.simplifier import fewest_members, simplest
from ergo_cli.tools.shrink.tries import LimitReached, Limits, Stop, Tries, TryHung

_MOST_KEYS = 4
"""By how many members of payloads events are grouped."""


class Item(Protocol):
    """A part of a stream that goes or stays as a whole: an event, or the events of a run."""

    @property
    def groups(self) -> Sequence[Hashable]:
        """The groups that it is in by what is not in its payload: its episode, its kind."""
        ...

    @property
    def payload(self) -> dict[str, JsonValue] | None:
        """The payload of its event; None where it has none, or it is not to be changed."""
        ...

    def with_payload(self, payload: dict[str, JsonValue]) -> Self:
        """The same with another payload."""
        ...


ItemT = TypeVar("ItemT", bound=Item)


class Subject(Protocol[ItemT]):
    """A stream and what is looked for in it."""

    @property
    def items(self) -> Sequence[ItemT]:
        """The stream: at least one item."""
        ...

    def fails(self, stream: Sequence[ItemT]) -> bool:
        """Whether a part of the stream, or one with simpler payloads, still shows what is looked for."""
        ...

    def opens_payloads(self, stream: Sequence[ItemT]) -> bool:
        """Whether the payloads of what is left may be simplified; called once."""
        ...


class Found(Struct, Generic[ItemT], frozen=True):
    """The smallest stream that was found; ``stop`` says why there may be a smaller one.

    ``tries`` counts all, ``event_tries`` those before the first one of payloads; ``hung`` tries count as not failing.
    """

    stream: Sequence[ItemT]
    tries: int
    event_tries: int
    hung: int
    stop: Stop | None


def shrink(subject: Subject[ItemT], limits: Limits, on_try: Callable[[Tries[ItemT]], None]) -> Found[ItemT]:
    """The smallest stream that still fails, or the best so far where a limit is reached or a signal comes.

    Raises ErgoError ``shrink.flaky`` where the whole stream, or the result, fails once and does not when it is tried
    again.
    """
    tries = Tries(subject.fails, subject.items, limits, lambda: on_try(tries))
    stop, event_tries = None, None
    try:
        if not tries(tries.best):
            raise flaky("the whole stream failed, and does not when it is tried again")
        tries.best = smallest(tries.best, tries, groupings(tries.best))
        event_tries = tries.count
        if subject.opens_payloads(tries.best):
            _simplify(tries)
            one_minimal(tries.best, tries)
        if not _fails_again(subject, tries.best):
            raise flaky("the smallest stream failed, and does not when it is tried again")
    except LimitReached as limit:
        stop = limit.stop
    except BaseException as error:
        if not is_of_a_signal(error):
            raise
        stop = Stop.INTERRUPTED
    return Found(tries.best, tries.count, tries.count if event_tries is None else event_tries, tries.hung, stop)


def _fails_again(subject: Subject[ItemT], stream: Sequence[ItemT]) -> bool:
    try:
        return subject.fails(stream)
    except TryHung:
        return False


def flaky(what: str) -> ErgoError:
    """The error for a stream that does not fail each time."""
    fix = "make the program or the command depend on the stream alone: no clock, no randomness, nothing left by a try"
    return ErgoError("shrink.flaky", f"what fails does not fail each time: {what}", fix=fix)


def groupings(items: Sequence[ItemT]) -> list[Callable[[ItemT], Hashable]]:
    """The ways in which items can be grouped: by what they have, then by payload members that several share."""
    found: list[Callable[[ItemT], Hashable]] = [
        lambda item, at=at: item.groups[at] for at in range(len(items[0].groups))
    ]
    return found + [lambda item, name=name: _key(item, name) for name in _shared_keys(items)[:_MOST_KEYS]]


def _shared_keys(items: Sequence[Item]) -> list[str]:
    """The members of the last payload whose value at least one other item has, but not all; the rarest value first."""
    payload = items[-1].payload or {}
    names = [name for name, value in payload.items() if isinstance(value, str | bool | int)]
    shared = {name: sum(_key(item, name) == _key(items[-1], name) for item in items) for name in names}
    return sorted((name for name in names if 1 < shared[name] < len(items)), key=lambda name: shared[name])


def _key(item: Item, name: str) -> Hashable:
    value = (item.payload or {}).get(name)
    return repr(value) if isinstance(value, list | dict) else (value.__class__, value)


def _simplify(tries: Tries[ItemT]) -> None:
    """Leave members out of all payloads at once, then make each payload as simple as it can be."""
    names = dict.fromkeys(name for item in tries.best for name in item.payload or {})
    if len(tries.best) > 1:
        whole = tries.best
        fewest_members(dict.fromkeys(names), lambda kept: tries([_reduced(item, kept) for item in whole]))
    for at in range(len(tries.best)):
        payload = tries.best[at].payload
        if payload is not None:
            simplest(payload, lambda value, at=at: tries(_replaced(tries.best, at, value)))


def _reduced(item: ItemT, names: dict[str, JsonValue]) -> ItemT:
    payload = item.payload
    return item if payload is None else item.with_payload({name: payload[name] for name in payload if name in names})


def _replaced(items: Sequence[ItemT], at: int, payload: JsonValue) -> list[ItemT]:
    assert isinstance(payload, dict), "the simplest object is one"
    return [*items[:at], items[at].with_payload(payload), *items[at + 1 :]]
