"""Authored texts: as bundles and stores keep them, and as trees of nodes that know their place (spec 21 §2–3).

The parsers of ``document_parsers`` build the trees, within the limits of spec 00 §12.4; ``document_fields`` reads their
members.
"""

from __future__ import annotations

import re
from enum import Enum
from hashlib import sha256

from msgspec import Struct

from ergo_cli.core.json import NESTING_LIMIT
from ergo_cli.errors import DocumentError, headline

NO_ADAPTER = "none"
"""The adapter provenance of a run without adapter, in bundles and stores (spec 11 §6)."""


_SOURCE_NAME = re.compile(r"(?:graph|adapter)\.(?:yaml|json)|clusters/[^/\\\x00-\x1f]+@[^/\\\x00-\x1f]+\.yaml")


class ProgramSource(Struct, frozen=True, forbid_unknown_fields=True):
    """One text of a program, as stores and v4 bundles keep it (spec 00 §5, §12.6).

    ``path`` is a name, not a place; ``sha256`` is hex over the UTF-8 text.
    """

    path: str
    sha256: str
    text: str

    @classmethod
    def of(cls, path: str, text: str) -> ProgramSource:
        """The text with its digest."""
        return cls(path, sha256_hex(text), text)

    @property
    def is_intact(self) -> bool:
        """Whether the digest is that of the text."""
        return self.sha256 == sha256_hex(self.text)


def sha256_hex(text: str) -> str:
    """The SHA-256 of the UTF-8 text in lower-case hex."""
    return sha256(text.encode()).hexdigest()


TEXT_LIMIT = 8 * 1024 * 1024
"""The size of the largest authored file, in bytes of UTF-8 (spec 00 §12.4)."""

NODE_LIMIT = 100_000
"""How many nodes a YAML document may have once its aliases are expanded (spec 00 §12.4)."""


TOO_DEEP = f"nesting deeper than {NESTING_LIMIT} levels"
"""What is wrong with a text in which more collections are open at once."""

LINE_LIMIT = 250_000
"""How many lines a YAML document may have: each takes time, whether it holds anything or not."""

_DEEP_INDENT = re.compile(r"^ {4096}", re.MULTILINE)


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


_USUAL_FIX = "check the indentation, commas, brackets and quotes at this place"


class SyntaxSource:
    """Names the text that is read in the errors of its reader: ``parse YAML 'a.yaml': …``."""

    def __init__(self, language: str, label: str) -> None:
        self.label = label
        self._heading = f"parse {language} '{label}': "

    def error(self, message: str, mark: Mark, code: str = "DEC-SYNTAX", fix: str | None = None) -> DocumentError:
        """An error at a place of the text; ``fix`` defaults to what is most often wrong."""
        return DocumentError(code, self._heading + message, where=self._where(mark), fix=fix or _USUAL_FIX)

    def limit(self, message: str, mark: Mark) -> LimitError:
        """A limit that is passed at a place of the text."""
        fix = "split or simplify the document"
        return LimitError("DEC-SYNTAX", self._heading + message, where=self._where(mark), fix=fix)

    def check_size(self, text: str) -> None:
        """Raise LimitError for a text of more than 8 MiB."""
        if len(text) * 4 > TEXT_LIMIT and len(text.encode(errors="surrogatepass")) > TEXT_LIMIT:
            raise self.limit(f"the text is longer than {TEXT_LIMIT // 2**20} MiB", Mark(1, 1))

    def check_lines(self, text: str) -> None:
        """Raise LimitError for a text of more than 250,000 lines, or with a line behind more than 4,095 spaces."""
        if sum(map(text.count, "\n\r\x85\u2028\u2029")) > LINE_LIMIT:
            raise self.limit(f"more than {LINE_LIMIT} lines", Mark(LINE_LIMIT + 1, 1))
        deep = _DEEP_INDENT.search(text)
        if deep is not None:
            raise self.limit("a line behind more than 4095 spaces", Mark(text.count("\n", 0, deep.start()) + 1, 1))

    def _where(self, mark: Mark) -> str:
        return f"{self.label}:{mark.line}:{mark.column}"


