"""Parsers of authored texts, JSON and YAML: strict, without recursion, each node with its place.

JSON is RFC 8259 (spec 10 §3.2). YAML is the profile of spec 21 §2: ruamel.yaml parses, and the profile is checked on
the events that it reports. ruamel.yaml is imported with the first YAML text: it is slow to import, and most runs read
none.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from math import isfinite
from typing import Any, Literal

from msgspec import Struct

from ergo_cli.core.beginnings import MARK, WITHOUT_MARK, marked
from ergo_cli.core.documents import (
    NODE_LIMIT,
    TOO_DEEP,
    Mapping,
    Mark,
    Node,
    Scalar,
    Sequence,
    Style,
    SyntaxSource,
    TreeBuilder,
)
from ergo_cli.errors import DocumentError

_TOKEN = re.compile(
    r"[ \t\n\r]*+(?:(?P<sign>[{}\[\],:])"
    r'|(?P<string>"(?:[^"\\\x00-\x1f]|\\.)*+")'
    r"|(?P<number>-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?)"
    r"|(?P<word>true|false|null)|(?P<end>\Z))"
)
_BLANKS = re.compile(r"[ \t\n\r]*+")

_VALUE = frozenset({"{", "[", "string", "number", "word"})
_KEY = frozenset({"string"})
_COLON = frozenset({":"})
_END = frozenset({"end"})
_TOKEN_NAMES = {"string": "a string", "end": "the end of the text"}


def parse_json(text: str, label: str) -> Node:
    """The tree of one JSON document, read without recursion.

    Raises DocumentError: DEC-DUP for duplicate members, DEC-SYNTAX for what is not JSON and for numbers out of range;
    LimitError for what is too large.
    """
    source = SyntaxSource("JSON", label)
    source.check_size(text)
    root = _JsonReader(text, source).read()
    assert root is not None, "a text that ends where it may has a value"
    return root


class _JsonReader:
    """Steps from token to token; ``_expected`` are the token types that may come next."""

    def __init__(self, text: str, source: SyntaxSource) -> None:
        self._text = text
        self._source = source
        self._tree = TreeBuilder(source)
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._expected = _VALUE

    def read(self) -> Node | None:
        offset, token_type = 0, ""
        while token_type != "end":
            token = self._token(offset)
            token_type = self._token_type(token)
            if token_type not in self._expected:
                raise self._unexpected(token)
            self._expected = self._take(token_type, token)
            offset = token.end()
        return self._tree.finish()

    def _token(self, offset: int) -> re.Match[str]:
        token = _TOKEN.match(self._text, offset)
        if token is None:
            raise self._no_token(offset)
        return token

    def _no_token(self, offset: int) -> DocumentError:
        blanks = _BLANKS.match(self._text, offset)
        assert blanks is not None, "blanks may be none"
        mark, character = self._mark(blanks.end()), self._text[blanks.end()]
        if character == '"':
            fix = "close it on its line, and escape control characters"
            return self._source.error("a string is not closed or holds a control character", mark, fix=fix)
        if character == MARK and blanks.end() == 0:
            return self._source.error(marked("UTF-8"), mark, fix=WITHOUT_MARK)
        return self._source.error(f"unexpected {character!r}", mark)

    def _token_type(self, token: re.Match[str]) -> str:
        group = token.lastgroup or ""
        return token[group] if group == "sign" else group

    def _take(self, token_type: str, token: re.Match[str]) -> frozenset[str]:
        """Put one token into the tree and return the token types that may follow it."""
        mark = self._mark(token.start(token.lastgroup or 0))
        match token_type:
            case "{":
                self._tree.open(Mapping, mark)
                return _KEY | {"}"}
            case "[":
                self._tree.open(Sequence, mark)
                return _VALUE | {"]"}
            case "}" | "]":
                self._tree.close()
            case ",":
                return _KEY if self._tree.in_mapping else _VALUE
            case ":" | "end":
                return _VALUE
            case _:
                is_key = self._tree.expects_key
                self._tree.add(self._scalar(token_type, token[token_type], mark), mark)
                if is_key:
                    return _COLON
        return self._after_value()

    def _after_value(self) -> frozenset[str]:
        if not self._tree.depth:
            return _END
        return frozenset({",", "}" if self._tree.in_mapping else "]"})

    def _scalar(self, token_type: str, text: str, mark: Mark) -> Scalar:
        if token_type == "string":
            return Scalar(self._string(text, mark), Style.JSON, True, mark)
        if token_type == "number" and not isfinite(float(text)):
            raise self._source.error(f"number out of range: {text[:40]}", mark, fix="write a smaller number")
        return Scalar(text, Style.JSON, False, mark)

    def _string(self, text: str, mark: Mark) -> str:
        try:
            string: str = json.loads(text)
            string.encode()
        except UnicodeEncodeError as error:
            raise self._source.error("a string holds half a character", mark, fix="escape both halves") from error
        except ValueError as error:
            raise self._source.error("invalid escape in a string", mark, fix="write \\\\ for a backslash") from error
        return string

    def _unexpected(self, token: re.Match[str]) -> DocumentError:
        group = token.lastgroup or "end"
        found = _TOKEN_NAMES["end"] if group == "end" else f"'{token[group][:40]}'"
        names = sorted(_TOKEN_NAMES.get(name, f"'{name}'") for name in self._expected)
        expected = ["a value"] if self._expected >= _VALUE else names
        mark = self._mark(token.start(group))
        return self._source.error(f"expected {' or '.join(expected)}, found {found}", mark)

    def _mark(self, offset: int) -> Mark:
        line = bisect_right(self._line_starts, offset)
        return Mark(line, offset - self._line_starts[line - 1] + 1)


_STRING_TAG = "tag:yaml.org,2002:str"


def parse_yaml(text: str, label: str) -> Node:
    """The tree of one YAML document, read without recursion.

    Raises DocumentError: DEC-DUP for duplicate keys; DEC-SYNTAX for what is not YAML and for what the profile refuses
    (further documents, tags but ``!!str``, merge keys, recursive aliases); LimitError for what is too large.
    """
    source = SyntaxSource("YAML", label)
    source.check_size(text)
    source.check_lines(text)
    reader = _YamlReader(text, source)
    for part in _parts(text, source):
        reader.take(part)
    return reader.finish()


class _YamlReader:
    """Puts the parts of one text into a tree, expands aliases and refuses what the profile excludes."""

    def __init__(self, text: str, source: SyntaxSource) -> None:
        self._text = text
        self._source = source
        self._tree = TreeBuilder(source, NODE_LIMIT)
        self._documents = 0
        self._line = 0
        self._anchored: dict[str, tuple[Node, int] | None] = {}
        self._open_anchors: list[str | None] = []

    def take(self, part: _Part) -> None:
        self._check_indentation(part)
        match part.type:
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

    def _begin_document(self, part: _Part) -> None:
        self._documents += 1
        if self._documents > 1:
            fix = "put every document in a separate file"
            raise self._source.error("a second document begins here", part.mark, fix=fix)

    def _take_scalar(self, part: _Part) -> None:
        if part.tag is not None and part.tag != _STRING_TAG:
            raise self._unknown_tag(part)
        quoted = not part.plain or part.tag is not None
        if part.text == "<<" and not quoted and self._tree.expects_key:
            raise self._source.error("merge keys (<<) are not supported", part.mark, fix="write the merged keys out")
        scalar = Scalar(self._unicode(part), Style.QUOTED if quoted else Style.PLAIN, quoted, part.mark)
        self._tree.add(scalar, part.mark)
        if part.anchor is not None:
            self._anchored[part.anchor] = scalar, 1

    def _take_alias(self, part: _Part) -> None:
        anchor = part.anchor or ""
        if anchor not in self._anchored:
            raise self._source.error(f"unknown alias *{anchor}", part.mark, fix=f"define it with &{anchor} further up")
        anchored = self._anchored[anchor]
        if anchored is None:
            raise self._source.error(f"alias *{anchor} contains itself", part.mark, fix="write the value out")
        node, size = anchored
        self._tree.add(node, part.mark, size)

    def _open(self, collection: type[Mapping | Sequence], part: _Part) -> None:
        if part.tag is not None:
            raise self._unknown_tag(part)
        self._tree.open(collection, part.mark)
        self._open_anchors.append(part.anchor)
        if part.anchor is not None:
            self._anchored[part.anchor] = None

    def _close(self) -> None:
        anchor = self._open_anchors.pop()
        closed = self._tree.close()
        if anchor is not None:
            self._anchored[anchor] = closed

    def _check_indentation(self, part: _Part) -> None:
        """Refuse a tab before the first thing of a line: ruamel.yaml allows it inside brackets."""
        if part.mark.line == self._line:
            return
        self._line = part.mark.line
        before = self._text[part.offset - part.mark.column + 1 : part.offset]
        if "\t" in before and before.isspace():
            raise self._source.error("a tab is used for indentation", part.mark, fix="indent with spaces")

    def _unicode(self, part: _Part) -> str:
        """Join the halves of characters that are escaped in pairs, as JSON does."""
        try:
            return part.text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError as error:
            message = "an escape stands for half a character"
            raise self._source.error(message, part.mark, fix="escape both halves") from error

    def _unknown_tag(self, part: _Part) -> DocumentError:
        fix = "leave the tag out; only !!str exists"
        return self._source.error(f"unsupported tag '{part.tag}'", part.mark, fix=fix)


_PartType = Literal["document", "scalar", "alias", "mapping", "sequence", "end"]

# by class name: naming the classes would import ruamel.yaml
_PART_TYPES: dict[str, _PartType] = {
    "DocumentStartEvent": "document",
    "ScalarEvent": "scalar",
    "AliasEvent": "alias",
    "MappingStartEvent": "mapping",
    "SequenceStartEvent": "sequence",
    "MappingEndEvent": "end",
    "SequenceEndEvent": "end",
}


class _Part(Struct, frozen=True, gc=False):
    """One event of ruamel.yaml: a scalar, an alias, or the beginning or end of a collection or a document.

    ``offset`` counts characters from the text's start; ``tag`` is the full tag if one is written; ``plain`` is a scalar
    without quotes that is not a block.
    """

    type: _PartType
    mark: Mark
    offset: int
    anchor: str | None = None
    tag: str | None = None
    text: str = ""
    plain: bool = False


def _parts(text: str, source: SyntaxSource) -> Iterator[_Part]:
    """The parts of a text, one by one. Raises DEC-SYNTAX with the place where reading stopped."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.reader import ReaderError

    from ergo_cli.core.yaml_scanning import LinearReader, LinearScanner, NestingError

    parser: Any = YAML(typ="safe", pure=True, plug_ins=[])
    parser.Reader, parser.Scanner = LinearReader, LinearScanner
    try:
        for event in parser.parse(text):
            part_type = _PART_TYPES.get(event.__class__.__name__)
            if part_type is not None:
                yield _part(part_type, event)
    except NestingError as error:
        raise _too_deep(error, source) from error
    except MarkedYAMLError as error:
        raise _marked_error(error, source) from error
    except ReaderError as error:
        raise _character_error(error, text, source) from error
    except (YAMLError, ValueError, OverflowError) as error:
        raise source.error("an escape or a directive that stands for nothing", Mark(1, 1)) from error


