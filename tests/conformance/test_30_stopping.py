"""Spec 30, checklist lines of stops in event streams: C-56 to C-58, C-63, C-66."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from msgspec.structs import replace

from ergo_cli.channels.interruption import HOST_STOP_REQUESTED, Interruption
from ergo_cli.errors import ErgoError
from ergo_cli.host.perform import KeepRequest, RunOptions, RunResult, perform
from ergo_cli.host.run_plan import Bounds, EventFile, RunRequest, plan_run
from ergo_cli.host.timing import RunControl, StopHandle
from ergo_cli.project.finding import ProgramFlags
from tests.channels.ingress_runs import FLOW, PROGRAM, replayed

Capture = Callable[..., RunResult]


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def capture(tmp_path: Path) -> Capture:
    """Captures ``events`` with the tick flow into ``b.json``."""

    def run(events: list[str], bounds: Bounds = Bounds(), **options: Any) -> RunResult:
        path = tmp_path / "events.jsonl"
        path.write_text("".join(line + "\n" for line in events))
        plan = plan_run(RunRequest(PROGRAM, str(path), bounds=bounds))
        return perform(plan, KeepRequest(tmp_path / "b.json"), options=RunOptions(**options))

    return run


def ticks(count: int, first: int = 0) -> list[str]:
    return [
        json.dumps({"kind": "event", "event": {"type": "Command", "semantic_kind": "tick", "payload": {"x": n}}})
        for n in range(first, first + count)
    ]


def stopped(result: RunResult) -> bool:
    return result.interruption == Interruption(HOST_STOP_REQUESTED)


def test_c30_56_a_bound_on_events(capture: Capture, tmp_path: Path) -> None:
    result = capture(ticks(3), Bounds(max_events=2))
    assert stopped(result)
    assert result.error is None
    assert result.summary.events == replayed(tmp_path / "b.json") == 2


def test_c30_57_a_bound_that_the_stream_reaches_exactly(capture: Capture) -> None:
    assert stopped(capture(ticks(1), Bounds(max_events=1)))
    assert capture(ticks(1), Bounds(max_events=2)).interruption is None


@pytest.mark.parametrize("bounds", [Bounds(max_events=0), Bounds(max_duration=0)])
def test_c30_58_a_bound_of_nothing(capture: Capture, tmp_path: Path, bounds: Bounds) -> None:
    with pytest.raises(ErgoError) as caught:
        capture(ticks(1), bounds)
    assert caught.value.code == "driver.output_incomplete"
    assert [path.name for path in tmp_path.iterdir()] == ["events.jsonl"]


def test_c30_63_a_stop_from_another_thread(tmp_path: Path) -> None:
    path, stop, seen = tmp_path / "events.jsonl", StopHandle(), Event()
    path.write_text("".join(line + "\n" for line in ticks(4096)))
    steps = 0

    def on_step() -> None:
        nonlocal steps
        steps += 1
        if steps == 100:
            seen.set()
            thread.join()

    thread = Thread(target=lambda: (seen.wait(), stop.stop()))
    thread.start()
    plan = plan_run(RunRequest(PROGRAM, str(path)))
    result = perform(plan, KeepRequest(tmp_path / "b.json"), on_step, RunOptions(stop))
    assert stopped(result)
    assert 100 <= result.summary.events < 4096
    assert replayed(tmp_path / "b.json") == result.summary.events


def test_c30_66_episodes_that_were_not_begun_do_not_count(capture: Capture, tmp_path: Path) -> None:
    start = '{"kind":"episode_start"}'
    result = capture([start, *ticks(1), start, *ticks(1)], Bounds(max_events=1))
    assert stopped(result)
    assert (result.summary.episodes, replayed(tmp_path / "b.json")) == (1, 1)


def test_a_handle_serves_until_it_is_asked(capture: Capture) -> None:
    stop = StopHandle()
    assert stopped(capture(ticks(2), Bounds(max_events=1), stop=stop))
    assert capture(ticks(2), stop=stop).interruption is None
    stop.stop()
    with pytest.raises(ErgoError, match="stopped before its first event"):
        capture(ticks(2), stop=stop)


def test_the_clock_starts_when_it_is_told_to() -> None:
    times: Iterator[int] = iter([100, 104, 105])
    control = RunControl(max_duration=5, monotonic_ns=lambda: next(times))
    assert not control.should_stop()
    control.start()
    assert not control.should_stop()
    assert control.should_stop()


def test_profile_bounds_yield_to_those_of_the_caller(tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_text("".join(line + "\n" for line in ticks(5)))
    (tmp_path / "ergo.toml").write_text(
        f'name = "p"\nversion = "1"\n[profiles.a]\ngraph = "{FLOW}/graph.yaml"\nadapter = "{FLOW}/adapter.yaml"\n'
        'fixture = "e.jsonl"\nmax_events = 2\nmax_duration = "1h"\n'
    )
    flags = ProgramFlags(project=tmp_path)
    plan = plan_run(RunRequest(flags))
    assert plan.bounds == Bounds(2, 3600 * 10**9)
    assert plan.source == EventFile(str(tmp_path / "e.jsonl"))
    assert perform(plan).summary.events == 2
    assert perform(plan_run(RunRequest(flags, bounds=Bounds(max_events=3)))).summary.events == 3
    assert plan_run(replace(RunRequest(flags), bounds=Bounds(max_duration=1))).bounds == Bounds(2, 1)
