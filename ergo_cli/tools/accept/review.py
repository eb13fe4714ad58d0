"""Decide about proposals group by group: a bundle is accepted once every group of its divergences is (spec 00 §7)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from enum import Enum

from msgspec import Struct

from ergo_cli.replay.filters import DivergenceFilter
from ergo_cli.replay.results import Divergence, as_shown
from ergo_cli.tools.accept.proposals import Proposal


class Answer(Enum):
    """What is said about one group of one bundle, or about the group in all bundles that are left."""

    ACCEPT = "y"
    SKIP = "n"
    ACCEPT_ALL = "a"
    SKIP_ALL = "d"
    QUIT = "q"


class Special(Enum):
    """Groups that no divergence is of."""

    FINGERPRINT = "fingerprint"
    UNLISTED = "unlisted"


class Part(Struct, frozen=True, eq=False):
    """What one group has in one bundle."""

    proposal: Proposal
    divergences: tuple[Divergence, ...]


class Group(Struct, frozen=True, eq=False):
    """Divergences that differ in their values only, bundle by bundle; ``key`` is a ``Special`` where it has none."""

    key: Hashable
    parts: tuple[Part, ...]

    @property
    def count(self) -> int:
        """How many divergences it has."""
        return sum(len(part.divergences) for part in self.parts)


KeyOf = Callable[[Divergence], Hashable]
Ask = Callable[[int, Group, Part], Answer]
"""Asks about a part of a group; the number is that of the group, from 1."""


class Review:
    """Proposals in groups, the largest first, and what was said about them.

    Groups of which ``meant`` takes nothing are not asked about, and not accepted.
    """

    def __init__(self, proposals: Sequence[Proposal], key_of: KeyOf, meant: DivergenceFilter | None) -> None:
        self.proposals = proposals
        found = _groups(proposals, key_of)
        self.groups = sorted(found, key=lambda group: -group.count)
        self.meant = tuple(group for group in self.groups if _is_meant(group, meant))
        self._accepted: dict[str, set[Hashable]] = {proposal.path: set() for proposal in proposals}
        self._skipped: set[str] = set()

    def accept_all(self) -> None:
        """Accept every group that is meant."""
        for group in self.meant:
            for part in group.parts:
                self._accepted[part.proposal.path].add(group.key)

    def ask(self, ask: Ask) -> None:
        """Ask about each part of each group; not about a bundle that cannot be accepted any more."""
        for number, group in enumerate(self.meant, 1):
            answer = None
            for part in group.parts:
                if part.proposal.path in self._skipped or not self.can_be_whole(part.proposal):
                    continue
                if answer not in (Answer.ACCEPT_ALL, Answer.SKIP_ALL):
                    answer = ask(number, group, part)
                if answer is Answer.QUIT:
                    return
                if answer in (Answer.ACCEPT, Answer.ACCEPT_ALL):
                    self._accepted[part.proposal.path].add(group.key)
                else:
                    self._skipped.add(part.proposal.path)

    def groups_of(self, proposal: Proposal) -> tuple[Group, ...]:
        """The groups that a bundle has parts of."""
        return tuple(group for group in self.groups if any(part.proposal is proposal for part in group.parts))

    def is_accepted(self, proposal: Proposal, group: Group) -> bool:
        """Whether a group of a bundle is accepted."""
        return group.key in self._accepted[proposal.path]

    def accepted_of(self, proposal: Proposal) -> int:
        """How many groups of a bundle are accepted."""
        return len(self._accepted[proposal.path])

    @property
    def whole(self) -> tuple[Proposal, ...]:
        """The bundles of which every group is accepted."""
        return tuple(each for each in self.proposals if self.accepted_of(each) == len(self.groups_of(each)))

    def has_meant(self, proposal: Proposal) -> bool:
        """Whether a bundle has a part of a group that is meant."""
        return any(group in self.meant for group in self.groups_of(proposal))

    def meant_of(self, proposal: Proposal) -> tuple[Divergence, ...]:
        """The divergences of a bundle that are of groups that are meant."""
        if len(self.meant) == len(self.groups):
            return proposal.result.divergences
        parts = (part for group in self.meant for part in group.parts if part.proposal is proposal)
        return tuple(divergence for part in parts for divergence in part.divergences)

    def can_be_whole(self, proposal: Proposal) -> bool:
        """Whether every group of a bundle is meant, so that it can be accepted."""
        return all(group in self.meant for group in self.groups_of(proposal))


def _groups(proposals: Iterable[Proposal], key_of: KeyOf) -> list[Group]:
    found: dict[Hashable, list[Part]] = {}
    for proposal in proposals:
        of_bundle: dict[Hashable, list[Divergence]] = {}
        for divergence in as_shown(proposal.result.divergences):
            of_bundle.setdefault(key_of(divergence), []).append(divergence)
        if proposal.is_of_fingerprint_alone:
            of_bundle[Special.FINGERPRINT] = []
        if proposal.unlisted:
            of_bundle[Special.UNLISTED] = []
        for key, divergences in of_bundle.items():
            found.setdefault(key, []).append(Part(proposal, tuple(divergences)))
    return [Group(key, tuple(parts)) for key, parts in found.items()]


def _is_meant(group: Group, meant: DivergenceFilter | None) -> bool:
    if meant is None:
        return True
    return any(meant.takes(divergence) for part in group.parts for divergence in part.divergences)
