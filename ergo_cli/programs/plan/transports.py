"""Which transport answers a call: by the longest group of its namespace (spec 50 §12.5)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Protocol

from msgspec import Struct

from ergo_cli.core.wire import FreeValue
from ergo_cli.programs.plan.errors import IoError, io_failed
from ergo_cli.programs.plan.facts import IoCall, Transport
from ergo_cli.programs.plan.ids import RunId
from ergo_cli.programs.plan.stream import Turn

_OF_CHILD_RUNS = "machine.child_run."
"""The engine answers these itself, but for children."""


class TransportEnv(Struct, frozen=True):
    """The attempt that a transport is made for."""

    run_id: RunId
    state_id: str
    attempt: int
    turn: Turn = nullcontext()
    """What records are made in that the call makes itself."""


class TransportFactory(Protocol):
    """Makes the transport of an attempt."""

    def make(self, env: TransportEnv) -> Transport:
        """A transport; called once for every live attempt that runs a handler."""
        ...


class NoTransports:
    """The factory of an engine without transports: every call fails."""

    def make(self, env: TransportEnv) -> Transport:
        """A transport that refuses."""

        def refuse(call: IoCall) -> FreeValue:
            raise io_failed("io_unimplemented", "the program has no transports")

        return refuse


class Router:
    """A factory that sends each call to the transport of the longest group that its namespace lies in."""

    def __init__(self, factories: Mapping[str, TransportFactory]) -> None:
        self._factories: dict[str, TransportFactory] = {}
        for group, factory in factories.items():
            self.register(group, factory)

    def register(self, group: str, factory: TransportFactory) -> None:
        """Add a route. Raises ValueError for a blank group and for one that has a route."""
        group = group.strip()
        if not group:
            raise ValueError("transport namespace group must not be empty")
        if group in self._factories:
            raise ValueError(f"duplicate transport namespace group: {group}")
        self._factories[group] = factory

    def make(self, env: TransportEnv) -> Transport:
        """A transport over those of all groups."""
        transports = {group: factory.make(env) for group, factory in self._factories.items()}

        def route(call: IoCall) -> FreeValue:
            group = _longest(call.namespace, transports)
            if group is None:
                raise _unknown(call.namespace)
            return transports[group](call)

        return route


def _longest(namespace: str, groups: Mapping[str, object]) -> str | None:
    """The longest of ``groups`` that is the namespace or a whole part of its beginning."""
    while namespace not in groups:
        namespace, dot, _ = namespace.rpartition(".")
        if not dot:
            return None
    return namespace


def _unknown(namespace: str) -> IoError:
    message = f"no transport is registered for the namespace '{namespace}'"
    if namespace.startswith(_OF_CHILD_RUNS):
        message += ": a child run has no children"
    return io_failed("io_unknown_namespace", message)
