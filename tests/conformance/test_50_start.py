"""Spec 50 §24, the contract of start: C-57 to C-64."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from plan_lab import CONFIG_M1, EMPTY, M1, NONE, RUN, S1, Lab, code_of, write_x

from ergo_cli.programs.plan.engine import Phase
from ergo_cli.programs.plan.errors import RunError
from ergo_cli.programs.plan.events import RunStarted
from ergo_cli.programs.plan.ids import RunId
from ergo_cli.programs.plan.manifest import FanOutJoin, run_config
from ergo_cli.programs.plan.states import ExecutionPlan, State
from ergo_cli.stores.artifacts import artifact_id

FAN_OUT = replace(CONFIG_M1, execution_mode=FanOutJoin(2))
MNEMONIC = " ".join(["abandon"] * 11 + ["about"])


def refused(lab: Lab, code: str, initial: Any = None, **changes: Any) -> None:
    """The run is refused, and has no stream."""
    with pytest.raises(RunError) as caught:
        lab.start(initial, **changes)
    assert code_of(caught.value) == code
    assert lab.journal.runs() == []


def test_c50_57_concurrent_states_are_refused_first() -> None:
    lab = Lab(write_x, config=FAN_OUT)
    refused(lab, "InvalidPlan unsupported_execution_mode")
    refused(lab, "InvalidPlan unsupported_execution_mode", manifest_id=NONE)
    assert not lab.artifacts.exists(EMPTY)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"x": 1.5}, "InvalidPlan manifest_not_canonical"),
        ({"authorization": "Bearer x"}, "InvalidPlan secrets_detected"),
        ({"authorization": 1.5}, "InvalidPlan secrets_detected"),
    ],
)
def test_c50_58_a_manifest_that_cannot_be_hashed(params: Any, code: str) -> None:
    lab = Lab(write_x)
    lab.manifest = replace(lab.manifest, input_params=params)
    refused(lab, code, manifest_id=NONE)


OTHER = ExecutionPlan("other", (State(S1, write_x),))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"manifest_id": NONE, "plan": OTHER, "run_config": run_config()}, "manifest_id_mismatch"),
        ({"plan": OTHER, "run_config": run_config()}, "manifest_op_id_mismatch"),
        ({"run_config": run_config()}, "run_config_mismatch"),
    ],
)
def test_c50_59_what_does_not_belong_together(changes: dict[str, Any], code: str) -> None:
    refused(Lab(write_x), f"InvalidPlan {code}", **changes)


def test_c50_60_a_manifest_that_is_not_kept() -> None:
    lab = Lab(write_x)
    manifest_id = artifact_id(lab.manifest.canonical())
    refused(lab, "Storage.NotFound manifest_not_found", manifest_id=manifest_id)
    assert not lab.artifacts.exists(EMPTY)


def test_c50_61_a_secret_in_the_first_context() -> None:
    lab = Lab(write_x)
    refused(lab, "Context.Other secrets_detected", {"mnemonic": MNEMONIC})
    assert not lab.kept("mnemonic")
    assert not lab.kept("abandon")


def test_c50_62_a_float_in_the_first_context() -> None:
    refused(Lab(write_x), "Context.Serialization context_snapshot_not_canonical", {"x": [1.5]})


def test_c50_63_a_run_that_names_itself() -> None:
    lab = Lab(write_x)
    result = lab.start(run_id=None)
    assert result.phase is Phase.COMPLETED
    digits = result.run_id.replace("-", "")
    assert (RunId.from_wire(result.run_id), digits[12], digits[16] in "89ab") == (result.run_id, "4", True)
    [first, *_] = lab.engine.streams.read(result.run_id)
    assert (first.seq, first.kernel) == (1, RunStarted("op", M1, EMPTY))


def test_c50_64_a_plan_that_cannot_run() -> None:
    refused(Lab(), "InvalidPlan invalid_plan")
    edges = ((S1, S1),)
    refused(Lab(write_x, edges=edges), "InvalidPlan invalid_plan")


def test_a_run_that_exists_is_not_begun_again() -> None:
    lab = Lab(write_x)
    lab.start()
    head = lab.head
    with pytest.raises(RunError) as caught:
        lab.start()
    assert code_of(caught.value) == "Storage.Concurrency run_already_exists"
    assert caught.value.where == f"run '{RUN}'"
    assert lab.head == head
