"""What code a function reaches through names."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from ergo_cli.programs.changes import Change
from ergo_cli.programs.reached_code import name_of, place_of, reached_code

MAIN = """\
from functools import partial, wraps

from reachedpkg import texts
from reachedpkg.texts import helper

LIMIT = 1
OTHER = 2


class Basket:
    def total(self):
        return self.inner()

    def inner(self):
        return far()


def far():
    return 1


def noted(function):
    @wraps(function)
    def inside(*given):
        return function(*given)

    return inside


@noted
def step(state):
    return [helper(each) for each in state] if LIMIT else Basket().total()


def unused():
    return OTHER


class Asking:
    def __call__(self, state):
        return texts.letter(state)


asking = Asking()
bound = partial(unused)
"""

TEXTS = """\
PROMPT = "how?"


def helper(value):
    return PROMPT + value


def letter(state):
    return "dear"
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    package = tmp_path / "reachedpkg"
    package.mkdir()
    for name, text in (("__init__", ""), ("main", MAIN), ("texts", TEXTS)):
        (package / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("reachedpkg.main")
    for name in [name for name in sys.modules if name.startswith("reachedpkg")]:
        del sys.modules[name]


def change(subject: str, file: str = "reachedpkg/main.py") -> Change:
    return Change(subject=subject, file=file)


def test_functions_methods_and_constants_of_the_package_are_reached(module: ModuleType) -> None:
    reached = reached_code(module.step)
    inside = ["in step", "in far", "in Basket.total", "in Basket.inner", "Basket", "LIMIT"]
    assert all(reached.holds(change(subject)) for subject in inside)
    assert all(reached.holds(change(subject, "reachedpkg/texts.py")) for subject in ("in helper", "PROMPT"))


def test_what_no_name_leads_to_is_not(module: ModuleType) -> None:
    reached = reached_code(module.step)
    assert not any(reached.holds(change(subject)) for subject in ("in unused", "OTHER", "in helper"))
    assert not reached.holds(change("in letter", "reachedpkg/texts.py"))
    assert not reached.holds(Change(subject="in step"))
    assert not reached.holds(Change(subject="in step", file="reachedpkg/main.py", idle=True))


def test_objects_that_are_called_and_partial_functions_are_followed(module: ModuleType) -> None:
    assert reached_code(module.asking).holds(change("in letter", "reachedpkg/texts.py"))
    assert reached_code(module.bound).holds(change("OTHER"))


def test_a_decorated_function_has_its_own_place_and_name(module: ModuleType) -> None:
    line = 1 + MAIN.splitlines().index("@noted")
    assert (name_of(module.step), place_of(module.step)) == ("step", ("reachedpkg/main.py", line))
    assert place_of(3) == (None, None)
