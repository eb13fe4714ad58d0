"""The standard library: 7 sources, 27 computes, 2 triggers, 6 actions (spec 20 §5)."""

from __future__ import annotations

from ergo_cli.programs.graph.primitives.actions import ACTIONS
from ergo_cli.programs.graph.primitives.computes import COMPUTES
from ergo_cli.programs.graph.primitives.primitive import AnyPrimitive
from ergo_cli.programs.graph.primitives.sources import SOURCES
from ergo_cli.programs.graph.primitives.triggers import TRIGGERS

STANDARD: tuple[AnyPrimitive, ...] = (*SOURCES, *COMPUTES, *TRIGGERS, *ACTIONS)
"""Every standard primitive, in the order of spec 20 §5."""
