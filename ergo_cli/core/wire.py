"""Typed records in the JSON form of tagged unions, and back (spec 40 §2 rules 2–8 and 10, 50 §2, 60 §2.2).

Structs keep their declared field order. A union of ``Variant`` is externally tagged: ``"Completed"``,
``{"Resumed":{"value":1}}``, ``{"Resume":1}``; one of structs with a tag of msgspec's is internally tagged, and so is
a member marked ``FLAT``, whose own members stand among those around it; one marked ``Adjacent`` has its tag and its
content side by side. msgspec knows only internal tags, so records are written and read here by their annotations; free
values are msgspec's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache, lru_cache, partial
from types import NoneType, UnionType
from typing import Annotated, Any, Self, TypeAlias, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import msgspec
from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo, fields

from ergo_cli.core.json import decode as decode_json
from ergo_cli.core.json import free_text, has_careful_integer, record_text
from ergo_cli.core.time import NANOS

T = TypeVar("T")
StructT = TypeVar("StructT", bound=Struct)


FreeValue: TypeAlias = Any
"""Any JSON value, or a value that msgspec encodes as one; keys are sorted when it is written."""


Reader = Callable[[object], Any]
"""Makes a record of a decoded JSON value. Raises WireError."""

Writer = Callable[[Any], bytes]
"""Makes the canonical text of a value. Raises NotCanonicalError."""


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


class Adjacent(Struct, frozen=True, eq=False):
    """Marks a union as adjacently tagged: ``Annotated[A | B, Adjacent("type", "details", {"a": A, "b": B})]``."""

    tag: str
    content: str
    variants: Mapping[str, type[Variant]]


class Flat(Struct, frozen=True):
    """Marks a member, an object, whose members are written in its place."""


FLAT = Flat()


class Repeated(Struct, frozen=True):
    """Marks a member, hashable, of which many records have the same value: the last texts are remembered."""


REPEATED = Repeated()

_REMEMBERED = 256  # texts of one member


class WireError(ValueError):
    """A text does not hold the expected record; ``tag`` is set if its tag is not one of the variants."""

    def __init__(self, message: str, tag: str | None = None) -> None:
        super().__init__(message)
        self.tag = tag


class _Field(Struct, frozen=True):
    name: str
    attribute: str
    label: bytes
    read: Reader
    write: Writer
    default: Any
    is_nullable: bool
    is_omitted: bool  # a default is left out instead of written
    is_flat: bool


def encode(record: object) -> bytes:
    """The canonical text of a record. Raises NotCanonicalError for a free value that JSON cannot hold."""
    return _encoder(type(record))(record)


def decode(text: bytes, kind: type[T]) -> T:
    """The record that a text holds; unknown members are ignored, an absent optional one is null.

    Raises WireError, or JsonError where the text is not JSON.
    """
    return read(decode_json(text), kind)


def read(value: object, kind: Any) -> Any:
    """The record of annotation ``kind`` that a decoded JSON value holds. Raises WireError."""
    return _reader(kind)(value)


def write(value: object, kind: Any) -> bytes:
    """The canonical text of a value of annotation ``kind``. Raises NotCanonicalError."""
    return _writer(kind)(value)


@cache
def _encoder(kind: type[object]) -> Writer:
    """Writes values of a class."""
    if issubclass(kind, Variant):
        return _encode_variant
    if issubclass(kind, WireForm):
        return _write_text if issubclass(kind, str) else _encode_form
    if _is_native(kind):
        return _write_native
    if issubclass(kind, Struct):
        return _encode_body
    return _encode_items if issubclass(kind, list | tuple) else free_text


def _encode_form(form: WireForm) -> bytes:
    return free_text(form.to_wire())


def _encode_items(items: Sequence[object]) -> bytes:
    return b"[" + b",".join(map(encode, items)) + b"]"


def _encode_variant(variant: Variant) -> bytes:
    tag = b'"' + type(variant).__name__.encode() + b'"'
    if not variant.__struct_fields__:
        return tag
    if isinstance(variant, Wrapper):
        (field,) = _fields_of(type(variant))
        return b"{" + tag + b":" + field.write(getattr(variant, field.attribute)) + b"}"
    return b"{" + tag + b":" + _encode_body(variant) + b"}"


def _encode_body(record: Struct) -> bytes:
    tag, fields = _parts_of(type(record))
    members = [tag] if tag else []
    for attribute, label, write, is_omitted, default, is_flat in fields:
        value = getattr(record, attribute)
        if is_flat:
            members.append(write(value)[1:-1])
        elif not (is_omitted and value == default):
            members.append(label + write(value))
    return b"{" + b",".join(members) + b"}"


@cache
def _parts_of(kind: type[Struct]) -> tuple[bytes, Sequence[tuple[str, bytes, Writer, bool, Any, bool]]]:
    """The text of a record's tag, and what its members need to be written, in tuples, which are read fastest."""
    config = kind.__struct_config__
    tag = b"" if config.tag is None else free_text(config.tag_field) + b":" + free_text(config.tag)
    return tag, [
        (field.attribute, field.label, field.write, field.is_omitted, field.default, field.is_flat)
        for field in _fields_of(kind)
    ]


