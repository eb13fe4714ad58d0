"""Kernel bundles made in memory: programs driven live under a supervisor, the world scripted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from ergo_cli.bundle.memory import CaptureBundle, InMemoryBundle
from ergo_cli.bundle.reader import open_bundle
from ergo_cli.bundle.schema import (
    CapturedEffect,
    DecisionRecord,
    EventRecord,
    Header,
    JournalEntry,
    ProgramRecord,
    entry_digest,
)
from ergo_cli.core.json import free_text
from ergo_cli.core.time import Clock, StandingClock
from ergo_cli.events.external import EventKind, ExternalEvent
from ergo_cli.programs.kernel import Action, ActionCall, KernelProgram
from ergo_cli.programs.kernel.calls import RunIdRule
from ergo_cli.programs.kernel.invoker import KernelInvoker
from ergo_cli.programs.kernel.kind import KIND
from ergo_cli.programs.program import AnyProgram, Program
from ergo_cli.replay.engine import replay_bundle
from ergo_cli.replay.results import BundleResult, Divergence, Outcome, ReplayOptions, Target
from ergo_cli.stores.journals import EventJournal
from ergo_cli.stores.memory import MemoryJournal, MemorySnapshots
from ergo_cli.supervisor.seam import Constraints, Decision, LogEntry
from ergo_cli.supervisor.supervisor import Supervisor

PROVENANCE = f"kpv1:sha256:{'0' * 64}"
REF = "agent.program:program"
EXAMPLE = Path(__file__).parent / "replay" / "kernel" / "approve.capture.json"
"""The whole bundle of spec 00 §13.4."""

Execute = Callable[[Action, ActionCall], Any]


def command(event_id: str, **payload: Any) -> ExternalEvent:
    """An event at 0 with this payload."""
    return ExternalEvent.with_payload(event_id, EventKind.COMMAND, 0, free_text(payload))


class _Decisions:
    entry: LogEntry

    def log(self, entry: LogEntry) -> None:
        self.entry = entry


def capture(
    program: KernelProgram[Any],
    events: Iterable[ExternalEvent],
    execute: Execute,
    *,
    run_id: str | None = None,
    constraints: Constraints = Constraints(),
    clock: Clock = StandingClock(),
    journal: EventJournal | None = None,
    snapshots: MemorySnapshots | None = None,
) -> CaptureBundle:
    """The bundle of a live run."""
    runs = MemoryJournal() if journal is None else journal
    invoker = KernelInvoker(program, execute, runs, clock, RunIdRule.of(run_id), snapshots=snapshots)
    decisions = _Decisions()
    supervisor = Supervisor(program.name, constraints, decisions, invoker)
    bundle = InMemoryBundle(Header(program.name, constraints, PROVENANCE))
    for event in events:
        supervisor.on_event(event)
        record = DecisionRecord.of(decisions.entry)
        effects = tuple(CapturedEffect.of(effect) for effect in invoker.drain())
        bundle.event(EventRecord.of(event))
        bundle.decision(
            DecisionRecord(
                record.event_id,
                record.decision,
                record.schedule_at,
                record.episode_id,
                record.deadline,
                record.termination,
                record.retry_count,
                effects,
            )
        )
        if record.decision is Decision.INVOKE:
            [drained] = invoker.drain_journals()
            entry = JournalEntry(record.episode_id, drained.run_id, drained.records)
            bundle.episode([entry], drained.artifacts)
    return bundle.commit(program=ProgramRecord("kernel", REF))


def replay(
    bundle: CaptureBundle, program: KernelProgram[Any], *, strict: bool = False, provenance: str = PROVENANCE
) -> BundleResult:
    """The replay of a bundle with a program of this provenance."""
    return replay_bundle(bundle, Target(known(program, provenance)), ReplayOptions(strict=strict))


def known(program: KernelProgram[Any], provenance: str = PROVENANCE) -> AnyProgram:
    """A kernel program as the house sees it."""
    return Program(KIND, REF, program.graph_id, provenance, program)


def sealed(tree: dict[str, Any]) -> bytes:
    """The text of a v4 bundle whose members were changed, with a digest that fits again."""
    members = {name: member for name, member in tree.items() if name != "digest"}
    text = json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()[:-1]
    return text + b',"digest":"sha256:%b"}\n' % hashlib.sha256(text).hexdigest().encode()


def resealed_entry(entry: dict[str, Any]) -> None:
    """Give a journal entry a digest that fits its records again."""
    records: Sequence[Any] = entry["records"]
    texts = [json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() for record in records]
    entry["sha256"] = entry_digest(texts)


def artifact(tree: dict[str, Any], value: Any) -> str:
    """Put a JSON value among the artifacts of a bundle; returns its id."""
    digest = hashlib.sha256(free_text(value)).hexdigest()
    tree["artifacts"] = dict(sorted({**tree["artifacts"], digest: {"json": value}}.items()))
    return digest


def example() -> CaptureBundle:
    with open_bundle(str(EXAMPLE)) as reader:
        return reader.load()


def only(result: BundleResult) -> Divergence:
    assert result.error is None
    assert (result.outcome, result.divergence_count) == (Outcome.DIVERGED, 1)
    return result.divergences[0]


def told(result: BundleResult) -> list[tuple[str, str]]:
    return [(found.path, found.cause or found.kind.value) for found in result.divergences]
