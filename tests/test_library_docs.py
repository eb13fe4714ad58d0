"""The examples of the README's library section, each run as it stands in a project of its own."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
_SECTION = re.compile(r"^## As a library\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def examples() -> list[str]:
    [section] = _SECTION.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    return _BLOCK.findall(section)


def test_there_are_examples() -> None:
    assert examples()


@pytest.mark.parametrize("number", range(len(examples())))
def test_an_example_runs(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "fixtures" / "order_threshold", tmp_path / "project")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path / "project")
    exec(compile(examples()[number], f"README.md, library example {number + 1}", "exec"), {"__name__": "example"})
