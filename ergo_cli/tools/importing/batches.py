"""Rows on their way from a source to events: several at a time, each with its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

from ergo_cli.core.json import JsonValue

Row = Mapping[str, JsonValue]
"""The values of a row by their columns."""

TOGETHER = 1024
"""How many rows are in memory at once."""


class Batch(Struct, frozen=True, gc=False):
    """Rows that were read together; ``place`` tells where the one of an index stands."""

    rows: list[Row]
    place: Callable[[int], str]
