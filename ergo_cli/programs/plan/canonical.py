"""Canonical JSON of plan records: the common writer behind two guards, against secrets and floats (spec 50 §4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import cast

import msgspec

from ergo_cli.core.json import NotCanonicalError, free_text
from ergo_cli.core.wire import FreeValue
from ergo_cli.programs.plan.secrets import find_secret, may_hold_secret
from ergo_cli.stores.artifacts import artifact_id


class SecretsNotAllowed(ValueError):
    """A value holds what looks like a secret; ``place`` is the JSON pointer of it."""

    def __init__(self, place: str) -> None:
        super().__init__(f"it holds what looks like a secret at '{place or '/'}'")
        self.place = place


class FloatNotAllowed(NotCanonicalError):
    """A value holds a number that is not an integer of 64 bits; ``place`` is the JSON pointer of it."""


def refusal(error: SecretsNotAllowed | NotCanonicalError) -> str:
    """Why a value is refused, with the JSON pointer of the place and never what stands there (B-14)."""
    return str(error) if isinstance(error, SecretsNotAllowed) else f"{error} at '{error.place or '/'}'"


def canonical_json(value: object, allowed: Set[str] = frozenset()) -> bytes:
    """The canonical text of a value, which is what is hashed and stored.

    Raises NotCanonicalError for what JSON cannot hold, SecretsNotAllowed, then FloatNotAllowed for a float or an
    integer beyond 64 bits.
    """
    value = plain(value)
    try:
        text = free_text(value)
    except NotCanonicalError:
        text = None  # a secret is reported first
    secret = find_secret(value, allowed) if text is None or may_hold_secret(text) else None
    if secret is not None:
        raise SecretsNotAllowed(secret)
    _refuse_floats(value)
    return free_text(value) if text is None else text


def plain(value: object) -> FreeValue:
    """The plain JSON of a value that msgspec writes as JSON: a set becomes a sorted array, a struct an object.

    Raises NotCanonicalError for any other value.
    """
    try:
        return msgspec.to_builtins(value, str_keys=True, order="deterministic")
    except (TypeError, ValueError, RecursionError) as error:
        free_text(value)  # names the place, if it has one
        raise NotCanonicalError(str(error), "") from error


def canonical_line(value: object) -> bytes:
    """As ``canonical_json`` of plain JSON, without the guard against secrets: for what was guarded before."""
    _refuse_floats(value)
    return free_text(value)


def _refuse_floats(value: object) -> None:
    place = next(_floats(value, ""), None)
    if place is not None:
        raise FloatNotAllowed("a number that is not an integer of 64 bits", place)


def json_artifact_id(value: object) -> str:
    """The id of a value's canonical text. Raises as ``canonical_json``."""
    return artifact_id(canonical_json(value))


def _floats(value: object, place: str) -> Iterator[str]:
    match value:
        case float():
            yield place
        case int():
            if not -(2**63) <= value < 2**64:
                yield place
        case str():
            pass
        case Mapping():
            for name, member in cast("Mapping[str, object]", value).items():
                yield from _floats(member, f"{place}/{name.replace('~', '~0').replace('/', '~1')}")
        case Sequence() if not isinstance(value, bytes | bytearray):
            for index, item in enumerate(cast("Sequence[object]", value)):
                yield from _floats(item, f"{place}/{index}")
        case _:
            pass
