"""Builders of small bundles, and a way to write a bundle again."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ergo_cli.bundle.memory import CaptureBundle
from ergo_cli.bundle.reader import open_bundle
from ergo_cli.bundle.schema import CapturedEffect, DecisionRecord, EventRecord, Header, payload_hash
from ergo_cli.bundle.writer import BundleWriter
from ergo_cli.core.values import SET_CONTEXT, Effect, NativeValue, Value, Write
from ergo_cli.events.external import EventKind
from ergo_cli.supervisor.seam import Constraints, Decision, Outcome


def set_context(key: str, value: NativeValue) -> Effect:
    """The effect that sets one context key."""
    return Effect(SET_CONTEXT, [Write(key, Value.of(value))])


def event_record(
    event_id: str, payload: bytes = b"{}", *, at: int = 0, kind: EventKind = EventKind.COMMAND
) -> EventRecord:
    """An event with the right payload hash; ``at`` in ns."""
    return EventRecord(event_id, at, kind, payload, payload_hash(payload))


def completed(event_id: str, episode_id: int = 0, effects: Iterable[Effect] = ()) -> DecisionRecord:
    """The decision of an episode that ran at once and completed."""
    captured = tuple(map(CapturedEffect.of, effects))
    return DecisionRecord(event_id, Decision.INVOKE, None, episode_id, None, Outcome.COMPLETED, 0, captured)


def bundle_of(
    events: Iterable[EventRecord],
    decisions: Iterable[DecisionRecord],
    *,
    graph_id: str = "demo",
    constraints: Constraints = Constraints(),
    runtime_provenance: str = "rpv1:sha256:test",
) -> CaptureBundle:
    """A v3 bundle without adapter."""
    return CaptureBundle(Header(graph_id, constraints, runtime_provenance), tuple(events), tuple(decisions))


def rewrite_bundle(source: str, destination: str, *, pretty: bool = False) -> None:
    """Read a bundle record by record and write the same content again, in the style and compression asked for.

    Raises BundleError and CaptureWriteError.
    """
    with (
        open_bundle(source) as reader,
        BundleWriter(destination, reader.header, pretty=pretty, program=reader.program) as writer,
    ):
        for event in reader.events():
            writer.event(event)
        for decision in reader.decisions():
            writer.decision(decision)
        for journal in reader.journal_texts():
            writer.journal(msgspec.json.format(journal, indent=-1))
        writer.commit(reader.egress_provenance, reader.artifacts)
