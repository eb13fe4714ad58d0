"""Whether a program and its adapter fit, before anything runs (spec 30 §9–10)."""

from __future__ import annotations

from msgspec import Struct

from ergo_cli.core.notices import Notice
from ergo_cli.core.numbers import Numbers
from ergo_cli.errors import ErgoError
from ergo_cli.events.adapter import Adapter, adapter_provenance, setup_failed
from ergo_cli.events.composition import compose
from ergo_cli.host.egress.config import EgressConfig
from ergo_cli.host.ownership import check_ownership
from ergo_cli.programs.graph.program import GraphProgram
from ergo_cli.project.finding import Program
from ergo_cli.supervisor.constraints import Constraints


class PreparedRun(Struct, frozen=True):
    """A program that fits its adapter, and how it is to be run; ``run_id`` is the profile's rule for its runs."""

    program: Program
    adapter: Adapter | None
    constraints: Constraints = Constraints()
    numbers: Numbers = Numbers.EXACT
    run_id: str | None = None

    @property
    def adapter_provenance(self) -> str:
        """The adapter's fingerprint, or ``none``."""
        return adapter_provenance(self.adapter)


def prepare_run(
    program: GraphProgram, adapter: Adapter | None, egress: EgressConfig | None = None
) -> tuple[Notice, ...]:
    """Raise the first fault of composition, the graph gate and ownership, in this order; returns what is only odd.

    ``adapter.setup_failed`` (a COMP rule as cause), ``adapter.required_for_graph`` (RUN-CANON-2),
    ``host.configuration_invalid``.
    """
    if adapter is not None:
        check_composition(program, adapter)
    else:
        _check_gate(program)
    return check_ownership(program, adapter, None if egress is None else egress.routes.keys())


def production_requires_adapter(where: str = "session intent: process ingress") -> ErgoError:
    """The production gate: events of a process need an adapter, whatever the program (RUN-CANON-2)."""
    return ErgoError(
        "adapter.production_requires_adapter",
        "events come from a process, and no adapter is bound that says what they may be",
        rule="RUN-CANON-2",
        where=where,
        fix="give an adapter manifest with --adapter, or in the profile",
    )


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
