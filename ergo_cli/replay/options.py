"""With what a bundle is compared, and how."""

from __future__ import annotations

from msgspec import Struct

from ergo_cli.core.numbers import Numbers
from ergo_cli.events.adapter import Adapter
from ergo_cli.programs.graph.program import GraphProgram
from ergo_cli.replay.paths import Pattern


class ReplayOptions(Struct, frozen=True):
    """How to compare: ``ignore`` leaves parts of decisions out, ``max_divergences`` bounds what is listed."""

    strict: bool = False
    ignore: tuple[Pattern, ...] = ()
    max_divergences: int = 1000
    numbers: Numbers = Numbers.EXACT


class Target(Struct, frozen=True):
    """The program a bundle is replayed with; ``recorded`` is the program of the capture where it is at hand."""

    program: GraphProgram
    adapter: Adapter | None = None
    recorded: GraphProgram | None = None
