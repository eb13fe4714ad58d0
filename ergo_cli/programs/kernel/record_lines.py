"""Records and states of kernel runs in words for readers: names and fields, members that differ (spec 70 §4)."""

from __future__ import annotations

from ergo_cli.core.json import JsonValue
from ergo_cli.programs.kernel.engine.events import ActionRequested, Interrupted, Resumed, SequencedEvent, StateUpdated
from ergo_cli.programs.recorded import RecordLine


def record_line(sequenced: SequencedEvent) -> RecordLine:
    """The name of a record and its fields: an action by its own kind and target, anything else by its event."""
    event = sequenced.event
    match event:
        case ActionRequested(_, payload):
            return _action_line(payload)
        case StateUpdated(step_id, payload):
            return RecordLine(" ".join(filter(None, (sequenced.kind, step_id))), payload)
        case Interrupted(value) | Resumed(value):
            return RecordLine(sequenced.kind, value)
        case _:
            fields: dict[str, JsonValue] = {
                name: getattr(event, name) for name in event.__struct_fields__ if name != "action_id"
            }
            return RecordLine(sequenced.kind, fields or None)


def _action_line(payload: JsonValue) -> RecordLine:
    """``CallTool refund {"amount": 900}``: the action, what it calls, what it gives it."""
    if not (isinstance(payload, dict) and len(payload) == 1):
        return RecordLine("ActionRequested", payload)
    ((name, members),) = payload.items()
    if not isinstance(members, dict):
        return RecordLine(name, members)
    words = [each for each in members.values() if isinstance(each, str)]
    fields: dict[str, JsonValue] = {key: each for key, each in members.items() if not isinstance(each, str)}
    called = " ".join((name, *words))
    if len(fields) == 1:
        return RecordLine(called, *fields.values())
    return RecordLine(called, fields or None)
