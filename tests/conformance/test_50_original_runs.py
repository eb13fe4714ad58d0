"""Whole runs of the original plan engine, interrupted and damaged histories, children, pipelines of operations.

``meta`` of a recorded fact, texts of messages and details of errors are free. Where the product deviates on purpose,
its own behaviour is held elsewhere; these cases are only played.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conformance.plan_operations import OperationWorld
from tests.conformance.plan_scenarios import World, load

EMPTY = {
    "appended": [],
    "appended_other_runs": {},
    "handlers": [],
    "transport_calls": [],
    "transport_makes": [],
    "sleeps": [],
    "plan_resolved": 0,
}
RUNS = load("runs")
DEVIATING = {
    "R16_skip_tag_base_missing": "a missing snapshot is refused before anything is appended",
    "R16_initial_missing": "a missing snapshot is refused before anything is appended",
    "Replay_fact_array_payload": "a struct written as an array is refused",
    "self_edge": "a cycle is found by the planner",
}
"""Cases without a mark of their own in which the product does otherwise, and why."""


def free(tree: Any) -> Any:
    """A copy without what is free."""
    match tree:
        case dict():
            kept = {name: free(member) for name, member in tree.items()}
            if kept.get("name") == "fact_recorded" and isinstance(kept.get("payload"), dict):
                kept["payload"].pop("meta", None)
            if {"code", "message"} <= kept.keys():
                kept.pop("details", None)
                kept["message"] = kept["message"] == "error details redacted"
            return kept
        case list():
            return [free(item) for item in tree]
        case _:
            return tree


def scenarios(*names: str) -> list[Any]:
    found: list[Any] = []
    for name in names:
        file = load(name)
        header = {**RUNS, **file}
        found += (pytest.param(header, each, id=each["name"]) for each in file.get("scenarios") or file["contract"])
    return found


@pytest.mark.parametrize(("header", "scenario"), scenarios("runs", "resume_errors", "manifests"))
def test_a_run_is_that_of_the_original(header: Any, scenario: Any) -> None:
    played = World(scenario, header).play()
    steps = scenario["expect"]["steps"]
    if "expect_superseding" in scenario:
        instead = scenario["expect_superseding"]
        steps = steps[: instead["from_step"]] + instead["steps"]
    marks = set(scenario.get("product_deviates", ())) - {"superseded_orphan"}
    if marks or scenario["name"] in DEVIATING:
        assert len(played) == len(steps)
        return
    for got, step in zip(played, steps, strict=True):
        if step["do"] in ("start", "resume"):
            wanted = {**EMPTY, **step}
            assert free({name: got.get(name) for name in wanted}) == free(wanted)


@pytest.mark.parametrize("case", [pytest.param(each, id=each["name"]) for each in load("pipelines")["cases"]])
def test_a_pipeline_of_operations_is_that_of_the_original(case: Any) -> None:
    played = OperationWorld(case, load("pipelines")).play()
    if case["name"] in DEVIATING:
        assert played["plan"]["err"]["code"] == "invalid_plan"
        return
    assert free({name: played.get(name) for name in case["expect"]}) == free(case["expect"])


@pytest.mark.parametrize("scenario", [pytest.param(each, id=each["name"]) for each in load("child_runs")["scenarios"]])
def test_children_leave_the_streams_of_the_original(scenario: Any) -> None:
    header = {**RUNS, **load("child_runs")}
    played = World(scenario, header).play()
    for got, step in zip(played, scenario["expect"]["steps"], strict=True):
        early = any("child_run_task_failed" in json.dumps(step.get(part)) for part in ("handlers", "result"))
        if (
            "result" in step and not early
        ):  # a child that cannot start fails where it is spawned, not where it is awaited
            assert free(got["appended_other_runs"]) == free(step.get("appended_other_runs", {}))
            assert got["result"].get("ok", {}).get("phase") == step["result"].get("ok", {}).get("phase")
