"""A good bundle is never replaced by a partial one (spec 00 §13.4)."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from ergo_cli.host.perform import KeepRequest, RunOptions, RunResult, perform
from ergo_cli.host.recovery import recover
from ergo_cli.host.run_plan import Bounds, RunRequest, plan_run
from ergo_cli.host.timing import StopHandle
from tests.channels.ingress_drivers import PATIENT, scripted
from tests.channels.ingress_runs import FLOW, PROGRAM, replayed
from tests.cli.started import started, steps_in, wait_until
from tests.support.events import TICK_LINE

GOOD = b"the bundle of yesterday"


def captured(
    folder: Path, *steps: str, name: str = "golden.json", bounds: Bounds = Bounds(), stop_after: int | None = None
) -> RunResult:
    """Capture a driver into ``folder/name``; the run is stopped after ``stop_after`` steps."""
    stop, done = StopHandle(), []

    def on_step() -> None:
        done.append(1)
        if len(done) == stop_after:
            stop.stop()

    plan = plan_run(RunRequest(PROGRAM, driver=tuple(scripted(folder / "pid", *steps)), bounds=bounds))
    return perform(plan, KeepRequest(folder / name), on_step, RunOptions(stop=stop, policy=PATIENT))


def test_a_terminated_capture_leaves_the_good_bundle_as_it_was(tmp_path: Path, environment: dict[str, str]) -> None:
    golden, beside = tmp_path / "golden.json", tmp_path / "golden.partial.json"
    golden.write_bytes(GOOD)
    program = ("-g", str(FLOW / "graph.yaml"), "-a", str(FLOW / "adapter.yaml"))
    command = ("capture", "-", *program, "-o", "golden.json", "--journal", "j", "--format", "json")
    with started(tmp_path, environment, *command) as child:
        assert child.stdin is not None
        child.stdin.write(TICK_LINE)
        child.stdin.flush()
        wait_until(lambda: steps_in(tmp_path / "j") == 1, child)
        child.send_signal(signal.SIGTERM)
        output, errors = child.communicate(timeout=60)
    report = json.loads(output)
    said = "the events were not run to their end: 'golden.json' is left as it was, the bundle is 'golden.partial.json'"
    assert (child.returncode, report["outcome"], report["run"]["bundle"]) == (130, "interrupted", "golden.partial.json")
    assert [said in warning for warning in report["warnings"]] == [True]
    assert said in errors.decode()
    assert golden.read_bytes() == GOOD
    assert replayed(beside) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["golden.json", "golden.partial.json"]


@pytest.mark.parametrize("name", ["golden.json", "golden.json.gz"])
def test_a_broken_driver_replaces_no_bundle(tmp_path: Path, name: str) -> None:
    beside = name.replace(".json", ".partial.json")
    (tmp_path / name).write_bytes(GOOD)
    result = captured(tmp_path, "hello", "events:2", "exit:3", name=name)
    assert result.bundle == str(tmp_path / beside)
    assert result.error is not None
    assert (tmp_path / name).read_bytes() == GOOD
    assert replayed(tmp_path / beside) == 2


def test_a_stop_that_a_caller_requests_is_like_a_signal(tmp_path: Path) -> None:
    (tmp_path / "golden.json").write_bytes(GOOD)
    result = captured(tmp_path, "hello", "events:3", "end", stop_after=2)
    assert result.bundle == str(tmp_path / "golden.partial.json")
    assert (tmp_path / "golden.json").read_bytes() == GOOD


def test_where_nothing_is_a_partial_bundle_has_the_name_that_was_asked_for(tmp_path: Path) -> None:
    result = captured(tmp_path, "hello", "events:2", "exit:3")
    assert (result.bundle, result.notices) == (str(tmp_path / "golden.json"), ())
    assert replayed(tmp_path / "golden.json") == 2


def test_a_run_that_its_bounds_end_is_whole(tmp_path: Path) -> None:
    (tmp_path / "golden.json").write_bytes(GOOD)
    result = captured(tmp_path, "hello", "events:3", "end", bounds=Bounds(max_events=2))
    assert (result.bundle, result.notices) == (str(tmp_path / "golden.json"), ())
    assert replayed(tmp_path / "golden.json") == 2


def test_what_is_recovered_replaces_no_bundle(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "golden.json").write_bytes(GOOD)
    program = ("-g", str(FLOW / "graph.yaml"), "-a", str(FLOW / "adapter.yaml"))
    with started(tmp_path, environment, "capture", "-", *program, "-o", "golden.json", "--journal", "j") as child:
        assert child.stdin is not None
        child.stdin.write(TICK_LINE)
        child.stdin.flush()
        wait_until(lambda: steps_in(tmp_path / "j") == 1, child)
        child.kill()
        child.communicate(timeout=60)
    recovered = recover(tmp_path / "j", str(tmp_path / "golden.json"))
    assert recovered.bundle == str(tmp_path / "golden.partial.json")
    assert [notice.where for notice in recovered.notices] == [recovered.bundle]
    assert (tmp_path / "golden.json").read_bytes() == GOOD
    assert replayed(tmp_path / "golden.partial.json") == 1
