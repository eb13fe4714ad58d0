"""How handlers are called, and how a step that calls them is taken.

A step is a coroutine, since a handler may be. Where one thread steps a whole flow no step ever waits: ``call_to_end``
drives an ``async`` handler to its end, and ``finished`` takes a step at once.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from functools import cache
from typing import TypeVar, cast

T = TypeVar("T")


def takes_effects(handler: Callable[..., object]) -> bool:
    """Whether a handler's last parameter is ``effects``."""
    try:
        return _known_to_take_effects(handler)
    except TypeError:  # an object without a hash
        return _ends_with_effects(handler)


def _ends_with_effects(handler: Callable[..., object]) -> bool:
    try:
        names = list(inspect.signature(handler).parameters)
    except (TypeError, ValueError):  # a built-in function without a signature
        return False
    return bool(names) and names[-1] == "effects"


_known_to_take_effects = cache(_ends_with_effects)


async def call_to_end(handler: Callable[..., object], *arguments: object) -> object:
    """What a handler gives; nothing else moves until it has ended, also where it is ``async``.

    Raises RuntimeError for one that is cancelled: nothing but itself does that here.
    """
    try:
        given = handler(*arguments)
        return asyncio.run(_awaited(cast("Awaitable[object]", given))) if inspect.isawaitable(given) else given
    except asyncio.CancelledError as error:
        raise RuntimeError("the handler cancelled itself") from error


def finished(step: Coroutine[object, None, T]) -> T:
    """The result of a step that waits for nothing."""
    try:
        step.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("a step of a flow without an event loop waits")


async def _awaited(given: Awaitable[object]) -> object:
    return await given
