"""The schedules that the original's supervisor decided (conformance case 24)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ergo_cli.core.time import Duration
from ergo_cli.events.external import EventKind, ExternalEvent
from ergo_cli.supervisor.seam import Constraints
from ergo_cli.supervisor.supervisor import Supervisor
from ergo_cli.testing.logs import RecordingLog
from ergo_cli.testing.scripted import ScriptedInvoker

CASES = [
    "deadline_zero",
    "in_flight_0",
    "pump_only",
    "rate_max_only",
    "rate_time_backwards",
    "rate_zero_max",
    "subsecond",
]


def ns(time: dict[str, int] | None) -> int | None:
    return None if time is None else Duration(**time).ns


def wire(time: int | None) -> dict[str, int] | None:
    return None if time is None else dict(zip(("secs", "nanos"), divmod(time, 10**9), strict=True))


def decide(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    config = bundle["config"]
    constraints = Constraints(
        max_in_flight=config["max_in_flight"],
        max_per_window=config["max_per_window"],
        rate_window=ns(config["rate_window"]),
        deadline=ns(config["deadline"]),
        max_retries=config["max_retries"],
    )
    log = RecordingLog()
    supervisor = Supervisor(bundle["graph_id"], constraints, log, ScriptedInvoker())
    for event in bundle["events"]:
        at = Duration(**event["event_time"]).ns
        payload = bytes(event["payload"])
        supervisor.on_event(ExternalEvent.with_payload(event["event_id"], EventKind(event["kind"]), at, payload))
    return [
        {
            "event_id": entry.event.event_id,
            "decision": entry.decision.value,
            "schedule_at": wire(entry.schedule_at),
            "episode_id": entry.episode_id,
            "deadline": wire(entry.deadline),
            "termination": entry.termination and getattr(entry.termination, "value", None),
            "retry_count": entry.retry_count,
            "effects": [],
        }
        for entry in log.entries
    ]


@pytest.mark.parametrize("case", CASES)
def test_schedule(case: str, conformance: Path):
    bundle = json.loads((conformance / "24-constraints" / f"{case}.json").read_text())
    assert decide(bundle) == bundle["decisions"]
