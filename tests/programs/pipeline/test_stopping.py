"""What a stop means to a stage and in the system journal, and which transitions a supervisor remembers."""

from __future__ import annotations

import pytest

from ergo_cli.programs.pipeline import actions as do
from ergo_cli.programs.pipeline import system_events as said
from ergo_cli.programs.pipeline.lifecycle import Created, Draining, Materialize, Materializing, Run
from ergo_cli.programs.pipeline.stop_intent import Cancel, Graceful, stop_reason
from ergo_cli.programs.pipeline.terminal_facts import stop_requested
from ergo_cli.programs.pipeline.transition_history import Transited, TransitionHistory


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Force shutdown requested", "user_stop"),
        ("user_stop", "user_stop"),
        ("stop_timeout", "stop_timeout"),
        ("boom", None),
        ("", None),
    ],
)
def test_which_errors_of_a_stage_are_stops(message: str, reason: str | None) -> None:
    assert stop_reason(message) == reason


def test_the_marker_of_a_stop_has_the_time_of_a_graceful_one() -> None:
    assert stop_requested(Cancel()) == said.PipelineStopRequested(said.StopMode.CANCEL)
    assert stop_requested(Graceful(30)) == said.PipelineStopRequested(said.StopMode.GRACEFUL, 30)


def test_the_last_transitions_are_kept() -> None:
    history = TransitionHistory(kept=2)
    history.note(Created(), Run(), Created(), (), 1)
    history.note(Created(), Materialize(), Materializing(), (do.CreateStages(),), 2)
    history.note(Draining(), Run(), Draining(), (), 3)
    assert history.last == (
        Transited("Created", "Materialize", "Materializing", ("CreateStages",), 2),
        Transited("Draining", "Run", "Draining", (), 3),
    )
    assert history.forgotten == 1