@cache
def _is_native(kind: Any) -> bool:
    """Whether msgspec by itself reads and writes values of an annotation as this module does, only much faster.

    It does not for free values and floats, which it does not check, and where a member may be absent but not omitted.
    """
    parts = tuple(part for part in get_args(kind) if part is not Ellipsis)
    match get_origin(kind):
        case None:
            return kind in (str, int, bool, None, NoneType) or (isinstance(kind, type) and _is_native_class(kind))
        case origin if origin is Annotated:
            return _is_native(parts[0]) and _mark(kind, Adjacent) is None and _mark(kind, Flat) is None
        case origin if origin in (dict, Mapping):
            return parts[0] is str and _is_native(parts[1])
        case origin if origin in (Union, UnionType, list, tuple):
            return all(map(_is_native, parts))
        case _:
            return False


def _is_native_class(kind: type) -> bool:
    if issubclass(kind, WireForm):
        return issubclass(kind, str)
    if not issubclass(kind, Struct):
        return issubclass(kind, Enum)
    return not issubclass(kind, Variant) and all(
        _is_native(hint) and _is_native_default(field, hint, bool(kind.__struct_config__.omit_defaults))
        for field, hint in zip(fields(kind), _hints(kind), strict=True)
    )


@cache
def _is_text(kind: Any) -> bool:
    """Whether values of a native annotation hold no number, which msgspec might write wrong."""
    if isinstance(kind, type) and issubclass(kind, Struct):
        return all(map(_is_text, _hints(kind)))
    parts = tuple(part for part in get_args(kind) if part is not Ellipsis)
    if parts:
        return get_origin(kind) is not Annotated and all(map(_is_text, parts))
    return kind in (bool, NoneType) or (isinstance(kind, type) and issubclass(kind, str))


def _is_native_default(field: FieldInfo, hint: Any, omits: bool) -> bool:
    if field.default is NODEFAULT:
        return field.default_factory is not NODEFAULT or NoneType not in get_args(hint)
    return field.default is None or not omits


def _write_native(value: object) -> bytes:
    try:
        text = _encode_native(value)
        is_checked = not has_careful_integer(text)
    except ValueError:
        text, is_checked = b"", False
    return text if is_checked else _write_checked(text, value)


def _write_checked(text: bytes, value: object) -> bytes:
    free_text(msgspec.to_builtins(value, enc_hook=_custom_to_wire))  # raises for what JSON cannot hold
    return text


def _write_text(value: object) -> bytes:
    try:
        return _encode_native(value)
    except ValueError:
        return _write_checked(b"", value)


def _custom_to_wire(value: Any) -> Any:
    if isinstance(value, WireForm):
        return value.to_wire()
    raise TypeError(f"a {type(value).__name__} is no JSON value")


def _custom_from_wire(kind: type[Any], value: Any) -> Any:
    return kind.from_wire(value)


_encode_native = msgspec.json.Encoder(order="deterministic", enc_hook=_custom_to_wire).encode


