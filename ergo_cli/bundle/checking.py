"""A bundle checked for itself, without any program (spec 00 §12.8)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import zip_longest

from ergo_cli.bundle.journal_checking import check_journals
from ergo_cli.bundle.reader import BundleReader
from ergo_cli.bundle.schema import DecisionRecord, EventRecord, payload_hash
from ergo_cli.core.effects import effect_hash
from ergo_cli.errors import BundleError
from ergo_cli.supervisor.log import Decision

_INCONSISTENT = "bundle.inconsistent"
_FIX = "restore the bundle from where it was captured; no run writes it so"


def check_bundle(reader: BundleReader) -> Iterator[BundleError]:
    """Every fault inside a bundle, in the order of its records.

    Looked for: the version; duplicate members at the top; payload and effect hashes; decision *i* made for event *i*; a
    termination exactly with Invoke; acks that name intents of their decision; duplicate members in records; embedded
    sources; journals and artifacts. Raises BundleError where the bundle cannot be read on.
    """
    if reader.capture_version not in ("v3", "v4"):
        message = f"capture version '{reader.capture_version}' is not supported"
        fix = "use a version of ergo that knows it; this one knows v3 and v4"
        yield BundleError(
            "replay.unsupported_capture_version", message, where=f"{reader.path} capture_version", fix=fix
        )
    for name in reader.repeated:
        yield _fault(f"member '{name}' is written twice at the top", f"{reader.path} {name}")
    for fault in _check_records(reader):
        fault.where = f"{reader.path} {fault.where}"
        yield fault
    yield from check_journals(reader)


def _check_records(reader: BundleReader) -> Iterator[BundleError]:
    for index, (event, decision) in enumerate(zip_longest(reader.events(), reader.decisions())):
        if event is not None:
            yield from _check_event(event, index)
        if decision is not None:
            yield from _check_decision(decision, index)
        yield from _check_pair(event, decision, index)
    for name, texts in (("events", reader.event_texts()), ("decisions", reader.decision_texts())):
        for index, text in enumerate(texts):
            yield from _duplicates(text, f"{name}[{index}]")


def _check_event(event: EventRecord, index: int) -> Iterator[BundleError]:
    if payload_hash(event.payload) != event.payload_hash:
        message = f"the payload of event '{event.event_id}' does not match its payload_hash"
        yield BundleError("replay.hash_mismatch", message, where=f"events[{index}] event '{event.event_id}'", fix=_FIX)


def _check_decision(decision: DecisionRecord, index: int) -> Iterator[BundleError]:
    where = f"decisions[{index}] event '{decision.event_id}'"
    invoked = decision.decision is Decision.INVOKE
    if invoked != (decision.termination is not None):
        has = "no termination" if invoked else "a termination"
        yield _fault(f"the decision {decision.decision.value} for event '{decision.event_id}' has {has}", where)
    intents = set[str]()
    for position, captured in enumerate(decision.effects):
        intents.update(intent.intent_id for intent in captured.effect.intents)
        if effect_hash(captured.text) != captured.effect_hash:
            message = f"effect {position} of event '{decision.event_id}' does not match its effect_hash"
            yield _fault(message, f"decisions[{index}].effects[{position}]")
    for position, ack in enumerate(decision.intent_acks):
        if ack.intent_id not in intents:
            message = f"an ack names intent '{ack.intent_id}', which the decision does not have"
            yield _fault(message, f"decisions[{index}].intent_acks[{position}]")


def _check_pair(event: EventRecord | None, decision: DecisionRecord | None, index: int) -> Iterator[BundleError]:
    if event is None:
        yield _fault(f"decision {index} has no event", f"decisions[{index}]")
    elif decision is None:
        yield _fault(f"event '{event.event_id}' has no decision", f"events[{index}]")
    elif event.event_id != decision.event_id:
        message = f"decision {index} is for event '{decision.event_id}', event {index} is '{event.event_id}'"
        yield _fault(message, f"decisions[{index}].event_id")


def _duplicates(text: bytes, where: str) -> Iterator[BundleError]:
    repeated: list[str] = []

    def members(pairs: list[tuple[str, object]]) -> None:
        seen = set[str]()
        for name, _ in pairs:
            if name in seen:
                repeated.append(name)
            seen.add(name)

    try:
        json.loads(text, object_pairs_hook=members)
    except (ValueError, RecursionError) as error:  # in a member that v3 lets stand unread
        yield _fault(f"a member that is unknown is no sound JSON: {error}", where)
    for name in repeated:
        yield _fault(f"member '{name}' is written twice in one object", where)


def _fault(message: str, where: str) -> BundleError:
    return BundleError(_INCONSISTENT, message, where=where, fix=_FIX)
