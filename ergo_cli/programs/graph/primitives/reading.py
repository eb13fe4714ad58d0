"""Typed access to the inputs and parameters of a primitive.

What expansion and validation let through always fits; a TypeError or KeyError here is a defect of the caller and ends
the pass with INTERNAL (spec 20 §5.5).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast


def number(values: Mapping[str, object], name: str) -> float:
    """The Number called ``name``; an int becomes the nearest float."""
    value = values[name]
    if isinstance(value, float):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    raise _unfit(name, "Number", value)


def boolean(values: Mapping[str, object], name: str) -> bool:
    """The Bool called ``name``."""
    value = values[name]
    if isinstance(value, bool):
        return value
    raise _unfit(name, "Bool", value)


def text(values: Mapping[str, object], name: str) -> str:
    """The String called ``name``."""
    value = values[name]
    if isinstance(value, str):
        return value
    raise _unfit(name, "String", value)


def series(values: Mapping[str, object], name: str) -> list[float]:
    """The Series called ``name``; never to be changed."""
    value = values[name]
    if isinstance(value, list):
        return cast("list[float]", value)
    raise _unfit(name, "Series", value)


def _unfit(name: str, wanted: str, value: object) -> TypeError:
    return TypeError(f"'{name}' must be a {wanted}, got {value!r}")
