"""What a check is given and what it finds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from ergo_cli.core.notices import Notice
from ergo_cli.errors import ErgoError
from ergo_cli.events.adapter import Adapter

_STAGES = ("graph.load_failed", "graph.prepare_failed", "adapter.setup_failed")


class Surroundings(Struct, frozen=True):
    """What files are checked against: an adapter, if one is given; folders of clusters; the project, if it is named."""

    adapter: Adapter | None = None
    cluster_paths: tuple[Path, ...] = ()
    project: Path | None = None


class Checked(Struct, frozen=True):
    """What a check found; ``id`` is what the file calls itself."""

    id: str | None
    errors: tuple[ErgoError, ...] = ()
    notices: tuple[Notice, ...] = ()


def all_errors(error: ErgoError) -> Iterator[ErgoError]:
    """The faults of one file side by side: those behind the name of a stage, those found after the headline."""
    causes, error.causes = error.causes, ()
    if error.code not in _STAGES or not causes:
        yield error
    for cause in causes:
        yield from all_errors(cause)
