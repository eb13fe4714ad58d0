"""Reads YAML texts by the profile of spec 21 §2: ruamel.yaml parses, the profile is kept on what it reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ergo_cli.core.documents import NODE_LIMIT, Mapping, Mark, Node, Scalar, Sequence, Style
from ergo_cli.core.trees import SyntaxSource, TreeBuilder
from ergo_cli.errors import DocumentError

if TYPE_CHECKING:
    from ergo_cli.core.yaml_events import Part

_STRING_TAG = "tag:yaml.org,2002:str"


def parse_yaml(text: str, label: str) -> Node:
    """The tree of one YAML document, read without recursion.

    Raises DocumentError: DEC-DUP for duplicate keys; DEC-SYNTAX for what is not YAML and for what the profile refuses
    (further documents, tags but ``!!str``, merge keys, recursive aliases); LimitError for what is too large.
    """
    source = SyntaxSource("YAML", label)
    source.check_size(text)

    from ergo_cli.core.yaml_events import parts  # ruamel.yaml is slow to import, and most runs read no YAML

    reader = _YamlReader(text, source)
    for part in parts(text, source):
        reader.take(part)
    return reader.finish()


class _YamlReader:
    """Puts the parts of one text into a tree, expands aliases and refuses what the profile does not have."""

    def __init__(self, text: str, source: SyntaxSource) -> None:
        self._text = text
        self._source = source
        self._tree = TreeBuilder(source, NODE_LIMIT)
        self._documents = 0
        self._anchored: dict[str, tuple[Node, int] | None] = {}
        self._open_anchors: list[str | None] = []

    def take(self, part: Part) -> None:
        self._check_indentation(part)
        match part.kind:
            case "scalar":
                self._take_scalar(part)
            case "alias":
                self._take_alias(part)
            case "mapping":
                self._open(Mapping, part)
            case "sequence":
                self._open(Sequence, part)
            case "end":
                self._close()
            case "document":
                self._begin_document(part)

    def finish(self) -> Node:
        root = self._tree.finish()
        if root is None:
            raise self._source.error("the text holds no document", Mark(1, 1), fix="write the document")
        return root

    def _begin_document(self, part: Part) -> None:
        self._documents += 1
        if self._documents > 1:
            fix = "put every document in a file of its own"
            raise self._source.error("a second document begins here", part.mark, fix=fix)

    def _take_scalar(self, part: Part) -> None:
        if part.tag is not None and part.tag != _STRING_TAG:
            raise self._unknown_tag(part)
        quoted = not part.plain or part.tag is not None
        if part.text == "<<" and not quoted and self._tree.expects_key:
            raise self._source.error("merge keys (<<) are not supported", part.mark, fix="write the merged keys out")
        scalar = Scalar(self._unicode(part), Style.QUOTED if quoted else Style.PLAIN, quoted, part.mark)
        self._tree.add(scalar, part.mark)
        if part.anchor is not None:
            self._anchored[part.anchor] = scalar, 1

    def _take_alias(self, part: Part) -> None:
        anchor = part.anchor or ""
        if anchor not in self._anchored:
            raise self._source.error(f"unknown alias *{anchor}", part.mark, fix=f"define it with &{anchor} further up")
        anchored = self._anchored[anchor]
        if anchored is None:
            raise self._source.error(f"alias *{anchor} contains itself", part.mark, fix="write the value out")
        node, size = anchored
        self._tree.add(node, part.mark, size)

    def _open(self, kind: type[Mapping | Sequence], part: Part) -> None:
        if part.tag is not None:
            raise self._unknown_tag(part)
        self._tree.open(kind, part.mark)
        self._open_anchors.append(part.anchor)
        if part.anchor is not None:
            self._anchored[part.anchor] = None

    def _close(self) -> None:
        anchor = self._open_anchors.pop()
        closed = self._tree.close()
        if anchor is not None:
            self._anchored[anchor] = closed

    def _check_indentation(self, part: Part) -> None:
        """Refuse a tab before the first thing of a line: ruamel.yaml allows it inside brackets."""
        before = self._text[part.offset - part.mark.column + 1 : part.offset]
        if "\t" in before and before.isspace():
            raise self._source.error("a tab is used for indentation", part.mark, fix="indent with spaces")

    def _unicode(self, part: Part) -> str:
        """Join the halves of characters that are escaped in pairs, as JSON does."""
        try:
            return part.text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError as error:
            message = "an escape stands for half a character"
            raise self._source.error(message, part.mark, fix="escape both halves") from error

    def _unknown_tag(self, part: Part) -> DocumentError:
        fix = "leave the tag out; only !!str exists"
        return self._source.error(f"unsupported tag '{part.tag}'", part.mark, fix=fix)
