"""Read the typed members of an authored document, with place and path in every error.

``Fields`` reads one mapping, raises the first fault and warns of members it was not asked for; ``Reading`` is shared by
all the fields of one document and gathers the notices and, through ``attempt``, as many faults as there are. Plain
scalars mean what YAML 1.2 says, or JSON in a JSON text (spec 21 §3).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from math import isfinite
from typing import TypeVar

from ergo_cli.core.diagnostics import Notice, did_you_mean, nearest
from ergo_cli.core.documents import Mapping, Mark, Node, Scalar, Sequence, Style
from ergo_cli.core.json import JsonValue
from ergo_cli.core.numbers import I64_MAX, I64_MIN, U64_MAX
from ergo_cli.errors import DocumentError, headline

_T = TypeVar("_T")

STRUCTURAL_CODES = frozenset({"DEC-SYNTAX", "DEC-MISSING", "DEC-TYPE", "DEC-DUP"})
"""Faults of a document's shape; all other codes are faults of what it says."""

_SHOWN = 60


class Reading:
    """The notices and faults of reading one document.

    ``shape`` and ``content`` begin the messages of structural and of other errors, such as ``parse YAML 'a.yaml': ``.
    """

    def __init__(self, label: str, *, shape: str = "", content: str = "") -> None:
        self.label = label
        self.notices: list[Notice] = []
        self.errors: list[DocumentError] = []
        self._shape = shape
        self._content = content

    def place(self, at: Node | Mark) -> str:
        """``label:line:column`` of a node."""
        mark = at if isinstance(at, Mark) else at.mark
        return f"{self.label}:{mark.line}:{mark.column}"

    def error(self, code: str, message: str, at: Node | Mark, path: str = "", fix: str | None = None) -> DocumentError:
        """An error at a node, to be raised; ``where`` is its place and, after a blank, its path."""
        heading = self._shape if code in STRUCTURAL_CODES else self._content
        return DocumentError(code, heading + message, where=self._where(at, path), fix=fix)

    def notice(self, message: str, at: Node | Mark, path: str = "") -> None:
        """Keep a warning about a node."""
        self.notices.append(Notice(message, self._where(at, path)))

    def attempt(self, read: Callable[[], _T]) -> _T | None:
        """What ``read`` returns, or None once its DocumentError has been kept for ``close``."""
        try:
            return read()
        except DocumentError as error:
            self.errors.append(error)
            return None

    def close(self) -> None:
        """Raise the first error kept, structural ones first, with the others in its ``causes``."""
        if self.errors:
            raise headline(sorted(self.errors, key=lambda error: error.code not in STRUCTURAL_CODES))

    def _where(self, at: Node | Mark, path: str) -> str:
        return f"{self.place(at)} {path}".rstrip()


