"""Where intents go: channels, routes, timeouts, and the fingerprint of it all (spec 30 §16–17)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256

import msgspec
from msgspec import Struct

from ergo_cli.core.time import NANOS
from ergo_cli.errors import EgressError, headline


class Route(Struct, frozen=True):
    """The channel of one intent kind; ``ack_timeout`` in ns, None for the default of the configuration."""

    channel: str
    ack_timeout: int | None = None


class ConfigFault(Struct, frozen=True):
    """What is wrong with a configuration: the key at ``path``, why, and what to do about it."""

    path: str
    reason: str
    fix: str


class EgressConfig(Struct, frozen=True):
    """Channels by id with their argument lists, and the one route of every intent kind; timeouts in ns.

    A channel without routes is started all the same.
    """

    default_ack_timeout: int
    channels: Mapping[str, tuple[str, ...]]
    routes: Mapping[str, Route]

    @staticmethod
    def builder(default_ack_timeout: int) -> EgressConfigBuilder:
        """Begin a configuration; the timeout in ns."""
        return EgressConfigBuilder(default_ack_timeout)

    def ack_timeout(self, kind: str) -> int:
        """How long to wait for the word of the channel that ``kind`` goes to, in ns."""
        timeout = self.routes[kind].ack_timeout
        return self.default_ack_timeout if timeout is None else timeout

    def kinds_of(self, channel: str) -> list[str]:
        """The intent kinds that are routed to ``channel``, ascending."""
        return sorted(kind for kind, route in self.routes.items() if route.channel == channel)

    def faults(self) -> Iterator[ConfigFault]:
        """Everything that contradicts itself here, in the order of spec 30 §16.1."""
        channels, routes = sorted(self.channels.items()), sorted(self.routes.items())
        for name, command in channels:
            yield from _command_faults(name, command)
        if "" in self.channels:
            yield ConfigFault("channels", "holds a channel with an empty id", "give the channel a name")
        if "" in self.routes:
            yield ConfigFault("routes", "holds a route with an empty intent kind", "name the kind of intents it takes")
        for kind, route in routes:
            if route.channel not in self.channels:
                reason = f"references unknown channel '{route.channel}' (intent kind '{kind}')"
                yield ConfigFault(f"routes.{kind}.channel", reason, _channel_fix(self.channels, route.channel))

    def canonical(self) -> bytes:
        """The one JSON text of this configuration: fixed members, maps ascending, durations normalised."""
        channels = {name: _WireChannel("process", command) for name, command in sorted(self.channels.items())}
        routes = {
            kind: _WireRoute(route.channel, None if route.ack_timeout is None else _literal(route.ack_timeout))
            for kind, route in sorted(self.routes.items())
        }
        return _encode(_WireConfig(_literal(self.default_ack_timeout), channels, routes))

    @property
    def provenance(self) -> str:
        """The ``epv1`` fingerprint; what the programs hold and where the file lies play no part."""
        return "epv1:sha256:" + sha256(self.canonical()).hexdigest()


class EgressConfigBuilder:
    """Builds a configuration step by step; each id and each kind may be given once."""

    def __init__(self, default_ack_timeout: int) -> None:
        self._default_ack_timeout = default_ack_timeout
        self._channels: dict[str, tuple[str, ...]] = {}
        self._routes: dict[str, Route] = {}

    def channel(self, name: str, command: Sequence[str]) -> EgressConfigBuilder:
        """Add a channel process. Raises EgressError ``egress.config_invalid`` for an id that is taken."""
        if name in self._channels:
            raise _invalid(ConfigFault(f"channels.{name}", "is declared twice", "give every channel its own id"))
        self._channels[name] = tuple(command)
        return self

    def route(self, kind: str, channel: str, ack_timeout: int | None = None) -> EgressConfigBuilder:
        """Send intents of ``kind`` to ``channel``; the timeout in ns.

        Raises EgressError ``egress.config_invalid`` for a kind that has a route.
        """
        if kind in self._routes:
            raise _invalid(ConfigFault(f"routes.{kind}", "is declared twice", "give every intent kind one route"))
        self._routes[kind] = Route(channel, ack_timeout)
        return self

    def build(self) -> EgressConfig:
        """The configuration. Raises EgressError ``egress.config_invalid`` with every fault of spec 30 §16.1."""
        config = EgressConfig(self._default_ack_timeout, dict(self._channels), dict(self._routes))
        faults = [_invalid(fault) for fault in config.faults()]
        if faults:
            raise headline(faults)
        return config


class _WireChannel(Struct, frozen=True):
    type: str
    command: tuple[str, ...]


class _WireRoute(Struct, frozen=True):
    channel: str
    ack_timeout: str | None


class _WireConfig(Struct, frozen=True):
    default_ack_timeout: str
    channels: dict[str, _WireChannel]
    routes: dict[str, _WireRoute]


_encode = msgspec.json.Encoder().encode
_MILLISECOND = 1_000_000


def _literal(ns: int) -> str:
    """The normal literal of a duration: whole seconds if it has no others, else milliseconds, cut off below."""
    ms = ns // _MILLISECOND
    return f"{ns // NANOS}s" if ms % 1000 == 0 else f"{ms}ms"


def _command_faults(name: str, command: tuple[str, ...]) -> Iterator[ConfigFault]:
    path, fix = f"channels.{name}.command", 'write command = ["program", "argument"]'
    if not command:
        yield ConfigFault(path, f"is an empty process command (channel '{name}')", fix)
    elif not command[0].strip():
        yield ConfigFault(path, f"has a blank process executable (channel '{name}')", fix)


def _channel_fix(channels: Mapping[str, object], name: str) -> str:
    known = ", ".join(sorted(channels))
    return f"add [channels.{name}], or use one of: {known}" if known else f"add [channels.{name}]"


def _invalid(fault: ConfigFault) -> EgressError:
    message = f"egress configuration is invalid: key '{fault.path}' {fault.reason}"
    return EgressError("egress.config_invalid", message, where=fault.path, fix=fault.fix)
