"""Binding: an event's payload, merged with the context store, held against the schema of its kind (spec 10 §12–13)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from ergo_cli.core.json import JsonValue
from ergo_cli.core.numbers import Numbers
from ergo_cli.core.values import NativeValue
from ergo_cli.errors import StepError
from ergo_cli.events.adapter.schemas import complaint
from ergo_cli.events.building import event_of, events_of, step_fault, unbuildable
from ergo_cli.events.external import ExternalEvent, InvalidPayload, json_type
from ergo_cli.events.hosted import HostedEvent

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator


class BoundKind(Struct, frozen=True):
    """An event kind ready to bind: its validator, and the stored keys that may enter its payload, ascending.

    ``remembers``: some of these keys can be written by an episode.
    """

    name: str
    validator: Draft202012Validator
    mergeable: tuple[str, ...]
    remembers: bool

    def merge(self, payload: dict[str, JsonValue], store: Mapping[str, NativeValue]) -> dict[str, JsonValue]:
        """The payload over what is stored: incoming members win (HST-6). The payload itself if nothing is added."""
        stored: dict[str, JsonValue] = {}
        for key in self.mergeable:
            if key in store and key not in payload:
                stored[key] = _json(store[key])
        return stored | payload if stored else payload


BoundKinds = Mapping[str, BoundKind]
"""The event kinds of an adapter by name."""


def build_bound_event(
    kinds: BoundKinds, event: HostedEvent, store: Mapping[str, NativeValue], numbers: Numbers = Numbers.EXACT
) -> ExternalEvent:
    """The event with its merged, validated payload in canonical form.

    Raises StepError, always recoverable: ``PayloadMustBeObject``, ``MissingSemanticKind``, ``MissingPayload``,
    ``UnknownSemanticKind``, ``Binding``, ``EventBuild``.
    """
    payload, semantic_kind = event.payload, event.semantic_kind
    kind = None if semantic_kind is None else kinds.get(semantic_kind)
    if kind is None or not isinstance(payload, dict):
        raise _input_fault(kinds, event)
    merged = kind.merge(payload, store) if store else payload
    try:
        if not kind.validator.is_valid(merged):
            raise _mismatch(kind, event, complaint(next(kind.validator.iter_errors(merged))))
        return event_of(event, merged, numbers)
    except InvalidPayload as error:
        raise _mismatch(kind, event, str(error)) from error
    except (ValueError, TypeError) as error:
        raise unbuildable(event, error) from error


def bind_together(kinds: BoundKinds, events: Sequence[HostedEvent]) -> list[ExternalEvent] | None:
    """What ``build_bound_event`` gives for each event, under exact numbers and whatever episodes stored; much faster.

    None where an event must be looked at by itself: it is not as its schema wants it, or what is stored may enter it.
    """
    accepts: dict[str | None, Callable[[JsonValue], bool]] = {}
    for name in {event.semantic_kind for event in events}:
        kind = None if name is None else kinds.get(name)
        if kind is None or kind.remembers:
            return None
        accepts[name] = kind.validator.is_valid
    if False in [accepts[event.semantic_kind](event.payload) for event in events]:
        return None
    return events_of(events)


def _json(value: NativeValue) -> JsonValue:
    """A stored value as a payload member; a Series is copied, for the store owns its list."""
    return [*value] if isinstance(value, list) else value


def _input_fault(kinds: BoundKinds, event: HostedEvent) -> StepError:
    payload, semantic_kind = event.payload, event.semantic_kind
    known = ", ".join(f"'{name}'" for name in sorted(kinds))
    if payload is not None and not isinstance(payload, dict):
        reason = f"payload must be a JSON object, got {json_type(payload)}"
        return step_fault(event, "PayloadMustBeObject", reason, "send an object as payload")
    if semantic_kind is None:
        reason = "it has no semantic kind, which a run with an adapter needs"
        return step_fault(event, "MissingSemanticKind", reason, f"add semantic_kind, one of {known}")
    if payload is None:
        reason = "it has no payload, which a run with an adapter needs"
        return step_fault(event, "MissingPayload", reason, "add a payload, {} if there is nothing to tell")
    reason = f"the adapter declares no event kind '{semantic_kind}'"
    return step_fault(event, "UnknownSemanticKind", reason, f"use one of {known}", f"kind={semantic_kind}")


def _mismatch(kind: BoundKind, event: HostedEvent, detail: str) -> StepError:
    reason = f"the payload does not fit event kind '{kind.name}': {detail}"
    fix = f"correct the payload, or the payload_schema of '{kind.name}' in the adapter"
    return step_fault(event, "Binding", reason, fix, "PayloadSchemaMismatch", f"kind={kind.name}", f"detail={detail}")
