"""Egress configurations: channels, routes, timeouts, their fingerprint, their TOML and JSON files (spec 30 §16–17)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from hashlib import sha256
from os import PathLike
from pathlib import Path
from typing import Any, cast

import msgspec
from msgspec import Struct

from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.document_parsers import parse_json
from ergo_cli.core.json import decode
from ergo_cli.core.time import NANOS
from ergo_cli.errors import DocumentError, EgressError, ErgoError, headline, reason
from ergo_cli.project.authored import Findings, NoText, Table, parse_toml, read_text


class Route(Struct, frozen=True):
    """The channel of one intent kind; ``ack_timeout`` in ns, None for the default of the configuration."""

    channel: str
    ack_timeout: int | None = None


class ConfigFault(Struct, frozen=True):
    """One fault of a configuration: the key at ``path``, the reason and the fix."""

    path: str
    reason: str
    fix: str


class EgressConfig(Struct, frozen=True):
    """Channels by id with their argument lists, and the one route of every intent kind; timeouts in ns.

    A channel without routes is started too.
    """

    default_ack_timeout: int
    channels: Mapping[str, tuple[str, ...]]
    routes: Mapping[str, Route]

    @staticmethod
    def builder(default_ack_timeout: int) -> EgressConfigBuilder:
        """Begin a configuration; the timeout is in ns."""
        return EgressConfigBuilder(default_ack_timeout)

    def ack_timeout(self, kind: str) -> int:
        """How long to wait for the acknowledgement of an intent of ``kind``, in ns."""
        timeout = self.routes[kind].ack_timeout
        return self.default_ack_timeout if timeout is None else timeout

    def kinds_of(self, channel: str) -> list[str]:
        """The intent kinds that are routed to ``channel``, ascending."""
        return sorted(kind for kind, route in self.routes.items() if route.channel == channel)

    def faults(self) -> Iterator[ConfigFault]:
        """Every contradiction in the configuration, in the order of spec 30 §16.1."""
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
        """The canonical JSON text: fixed members, maps ascending by key, durations normalised."""
        channels = {name: _WireChannel("process", command) for name, command in sorted(self.channels.items())}
        routes = {
            kind: _WireRoute(route.channel, None if route.ack_timeout is None else _literal(route.ack_timeout))
            for kind, route in sorted(self.routes.items())
        }
        return _encode(_WireConfig(_literal(self.default_ack_timeout), channels, routes))

    @property
    def provenance(self) -> str:
        """The ``epv1`` fingerprint; the content of the programs and the path of the file are not part of it."""
        return "epv1:sha256:" + sha256(self.canonical()).hexdigest()


class EgressConfigBuilder:
    """Builds a configuration step by step; each channel id and each intent kind may be given once."""

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
        """Send intents of ``kind`` to ``channel``; the timeout is in ns.

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
    """The normal literal of a duration: whole seconds if exact, else milliseconds, truncated."""
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


class ConfigForm(Enum):
    """The syntax of a configuration."""

    TOML = "toml"
    JSON = "json"

    @classmethod
    def of(cls, path: str | PathLike[str]) -> ConfigForm:
        """The syntax by the file's suffix: ``.json`` is JSON, any other TOML."""
        return cls.JSON if Path(path).suffix == ".json" else cls.TOML


def load_egress_config(path: str | PathLike[str]) -> tuple[EgressConfig, tuple[Notice, ...]]:
    """Read the configuration in a file; also returns a notice for each unknown key.

    Raises EgressError: ``cli.egress_config_read_failed`` if the file cannot be read, else as ``parse_egress_config``.
    """
    path = Path(path)
    try:
        text = read_text(path)
    except OSError as error:
        message = f"failed to read egress configuration '{path}': {reason(error)}"
        fix = "name a readable file with --egress-config, or in the profile"
        raise EgressError("cli.egress_config_read_failed", message, where=str(path), fix=fix) from error
    except NoText as error:
        raise _parse_fault(str(path), str(error), fix=error.fix) from error
    return parse_egress_config(text, str(path), ConfigForm.of(path))


def parse_egress_config(
    text: str, label: str = "<egress>", form: ConfigForm = ConfigForm.TOML
) -> tuple[EgressConfig, tuple[Notice, ...]]:
    """Decode the configuration in a text; also returns a notice for each unknown key. ``label`` names the text.

    Raises EgressError ``cli.egress_config_parse_failed``: the first fault of syntax and types, else the first
    contradiction; the others are its causes.
    """
    findings = Findings(label, _parse_fault)
    config = _config(Table(_members(text, label, form), "", findings))
    findings.raise_first()
    for fault in config.faults():
        findings.fault(fault.path, fault.reason, fault.fix)
    findings.raise_first()
    return config, tuple(findings.notices)


def _parse_fault(file: str, reason: str, *, where: str | None = None, fix: str | None = None) -> EgressError:
    message = f"failed to parse egress configuration '{file}': {reason}"
    return EgressError("cli.egress_config_parse_failed", message, where=where or file, fix=fix)


def _members(text: str, label: str, form: ConfigForm) -> Mapping[str, object]:
    match form:
        case ConfigForm.TOML:
            return parse_toml(text, label, _parse_fault)
        case ConfigForm.JSON:
            return _json_object(text, label)


def _json_object(text: str, label: str) -> Mapping[str, object]:
    try:
        parse_json(text, label)  # the strict reader knows positions and refuses repeated members
        document = decode(text.encode())
    except DocumentError as error:
        raise headline(map(_as_parse_fault, error.unfold())) from error
    if not isinstance(document, dict):
        raise _parse_fault(label, "the text is not a JSON object", fix="write the tables as members of one object")
    return cast("dict[str, object]", _without_nulls(document))


def _as_parse_fault(fault: ErgoError) -> EgressError:
    return EgressError("cli.egress_config_parse_failed", fault.message, where=fault.where, fix=fault.fix)


def _without_nulls(value: Any) -> object:
    """The value without members that are null: null counts as absent."""
    if not isinstance(value, dict):
        return value
    members = cast("dict[str, Any]", value)
    return {name: _without_nulls(member) for name, member in members.items() if member is not None}


def _config(table: Table) -> EgressConfig:
    table.require("default_ack_timeout", 'default_ack_timeout = "5s"')
    config = EgressConfig(
        default_ack_timeout=table.duration("default_ack_timeout") or 0,
        channels={name: _command(channel) for name, channel in table.tables("channels").items()},
        routes={kind: _route(route) for kind, route in table.tables("routes").items()},
    )
    table.finish()
    return config


def _command(channel: Table) -> tuple[str, ...]:
    channel.require("type", 'type = "process"')
    channel.require("command", 'command = ["program", "argument"]')
    channel.choice("type", _channel_type, '"process"')
    command = channel.strings("command") or ()
    channel.finish()
    return command


def _channel_type(text: str) -> str:
    if text != "process":
        raise ValueError(text)
    return text


def _route(route: Table) -> Route:
    route.require("channel", 'channel = "…"')
    channel, ack_timeout = route.string("channel"), route.duration("ack_timeout")
    if channel == "":
        route.fault("channel", "must not be empty", "name one of the channels")
    route.finish()
    return Route(channel or "", ack_timeout)
