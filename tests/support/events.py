"""Events as tests write them: lines of a stream, and hosted ones."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ergo_cli.events.external import EventKind, HostedEvent

TICK_LINE = b'{"kind":"event","event":{"type":"Command","semantic_kind":"tick","payload":{"x":1.5}}}\n'
"""A tick without an id, as a line of a stream."""


def event_line(event: Mapping[str, Any]) -> bytes:
    """The line of a stream that holds this event."""
    return json.dumps({"kind": "event", "event": event}).encode() + b"\n"


def event_lines(events: Iterable[Mapping[str, Any]]) -> str:
    """A stream of these events, as a text."""
    return b"".join(map(event_line, events)).decode()


def tick(event_id: str, x: float = 1.0, kind: EventKind = EventKind.COMMAND) -> HostedEvent:
    """A hosted event ``tick`` with a number ``x``."""
    return HostedEvent(event_id, kind, 0, "tick", {"x": x})
