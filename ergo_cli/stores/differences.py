"""Artifacts kept as their difference from another one, behind the same ids (spec 50 §23, B-11).

Where each of many large artifacts is like the one before, as the snapshots of a growing context are, whole copies take
space that grows with the square of their number. A difference takes what has changed: the bytes between the longest
common beginning and end, as a Zstandard frame with the other artifact's bytes as its dictionary.

An artifact kept whole has the number 0. The next one, which is like it, has the number 1, and so on. Number ``n`` is
kept as its difference from number ``n`` less the highest power of 16 that divides ``n``: 37 from 36, 48 from 32. So no
artifact has more than 15 others behind it for each digit of its number, and each of them is written once a digit.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from struct import Struct as Layout
from typing import Any

from msgspec import Struct

SMALLEST = 4096
"""Artifacts of fewer bytes are kept whole: a file takes a block of a disk."""

_LARGEST = 1 << 26
_DIGIT = 16
_DIGITS = 4
_LAST = _DIGIT**_DIGITS - 1
_GAIN = 4
_LEVEL = 1
_SMALLEST_WINDOW_LOG = 10
_WINDOW_LOG = 27
_MAGIC = b"ergo\x00difference/1\n"
_HEADER = Layout(">18s32sIQQQ")
_BLOCK = 1 << 16


class Difference(Struct, frozen=True):
    """How an artifact of ``size`` bytes is made of ``base``: its first and last bytes, and between them a frame."""

    base: str
    number: int
    prefix: int
    suffix: int
    size: int
    frame: bytes

    def encoded(self) -> bytes:
        """The bytes that are kept."""
        header = (_MAGIC, bytes.fromhex(self.base), self.number, self.prefix, self.suffix, self.size)
        return _HEADER.pack(*header) + self.frame

    @classmethod
    def decoded(cls, data: bytes) -> Difference:
        """The difference that bytes hold. Raises ValueError."""
        if len(data) < _HEADER.size or not data.startswith(_MAGIC):
            raise ValueError("it is not a difference of artifacts")
        _, base, number, prefix, suffix, size = _HEADER.unpack_from(data)
        if prefix + suffix > size or size > _LARGEST:
            raise ValueError("a difference with impossible lengths")
        return cls(base.hex(), number, prefix, suffix, size, data[_HEADER.size :])

    @classmethod
    def between(cls, base: str, number: int, one: bytes, other: bytes) -> Difference:
        """How ``other`` differs from ``one``, the bytes of ``base``."""
        prefix = _common_prefix(one, other)
        suffix = _common_suffix(one, other, min(len(one), len(other)) - prefix)
        middle = one[prefix : len(one) - suffix]
        frame = _compressed(other[prefix : len(other) - suffix], middle)
        return cls(base, number, prefix, suffix, len(other), frame)

    def applied(self, one: bytes) -> bytes:
        """The artifact, from the bytes of ``base``. Raises ValueError for a frame that is damaged."""
        if self.prefix + self.suffix > len(one):
            raise ValueError("a difference from another artifact")
        middle = one[self.prefix : len(one) - self.suffix]
        between = _decompressed(self.frame, middle, self.size - self.prefix - self.suffix)
        return b"".join((one[: self.prefix], between, one[len(one) - self.suffix :]))


class Restorer:
    """Restores the artifacts of one store, and makes differences of those that are put.

    ``read`` gives the bytes of an artifact that is kept whole, ``find`` the difference that one is kept as, None of any
    other. Of each number of trailing zero digits the artifact seen last is remembered: the next difference is one from
    these.
    """

    def __init__(self, read: Callable[[str], bytes], find: Callable[[str], Difference | None]) -> None:
        self._read = read
        self._find = find
        self._recent: dict[int, tuple[str, bytes]] = {}

    def restored(self, artifact: str) -> bytes:
        """The bytes of an artifact. Raises ValueError for differences that are damaged, and what ``read`` raises."""
        differences: list[tuple[str, Difference]] = []
        while (data := self._remembered(artifact)) is None and (difference := self._find(artifact)) is not None:
            if differences and difference.number >= differences[-1][1].number:
                raise ValueError("its differences do not lead to a whole artifact")
            differences.append((artifact, difference))
            artifact = difference.base
        data = self._read(artifact) if data is None else data
        for name, difference in reversed(differences):
            data = difference.applied(data)
            self.remember(name, difference.number, data)
        return data

    def difference(self, near: str, data: bytes) -> Difference | None:
        """``data`` as a difference from ``near``, which it is like, or from one behind that; None to keep it whole."""
        if not SMALLEST <= len(data) <= _LARGEST:
            return None
        base, last = near, self._find(near)
        number = 1 if last is None else last.number + 1
        if number > _LAST:
            return None
        while last is not None and last.number > _base_number(number):
            base = last.base
            last = self._find(base)
        difference = Difference.between(base, number, self.restored(base), data)
        return difference if len(difference.frame) * _GAIN < len(data) else None

    def remember(self, artifact: str, number: int, data: bytes) -> None:
        """Take the bytes of an artifact that has this number."""
        if len(data) >= SMALLEST:
            self._recent[_zero_digits(number)] = (artifact, data)

    def _remembered(self, artifact: str) -> bytes | None:
        return next((data for name, data in self._recent.values() if name == artifact), None)


def _base_number(number: int) -> int:
    return number - _DIGIT ** _zero_digits(number)


def _zero_digits(number: int) -> int:
    """How many digits at the end of a number are zero; all of 0."""
    digits = 0
    while digits < _DIGITS and number % _DIGIT ** (digits + 1) == 0:
        digits += 1
    return digits


def _common_prefix(one: bytes, other: bytes) -> int:
    return _longest(min(len(one), len(other)), lambda start, end: one[start:end] == other[start:end])


def _common_suffix(one: bytes, other: bytes, limit: int) -> int:
    """The length of the longest common end of at most ``limit`` bytes."""

    def is_same(start: int, end: int) -> bool:
        return one[len(one) - end : len(one) - start] == other[len(other) - end : len(other) - start]

    return _longest(limit, is_same)


def _longest(limit: int, is_same: Callable[[int, int], bool]) -> int:
    """The highest number up to which all is the same, found block by block, then by halves."""
    low = 0
    while low < limit and is_same(low, min(low + _BLOCK, limit)):
        low = min(low + _BLOCK, limit)
    high = min(low + _BLOCK, limit)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if is_same(low, middle) else (low, middle - 1)
    return low


def _compressed(data: bytes, dictionary: bytes) -> bytes:
    zstd = _zstd()
    parameter = zstd.CompressionParameter
    options = {
        parameter.compression_level: _LEVEL,
        parameter.window_log: max((len(data) + len(dictionary)).bit_length(), _SMALLEST_WINDOW_LOG),
        parameter.enable_long_distance_matching: 1,
    }
    return zstd.compress(data, options=options, zstd_dict=_as_prefix(zstd, dictionary))


def _decompressed(frame: bytes, dictionary: bytes, size: int) -> bytes:
    zstd = _zstd()
    options = {zstd.DecompressionParameter.window_log_max: _WINDOW_LOG}
    decompressor = zstd.ZstdDecompressor(zstd_dict=_as_prefix(zstd, dictionary), options=options)
    try:
        return decompressor.decompress(frame, max_length=size)
    except zstd.ZstdError as error:
        raise ValueError(f"a difference is damaged: {error}") from error


def _as_prefix(zstd: Any, dictionary: bytes) -> Any:
    return zstd.ZstdDict(dictionary, is_raw=True).as_prefix if len(dictionary) >= 8 else None


def _zstd() -> Any:
    """The Zstandard module: of the standard library from Python 3.14 on, before that its backport."""
    return import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
