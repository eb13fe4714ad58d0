"""Whether what a handler gave can stand in a record that is read back."""

from __future__ import annotations

from typing import Any, cast

from ergo_cli.core import wire
from ergo_cli.core.json import JsonError, NotCanonicalError, free_text
from ergo_cli.core.wire import WireError
from ergo_cli.programs.pipeline.authoring import EOF, Event, Output, StrictMiss
from ergo_cli.programs.pipeline.effects import EFFECT_EVENTS
from ergo_cli.programs.pipeline.signals import Signal
from ergo_cli.programs.pipeline.status import Status, Success


def output_fault(output: Output) -> str | None:
    """What is wrong with the parts of an output, but for payloads; None if nothing is."""
    match output:
        case Event(event_type, _, status):
            if not isinstance(cast(object, event_type), str):
                return f"an event whose type is {type(event_type).__name__}, not a text"
            if event_type in EFFECT_EVENTS:
                return f"an event of type '{event_type}', which effects alone write"
            return None if type(status) is Success else unread(status, Status, "an event whose status is wrong")
        case EOF(natural):
            return None if isinstance(cast(object, natural), bool) else "an EOF whose member natural is no bool"
        case StrictMiss(key):
            return _no_json(key, "a StrictMiss whose key is no JSON")
        case signal:
            return unread(signal, Signal, f"a {type(signal).__name__} that is wrong")


def unread(value: object, form: Any, what: str) -> str | None:
    """Why a value, written, would not be read again, after ``what``; None if it would."""
    try:
        wire.decode(wire.encode(value), form)
    except (WireError, JsonError, NotCanonicalError, TypeError) as error:
        return f"{what}: {error}"
    return None


def _no_json(value: object, what: str) -> str | None:
    try:
        free_text(value)
    except NotCanonicalError as error:
        return f"{what}: {error}"
    return None
