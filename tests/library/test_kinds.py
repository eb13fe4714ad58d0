"""A bundle of one kind of program against a program of another."""

from __future__ import annotations

from pathlib import Path

import pytest

from ergo_cli import CaptureBundle, Ergo, Outcome, ReplayOptions, Target, replay_bundle
from ergo_cli.errors import ProgramError
from tests.library.worlds import agent_project, tick_project

Recorded = tuple[CaptureBundle, Target, Path]


def recorded(project: Path) -> Recorded:
    """A bundle, the program that it was captured from, and the bundle's file."""
    ergo = Ergo.from_project(project)
    summary = ergo.run_profile("p").summary
    assert summary.capture_path is not None
    return summary.capture_bundle, ergo.target("p"), summary.capture_path


@pytest.fixture
def agent(tmp_path: Path) -> Recorded:
    return recorded(agent_project(tmp_path / "agent", store=None))


@pytest.fixture
def graph(tmp_path: Path) -> Recorded:
    (tmp_path / "ticks").mkdir()
    return recorded(tick_project(tmp_path / "ticks"))


def test_a_target_of_a_profile_replays_its_bundles(agent: Recorded, graph: Recorded) -> None:
    for bundle, target, file in (agent, graph):
        for form in (bundle, file, str(file)):
            assert replay_bundle(form, target).outcome is Outcome.MATCH


@pytest.mark.parametrize("in_file", [False, True])
def test_a_program_of_another_kind_is_refused(agent: Recorded, graph: Recorded, in_file: bool) -> None:
    for (bundle, _, file), (_, other, _) in ((agent, graph), (graph, agent)):
        given = file if in_file else bundle
        result = replay_bundle(given, other, ReplayOptions(strict=False))
        assert result.outcome is Outcome.REFUSED
        assert result.error is not None
        assert result.error.code == "program.wrong_kind"
        with pytest.raises(ProgramError) as caught:
            replay_bundle(given, other, ReplayOptions(strict=False), raise_on_failure=True)
        assert caught.value.code == "program.wrong_kind"
        strictly = replay_bundle(given, other)
        assert strictly.error is not None
        assert (strictly.outcome, strictly.error.code) == (Outcome.REFUSED, "replay.graph_id_mismatch")
