"""Whether a program and its adapter fit, before anything runs (spec 30 §9–10)."""

from __future__ import annotations

from msgspec import Struct

from ergo_cli.core.numbers import Numbers
from ergo_cli.errors import ErgoError
from ergo_cli.events.adapter import Adapter, adapter_provenance, setup_failed
from ergo_cli.events.composition import compose
from ergo_cli.host.ownership import check_coverage
from ergo_cli.programs.graph.program import GraphProgram
from ergo_cli.supervisor.constraints import Constraints


class PreparedRun(Struct, frozen=True):
    """A program that fits its adapter, and how it is to be run."""

    program: GraphProgram
    adapter: Adapter | None
    constraints: Constraints = Constraints()
    numbers: Numbers = Numbers.EXACT

    @property
    def adapter_provenance(self) -> str:
        """The adapter's fingerprint, or ``none``."""
        return adapter_provenance(self.adapter)


def prepare_run(program: GraphProgram, adapter: Adapter | None) -> None:
    """Raise the first fault of composition, the graph gate and coverage, in this order.

    ``adapter.setup_failed`` (a COMP rule as cause), ``adapter.required_for_graph`` (RUN-CANON-2),
    ``host.configuration_invalid``.
    """
    if adapter is not None:
        check_composition(program, adapter)
    else:
        _check_gate(program)
    check_coverage(program, adapter, frozenset())


def check_composition(program: GraphProgram, adapter: Adapter) -> None:
    """Raise ``adapter.setup_failed`` unless every source and action fits what the adapter provides (COMP-*)."""
    faults = compose(adapter.provides, program.declared_sources(), program.declared_actions())
    if faults:
        raise setup_failed(adapter.label, faults)


def _check_gate(program: GraphProgram) -> None:
    sources, writers = program.required_context_nodes, program.write_nodes
    if not sources and not writers:
        return
    details: list[str] = []
    if sources:
        details.append(f"required source context at node(s): {', '.join(sources)}")
    if writers:
        details.append(f"action writes at node(s): {', '.join(writers)}")
    raise ErgoError(
        "adapter.required_for_graph",
        f"graph '{program.graph_id}' reads required context or writes effects, so it needs an adapter",
        rule="RUN-CANON-2",
        where=f"node '{(sources or writers)[0]}'",
        fix="give an adapter manifest with --adapter, or in the profile",
        details=details,
    )
