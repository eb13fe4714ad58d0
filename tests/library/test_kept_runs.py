"""Runs in a store: those of a runner that is stepped, and what a handle does with them."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from ergo_cli import (
    CaptureError,
    Completed,
    Ergo,
    EventKind,
    HostedEvent,
    KeptRunError,
    Resumption,
    RunError,
    Standing,
    StepError,
)
from tests.library.worlds import agent_project, in_memory, tick_project, tick_run, ticks


def asked(event_id: str) -> HostedEvent:
    return HostedEvent(event_id, EventKind.COMMAND, 0, payload={})


@pytest.fixture
def ergo(tmp_path: Path) -> Ergo:
    """A handle whose store holds the runs of two events."""
    project = agent_project(tmp_path / "project")
    handle = Ergo.from_project(project)
    with handle.runner_for_profile("p") as runner:
        runner.step(asked("a"))
        runner.step(asked("b"))
    return handle


def test_a_runner_keeps_runs_in_the_store_of_its_profile(tmp_path: Path) -> None:
    project = agent_project(tmp_path / "project")
    ergo = Ergo.from_project(project)
    runner = ergo.runner_for_profile("p")
    runner.step(asked("a"))
    runner.step(asked("b"))
    runner.close()
    kept = [(run.run_id, run.head, run.standing) for run in ergo.runs().list()]
    assert kept == [("talk/a", 1, Standing.BLOCKED), ("talk/b", 1, Standing.BLOCKED)]
    assert kept == [(run.run_id, run.head, run.standing) for run in ergo.runs("p").list()]


def test_a_runner_that_is_closed_takes_nothing_more(tmp_path: Path) -> None:
    runner = Ergo.from_project(agent_project(tmp_path / "project")).runner_for_profile("p")
    runner.step(asked("a"))
    runner.close()
    runner.close()
    with pytest.raises(StepError) as refused:
        runner.step(asked("b"))
    with pytest.raises(CaptureError) as unfinished:
        runner.finish()
    assert (refused.value.category, unfinished.value.category) == ("lifecycle", "finalize")


def test_a_run_that_is_done_is_refused_unless_it_is_to_go_on(ergo: Ergo, tmp_path: Path) -> None:
    project = tmp_path / "project"
    event = {"kind": "event", "event": {"type": "Command", "id": "a", "payload": {}}}
    (project / "events.jsonl").write_text(f'{{"kind":"episode_start","id":"d"}}\n{json.dumps(event)}\n')
    runs = ergo.runs()
    runs.resume("talk/a", Resumption(answer=True))
    assert runs.show("talk/a").standing is Standing.COMPLETED
    bundle, head = project / "captures" / "p.capture.json", runs.show("talk/a").head
    with pytest.raises(RunError) as refused:
        ergo.run_profile("p")
    assert (refused.value.code, refused.value.category) == ("kernel.already_completed", "step")
    assert not bundle.exists()
    outcome = ergo.run_profile("p", continues=True)
    assert isinstance(outcome, Completed)
    assert (outcome.summary.events, outcome.summary.capture_path) == (1, bundle)
    assert runs.show("talk/a").head == head
    with ergo.runner_for_profile("p") as runner:
        assert runner.step(asked("a")).decision.value == "Invoke"


@pytest.mark.parametrize("how", ["close", "with", "finish"])
def test_the_store_is_released(tmp_path: Path, how: str) -> None:
    project = agent_project(tmp_path / "project")
    runner = Ergo.from_project(project).runner_for_profile("p")
    runner.step(asked("a"))
    assert list(project.glob("runs.db-*")), "an open database has its log beside it"
    match how:
        case "close":
            runner.close()
        case "with":
            with runner:
                pass
        case _:
            assert [event.event_id for event in runner.finish().events] == ["a"]
    assert list(project.glob("runs.db-*")) == []
    with sqlite3.connect(project / "runs.db", timeout=0) as database:
        database.execute("BEGIN EXCLUSIVE")
    database.close()


def test_runs_are_shown_resumed_and_forked(ergo: Ergo) -> None:
    runs = ergo.runs()
    shown = runs.show("talk/a")
    assert (shown.standing, shown.question, shown.head) == (Standing.BLOCKED, b'{"ask":"go?"}', 1)
    forked = runs.fork("talk/a", 1, "other", {"Resumed": {"value": "no"}})
    assert (forked.branch_id, forked.head) == ("other", 2)
    resumed = runs.resume("talk/a", Resumption(answer={"by": "me"}))
    assert (resumed.standing, resumed.head_before) == (Standing.COMPLETED, 1)
    assert runs.resume("other").standing is Standing.COMPLETED
    assert [row[1] for row in runs.timeline("talk/a").rows] == ["Interrupted", "Resumed", "Completed"]
    assert [(run.run_id, run.standing) for run in runs.list()] == [
        ("other", Standing.COMPLETED),
        ("talk/a", Standing.COMPLETED),
        ("talk/b", Standing.BLOCKED),
    ]


def test_a_run_of_a_profile_continues_what_is_kept(ergo: Ergo) -> None:
    assert isinstance(ergo.run_profile("p"), Completed)
    assert [run.run_id for run in ergo.runs().list()] == ["talk/a", "talk/b", "talk/e1"]


def test_a_store_can_be_named_without_a_project(ergo: Ergo, tmp_path: Path) -> None:
    store = f"sqlite:{tmp_path}/project/runs.db"
    for handle in (Ergo.builder().build(), in_memory(p=tick_run(ticks(1)))):
        runs = handle.runs(store=store)
        assert [run.run_id for run in runs.list()] == ["talk/a", "talk/b"]
        with pytest.raises(KeptRunError) as caught:
            runs.resume("talk/a")
        assert (caught.value.category, caught.value.code) == ("config", "project_not_configured")
        for named in ({}, {"profile": "p", "store": store}, {"program": "talk_agent:program", "store": store}):
            with pytest.raises(KeptRunError) as caught:
                handle.runs(**named)
            assert caught.value.code == "project_not_configured"


def test_a_program_can_be_named_for_another_store(ergo: Ergo, tmp_path: Path) -> None:
    runs = ergo.runs(store=f"sqlite:{tmp_path}/project/runs.db", program="talk_agent:program")
    assert runs.resume("talk/b", Resumption(answer=True)).standing is Standing.COMPLETED


def test_what_cannot_be_done_with_a_run_has_a_category(ergo: Ergo, tmp_path: Path) -> None:
    runs = ergo.runs()
    refusals = {
        "show": (lambda: runs.show("nowhere"), "store", "store.not_found"),
        "store": (lambda: ergo.runs(store=f"sqlite:{tmp_path}/none.db").list(), "store", "store.not_found"),
        "text": (lambda: ergo.runs(store="nonsense").list(), "config", "cli.invalid_option_value"),
        "id": (lambda: runs.timeline("a\nb"), "config", "cli.invalid_option_value"),
        "branch": (lambda: runs.fork("talk/a", 1, "a\nb"), "config", "cli.invalid_option_value"),
        "at": (lambda: runs.fork("talk/a", -1, "other"), "config", "cli.invalid_option_value"),
        "event": (lambda: runs.fork("talk/a", 1, "other", {"Nonsense": 1}), "config", "cli.invalid_option_value"),
        "json": (
            lambda: runs.resume("talk/a", Resumption(answer=float("nan"))),
            "config",
            "cli.invalid_option_value",
        ),
        "taken": (lambda: runs.fork("talk/a", 1, "talk/b"), "run", "kernel.seq_conflict"),
        "profile": (lambda: ergo.runs("q").list(), "config", "PRJ-PROFILE"),
        "program": (lambda: ergo.runs("p", program="nowhere:program").resume("talk/a"), "program", None),
    }
    for name, (doing, category, code) in refusals.items():
        with pytest.raises(KeptRunError) as caught:
            doing()
        assert caught.value.category == category, name
        assert code in (None, caught.value.code), name
    assert len(runs.list()) == 2


def test_a_graph_resumes_no_run(tmp_path: Path) -> None:
    agent = agent_project(tmp_path / "agent")
    with Ergo.from_project(agent).runner_for_profile("p") as runner:
        runner.step(asked("a"))
    (tmp_path / "ticks").mkdir()
    graph = Ergo.from_project(tick_project(tmp_path / "ticks"))
    with pytest.raises(KeptRunError) as caught:
        graph.runs("p", store=f"sqlite:{agent}/runs.db").resume("talk/a")
    assert (caught.value.category, caught.value.code) == ("program", "program.wrong_kind")
