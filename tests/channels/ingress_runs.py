"""Whole runs of a driver through the tick flow, which writes every ``x`` into ``y``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from msgspec import Struct

from ergo_cli.channels.timeouts import ChannelPolicy
from ergo_cli.host.perform import KeepRequest, OnStep, RunOptions, RunResult, perform
from ergo_cli.host.run_plan import Bounds, RunRequest, plan_run
from ergo_cli.host.timing import StopHandle
from ergo_cli.project.finding import ProgramFlags
from ergo_cli.project.loading import load_program_from_files
from ergo_cli.replay.engine import replay_bundle
from ergo_cli.replay.results import Outcome, ReplayOptions, Target
from tests.channels.ingress_drivers import PATIENT, left_of, pid_in, scripted, started

FLOW = Path(__file__).parent / "tick_flow"
PROGRAM = ProgramFlags(graph=FLOW / "graph.yaml", adapter=FLOW / "adapter.yaml")


class Run(Struct, frozen=True):
    """A run and the bundle it kept."""

    result: RunResult
    bundle: dict[str, Any]

    @property
    def interruption(self) -> str | None:
        return self.result.interruption.code if self.result.interruption else None

    @property
    def error(self) -> str | None:
        return self.result.error.code if self.result.error else None

    @property
    def ids(self) -> list[str]:
        return [event["event_id"] for event in self.bundle["events"]]


def capture(
    folder: Path,
    *steps: str,
    bounds: Bounds = Bounds(),
    stop: StopHandle | None = None,
    policy: ChannelPolicy = PATIENT,
    on_step: OnStep | None = None,
) -> Run:
    """Capture a scripted driver into ``folder/b.json``; it leaves no process, and a bundle that replays strictly.

    Raises ErgoError as ``perform`` does; then too there is no process, and no bundle.
    """
    path = folder / "b.json"
    try:
        plan = plan_run(RunRequest(PROGRAM, driver=tuple(scripted(folder / "pid", *steps)), bounds=bounds))
        result = perform(plan, KeepRequest(path), on_step, options=RunOptions(stop=stop, policy=policy))
    except Exception:
        assert not path.exists()
        raise
    finally:
        assert not started(folder) or left_of(pid_in(folder)) == []
    run = Run(result, json.loads(path.read_text()))
    assert len(run.ids) == len(run.bundle["decisions"]) == result.summary.events == replayed(path)
    return run


def replayed(path: Path) -> int:
    """Replay a bundle strictly, without a difference; how many events it holds."""
    loaded = load_program_from_files(FLOW / "graph.yaml", (), FLOW / "adapter.yaml")
    result = replay_bundle(str(path), Target(loaded.program, loaded.adapter), ReplayOptions(strict=True))
    assert result.outcome is Outcome.MATCH, result
    assert result.events is not None
    return result.events
