"""When a pipeline is complete: a fact from every stage and a passed contract on every gating edge (spec 60 §15)."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.programs.pipeline.causes import CONTRACT_FAILED, ViolationCause
from ergo_cli.programs.pipeline.ids import StageId
from ergo_cli.programs.pipeline.modes import SourceContract
from ergo_cli.programs.pipeline.system_events import ContractStatus
from ergo_cli.programs.pipeline.topology import Topology

Pair = tuple[StageId, StageId]
"""Upstream and reader of an edge."""


class EdgeStatus(Struct, frozen=True):
    """What the last ``contract_status`` of an edge says."""

    passed: bool
    reason: ViolationCause | None = None
    reader_seq: int | None = None
    advertised_writer_seq: int | None = None

    @classmethod
    def of(cls, status: ContractStatus) -> EdgeStatus:
        """The status that an event reports."""
        return cls(status.passed, status.reason, status.reader_seq, status.advertised_writer_seq)

    @property
    def is_final(self) -> bool:
        """Whether the writer's total is known, which it is at its EOF alone."""
        return self.advertised_writer_seq is not None

    @property
    def cause(self) -> ViolationCause:
        """Why the edge failed; ``contract_failed`` where no cause is given."""
        return CONTRACT_FAILED if self.reason is None else self.reason


class Barrier(Struct, frozen=True):
    """What a draining pipeline still waits for (§15.4)."""

    pending_stages: tuple[StageId, ...]
    missing_contracts: tuple[Pair, ...]
    completed: int
    total: int
    satisfied_contracts: int
    gating_contracts: int
    total_contracts: int


class Evidence(Struct, frozen=True):
    """What stages and contracts have reported. The last status of an edge counts; its first failure is kept too."""

    topology: Topology
    source_contract: SourceContract = SourceContract.ABORT
    completed: tuple[StageId, ...] = ()
    edges: Mapping[Pair, EdgeStatus] = {}
    first_failures: Mapping[Pair, EdgeStatus] = {}

    def is_gating(self, upstream: StageId) -> bool:
        """Whether contracts with this upstream hold completion up and can abort (§14.6)."""
        return is_gating(upstream in self.topology.expected_sources, self.source_contract)

    def with_completed(self, stage: StageId) -> Evidence:
        """The evidence after a stage has completed; a repetition, or a stage of another pipeline, changes nothing."""
        if stage in self.completed or stage not in self.topology.by_id:
            return self
        return replace(self, completed=(*self.completed, stage))

    def with_status(self, pair: Pair, status: EdgeStatus) -> Evidence:
        """The evidence after an edge has reported."""
        failures = self.first_failures
        if not status.passed:
            failures = {pair: status, **failures}
        return replace(self, edges={**self.edges, pair: status}, first_failures=failures)

    @property
    def has_all_stages(self) -> bool:
        """Whether the stages that have completed are those of the topology."""
        return len(self.completed) == len(self.topology.stages)

    @property
    def is_complete(self) -> bool:
        """Whether all stages have completed and every gating edge has passed; missing evidence blocks (§15.2)."""
        return self.has_all_stages and all(self._has_passed(pair) for pair in self.gating_pairs)

    @property
    def gating_pairs(self) -> tuple[Pair, ...]:
        """The expected edges that hold completion up, in topology order."""
        return tuple(pair for pair in self.topology.expected_contract_pairs if self.is_gating(pair[0]))

    def first_failed_edge(self) -> Pair | None:
        """The first gating edge, in the order of upstream and reader, whose last status is a failure (§15.3)."""
        failed = [pair for pair, status in self.edges.items() if not status.passed and self.is_gating(pair[0])]
        return min(failed, key=self._place, default=None)

    def barrier(self) -> Barrier:
        """What is still missing."""
        stages = self.topology.stages
        gating = self.gating_pairs
        missing = tuple(pair for pair in gating if not self._has_passed(pair))
        return Barrier(
            pending_stages=tuple(stage.id for stage in stages if stage.id not in self.completed),
            missing_contracts=missing,
            completed=len(self.completed),
            total=len(stages),
            satisfied_contracts=len(gating) - len(missing),
            gating_contracts=len(gating),
            total_contracts=len(self.topology.expected_contract_pairs),
        )

    def _has_passed(self, pair: Pair) -> bool:
        status = self.edges.get(pair)
        return status is not None and status.passed

    def _place(self, pair: Pair) -> tuple[int, ...]:
        """Where an edge stands; one of stages that the topology does not have comes last."""
        order = self.topology.order
        return tuple(order.get(stage, len(order)) for stage in pair)


def is_gating(is_source: bool, mode: SourceContract) -> bool:
    """Whether a contract holds completion up: always, but on a source's edge in warn mode (C-7)."""
    return not is_source or mode is SourceContract.ABORT
