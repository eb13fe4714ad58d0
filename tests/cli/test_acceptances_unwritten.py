"""``ergo accept`` where the line about what is accepted cannot be written: nothing is replaced, and that is said."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import Ergo

FIXTURES = Path(__file__).parents[2] / "fixtures"
BUNDLE = "captures/monday.json"


@pytest.fixture
def desk(ergo: Ergo, tmp_path: Path) -> Path:
    """The order strategy, captured here, with its level to enter at lowered since."""
    home = tmp_path / "desk"
    shutil.copytree(FIXTURES / "order_threshold", home)
    assert ergo("capture", cwd=home).exit_code == 0
    graph = home / "graphs" / "order_threshold.yaml"
    graph.write_text(graph.read_text().replace("value: 105.0", "value: 104.0"))
    return home


def test_what_was_accepted_and_could_not_be_written_is_said(ergo: Ergo, desk: Path) -> None:
    (desk / "captures" / "accepted.jsonl").mkdir()
    ran = ergo("accept", "--all", cwd=desk)
    assert ran.exit_code == 6
    assert "refused    1 bundle: accepted, but not written\n  captures/monday.json\n" in ran.stdout
    assert "only with all of its groups" not in ran.stdout


def test_the_log_is_no_link_to_a_file_elsewhere(ergo: Ergo, desk: Path) -> None:
    before = (desk / BUNDLE).read_bytes()
    for target, text in (("diary.txt", "mine\n"), ("absent.txt", None)):
        if text is not None:
            (desk / target).write_text(text)
        log = desk / "captures" / "accepted.jsonl"
        log.symlink_to(desk / target)
        ran = ergo("accept", "--all", "--format", "json", cwd=desk)
        assert (ran.exit_code, ran.report["error"]["code"]) == (6, "accept.log_write_failed")
        assert (desk / BUNDLE).read_bytes() == before
        assert ((desk / target).read_text() if (desk / target).exists() else None) == text
        log.unlink()
