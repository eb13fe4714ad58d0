"""Authored texts as trees of scalars, mappings and sequences that know where they stand.

What YAML and JSON readers make and decoders of graphs, manifests and adapters read (spec 21 §2–3).
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from ergo_cli.errors import DocumentError

TEXT_LIMIT = 8 * 1024 * 1024
"""The size of the largest authored file, in bytes of UTF-8 (spec 00 §12.4)."""

NODE_LIMIT = 100_000
"""How many nodes a YAML document may have once its aliases are expanded (spec 00 §12.4)."""


class LimitError(DocumentError):
    """A text is too large or too deep to be read at all (``DEC-SYNTAX``, spec 00 §12.4)."""


class Mark(Struct, frozen=True):
    """A place in a text; line and column count from 1."""

    line: int
    column: int


class Style(Enum):
    """How a scalar was written."""

    PLAIN = "plain"
    QUOTED = "quoted"
    JSON = "json"


class Scalar(Struct, frozen=True):
    """A scalar. ``text`` is its raw text; ``style`` ``JSON`` with ``quoted`` false is a JSON literal or number."""

    text: str
    style: Style
    quoted: bool
    mark: Mark

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all is written: ``nodes:`` with nothing behind the colon."""
        return not self.text and not self.quoted


class Mapping(Struct, frozen=True):
    """A mapping; ``entries`` in authored order, keys unique."""

    entries: tuple[tuple[Scalar, Node], ...]
    mark: Mark


class Sequence(Struct, frozen=True):
    """A sequence."""

    items: tuple[Node, ...]
    mark: Mark


Node = Scalar | Mapping | Sequence