def _part(part_type: _PartType, event: Any) -> _Part:
    start = event.start_mark
    return _Part(
        part_type,
        _yaml_mark(start),
        start.index,
        anchor=getattr(event, "anchor", None),
        tag=getattr(event, "tag", None),
        text=getattr(event, "value", ""),
        plain=getattr(event, "style", None) is None,
    )


def _too_deep(error: Any, source: SyntaxSource) -> DocumentError:
    return source.limit(TOO_DEEP, _yaml_mark(error.problem_mark))


def _marked_error(error: Any, source: SyntaxSource) -> DocumentError:
    problem = str(error.problem)
    message = f"{error.context}: {problem}" if error.context else problem
    mark = _yaml_mark(error.problem_mark) if error.problem_mark is not None else Mark(1, 1)
    return source.error(message, mark, fix=_fix_of(problem))


def _character_error(error: Any, text: str, source: SyntaxSource) -> DocumentError:
    before = text[: error.position]
    mark = Mark(before.count("\n") + 1, error.position - before.rfind("\n"))
    return source.error(f"character U+{error.character:04X} is not allowed", mark, fix="remove it")


def _fix_of(problem: str) -> str | None:
    if "'\\t'" in problem:
        return "indent with spaces"
    if "cannot start any token" in problem or "mapping values are not allowed" in problem:
        return "put the value in quotes"
    return None


def _yaml_mark(mark: Any) -> Mark:
    return Mark(mark.line + 1, mark.column + 1)
