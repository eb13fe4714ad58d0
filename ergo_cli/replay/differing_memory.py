"""Which members of the context two bundles read with other values, and since which event they do (spec 10 §13)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from ergo_cli.bundle.schema import DecisionRecord
from ergo_cli.core.json import JsonValue, canonical
from ergo_cli.replay.joining import Key
from ergo_cli.replay.results import MemorySince
from ergo_cli.replay.traced_episodes import writes_of

_ABSENT = b""
"""The text of a member that a payload does not have."""


class _Member(Struct):
    """A member of the context since an event: what either side wrote last, None where that is not known.

    ``name`` is its key as the text of a decision has it.
    """

    since: Key
    name: bytes
    here: bytes | None = None
    there: bytes | None = None


class DifferingMemory:
    """Follows what the decisions of two streams write, from the first key on that they write differently."""

    def __init__(self) -> None:
        self._members: dict[str, _Member] = {}

    @property
    def differs(self) -> bool:
        """Whether any member does."""
        return bool(self._members)

    def may_be_written(self, decision: bytes | None) -> bool:
        """Whether a decision that is equal on both sides may write a member that differs, by its text."""
        return decision is not None and any(member.name in decision for member in self._members.values())

    def note(self, at: Key, here: DecisionRecord | None, there: DecisionRecord | None) -> None:
        """Take over what both decisions for an event write; None on the side that lacks it."""
        writes = _texts(here), _texts(there)
        for key in dict.fromkeys((*writes[0], *writes[1])):
            member = self._members.get(key) or _Member(at, canonical(key))
            member.here = writes[0].get(key, member.here)
            member.there = writes[1].get(key, member.there)
            if member.here == member.there:
                self._members.pop(key, None)
            else:
                self._members[key] = member

    def read(self, here: JsonValue, there: JsonValue) -> Iterator[MemorySince]:
        """The members that both payloads have from memory, with other values."""
        if not self._members or not isinstance(here, dict) or not isinstance(there, dict):
            return
        for key, member in self._members.items():
            sides = _member(here, key), _member(there, key)
            is_written = all(map(_may_be, sides, (member.here, member.there)))
            if sides[0] != sides[1] and is_written:
                yield MemorySince(key, *member.since)


def _texts(record: DecisionRecord | None) -> dict[str, bytes]:
    writes = {} if record is None else writes_of(effect.text for effect in record.effects)
    return {key: canonical(value.native) for key, value in writes.items()}


def _may_be(read: bytes, written: bytes | None) -> bool:
    return written is None or read == written


def _member(payload: Mapping[str, JsonValue], key: str) -> bytes:
    return canonical(payload[key]) if key in payload else _ABSENT
