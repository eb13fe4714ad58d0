"""What holds a function, is a decorator of it, or names it through another file reaches its changes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ergo_cli.programs.changed_code import changes_in, code_of
from ergo_cli.programs.changes import Change
from ergo_cli.programs.pipeline import inner

RATES = """
BASE = 3

class Table:
    SIZE = 2
    def look(self, n):
        return n * self.SIZE

def rate(n):
    return Table().look(n)

def unused(n):
    return n
"""
PLAN = """
from functools import wraps
from shop import rates
from shop.rates import BASE, rate

LIMIT = 5

def limited(n):
    return min(n, LIMIT)

def price(n):
    return limited(rate(n)) + BASE

def twice(function):
    @wraps(function)
    def call(n):
        return function(function(n))
    return call

@twice
def wrapped(n):
    return limited(n)

def by_module(n):
    return rates.unused(n)

def holding():
    held = limited
    return lambda n: held(n)

class Handler:
    def __call__(self, n):
        return limited(n)

    def method(self, n):
        return self.other(n)

    def other(self, n):
        return n
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    folder = tmp_path / "shop"
    folder.mkdir()
    for name, text in (("__init__", ""), ("rates", RATES), ("plan", PLAN)):
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    import importlib

    yield importlib.import_module("shop.plan")
    for name in ("shop", "shop.rates", "shop.plan"):
        sys.modules.pop(name, None)


def change(subject: str, file: str = "shop/plan.py", **more: Any) -> Change:
    return Change(subject=subject, file=file, **more)


IN_PRICE = [
    change("in price"),
    change("in limited"),
    change("LIMIT"),
    change("in rate", "shop/rates.py"),
    change("BASE", "shop/rates.py"),
    change("in Table.look", "shop/rates.py"),
    change("Table.SIZE", "shop/rates.py"),
    change("code outside functions"),
]
ELSEWHERE = [
    change("in unused", "shop/rates.py"),
    change("in price", "shop/other.py"),
    change("in twice"),
    change("Handler"),
    change("in price", idle=True),
    change("version of desk", ""),
]


def test_a_function_reaches_what_it_names_through_files(shop: ModuleType) -> None:
    assert changes_in(shop.price, [*ELSEWHERE, *IN_PRICE]) == IN_PRICE


@pytest.mark.parametrize(
    "made",
    [
        lambda shop: shop.wrapped,
        lambda shop: partial(shop.limited, 3),
        lambda shop: shop.Handler(),
        lambda shop: shop.holding(),
        lambda shop: inner("reference", shop.limited, shop.limited, shop.limited),
    ],
    ids=["decorated", "partial", "callable object", "closure", "of ergo"],
)
def test_what_holds_a_function_reaches_it(shop: ModuleType, made: Callable[[ModuleType], object]) -> None:
    assert changes_in(made(shop), [change("in limited"), change("in price")]) == [change("in limited")]


def test_a_method_reaches_the_others_of_its_class(shop: ModuleType) -> None:
    assert changes_in(shop.Handler().method, [change("in Handler.other")]) == [change("in Handler.other")]


def test_a_function_of_a_module_that_is_named_is_reached(shop: ModuleType) -> None:
    found = [change("in unused", "shop/rates.py")]
    assert changes_in(shop.by_module, found) == found


def test_the_place_is_that_of_the_first_function_of_a_user(shop: ModuleType) -> None:
    code = code_of(inner("reference", shop.limited, shop.limited, shop.limited))
    assert code is not None
    assert (code.name, code.file.endswith("shop/plan.py"), code.line) == ("limited", True, 8)
    wrapped = code_of(shop.wrapped)
    assert wrapped is not None
    assert wrapped.name == "wrapped"
    assert code_of(len) is None


def test_a_decorator_is_part_of_what_it_decorates(shop: ModuleType) -> None:
    assert changes_in(shop.wrapped, [change("in twice"), change("in price")]) == [change("in twice")]
