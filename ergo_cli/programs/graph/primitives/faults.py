"""The one exception that a compute may raise on purpose (spec 20 §6)."""

from __future__ import annotations

from ergo_cli.programs.graph.manifest import ComputeErrorType


class ComputeFault(Exception):
    """A compute has no result for these inputs; ends the pass with CMP-12.

    ``parameter`` and ``reason`` are given with ``INVALID_PARAMETER`` only.
    """

    def __init__(self, kind: ComputeErrorType, parameter: str | None = None, reason: str | None = None) -> None:
        super().__init__(kind.value if reason is None else f"{kind.value}: {reason}")
        self.kind = kind
        self.parameter = parameter
        self.reason = reason
