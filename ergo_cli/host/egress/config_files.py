"""Egress configurations as TOML or JSON files (spec 30 §16.1)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, cast

from ergo_cli.core.json import decode
from ergo_cli.core.json_text import parse_json
from ergo_cli.core.notices import Notice
from ergo_cli.errors import DocumentError, EgressError, ErgoError, headline, reason
from ergo_cli.host.egress.config import EgressConfig, Route
from ergo_cli.project.tables import Findings, Table
from ergo_cli.project.texts import read_text
from ergo_cli.project.toml_text import parse_toml


class ConfigForm(Enum):
    """How a configuration is written."""

    TOML = "toml"
    JSON = "json"

    @classmethod
    def of(cls, path: Path) -> ConfigForm:
        """The form that a file's name tells: ``.json`` is JSON, any other TOML."""
        return cls.JSON if path.suffix == ".json" else cls.TOML


def load_egress_config(path: Path) -> tuple[EgressConfig, tuple[Notice, ...]]:
    """The configuration in a file, and a notice for each key that means nothing.

    Raises EgressError: ``cli.egress_config_read_failed`` (no readable file), else as ``parse_egress_config``.
    """
    try:
        text = read_text(path)
    except OSError as error:
        message = f"failed to read egress configuration '{path}': {reason(error)}"
        fix = "name a readable file with --egress-config, or in the profile"
        raise EgressError("cli.egress_config_read_failed", message, where=str(path), fix=fix) from error
    except ValueError as error:
        raise _parse_fault(str(path), str(error), fix="write the file in UTF-8, shorter than 8 MiB") from error
    return parse_egress_config(text, str(path), ConfigForm.of(path))


def parse_egress_config(
    text: str, label: str = "<egress>", form: ConfigForm = ConfigForm.TOML
) -> tuple[EgressConfig, tuple[Notice, ...]]:
    """The configuration that a text holds, and a notice for each key that means nothing; ``label`` names the text.

    Raises EgressError ``cli.egress_config_parse_failed``: faults of the text's shape first, then those of what it says;
    all further ones are among its causes.
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
        parse_json(text, label)  # the strict reader knows places and refuses members that are given twice
        document = decode(text.encode())
    except DocumentError as error:
        raise headline(map(_as_parse_fault, error.unfold())) from error
    if not isinstance(document, dict):
        raise _parse_fault(label, "the text is no JSON object", fix="write the tables as members of one object")
    return cast("dict[str, object]", _without_nulls(document))


def _as_parse_fault(fault: ErgoError) -> EgressError:
    return EgressError("cli.egress_config_parse_failed", fault.message, where=fault.where, fix=fault.fix)


def _without_nulls(value: Any) -> object:
    """The value without members that are null: they are as good as absent."""
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
