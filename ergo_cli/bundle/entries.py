"""Entries of ``journals`` and ``artifacts`` as a v4 bundle has them (spec 00 §13.4)."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable
from hashlib import sha256

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from ergo_cli.core.canonical import NotCanonicalError, free_text
from ergo_cli.core.json import JsonError, decode

_encode = msgspec.json.Encoder().encode


class JournalEntry(Struct, frozen=True):
    """The records of one episode, compact JSON each, frames included; ``episode_id`` is None for what a close did."""

    episode_id: int | None
    run_id: str
    records: tuple[bytes, ...]

    def encode(self) -> bytes:
        """The entry with its digest, as compact JSON."""
        records = [Raw(record) for record in self.records]
        return _encode(WireEntry(self.episode_id, self.run_id, records, entry_digest(self.records)))


class WireEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """An entry as it stands in the text."""

    episode_id: int | None
    run_id: str
    records: list[Raw]
    sha256: str


class _WireArtifact(Struct, frozen=True, forbid_unknown_fields=True):
    """Exactly one of the two."""

    json: Raw | UnsetType = UNSET
    base64: str | UnsetType = UNSET


def entry_digest(records: Iterable[bytes]) -> str:
    """Lower-case hex SHA-256 over the compact text of every record, each followed by a line feed."""
    return sha256(b"".join(record + b"\n" for record in records)).hexdigest()


def artifact_text(data: bytes) -> bytes:
    """The value of an artifact: ``{"json":…}`` where canonical JSON gives these bytes again, else ``{"base64":…}``."""
    if _is_canonical(data):
        return _encode(_WireArtifact(json=Raw(data)))
    return _encode(_WireArtifact(base64=b64encode(data).decode()))


def artifact_bytes(text: bytes) -> bytes:
    """The bytes of an artifact. Raises ValueError where ``text`` is no value that ``artifact_text`` writes."""
    wire = msgspec.json.decode(text, type=_WireArtifact)
    match wire.json, wire.base64:
        case Raw() as value, UnsetType():
            return free_text(decode(bytes(value)))
        case UnsetType(), str(coded):
            return b64decode(coded, validate=True)
        case _:
            raise ValueError("an artifact has exactly one of json, base64")


def _is_canonical(data: bytes) -> bool:
    try:
        return free_text(decode(data)) == data
    except (JsonError, NotCanonicalError):
        return False
