"""Check a bundle without running its program (spec 00 §12.8)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain, zip_longest

from msgspec import Struct

from ergo_cli.bundle.decoding import may_repeat, unknown_member
from ergo_cli.bundle.journals import BundleJournals
from ergo_cli.bundle.number_form import has_newer_hashes, has_newer_texts
from ergo_cli.bundle.reader import BundleReader
from ergo_cli.bundle.record_forms import EVENT_FORMS, WireConstraints, WireDecision
from ergo_cli.bundle.schema import FIX, DecisionRecord, EventRecord, Version, payload_hash
from ergo_cli.core.json import JsonError, check_nesting
from ergo_cli.errors import BundleError
from ergo_cli.supervisor.seam import Decision

_INCONSISTENT = "bundle.inconsistent"
_FIX = "restore the bundle from where it was captured; no run writes it so"


def check_bundle(reader: BundleReader) -> Iterator[BundleError]:
    """Yield every fault inside a bundle, in the order of its records.

    Checks: the version; payload and effect hashes; decision *i* belongs to event *i*; a termination exactly with
    Invoke; its form (``check_form``); journals and artifacts. Raises BundleError where the rest cannot be read.
    """
    if reader.capture_version not in ("v3", "v4"):
        message = f"capture version '{reader.capture_version}' is not supported"
        fix = "use a version of ergo that knows it; this one knows v3 and v4"
        yield BundleError(
            "replay.unsupported_capture_version", message, where=f"{reader.path} capture_version", fix=fix
        )
    for fault in _check_pairs(reader):
        fault.where = f"{reader.path} {fault.where}"
        yield fault
    yield from check_form(reader)
    yield from _check_journals(reader)


def check_form(reader: BundleReader) -> Iterator[BundleError]:
    """Yield what no run writes, though readers that are not strict accept it.

    These are: members written twice or unknown, at any depth; acks that name no intent of their decision; embedded
    sources of another digest. ``ergo replay --strict`` and ``ergo validate`` refuse them. Raises BundleError as
    ``check_bundle``.
    """
    for name in reader.repeated:
        yield _fault(f"member '{name}' is written twice at the top", f"{reader.path} {name}")
    for fault in chain(_check_members(reader), _check_records(reader)):
        fault.where = f"{reader.path} {fault.where}"
        yield fault
    yield from _check_sources(reader)


def has_plain_form(reader: BundleReader) -> bool:
    """Whether the members at the top, but for decisions and events, are surely free of what ``check_form`` yields."""
    return not (reader.repeated or any(_check_members(reader)) or any(_check_sources(reader)))


def _check_sources(reader: BundleReader) -> Iterator[BundleError]:
    """Yield an error for every embedded source whose digest is wrong."""
    sources = () if reader.program is None else reader.program.sources or ()
    for index, source in enumerate(sources):
        if not source.is_intact:
            message = f"the embedded text of '{source.path}' does not match its digest"
            yield _fault(message, f"{reader.path} program.sources[{index}]", FIX)


def _check_journals(reader: BundleReader) -> Iterator[BundleError]:
    """Yield the first fault of journals and artifacts, and calls whose last end differs from the recorded decision."""
    if reader.version is Version.V3:
        return
    try:
        for seq, recorded in enumerate(BundleJournals(reader).episodes()):
            decision, episode = recorded.decision, recorded.episode
            if episode is not None and episode.entries[0].calls[-1].end.termination != decision.termination:
                message = f"the journal of event '{decision.event_id}' ends otherwise than its decision says"
                yield _fault(message, f"{reader.path} decisions[{seq}].termination", FIX)
    except BundleError as error:
        yield error


def _check_members(reader: BundleReader) -> Iterator[BundleError]:
    """Yield the faults of the members at the top that are not lists of records."""
    for name, text in reader.member_texts():
        yield from _check_closed(text, WireConstraints if name == "config" else None, reader.version, name)


def _check_records(reader: BundleReader) -> Iterator[BundleError]:
    for index, decision in enumerate(reader.decisions()):
        yield from _check_acks(decision, index)
    forms = EVENT_FORMS[reader.version], WireDecision, None
    texts = reader.event_texts(), reader.decision_texts(), reader.journal_texts()
    for name, form, records in zip(("events", "decisions", "journals"), forms, texts, strict=True):
        for index, text in enumerate(records):
            yield from _check_closed(text, form, reader.version, f"{name}[{index}]")


def _check_pairs(reader: BundleReader) -> Iterator[BundleError]:
    """Yield what a replay finds as well: wrong hashes, events and decisions that do not belong together."""
    newer = has_newer_texts(reader) and bool(has_newer_hashes(reader))
    for index, (event, decision) in enumerate(zip_longest(reader.events(), reader.decisions())):
        if event is not None:
            yield from _check_event(event, index)
        if decision is not None:
            yield from _check_termination(decision, index)
            yield from _check_effects(decision, index, newer=newer)
        yield from check_pair(event, decision, index)


def _check_effects(decision: DecisionRecord, index: int, *, newer: bool) -> Iterator[BundleError]:
    for position, captured in enumerate(decision.effects):
        if not captured.has_own_hash(newer=newer):
            message = f"effect {position} of event '{decision.event_id}' does not match its effect_hash"
            yield _fault(message, f"decisions[{index}].effects[{position}]")


def _check_event(event: EventRecord, index: int) -> Iterator[BundleError]:
    if payload_hash(event.payload) != event.payload_hash:
        message = f"the payload of event '{event.event_id}' does not match its payload_hash"
        yield BundleError("replay.hash_mismatch", message, where=f"events[{index}] event '{event.event_id}'", fix=_FIX)
    try:
        check_nesting(event.payload)
    except JsonError as error:
        message = f"the payload of event '{event.event_id}' cannot be read: {error}"
        where = f"events[{index}].payload event '{event.event_id}'"
        yield BundleError("replay.event_rehydrate_failed", message, where=where, fix=_FIX)


def _check_termination(decision: DecisionRecord, index: int) -> Iterator[BundleError]:
    where = f"decisions[{index}] event '{decision.event_id}'"
    invoked = decision.decision is Decision.INVOKE
    if invoked != (decision.termination is not None):
        has = "no termination" if invoked else "a termination"
        yield _fault(f"the decision {decision.decision.value} for event '{decision.event_id}' has {has}", where)


def _check_acks(decision: DecisionRecord, index: int) -> Iterator[BundleError]:
    intents = set[str]()
    for captured in decision.effects:
        intents.update(intent.intent_id for intent in captured.effect.intents)
    for position, ack in enumerate(decision.intent_acks):
        if ack.intent_id not in intents:
            message = f"an ack names intent '{ack.intent_id}', which the decision does not have"
            yield _fault(message, f"decisions[{index}].intent_acks[{position}]")


def check_pair(event: EventRecord | None, decision: DecisionRecord | None, index: int) -> Iterator[BundleError]:
    """Yield what is wrong where event and decision at one place do not belong together; None is none at all."""
    if event is None:
        yield _fault(f"decision {index} has no event", f"decisions[{index}]")
    elif decision is None:
        yield _fault(f"event '{event.event_id}' has no decision", f"events[{index}]")
    elif event.event_id != decision.event_id:
        message = f"decision {index} is for event '{decision.event_id}', event {index} is '{event.event_id}'"
        yield _fault(message, f"decisions[{index}].event_id")


def _check_closed(text: bytes, form: type[Struct] | None, version: Version, where: str) -> Iterator[BundleError]:
    """Yield members of a text that are written twice, and members that ``form`` does not know, if it is given."""
    if may_repeat(text):
        yield from _duplicates(text, where)
    unknown = unknown_member(text, form) if form is not None and version is Version.V3 else None
    if unknown is not None:
        yield _fault(f"member '{unknown}' is unknown", where)


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
    except (ValueError, RecursionError) as error:  # in an unknown member, which v3 allows and readers skip
        yield _fault(f"an unknown member is not valid JSON: {error}", where)
    for name in repeated:
        yield _fault(f"member '{name}' is written twice in one object", where)


def _fault(message: str, where: str, fix: str = _FIX) -> BundleError:
    return BundleError(_INCONSISTENT, message, where=where, fix=fix)
