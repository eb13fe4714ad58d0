"""Every line of spec 60 §27, every hardening of its §26 and every test of the original's supervisor has a test here.

A test of a line has its number in its name, ``test_c60_45_46_…``, one of a hardening may have it, ``test_h60_7_…``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

LINES: Mapping[int, str] = {
    # stop intent
    1: "a cancel without a reason",
    2: "a graceful stop has a deadline",
    3: "a cancel after a graceful stop clears the deadline",
    4: "a graceful stop after a cancel is ignored",
    5: "stop_timeout replaces the reason and keeps the deadline",
    6: "another reason replaces none",
    # gating, contracts in the supervisor
    7: "which edges gate",
    8: "the variable of the source contract",
    9: "the variable of the startup mode",
    10: "a missing pair blocks completion",
    11: "a source's edge does not block in warn mode",
    12: "a failed gating pair aborts with its cause",
    13: "a failed pair without a cause aborts with contract_failed",
    14: "a failed source's edge does not abort in warn mode",
    15: "a failed edge of another stage aborts in warn mode",
    16: "the last source's pass is Shutdown",
    17: "a pass without an advertised sequence is no Shutdown",
    18: "a failed last source is Shutdown in warn mode",
    19: "the barrier's snapshot",
    20: "the marker without evidence waits for it",
    21: "status of feeds",
    # FSM
    22: "Materialize",
    23: "MaterializationComplete",
    24: "StageReadinessComplete",
    25: "Run when ready, and nothing else, starts the sources",
    26: "Run before readiness",
    27: "Run while it runs",
    28: "an error while ready",
    29: "a stop while ready",
    30: "a graceful stop, and a second one",
    31: "a cancel after a graceful stop",
    32: "AllStagesCompleted",
    33: "an abort, then its error",
    34: "what AbortRequested takes",
    35: "what the terminal states take",
    36: "a time-out while draining",
    37: "an error while running is a failure",
    38: "terminal states",
    39: "the FSM stands in one place",
    40: "a completion counts once",
    41: "the engine",
    # loop and control channel
    42: "a dispatch that raises",
    43: "a closed channel",
    44: "an event queued during Materializing",
    45: "manual waits for Run",
    46: "auto runs by itself",
    47: "readiness is published at once",
    48: "Running is published after the sources' start",
    49: "an early Run is dropped",
    50: "a stage too few",
    51: "sources alone",
    52: "a stage that fails or is cancelled before the run",
    53: "a sink that never completes, and a graceful stop",
    54: "a cancelled supervisor is waited for",
    55: "idle backoff",
    56: "100 idle drains warn once",
    57: "throttled log lines",
    # metrics and terminal facts
    58: "DrainMetrics without an aggregator",
    59: "DrainMetrics with an aggregator",
    60: "metrics of the tail",
    61: "flow metrics",
    62: "terminal facts",
    63: "one all_stages_completed",
    # readers and contracts
    64: "an edge that passes",
    65: "an edge that lost events",
    66: "a gap, and a reader that is ahead",
    67: "a breaker-aware override",
    68: "a progress append that fails",
    69: "a final or status append that fails",
    70: "heartbeats",
    71: "a stall",
    72: "observability rows are not delivered",
    73: "transport and delivery",
    74: "divergence",
    75: "whose EOF ends a reader",
    76: "a drain signal",
    # stages
    77: "when an input is acknowledged",
    78: "to whom an acknowledgement goes",
    79: "a blocked downstream",
    80: "where errors go",
    81: "stateful stages",
    82: "joins",
    83: "a poison EOF of an open breaker",
    84: "a source that raises",
    85: "a forced shutdown",
    86: "a sink that fails, and one that crashes",
    87: "windows",
    88: "the cycle guard",
    # journals
    89: "the vector of a line",
    90: "append, read back, order",
    91: "memory and files give the same answers",
    92: "readers that continue",
    93: "torn and corrupt lines",
    94: "atomic groups, and appends that fail",
    95: "reopening restores clocks",
    96: "read_last_n and read_causally_after",
    # archive, replay, effects, diff
    97: "run directories that cannot be opened",
    98: "versions of manifests",
    99: "status from several terminal facts",
    100: "what an archive re-admits",
    101: "a reader that yields nothing before the end",
    102: "stateful stages and joins replay alike",
    103: "canonical merge",
    104: "hashes and ids of effects",
    105: "recorded effects",
    106: "verdicts",
    107: "cancelled baselines, evidence of EOFs",
    108: "caps of divergences and values",
    109: "unordered fan-in",
    110: "the reference run",
    # serialization and topology
    111: "every shape round-trips",
    112: "every code of a bad topology",
    113: "structural contracts",
}

LEFT_OUT: Mapping[int, str] = {
    21: "only if feeds are implemented: an edge has none, its pair of stages is the key",
    59: "only with an exporter, which starts the aggregator: there is none; that nothing is written is C-58's test",
    67: "only if breakers exist: there are none",
    83: "only if breakers exist: there are none",
    88: "only if cycles exist: a circle of stages is refused",
}

FSM, SUPERVISOR = "conformance/test_60_fsm.py", "conformance/test_60_supervisor.py"
DRIVER, STAGES = "conformance/test_60_driver.py", "conformance/test_60_stages.py"
CONTRACTS, JOURNALS = "conformance/test_60_contracts.py", "conformance/test_60_journals.py"
TOPOLOGY, MACHINES = "conformance/test_60_topology.py", "conformance/test_60_stage_machines.py"
LOOP, CHECKS = "programs/pipeline/test_in_an_event_loop.py", "programs/pipeline/test_program_checks.py"
SETTINGS, BAD_INPUT = "cli/test_pipeline_environment.py", "programs/pipeline/test_pipeline_bad_input.py"

HARDENINGS: Mapping[int, tuple[tuple[str, str], ...]] = {
    1: (
        (TOPOLOGY, "test_c60_112_a_minimal_bad_topology_has_its_code_alone"),
        (TOPOLOGY, "test_h60_1_the_sources_of_a_pipeline_are_those_that_nothing_feeds"),
    ),
    2: ((SUPERVISOR, "test_c60_60_the_tail_brings_the_last_metrics"),),
    3: ((JOURNALS, "test_c60_90_the_order_is_causal_and_the_same_for_every_input"),),
    4: ((JOURNALS, "test_c60_95_reopening_restores_clocks_and_identity"),),
    5: (
        (JOURNALS, "test_c60_93_a_torn_last_line_is_invisible_and_the_next_append_recovers"),
        (JOURNALS, "test_c60_93_damage_within_the_file_is_raised_with_its_position"),
    ),
    6: (
        (LOOP, "test_a_loop_that_ends_leaves_the_terminal_fact"),
        (BAD_INPUT, "test_h60_6_an_append_that_fails_leaves_the_terminal_fact"),
    ),
    7: ((STAGES, "test_h60_7_stages_start_and_end_in_topology_order"),),
    8: (
        (FSM, "test_c60_26_an_early_run_is_dropped"),
        (DRIVER, "test_c60_50_a_stage_without_a_supervisor_fails_the_pipeline"),
    ),
    9: ((FSM, "test_h60_9_an_error_fails_a_pipeline_in_every_state"),),
    10: (
        (FSM, "test_c60_26_an_early_run_is_dropped"),
        (DRIVER, "test_c60_49_a_request_to_run_before_readiness_is_dropped"),
    ),
    11: (
        (SUPERVISOR, "test_c60_51_a_pipeline_of_sources_alone"),
        (SUPERVISOR, "test_c60_52_a_stage_that_ends_before_the_run"),
    ),
    12: ((SUPERVISOR, "test_h60_12_a_stage_that_is_cancelled_while_draining_fails_the_pipeline"),),
    13: ((SETTINGS, "test_h60_13_each_run_has_settings_of_its_own"),),
    14: ((CONTRACTS, "test_c60_71_a_stall_is_said_once_and_fails_nothing"),),
    15: ((SUPERVISOR, "test_c60_18_a_failed_last_source_ends_them_all_in_warn_mode"),),
    16: ((CHECKS, "test_settings_that_are_none"), (SETTINGS, "test_a_value_that_is_not_taken_as_it_stands_is_named")),
    17: (
        (SUPERVISOR, "test_c60_20_the_marker_does_not_stand_for_evidence"),
        (LOOP, "test_missing_evidence_blocks_the_end_for_as_long_as_it_may"),
    ),
    18: (
        (STAGES, "test_c60_84_a_source_whose_handler_fails_goes_on_and_one_that_crashes_fails"),
        (STAGES, "test_a_crash_fails_its_stage"),
    ),
    19: (
        (MACHINES, "test_a_stage_moves_as_in_the_original"),
        (BAD_INPUT, "test_h60_19_what_a_source_may_hear_twice_or_early"),
    ),
    20: ((STAGES, "test_error_rows_of_a_source_do_not_count_in_its_eof"),),
    21: (
        ("property/test_pipeline_stops.py", "test_a_stopped_pipeline_ends_once"),
        (STAGES, "test_c60_85_a_stage_that_is_shut_down_has_been_cancelled"),
    ),
    22: ((CONTRACTS, "test_a_forwarded_eof_read_last_changes_nothing"),),
    23: ((STAGES, "test_c60_82_a_strict_join"),),
}
"""The hardenings of §26, and the tests that fail without them."""

ORIGINAL: Mapping[str, int | str] = {
    "is_gating_edge_for_contract_behaves_as_expected": 7,
    "manual_ready_for_run_publishes_state_and_waits_for_external_run": 45,
    "auto_ready_for_run_emits_run_and_reaches_running": 46,
    "materialized_to_ready_for_run_publishes_post_transition_state": 47,
    "running_state_is_published_after_source_start_actions_complete": 48,
    "early_run_queued_in_materialized_is_consumed_before_ready_for_run": 49,
    "materializing_stage_count_mismatch_transitions_to_failed_without_panic": 50,
    "materialized_without_non_source_stages_transitions_to_error": 51,
    "materialized_stage_failed_or_cancelled_before_readiness_transitions_to_error": 52,
    "ready_for_run_stage_failure_transitions_to_error_before_run": 52,
    "expired_graceful_stop_aborts_and_joins_stalled_stage_without_fresh_cleanup_budget": 53,
    "graceful_deadline_bounds_a_stalled_source_control_send": "a request to a stage waits for no room in a queue",
    "terminal_publication_retains_its_outcome_while_servicing_graceful_expiry": "a stop after the last transition is "
    "ignored (§9.5), and the terminal fact is one append",
    "supervisor_join_waits_for_terminal_publication_and_propagates_append_failure": "an append of the terminal fact "
    "that fails is logged, never raised (§17.4)",
    "unexpected_errors_preserve_failed_outcomes_before_and_during_stop": "a run that was asked to stop ends as "
    "cancelled, whatever fails then (§17.4); without a stop it is C-37",
    "pre_execution_teardown_is_explicit_and_failures_stay_selected": "there is no fact 'not started': a stop before "
    "the start is cancelled with duration 0 (C-62)",
}
"""The tests of the original's supervisor: the first is that of 0.1.2, the others came with later versions.

