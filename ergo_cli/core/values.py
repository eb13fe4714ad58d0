"""The values that travel through a program, and their one-member JSON form (spec 20 §2)."""

from __future__ import annotations

from enum import Enum

from msgspec import UNSET, Struct, UnsetType

NativeValue = float | bool | str | list[float]
"""A value inside a program: Number → float, Bool → bool, String → str, Series → list of float (never mutated)."""


class ValueType(Enum):
    """The static type of a port or a context key. ``Event`` never enters a context or an effect."""

    NUMBER = "Number"
    SERIES = "Series"
    BOOL = "Bool"
    STRING = "String"
    EVENT = "Event"


class Value(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """A value on the wire: an object with exactly one of ``Number``, ``Series``, ``Bool``, ``String``."""

    Number: float | UnsetType = UNSET
    Series: list[float] | UnsetType = UNSET
    Bool: bool | UnsetType = UNSET
    String: str | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Raise ValueError unless exactly one member is given."""
        given = 4 - (self.Number, self.Series, self.Bool, self.String).count(UNSET)
        if given != 1:
            raise ValueError(f"a value has exactly one of Number, Series, Bool, String, got {given}")

    @classmethod
    def of(cls, native: NativeValue) -> Value:
        """The wire form of a native value."""
        match native:
            case bool():
                return cls(Bool=native)
            case str():
                return cls(String=native)
            case list():
                return cls(Series=native)
            case _:
                return cls(Number=native)

    @property
    def native(self) -> NativeValue:
        """The one member given."""
        for member in (self.Number, self.Series, self.Bool, self.String):
            if not isinstance(member, UnsetType):
                return member
        raise AssertionError("__post_init__ lets no empty value pass")


NATIVE_TYPES: dict[str, type] = {"Number": float, "Series": list, "Bool": bool, "String": str}
"""The Python type of a value, by the name of its type."""


def type_of(native: NativeValue) -> ValueType:
    """The type of a native value."""
    match native:
        case bool():
            return ValueType.BOOL
        case str():
            return ValueType.STRING
        case list():
            return ValueType.SERIES
        case _:
            return ValueType.NUMBER
