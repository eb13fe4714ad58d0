"""Record a bundle anew: its own events through today's program, the world's answers as they were recorded."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.bundle.journals import BundleJournals, Recorded
from ergo_cli.bundle.reader import BundleReader
from ergo_cli.bundle.schema import (
    BundleSink,
    CapturedEffect,
    DecisionRecord,
    EventRecord,
    Header,
    ProgramRecord,
    TextDigest,
    rehydrate_for_replay,
)
from ergo_cli.bundle.style import Style
from ergo_cli.bundle.writer import BundleWriter
from ergo_cli.core.numbers import Numbers
from ergo_cli.errors import ReplayError
from ergo_cli.events.adapter import Adapter, adapter_provenance, context_rule
from ergo_cli.host.effects import ApplyEffects, EffectSink, IgnoreEffects, StepEvidence, replay_owned_kinds
from ergo_cli.host.outputs import JournalSink, Outputs
from ergo_cli.programs.answers import AnsweredInvoker, AnswerMissing, RunsOnAnswers
from ergo_cli.programs.program import AnyProgram
from ergo_cli.project.finding import FoundProgram
from ergo_cli.supervisor.seam import EffectfulInvoker
from ergo_cli.supervisor.supervisor import Decider
from ergo_cli.tools.accept.memory import Change, Memory

_NO_CHANNELS = StepEvidence(None)


class Rerecorded(Struct, frozen=True):
    """A new recording: its fingerprint, and how many of its events hold other values of the context."""

    fingerprint: str
    rebound: int


def rerecord(
    reader: BundleReader,
    found: FoundProgram,
    numbers: Numbers,
    destination: str,
    on_event: Callable[[], None] | None,
    change: Change | None = None,
) -> Rerecorded:
    """Write the bundle that ``reader``'s events and answers make of today's program, in the form of the old one.

    ``change`` makes other payloads of theirs, which the adapter binds again.

    Raises ReplayError ``accept.answer_missing``, ``accept.context_unclear``, ``accept.unpaired``, and what a replay
    or a capture of it raises.
    """
    program, header = found.program, reader.header
    digest = TextDigest()
    today = Header(program.graph_id, header.constraints, program.provenance, adapter_provenance(found.adapter))
    with BundleWriter(
        destination, today, pretty=reader.style is Style.PRETTY, program=_record(reader, found), copy=digest.update
    ) as writer:
        outputs = Outputs(writer, None, None)
        effects = _effects(program, found.adapter)
        is_bound = program.kind.acting is None or change is not None
        memory = Memory(found.adapter if is_bound else None, effects.store.values, change)
        _step_all(reader, found, numbers, outputs, effects, memory, on_event)
        outputs.keep(reader.egress_provenance, is_broken=False, is_stopped=False, is_beside=False)
    return Rerecorded(digest.text(), memory.changed)


def write_with_events(reader: BundleReader, events: Iterable[EventRecord], destination: str) -> None:
    """Write what the bundle decided beside other ``events``: what a replay of these compares with."""
    with BundleWriter(destination, reader.header, program=reader.program) as writer:
        for event in events:
            writer.event(event)
        for decision in reader.decisions():
            writer.decision(decision)
        writer.commit(reader.egress_provenance)


def _step_all(
    reader: BundleReader,
    found: FoundProgram,
    numbers: Numbers,
    outputs: Outputs,
    effects: EffectSink,
    memory: Memory,
    on_event: Callable[[], None] | None,
) -> None:
    """Step every event with what was recorded of it, and close the program."""
    program, rule = found.program, context_rule(found.adapter)
    invoker, answered, sink = _parts(reader, program, outputs)
    decide = Decider(program.graph_id, reader.header.constraints, invoker).decide
    journals = BundleJournals(reader)
    recorded = journals.episodes()
    for event in reader.events():
        was = _paired(reader, event, next(recorded, None))
        bound = memory.rebound(event)
        if answered is not None:
            answered.serve(was.episode)
        try:
            entry, produced = decide(rehydrate_for_replay(bound, numbers, rule))
        except AnswerMissing as missing:
            raise _missing(reader, found, missing, event.event_id) from missing
        if produced:
            effects.realise(produced, _NO_CHANNELS)
        memory.decided(was.decision)
        captured = tuple([CapturedEffect.rendered(effect.text) for effect in produced])
        sink.event(bound)
        sink.decision(_with_evidence(DecisionRecord.of(entry, captured), was.decision))
        if on_event is not None:
            on_event()
    for surplus in recorded:
        _paired(reader, None, surplus)
    if answered is not None and isinstance(sink, JournalSink):
        answered.serve(journals.closing)
        try:
            sink.close(False)
        except AnswerMissing as missing:
            raise _missing(reader, found, missing, None) from missing


def _parts(
    reader: BundleReader, program: AnyProgram, outputs: Outputs
) -> tuple[EffectfulInvoker, AnsweredInvoker | None, BundleSink]:
    """The invoker of a new recording, what answers it, and what takes its records."""
    computing, acting = program.kind.computing, program.kind.acting
    if computing is not None:
        return computing.invoker(program.value), None, outputs.sink
    assert acting is not None, "a kind computes or acts"
    if not isinstance(acting, RunsOnAnswers):
        message = f"{program.kind.name} programs cannot be run on recorded answers"
        raise ReplayError("accept.unsupported", message, where=reader.path, fix="capture the events again")
    answered = acting.answered(program.value)
    return answered, answered, JournalSink(answered, outputs.sink, outputs.episodes)


def _record(reader: BundleReader, found: FoundProgram) -> ProgramRecord | None:
    """The program record, where the old bundle has one: with texts where those were embedded."""
    if reader.program is None:
        return None
    embedded = reader.program.sources is not None
    return ProgramRecord(found.program.kind.name, found.program.ref, found.sources if embedded else None)


def _effects(program: AnyProgram, adapter: Adapter | None) -> EffectSink:
    computing = program.kind.computing
    if computing is None:
        return IgnoreEffects()
    return ApplyEffects(adapter, replay_owned_kinds(computing.emits(program.value), adapter))


def _paired(reader: BundleReader, event: EventRecord | None, was: Recorded | None) -> Recorded:
    """The decision of an event. Raises ReplayError ``accept.unpaired`` where they do not belong together."""
    if event is not None and was is not None and event.event_id == was.decision.event_id:
        return was
    message = f"the events and the decisions of '{reader.path}' do not belong together one by one"
    fix = "restore the bundle from where it came, or capture the events again"
    raise ReplayError("accept.unpaired", message, where=reader.path, fix=fix)


def _with_evidence(today: DecisionRecord, was: DecisionRecord) -> DecisionRecord:
    """Today's decision with what channels said of the intents that are the same still."""
    if not was.intent_acks and was.interruption is None:
        return today
    kept = {intent.intent_id: intent for captured in was.effects for intent in captured.effect.intents}
    same = {
        intent.intent_id
        for captured in today.effects
        for intent in captured.effect.intents
        if kept.get(intent.intent_id) == intent
    }
    acks = tuple(ack for ack in was.intent_acks if ack.intent_id in same)
    return replace(today, intent_acks=acks, interruption=was.interruption if today.effects == was.effects else None)


def _missing(reader: BundleReader, found: FoundProgram, missing: AnswerMissing, event_id: str | None) -> ReplayError:
    profile = found.profile
    is_kept = profile is not None and profile.capture.resolve() == Path(reader.path).resolve()
    command = f", with ergo capture -p {shlex.quote(profile.name)}" if profile is not None and is_kept else ""
    at = "when the program is closed" if event_id is None else f"event '{event_id}'"
    return ReplayError(
        "accept.answer_missing",
        f"today's program asks the world for what was never recorded: {missing.asked}",
        where=f"{reader.path} {at} {missing.place}".rstrip(),
        fix=f"capture the events again{command}: only the world can answer",
    )
