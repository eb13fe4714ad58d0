"""What changed in the Python files of a program, by function, class and constant."""

from __future__ import annotations

import pytest

from ergo_cli.core.documents import ProgramSource
from ergo_cli.programs.changes import Change, Verb
from ergo_cli.replay.python_changes import python_changes
from ergo_cli.replay.python_parts import LARGEST_COMPARED

BEFORE = '"""What it does."""\nX = 1\n\n\ndef f(a):\n    """Add."""\n    return a + 1  # one\n'


def changes(before: str, after: str) -> list[Change]:
    return python_changes([ProgramSource.of("p/a.py", before)], [ProgramSource.of("p/a.py", after)])


def lines(before: str, after: str) -> list[str]:
    """Each change in one line: line number, subject, verb, both values."""
    parts = [(each.line, each.subject, each.verb.value, each.before, each.after) for each in changes(before, after)]
    return [" ".join(str(part) for part in each if part is not None) for each in parts]


@pytest.mark.parametrize(
    "after",
    [
        BEFORE.replace("  # one", ""),
        BEFORE.replace("What it does.", "What is done."),
        BEFORE.replace("Add.", "Add one."),
        BEFORE.replace('    """Add."""\n', ""),
        BEFORE.replace("\n\n\n", "\n"),
        BEFORE.replace("a + 1", "(a  +  1)"),
    ],
)
def test_a_change_that_no_statement_sees(after: str) -> None:
    assert changes(BEFORE, after) == [
        Change(subject="comments, blank lines or docstrings only", file="p/a.py", idle=True)
    ]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (BEFORE, BEFORE.replace("a + 1", "a + 2"), ["7 in f changed 1 2"]),
        (BEFORE, BEFORE.replace("X = 1", "X = '1'"), ["2 X changed 1 '1'"]),
        (BEFORE, BEFORE.replace("def f(a)", "def f(a=0)"), ["5 in f changed"]),
        ("x = '# no comment'\n", "x = '# a text'\n", ["1 x changed '# no comment' '# a text'"]),
        ("import os\nx = 1\n", "import os\nimport sys\nx = 1\n", ["2 code outside functions changed"]),
        ("def f(): return 1\n", "def g(): return 1\n", ["1 g added", "f removed"]),
        (
            "class A(B):\n    limit = 3\n    def f(self):\n        g()\n        return 1\n",
            "class A(C):\n    limit = 4\n    def f(self):\n        h()\n        return 2\n",
            ["1 A changed B C", "2 A.limit changed 3 4", "4 in A.f changed g h"],
        ),
        (
            "def f(a):\n    if a > 900:\n        return ask(a)\n    return 0\n",
            "def f(a):\n    if a > 900:\n        log(a)\n        return ask(a)\n    return 0\n",
            ["3 in f changed"],
        ),
        (
            "async def f(a):\n    return await g(1)\n",
            "async def f(a):\n    return await g(a, 1)\n",
            ["2 in f changed g(1) g(a, 1)"],
        ),
        ("def f():\n    x = 1\n    y = 2\n", "def f():\n    x = 1\n", ["1 in f changed"]),
        ("T = {'a': 1}\nT['b'] = 2\n", "T = {'a': 1}\nT['b'] = 3\n", ["2 code outside functions changed 2 3"]),
    ],
)
def test_a_change_is_named_at_the_first_line_that_differs(before: str, after: str, expected: list[str]) -> None:
    assert lines(before, after) == expected


def test_two_definitions_of_one_name_are_one_part() -> None:
    before = "if A:\n    pass\ndef f(): return 1\ndef f(): return 2\n"
    assert lines(before, before.replace("return 2", "return 3")) == ["4 f changed 2 3"]


def test_long_values_are_left_out() -> None:
    before, after = f"X = '{'a' * 50}'\n", f"X = '{'b' * 50}'\n"
    assert lines(before, after) == ["1 X changed"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = 1\n", "x = (\n"),
        ("x = (\n", "x = 1\n"),
        ("x = 1\n", "x = 1\n" + "# long\n" * (LARGEST_COMPARED // 7 + 1)),
        ("x = 1\n", "x = " + "-" * 200_000 + "1\n"),
        ("x = 1\n", "x = '\x00'\n"),
    ],
)
def test_of_a_text_that_cannot_be_parsed_the_file_is_named(before: str, after: str) -> None:
    assert changes(before, after) == [Change(subject="the file", file="p/a.py")]


def test_expressions_as_deep_as_python_reads_them_are_compared() -> None:
    deep = "x = " + "-" * 80 + "1\n"
    assert lines(deep, deep.replace("1", "2")) == ["1 x changed 1 2"]


def test_files_that_came_and_went_are_named_by_path() -> None:
    old, kept, new = (ProgramSource.of(f"p/{name}.py", "") for name in ("old", "kept", "new"))
    assert python_changes([old, kept], [kept, new]) == [
        Change(subject="the file", verb=Verb.ADDED, file="p/new.py"),
        Change(subject="the file", verb=Verb.REMOVED, file="p/old.py"),
    ]
    assert python_changes([kept], [kept]) == []
