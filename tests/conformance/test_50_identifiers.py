"""Spec 50 §24, identifiers and JSON: C-1 to C-10."""

from __future__ import annotations

import json
from typing import Any

import pytest
from plan_lab import NONE, RUN, reads

from ergo_cli.core import wire
from ergo_cli.programs.plan.errors import ErrorCategory, ErrorInfo, RunForm
from ergo_cli.programs.plan.events import DomainEvent, RunCompleted, RunStatus, read_line
from ergo_cli.programs.plan.ids import (
    ArtifactId,
    IdError,
    OpId,
    StateId,
    is_op_path,
    is_segment,
    is_state_id,
    op_id,
)
from ergo_cli.programs.plan.manifest import Delay, EventProfile, ExecutionMode, IoMode, RunConfig, run_config
from ergo_cli.programs.plan.states import PlanFault


@pytest.mark.parametrize("text", ["a", "a0", "a_0b", "a" * 63])
def test_c50_01_a_segment(text: str) -> None:
    assert is_segment(text)


@pytest.mark.parametrize("text", ["", "_a", "A", "a-1", "0a", "a" * 64, "a\n"])
def test_c50_01_what_is_no_segment(text: str) -> None:
    assert not is_segment(text)


@pytest.mark.parametrize(
    ("text", "is_path"),
    [
        ("machine.main", True),
        ("m0._", False),
        ("machine", False),
        ("machine.main.extra", False),
        ("Machine.main", False),
        ("machine.ma-in", False),
    ],
)
def test_c50_02_an_operation_path(text: str, is_path: bool) -> None:
    assert is_op_path(text) is is_path


@pytest.mark.parametrize(
    ("text", "is_id"),
    [
        ("machine.main.setup", True),
        ("machine.main", False),
        ("machine.main.setup.extra", False),
        ("machine.Main.setup", False),
        ("machine.main.set-up", False),
    ],
)
def test_c50_03_a_state_id(text: str, is_id: bool) -> None:
    assert is_state_id(text) is is_id
    assert reads(StateId, text) is is_id


def test_c50_04_an_operation_id() -> None:
    assert op_id("portfolio_tracker") == "portfolio_tracker"
    for text in ("PortfolioTracker", "portfolio-tracker"):
        with pytest.raises(IdError, match=f"^invalid op_id: {text}$"):
            op_id(text)
    assert not reads(OpId, "bad-op")
    assert not reads(StateId, "machine.main.extra.parts")


@pytest.mark.parametrize(
    ("text", "is_id"),
    [
        ("0" * 64, True),
        ("a" * 64, True),
        ("A" * 64, False),
        ("g" * 64, False),
        ("a" * 63, False),
        ("a" * 65, False),
        ("artifact_123", False),
        ("a" * 64 + "\n", False),
    ],
)
def test_c50_05_an_artifact_id(text: str, is_id: bool) -> None:
    assert reads(ArtifactId, text) is is_id


@pytest.mark.parametrize(
    ("text", "is_code"),
    [
        ("missing_fact_key", True),
        ("MissingFactKey", False),
        ("missing-fact-key", False),
        ("0missing_fact_key", False),
        ("a" * 64, False),
    ],
)
def test_c50_06_an_error_code(text: str, is_code: bool) -> None:
    info = {"code": text, "category": "Unknown", "retryable": False, "message": "", "details": None}
    assert reads(ErrorInfo, info) is is_code
    if is_code:
        assert ErrorInfo(text, ErrorCategory.UNKNOWN, False, "").code == text
    else:
        with pytest.raises(IdError):
            ErrorInfo(text, ErrorCategory.UNKNOWN, False, "")


def test_c50_07_absent_optionals_are_null() -> None:
    assert wire.encode(DomainEvent("n", 1)) == b'{"name":"n","payload":1,"payload_ref":null}'
    assert wire.encode(RunCompleted(RunStatus.FAILED, None)).endswith(b'{"status":"Failed","final_snapshot_id":null}}')
    domain = {"run_id": RUN, "seq": 1, "event": {"Domain": {"name": "n", "payload": 1}}}
    read = read_line(json.dumps(domain).encode())
    assert (read.ts_millis, read.domain) == (None, DomainEvent("n", 1, None))
    ended = {"run_id": RUN, "seq": 1, "event": {"Kernel": {"RunCompleted": {"status": "Completed"}}}}
    assert read_line(json.dumps(ended).encode()).kernel == RunCompleted(RunStatus.COMPLETED, None)
    info = {"code": "c", "category": "Unknown", "retryable": False, "message": ""}
    assert wire.read(info, ErrorInfo).details is None


def test_c50_08_a_configuration_without_its_optional_member() -> None:
    written: dict[str, Any] = json.loads(wire.encode(run_config()))
    del written["nix_flake_allowlist"]
    assert wire.read(written, RunConfig).nix_flake_allowlist == ("github:willyrgf/mfm",)
    del written["skip_tags"]
    assert not reads(RunConfig, written)


def test_c50_09_a_duration() -> None:
    assert json.loads(wire.encode(Delay(1_500_000_000))) == {"secs": 1, "nanos": 500_000_000}


INFO = {"code": "c", "category": "OnChain", "retryable": True, "message": "m", "details": {"a": 1}}


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        (IoMode, "Live"),
        (IoMode, "Replay"),
        (EventProfile, "Minimal"),
        (EventProfile, {"Custom": "audit"}),
        (ExecutionMode, "Sequential"),
        (ExecutionMode, {"FanOutJoin": {"max_concurrency": 2}}),
        (PlanFault, "EmptyPlan"),
        (PlanFault, {"DuplicateStateId": {"state_id": "a.b.c"}}),
        (PlanFault, {"MissingStateForEdge": {"missing": "a.b.c"}}),
        (PlanFault, {"CircularDependency": {"cycle": ["a.b.c"]}}),
        (RunForm, {"InvalidPlan": INFO}),
        (RunForm, {"Storage": {"NotFound": INFO}}),
        (RunForm, {"Storage": {"Concurrency": INFO}}),
        (RunForm, {"Context": {"MissingKey": {"key": "k", "info": INFO}}}),
        (RunForm, {"Io": {"MissingFact": {"key": NONE, "info": INFO}}}),
        (RunForm, {"Io": {"RateLimited": INFO}}),
        (RunForm, {"State": {"state_id": None, "info": INFO}}),
        (RunForm, {"Other": INFO}),
    ],
    ids=str,
)
def test_c50_10_forms_of_enumerations(kind: Any, form: Any) -> None:
    text = wire.encode(wire.read(form, kind))
    assert json.loads(text) == form
