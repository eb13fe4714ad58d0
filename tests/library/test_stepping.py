"""A runner stepped by hand, and its states."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from ergo_cli import CaptureError, Ergo, ErgoError, EventKind, HostedEvent, ProfileRunner, StepError, errors
from ergo_cli.channels.timeouts import ChannelPolicy
from ergo_cli.host.effects import ApplyEffects
from ergo_cli.supervisor.seam import Decision
from tests.channels.egress_channels import left_behind
from tests.channels.samples import READY, sample_project, told
from tests.library.worlds import ALL_EARS, PATIENT, in_memory, tick_run, ticks
from tests.support.events import tick


def runner() -> ProfileRunner:
    return in_memory(p=tick_run(ticks(1))).runner_for_profile("p")


def channels(project: Path, policy: ChannelPolicy = PATIENT) -> ProfileRunner:
    return Ergo.builder().project_root(project).channel_policy(policy).build().runner_for_profile("historical")


def message(event_id: str) -> HostedEvent:
    return HostedEvent(event_id, EventKind.COMMAND, 0, "sample_event", {"message": "hi"})


def test_what_a_step_comes_to() -> None:
    with runner() as stepped:
        assert stepped.context_snapshot() == {}
        outcome = stepped.step(tick("a", 2.0))
        assert (outcome.decision, [effect.kind for effect in outcome.effects]) == (Decision.INVOKE, ["set_context"])
        assert stepped.step(tick("b", 3.0, EventKind.PUMP)).decision is Decision.DEFER
        assert stepped.context_snapshot() == {"y": 2.0}


def test_input_errors_leave_a_runner_as_it_was() -> None:
    with runner() as stepped:
        stepped.step(tick("a"))
        faults = {
            "input": tick("a"),
            "binding": replace(tick("b"), payload={"x": "one"}),
            "event_build": replace(tick("b"), payload={"x": float("nan")}),
        }
        for category, event in faults.items():
            with pytest.raises(StepError) as caught:
                stepped.step(event)
            assert (caught.value.category, caught.value.is_recoverable, caught.value.can_finish) == (
                category,
                True,
                False,
            )
            assert isinstance(caught.value.cause, ErgoError)
        stepped.step(tick("b"))
        assert [event.event_id for event in stepped.finish().events] == ["a", "b"]


def test_a_fatal_error_ends_everything_but_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    with runner() as stepped:
        stepped.step(tick("a", 1.0))
        with monkeypatch.context() as patch:
            patch.setattr(ApplyEffects, "realise", _unrealisable)
            with pytest.raises(StepError) as caught:
                stepped.step(tick("b"))
        assert (caught.value.category, caught.value.is_recoverable) == ("effect_apply", False)
        assert stepped.context_snapshot() == {"y": 1.0}
        with pytest.raises(StepError) as refused:
            stepped.step(tick("c"))
        with pytest.raises(CaptureError) as unfinished:
            stepped.finish()
        assert refused.value.category == "lifecycle"
        assert (unfinished.value.category, unfinished.value.bundle) == ("finalize", None)


def _unrealisable(*_: object) -> None:
    raise errors.StepError("EffectApply", "nothing that a sound program can do ends up here")


def test_channels_end_in_order_with_the_runner(tmp_path: Path) -> None:
    project = sample_project(tmp_path, READY, "serve")
    with channels(project) as stepped:
        stepped.step(message("a"))
        kept = stepped.finish()
        assert left_behind(project) == []
    assert told(project) == ["intent", "end"]
    assert len(kept.decisions[0].intent_acks) == 1
    assert kept.egress_provenance is not None


def test_leaving_a_runner_kills_its_channels(tmp_path: Path) -> None:
    project = sample_project(tmp_path, READY, "serve")
    stepped = channels(project)
    with stepped:
        stepped.step(message("a"))
    assert left_behind(project) == []
    assert told(project) == ["intent"]
    with pytest.raises(StepError) as caught:
        stepped.step(message("b"))
    assert caught.value.category == "lifecycle"


def test_a_channel_that_does_not_come_to_rest_costs_no_bundle(tmp_path: Path) -> None:
    project = sample_project(tmp_path, READY, "read", "ack", "exit:0")
    toml = (project / "ergo.toml").read_text()
    (project / "ergo.toml").write_text(toml + 'capture_output = "b.json"\n')
    with channels(project, ALL_EARS) as stepped:
        stepped.step(message("a"))
        with pytest.raises(CaptureError) as caught:
            stepped.finish_and_write_capture()
    assert caught.value.category == "finalize"
    assert caught.value.bundle is not None
    assert (project / "b.json").read_bytes() == caught.value.bundle.encode()
    assert left_behind(project) == []
