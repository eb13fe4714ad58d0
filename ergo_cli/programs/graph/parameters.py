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
