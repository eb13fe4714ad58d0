"""Why a value of one episode is what it is: the node that made it, and the chain behind it (spec 70 §8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

from ergo_cli.bundle.journals import BundleJournals
from ergo_cli.bundle.reader import BundleReader
from ergo_cli.errors import UsageError
from ergo_cli.host.failures import FailureSummary
from ergo_cli.programs.causes import Cause
from ergo_cli.programs.changes import Change
from ergo_cli.replay.earlier_writes import EarlierWrites
from ergo_cli.replay.explaining import Assigned, Decided, find_decision
from ergo_cli.replay.memory_chain import MemoryChain, Written
from ergo_cli.replay.preflight import check_kind, check_version
from ergo_cli.replay.traced_episodes import TracedEpisode


class Why(Struct, frozen=True):
    """Why a node of an episode did what it did.

    ``recorded`` and ``actual`` are the compact JSON of its effects. ``memory`` says which earlier event wrote the
    members of the context that the chain reads, ``episodes`` which event the earlier episodes of the chain are of.
    ``knows_capture``: the chain has the values of the capture's program. ``failures`` says why today's episode fails.
    ``is_recorded``: the chain is behind a part of a recorded episode, of a program that acts.
    ``changes`` are those of the program since the capture.
    """

    event_id: str | None
    seq: int
    occurrence: int
    node: str
    recorded: tuple[bytes, ...]
    actual: tuple[bytes, ...]
    cause: Cause
    memory: Mapping[str, Written]
    knows_capture: bool
    episodes: Mapping[int, Written] = {}
    failures: FailureSummary = FailureSummary()
    is_recorded: bool = False
    changes: tuple[Change, ...] = ()


def why_event(
    reader: BundleReader,
    find: Callable[[BundleReader], Assigned],
    event_id: str,
    path: str | None = None,
    occurrence: int = 0,
) -> Why | None:
    """The chain behind a node, or behind the effect with a key or of a kind; by default of the first that differs.

    None where nothing of the event differs and no path is given. For a program that computes; raises as
    ``explain_event``, and UsageError for a path that the episode does not have.
    """
    computing = reader.kind.computing
    assert computing is not None, "of a program that computes"
    programs, found = asked_episode(reader, find, event_id, occurrence)
    episode = TracedEpisode(computing, programs, found)
    node = episode.first_difference() if path is None else episode.node_of(path)
    if node is None:
        return None
    recorded, actual = episode.recorded_effects(node), episode.effects(node)
    chain = MemoryChain(computing, programs, EarlierWrites(reader, found.seq))
    cause = chain.followed(episode, episode.cause(node), actual, is_same=recorded == actual)
    return Why(
        found.event.event_id,
        found.seq,
        occurrence,
        node,
        recorded,
        actual,
        cause,
        chain.memory,
        programs.recorded is not None,
        chain.episodes,
    )


def asked_episode(
    reader: BundleReader, find: Callable[[BundleReader], Assigned], event_id: str, occurrence: int
) -> tuple[Assigned, Decided]:
    """The programs of a bundle, and the decision for an event, whose episode ran. Raises as ``why_event``."""
    programs = find(reader)
    check_kind(reader, programs.program)
    check_version(reader.capture_version)
    BundleJournals(reader).check()
    found = find_decision(reader, event_id, occurrence, "argument EVENT")
    if not found.has_run:
        raise UsageError("cli.invalid_option_value", f"event '{event_id}': {found.remark}", where="argument EVENT")
    return programs, found
