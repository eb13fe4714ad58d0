"""Whole runs of the original plan engine, interrupted and damaged histories, children, pipelines of operations.

``meta`` of a recorded fact, texts of messages and details of errors are free. Where the product deviates on purpose,
``INSTEAD`` says how each call ends.
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
INSTEAD = {
    "forged_fact": ["Failed: domain_event_invalid"],
    "domain_float": ["Failed: domain_event_invalid"],
    "code_odd": ["Failed: handler_exception"],
    "secret_in_context": ["Failed: secrets_detected", "Failed"],
    "R5_two_RC": ["invalid_attempt_envelopes"] * 2,
    "R5_orphan_after_RC": ["invalid_attempt_envelopes"] * 2,
    "two_RS": ["invalid_attempt_envelopes"] * 2,
    "final_snapshot_bogus": ["event_stream_corrupt"] * 2,
    "R11_orphan_unknown_state": ["recovery_state_not_in_plan"] * 2,
    "R11_orphan_skips_predecessor": ["recovery_plan_order_changed"] * 2,
    "R11_orphan_base_garbage": ["artifact_content_address_mismatch"] * 2,
    "R11_orphan_base_wrong_bytes": ["artifact_content_address_mismatch"] * 2,
    "R11_orphan_base_noncanonical": ["artifact_content_address_mismatch"] * 2,
    "R11_attempt_max_u32_minus1": ["Completed"] * 2,
    "R16_skip_tag_base_missing": ["artifact_missing"] * 2,
    "R16_initial_missing": ["artifact_not_found"] * 2,
    "R16_completed_unknown_state": ["recovery_state_not_in_plan"] * 2,
    "start_invalid_plan_dup": ["invalid_plan", "run_not_found"],
    "start_invalid_plan_missing": ["invalid_plan", "run_not_found"],
    "invalid_plan": ["invalid_plan"],
    "plan_new_state_before_orphan": ["recovery_plan_order_changed"],
    "Live_malformed_fact_no_meta": ["fact_recorded_malformed"] * 2,
    "Live_payload_wrong_bytes": ["Failed: fact_payload_get_failed", "Failed"],
    "Live_payload_secret": ["Failed: fact_payload_get_failed", "Failed"],
    "Replay_first_binding_wins": ["fact_recorded_conflict"] * 2,
    "Replay_malformed_fact": ["fact_recorded_malformed"] * 2,
    "Replay_fact_array_payload": ["fact_recorded_malformed"] * 2,
    "Replay_payload_garbage": ["Failed: fact_payload_get_failed", "Failed"],
    "Replay_payload_float": ["Failed: fact_payload_get_failed", "Failed"],
}
"""How the calls of a scenario end where spec 50 has the product do otherwise: a code, or a phase and what failed."""


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


def ending(step: Any) -> str:
    """How a call ended."""
    if "ok" in step["result"]:
        kernel = [each["event"].get("Kernel", {}) for each in step["appended"]]
        failed = [event["StateFailed"]["error"]["info"]["code"] for event in kernel if "StateFailed" in event]
        return ": ".join([step["result"]["ok"]["phase"], *failed])
    error = step["result"]["err"]
    while "code" not in error:
        [error] = error.values()
    return error["code"]


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
    if marks or scenario["name"] in INSTEAD:
        assert [ending(step) for step in played if "result" in step] == INSTEAD[scenario["name"]]
        return
    for got, step in zip(played, steps, strict=True):
        if step["do"] in ("start", "resume"):
            wanted = {**EMPTY, **step}
            assert free({name: got.get(name) for name in wanted}) == free(wanted)


@pytest.mark.parametrize("case", [pytest.param(each, id=each["name"]) for each in load("pipelines")["cases"]])
def test_a_pipeline_of_operations_is_that_of_the_original(case: Any) -> None:
    played = OperationWorld(case, load("pipelines")).play()
    if case["name"] == "self_edge":  # the planner finds a cycle, nothing is begun
        assert played["events"] == []
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
