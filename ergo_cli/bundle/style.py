"""The two layouts of a bundle's text (spec 11 §1)."""

from __future__ import annotations

from enum import Enum

import msgspec

_INDENT = 2


class Style(Enum):
    """The layout of a bundle's text; both layouts hold the same data and end in one line feed."""

    COMPACT = "compact"
    PRETTY = "pretty"

    @property
    def separator(self) -> bytes:
        """The separator between compact texts that are passed on as one block of items."""
        return b"\n" if self is Style.PRETTY else b","

    @property
    def colon(self) -> bytes:
        """The text between a member's name and its value."""
        return b": " if self is Style.PRETTY else b":"

    def line(self, depth: int) -> bytes:
        """The text before an item or a closing bracket at this depth."""
        return b"\n" + b" " * (_INDENT * depth) if self is Style.PRETTY else b""

    def lay(self, text: bytes, depth: int) -> bytes:
        """Lay out a compact JSON text for this depth."""
        if self is Style.COMPACT:
            return text
        # Line feeds inside strings are escaped, so every line feed found here ends a line.
        return msgspec.json.format(text, indent=_INDENT).replace(b"\n", self.line(depth))

    def lay_items(self, block: bytes, depth: int) -> bytes:
        """Lay out compact JSON texts, joined by ``separator``, as the items of a list at this depth."""
        if self is Style.COMPACT:
            return block
        return (b"," + self.line(depth)).join([self.lay(text, depth) for text in block.split(b"\n")])
