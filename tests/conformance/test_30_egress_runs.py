"""Spec 30, lines of runs with intents: C-31 to C-33, C-35, C-64, C-71, C-76, C-78, C-80 to C-82, C-88, C-137."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ergo_cli.channels import interruption
from ergo_cli.channels.interruption import Interruption
from ergo_cli.channels.timeouts import ChannelPolicy
from ergo_cli.errors import ErgoError
from ergo_cli.host.effects import check_ownership
from ergo_cli.host.perform import KeepRequest, RunOptions, RunResult, perform
from ergo_cli.host.run_plan import Bounds, RunRequest, plan_run
from ergo_cli.project.finding import ProgramFlags
from tests.channels.egress_channels import left_behind
from tests.channels.samples import FIRST_INTENT, KIND, READY, SAMPLE_FLOW, sample_program, sample_project, send, told
from tests.support.events import event_line

MINUTE = 60_000_000_000
PATIENT = ChannelPolicy(startup=MINUTE, shutdown=MINUTE)
HASTY = ChannelPolicy(startup=MINUTE, shutdown=2_000_000_000)
ALL_EARS = ChannelPolicy(startup=MINUTE, shutdown=MINUTE, settle=MINUTE)
"""For channels that do something after their last acknowledgement, however long they take to come to it."""

Capture = Callable[..., RunResult]


@pytest.fixture
def capture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Capture:
    """Runs the profile of a sample project, keeping its bundle in ``capture.json``; no process may be left of it."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(project: Path, bounds: Bounds = Bounds(), policy: ChannelPolicy = PATIENT) -> RunResult:
        request = RunRequest(ProgramFlags(profile="historical", project=project), bounds=bounds)
        try:
            return perform(plan_run(request), KeepRequest(tmp_path / "capture.json"), options=RunOptions(policy=policy))
        finally:
            assert left_behind(tmp_path) == []

    return run


def decisions(result: RunResult) -> list[dict[str, Any]]:
    assert result.bundle is not None
    return json.loads(Path(result.bundle).read_text())["decisions"]


def refusal(act: Callable[[], object]) -> ErgoError:
    with pytest.raises(ErgoError) as caught:
        act()
    assert caught.value.code == "host.configuration_invalid"
    assert caught.value.fix
    return caught.value


def test_c30_31_every_kind_has_one_owner() -> None:
    loaded = sample_program()
    emitted, adapter = loaded.program.value.emittable_kinds, loaded.adapter
    assert emitted == {"set_context", KIND}
    missing = refusal(lambda: check_ownership(emitted, adapter))
    assert missing.details == ("MissingHandler", f"kind={KIND}")
    assert check_ownership(emitted, adapter, {KIND}) == ()
    both = refusal(lambda: check_ownership(emitted, adapter, {KIND, "set_context"}))
    assert both.details == ("ConflictingCoverage", "kind=set_context")


def test_c30_32_what_the_adapter_does_not_accept_is_no_obligation(tmp_path: Path) -> None:
    text = (SAMPLE_FLOW / "adapters" / "sample.yaml").read_text()
    start, end = text.index(f"    - name: {KIND}"), text.index("capture:")
    extra = text[start:end].replace(KIND, "cancel_sample")
    for name, accepted in {"less": "", "more": text[start:end] + extra}.items():
        (tmp_path / name).write_text(text[:start] + accepted + text[end:])
        loaded = sample_program(tmp_path / name)
        routed = {KIND} if accepted else None
        assert check_ownership(loaded.program.value.emittable_kinds, loaded.adapter, routed) == ()


def test_c30_33_a_route_that_the_adapter_does_not_accept() -> None:
    loaded = sample_program()
    error = refusal(lambda: check_ownership(loaded.program.value.emittable_kinds, loaded.adapter, {KIND, "zap", "abc"}))
    assert "'abc'" in error.message
    assert ["'zap'" in cause.message for cause in error.causes] == [True]


