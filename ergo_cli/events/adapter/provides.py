"""What an adapter provides to programs and host (spec 10 §11)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from ergo_cli.core.json import JsonValue
from ergo_cli.core.provenance import NO_ADAPTER
from ergo_cli.events.adapter.manifest import AdapterManifest, NamedSchema
from ergo_cli.events.adapter.provenance import fingerprint


class ProvidedKey(Struct, frozen=True):
    """A context key as the adapter declares it; ``type`` is ``Number``, ``Bool``, ``String`` or ``Series``."""

    type: str
    required: bool = False
    writable: bool = False


class Provides(Struct, frozen=True):
    """Context keys, payload schemas by event kind, accepted effects. ``Provides()`` is a run without adapter.

    An effect may be accepted without a schema only here, never in a manifest (COMP-18).
    """

    context: Mapping[str, ProvidedKey] = {}
    event_schemas: Mapping[str, JsonValue] = {}
    effects: frozenset[str] = frozenset()
    effect_schemas: Mapping[str, JsonValue] = {}
    capture_format_version: str = ""
    fingerprint: str = NO_ADAPTER

    @classmethod
    def of(cls, manifest: AdapterManifest) -> Provides:
        """What a manifest provides that breaks no rule."""
        effect_schemas = _by_name(manifest.accepted_effects)
        return cls(
            context={
                key.name: ProvidedKey(key.type, key.required, bool(key.writable)) for key in manifest.context_keys
            },
            event_schemas=_by_name(manifest.event_kinds),
            effects=frozenset(effect_schemas),
            effect_schemas=effect_schemas,
            capture_format_version=manifest.capture.format_version,
            fingerprint=fingerprint(manifest),
        )

    @property
    def events(self) -> frozenset[str]:
        """The names of the event kinds."""
        return frozenset(self.event_schemas)


def _by_name(named: Iterable[NamedSchema]) -> dict[str, JsonValue]:
    return {item.name: item.payload_schema for item in named}
