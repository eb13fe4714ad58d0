"""Who answers for an effect kind: a handler of the host, egress, or in replay the recording (spec 30 §9, 11 §11.4)."""

from __future__ import annotations

from collections.abc import Set

from ergo_cli.core.effects import SET_CONTEXT
from ergo_cli.errors import headline
from ergo_cli.events.adapter import Adapter
from ergo_cli.events.composition import coverage
from ergo_cli.programs.graph.program import GraphProgram

HANDLER_KINDS = frozenset({SET_CONTEXT})
"""The effect kinds that the host realises itself."""


def replay_owned_kinds(program: GraphProgram, adapter: Adapter | None) -> frozenset[str]:
    """The external kinds that a replay takes as done: emittable, accepted by the adapter, not the host's own."""
    if adapter is None:
        return frozenset()
    return (program.emittable_kinds & adapter.provides.effects) - HANDLER_KINDS


def check_coverage(program: GraphProgram, adapter: Adapter | None, claimed: Set[str]) -> None:
    """Raise ``host.configuration_invalid`` unless every kind has exactly one owner (HST-5).

    ``claimed``: the kinds that egress, or in replay the recording, answers for.
    """
    if adapter is None:
        return
    faults = coverage(program.emittable_kinds, adapter.provides.effects, HANDLER_KINDS, claimed)
    if faults:
        raise headline(faults)