class Fields:
    """One mapping of a document, read member by member; ``finish`` warns of members that were never asked for."""

    def __init__(self, node: Node, reading: Reading, path: str = "") -> None:
        """Raise DEC-TYPE unless the node is a mapping; an empty YAML value counts as the empty mapping."""
        if isinstance(node, Scalar) and node.is_empty:
            node = Mapping((), node.mark)
        if not isinstance(node, Mapping):
            raise type_error(reading, node, path, "a mapping")
        self.at = node
        self.path = path
        self._reading = reading
        self._nodes = {key.text: (key, value) for key, value in node.entries}
        self._asked: dict[str, None] = {}

    def __contains__(self, name: str) -> bool:
        """Whether the member is written, be it null."""
        self._asked[name] = None
        return name in self._nodes

    def path_of(self, name: str) -> str:
        """The path of a member: ``inputs[0].type``."""
        return f"{self.path}.{name}" if self.path else name

    def node(self, name: str) -> Node:
        """The member, whatever it is. Raises DEC-MISSING."""
        if name not in self:
            raise self._missing(name)
        return self._nodes[name][1]

    def optional_node(self, name: str) -> Node | None:
        """The member, or None if it is absent or null."""
        if name not in self:
            return None
        node = self._nodes[name][1]
        return None if is_null(node) else node

    def text(self, name: str) -> str:
        """The raw text of a scalar: ``id: 5`` is ``"5"`` in YAML; JSON has to write a string. Raises DEC-TYPE."""
        return raw_text(self._reading, self.node(name), self.path_of(name))

    def optional_text(self, name: str) -> str | None:
        """Like ``text``; None if absent or null."""
        node = self.optional_node(name)
        return None if node is None else raw_text(self._reading, node, self.path_of(name))

    def string(self, name: str) -> str:
        """A member that resolves to a string: an unquoted ``5`` is refused. Raises DEC-MISSING, DEC-TYPE."""
        return string(self._reading, self.node(name), self.path_of(name))

    def optional_string(self, name: str) -> str | None:
        """Like ``string``; None if absent or null."""
        node = self.optional_node(name)
        return None if node is None else string(self._reading, node, self.path_of(name))

    def boolean(self, name: str) -> bool:
        """A member that resolves to a bool. Raises DEC-MISSING, DEC-TYPE."""
        return boolean(self._reading, self.node(name), self.path_of(name))

    def optional_boolean(self, name: str) -> bool | None:
        """Like ``boolean``; None if absent or null."""
        node = self.optional_node(name)
        return None if node is None else boolean(self._reading, node, self.path_of(name))

    def scalar(self, name: str) -> ScalarValue:
        """The resolved value of a scalar. Raises DEC-MISSING, DEC-TYPE."""
        return scalar_value(self._reading, self.node(name), self.path_of(name))

    def sequence(self, name: str) -> tuple[Node, ...]:
        """The items of a sequence; an empty YAML value is the empty sequence. Raises DEC-MISSING, DEC-TYPE."""
        node = self.node(name)
        if isinstance(node, Scalar) and node.is_empty:
            return ()
        if not isinstance(node, Sequence):
            raise type_error(self._reading, node, self.path_of(name), "a sequence")
        return node.items

    def sequence_or_empty(self, name: str) -> tuple[Node, ...]:
        """Like ``sequence``; ``()`` if absent. A written null is refused."""
        return self.sequence(name) if name in self else ()

    def fields(self, name: str) -> Fields:
        """A mapping. Raises DEC-MISSING, DEC-TYPE."""
        return Fields(self.node(name), self._reading, self.path_of(name))

    def optional_fields(self, name: str) -> Fields | None:
        """A mapping; None if absent or null."""
        node = self.optional_node(name)
        return None if node is None else Fields(node, self._reading, self.path_of(name))

    def fields_each(self, name: str) -> tuple[Fields, ...]:
        """The mappings of a sequence. Raises DEC-MISSING, DEC-TYPE."""
        path = self.path_of(name)
        return tuple(Fields(item, self._reading, f"{path}[{index}]") for index, item in enumerate(self.sequence(name)))

    def entries(self) -> tuple[tuple[Scalar, Node], ...]:
        """All members in authored order, for a mapping whose keys are names; none of them is unknown."""
        self._asked.update(dict.fromkeys(self._nodes))
        return self.at.entries

    def finish(self) -> None:
        """Warn of every member that was not asked for, suggesting the nearest that was."""
        for name, (key, _) in self._nodes.items():
            if name not in self._asked:
                hint = did_you_mean(name, self._asked.keys() - self._nodes.keys())
                message = f"unknown key '{shown(name)}' is ignored" + (f"; {hint}" if hint else "")
                self._reading.notice(message, key, self.path_of(shown(name)))

    def _missing(self, name: str) -> DocumentError:
        misspelt = nearest(name, self._nodes.keys() - self._asked.keys())
        fix = f"rename '{misspelt}' to '{name}'" if misspelt else f"add the key '{name}'"
        return self._reading.error("DEC-MISSING", f"missing field `{name}`", self.at, self.path, fix)


def is_null(node: Node) -> bool:
    """Whether a node is an unquoted null or an empty value."""
    return isinstance(node, Scalar) and not node.quoted and node.text in ("", "~", "null", "Null", "NULL")


def raw_text(reading: Reading, node: Node, path: str) -> str:
    """The text of any YAML scalar or of a JSON string. Raises DEC-TYPE."""
    if not isinstance(node, Scalar) or (node.style is Style.JSON and not node.quoted):
        raise type_error(reading, node, path, "a string")
    return node.text


def string(reading: Reading, node: Node, path: str) -> str:
    """The string that a scalar resolves to. Raises DEC-TYPE, saying to quote it where that is all it lacks."""
    value = scalar_value(reading, node, path)
    if isinstance(value, str):
        return value
    raise type_error(reading, node, path, "a string", fix="put it in quotes")


def boolean(reading: Reading, node: Node, path: str) -> bool:
    """The bool that a scalar resolves to. Raises DEC-TYPE."""
    value = scalar_value(reading, node, path)
    if isinstance(value, bool):
        return value
    raise type_error(reading, node, path, "a boolean", fix="write true or false")


def scalar_value(reading: Reading, node: Node, path: str) -> ScalarValue:
    """The value that a scalar resolves to. Raises DEC-TYPE for other nodes and for numbers no value can hold."""
    if not isinstance(node, Scalar):
        raise type_error(reading, node, path, "a scalar")
    try:
        return resolve(node)
    except ScalarError as error:
        raise reading.error("DEC-TYPE", f"invalid type: {error}", node, path, fix="put it in quotes") from error


def type_error(reading: Reading, node: Node, path: str, expected: str, fix: str | None = None) -> DocumentError:
    """The DEC-TYPE error that says what was found and what was expected."""
    message = f"invalid type: expected {expected}, got {described(node)}"
    return reading.error("DEC-TYPE", message, node, path, fix or f"write {expected} here")