class _Open:
    """A collection that is not closed yet; a mapping's nodes are keys and values by turns."""

    def __init__(self, collection: type[Mapping | Sequence], mark: Mark, nodes_before: int) -> None:
        self.is_mapping = collection is Mapping
        self.mark = mark
        self.nodes_before = nodes_before
        self.nodes: list[Node] = []
        self.entries: dict[str, tuple[Scalar, Node]] = {}
        self.key: Scalar | None = None

    def finished(self) -> Node:
        if self.is_mapping:
            return Mapping(tuple(self.entries.values()), self.mark)
        return Sequence(tuple(self.nodes), self.mark)


class TreeBuilder:
    """Takes scalars and the beginnings and ends of collections in document order; ``finish`` gives the tree."""

    def __init__(self, source: SyntaxSource, node_limit: int | None = None) -> None:
        self._source = source
        self._node_limit = node_limit
        self._open: list[_Open] = []
        self._duplicates: list[DocumentError] = []
        self._root: Node | None = None
        self._nodes = 0

    @property
    def depth(self) -> int:
        """How many collections are open."""
        return len(self._open)

    @property
    def in_mapping(self) -> bool:
        """Whether the innermost open collection is a mapping."""
        return bool(self._open) and self._open[-1].is_mapping

    @property
    def expects_key(self) -> bool:
        """Whether the next node is a mapping's key."""
        return self.in_mapping and self._open[-1].key is None

    def open(self, collection: type[Mapping | Sequence], mark: Mark) -> None:
        """Begin a mapping or a sequence. Raises LimitError at the 128th level."""
        if self.expects_key:
            raise self._source.error("a key must be a scalar", mark, fix="write a name as the key")
        if len(self._open) == NESTING_LIMIT:
            raise self._source.limit(TOO_DEEP, mark)
        self._count(1, mark)
        self._open.append(_Open(collection, mark, self._nodes - 1))

    def close(self) -> tuple[Node, int]:
        """End the innermost collection: the node, and how many nodes it has with all that is in it."""
        closed = self._open.pop()
        node = closed.finished()
        self._place(node, closed.mark)
        return node, self._nodes - closed.nodes_before

    def add(self, node: Node, mark: Mark, nodes: int = 1) -> None:
        """Take a scalar, or a finished node that is repeated at ``mark`` and counts as so many nodes."""
        self._count(nodes, mark)
        if self.expects_key and not isinstance(node, Scalar):
            raise self._source.error("a key must be a scalar", mark, fix="write a name as the key")
        self._place(node, mark)

    def finish(self) -> Node | None:
        """The tree, or None if nothing was taken. Raises DEC-DUP for the first duplicate key, the others as causes."""
        if self._duplicates:
            raise headline(self._duplicates)
        return self._root

    def _place(self, node: Node, mark: Mark) -> None:
        if not self._open:
            self._root = node
            return
        parent = self._open[-1]
        if not parent.is_mapping:
            parent.nodes.append(node)
        elif parent.key is not None:
            parent.entries[parent.key.text] = (parent.key, node)
            parent.key = None
        elif isinstance(node, Scalar):
            self._refuse_duplicate(parent, node, mark)
            parent.key = node

    def _refuse_duplicate(self, mapping: _Open, key: Scalar, mark: Mark) -> None:
        if key.text in mapping.entries:
            first = mapping.entries[key.text][0].mark
            message = f"duplicate field `{key.text}` (first on line {first.line})"
            self._duplicates.append(
                self._source.error(message, mark, "DEC-DUP", fix="keep one of the two, or rename one")
            )

    def _count(self, nodes: int, mark: Mark) -> None:
        self._nodes += nodes
        if self._node_limit is not None and self._nodes > self._node_limit:
            raise self._source.limit(f"more than {self._node_limit} nodes once aliases are expanded", mark)


def is_source_path(path: str) -> bool:
    """Whether ``path`` is a name that a source may have; such a name never leads out of a folder."""
    return _SOURCE_NAME.fullmatch(path) is not None
