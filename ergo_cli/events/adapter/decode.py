"""From the text of an adapter to its manifest (spec 10 §9.1)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from ergo_cli.core.documents import Mapping, Node, Sequence
from ergo_cli.core.json import JsonValue
from ergo_cli.core.json_text import parse_json
from ergo_cli.core.reading import Fields, Reading, one_of, string
from ergo_cli.core.scalars import ScalarError, to_value
from ergo_cli.core.yaml_text import parse_yaml
from ergo_cli.events.adapter.manifest import KIND, Accepts, AdapterManifest, Capture, ContextKey, NamedSchema

_T = TypeVar("_T")
_STEP = re.compile(r"\.([^.\[]+)|\[([0-9]+)\]")


def parse_adapter(text: str, label: str) -> Node:
    """The document's tree: JSON where the label ends in ``.json``, else YAML. Raises DocumentError."""
    return parse_json(text, label) if label.endswith(".json") else parse_yaml(text, label)


def decode_adapter(document: Node, reading: Reading) -> AdapterManifest:
    """The manifest that a document spells. Unknown members become notices of ``reading``.

    Raises DocumentError for the first fault, the others in its ``causes``: scalars are never coerced, ``version: 1.0``
    is a number and ``required: yes`` a string.
    """
    top = Fields(document, reading)
    decoder = _Decoder(reading)
    manifest = AdapterManifest(
        kind=decoder.kept(lambda: _kind(top, reading), KIND),
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
    if not isinstance(node, Mapping):
        return None
    return next((value for key, value in node.entries if key.text == name), None)


def _item(node: Node, index: int) -> Node | None:
    return node.items[index] if isinstance(node, Sequence) and index < len(node.items) else None


def _kind(top: Fields, reading: Reading) -> str:
    kind = top.string("kind")
    if kind.lower() != KIND:
        raise one_of(reading, kind, [KIND], "kind", top.node("kind"), "kind")
    return kind


class _Decoder:
    """Decodes the parts of a manifest, keeping faults so that one does not hide the next."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def kept(self, read: Callable[[], _T], otherwise: _T) -> _T:
        """What ``read`` returns; ``otherwise`` once its fault is kept."""
        value = self._reading.attempt(read)
        return otherwise if value is None else value

    def each(self, fields: Fields, name: str, decode: Callable[[Fields], _T]) -> tuple[_T, ...]:
        """The items of a list, those left out that have a fault."""
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
        )
        fields.finish()
        return key

    def named_schema(self, fields: Fields) -> NamedSchema:
        named = NamedSchema(fields.string("name"), self._schema(fields))
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

    def _schema(self, fields: Fields) -> JsonValue:
        node, path = fields.node("payload_schema"), fields.path_of("payload_schema")
        try:
            return to_value(node)
        except ScalarError as error:
            raise self._reading.error("DEC-TYPE", str(error), error.mark, path, fix="put it in quotes") from error
