from __future__ import annotations

import pytest

from ergo_cli.core.documents import ProgramSource
from ergo_cli.replay.source_changes import LARGEST_COMPARED, source_changes

IDLE = "changed, comments, blank lines or docstrings only"
BEFORE = '"""What it does."""\nX = 1\n\n\ndef f(a):\n    """Add."""\n    return a + 1  # one\n'


def changed(before: str, after: str) -> str:
    first, *_ = source_changes([ProgramSource.of("p/a.py", before)], [ProgramSource.of("p/a.py", after)])
    return first.removeprefix("p/a.py: ")


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
    assert changed(BEFORE, after) == IDLE


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (BEFORE, BEFORE.replace("a + 1", "a + 2")),
        (BEFORE, BEFORE.replace("X = 1", "X = '1'")),
        (BEFORE, BEFORE.replace("def f(a)", "def f(a=0)")),
        ("x = '# no comment'\n", "x = '# a text'\n"),
        ("x = 1\n", "x = (\n"),
        ("x = 1\n", "x = 1\n" + "# long\n" * (LARGEST_COMPARED // 7 + 1)),
        ("x = 1\n", "x = " + "-" * 200_000 + "1\n"),
    ],
)
def test_a_change_that_may_matter(before: str, after: str) -> None:
    assert changed(before, after) == "changed"


def test_files_that_came_and_went_are_named_by_path() -> None:
    old, kept, new = (ProgramSource.of(f"p/{name}.py", "") for name in ("old", "kept", "new"))
    assert source_changes([old, kept], [kept, new]) == ("p/new.py: new", "p/old.py: no longer part of the program")


def test_a_program_whose_files_are_the_same_has_another_name_or_version() -> None:
    kept = ProgramSource.of("p/a.py", "")
    assert source_changes([kept], [kept]) == ("no file of the program changed: its name or its version did",)
