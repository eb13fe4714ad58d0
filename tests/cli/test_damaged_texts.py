"""Texts of a capture that are damaged in the program store: the comparison is the same, and what changed is unknown."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Ergo

FIXTURES = Path(__file__).parents[2] / "fixtures"

EDITS = {
    "order_threshold": ("graphs/order_threshold.yaml", "value: 105.0", "value: 104.0"),
    "own_primitives": ("graphs/trend.yaml", "alpha: 0.25", "alpha: 0.5"),
    "agent": ("refunds/agent.py", "How likely", "Say how likely"),
    "settlement": ("settlement/plan.py", "* FEE).quantize", "* FEE + 1).quantize"),
    "orders": ("orders/pipeline.py", 'article.payload["cents"] *', '(article.payload["cents"] - 1) *'),
}
"""One program of each kind, and an edit after which it decides otherwise."""


def halve(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def scribble(file: Path) -> None:
    file.write_bytes(b"nodes: [\xff\xfe\x00")


def make_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.fixture(params=sorted(EDITS))
def edited(request: pytest.FixtureRequest, ergo: Ergo, tmp_path: Path) -> Path:
    """A project whose capture is in the store, and whose program was edited since."""
    home = tmp_path / "project"
    shutil.copytree(FIXTURES / request.param, home, ignore=shutil.ignore_patterns("__pycache__"))
    assert ergo("capture", cwd=home, XDG_DATA_HOME=str(tmp_path / "data")).exit_code == 0
    file, old, new = EDITS[request.param]
    text = (home / file).read_text()
    assert text.count(old) == 1
    (home / file).write_text(text.replace(old, new))
    return home


def differences(report: Any) -> list[tuple[Any, ...]]:
    [bundle] = report["bundles"]
    members = ("seq", "event_id", "kind", "level", "path", "expected", "actual", "node")
    return [tuple(each[name] for name in members) for each in bundle["divergences"]]


def test_the_comparison_does_not_depend_on_them(ergo: Ergo, edited: Path, tmp_path: Path) -> None:
    whole = ergo("replay", "--format", "json", cwd=edited, XDG_DATA_HOME=str(tmp_path / "data"))
    assert whole.exit_code == 1
    assert whole.report["bundles"][0]["changes"]
    damages: dict[str, Callable[[Path], None]] = {
        "halved": halve,
        "scribbled": scribble,
        "folders": make_folder,
        "gone": Path.unlink,
    }
    for name, damage in damages.items():
        data = tmp_path / name
        shutil.copytree(tmp_path / "data", data)
        files = sorted(file for file in data.rglob("*") if file.is_file())
        for file in files[::2] if name == "gone" else files:
            damage(file)
        ran = ergo("replay", "--format", "json", cwd=edited, XDG_DATA_HOME=str(data))
        assert ran.exit_code == 1, (name, ran.stderr)
        assert differences(ran.report) == differences(whole.report), name
        assert "Traceback" not in ran.stderr
