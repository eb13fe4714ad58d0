"""What a payload schema says of one place of the payload: is it there, its context type, and may it be null.

Local references, ``allOf``, ``anyOf`` and ``oneOf`` are followed; conditions (``if``, ``dependentSchemas``) are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, product

from msgspec import Struct

from ergo_cli.core.json import Item, JsonValue, Member
from ergo_cli.core.values import ValueType
from ergo_cli.events.adapter_schemas import SchemaFault, context_type, properties_of
from ergo_cli.events.payload_paths import PayloadPath, PlaceStep

_MOST_READINGS = 64
"""How many alternatives of a schema are looked at."""

_MOST_LOOKS = 10_000
"""How many schemas are looked at for one path: references can name one schema again and again."""

_UNIONS = ("anyOf", "oneOf")

_Reading = tuple[dict[str, JsonValue], ...]
"""One alternative of a schema: objects that hold together."""


class SchemaPlace(Struct, frozen=True):
    """A place that a schema describes; ``type`` is None with a ``fault`` that says why it has no context type."""

    type: ValueType | None
    is_nullable: bool
    fault: str | None = None


class Astray(Struct, frozen=True):
    """A path that leads nowhere: only its first ``steps`` do. ``known`` are the members that are there."""

    steps: int
    known: tuple[str, ...] = ()


def place_of(schema: JsonValue, path: PayloadPath) -> SchemaPlace | Astray:
    """What the schema says of the place to which a path leads."""
    alternatives = _Alternatives(schema)
    try:
        readings, is_nullable = alternatives.of([schema])
        for count, step in enumerate(path.steps):
            below = [each for reading in readings for each in _below(reading, step)]
            if not below:
                return Astray(count, tuple(sorted({name for reading in readings for name in _members(reading)})))
            readings, has_null = alternatives.of(below)
            is_nullable |= has_null
    except SchemaFault as fault:
        return SchemaPlace(None, False, str(fault))
    try:
        return SchemaPlace(_type(readings), is_nullable)
    except SchemaFault as fault:
        return SchemaPlace(None, is_nullable, str(fault))


class _Alternatives:
    """Finds the alternatives of schemas inside one whole schema, of which at most ``_MOST_LOOKS`` are looked at."""

    def __init__(self, root: JsonValue) -> None:
        self._root = root
        self._looks = 0

    def of(self, schemas: Sequence[JsonValue]) -> tuple[list[_Reading], bool]:
        """The alternatives without those that are null alone, and whether null is one. Raises SchemaFault."""
        readings = self._several(schemas, frozenset())
        types = [_types(reading) for reading in readings]
        others = [reading for reading, names in zip(readings, types, strict=True) if names != ["null"]]
        return others, any("null" in (names or ()) for names in types)

    def _several(self, schemas: Sequence[JsonValue], above: frozenset[str]) -> list[_Reading]:
        """The alternatives of several schemas, of which one holds; ``above`` are the references that led here."""
        readings = (each for schema in schemas for each in self._readings(schema, above))
        return list(islice(readings, _MOST_READINGS))

    def _readings(self, schema: JsonValue, above: frozenset[str]) -> Iterator[_Reading]:
        self._looks += 1
        if self._looks > _MOST_LOOKS:
            raise SchemaFault("its schema refers to too many others")
        if schema is True:
            yield ()
        elif isinstance(schema, dict):
            together: list[list[_Reading]] = [[(schema,)]]
            reference = schema.get("$ref")
            if isinstance(reference, str) and reference not in above:
                together.append(self._several([_target(self._root, reference)], above | {reference}))
            together += [self._several([each], above) for each in _listed(schema, "allOf")]
            together += [self._several(_listed(schema, union), above) for union in _UNIONS if union in schema]
            for parts in product(*together):
                yield tuple(part for reading in parts for part in reading)


def _listed(schema: dict[str, JsonValue], keyword: str) -> Sequence[JsonValue]:
    schemas = schema.get(keyword)
    return schemas if isinstance(schemas, list) else ()


def _target(root: JsonValue, reference: str) -> JsonValue:
    """The schema that a local reference names, by a JSON pointer; True where it names it in another way."""
    target = root
    if reference != "#" and not reference.startswith("#/"):
        return True
    for step in reference.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        match target:
            case dict() if name in target:
                target = target[name]
            case list() if name.isdecimal() and int(name) < len(target):
                target = target[int(name)]
            case _:
                return True
    return target


def _below(reading: _Reading, step: PlaceStep) -> Iterator[JsonValue]:
    """What a reading says of the place behind a step; nothing where it does not lead there."""
    match step:
        case Member(name):
            found = [properties_of(part)[name] for part in reading if name in properties_of(part)]
        case Item(index):
            found = [each for part in reading for each in _item(part, index)]
        case _:
            found = [part["items"] for part in reading if "items" in part]
    if found:
        yield found[0] if len(found) == 1 else {"allOf": found}


def _item(part: dict[str, JsonValue], index: int) -> Iterator[JsonValue]:
    first = _listed(part, "prefixItems")
    if index < len(first):
        yield first[index]
    elif "items" in part:
        yield part["items"]


def _members(reading: _Reading) -> Iterator[str]:
    for part in reading:
        yield from properties_of(part)


def _types(reading: _Reading) -> list[str] | None:
    """The JSON types that a reading allows; None where it says nothing of them."""
    allowed: list[str] | None = None
    for part in reading:
        if "type" in part:
            given = part["type"]
            names = [name for name in (given if isinstance(given, list) else [given]) if isinstance(name, str)]
            allowed = names if allowed is None else [name for name in allowed if name in names]
    return allowed


def _type(readings: Sequence[_Reading]) -> ValueType:
    """The one context type of all readings, null aside. Raises SchemaFault."""
    found = {each for reading in readings for each in _context_types(reading)}
    if len(found) > 1:
        types = " or ".join(sorted(each.value for each in found))
        raise SchemaFault(f"it may be {types}, and a context key has one type")
    if not found:
        raise SchemaFault("it is never anything but null")
    return found.pop()


def _context_types(reading: _Reading) -> Iterator[ValueType]:
    names = _types(reading)
    items = next((part["items"] for part in reading if "items" in part), None)
    for name in names if names is not None else [None]:
        if name != "null":
            shape: dict[str, JsonValue] = {"type": name} if name != "array" else {"type": name, "items": items}
            yield context_type(shape)
