"""Which hashes are the same in every process: for the determinism guard."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from numbers import Number
from pathlib import PurePath
from types import FrameType, FunctionType
from typing import Any, cast


def is_steady(value: object) -> bool:
    """Whether the hash of a value is the same in every process, as far as its class alone decides it.

    True for a ``__hash__`` in Python: the guard looks at what that hashes itself.
    """
    method: object = type(value).__hash__
    if method is object.__hash__:
        return False  # of the address; None too, before Python 3.12
    if isinstance(method, FunctionType):
        return not isinstance(value, PurePath)  # keeps its hash, which is of texts
    if isinstance(value, tuple | frozenset):
        return all(map(is_steady, cast("Iterable[object]", value)))
    if isinstance(value, Number):
        return not _is_nan(value)
    if isinstance(value, str | bytes):
        return not value
    if isinstance(value, range):
        return bool(value[1:]) or is_steady(None)
    if isinstance(value, datetime):
        return value.utcoffset() is not None
    return value is None or isinstance(value, timedelta | timezone)


def hashed_in(frame: FrameType) -> object:
    """The first argument of a frame that runs its ``__hash__``, under whatever name that was defined; else None."""
    first = _first_argument(frame)
    methods = (vars(each).get("__hash__") for each in type(first).__mro__)
    return first if any(getattr(method, "__code__", None) is frame.f_code for method in methods) else None


def _first_argument(frame: FrameType) -> object:
    code = frame.f_code
    found: object = frame.f_locals.get(code.co_varnames[0]) if code.co_varnames else None
    if code.co_argcount or not isinstance(found, tuple):
        return found if code.co_argcount else None
    return next(iter(cast("tuple[object, ...]", found)), None)


def _is_nan(value: Any) -> bool:
    return value.is_nan() if isinstance(value, Decimal) else value != value
