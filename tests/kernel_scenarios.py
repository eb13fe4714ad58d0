"""Runs scenario documents of spec 40 Annex B against the kernel, and says in one document what came of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from msgspec import Meta, Struct

from ergo_cli.core import wire
from ergo_cli.core.json import canonical
from ergo_cli.core.json import decode as decode_json
from ergo_cli.errors import StoreError
from ergo_cli.programs.kernel.companions.verification import event_stream_hash, tool_checksum
from ergo_cli.programs.kernel.engine.actions import ActionResult, Next, ResumeSignal
from ergo_cli.programs.kernel.engine.errors import ActionError, ActionErrorRecord, KernelError, driver_error
from ergo_cli.programs.kernel.engine.events import (
    ActionFailed,
    ActionRequested,
    ActionSucceeded,
    Completed,
    Event,
    Interrupted,
    Resumed,
    RunBlocked,
    RunLog,
    RunStatus,
    SequencedEvent,
    StateUpdated,
    encode_event,
)
from ergo_cli.programs.kernel.engine.options import Extensions, KernelMode
from ergo_cli.programs.kernel.engine.policy import AllowAll, AllowList, Policy, RetryWithBackoff
from ergo_cli.programs.kernel.engine.state import Reducer, StateUpdatedOnly
from ergo_cli.programs.kernel.program import Kernel
from ergo_cli.stores.memory import MemoryJournal, MemorySnapshots
from ergo_cli.testing.kernel import CollectingEffectSink, ScriptedClock, ScriptedExecutor, ScriptedStep

Unsigned = Annotated[int, Meta(ge=0)]
DIGITS = {
    StateUpdated: 1,
    ActionRequested: 2,
    ActionSucceeded: 3,
    ActionFailed: 4,
    Interrupted: 5,
    Resumed: 6,
    Completed: 7,
}
TOOL = {"Do": {"CallTool": {"tool": "dummy", "input": None}}}
RETRY_3 = {
    "kind": "retry_with_backoff",
    "max_retries": 3,
    "backoff_base_ms": 0,
    "backoff_cap_ms": None,
    "jitter_ratio": 0.0,
    "inner": {"kind": "allow_all"},
}


def transient(message: str) -> dict[str, Any]:
    return {"Err": {"Executor": {"kind": "Transient", "message": message, "retry_after_ms": None}}}


def digits(state: int, event: SequencedEvent) -> int:
    """The reducer of 40 §10.6: one decimal digit an event."""
    return state * 10 + DIGITS[type(event.event)]


class ObservedSnapshots(MemorySnapshots):
    """Remembers every save in order; fails with ``full`` where it is given."""

    def __init__(self, full: str | None = None) -> None:
        super().__init__()
        self.saved: list[tuple[int, str]] = []
        self._full = full

    def save(self, run: str, at_seq: int, text: str, version: int = 0) -> None:
        if self._full is not None:
            raise StoreError("store.full", self._full, fix="make room")
        self.saved.append((at_seq, text))
        super().save(run, at_seq, text, version)


class Played(Struct):
    """A scenario that was run: its collaborators, to be looked at."""

    kernel: Kernel[Any]
    run_id: str
    step: ScriptedStep
    executor: ScriptedExecutor
    sink: CollectingEffectSink
    clock: ScriptedClock
    snapshots: ObservedSnapshots | None
    initial_state: Any
    status: RunStatus | None
    error: KernelError | None

    @property
    def events(self) -> list[str]:
        return [encode_event(event).decode() for event in events_of(self.kernel, self.run_id)]

    @property
    def effects(self) -> list[Any]:
        return [decode_json(wire.encode(effect)) for effect in self.sink.effects]

    @property
    def waits_ms(self) -> list[int]:
        return [duration // 1_000_000 for duration in self.clock.sleeps]

    def document(self) -> bytes:
        state = self.kernel.replay(self.run_id, self.initial_state)
        error = self.error
        return canonical(
            {
                "status": None if self.status is None else decode_json(wire.encode(self.status)),
                "error": None if error is None else {"code": error.code, "message": error.message},
                "events": [decode_json(text.encode()) for text in self.events],
                "event_stream_hash": event_stream_hash(self.kernel.journal, self.run_id),
                "tool_checksum": tool_checksum(self.kernel.journal, self.run_id),
                "state": state,
                "state_hash": self.kernel.codec.digest(state),
                "effects": self.effects,
                "snapshots": [[seq, decode_json(text.encode())] for seq, text in self.saved],
                "executor_calls": len(self.executor.calls),
                "waits_ms": self.waits_ms,
                "timeline": decode_json(wire.encode(self.kernel.run_timeline(self.run_id))),
            }
        )

    @property
    def saved(self) -> list[tuple[int, str]]:
        return [] if self.snapshots is None else self.snapshots.saved


def play(scenario: dict[str, Any], extensions: Extensions = Extensions()) -> Played:
    """Run a scenario; what it leaves out is as in the common fixtures of 40 §21."""
    run_id, state = scenario["run_id"], scenario.get("state", Unsigned)
    step = ScriptedStep(map(_answer, scenario.get("steps", [])))
    executor = ScriptedExecutor(map(_result, scenario.get("executor", [])))
    sink, clock = CollectingEffectSink(), ScriptedClock()
    full = scenario.get("snapshots_full")
    snapshots = ObservedSnapshots(full) if scenario.get("snapshots") else None
    journal = preloaded(run_id, [wire.read(event, Event) for event in scenario.get("preload", [])])
    for at_seq, value in scenario.get("preload_snapshots", []):
        assert snapshots is not None
        MemorySnapshots.save(snapshots, run_id, at_seq, canonical(value).decode())
    kernel = Kernel[Any](
        journal=journal,
        reducer=reducer_of(scenario.get("reducer", "state_updated_only"), state),
        step=step,
        executor=executor,
        state=state,
        policy=_policy(scenario.get("policy", {"kind": "allow_all"})),
        snapshots=snapshots,
        effect_sink=sink,
        mode=KernelMode(scenario.get("mode", "Normal")),
        clock=clock,
        extensions=extensions,
    )
    initial = scenario.get("initial_state", 0)
    played = Played(kernel, run_id, step, executor, sink, clock, snapshots, initial, None, None)
    try:
        played.status = kernel.run_until_blocked(run_id, initial)
        for signal in scenario.get("resume", []):
            assert isinstance(played.status, RunBlocked)
            played.status = kernel.resume(run_id, initial, wire.read(signal, ResumeSignal))
    except KernelError as error:
        played.status, played.error = None, error
    return played


def preloaded(run_id: str, events: Iterable[Event]) -> MemoryJournal:
    """A journal in memory that holds a run already."""
    journal = MemoryJournal()
    journal.append(run_id, [encode_event(event).decode() for event in events])
    return journal


def events_of(kernel: Kernel[Any], run_id: str) -> list[Event]:
    return [event.event for event in RunLog(kernel.journal, run_id).scan()]


def reducer_of(name: str, state: Any) -> Reducer[Any]:
    return {"state_updated_only": StateUpdatedOnly(state), "digits": digits}[name]


def _answer(entry: Any) -> Next | Exception:
    return _error(entry["Err"]) if isinstance(entry, dict) and "Err" in entry else wire.read(entry, Next)


def _result(entry: Any) -> ActionResult | Exception:
    return _error(entry["Err"]) if "Err" in entry else wire.read(entry, ActionResult)


def _error(entry: dict[str, Any]) -> KernelError:
    if "Driver" in entry:
        return driver_error(entry["Driver"])
    record: ActionErrorRecord = wire.read(entry["Executor"], ActionErrorRecord)
    error: ActionError = record.error()
    return error


def _policy(entry: dict[str, Any]) -> Policy:
    match entry["kind"]:
        case "allow_list":
            return AllowList(entry.get("tools", ()), entry.get("providers", ()))
        case "retry_with_backoff":
            return RetryWithBackoff(
                _policy(entry["inner"]),
                entry["max_retries"],
                entry["backoff_base_ms"],
                backoff_cap_ms=entry["backoff_cap_ms"],
                jitter_ratio=entry["jitter_ratio"],
            )
        case _:
            return AllowAll()
