"""Replays from Python that let lesser differences pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from ergo_cli import (
    BundleResult,
    Ergo,
    ErgoError,
    FailOn,
    LevelCounts,
    Outcome,
    ReplayConfig,
    ReplayError,
    ReplayOptions,
    iter_replays,
)

DESK = Path(__file__).parents[2] / "fixtures" / "order_threshold"


@pytest.fixture
def late(tmp_path: Path) -> Path:
    """The bundle of the desk, one of its decisions with another deadline."""
    text = (DESK / "captures/monday.json").read_text()
    edited = text.replace('"deadline":null,"termination"', '"deadline":{"secs":5,"nanos":0},"termination"', 1)
    assert edited != text
    bundle = tmp_path / "late.json"
    bundle.write_text(edited)
    return bundle


def of_functions(bundle: Path, fail_on: FailOn) -> BundleResult:
    target = Ergo.from_project(DESK).target("default")
    [result] = iter_replays([bundle], lambda _: target, ReplayOptions(fail_on=fail_on), raise_on_failure=True)
    return result


def of_a_handle(bundle: Path, fail_on: FailOn) -> BundleResult:
    graph, adapter = DESK / "graphs/order_threshold.yaml", DESK / "adapters/order_desk.yaml"
    config = ReplayConfig(bundle, graph, adapter=adapter, options=ReplayOptions(fail_on=fail_on))
    return Ergo.from_project(DESK).replay(config)


@pytest.mark.parametrize("replay", [of_functions, of_a_handle])
@pytest.mark.parametrize("fail_on", [FailOn.EVIDENCE, FailOn.DECISION])
def test_a_time_passes_and_is_in_the_result(late: Path, replay: object, fail_on: FailOn) -> None:
    assert callable(replay)
    result = replay(late, fail_on)
    assert (result.outcome, result.passes, result.fail_on) == (Outcome.DIVERGED, True, fail_on)
    assert result.levels == LevelCounts(timing=1)


def test_any_difference_is_raised_otherwise(late: Path) -> None:
    with pytest.raises(ErgoError) as raised:
        of_functions(late, FailOn.ANY)
    assert raised.value.code == "replay.decision_mismatch"
    with pytest.raises(ReplayError) as of_handle:
        of_a_handle(late, FailOn.ANY)
    assert of_handle.value.result is not None
    assert (of_handle.value.result.passes, of_handle.value.result.levels) == (False, LevelCounts(timing=1))
