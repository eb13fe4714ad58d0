"""The examples of the library's chapter and of the README, each run as it stands in a project of its own."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def examples() -> list[str]:
    texts = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/library.md"))
    return [example for text in texts for example in _BLOCK.findall(text)]


def test_there_are_examples() -> None:
    assert examples()


@pytest.mark.parametrize("number", range(len(examples())))
def test_an_example_runs(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "fixtures" / "order_threshold", tmp_path / "project")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path / "project")
    exec(compile(examples()[number], f"library example {number + 1}", "exec"), {"__name__": "example"})
