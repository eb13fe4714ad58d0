"""Contexts that hold the context keys of an adapter alone, each from its place in the payload, or its default.

So for adapters whose keys name places or defaults, or whose payloads have members that no context could hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from msgspec import Struct

from ergo_cli.core.json import JsonValue, decode
from ergo_cli.core.values import ValueType
from ergo_cli.events.external import Context, ContextValues
from ergo_cli.events.payload_paths import PayloadPath


def fits_type(value: object, type: str) -> bool:
    """Whether a decoded JSON value is one of a context type (spec 10 §3.2)."""
    return _FITS[type](value)


def _is_number(value: object) -> bool:
    return value.__class__ is float or value.__class__ is int


_FITS: Mapping[str, Callable[[Any], bool]] = {
    ValueType.NUMBER.value: _is_number,
    ValueType.BOOL.value: lambda value: value.__class__ is bool,
    ValueType.STRING.value: lambda value: value.__class__ is str,
    ValueType.SERIES.value: lambda value: value.__class__ is list and all(map(_is_number, value)),
}


class SelectedKey(Struct, frozen=True):
    """A context key, the place of its value, and what it is where the payload has no value of its type there."""

    name: str
    type: str
    path: PayloadPath
    default: JsonValue = None

    def given(self, payload: JsonValue) -> JsonValue:
        """Its value in a payload; None where there is none of its type."""
        value = self.path.value(payload)
        return value if fits_type(value, self.type) else None


class SelectedValues(ContextValues):
    """The values of a context that holds these keys alone, of those that have a value."""

    __slots__ = ("_keys",)

    def __init__(self, keys: Sequence[SelectedKey], payload: Mapping[str, Any]) -> None:
        members: dict[str, Any] = {}
        for key in keys:
            given = key.given(cast("JsonValue", payload))
            if given is not None or key.default is not None:
                members[key.name] = key.default if given is None else given
        super().__init__(members)
        self._keys = keys

    def of(self, members: Mapping[str, Any]) -> ContextValues:
        """The values of another payload."""
        return SelectedValues(self._keys, members)

    def origin(self, name: str, payload: bytes) -> Origin | None:
        """Where the value of a key comes from in the payload that these values are of; None for an unknown key."""
        key = next((key for key in self._keys if key.name == name), None)
        return None if key is None else Origin(key.path.text, key.given(decode(payload)) is None)


class Origin(Struct, frozen=True):
    """Where a value of a context comes from: the place of the payload at ``path``, or for lack of one its default."""

    path: str
    is_default: bool

    def __str__(self) -> str:
        return f"the default, nothing at {self.path}" if self.is_default else self.path


def origin_of(context: Context, name: str) -> Origin | None:
    """Where the value of a context key comes from; None where it is the member of its name."""
    values = context.values
    return values.origin(name, context.payload) if isinstance(values, SelectedValues) else None
