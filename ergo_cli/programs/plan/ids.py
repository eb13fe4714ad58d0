"""Identifiers of plan runs: segments joined by dots, UUIDs, digests (spec 50 §3)."""

from __future__ import annotations

import re
from hashlib import sha1
from itertools import pairwise
from typing import Annotated, Self

from msgspec import Meta

from ergo_cli.core.wire import FreeValue, WireForm

_SEGMENT = r"[a-z][a-z0-9_]{0,62}"
_segment = re.compile(_SEGMENT)
_op_path = re.compile(rf"{_SEGMENT}\.{_SEGMENT}")
_state_id = re.compile(rf"{_SEGMENT}(?:\.{_SEGMENT}){{2}}")
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_uuid = re.compile(rf"(?:urn:uuid:)?{_UUID}|\{{{_UUID}\}}|[0-9a-f]{{32}}", re.IGNORECASE | re.ASCII)

OpId = Annotated[str, Meta(pattern=rf"^{_SEGMENT}\Z")]
"""One segment: 1 to 63 of ``a``–``z``, ``0``–``9``, ``_``, the first a letter."""

StateId = Annotated[str, Meta(pattern=rf"^{_SEGMENT}(\.{_SEGMENT}){{2}}\Z")]
"""``<machine>.<step>.<state>``."""

ArtifactId = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
"""The SHA-256 of an artifact's bytes."""

ErrorCode = Annotated[str, Meta(pattern=rf"^{_SEGMENT}\Z")]
"""The code inside a recorded error: a segment."""

Attempt = Annotated[int, Meta(ge=0, le=2**32 - 1)]
"""The number of an attempt, from 0."""

MAX_ATTEMPT = 2**32 - 1

_NAMESPACE_DNS = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
_NOT_HEX = str.maketrans("", "", "-{}")


class IdError(ValueError):
    """A text is not the identifier that it should be."""


class RunId(str, WireForm):
    """A run: a UUID in lower case with hyphens. Other spellings are normalised when they are read."""

    __slots__ = ()

    def to_wire(self) -> FreeValue:
        """The text."""
        return str(self)

    @classmethod
    def from_wire(cls, value: FreeValue) -> Self:
        """The run that a UUID in any of the usual spellings names. Raises ValueError."""
        if not isinstance(value, str) or _uuid.fullmatch(value) is None:
            raise ValueError(f"expected a UUID, got {value!r}")
        return cls.of(bytes.fromhex(value.removeprefix("urn:uuid:").translate(_NOT_HEX)))

    @classmethod
    def of(cls, data: bytes) -> Self:
        """The run of a UUID's 16 bytes."""
        digits = data.hex()
        return cls("-".join(digits[start:end] for start, end in pairwise((0, 8, 12, 16, 20, 32))))

    @classmethod
    def random(cls, data: bytes) -> Self:
        """The run of a UUID v4 made of 16 random bytes."""
        return cls.of(_stamped(data, 4))


def is_run_id(text: str) -> bool:
    """Whether ``text`` is a run's id as streams spell it."""
    return _uuid.fullmatch(text) is not None and RunId.from_wire(text) == text


def is_segment(text: str) -> bool:
    """Whether ``text`` is one segment."""
    return _segment.fullmatch(text) is not None


def is_op_path(text: str) -> bool:
    """Whether ``text`` is ``<machine>.<step>``."""
    return _op_path.fullmatch(text) is not None


def is_state_id(text: str) -> bool:
    """Whether ``text`` is ``<machine>.<step>.<state>``."""
    return _state_id.fullmatch(text) is not None


def op_id(text: str) -> str:
    """``text`` if it is an operation's id. Raises IdError."""
    if not is_segment(text):
        raise IdError(f"invalid op_id: {text}")
    return text


def state_id(text: str) -> str:
    """``text`` if it is a state's id. Raises IdError."""
    if not is_state_id(text):
        raise IdError(f"invalid state_id: {text}")
    return text


def run_of_event(graph_id: str, event_id: str) -> RunId:
    """The run of an event: a UUID v5 under the one of its plan (spec 50 §21)."""
    return _derived(_derived(_NAMESPACE_DNS, f"ergo.plan.{graph_id}"), event_id)


def child_run(parent: str, fact_key: str) -> RunId:
    """The run of a child: a UUID v5 of its parent's run and the fact key of the spawning call (spec 50 §17)."""
    return _derived(parent, fact_key)


def _derived(namespace: str, name: str) -> RunId:
    """The UUID v5 of a name: the beginning of the SHA-1 of its namespace and itself (RFC 9562)."""
    return RunId.of(_stamped(sha1(bytes.fromhex(namespace.replace("-", "")) + name.encode()).digest()[:16], 5))


def _stamped(data: bytes, version: int) -> bytes:
    """16 bytes with the version and the variant of a UUID."""
    return bytes((*data[:6], data[6] & 0x0F | version << 4, data[7], data[8] & 0x3F | 0x80, *data[9:]))
