"""Spec 40 §21.12, canonical JSON: C-124 to C-127; every text of §3 byte for byte."""

from __future__ import annotations

from typing import Any

import pytest

from ergo_cli.core import wire
from ergo_cli.core.json import JsonError, NotCanonicalError, free_text
from ergo_cli.core.json import decode as decode_json
from ergo_cli.core.wire import Timestamp
from ergo_cli.programs.kernel.companions.evidence import EvidenceBundle, TestOutcome
from ergo_cli.programs.kernel.companions.interrupts import (
    ExecutionSuspension,
    InterruptKind,
    InterruptRecord,
    KernelInterrupt,
    KernelInterruptKind,
)
from ergo_cli.programs.kernel.companions.services import EffectLog, StepInput, StepRecord
from ergo_cli.programs.kernel.companions.verification import VerificationFailure
from ergo_cli.programs.kernel.engine.actions import Action, ActionResult, Next, ResumeSignal, RuntimeEffect
from ergo_cli.programs.kernel.engine.errors import ActionErrorRecord, KernelError
from ergo_cli.programs.kernel.engine.events import (
    Completed,
    Event,
    RunStatus,
    SequencedEvent,
    StateUpdated,
    decode_event,
    encode_event,
)
from ergo_cli.programs.kernel.engine.policy import Attempt
from ergo_cli.programs.kernel.engine.state import Snapshot
from ergo_cli.programs.kernel.replay.divergence import DivergenceReport
from ergo_cli.programs.kernel.runs.fork import ForkResult, ResumeDecision, ResumeResult
from ergo_cli.programs.kernel.runs.timeline import ExecutionLog, KernelTraceEvent, RunStatusSummary, RunTimeline

