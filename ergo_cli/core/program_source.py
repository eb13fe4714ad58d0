"""One text of a program, as stores and v4 bundles keep it (spec 00 §5, §12.6)."""

from __future__ import annotations

import hashlib

from msgspec import Struct


class ProgramSource(Struct, frozen=True, forbid_unknown_fields=True):
    """``path`` is a name, not a place; ``sha256`` is hex over the UTF-8 text."""

    path: str
    sha256: str
    text: str

    @classmethod
    def of(cls, path: str, text: str) -> ProgramSource:
        """The text with its digest."""
        return cls(path, sha256_hex(text), text)

    @property
    def is_intact(self) -> bool:
        """Whether the digest is that of the text."""
        return self.sha256 == sha256_hex(self.text)


def sha256_hex(text: str) -> str:
    """The SHA-256 of the UTF-8 text in lower-case hex."""
    return hashlib.sha256(text.encode()).hexdigest()
