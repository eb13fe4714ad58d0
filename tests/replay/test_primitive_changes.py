"""Which nodes a change in the code of own primitives can decide in."""

from __future__ import annotations

import pytest

from ergo_cli.core.code_places import CodePlace
from ergo_cli.core.documents import ProgramSource
from ergo_cli.replay.primitive_changes import primitive_changes

PRIMITIVES = """\
import math
from .helpers import half as halved, LIMIT
from trend import tables

@compute("fast", "1.0.0")
def fast(x):
    return shared(x) + 1

@compute("slow", "1.0.0")
def slow(x):
    return halved(x) * 2

@trigger("high", "1.0.0")
def high(x):
    return x > LIMIT

def shared(x):
    return deeper(x)

def deeper(x):
    return math.floor(x)

def unused(x):
    return 3

decide = Primitive(manifest, lambda inputs, params: tables.of(inputs), None)
"""
HELPERS = "LIMIT = 10\n\ndef half(x):\n    return x / 2\n"
TABLES = "STEPS = [1, 2]\n\ndef of(inputs):\n    return STEPS[0]\n"
TEXTS = {"trend/primitives.py": PRIMITIVES, "trend/helpers.py": HELPERS, "trend/tables.py": TABLES}
FILE = "/home/me/strategy/trend/primitives.py"
NODES = {
    "quick": CodePlace(FILE, 5, ""),
    "calm/avg": CodePlace(FILE, 9, ""),
    "alarm": CodePlace(FILE, 14, ""),
    "table": CodePlace(FILE, 0, "decide"),
}


def sources(texts: dict[str, str]) -> list[ProgramSource]:
    return [ProgramSource.of(path, text) for path, text in texts.items()]


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("primitives", "+ 1", "+ 2", ["primitives.py:7 in fast: quick"]),
        ("primitives", "* 2", "* 3", ["primitives.py:11 in slow: calm/avg"]),
        ("primitives", '"slow", "1.0.0"', '"slow", "1.1.0"', ["primitives.py:9 in slow: calm/avg"]),
        ("primitives", "math.floor", "math.ceil", ["primitives.py:21 in deeper: quick"]),
        ("primitives", "return 3", "return 4", ["primitives.py:24 in unused: "]),
        ("primitives", "import math", "import math, sys", ["code outside functions: quick calm/avg alarm table"]),
        ("primitives", "import math", "import math  # the library", ["comments, blank lines or docstrings only: "]),
        ("helpers", "x / 2", "x / 3", ["helpers.py:4 in half: calm/avg"]),
        ("helpers", "10", "11", ["helpers.py:1 LIMIT: alarm"]),
        ("tables", "[1, 2]", "[1, 3]", ["tables.py:1 STEPS: table"]),
    ],
)
def test_a_change_is_in_the_nodes_whose_code_refers_to_it(file: str, old: str, new: str, expected: list[str]) -> None:
    path = f"trend/{file}.py"
    assert TEXTS[path].count(old) == 1
    today = {**TEXTS, path: TEXTS[path].replace(old, new)}
    found = primitive_changes(sources(TEXTS), sources(today), NODES)
    said = [f"{each.file}:{each.line} {each.subject}: {' '.join(each.nodes)}" for each in found]
    assert [line[-len(end) :] for line, end in zip(said, expected, strict=True)] == expected


def test_equal_texts_have_no_changes() -> None:
    assert primitive_changes(sources(TEXTS), sources(TEXTS), NODES) == []


def test_a_new_module_is_in_the_nodes_that_use_it() -> None:
    before = {path: text for path, text in TEXTS.items() if path != "trend/tables.py"}
    [change] = primitive_changes(sources(before), sources(TEXTS), NODES)
    assert (change.subject, change.verb.value, change.nodes) == ("the file", "added", ("table",))


def test_code_that_cannot_be_found_by_its_line_counts_as_all_of_its_file() -> None:
    today = {**TEXTS, "trend/primitives.py": PRIMITIVES.replace("return 3", "return 4")}
    [change] = primitive_changes(sources(TEXTS), sources(today), {"made": CodePlace(FILE, 900, "")})
    assert change.nodes == ("made",)


def test_functions_that_refer_to_each_other_end() -> None:
    before = "def f(x):\n    return g(x)\n\ndef g(x):\n    return f(x) if x else 1\n"
    after = before.replace("else 1", "else 2")
    texts = [[ProgramSource.of("own.py", text)] for text in (before, after)]
    [change] = primitive_changes(texts[0], texts[1], {"f": CodePlace("/p/own.py", 1, "")})
    assert (change.subject, change.nodes) == ("in g", ("f",))
