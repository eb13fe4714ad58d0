"""What became of the bundles that ``ergo accept`` was given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from ergo_cli.core.diagnostics import Notice
from ergo_cli.errors import ErgoError
from ergo_cli.replay.selection import Selection
from ergo_cli.tools.accept.proposals import Proposed
from ergo_cli.tools.accept.review import Review
from ergo_cli.tools.accept.writing import Written


class Accepted(Struct, frozen=True):
    """A review and its outcome: ``proposed`` has one value a bundle, ``replaced`` one a bundle that was accepted."""

    selection: Selection
    proposed: Sequence[Proposed]
    review: Review
    replaced: Mapping[str, Written | ErgoError] = {}

    @property
    def written(self) -> dict[str, Written]:
        """The bundles that were replaced, by path."""
        return {path: each for path, each in self.replaced.items() if isinstance(each, Written)}

    @property
    def errors(self) -> tuple[ErgoError, ...]:
        """What refuses bundles, in the order found."""
        refused = tuple(refusal.error for refusal in self.selection.refusals)
        return refused + tuple(
            each for each in (*self.proposed, *self.replaced.values()) if isinstance(each, ErgoError)
        )

    @property
    def matching(self) -> int:
        """How many bundles match as they are."""
        return sum(each is None for each in self.proposed)

    @property
    def notices(self) -> tuple[Notice, ...]:
        """The warnings of the selection and of what was written."""
        return self.selection.notices + tuple(notice for each in self.written.values() for notice in each.notices)
