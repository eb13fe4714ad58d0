"""Spec 30 §30, runs from a driver as a whole: C-41, C-46 to C-53, C-58 to C-62, with the bundles they keep."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from ergo_cli.channels.timeouts import ChannelPolicy
from ergo_cli.errors import ErgoError
from ergo_cli.host.run_plan import Bounds
from ergo_cli.host.timing import StopHandle
from tests.channels.ingress_drivers import MS, PATIENT, SHORT_TERMINATION, pid_in
from tests.channels.ingress_runs import Run, capture

PROTOCOL = ("driver.protocol_invalid", "protocol_violation")
TERMINATED = ("driver.start_failed", "driver_terminated")
STOPPED = (None, "host_stop_requested")

FAULTS = {
    "bad JSON": (("say:{oops",), PROTOCOL),
    "blank line": (("say:",), PROTOCOL),
    "array": (("say:[]",), PROTOCOL),
    "unknown type": (('say:{"type":"ping"}',), PROTOCOL),
    "second hello": (("hello",), PROTOCOL),
    "not UTF-8": (("bytes:ff0a",), PROTOCOL),
    "half a line": (('half:{"type":"ev',), PROTOCOL),
    "100 MB line": (("long:100",), PROTOCOL),
    "exit 0": (("exit:0",), TERMINATED),
    "exit 3": (("exit:3",), TERMINATED),
    "dies": (("die",), TERMINATED),
    "complains at length and dies": (("errflood:2", "exit:1"), TERMINATED),
    "closes its output": (("close", "sleep"), TERMINATED),
    "closes its output and ignores SIGTERM": (("stubborn", "close", "sleep"), TERMINATED),
}
"""What a driver can do wrong at any time, and how that is told before and after the first committed step."""


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def broken(run: Run) -> tuple[str | None, str | None]:
    return run.error, run.interruption


def grace_for(steps: tuple[str, ...]) -> ChannelPolicy:
    """A short grace only for drivers that overstay it: the others do what they do when they come to it."""
    return SHORT_TERMINATION if steps[-1] in ("sleep", "child") else PATIENT


def refusal(folder: Path, *steps: str, bounds: Bounds = Bounds(), policy: ChannelPolicy | None = None) -> ErgoError:
    with pytest.raises(ErgoError) as caught:
        capture(folder, *steps, bounds=bounds, policy=policy or grace_for(steps))
    assert caught.value.fix
    return caught.value


def test_c30_41_a_completed_run(tmp_path: Path) -> None:
    run = capture(tmp_path, "hello", "event", "end")
    assert broken(run) == (None, None)
    assert (run.result.summary.events, run.result.summary.episodes) == (1, 1)


@pytest.mark.parametrize(("steps", "codes"), FAULTS.values(), ids=FAULTS)
def test_c30_47_49_51_what_was_committed_is_kept(
    tmp_path: Path, steps: tuple[str, ...], codes: tuple[str, str]
) -> None:
    run = capture(tmp_path, "hello", "events:2", *steps, policy=grace_for(steps))
    assert broken(run) == codes
    assert run.ids == ["evt-1", "evt-2"]
    assert run.result.summary.episodes == 1


@pytest.mark.parametrize(("steps", "codes"), FAULTS.values(), ids=FAULTS)
def test_c30_48_nothing_is_kept_before_the_first_step(
    tmp_path: Path, steps: tuple[str, ...], codes: tuple[str, str]
) -> None:
    assert refusal(tmp_path, "hello", *steps).code == codes[0]


@pytest.mark.parametrize(
    "steps",
    [("sleep",), ("stubborn", "errflood:1", "sleep"), ('half:{"type":"hello",', "sleep"), ("child", "exit:0")],
    ids=" ".join,
)
def test_c30_44_nothing_is_kept_of_a_driver_without_hello(tmp_path: Path, steps: tuple[str, ...]) -> None:
    assert refusal(tmp_path, *steps, policy=ChannelPolicy(startup=300 * MS)).code == "driver.start_failed"


@pytest.mark.parametrize(
    ("steps", "code"),
    [
        (("exit:0",), "driver.start_failed"),
        (("flood",), "driver.protocol_invalid"),
        (("long:100",), "driver.protocol_invalid"),
        (("hello:v9", "sleep"), "driver.protocol_invalid"),
        (("hello", "end"), "driver.protocol_invalid"),
    ],
)
def test_c30_43_to_46_nothing_is_kept_of_a_bad_start(tmp_path: Path, steps: tuple[str, ...], code: str) -> None:
    assert refusal(tmp_path, *steps).code == code


@pytest.mark.parametrize(
    ("steps", "codes"),
    [
        (("exit:3",), TERMINATED),
        (("sleep",), TERMINATED),
        (("stubborn", "sleep"), TERMINATED),
        (("child",), TERMINATED),
        (("say:",), PROTOCOL),
        (("flood",), PROTOCOL),
        (("bytes:ff",), PROTOCOL),
        (("long:100",), PROTOCOL),
    ],
)
def test_c30_50_what_comes_after_end(tmp_path: Path, steps: tuple[str, ...], codes: tuple[str, str]) -> None:
    run = capture(tmp_path, "hello", "event", "end", *steps, policy=grace_for(steps))
    assert broken(run) == codes
    assert run.ids == ["evt-1"]


EVENT = 'say:{"type":"event","event":{"event_id":"a","kind":"Pump","at":[0,0]}}'
STEP_ERRORS = {
    "id used twice": ("event:evt-1", "event:evt-1"),
    "unknown semantic kind": (
        'say:{"type":"event","event":{"event_id":"a","kind":"Pump","at":[0,0],"semantic_kind":"no"}}',
    ),
    "no semantic kind": ('say:{"type":"event","event":{"event_id":"a","kind":"Pump","at":[0,0]}}',),
    "schema": ('payload:{"x":"text"}',),
    "payload of another type": ("payload:[1]",),
    "no payload": ("payload:null",),
}


@pytest.mark.parametrize("steps", STEP_ERRORS.values(), ids=STEP_ERRORS)
def test_c30_52_a_step_that_fails_later(tmp_path: Path, steps: tuple[str, ...]) -> None:
    run = capture(tmp_path, "hello", "event:first", *steps, "sleep")
    assert broken(run) == ("host.step_failed", "host_step_failed")
    assert run.ids == ["first", *("evt-1" for _ in steps[1:])]


@pytest.mark.parametrize("steps", [steps for steps in STEP_ERRORS.values() if len(steps) == 1])
def test_c30_52_a_first_step_that_fails(tmp_path: Path, steps: tuple[str, ...]) -> None:
    assert refusal(tmp_path, "hello", *steps, "sleep").code == "host.step_failed"


@pytest.mark.parametrize("bounds", [Bounds(max_events=0), Bounds(max_duration=0)])
def test_c30_58_a_bound_of_nothing(tmp_path: Path, bounds: Bounds) -> None:
    assert refusal(tmp_path, "hello", "event", "sleep", bounds=bounds).code == "driver.output_incomplete"


def test_c30_59_a_stop_before_the_first_event(tmp_path: Path) -> None:
    assert refusal(tmp_path, "hello", "sleep", bounds=Bounds(max_duration=20 * MS)).code == "driver.output_incomplete"


def test_c30_60_a_bound_on_events(tmp_path: Path) -> None:
    run = capture(tmp_path, "hello", "events:64", "sleep", bounds=Bounds(max_events=3))
    assert broken(run) == STOPPED
    assert run.ids == ["evt-1", "evt-2", "evt-3"]


def test_c30_61_an_idle_driver(tmp_path: Path) -> None:
    run = capture(tmp_path, "hello", "event", "sleep", bounds=Bounds(max_duration=1500 * MS))
    assert broken(run) == STOPPED
    assert run.ids == ["evt-1"]


def test_c30_61_a_flooding_driver(tmp_path: Path) -> None:
    stop = StopHandle()
    run = capture(tmp_path, "hello", "flood", stop=stop, on_step=stop.stop)
    assert broken(run) == STOPPED
    assert run.ids == ["evt-1"]


def test_c30_62_the_driver_dies_of_the_stop(tmp_path: Path) -> None:
    stop = StopHandle()

    def end_all() -> None:
        os.kill(pid_in(tmp_path), signal.SIGTERM)
        stop.stop()

    run = capture(tmp_path, "hello", "event", "sleep", stop=stop, on_step=end_all)
    assert broken(run) == STOPPED
    assert run.ids == ["evt-1"]
