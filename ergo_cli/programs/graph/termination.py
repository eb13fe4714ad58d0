"""How a failed pass looks to the supervisor (spec 20 §14)."""

from __future__ import annotations

from ergo_cli.errors import RuleError
from ergo_cli.supervisor.seam import ErrKind, Failed

_SEMANTIC = frozenset({"CMP-12", "NUM-FINITE-1", "SRC-10", "SRC-11"})
"""What would fail in just the same way if it were tried again."""


def termination_of(error: RuleError) -> Failed:
    """SemanticError for what the values of this event lead to, RuntimeError for everything else."""
    return Failed(ErrKind.SEMANTIC_ERROR if error.rule in _SEMANTIC else ErrKind.RUNTIME_ERROR)
