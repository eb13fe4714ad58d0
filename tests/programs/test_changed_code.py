"""What code a function reaches through names."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from ergo_cli.programs.changed_code import changes_in, code_of
from ergo_cli.programs.changes import Change

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


SIGNED = "yours"


def letter(state):
    return "dear" + SIGNED
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


def holds(function: object, subject: str, file: str = "reachedpkg/main.py") -> bool:
    return bool(changes_in(function, [Change(subject=subject, file=file)]))


@pytest.mark.parametrize("subject", ["in step", "in far", "in Basket.total", "in Basket.inner", "Basket", "LIMIT"])
def test_functions_methods_and_constants_of_the_module_are_reached(module: ModuleType, subject: str) -> None:
    assert holds(module.step, subject)


@pytest.mark.parametrize("subject", ["in helper", "PROMPT"])
def test_those_of_other_modules_too(module: ModuleType, subject: str) -> None:
    assert holds(module.step, subject, "reachedpkg/texts.py")


@pytest.mark.parametrize("subject", ["in unused", "OTHER"])
def test_what_no_name_leads_to_is_not(module: ModuleType, subject: str) -> None:
    assert not holds(module.step, subject)
    assert not holds(module.step, "in letter", "reachedpkg/texts.py")


def test_what_can_decide_nothing_or_has_no_place_is_not(module: ModuleType) -> None:
    assert not changes_in(module.step, [Change(subject="in step", file="reachedpkg/main.py", idle=True)])
    assert not changes_in(module.step, [Change(subject="in step")])


def test_objects_that_are_called_and_partial_functions_are_followed(module: ModuleType) -> None:
    assert holds(module.asking, "in letter", "reachedpkg/texts.py")
    assert holds(module.asking, "SIGNED", "reachedpkg/texts.py")
    assert holds(module.bound, "OTHER")


def test_a_decorated_function_has_its_own_place_and_name(module: ModuleType) -> None:
    code = code_of(module.step)
    assert code is not None
    assert (code.name, code.line) == ("step", 1 + MAIN.splitlines().index("@noted"))
    assert code.file.endswith("reachedpkg/main.py")
    assert code_of(3) is None
