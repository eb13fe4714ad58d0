"""What an event would hold of the context if today's decisions before it had been made (spec 30 §7, HST-6).

A recorded payload has what the context added to it at the capture. Where today's program writes other values, later
events hold those instead, as in a new capture of the same stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import cast

from msgspec.structs import replace

from ergo_cli.bundle.schema import DecisionRecord, EventRecord, check_payload, payload_hash
from ergo_cli.core.json import JsonError, JsonValue, canonical, decode
from ergo_cli.core.values import SET_CONTEXT, NativeValue
from ergo_cli.errors import ReplayError
from ergo_cli.events.adapter import Adapter, BoundEventKind, BoundEventKinds, build_bound_event
from ergo_cli.events.external import HostedEvent, render_payload

Change = Callable[[JsonValue], JsonValue]
"""What becomes of a payload before the context adds to it."""


class Memory:
    """Follows the context of the recording beside ``today``'s, and gives events what today's holds.

    With a ``change`` it also makes another payload of what came from outside, which the adapter may refuse.
    """

    def __init__(self, adapter: Adapter | None, today: Mapping[str, NativeValue], change: Change | None = None) -> None:
        self._all: BoundEventKinds = {} if adapter is None else adapter.kinds
        self._kinds = tuple(kind for kind in self._all.values() if kind.remembers)
        self._change = change
        self._recorded: dict[str, NativeValue] = {}
        self._today = today
        self.changed = 0
        """How many events hold other values of the context now."""

    def decided(self, decision: DecisionRecord) -> None:
        """Take in what a recorded decision wrote to the context."""
        for captured in decision.effects if self._kinds else ():
            if b'"set_context"' in captured.text and (effect := captured.effect).kind == SET_CONTEXT:
                self._recorded.update({write.key: write.value.native for write in effect.writes})

    def rebound(self, event: EventRecord) -> EventRecord:
        """The event with today's values in the place of those that the context had added to it, and changed.

        Raises ReplayError ``accept.context_unclear`` where the recording does not say which values were added;
        StepError for a changed payload that the adapter refuses.
        """
        is_settled = not self._kinds or self._recorded == self._today
        if self._change is None and is_settled:
            return event
        check_payload(event)
        try:
            payload: JsonValue = decode(event.payload)
        except JsonError:
            return event
        if self._change is not None:
            return self._changed(event, payload, self._change)
        bound = self._bound(payload) if isinstance(payload, dict) else ()
        texts = {render_payload(members) for members in bound}
        if len(texts) > 1:
            raise _unclear(event)
        text = next(iter(texts), event.payload)
        if text != event.payload:
            self.changed += 1
        return _with_payload(event, text)

    def _changed(self, event: EventRecord, payload: JsonValue, change: Change) -> EventRecord:
        """The event of a changed payload, which is bound as each kind that the recorded one can be of."""
        kinds = self._fitting(payload, self._all.values()) if isinstance(payload, dict) else []
        if not isinstance(payload, dict) or not kinds:
            return _with_payload(event, canonical(change(payload)))
        changed: dict[bytes, JsonValue] = {}
        texts: set[bytes] = set()
        for kind in kinds:
            given = self._given(kind, payload)
            name = canonical(given)
            if name not in changed:
                changed[name] = change(given)
            hosted = HostedEvent(event.event_id, event.kind, event.event_time, kind.name, changed[name])
            texts.add(build_bound_event(self._all, hosted, self._today).payload)
        if len(texts) > 1:
            raise _unclear(event)
        return _with_payload(event, texts.pop())

    def _bound(self, members: dict[str, JsonValue]) -> Iterator[dict[str, JsonValue]]:
        """The payload bound anew, as an event of each kind that it can be of."""
        for kind in self._fitting(members, self._kinds):
            yield kind.merge(self._given(kind, members), self._today)

    def _fitting(self, members: dict[str, JsonValue], kinds: Iterable[BoundEventKind]) -> list[BoundEventKind]:
        """The kinds that the recorded payload can be of."""
        return [
            kind
            for kind in kinds
            if all(key in members for key in kind.mergeable if key in self._recorded) and kind.accepts(members)
        ]

    def _given(self, kind: BoundEventKind, members: dict[str, JsonValue]) -> dict[str, JsonValue]:
        """The members without those that the context added: a value equal to the context's is taken for its own."""
        added = {key for key in kind.mergeable if key in self._recorded and self._is_own(key, members[key])}
        return {name: value for name, value in members.items() if name not in added}

    def _is_own(self, key: str, value: JsonValue) -> bool:
        return canonical(value) == canonical(cast("JsonValue", self._recorded[key]))


def _with_payload(event: EventRecord, text: bytes) -> EventRecord:
    return event if text == event.payload else replace(event, payload=text, payload_hash=payload_hash(text))


def _unclear(event: EventRecord) -> ReplayError:
    return ReplayError(
        "accept.context_unclear",
        f"event '{event.event_id}' fits several event kinds, to which the context adds different members",
        where=f"event '{event.event_id}'",
        fix="capture the events again",
    )