@cache
def _writer(kind: Any) -> Writer:
    """Writes values of an annotation; most values show by themselves how they are written."""
    if kind is Any:
        return free_text
    if isinstance(kind, TypeVar):
        return record_text
    if _mark(kind, Repeated) is not None:
        return lru_cache(_REMEMBERED)(_writer(get_args(kind)[0]))
    if _is_native(kind):
        return _write_text if _is_text(kind) else _write_native
    parts = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    form = next((form for part in parts if (form := _mark(part, Adjacent)) is not None), None)
    return encode if form is None else partial(_encode_adjacent, form=form)


def _encode_adjacent(variant: Variant | None, form: Adjacent) -> bytes:
    if variant is None:
        return b"null"
    (tag,) = (tag for tag, kind in form.variants.items() if type(variant) is kind)
    if isinstance(variant, Wrapper):
        (field,) = _fields_of(type(variant))
        content = field.write(getattr(variant, field.attribute))
    else:
        content = _encode_body(variant)
    return b"{%s:%s,%s:%s}" % (free_text(form.tag), free_text(tag), free_text(form.content), content)


@cache
def _fields_of(kind: type[Struct]) -> tuple[_Field, ...]:
    return tuple(_field(field, hint, kind) for field, hint in zip(fields(kind), _hints(kind), strict=True))


def _hints(kind: type[Struct]) -> list[Any]:
    hints = get_type_hints(kind, include_extras=True)
    return [hints[field.name] for field in fields(kind)]


def _field(field: FieldInfo, hint: Any, kind: type[Struct]) -> _Field:
    default = field.default if field.default_factory is NODEFAULT else field.default_factory()
    is_made = field.default_factory not in (NODEFAULT, list, dict, set)  # msgspec too writes what a factory makes
    return _Field(
        name=field.encode_name,
        attribute=field.name,
        label=free_text(field.encode_name) + b":",
        read=_reader(hint),
        write=_writer(hint),
        default=default,
        is_nullable=NoneType in get_args(hint),
        is_omitted=bool(kind.__struct_config__.omit_defaults) and default is not NODEFAULT and not is_made,
        is_flat=_mark(hint, Flat) is not None,
    )


MarkT = TypeVar("MarkT")


def _mark(kind: Any, mark: type[MarkT]) -> MarkT | None:
    """The mark of this type that an annotation carries."""
    marks = get_args(kind)[1:] if get_origin(kind) is Annotated else ()
    return next((each for each in marks if isinstance(each, mark)), None)


@cache
def _reader(kind: Any) -> Reader:
    """Reads values of an annotation."""
    if kind is Any or isinstance(kind, TypeVar):
        return _as_it_is
    if _is_native(kind):
        return partial(_convert, kind=kind)
    if get_origin(kind) in (Union, UnionType):
        return _union_reader(get_args(kind))
    adjacent = _mark(kind, Adjacent)
    if adjacent is not None:
        return partial(_read_adjacent, form=adjacent)
    if _mark(kind, Flat) is not None or _mark(kind, Repeated) is not None:
        return _reader(get_args(kind)[0])
    if get_origin(kind) in (list, tuple):
        return partial(_read_items, item=_reader(get_args(kind)[0]), collect=get_origin(kind))
    if isinstance(kind, type) and issubclass(kind, WireForm):
        return partial(_read_form, kind=kind)
    record = cast("object", get_origin(kind) or kind)
    if isinstance(record, type) and issubclass(record, Variant):
        return partial(_read_variant, variants={record.__name__: record})
    if isinstance(record, type) and issubclass(record, Struct):
        if record.__struct_config__.tag is None:
            return partial(_read_body, kind=record)
        return _tagged_reader((record,))
    return partial(_convert, kind=kind)


def _union_reader(kinds: tuple[Any, ...]) -> Reader:
    present = tuple(kind for kind in kinds if kind is not NoneType)
    variants = {kind.__name__: kind for kind in present if isinstance(kind, type) and issubclass(kind, Variant)}
    if variants:
        reader: Reader = partial(_read_variant, variants=variants)
    elif len(present) == 1:
        reader = _reader(present[0])
    elif all(isinstance(kind, type) and issubclass(kind, Struct) for kind in present):
        reader = _tagged_reader(present)
    else:
        reader = partial(_convert, kind=Union[present])  # noqa: UP007 - a union made of a tuple
    return reader if present == kinds else partial(_read_optional, present=reader)


