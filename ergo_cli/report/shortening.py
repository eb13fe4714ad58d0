"""Long values made short in the middle, never in the part that differs (spec 00 §6)."""

from __future__ import annotations

import msgspec

from ergo_cli.core.json import JsonValue

GAP = "…"
_ENDS = 16
_AROUND = 12


def shorten(text: str, width: int) -> str:
    """At most ``width`` characters of ``text``: its beginning and its end."""
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    return text[:head] + GAP + text[len(text) - (width - 1 - head) :]


def shorten_pair(expected: str, actual: str, width: int) -> tuple[str, str]:
    """Both texts with what they have in common shortened, if one is longer than ``width``; the rest is kept whole."""
    if max(len(expected), len(actual)) <= width:
        return expected, actual
    prefix = _common(expected, actual)
    suffix = _common(expected[prefix:][::-1], actual[prefix:][::-1])
    return _around(expected, prefix, suffix), _around(actual, prefix, suffix)


def value_text(value: JsonValue) -> str:
    """A value as compact JSON."""
    return msgspec.json.encode(value).decode()


def value_texts(expected: JsonValue, actual: JsonValue, width: int) -> tuple[str, str]:
    """Both sides of a difference as compact JSON, shortened together; an absent side is ``-``.

    Where one side is absent it is the presence that differs: the other is shortened in its middle.
    """
    if expected is None or actual is None:
        return _alone(expected, width), _alone(actual, width)
    return shorten_pair(value_text(expected), value_text(actual), width)


def _alone(value: JsonValue, width: int) -> str:
    return "-" if value is None else shorten(value_text(value), width)


def _around(text: str, prefix: int, suffix: int) -> str:
    end = len(text) - suffix
    head, tail = text[:prefix], text[end:]
    if len(head) > _ENDS + _AROUND + len(GAP):
        head = head[:_ENDS] + GAP + head[-_AROUND:]
    if len(tail) > _ENDS + _AROUND + len(GAP):
        tail = tail[:_AROUND] + GAP + tail[-_ENDS:]
    return head + text[prefix:end] + tail


def _common(one: str, other: str) -> int:
    """The length of the common beginning."""
    length = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        length += 1
    return length
