"""Every line of spec 50 §24, and every test of the original's runtime, has a test."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
LINES = range(1, 155)

REPLAY, CAPTURE, RUNS = "cli/test_plan_replay.py", "cli/test_plan_capture.py", "cli/test_plan_runs.py"
ELSEWHERE = {
    149: [(REPLAY, "test_the_kept_bundle_replays_strictly_without_its_world")],
    150: [
        (REPLAY, "test_an_edited_bundle_is_refused_by_every_command"),
        (REPLAY, "test_another_write_is_named_with_state_attempt_and_both_values"),
    ],
    151: [(REPLAY, "test_a_retried_state_replays_both_attempts")],
    152: [(CAPTURE, "test_two_captures_of_the_example_are_the_kept_bundle")],
    153: [
        (RUNS, "test_a_second_capture_is_refused_unless_it_continues"),
        (CAPTURE, "test_a_retry_of_the_supervisor_continues_the_run"),
    ],
    154: [(CAPTURE, "test_floats_of_a_payload_arrive_as_decimal_text")],
}
"""Lines that are about bundles and commands: they are proven there, through processes."""

ORIGINAL = {
    "secrets_in_initial_context_are_rejected_and_not_persisted": 61,
    "state_failed_error_messages_are_redacted_before_persisting": 74,
    "domain_events_with_secrets_are_rejected": 80,
    "fact_payloads_with_secrets_are_rejected": 88,
    "start_then_resume_retries_orphan_attempt_from_base_snapshot": 115,
    "retry_policy_retries_retryable_errors": 68,
    "rejects_fanout_join_execution_mode": 57,
    "skip_tags_skips_tagged_states_without_running_handler": 75,
    "crash_resume_orphan_attempt_reuses_facts": 116,
    "facts_are_single_assignment_and_reused_across_retries": 87,
    "time_and_random_are_recorded_as_facts": 94,
    "replay_mode_serves_recorded_facts_without_live_io": 99,
    "replay_mode_missing_fact_fails_without_live_io": 100,
}
"""The tests of the original's runtime, and the line whose test shows the same."""


def names_of_tests(file: Path) -> Iterator[str]:
    tree = ast.parse(file.read_bytes())
    return (node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"))


@cache
def numbers() -> frozenset[int]:
    """The lines that tests of this folder carry in their names."""
    names = (name for file in Path(__file__).parent.glob("test_50_*.py") for name in names_of_tests(file))
    return frozenset(int(found[1]) for name in names if (found := re.match(r"test_c50_(\d+)_", name)))


@pytest.mark.parametrize("line", LINES)
def test_every_line_has_a_test(line: int) -> None:
    assert (line in numbers()) is not (line in ELSEWHERE)
    for file, name in ELSEWHERE.get(line, ()):
        assert name in names_of_tests(TESTS / file)


def test_no_test_has_a_number_that_is_no_line() -> None:
    assert numbers() | ELSEWHERE.keys() == set(LINES)


def test_every_test_of_the_original_has_one() -> None:
    assert len(ORIGINAL) == 13
    assert set(ORIGINAL.values()) <= numbers()
