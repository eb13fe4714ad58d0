"""Spec 50 §24, plan order and validation: C-29 to C-34."""

from __future__ import annotations

import pytest
from plan_lab import S1, S2, Lab, code_of, nothing

from ergo_cli.programs.plan.errors import RunError
from ergo_cli.programs.plan.states import (
    CircularDependency,
    DuplicateStateId,
    EmptyPlan,
    MissingStateForEdge,
    PlanFault,
    State,
    ordered,
)


def order(states: str, edges: str = "") -> tuple[str, ...] | PlanFault:
    """The order of states named by a letter each; edges as ``ab bc``."""
    return ordered(list(states), [(edge[0], edge[1]) for edge in edges.split()])


def test_c50_29_an_empty_plan() -> None:
    assert order("") == EmptyPlan()
    with pytest.raises(RunError) as refused:
        Lab().start()
    assert code_of(refused.value) == "InvalidPlan invalid_plan"
    assert refused.value.info.details == "EmptyPlan"


@pytest.mark.parametrize("edges", ["", "ax", "aa"])
def test_c50_30_two_states_of_one_id(edges: str) -> None:
    assert order("aba", edges) == DuplicateStateId("a")


@pytest.mark.parametrize(("edge", "missing"), [("xy", "x"), ("xa", "x"), ("ay", "y")])
def test_c50_31_an_edge_to_no_state(edge: str, missing: str) -> None:
    assert order("ab", f"ab {edge}") == MissingStateForEdge(missing)


@pytest.mark.parametrize(
    ("states", "edges", "cycle"), [("ab", "ab ba", "ab"), ("a", "aa", "a"), ("abcd", "ab bc cb cd", "bcd")]
)
def test_c50_32_states_that_wait_for_each_other(states: str, edges: str, cycle: str) -> None:
    assert order(states, edges) == CircularDependency(tuple(cycle))


@pytest.mark.parametrize(
    ("states", "edges", "expected"),
    [
        ("dcba", "da cb", "dcab"),
        ("abcd", "ad ac bc cd", "abcd"),
        ("abcde", "be bd ac", "abced"),
        ("cab", "ab ab", "cab"),
        ("abc", "", "abc"),
    ],
)
def test_c50_33_the_order_of_the_lists_decides(states: str, edges: str, expected: str) -> None:
    assert order(states, edges) == tuple(expected)


def test_c50_34_faults_are_found_in_a_fixed_order() -> None:
    assert order("", "xy") == EmptyPlan()
    assert order("aa", "xy aa") == DuplicateStateId("a")
    assert order("ab", "ab ba xa") == MissingStateForEdge("x")


@pytest.mark.parametrize(
    ("states", "edges", "details"),
    [
        ([S1, S1], [], {"DuplicateStateId": {"state_id": S1}}),
        ([S1], [(S1, S2)], {"MissingStateForEdge": {"missing": S2}}),
        ([S1, S2], [(S1, S2), (S2, S1)], {"CircularDependency": {"cycle": [S1, S2]}}),
    ],
)
def test_the_engine_says_which_fault_it_is(states: list[str], edges: list[tuple[str, str]], details: object) -> None:
    with pytest.raises(RunError) as refused:
        Lab(*(State(name, nothing) for name in states), edges=edges).start()
    assert code_of(refused.value) == "InvalidPlan invalid_plan"
    assert refused.value.info.details == details
