"""The short way to a match: one walk through a bundle, each thing checked as it is replayed.

It only ever finds that everything is as recorded. Whatever is not, or cannot be seen at a glance, ends it without a
word: the long way — ``scan``, ``preflight``, ``comparison`` — starts over and says what it is, in the order of spec 11.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from ergo_cli.bundle.codec import decision_block
from ergo_cli.bundle.reader import BundleReader
from ergo_cli.bundle.rehydrate import rehydrate_together
from ergo_cli.bundle.schema import EventRecord
from ergo_cli.core.digest_set import DigestSet
from ergo_cli.core.numbers import Numbers
from ergo_cli.errors import ErgoError
from ergo_cli.events.adapter import adapter_provenance
from ergo_cli.events.external import ExternalEvent
from ergo_cli.host.lane import DecisionLane
from ergo_cli.host.ownership import replay_owned_kinds
from ergo_cli.host.realisation import HostEffects
from ergo_cli.programs.graph.invoker import GraphInvoker
from ergo_cli.replay.options import ReplayOptions, Target
from ergo_cli.replay.preflight import check_fit, check_version
from ergo_cli.replay.result import BundleResult, DecisionCounts, Outcome
from ergo_cli.supervisor.log import DecidedEffects, Decision


def prove_match(
    reader: BundleReader, target: Target, options: ReplayOptions, on_event: Callable[[], None] | None = None
) -> BundleResult | None:
    """The result of a replay that matches in every byte; None where nothing can be said yet.

    ``reader`` may be one that ``skim_bundle`` opened. ``on_event`` is called after each event.
    """
    if options.ignore or not _is_of(reader, target):
        return None
    try:
        check_version(reader.capture_version)
        check_fit(target.program, target.adapter)
        counts = _matching(reader, target, options, on_event)
    except (ErgoError, ValueError):  # told by the long way
        return None
    if counts is None:
        return None
    decisions = DecisionCounts(*counts.values())
    return BundleResult(reader.path, Outcome.MATCH, None, sum(counts.values()), decisions, graph_id=reader.graph_id)


def _is_of(reader: BundleReader, target: Target) -> bool:
    """Whether the bundle was captured from this very program and adapter."""
    header = reader.header
    return (
        header.graph_id == target.program.graph_id
        and header.runtime_provenance == target.program.provenance
        and header.adapter_provenance == adapter_provenance(target.adapter)
    )


def _matching(
    reader: BundleReader, target: Target, options: ReplayOptions, on_event: Callable[[], None] | None
) -> dict[Decision, int] | None:
    """How many decisions of each kind were made, if their texts are the recorded ones; else None."""
    counts = dict.fromkeys(Decision, 0)
    effects = HostEffects(target.adapter, replay_owned_kinds(target.program, target.adapter))
    lane = DecisionLane(reader.graph_id, reader.header.constraints, GraphInvoker(target.program), effects)
    recorded, ids, separator = _Recorded(reader.decision_blocks()), DigestSet(), b""
    for records in reader.event_batches():
        decided: list[DecidedEffects] = []
        lane.decide(_sound(records, ids, options.numbers), decided, on_event)
        if not recorded.goes_on(separator + decision_block(decided, b",")):
            return None
        separator = b","
        for decision, count in Counter([entry.decision for entry, _ in decided]).items():
            counts[decision] += count
    return counts if recorded.is_at_end() else None


class _Recorded:
    """The text of the recorded decisions, gone through as they are made anew."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._ahead = b""

    def goes_on(self, text: bytes) -> bool:
        """Whether this is what comes next; moves behind it."""
        while len(self._ahead) < len(text):
            block = next(self._blocks, b"")
            if not block:
                return False
            self._ahead += block
        found = self._ahead.startswith(text)
        self._ahead = self._ahead[len(text) :]
        return found

    def is_at_end(self) -> bool:
        """Whether nothing is left."""
        return not self._ahead and not any(self._blocks)


def _sound(records: Sequence[EventRecord], ids: DigestSet, numbers: Numbers) -> Iterable[ExternalEvent]:
    """The events, each with the payload that was hashed and an id of its own. Raises ErgoError or ValueError."""
    if ids.add_all([record.event_id for record in records]) < len(records):
        raise ValueError("an event id that was used before")
    return rehydrate_together(records, numbers)
