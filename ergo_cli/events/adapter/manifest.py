"""An adapter manifest: what its author wrote, defaults made explicit (spec 10 §9)."""

from __future__ import annotations

from msgspec import Struct

from ergo_cli.core.json import JsonValue

KIND = "adapter"
"""The ``kind`` of an adapter document."""

CONTEXT_TYPES = ("Number", "Bool", "String", "Series")
"""The types that a context key may have."""


class ContextKey(Struct, frozen=True):
    """A context key. ``writable`` is None where the author left it out (ADP-11)."""

    name: str
    type: str
    required: bool
    writable: bool | None = None
    description: str | None = None


class NamedSchema(Struct, frozen=True):
    """A name and the JSON Schema of its payload: an event kind, or an accepted effect."""

    name: str
    payload_schema: JsonValue


class Accepts(Struct, frozen=True):
    """The effects that the adapter accepts."""

    effects: tuple[NamedSchema, ...]


class Capture(Struct, frozen=True):
    """What a capture keeps."""

    format_version: str
    fields: tuple[str, ...]


class AdapterManifest(Struct, frozen=True):
    """The whole manifest; lists in authored order. ``accepts`` None accepts nothing, but is not an empty list (§15)."""

    id: str
    version: str
    runtime_compatibility: str
    context_keys: tuple[ContextKey, ...]
    event_kinds: tuple[NamedSchema, ...]
    capture: Capture
    accepts: Accepts | None = None
    kind: str = KIND

    @property
    def accepted_effects(self) -> tuple[NamedSchema, ...]:
        """The accepted effects, none if nothing is accepted."""
        return self.accepts.effects if self.accepts else ()
