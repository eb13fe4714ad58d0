"""Identifiers, references, versions and words of a cluster document (spec 21 §5)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import TypeVar
from unicodedata import category

from ergo_cli.core.documents import Node, Scalar
from ergo_cli.core.reading import Fields, Reading, described, one_of, shown, type_error
from ergo_cli.core.scalars import ScalarError, ScalarValue, resolve
from ergo_cli.core.semver import Version, parse_selector

_E = TypeVar("_E", bound=Enum)

_FORBIDDEN = (".", "@", " ", "/", "\\", ":", "$")
_FORBIDDEN_IN_PORTS = (".", " ")
_USUAL = re.compile(r"[A-Za-z0-9_-]+")
_PADDABLE = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def identifier(reading: Reading, text: str, what: str, at: Node, path: str) -> str:
    """A name that the author introduces; warns of unusual characters. Raises DEC-IDENT."""
    check_identifier(reading, text, what, at, path)
    if not _USUAL.fullmatch(text):
        reading.notice(f"{what} '{shown(text)}' has characters other than letters, digits, '-' and '_'", at, path)
    return text


def check_identifier(reading: Reading, text: str, what: str, at: Node, path: str) -> str:
    """A name that has been introduced elsewhere. Raises DEC-IDENT (spec 21 §5.1)."""
    return _check(reading, text, what, identifier_fault(text), at, path)


def check_port(reading: Reading, text: str, what: str, at: Node, path: str) -> str:
    """The port of an edge or output: it may hold more than an identifier. Raises DEC-IDENT."""
    return _check(reading, text, what, _fault(text, _FORBIDDEN_IN_PORTS), at, path)


def identifier_fault(text: str) -> str | None:
    """What keeps a text from being an identifier (``must not contain '.'``), or None."""
    return _fault(text, _FORBIDDEN)


def _check(reading: Reading, text: str, what: str, fault: str | None, at: Node, path: str) -> str:
    if fault is None:
        return text
    fix = "use letters, digits, '-' and '_'"
    raise reading.error("DEC-IDENT", f"{what} {fault}, got '{shown(text)}'", at, path, fix)


def _fault(text: str, forbidden: tuple[str, ...]) -> str | None:
    if not text:
        return "must not be empty"
    for character in forbidden:
        if character in text:
            return "must not contain spaces" if character == " " else f"must not contain '{character}'"
    if any(category(character) == "Cc" for character in text):
        return "must not contain control characters"
    return None


def reference(reading: Reading, text: str, noun: str, at: Node, path: str) -> tuple[str, str]:
    """Id and selector of ``id@selector``: an exact version in canonical form, a requirement as written.

    ``noun`` is ``impl`` or ``cluster``. Raises DEC-REF, DEC-IDENT, DEC-SELECTOR (spec 21 §5.2).
    """
    name, _, selector = text.rpartition("@")
    if not name or not selector:
        message = f"invalid {noun} reference '{shown(text)}': expected 'id@version'"
        raise reading.error("DEC-REF", message, at, path, fix="write id@version, such as add@0.1.0")
    check_identifier(reading, name, f"{noun} id", at, path)
    try:
        return name, str(parse_selector(selector))
    except ValueError as error:
        message = f"invalid {noun} version selector '{shown(selector)}': expected strict semver or semver constraint"
        fix = "write a version such as 0.1.0 or a constraint such as ^0.1 or >=1.2, <2"
        raise reading.error("DEC-SELECTOR", message, at, path, fix) from error


def document_version(reading: Reading, fields: Fields) -> str:
    """The version of the document in canonical form; an unquoted number is padded and warned of (spec 21 §5.3).

    Raises DEC-MISSING, DEC-TYPE, DEC-VERSION.
    """
    node = fields.node("version")
    if not isinstance(node, Scalar):
        raise type_error(reading, node, "version", "a version string")
    text = _version_text(reading, node)
    try:
        return str(Version.parse(text))
    except ValueError as error:
        message = f"invalid cluster version {described(node)}: {error}"
        raise reading.error("DEC-VERSION", message, node, "version", _version_fix(text)) from error


def _version_text(reading: Reading, node: Scalar) -> str:
    value = _resolved(node)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return node.text
    padded = _padded(repr(value))
    message = f"version {shown(node.text)} is a number and is read as {padded}; write it in quotes"
    reading.notice(message, node, "version")
    return padded


def _resolved(node: Scalar) -> ScalarValue:
    try:
        return resolve(node)
    except ScalarError:
        return node.text


def _padded(text: str) -> str:
    return text + ".0" * (2 - text.count(".")) if _PADDABLE.fullmatch(text) else text


def _version_fix(text: str) -> str:
    return f'write it as "{_padded(text) if _PADDABLE.fullmatch(text) else "1.0.0"}"'


def word(reading: Reading, fields: Fields, name: str, words: Mapping[str, _E], what: str) -> _E:
    """The meaning of a word that is spelt in any case. Raises DEC-MISSING, DEC-TYPE, DEC-ENUM."""
    text = fields.text(name)
    meaning = words.get(text.lower())
    if meaning is None:
        raise one_of(reading, text, words, what, fields.node(name), fields.path_of(name))
    return meaning