def one_of(reading: Reading, word: str, words: Iterable[str], what: str, at: Node, path: str) -> DocumentError:
    """The DEC-ENUM error of an unknown word: ``unknown <what> 'x'``, with the words there are."""
    known = list(words)
    fix = did_you_mean(word, known) or f"write one of {', '.join(known)}"
    return reading.error("DEC-ENUM", f"unknown {what} '{shown(word)}'", at, path, fix)


def described(node: Node) -> str:
    """A node in a few words: ``a mapping``, ``null``, ``'5'``."""
    match node:
        case Mapping():
            return "a mapping"
        case Sequence():
            return "a sequence"
        case Scalar():
            if is_out_of_range(node):
                return f"'{shown(node.text)}', a number out of range"
            return "null" if is_null(node) else f"'{shown(node.text)}'"


def is_out_of_range(node: Node) -> bool:
    """Whether a plain YAML scalar is a number that no double can hold (``1e400``); it resolves to a string."""
    return isinstance(node, Scalar) and node.style is Style.PLAIN and is_number_out_of_range(node.text)


def is_number_out_of_range(text: str) -> bool:
    """Whether a text is written as a decimal number, with fraction or exponent, that no double can hold."""
    is_decimal = _DECIMAL.fullmatch(text) is not None and not _INTEGER.fullmatch(text)
    return is_decimal and not isfinite(float(text))


def shown(text: str) -> str:
    """A text short enough for a message."""
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


ScalarValue = None | bool | int | float | str
"""A resolved scalar: ints lie within 64 signed bits, floats are finite."""

_INTEGER = re.compile(r"[+-]?(?:0|[1-9][0-9]*)")
_LEADING_ZERO = re.compile(r"[+-]?0[0-9]+")
_RADIX = re.compile(r"([+-]?)0(?:x([0-9a-fA-F]+)|o([0-7]+)|b([01]+))")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[+-]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_LONGEST_INTEGER = 21
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


class ScalarError(ValueError):
    """A scalar that stands for a number which no value can hold; ``mark`` is its place."""

    def __init__(self, message: str, mark: Mark) -> None:
        super().__init__(message)
        self.mark = mark


def resolve(scalar: Scalar) -> ScalarValue:
    """The value of a scalar by the table of spec 21 §3; JSON literals by JSON's rules.

    Raises ScalarError for an integer beyond 64 bits and for a number that is infinite or not a number.
    """
    if scalar.quoted:
        return scalar.text
    if scalar.text in _WORDS:
        return _WORDS[scalar.text]
    if scalar.style is Style.JSON:
        return _json_number(scalar)
    return _plain(scalar)


def to_value(node: Node) -> JsonValue:
    """The plain JSON value of a whole tree; unlike parameters, integers up to 2**64-1 stay integers (spec 10 §15).

    Raises ScalarError where ``resolve`` does, and for any other number out of range.
    """
    match node:
        case Scalar():
            if is_out_of_range(node):
                raise ScalarError(f"number out of range: {shown(node.text)}", node.mark)
            value = resolve(node)
            return _unsigned(node.text, value) if isinstance(value, float) else value
        case Sequence():
            return [to_value(item) for item in node.items]
        case Mapping():
            return {key.text: to_value(value) for key, value in node.entries}


def _unsigned(text: str, value: float) -> int | float:
    if value >= 0 and len(text) < _LONGEST_INTEGER and _INTEGER.fullmatch(text) and int(text) <= U64_MAX:
        return int(text)
    return value


def _plain(scalar: Scalar) -> int | float | str:
    text = scalar.text
    if _INTEGER.fullmatch(text):
        return _integer(scalar, int(text)) if len(text) <= _LONGEST_INTEGER else _too_large(scalar)
    if _LEADING_ZERO.fullmatch(text):
        return text
    if match := _RADIX.fullmatch(text):
        return _integer(scalar, _radix_integer(match))
    if _DECIMAL.fullmatch(text):
        number = float(text)
        return number if isfinite(number) else text
    if _NOT_FINITE.fullmatch(text):
        raise ScalarError(f"'{text}' is not a finite number", scalar.mark)
    return text


def _radix_integer(match: re.Match[str]) -> int:
    sign, hexadecimal, octal, binary = match.groups()
    magnitude = int(hexadecimal or octal or binary, 16 if hexadecimal else 8 if octal else 2)
    return -magnitude if sign == "-" else magnitude


def _integer(scalar: Scalar, number: int) -> int | float:
    if I64_MIN <= number <= I64_MAX:
        return number
    if 0 < number <= U64_MAX:
        return float(number)
    return _too_large(scalar)


def _too_large(scalar: Scalar) -> int:
    raise ScalarError(f"integer '{scalar.text[:40]}' does not fit 64 bits", scalar.mark)


def _json_number(scalar: Scalar) -> int | float:
    text = scalar.text
    if len(text) < _LONGEST_INTEGER and _INTEGER.fullmatch(text) and I64_MIN <= int(text) <= I64_MAX:
        return int(text)
    number = float(text)
    if not isfinite(number):
        raise ScalarError(f"number out of range: {text[:40]}", scalar.mark)
    return number