TEXTS: list[tuple[Any, str]] = [
    (Event, '{"StateUpdated":{"step_id":"n1","payload":{"a":[1.0,2,null,true],"b":1}}}'),
    (Event, '{"StateUpdated":{"step_id":null,"payload":null}}'),
    (Event, '{"ActionRequested":{"action_id":"run-1-1","payload":{"CallTool":{"input":null,"tool":"t1"}}}}'),
    (Event, '{"ActionSucceeded":{"action_id":"run-1-1","output":"ok"}}'),
    (Event, '{"ActionFailed":{"action_id":"run-1-1","error":"boom"}}'),
    (Event, '{"Interrupted":{"value":"pause"}}'),
    (Event, '{"Resumed":{"value":1}}'),
    (Event, '"Completed"'),
    (SequencedEvent, '{"seq":1,"event":"Completed"}'),
    (Action, '{"CallTool":{"tool":"t","input":{"x":1}}}'),
    (Action, '{"CallLLM":{"provider":"p","input":[]}}'),
    (Action, '{"Sleep":{"millis":250}}'),
    (Action, '{"WaitSignal":{"name":"approve"}}'),
    (ActionResult, '{"Success":{"a":1}}'),
    (ActionResult, '{"Failure":"text"}'),
    (ActionErrorRecord, '{"kind":"Transient","message":"soft","retry_after_ms":null}'),
    (Next, '{"Emit":[{"StateUpdated":{"step_id":null,"payload":1}},"Completed"]}'),
    (Next, '{"Do":{"CallTool":{"tool":"t","input":null}}}'),
    (Next, '{"Interrupt":{"value":"pause"}}'),
    (Next, '"Complete"'),
    (ResumeSignal, '{"Resume":1}'),
    (ResumeSignal, '{"Signal":{"name":"evt","value":1}}'),
    (RunStatus, '{"status":"Completed"}'),
    (RunStatus, '{"status":"Blocked","blocked":{"interrupt":{"value":"pause"},"wait_signal":null}}'),
    (RunStatus, '{"status":"Failed","recoverable":false}'),
    (Snapshot[Any], '{"run_id":"r","at_seq":2,"state":7}'),
    (Snapshot[Any], '{"run_id":"r","at_seq":2,"state":{"counter":1,"label":"x"}}'),
    (RuntimeEffect, '{"LLMCall":{"provider":"openai","input":{"model":"gpt-4"}}}'),
    (RuntimeEffect, '{"ToolCall":{"tool":"t","input":null}}'),
    (RuntimeEffect, '{"StateWrite":{"step_id":null,"payload":null}}'),
    (RuntimeEffect, '{"InterruptRaise":{"value":true}}'),
    (EffectLog, '{"run_id":"r","seq":3,"effect":{"InterruptRaise":{"value":true}},"timestamp_ms":null}'),
    (RunStatusSummary, '{"status":"Completed"}'),
    (RunStatusSummary, '{"status":"Blocked","interrupt":true}'),
    (RunStatusSummary, '{"status":"Failed","recoverable":false}'),
    (
        RunTimeline,
        '{"run_id":"run-retry-success","events":[{"seq":1,"kind":"ActionRequested","action_id":"run-retry-success-1"},'
        '{"seq":2,"kind":"ActionSucceeded","action_id":"run-retry-success-1"},{"seq":3,"kind":"Completed"}],'
        '"final_status":{"status":"Completed"}}',
    ),
    (
        ExecutionLog,
        '{"thread_id":"r","step_id":"n","event_index":1,"event":{"StateUpdated":{"step_id":"n","payload":1}},'
        '"state_hash":null}',
    ),
    (
        ExecutionLog,
        '{"thread_id":"r","step_id":null,"event_index":1,"event":"Completed","state_hash":['
        + ",".join(["7"] * 32)
        + "]}",
    ),
    (KernelTraceEvent, '{"run_id":"r","seq":1,"step_id":null,"action_id":null,"kind":"Completed"}'),
    (StepInput, '"Initial"'),
    (StepInput, '{"Resume":{"ok":true}}'),
    (StepInput, '{"Signal":{"name":"evt","value":1}}'),
    (StepRecord, '{"version":"V1","step_id":"s","input":"Initial"}'),
    (ResumeDecision, '{"value":1,"metadata":null}'),
    (ResumeResult[Any], '{"state":{"a":1},"events_replayed":3,"idempotent":false}'),
    (
        ForkResult[Any],
        '{"fork":{"source_run_id":"s","branch_id":"b","fork_point_seq":0,"alternate_event":null},"final_state":3}',
    ),
    (VerificationFailure, '{"StateHashMismatch":{"expected":"a","actual":"b"}}'),
    (VerificationFailure, '{"ToolChecksumMismatch":{"expected":"a","actual":"b"}}'),
    (VerificationFailure, '{"UnmatchedInterrupt":{"seq":1,"value":{"reason":"ask"}}}'),
    (VerificationFailure, '{"UnmatchedResume":{"seq":1}}'),
    (VerificationFailure, '"RunNotFound"'),
    (
        InterruptRecord,
        '{"id":"intr-1","thread_id":"run-1","kind":"HumanInTheLoop","payload_schema":{"type":"string"},'
        '"created_at":"2026-03-01T12:00:00Z","step_id":null}',
    ),
    (InterruptKind, '"ApprovalRequired"'),
    (InterruptKind, '"ToolCallWaiting"'),
    (InterruptKind, '{"Custom":"x"}'),
    (KernelInterruptKind, '"ResourceExhausted"'),
    (KernelInterruptKind, '"ErrorRecovery"'),
    (
        KernelInterrupt,
        '{"id":"ki-2","thread_id":"run-1","kind":"Checkpoint","status":"Pending","payload_schema":{},"checkpoint":'
        '{"seq":10,"state_snapshot":{"counter":5},"state_hash":"abc123","step_id":"step-1",'
        '"checkpointed_at":"2026-03-01T12:00:00Z"},"created_at":"2026-03-01T12:00:00Z",'
        '"updated_at":"2026-03-01T12:00:00Z","step_id":null,"reason":null,"metadata":null}',
    ),
    (
        ExecutionSuspension,
        '{"run_id":"r","state":"WaitingInput","state_changed_at":"2026-03-01T12:00:00.120Z","reason":null}',
    ),
    (TestOutcome, '{"test_name":"m::t","passed":false,"duration_ms":5,"failure_message":"err"}'),
    (
        EvidenceBundle,
        '{"bundle_id":"eb-1ec971a7e70f7fcc","mutation_hash":"sha256:aa","test_results":[{"test_name":"t::x",'
        '"passed":true,"duration_ms":0,"failure_message":null}],"replay_log_hash":"sha256:bb","assembled_at_ms":0,'
        '"bundle_hash":"fnv:0b6dcfdc53ea1746"}',
    ),
    (
        DivergenceReport,
        '{"run_id":"r","verdict":"diverged","kind":"EventMismatch","common_prefix":1,"first_divergent_seq":2,'
        '"expected":{"seq":2,"event":"Completed"},"actual":{"seq":2,"event":{"Interrupted":{"value":"pause"}}},'
        '"path":"/event","expected_hash":"aa","actual_hash":"bb"}',
    ),
    (Attempt, '{"action_id":"r-1","attempt":0,"kind":"RateLimited","message":"slow","delay_ms":2500}'),
]


@pytest.mark.parametrize(("kind", "text"), TEXTS, ids=[text[:60] for _, text in TEXTS])
def test_c40_124_every_text_is_read_and_written_byte_for_byte(kind: Any, text: str) -> None:
    record = wire.decode(text.encode(), kind)
    assert wire.encode(record).decode() == text
    assert wire.decode(wire.encode(record), kind) == record


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1.0"),
        (100.0, "100.0"),
        (1e15, "1000000000000000.0"),
        (1e16, "1e16"),
        (123456789012345680.0, "1.2345678901234568e17"),
        (1e21, "1e21"),
        (1e-5, "0.00001"),
        (1.5e-5, "0.000015"),
        (1e-6, "1e-6"),
        (1.5e-7, "1.5e-7"),
        (-0.0, "-0.0"),
        (5e-324, "5e-324"),
    ],
)
def test_c40_125_floats(value: float, text: str) -> None:
    assert free_text(value).decode() == text
    assert (
        encode_event(StateUpdated(None, [value])).decode()
        == f'{{"StateUpdated":{{"step_id":null,"payload":[{text}]}}}}'
    )