Each has the line whose test shows the same, or why there is none.
"""


def names_of_tests(file: Path) -> Iterator[str]:
    tree = ast.parse(file.read_bytes())
    return (node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"))


@cache
def numbers() -> frozenset[int]:
    """The lines that tests carry in their names."""
    names = (name for file in TESTS.rglob("test_*.py") for name in names_of_tests(file))
    found = (re.match(r"test_c60_((?:\d+_)+)", name) for name in names)
    return frozenset(int(number) for match in found if match for number in match[1].split("_") if number)


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"C-{line} {LINES[line]}")
def test_every_line_has_a_test_or_a_reason(line: int) -> None:
    assert (line in numbers()) is not (line in LEFT_OUT)


def test_no_test_has_a_number_that_is_no_line() -> None:
    assert list(LINES) == list(range(1, 114))
    assert numbers() <= LINES.keys()


@pytest.mark.parametrize("hardening", range(1, 24))
def test_every_hardening_has_a_test(hardening: int) -> None:
    for file, name in HARDENINGS[hardening]:
        assert name in names_of_tests(TESTS / file)


def test_every_test_of_the_original_has_one_or_a_reason() -> None:
    assert len(ORIGINAL) == 16
    assert {line for line in ORIGINAL.values() if isinstance(line, int)} <= numbers()