def test_c30_35_owners_that_contradict_each_other() -> None:
    loaded = sample_program()
    emitted, adapter = loaded.program.value.emittable_kinds, loaded.adapter
    errors = [
        refusal(lambda: check_ownership(emitted, None, {KIND})),
        refusal(lambda: check_ownership(emitted, adapter, {KIND}, {KIND})),
        refusal(lambda: check_ownership(emitted, adapter, None, {KIND, "set_context"})),
        refusal(lambda: check_ownership(emitted, None, None, {KIND})),
    ]
    assert len({error.message for error in errors}) == len(errors)
    assert "'set_context'" in errors[2].message


def test_c30_71_the_provenance_is_kept_though_no_intent_went_out(capture: Capture, tmp_path: Path) -> None:
    project = sample_project(tmp_path)
    pump = {"type": "Pump", "semantic_kind": "sample_event", "payload": {"message": "x"}}
    (project / "fixtures" / "historical.jsonl").write_text(event_line(pump).decode())
    result = capture(project)
    assert result.summary.deferred == 1
    assert told(project) == ["end"]
    bundle = json.loads(Path(str(result.bundle)).read_text())
    assert list(bundle)[-1] == "egress_provenance"
    assert bundle["egress_provenance"].startswith("epv1:sha256:")


def test_c30_76_a_channel_that_falls_silent(capture: Capture, tmp_path: Path) -> None:
    project = sample_project(tmp_path, READY, "read", "ack", "read", "sleep", ack_timeout="2s")
    send(project, a="1", b="2", c="3")
    result = capture(project)
    first, second = decisions(result)
    (intent,) = second["effects"][1]["effect"]["intents"]
    assert result.summary.events == 2
    assert result.interruption == Interruption("egress_ack_timeout", "sample_outbox", intent["intent_id"])
    assert len(first["intent_acks"]) == 1
    assert "interruption" not in first
    assert second["interruption"] == (
        f"egress dispatch failed: ack timeout on channel 'sample_outbox' for intent '{intent['intent_id']}'"
    )
    assert [captured["effect"]["kind"] for captured in second["effects"]] == ["set_context", KIND]
    assert "intent_acks" not in second


@pytest.mark.parametrize("step", ["ack:zzz", "exit:1", "say:what"])
def test_c30_78_a_failure_at_the_first_event_is_kept(capture: Capture, tmp_path: Path, step: str) -> None:
    result = capture(sample_project(tmp_path, READY, "read", step))
    assert result.interruption is not None
    assert result.interruption.code in {"egress_protocol_violation", "egress_io"}
    assert result.summary.events == len(decisions(result)) == 1
    assert decisions(result)[0]["interruption"].startswith("egress dispatch failed: ")


def test_c30_80_what_was_acknowledged_before_the_failure_is_kept(capture: Capture, tmp_path: Path) -> None:
    project = sample_project(tmp_path, READY, "read", "ack", "read", "sleep", ack_timeout="2s")
    graph = project / "graphs" / "strategy.yaml"
    text = graph.read_text().replace("  src:", "  zagain: {impl: publish_sample_action@0.1.0}\n  src:")
    graph.write_text(text + "  - emit.event -> zagain.event\n  - src.message -> zagain.message\n")
    result = capture(project)
    (decision,) = decisions(result)
    assert [ack["intent_id"] for ack in decision["intent_acks"]] == [FIRST_INTENT]
    assert decision["interruption"].startswith("egress dispatch failed: ack timeout")
    assert len(decision["effects"]) == 4


def test_c30_81_a_line_after_the_last_ack_leaves_the_capture(capture: Capture, tmp_path: Path) -> None:
    project = sample_project(tmp_path, READY, "read", "ack", "say:and another thing", "read")
    result = capture(project, policy=ALL_EARS)
    assert result.interruption == Interruption("host_step_failed")
    assert result.error is not None
    assert result.error.code == "host.step_failed"
    assert "and another thing" in result.error.message
    assert len(decisions(result)[0]["intent_acks"]) == 1


