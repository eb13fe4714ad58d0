"""What changed between the program of a recording and today's, in the words of its author (spec 70 §2)."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct


class Layer(Enum):
    """What changed: the program, the adapter that binds its events, or the constraints that decide when it runs."""

    PROGRAM = "program"
    ADAPTER = "adapter"
    CONSTRAINTS = "constraints"


class Verb(Enum):
    """How it changed."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


class Change(Struct, frozen=True, kw_only=True):
    """One difference between two programs.

    ``subject`` names the part as its author does: ``slow/avg.n``, ``in step``. ``before`` and ``after`` are its two
    values, where they fit a line. ``file`` and ``line`` say where it stands today, or stood, where nothing is left of
    it. ``nodes`` are the parts of today's program that it is in. ``idle``: it can decide nothing. ``effectless``: it
    reaches none of the differences that were found. ``structural``: of a program written in Python it is in the parts
    that it is made of, not in the code of a function.
    """

    subject: str
    verb: Verb = Verb.CHANGED
    layer: Layer = Layer.PROGRAM
    before: str | None = None
    after: str | None = None
    file: str | None = None
    line: int | None = None
    nodes: tuple[str, ...] = ()
    idle: bool = False
    effectless: bool = False
    structural: bool = False


def placed(place: str | None) -> tuple[str | None, int | None]:
    """File and line of a place as errors carry it: ``graph.yaml:12:3 nodes.over``; None where there is none."""
    if place is None:
        return None, None
    file, _, rest = place.partition(" ")[0].rpartition(":")[0].rpartition(":")
    return (file, int(rest)) if file and rest.isdigit() else (place, None)
