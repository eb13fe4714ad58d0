"""What an event would hold of the context if today's decisions before it had been made (spec 30 §7, HST-6).

A recorded payload has what the context added to it at the capture. Where today's program writes other values, later
events hold those instead, as in a new capture of the same stream.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from msgspec.structs import replace

from ergo_cli.bundle.schema import DecisionRecord, EventRecord, payload_hash
from ergo_cli.core.json import JsonError, JsonValue, canonical, decode
from ergo_cli.core.values import SET_CONTEXT, NativeValue
from ergo_cli.errors import ReplayError
from ergo_cli.events.adapter import Adapter, BoundEventKind
from ergo_cli.events.external import render_payload


class Memory:
    """Follows the context of the recording beside ``today``'s, and gives events what today's holds."""

    def __init__(self, adapter: Adapter | None, today: Mapping[str, NativeValue]) -> None:
        kinds = () if adapter is None else adapter.kinds.values()
        self._kinds = tuple(kind for kind in kinds if kind.remembers)
        self._recorded: dict[str, NativeValue] = {}
        self._today = today
        self.changed = 0
        """How many events hold other values now."""

    def decided(self, decision: DecisionRecord) -> None:
        """Take in what a recorded decision wrote to the context."""
        for captured in decision.effects if self._kinds else ():
            if b'"set_context"' in captured.text and (effect := captured.effect).kind == SET_CONTEXT:
                self._recorded.update({write.key: write.value.native for write in effect.writes})

    def rebound(self, event: EventRecord) -> EventRecord:
        """The event with today's values in the place of those that the context had added to it.

        Raises ReplayError ``accept.context_unclear`` where the recording does not say which values were added.
        """
        if not self._kinds or self._recorded == self._today:
            return event
        try:
            members: JsonValue = decode(event.payload)
        except JsonError:
            return event
        if not isinstance(members, dict):
            return event
        texts = {render_payload(bound) for bound in self._bound(members)}
        if len(texts) > 1:
            raise _unclear(event)
        text = next(iter(texts), event.payload)
        if text == event.payload:
            return event
        self.changed += 1
        return replace(event, payload=text, payload_hash=payload_hash(text))

    def _bound(self, members: dict[str, JsonValue]) -> Iterator[dict[str, JsonValue]]:
        """The payload bound anew, as an event of each kind that it can be of."""
        for kind in self._kinds:
            is_whole = all(key in members for key in kind.mergeable if key in self._recorded)
            if is_whole and kind.accepts(members):
                yield kind.merge(self._given(kind, members), self._today)

    def _given(self, kind: BoundEventKind, members: dict[str, JsonValue]) -> dict[str, JsonValue]:
        """The members without those that the context added: a value equal to the context's is taken for its own."""
        added = {key for key in kind.mergeable if key in self._recorded and self._is_own(key, members[key])}
        return {name: value for name, value in members.items() if name not in added}

    def _is_own(self, key: str, value: JsonValue) -> bool:
        return canonical(value) == canonical(cast("JsonValue", self._recorded[key]))


def _unclear(event: EventRecord) -> ReplayError:
    return ReplayError(
        "accept.context_unclear",
        f"event '{event.event_id}' fits several event kinds, to which the context adds different members",
        where=f"event '{event.event_id}'",
        fix="capture the events again",
    )
