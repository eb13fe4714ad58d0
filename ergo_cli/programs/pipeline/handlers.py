"""How handlers are called: their parameters, and ``async`` ones driven to their end."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from functools import cache
from typing import cast


@cache
def takes_effects(handler: Callable[..., object]) -> bool:
    """Whether a handler's last parameter is ``effects``."""
    try:
        names = list(inspect.signature(handler).parameters)
    except (TypeError, ValueError):  # a built-in function without a signature
        return False
    return bool(names) and names[-1] == "effects"


def driven(given: object) -> object:
    """What a handler gives; an ``async`` one is driven to its end first."""
    return asyncio.run(_awaited(cast("Awaitable[object]", given))) if inspect.isawaitable(given) else given


async def _awaited(given: Awaitable[object]) -> object:
    return await given
