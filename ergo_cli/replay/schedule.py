"""Schedules replayed against any invoker: when episodes ran, not what they did (spec 11 §10)."""

from __future__ import annotations

from msgspec import Struct

from ergo_cli.bundle.memory import CaptureBundle, InMemoryBundle
from ergo_cli.bundle.rehydrate import rehydrate
from ergo_cli.bundle.schema import NO_ADAPTER, DecisionRecord, EventRecord, payload_hash
from ergo_cli.bundle.session import CapturingSession
from ergo_cli.core.numbers import Numbers
from ergo_cli.errors import ReplayError
from ergo_cli.events.external import ExternalEvent, InvalidPayload
from ergo_cli.replay.preflight import (
    check_adapter_provenance,
    check_runtime_provenance,
    check_unique_ids,
    check_version,
    hash_mismatch,
)
from ergo_cli.supervisor.seam import RuntimeInvoker


class Expectations(Struct, frozen=True):
    """The provenances that a strict replay of a schedule demands of the bundle."""

    runtime_provenance: str
    adapter_provenance: str = NO_ADAPTER


def replay_schedule(
    bundle: CaptureBundle,
    runtime: RuntimeInvoker,
    expectations: Expectations | None = None,
    numbers: Numbers = Numbers.EXACT,
) -> tuple[DecisionRecord, ...]:
    """The decisions that a fresh supervisor makes of the bundle's events, without effects; ``runtime`` ends episodes.

    Raises ReplayError: ``replay.unsupported_capture_version``, ``replay.hash_mismatch``, ``replay.invalid_payload``;
    with ``expectations`` also, in this order, ``replay.duplicate_event_id`` and the mismatches of provenance.
    """
    check_version(bundle.capture_version)
    for record in bundle.events:
        if payload_hash(record.payload) != record.payload_hash:
            raise hash_mismatch(record.event_id)
    if expectations is not None:
        check_unique_ids(_first_duplicate(bundle))
        check_adapter_provenance(bundle.header.adapter_provenance, expectations.adapter_provenance)
        check_runtime_provenance(bundle.header.runtime_provenance, expectations.runtime_provenance)
    replayed = InMemoryBundle(bundle.header)
    session = CapturingSession(bundle.header.graph_id, bundle.header.constraints, replayed, runtime)
    for record in bundle.events:
        session.on_event(_rehydrated(record, numbers))
    return replayed.commit().decisions


def _first_duplicate(bundle: CaptureBundle) -> str | None:
    seen: set[str] = set()
    for record in bundle.events:
        if record.event_id in seen:
            return record.event_id
        seen.add(record.event_id)
    return None


def _rehydrated(record: EventRecord, numbers: Numbers) -> ExternalEvent:
    try:
        return rehydrate(record, numbers)
    except InvalidPayload as error:
        raise ReplayError(
            "replay.invalid_payload",
            f"event '{record.event_id}' cannot be rebuilt from its payload: {error}",
            where=f"event '{record.event_id}'",
            fix="restore the bundle from where it was captured; its payload is not what a run records",
            details=(str(error),),
        ) from error
