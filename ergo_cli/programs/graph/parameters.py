"""Typed parameter values: what an author binds and a manifest defaults to (spec 20 §2.1, §4.1)."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct


class ParameterType(Enum):
    """The type of a parameter. ``Int`` and ``Enum`` exist nowhere else; ``Series`` only to be refused (CMP-15)."""

    INT = "Int"
    NUMBER = "Number"
    BOOL = "Bool"
    STRING = "String"
    ENUM = "Enum"
    SERIES = "Series"


class ParameterValue(Struct, frozen=True):
    """A value with its type: ``Int`` holds int, ``Number`` float, ``Bool`` bool, ``String`` and ``Enum`` str."""

    type: ParameterType
    value: int | float | bool | str

    @classmethod
    def declared(cls, value: bool | int | float | str, declared: ParameterType) -> ParameterValue:
        """A default in its declared type where it fits; else in its own, for the registration rules to refuse."""
        match value:
            case bool():
                return cls(ParameterType.BOOL, value)
            case int() if declared is ParameterType.NUMBER:
                return cls(ParameterType.NUMBER, float(value))
            case int():
                return cls(ParameterType.INT, value)
            case float() if declared is ParameterType.INT and value.is_integer() and abs(value) < 2.0**63:
                return cls(ParameterType.INT, int(value))
            case float():
                return cls(ParameterType.NUMBER, value)
            case str() if declared is ParameterType.ENUM:
                return cls(ParameterType.ENUM, value)
            case str():
                return cls(ParameterType.STRING, value)
