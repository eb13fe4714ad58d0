"""Builds the tree of an authored text from what a YAML or JSON reader reports, within the limits of spec 00 §12.4."""

from __future__ import annotations

from ergo_cli.core.documents import TEXT_LIMIT, LimitError, Mapping, Mark, Node, Scalar, Sequence
from ergo_cli.core.json import NESTING_LIMIT
from ergo_cli.errors import DocumentError, headline

_USUAL_FIX = "check the indentation, commas, brackets and quotes at this place"


class SyntaxSource:
    """Names the text that is read in the errors of its reader: ``parse YAML 'a.yaml': …``."""

    def __init__(self, language: str, label: str) -> None:
        self.label = label
        self._heading = f"parse {language} '{label}': "

    def error(self, message: str, mark: Mark, code: str = "DEC-SYNTAX", fix: str | None = None) -> DocumentError:
        """An error at a place of the text; without a ``fix`` of its own it says what is most often wrong."""
        return DocumentError(code, self._heading + message, where=self._where(mark), fix=fix or _USUAL_FIX)

    def limit(self, message: str, mark: Mark) -> LimitError:
        """A limit that is passed at a place of the text."""
        fix = "split or simplify the document"
        return LimitError("DEC-SYNTAX", self._heading + message, where=self._where(mark), fix=fix)

    def check_size(self, text: str) -> None:
        """Raise LimitError for a text of more than 8 MiB."""
        if len(text) * 4 > TEXT_LIMIT and len(text.encode(errors="surrogatepass")) > TEXT_LIMIT:
            raise self.limit(f"the text is longer than {TEXT_LIMIT // 2**20} MiB", Mark(1, 1))

    def _where(self, mark: Mark) -> str:
        return f"{self.label}:{mark.line}:{mark.column}"


class _Open:
    """A collection that is not closed yet; a mapping's nodes are keys and values by turns."""

    def __init__(self, kind: type[Mapping | Sequence], mark: Mark, nodes_before: int) -> None:
        self.is_mapping = kind is Mapping
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

    def open(self, kind: type[Mapping | Sequence], mark: Mark) -> None:
        """Begin a mapping or a sequence. Raises LimitError at the 128th level."""
        if self.expects_key:
            raise self._source.error("a key must be a scalar", mark, fix="write a name as the key")
        if len(self._open) == NESTING_LIMIT:
            raise self._source.limit(f"nesting deeper than {NESTING_LIMIT} levels", mark)
        self._count(1, mark)
        self._open.append(_Open(kind, mark, self._nodes - 1))

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
