"""A replay divided among several machines: each takes the bundles of one shard, and all shards together take each once.

The shard of a bundle depends on the name of its file alone, so that it stays the same when other bundles come and go,
and wherever the folder lies.
"""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

if TYPE_CHECKING:
    from ergo_cli.core.shard import Shard
    from ergo_cli.replay.selection import BundlePath, Refusal, Selection


class ShardSelection(Struct, frozen=True):
    """What one shard takes of a selection.

    ``places`` are the places of its bundles, then of its refusals, among ``every``: the paths of the bundles and the
    refusals of the whole selection.
    """

    selection: Selection
    places: tuple[int, ...]
    every: tuple[str, ...]


def of_shard(selection: Selection, shard: Shard) -> ShardSelection:
    """The bundles and the refusals of a selection that are of one shard; its notices and places stay."""
    every: list[BundlePath | Refusal] = [*selection.bundles, *selection.refusals]
    places = tuple(place for place, each in enumerate(every) if _holds(shard, each.path))
    bundles = tuple(each for each in selection.bundles if _holds(shard, each.path))
    refusals = tuple(each for each in selection.refusals if _holds(shard, each.path))
    return ShardSelection(
        replace(selection, bundles=bundles, refusals=refusals), places, tuple(each.path for each in every)
    )


def _holds(shard: Shard, path: str) -> bool:
    """Whether the bundle at ``path`` is of this shard: by the SHA-256 of the name of its file, modulo their number."""
    name = os.path.basename(os.path.normpath(path))
    return int.from_bytes(sha256(os.fsencode(name)).digest()) % shard.total == shard.number - 1
