"""One part of a selection of bundles that is divided among machines."""

from __future__ import annotations

from typing import NamedTuple


class Shard(NamedTuple):
    """Shard ``number`` of ``total``, counted from 1."""

    number: int
    total: int

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"
