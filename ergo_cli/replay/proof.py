"""The short way to a match: one walk through a bundle, each thing checked as it is replayed.

It only ever finds that everything is as recorded. Whatever is not, or cannot be seen at a glance, ends it without a
word: the long way — ``scan``, ``preflight``, ``comparison`` — starts over and says what it is, in the order of spec 11.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ergo_cli.bundle.reader import BundleReader
from ergo_cli.bundle.schema import payload_hash
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
from ergo_cli.supervisor.log import Decision


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
    invoker = GraphInvoker(target.program)
    lane = DecisionLane(reader.graph_id, reader.header.constraints, invoker, effects)
    for event, text in zip(_sound(reader, options.numbers), reader.decision_texts(), strict=True):
        if lane.decide(event) != text:
            return None
        counts[lane.entry.decision] += 1
        if on_event is not None:
            on_event()
    return counts


def _sound(reader: BundleReader, numbers: Numbers) -> Iterator[ExternalEvent]:
    """The events, each with the payload that was hashed and an id of its own. Raises ErgoError or ValueError."""
    ids = DigestSet()
    for record in reader.events():
        if payload_hash(record.payload) != record.payload_hash or not ids.add(record.event_id):
            raise ValueError("an event that the long way must look at")
        yield ExternalEvent.with_payload(record.event_id, record.kind, record.event_time, record.payload, numbers)
