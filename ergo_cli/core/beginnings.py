"""What the first bytes of a file say about its form: byte order marks and compression."""

from __future__ import annotations

from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE

COMPRESSIONS = {".gz": "gzip", ".zst": "Zstandard"}
"""The names of the compressions, by suffix."""

_COMPRESSED = {b"\x1f\x8b": ".gz", b"\x28\xb5\x2f\xfd": ".zst"}

MARK = "\ufeff"
"""A byte order mark, decoded."""

WITHOUT_MARK = "save it as UTF-8 without byte order mark"
"""The fix for a text with a mark that it must not have."""

# UTF-32 first: its little-endian mark begins with that of UTF-16
_MARKS = {
    BOM_UTF32_LE: "UTF-32",
    BOM_UTF32_BE: "UTF-32",
    BOM_UTF16_LE: "UTF-16",
    BOM_UTF16_BE: "UTF-16",
    BOM_UTF8: "UTF-8",
}


def compression(start: bytes) -> str | None:
    """The suffix of the compression of a file with these first four bytes, ``.gz`` or ``.zst``; None for any other."""
    return next((form for magic, form in _COMPRESSED.items() if start.startswith(magic)), None)


def marked_encoding(start: bytes) -> str | None:
    """The encoding whose byte order mark a file begins with, such as ``UTF-16``; None without one."""
    return next((encoding for mark, encoding in _MARKS.items() if start.startswith(mark)), None)


def may_become_mark(start: bytes) -> bool:
    """Whether further bytes could complete a byte order mark."""
    return any(len(start) < len(mark) and mark.startswith(start) for mark in _MARKS)


def marked(encoding: str) -> str:
    """What is wrong with a file that begins with the byte order mark of this encoding."""
    return f"it begins with a byte order mark of {encoding}"
