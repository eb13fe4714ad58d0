"""The two layouts of a bundle's text (spec 11 §3.1–3.2)."""

from __future__ import annotations

from enum import Enum

import msgspec

_INDENT = 2


class Style(Enum):
    """How a bundle is laid out; both hold the same data and end in one line feed."""

    COMPACT = "compact"
    PRETTY = "pretty"

    @property
    def separator(self) -> bytes:
        """What stands between compact texts that are handed on as one block of items."""
        return b"\n" if self is Style.PRETTY else b","

    @property
    def colon(self) -> bytes:
        """What stands between a member's name and its value."""
        return b": " if self is Style.PRETTY else b":"

    def line(self, depth: int) -> bytes:
        """What stands before an item or a closing bracket at this depth."""
        return b"\n" + b" " * (_INDENT * depth) if self is Style.PRETTY else b""

    def lay(self, text: bytes, depth: int) -> bytes:
        """A compact JSON text, laid out for a place at this depth."""
        if self is Style.COMPACT:
            return text
        # A line feed inside a string is written as an escape, so that every one found here ends a line.
        return msgspec.json.format(text, indent=_INDENT).replace(b"\n", self.line(depth))

    def lay_items(self, block: bytes, depth: int) -> bytes:
        """Compact JSON texts, between them the ``separator``, as the items of a list at this depth."""
        if self is Style.COMPACT:
            return block
        return (b"," + self.line(depth)).join([self.lay(text, depth) for text in block.split(b"\n")])
