"""A file seen through a window that only moves forward, and where JSON values end in it."""

from __future__ import annotations

import re
from typing import BinaryIO

BLOCK = 1 << 16
"""How many bytes are looked at together, unless a single value is longer."""

_BLANKS = re.compile(rb"[ \t\r\n]*+")
_TOKEN = re.compile(rb'([\[{])|[\]}]|"[^"\\]*+(?:\\.[^"\\]*+)*+("?)', re.DOTALL)
_SCALAR = re.compile(rb"[^,\[\]{}\" \t\r\n]*+")


class TextFault(ValueError):
    """A text that is not the JSON document it should be, from the byte ``offset`` on."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


class Window:
    """The part of a file that is in memory. ``at`` is the place in ``text`` up to which everything was dealt with."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.text = b""
        self.at = 0
        self._start = 0

    @property
    def offset(self) -> int:
        """The place ``at``, counted from the start of the file."""
        return self._start + self.at

    def more(self) -> bool:
        """Forget what was dealt with and read on, twice as far each time; whether there was more."""
        kept = self.text[self.at :]
        block = self._file.read(max(BLOCK, len(kept)))
        self._start += self.at
        self.text, self.at = kept + block, 0
        return bool(block)

    def hold(self, size: int) -> None:
        """Read on until ``size`` bytes are ahead, or the file ends."""
        while len(self.text) - self.at < size and self.more():
            pass

    def next(self) -> bytes:
        """Pass over white space; the byte that follows, which stays ahead, or nothing at the end of the file."""
        while True:
            match = _BLANKS.match(self.text, self.at)
            self.at = match.end() if match else self.at
            if self.at < len(self.text) or not self.more():
                return self.text[self.at : self.at + 1]

    def expect(self, byte: bytes) -> None:
        """Pass over white space and this byte. Raises TextFault where something else stands."""
        if self.next() != byte:
            raise self.unexpected(f"`{byte.decode()}`")
        self.at += 1

    def value(self) -> bytes:
        """Pass over white space and one value; its text. Raises TextFault where the file ends before it does."""
        self.next()
        end = self.value_end()
        text = self.text[self.at : end]
        self.at = end
        return text

    def value_end(self) -> int:
        """Where in ``text`` the value ends that begins at ``at``. Raises TextFault where the file ends before."""
        while True:
            end = end_of_value(self.text, self.at)
            if end == self.at:
                raise self.unexpected("a value")
            if end is not None:
                return end
            if not self.more():
                self.at = len(self.text)
                raise self.fault("unexpected end of file")

    def unexpected(self, wanted: str) -> TextFault:
        """The fault of a text that goes on with something else than what is wanted."""
        found = self.next().decode(errors="replace")
        return self.fault(f"expected {wanted}, got " + (f"`{found}`" if found else "the end of the file"))

    def fault(self, message: str) -> TextFault:
        """The fault of the text that begins at ``at``."""
        return TextFault(message, self.offset)


def end_of_value(text: bytes, start: int) -> int | None:
    """Where the JSON value ends that begins at ``start``; None where the text ends before it does.

    Brackets are counted, strings passed over; whether what lies between is JSON is for a decoder to say.
    """
    if text[start : start + 1] not in (b"{", b"[", b'"'):
        scalar = _SCALAR.match(text, start)
        return scalar.end() if scalar and scalar.end() < len(text) else None
    depth = 0
    for token in _TOKEN.finditer(text, start):
        if token[1] is not None:
            depth += 1
        elif token[2] is None:
            depth -= 1
        elif not token[2]:
            return None
        if depth == 0:
            return token.end()
    return None
