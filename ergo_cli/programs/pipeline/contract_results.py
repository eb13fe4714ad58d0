"""How a contract of an edge was judged, with its evidence (spec 60 §2.3, §14.2)."""

from __future__ import annotations

from ergo_cli.core.wire import FreeValue, Timestamp, Variant
from ergo_cli.programs.pipeline.causes import ContractCause
from ergo_cli.programs.pipeline.ids import StageId


class Passed(Variant, frozen=True):
    """The contract holds."""

    contract_name: str
    upstream_stage: StageId
    downstream_stage: StageId
    verified_at: Timestamp
    details: FreeValue


class Failed(Variant, frozen=True):
    """The contract is violated."""

    contract_name: str
    upstream_stage: StageId
    downstream_stage: StageId
    detected_at: Timestamp
    cause: ContractCause
    details: FreeValue


class Pending(Variant, frozen=True):
    """There is not enough to judge by."""


ContractVerdict = Passed | Failed | Pending
