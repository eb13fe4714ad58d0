"""Which members of a state a step function reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import Struct

from ergo_cli.core.json import render
from ergo_cli.programs.kernel import Complete, KernelProgram
from ergo_cli.programs.kernel.engine.actions import no_execution
from ergo_cli.programs.kernel.watching import members_read
from ergo_cli.stores.memory import MemoryJournal


class Part(Struct, frozen=True, rename={"label": "Label"}):
    label: str = "late"
    size: int = 1


class Whole(Struct, frozen=True, kw_only=True):
    name: str = "n"
    part: Part = Part()
    count: int = 0

    @property
    def twice(self) -> int:
        return 2 * self.count


def read(step: Callable[[Any], Any], state: Any, kind: Any = None) -> list[str]:
    program: KernelProgram[Any] = KernelProgram("p", lambda payload: state, step, "p:execute", state=kind)
    return [render(place) for place in members_read(program.kernel(MemoryJournal(), no_execution), state)]


def by_name(state: Any) -> Any:
    return Complete() if state["plan"] == "x" or "approved" in state or state.get("paid") else None


def by_pattern(state: Any) -> Any:
    match state:
        case {"summary": {"label": "late"}}:
            return Complete()
        case {"plan": str()}:
            return None
        case _:
            raise ValueError


def failing(state: Any) -> Any:
    return state["plan"]["no such member"]


@pytest.mark.parametrize(
    ("step", "members"),
    [
        (by_name, ["plan", "approved", "paid"]),
        (by_pattern, ["summary.label", "plan"]),
        (failing, ["plan"]),
        (lambda state: [value for name, value in state.items()], ["plan", "summary"]),
    ],
)
def test_members_of_objects(step: Callable[[Any], Any], members: list[str]) -> None:
    assert read(step, {"plan": "refund", "summary": {"label": "new"}}) == members


def test_fields_of_structs_by_the_names_that_they_have_in_bundles() -> None:
    state = {"name": "n", "part": {"Label": "late", "size": 1}, "count": 3}
    assert read(lambda whole: (whole.part.label, whole.twice), state, Whole) == ["part.Label", "count"]


def test_a_state_that_is_a_plain_value_has_no_members() -> None:
    assert read(lambda state: state + 1, 3) == []
