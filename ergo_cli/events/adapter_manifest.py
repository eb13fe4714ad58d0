"""Adapter manifests: decoding, fingerprint, and what they provide (spec 10 §9, §11, §15)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from typing import TypeVar

from msgspec import UNSET, Struct, UnsetType, field

from ergo_cli.core import documents
from ergo_cli.core.document_fields import Fields, Reading, ScalarError, one_of, string, to_value
from ergo_cli.core.document_parsers import parse_json, parse_yaml
from ergo_cli.core.documents import NO_ADAPTER, Node
from ergo_cli.core.json import JsonValue, canonical, newer_numbers
from ergo_cli.errors import AdapterError
from ergo_cli.events.payload_paths import PayloadPath

DOCUMENT_KIND = "adapter"
"""The member ``kind`` of an adapter document."""

CONTEXT_TYPES = ("Number", "Bool", "String", "Series")
"""The types that a context key may have."""


class ContextKey(Struct, frozen=True):
    """A context key. ``writable`` is None where the author left it out (ADP-11).

    ``source``, written ``from``, is the path of its value in the payload; ``default`` its value where there is none.
    What is UNSET is not in the text of the fingerprint.
    """

    name: str
    type: str
    required: bool
    writable: bool | None = None
    description: str | None = None
    source: str | UnsetType = field(name="from", default=UNSET)
    default: JsonValue | UnsetType = UNSET

    @property
    def is_plain(self) -> bool:
        """Whether its value is the payload's member of its name, and nothing where there is none."""
        return self.source is UNSET and self.default is UNSET


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
    kind: str = DOCUMENT_KIND

    @property
    def accepted_effects(self) -> tuple[NamedSchema, ...]:
        """The accepted effects, none if nothing is accepted."""
        return self.accepts.effects if self.accepts else ()


def fingerprint(manifest: AdapterManifest, *, newer: bool = False) -> str:
    """``adapter:<id>@<version>;sha256:<hex>`` over the canonical text, if ``newer`` with ``newer_numbers``."""
    text = fingerprint_text(manifest)
    digest = sha256(newer_numbers(text) if newer else text).hexdigest()
    return f"adapter:{manifest.id}@{manifest.version};sha256:{digest}"


def fingerprint_text(manifest: AdapterManifest) -> bytes:
    """Compact JSON of the manifest, members sorted at every depth, lists as written, absent members null."""
    return canonical(manifest)


class ProvidedKey(Struct, frozen=True):
    """A context key as the adapter declares it; ``type`` is ``Number``, ``Bool``, ``String`` or ``Series``.

    ``path`` is the place of its value in the payload, None for the member of its name; ``default`` its value where
    there is none.
    """

    type: str
    required: bool = False
    writable: bool = False
    path: PayloadPath | None = None
    default: JsonValue = None

    @property
    def is_plain(self) -> bool:
        """Whether its value is the payload's member of its name, and nothing where there is none."""
        return self.path is None and self.default is None


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
            context={key.name: _provided(key) for key in manifest.context_keys},
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


def _provided(key: ContextKey) -> ProvidedKey:
    path = None if key.source is UNSET else PayloadPath.parse(key.source)
    default = None if key.default is UNSET else key.default
    return ProvidedKey(key.type, key.required, bool(key.writable), path, default)


def _by_name(named: Iterable[NamedSchema]) -> dict[str, JsonValue]:
    return {item.name: item.payload_schema for item in named}


_T = TypeVar("_T")
_STEP = re.compile(r"\.([^.\[]+)|\[([0-9]+)\]")


def parse_adapter(text: str, label: str) -> Node:
    """The document's tree: JSON where the label ends in ``.json``, else YAML. Raises DocumentError."""
    return parse_json(text, label) if label.endswith(".json") else parse_yaml(text, label)


def decode_adapter(document: Node, reading: Reading) -> AdapterManifest:
    """Decode a manifest. Unknown members become notices of ``reading``.

    Raises DocumentError for the first fault, the others in its ``causes``: scalars are never coerced, ``version: 1.0``
    is a number and ``required: yes`` a string.
    """
    top = Fields(document, reading)
    decoder = _Decoder(reading)
    manifest = AdapterManifest(
        kind=decoder.kept(lambda: _kind(top, reading), DOCUMENT_KIND),
        id=decoder.kept(lambda: top.string("id"), ""),
        version=decoder.kept(lambda: top.string("version"), ""),
        runtime_compatibility=decoder.kept(lambda: top.string("runtime_compatibility"), ""),
        context_keys=decoder.each(top, "context_keys", decoder.context_key),
        event_kinds=decoder.each(top, "event_kinds", decoder.named_schema),
        accepts=decoder.kept(lambda: decoder.accepts(top), None),
        capture=decoder.kept(lambda: decoder.capture(top), Capture("", ())),
    )
    top.finish()
    reading.close()
    return manifest