@pytest.mark.parametrize(
    ("text", "event"),
    [
        ('{"Completed":null}', Completed()),
        ('{"StateUpdated":{"payload":5}}', StateUpdated(None, 5)),
        ('{"StateUpdated":{"payload":5,"more":[1]}}', StateUpdated(None, 5)),
        ('{"StateUpdated":{"payload":5,"payload":6}}', StateUpdated(None, 6)),
        ('{"StateUpdated":{"payload":18446744073709551616}}', StateUpdated(None, 1.8446744073709552e19)),
    ],
)
def test_c40_126_what_reading_forgives(text: str, event: Event) -> None:
    assert decode_event(text.encode(), "r", 1) == event


@pytest.mark.parametrize(
    ("text", "code", "word"),
    [
        ('{"Completed":{}}', "kernel.corrupt_log", "Completed takes no value"),
        ('{"StateUpdated":{"step_id":"n"}}', "kernel.corrupt_log", "payload"),
        ('{"Resumed":{}}', "kernel.corrupt_log", "value"),
        ('{"ActionSucceeded":{"action_id":"a"}}', "kernel.corrupt_log", "output"),
        ('{"StateUpdated":[null,5]}', "kernel.corrupt_log", "must be an object"),
        (
            '{"Paused":{}}',
            "kernel.unknown_event",
            "StateUpdated, ActionRequested, ActionSucceeded, ActionFailed, Interrupted, Resumed, Completed",
        ),
        ('"Paused"', "kernel.unknown_event", "Completed"),
        ('{"Resumed":{"value":1}', "kernel.corrupt_log", "unexpected end"),
        ('"Completed" 1', "kernel.corrupt_log", "trailing"),
        ('{"Resumed":{"value":' + "[" * 127 + "]" * 127 + "}}", "kernel.corrupt_log", "nesting"),
    ],
)
def test_c40_126_what_reading_refuses(text: str, code: str, word: str) -> None:
    with pytest.raises(KernelError, match=word) as refused:
        decode_event(text.encode(), "r", 4)
    assert refused.value.code == code
    assert refused.value.where == "run 'r' seq 4"


def test_c40_126_a_negative_seq_is_refused() -> None:
    with pytest.raises(wire.WireError):
        wire.decode(b'{"seq":-1,"event":"Completed"}', SequencedEvent)
    assert wire.decode(b'{"event":"Completed","seq":2}', SequencedEvent) == SequencedEvent(2, Completed())
    with pytest.raises(JsonError):
        wire.decode(b'{"seq":1,"event":"Completed"', SequencedEvent)


@pytest.mark.parametrize(
    ("payload", "place"),
    [
        ({"a": [1, float("nan")]}, "/a/1"),
        ({"a": float("inf")}, "/a"),
        (float("-inf"), ""),
        ([2**64], "/0"),
        ([-(2**63) - 1], "/0"),
        ({"x/y~": "\ud800"}, "/x~1y~0"),
        ({"\udc00": 1}, ""),
    ],
)
def test_c40_127_what_canonical_json_cannot_hold_is_refused_with_its_place(payload: object, place: str) -> None:
    with pytest.raises(NotCanonicalError) as refused:
        free_text(payload)
    assert refused.value.place == place
    with pytest.raises(KernelError) as told:
        encode_event(StateUpdated("n", payload), "r", 1)
    assert told.value.code == "kernel.not_canonical"
    assert told.value.message.startswith(f"Driver error: StateUpdated{place}: ")
    assert told.value.where == "run 'r' seq 1"


@pytest.mark.parametrize("value", [2**64 - 1, -(2**63), 10**18, None, "null", "1234567890123456789012"])
def test_c40_127_what_only_looks_suspicious_is_written(value: object) -> None:
    assert decode_json(free_text([value])) == [value]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z"),
        ("2026-03-01T12:00:00.12Z", "2026-03-01T12:00:00.120Z"),
        ("2026-03-01T12:00:00.1205Z", "2026-03-01T12:00:00.120500Z"),
        ("2026-03-01T12:00:00.000000001Z", "2026-03-01T12:00:00.000000001Z"),
        ("2026-03-01T14:30:00+02:30", "2026-03-01T12:00:00Z"),
        ("2026-03-01t11:59:59.999-00:00", "2026-03-01T11:59:59.999Z"),
    ],
)
def test_rule_10_times_are_utc_with_as_many_digits_as_needed(text: str, written: str) -> None:
    assert Timestamp.from_wire(text).to_wire() == written


@pytest.mark.parametrize("text", ["2026-03-01", "2026-13-01T00:00:00Z", "2026-03-01T12:00:00", "yesterday"])
def test_rule_10_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"RFC 3339|month"):
        Timestamp.from_wire(text)
