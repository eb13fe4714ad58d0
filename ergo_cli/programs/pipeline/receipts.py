"""The receipts that sinks write: what became of an event that was consumed (spec 60 §6.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self, cast

from msgspec import Struct, field

from ergo_cli.core.wire import FreeValue, Timestamp, WireForm
from ergo_cli.programs.pipeline.counters import Count


class Delivered(Struct, frozen=True, omit_defaults=True, tag_field="result", tag="success"):
    """The event was delivered."""

    confirmation: str | None = None
    response_headers: Mapping[str, str] | None = None


class NotDelivered(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="result", tag="failed"):
    """The event was not delivered."""

    error_type: str
    error_message: str
    error_code: str | None = None
    final_attempt: bool = field(default_factory=bool)


class PartlyDelivered(Struct, frozen=True, omit_defaults=True, tag_field="result", tag="partial"):
    """The event was delivered in part."""

    successful_count: Count
    failed_count: Count
    error_summary: str
    failed_items: FreeValue = None


DeliveryResult = Delivered | NotDelivered | PartlyDelivered

_MEMBERS = {
    "http_post": {"url"},
    "http_put": {"url"},
    "s3_upload": {"bucket", "key"},
    "database_insert": {"table"},
    "queue_publish": {"queue_name"},
    "file_write": {"path"},
}
"""What each method says about its target; ``noop`` says nothing, ``custom`` has a text."""


class DeliveryMethod(WireForm, Struct, frozen=True):
    """How an event is delivered: ``"noop"``, ``{"http_post":{"url":…}}``, ``{"custom":"…"}``."""

    name: str
    target: Mapping[str, str] | str | None = None

    def to_wire(self) -> FreeValue:
        """The name alone, or with its target."""
        return self.name if self.target is None else {self.name: self.target}

    @classmethod
    def from_wire(cls, value: FreeValue) -> Self:
        """The method that decoded JSON stands for; members that it does not know are dropped. Raises ValueError."""
        if value == "noop":
            return cls("noop")
        if isinstance(value, dict) and len(members := cast("dict[str, object]", value)) == 1:
            ((name, target),) = members.items()
            if name == "custom" and isinstance(target, str):
                return cls(name, target)
            known = _target(name, target)
            if known is not None:
                return cls(name, known)
        raise ValueError(f"expected a delivery method, one of noop, custom, {', '.join(_MEMBERS)}")


def _target(name: str, target: object) -> dict[str, str] | None:
    if name not in _MEMBERS or not isinstance(target, dict):
        return None
    members = cast("dict[str, object]", target)
    known = {each: text for each, text in members.items() if each in _MEMBERS[name] and isinstance(text, str)}
    return known if known.keys() == _MEMBERS[name] else None


NOOP = DeliveryMethod("noop")
"""The method of a receipt whose sink says nothing about it."""


class Receipt(Struct, frozen=True, omit_defaults=True):
    """The content of a receipt; ``processing_duration`` in nanoseconds."""

    result: DeliveryResult
    destination: str
    delivery_method: DeliveryMethod
    processing_duration: Count
    bytes_processed: Count | None
    processed_at: Timestamp
    middleware_context: FreeValue = None
