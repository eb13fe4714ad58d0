"""The surroundings of a program that runs live (spec 00 §13.1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from typing import Protocol, TypeVar

from msgspec import Struct

from ergo_cli.core.time import Clock
from ergo_cli.events.adapter import Adapter
from ergo_cli.stores.backends import RunStore

T = TypeVar("T")


class Surroundings(Struct, frozen=True):
    """What a live run puts around a program: adapter, effect kinds that egress routes, the profile's run id rule.

    ``environment`` holds the variables of the command line; a library has none.
    """

    adapter: Adapter | None = None
    routed: Set[str] | None = None
    run_id: str | None = None
    environment: Mapping[str, str] = {}


class DeadlinePassed(Exception):
    """A call exceeded its limit and was abandoned."""


class CallWithin(Protocol):
    """Calls a function that may take too long."""

    def __call__(self, limit: int, work: Callable[[], T], name: str) -> T:
        """Return or raise the result of ``work`` within ``limit`` ns, else DeadlinePassed; ``name`` aids debugging."""
        ...


class Seat(Struct, frozen=True):
    """What a live program runs with: clock, deadline guard, run id rule, and the store of its runs (None: memory).

    ``entropy`` gives that many random bytes. ``continues``: events may belong to runs that were done before; otherwise
    such an event is refused. ``provenance`` is the program's fingerprint. ``accepts_plan_changes``: an unfinished run
    may go on with another plan than the one that it was begun with. ``environment`` is that of ``Surroundings``.
    """

    clock: Clock
    within: CallWithin
    run_id: str | None = None
    store: RunStore | None = None
    entropy: Callable[[int], bytes] = bytes
    continues: bool = True
    provenance: str = ""
    accepts_plan_changes: bool = False
    environment: Mapping[str, str] = {}