def _tagged_reader(kinds: tuple[type[Struct], ...]) -> Reader:
    (tag_field,) = {cast("str", kind.__struct_config__.tag_field) for kind in kinds}
    return partial(_read_tagged, tag_field=tag_field, kinds={kind.__struct_config__.tag: kind for kind in kinds})


def _as_it_is(value: object) -> object:
    return value


def _convert(value: object, kind: Any) -> Any:
    try:
        return msgspec.convert(value, kind, dec_hook=_custom_from_wire)
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
    members, read = cast("dict[str, object]", value), dict[str, object]()
    for field in _fields_of(kind):
        if field.is_flat:
            read[field.attribute] = field.read(members)
        elif field.name in members:
            read[field.attribute] = field.read(members[field.name])
        else:
            read[field.attribute] = _read_absent(field, kind)
    return kind(**read)


def _read_absent(field: _Field, kind: type[Struct]) -> Any:
    if field.default is not NODEFAULT:
        return field.default
    if field.is_nullable:
        return None
    raise WireError(f"missing field `{field.name}` of {kind.__name__}")


def _read_tagged(value: object, tag_field: str, kinds: dict[object, type[Struct]]) -> Struct:
    members = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    if tag_field not in members:
        raise WireError(f"missing field `{tag_field}`")
    kind = _chosen(members[tag_field], kinds)
    return _convert(members, kind) if _is_native(kind) else _read_body(members, kind)


def _read_adjacent(value: object, form: Adjacent) -> Variant:
    members = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    for name in (form.tag, form.content):
        if name not in members:
            raise WireError(f"missing field `{name}`")
    return _read_content(members[form.content], _chosen(members[form.tag], form.variants))


def _chosen(tag: object, kinds: Mapping[Any, type[StructT]]) -> type[StructT]:
    if not isinstance(tag, str) or tag not in kinds:
        raise WireError(f"unknown variant `{tag}`, expected one of {', '.join(kinds)}", str(tag))
    return kinds[tag]


def _read_variant(value: object, variants: dict[str, type[Variant]]) -> Variant:
    tag, body = _tag_and_body(value, variants)
    return _read_content(body, _chosen(tag, variants))


def _read_content(body: object, kind: type[Variant]) -> Variant:
    if not kind.__struct_fields__:
        if body is not None:
            raise WireError(f"{kind.__name__} takes no value")
        return kind()
    if issubclass(kind, Wrapper):
        (field,) = _fields_of(kind)
        return kind(**{field.attribute: field.read(body)})
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


@lru_cache(_REMEMBERED)
def _rfc3339(ns: int) -> str:
    seconds, nanos = divmod(ns, NANOS)
    text = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    digits = f"{nanos:09}"
    for needless, kept in (("0" * 9, 0), ("0" * 6, 3), ("0" * 3, 6)):
        if digits.endswith(needless):
            return text + (f".{digits[:kept]}Z" if kept else "Z")
    return f"{text}.{digits}Z"


@lru_cache(_REMEMBERED)
def _nanoseconds(text: str) -> int:
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is not an RFC 3339 time")
    date, clock, fraction, sign, hours, minutes = match.groups()
    since = datetime.fromisoformat(f"{date}T{clock}+00:00") - _EPOCH
    seconds = since.days * 86_400 + since.seconds
    if sign is not None:
        offset = int(hours) * 3600 + int(minutes) * 60
        seconds -= offset if sign == "+" else -offset
    return seconds * NANOS + int((fraction or "")[:9].ljust(9, "0"))


class Timestamp(WireForm, Struct, frozen=True, order=True):
    """Nanoseconds since 1970-01-01T00:00:00Z; RFC 3339 text on the wire (rule 10)."""

    ns: int

    @classmethod
    def of_millis(cls, millis: int) -> Timestamp:
        """The moment of a wall clock in milliseconds."""
        return cls(millis * 1_000_000)

    def to_wire(self) -> str:
        """UTC with ``Z`` and 0, 3, 6 or 9 fractional digits, as few as possible."""
        return _rfc3339(self.ns)

    @classmethod
    def from_wire(cls, value: FreeValue) -> Self:
        """The moment of any RFC 3339 text; digits beyond the ninth are dropped. Raises ValueError."""
        return cls(_nanoseconds(str(value)))