def test_c30_81_a_channel_that_leaves_is_forgiven_after_a_host_stop(capture: Capture, tmp_path: Path) -> None:
    steps = (READY, "read", "ack", "exit:0")
    stopped = capture(sample_project(tmp_path / "stopped", *steps), Bounds(max_events=1), ALL_EARS)
    assert (stopped.interruption, stopped.error) == (Interruption("host_stop_requested"), None)
    gone = capture(sample_project(tmp_path / "gone", *steps), policy=ALL_EARS)
    assert gone.interruption == Interruption("host_step_failed")


def test_c30_82_a_channel_that_ignores_the_end(capture: Capture, tmp_path: Path) -> None:
    project = sample_project(tmp_path, "stubborn", READY, "read", "ack", "read", "child", "sleep")
    result = capture(project, policy=HASTY)
    assert result.interruption == Interruption("host_step_failed")
    assert result.error is not None
    assert "within 2000 ms" in result.error.message
    assert told(project) == ["intent", "end"]
    assert len(decisions(result)[0]["intent_acks"]) == 1


def test_c30_64_a_host_stop_is_told_to_the_channels(capture: Capture, tmp_path: Path) -> None:
    project = sample_project(tmp_path)
    send(project, a="1", b="2")
    assert capture(project, Bounds(max_events=1)).interruption == Interruption("host_stop_requested")
    assert told(project) == ["intent", "end"]


def without(provenance: str, bundle: bytes) -> bytes:
    """A bundle without one of its fingerprints."""
    return re.sub(rb"%b:sha256:[0-9a-f]{64}" % provenance.encode(), b"", bundle)


def kept(result: RunResult) -> bytes:
    """The bundle, without the fingerprint of primitives, which are those of a test here."""
    return without("rpv1", Path(str(result.bundle)).read_bytes())


def test_c30_88_the_originals_bundle_with_acks(capture: Capture, tmp_path: Path, conformance: Path) -> None:
    project = sample_project(tmp_path, ack_timeout="5s")
    send(project, fixture_evt_1="hello-from-historical", m0="two", m1="three é", m2='{"q":1}')
    result = capture(project)
    original = conformance / "23-intents" / "historical.capture.json"
    assert kept(result) == without("rpv1", original.read_bytes())


def test_c30_88_the_originals_bundle_without_an_ack(capture: Capture, tmp_path: Path, conformance: Path) -> None:
    result = capture(sample_project(tmp_path, READY, "read", "sleep", ack_timeout="300ms"))
    original = conformance / "23-intents" / "egress_no_ack.json"
    assert kept(result) == without("rpv1", original.read_bytes())


@pytest.mark.parametrize(
    ("case", "step"),
    [
        ("egress_wrong_id", "ack:zzz"),
        ("egress_bad_status", "answer:rejected,durable"),
        ("egress_crash", "exit:1"),
    ],
)
def test_c30_88_the_originals_interrupted_bundles(
    capture: Capture, tmp_path: Path, conformance: Path, case: str, step: str
) -> None:
    result = capture(sample_project(tmp_path, READY, "read", step))
    original = without("rpv1", (conformance / "23-intents" / f"{case}.json").read_bytes())
    assert without("epv1", kept(result)) == without("epv1", original)  # the original waited for 300 ms at most


def test_c30_137_the_codes_of_interruptions() -> None:
    codes = {value for name, value in vars(interruption).items() if name.isupper()}
    assert codes == {
        "host_stop_requested",
        "driver_terminated",
        "protocol_violation",
        "driver_io",
        "egress_ack_timeout",
        "egress_protocol_violation",
        "egress_io",
        "host_step_failed",
    }


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("sleep", Interruption("egress_ack_timeout", "sample_outbox", FIRST_INTENT)),
        ("ack:zzz", Interruption("egress_protocol_violation", "sample_outbox")),
        ("exit:0", Interruption("egress_io", "sample_outbox")),
    ],
)
def test_c30_137_a_reason_keeps_the_channel_but_no_detail(
    capture: Capture, tmp_path: Path, step: str, expected: Interruption
) -> None:
    timeout = "300ms" if step == "sleep" else "20s"
    assert capture(sample_project(tmp_path, READY, "read", step, ack_timeout=timeout)).interruption == expected