def nearest_node(document: Node, path: str) -> Node:
    """The node at a path like ``$.context_keys[1].name``, or the innermost one on the way to it."""
    for name, index in _STEP.findall(path):
        below = _member(document, name) if name else _item(document, int(index))
        if below is None:
            break
        document = below
    return document


def _member(node: Node, name: str) -> Node | None:
    if not isinstance(node, documents.Mapping):
        return None
    return next((value for key, value in node.entries if key.text == name), None)


def _item(node: Node, index: int) -> Node | None:
    return node.items[index] if isinstance(node, documents.Sequence) and index < len(node.items) else None


def _kind(top: Fields, reading: Reading) -> str:
    kind = top.string("kind")
    if kind.lower() != DOCUMENT_KIND:
        raise one_of(reading, kind, [DOCUMENT_KIND], "kind", top.node("kind"), "kind")
    return kind


class _Decoder:
    """Decodes the parts of a manifest, keeping faults so that one does not hide the next."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def kept(self, read: Callable[[], _T], otherwise: _T) -> _T:
        """Return the result of ``read``; on a fault, keep it and return ``otherwise``."""
        value = self._reading.attempt(read)
        return otherwise if value is None else value

    def each(self, fields: Fields, name: str, decode: Callable[[Fields], _T]) -> tuple[_T, ...]:
        """Decode the items of a list; items with a fault are left out."""
        items = self.kept(lambda: fields.fields_each(name), ())
        decoded = [self._reading.attempt(lambda item=item: decode(item)) for item in items]
        return tuple(item for item in decoded if item is not None)

    def context_key(self, fields: Fields) -> ContextKey:
        key = ContextKey(
            name=fields.string("name"),
            type=fields.string("type"),
            required=fields.boolean("required"),
            writable=fields.optional_boolean("writable"),
            description=fields.optional_string("description"),
            source=UNSET if (source := fields.optional_string("from")) is None else source,
            default=UNSET if fields.optional_node("default") is None else self._value(fields, "default"),
        )
        fields.finish()
        return key

    def named_schema(self, fields: Fields) -> NamedSchema:
        named = NamedSchema(fields.string("name"), self._value(fields, "payload_schema"))
        fields.finish()
        return named

    def accepts(self, top: Fields) -> Accepts | None:
        fields = top.optional_fields("accepts")
        if fields is None:
            return None
        accepts = Accepts(self.each(fields, "effects", self.named_schema))
        fields.finish()
        return accepts

    def capture(self, top: Fields) -> Capture:
        fields = top.fields("capture")
        version = self.kept(lambda: fields.string("format_version"), "")
        names = [
            self.kept(lambda at=at, item=item: string(self._reading, item, at), "")
            for at, item in self._items(fields, "fields")
        ]
        fields.finish()
        return Capture(version, tuple(names))

    def _items(self, fields: Fields, name: str) -> list[tuple[str, Node]]:
        path = fields.path_of(name)
        items = self.kept(lambda: fields.sequence(name), ())
        return [(f"{path}[{index}]", item) for index, item in enumerate(items)]

    def _value(self, fields: Fields, name: str) -> JsonValue:
        node, path = fields.node(name), fields.path_of(name)
        try:
            return to_value(node)
        except ScalarError as error:
            raise self._reading.error("DEC-TYPE", str(error), error.mark, path, fix=_FIX_NUMBER) from error


_FIX_NUMBER = "write a finite number within the range of a double, or put it in quotes if it is a text"


def violation(
    rule: str, name: str, message: str, /, *, path: str | None, fix: str, where: str | None = None, **data: object
) -> AdapterError:
    """The error for ``rule``; ``details`` are the error's name, then its data as ``key=value``."""
    details = (name, *(f"{key}={value}" for key, value in data.items()))
    return AdapterError(rule, message, path=path, where=where, fix=fix, rule=rule, details=details)
