"""Which divergences are meant: by kind, node and path (``ergo accept``, ``[[expect]]``)."""

from __future__ import annotations

from fnmatch import fnmatchcase

from msgspec import Struct

from ergo_cli.errors import UsageError
from ergo_cli.replay.paths import Pattern
from ergo_cli.replay.results import Divergence, DivergenceKind


class DivergenceFilter(Struct, frozen=True):
    """The divergences of a kind, at a node, at or below a path; None leaves that open. ``*`` in a node is any text."""

    kind: DivergenceKind | None = None
    node: str | None = None
    path: Pattern | None = None

    def takes(self, divergence: Divergence) -> bool:
        """Whether a divergence is meant."""
        return (
            (self.kind is None or divergence.kind is self.kind)
            and (self.node is None or fnmatchcase(divergence.node or "", self.node))
            and (self.path is None or self.path.covers(divergence.path))
        )


def kind_of(text: str, where: str) -> DivergenceKind:
    """The kind of this name. Raises UsageError ``cli.invalid_option_value``."""
    try:
        return DivergenceKind(text)
    except ValueError:
        message = f"'{text}' is not a kind of divergence"
        fix = "use one of: " + ", ".join(kind.value for kind in DivergenceKind)
        raise UsageError("cli.invalid_option_value", message, where=where, fix=fix) from None


def pattern_of(text: str, where: str) -> Pattern:
    """The pattern of this text. Raises UsageError ``cli.invalid_option_value``."""
    try:
        return Pattern(text)
    except UsageError as error:
        error.where = where
        raise
