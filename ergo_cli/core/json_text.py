"""Reads authored JSON texts strictly, keeping the place of every node (RFC 8259, spec 10 §3.2)."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from math import isfinite

from ergo_cli.core.documents import Mapping, Mark, Node, Scalar, Sequence, Style
from ergo_cli.core.trees import SyntaxSource, TreeBuilder
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
_NAMES = {"string": "a string", "end": "the end of the text"}


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
    """Steps from token to token; ``_expected`` are the kinds of token that may come next."""

    def __init__(self, text: str, source: SyntaxSource) -> None:
        self._text = text
        self._source = source
        self._tree = TreeBuilder(source)
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._expected = _VALUE

    def read(self) -> Node | None:
        offset, kind = 0, ""
        while kind != "end":
            token = self._token(offset)
            kind = self._kind(token)
            if kind not in self._expected:
                raise self._unexpected(token)
            self._expected = self._take(kind, token)
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
        return self._source.error(f"unexpected {character!r}", mark)

    def _kind(self, token: re.Match[str]) -> str:
        group = token.lastgroup or ""
        return token[group] if group == "sign" else group

    def _take(self, kind: str, token: re.Match[str]) -> frozenset[str]:
        """Put one token into the tree: the kinds that may follow it."""
        mark = self._mark(token.start(token.lastgroup or 0))
        match kind:
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
                self._tree.add(self._scalar(kind, token[kind], mark), mark)
                if is_key:
                    return _COLON
        return self._after_value()

    def _after_value(self) -> frozenset[str]:
        if not self._tree.depth:
            return _END
        return frozenset({",", "}" if self._tree.in_mapping else "]"})

    def _scalar(self, kind: str, text: str, mark: Mark) -> Scalar:
        if kind == "string":
            return Scalar(self._string(text, mark), Style.JSON, True, mark)
        if kind == "number" and not isfinite(float(text)):
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
        found = _NAMES["end"] if group == "end" else f"'{token[group][:40]}'"
        names = sorted(_NAMES.get(kind, f"'{kind}'") for kind in self._expected)
        expected = ["a value"] if self._expected >= _VALUE else names
        mark = self._mark(token.start(group))
        return self._source.error(f"expected {' or '.join(expected)}, found {found}", mark)

    def _mark(self, offset: int) -> Mark:
        line = bisect_right(self._line_starts, offset)
        return Mark(line, offset - self._line_starts[line - 1] + 1)
