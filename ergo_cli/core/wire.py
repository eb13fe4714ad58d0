"""Typed records in the JSON form of externally tagged unions, and back (spec 40 §2 rules 2–8 and 10, 50 §2).

Structs keep their declared field order; unions are externally tagged: ``"Completed"``, ``{"Resumed":{"value":1}}``,
``{"Resume":1}``. msgspec knows no external tags, so records are written and read here by their annotations; free
values are msgspec's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from types import NoneType, UnionType
from typing import Any, Self, TypeAlias, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import msgspec
from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo, fields

from ergo_cli.core.json import decode as decode_json
from ergo_cli.core.json import free_text, record_text
from ergo_cli.core.time import NANOS

T = TypeVar("T")


FreeValue: TypeAlias = Any
"""Any JSON value, or a value that msgspec encodes as one; keys are sorted when it is written."""


Reader = Callable[[object], Any]
"""Makes a record of a decoded JSON value. Raises WireError."""


class Variant(Struct, frozen=True):
    """A variant of an externally tagged union: ``{"<class>":{fields}}``, the bare class name where it has no fields."""


class Wrapper(Variant, frozen=True):
    """A variant with one unnamed field: ``{"<class>":<value of its field>}``."""


class WireForm:
    """A value with a JSON form of its own."""

    __slots__ = ()

    def to_wire(self) -> FreeValue:
        """The decoded JSON that stands for the value."""
        raise NotImplementedError

    @classmethod
    def from_wire(cls, value: FreeValue) -> Self:
        """The value that decoded JSON stands for. Raises ValueError."""
        raise NotImplementedError


class WireError(ValueError):
    """A text does not hold the expected record; ``tag`` is set if its tag is not one of the variants."""

    def __init__(self, message: str, tag: str | None = None) -> None:
        super().__init__(message)
        self.tag = tag


class _Field(Struct, frozen=True):
    name: str
    label: bytes
    kind: Any
    read: Reader
    default: Any
    is_nullable: bool
    is_omitted: bool  # a default is left out instead of written


def encode(record: object) -> bytes:
    """The canonical text of a record. Raises NotCanonicalError for a free value that JSON cannot hold."""
    if isinstance(record, Variant):
        return _encode_variant(record)
    if isinstance(record, WireForm):
        return free_text(record.to_wire())
    if isinstance(record, Struct):
        return _encode_body(record)
    if isinstance(record, list | tuple):
        return b"[" + b",".join(map(encode, cast("Sequence[object]", record))) + b"]"
    return free_text(record)


def decode(text: bytes, kind: type[T]) -> T:
    """The record that a text holds; unknown members are ignored, an absent optional one is null.

    Raises WireError, or JsonError where the text is not JSON.
    """
    return read(decode_json(text), kind)


def read(value: object, kind: Any) -> Any:
    """The record of annotation ``kind`` that a decoded JSON value holds. Raises WireError."""
    return _reader(kind)(value)


def _encode_variant(variant: Variant) -> bytes:
    tag = b'"' + type(variant).__name__.encode() + b'"'
    if not variant.__struct_fields__:
        return tag
    if isinstance(variant, Wrapper):
        (field,) = _fields_of(type(variant))
        return b"{" + tag + b":" + _encode_member(getattr(variant, field.name), field) + b"}"
    return b"{" + tag + b":" + _encode_body(variant) + b"}"


def _encode_body(record: Struct) -> bytes:
    members: list[bytes] = []
    tag = record.__struct_config__.tag
    if tag is not None:
        members.append(free_text(record.__struct_config__.tag_field) + b":" + free_text(tag))
    for field in _fields_of(type(record)):
        value = getattr(record, field.name)
        if not (field.is_omitted and value == field.default):
            members.append(field.label + _encode_member(value, field))
    return b"{" + b",".join(members) + b"}"


def _encode_member(value: object, field: _Field) -> bytes:
    if field.kind is Any:
        return free_text(value)
    return record_text(value) if isinstance(field.kind, TypeVar) else encode(value)


@cache
def _fields_of(kind: type[Struct]) -> tuple[_Field, ...]:
    hints = get_type_hints(kind, include_extras=True)
    return tuple(_field(field, hints[field.name], kind) for field in fields(kind))


def _field(field: FieldInfo, hint: Any, kind: type[Struct]) -> _Field:
    default = field.default if field.default_factory is NODEFAULT else field.default_factory()
    return _Field(
        name=field.name,
        label=b'"' + field.name.encode() + b'":',
        kind=hint,
        read=_reader(hint),
        default=default,
        is_nullable=NoneType in get_args(hint),
        is_omitted=bool(kind.__struct_config__.omit_defaults) and default is not NODEFAULT,
    )


@cache
def _reader(kind: Any) -> Reader:
    """Reads values of an annotation."""
    if kind is Any or isinstance(kind, TypeVar):
        return _as_it_is
    if get_origin(kind) in (Union, UnionType):
        return _union_reader(get_args(kind))
    if get_origin(kind) in (list, tuple):
        return partial(_read_items, item=_reader(get_args(kind)[0]), collect=get_origin(kind))
    if isinstance(kind, type) and issubclass(kind, WireForm):
        return partial(_read_form, kind=kind)
    record = cast("object", get_origin(kind) or kind)
    if isinstance(record, type) and issubclass(record, Variant):
        return partial(_read_variant, variants={record.__name__: record})
    if isinstance(record, type) and issubclass(record, Struct) and record.__struct_config__.tag is None:
        return partial(_read_body, kind=record)
    return partial(_convert, kind=kind)


def _union_reader(kinds: tuple[Any, ...]) -> Reader:
    present = tuple(kind for kind in kinds if kind is not NoneType)
    variants = {kind.__name__: kind for kind in present if isinstance(kind, type) and issubclass(kind, Variant)}
    if variants:
        reader: Reader = partial(_read_variant, variants=variants)
    elif len(present) == 1:
        reader = _reader(present[0])
    else:
        reader = partial(_convert, kind=Union[present])  # noqa: UP007 - a union made of a tuple
    return reader if present == kinds else partial(_read_optional, present=reader)


def _as_it_is(value: object) -> object:
    return value


def _convert(value: object, kind: Any) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise WireError(str(error)) from error


def _read_optional(value: object, present: Reader) -> Any:
    return None if value is None else present(value)


def _read_items(value: object, item: Reader, collect: Callable[[list[object]], Any]) -> Any:
    if not isinstance(value, list):
        raise WireError("expected an array")
    return collect([item(element) for element in cast("list[object]", value)])


def _read_form(value: object, kind: type[WireForm]) -> WireForm:
    try:
        return kind.from_wire(value)
    except ValueError as error:
        raise WireError(str(error)) from error


def _read_body(value: object, kind: type[Struct]) -> Struct:
    if not isinstance(value, dict):
        raise WireError(f"{kind.__name__} must be an object")
    members = cast("dict[str, object]", value)
    return kind(**{field.name: _read_member(members, field, kind) for field in _fields_of(kind)})


def _read_member(members: dict[str, object], field: _Field, kind: type[Struct]) -> Any:
    if field.name in members:
        return field.read(members[field.name])
    if field.default is not NODEFAULT:
        return field.default
    if field.is_nullable:
        return None
    raise WireError(f"missing field `{field.name}` of {kind.__name__}")


def _read_variant(value: object, variants: dict[str, type[Variant]]) -> Variant:
    tag, body = _tag_and_body(value, variants)
    if tag not in variants:
        raise WireError(f"unknown variant `{tag}`, expected one of {', '.join(variants)}", tag)
    kind = variants[tag]
    if not kind.__struct_fields__:
        if body is not None:
            raise WireError(f"{tag} takes no value")
        return kind()
    if issubclass(kind, Wrapper):
        (field,) = _fields_of(kind)
        return kind(**{field.name: field.read(body)})
    return cast("Variant", _read_body(body, kind))


def _tag_and_body(value: object, variants: dict[str, type[Variant]]) -> tuple[str, object]:
    if isinstance(value, str):
        return value, None
    members = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    if len(members) != 1:
        raise WireError(f"expected one of {', '.join(variants)}")
    ((tag, body),) = members.items()
    return tag, body


_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Timestamp(WireForm, Struct, frozen=True, order=True):
    """Nanoseconds since 1970-01-01T00:00:00Z; RFC 3339 text on the wire (rule 10)."""

    ns: int

    @classmethod
    def of_millis(cls, millis: int) -> Timestamp:
        """The moment of a wall clock in milliseconds."""
        return cls(millis * 1_000_000)

    def to_wire(self) -> str:
        """UTC with ``Z`` and 0, 3, 6 or 9 fractional digits, as few as possible."""
        seconds, nanos = divmod(self.ns, NANOS)
        text = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
        digits = f"{nanos:09}"
        for needless, kept in (("0" * 9, 0), ("0" * 6, 3), ("0" * 3, 6)):
            if digits.endswith(needless):
                return text + (f".{digits[:kept]}Z" if kept else "Z")
        return f"{text}.{digits}Z"

    @classmethod
    def from_wire(cls, value: FreeValue) -> Self:
        """The moment of any RFC 3339 text; digits beyond the ninth are dropped. Raises ValueError."""
        match = _RFC3339.fullmatch(str(value))
        if match is None:
            raise ValueError(f"'{value}' is not an RFC 3339 time")
        date, clock, fraction, sign, hours, minutes = match.groups()
        since = datetime.fromisoformat(f"{date}T{clock}+00:00") - _EPOCH
        seconds = since.days * 86_400 + since.seconds
        if sign is not None:
            offset = int(hours) * 3600 + int(minutes) * 60
            seconds -= offset if sign == "+" else -offset
        return cls(seconds * NANOS + int((fraction or "")[:9].ljust(9, "0")))
