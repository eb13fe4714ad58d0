"""What a comparison came to before it was rendered: for formats that show more of it than the report document has."""

from __future__ import annotations

from msgspec import Struct

from ergo_cli.replay.results import BundleResult


class Compared(Struct, frozen=True):
    """The results in the order of the report's bundles; ``sides`` names the two that were compared.

    ``program`` are the words of a command line that select the program. ``accepts``: what differs can become the
    recording.
    """

    results: tuple[BundleResult, ...]
    sides: tuple[str, str]
    program: tuple[str, ...] = ()
    accepts: bool = False
