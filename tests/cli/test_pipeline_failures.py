"""What a report says of a pipeline that fails: a code or an exception, the stage or the edge, at its closing too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.pipeline_projects import BUNDLE, Home
from tests.conftest import Ergo, Ran

KEEP = "def kept(event):\n    pass\n"
DIES = "def dies(*given):\n    return 1 // 0\n"
FORGES = (
    "from ergo_cli.programs.pipeline.signals import Eof\n"
    'def forge(payload):\n    return [Event("d", payload), Eof(natural=True, writer_seq=5)]\n'
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "own")


def failures(ran: Ran) -> list[Any]:
    return ran.report["run"]["failures"]


def test_a_handler_that_raises_is_named_with_its_stage_and_line(ergo: Ergo, home: Home) -> None:
    home.program('source("in")', 'sink("out", dies)', handlers=DIES)
    [failed, _later] = failures(ergo("run", "--format", "json", cwd=home.root))
    assert (failed["error"], failed["where"], failed["event_id"]) == ("ZeroDivisionError", "stage 'out'", "e1")
    assert (failed["place"]["file"], failed["place"]["function"]) == ("own.py", "dies")


def test_a_contract_that_fails_is_named_with_its_edge(ergo: Ergo, home: Home) -> None:
    home.program('source("in", forge)', 'sink("out", kept)', handlers=FORGES + KEEP)
    ran = ergo("run", cwd=home.root)
    assert ran.exit_code == 0
    assert ran.stderr.splitlines()[:3] == [
        "  1  pipeline.contract_failed: 'in' says that it wrote 5 events, 'out' read 1",
        "     edge 'in' -> 'out'",
        "     event e1",
    ]


@pytest.mark.parametrize("part", ["flush", "drain"])
def test_a_closing_that_fails_is_a_failure_without_an_event(ergo: Ergo, home: Home, part: str) -> None:
    """Spec 60 §17.4: exit code 1 with ``--fail-on-error`` where an episode or the closing failed, else 0."""
    home.program('source("in")', f'sink("out", kept, {part}=dies)', handlers=KEEP + DIES)
    ran = ergo("capture", "--format", "json", cwd=home.root)
    assert (ran.exit_code, ran.report["run"]["failed"]) == (0, 0)
    [failed] = failures(ran)
    assert (failed["event_id"], failed["last_event_id"], failed["count"]) == (None, None, 1)
    assert (failed["error"], failed["where"]) == ("ZeroDivisionError", "stage 'out'")
    assert failed["termination"] == "Failed(SemanticError)"
    strict = ergo("run", "--fail-on-error", cwd=home.root)
    assert strict.exit_code == 1
    assert "  closing  Failed(SemanticError)" in strict.stdout.splitlines()
    assert strict.stderr.splitlines()[-1].strip() == "after the last event"
    assert ergo("replay", BUNDLE, cwd=home.root).exit_code == 0


def test_a_flow_that_failed_before_does_not_fail_again_at_its_closing(ergo: Ergo, home: Home) -> None:
    home.program('source("in")', 'sink("out", dies, drain=dies)', handlers=DIES).events({"n": 1})
    ran = ergo("run", "--format", "json", cwd=home.root)
    assert [(failed["event_id"], failed["count"]) for failed in failures(ran)] == [("e1", 1)]
    assert ran.report["run"]["failed"] == 1


def test_a_good_closing_is_not_mentioned(ergo: Ergo, home: Home) -> None:
    home.program('source("in")', 'sink("out", kept)', handlers=KEEP)
    ran = ergo("run", "--fail-on-error", cwd=home.root)
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert "closing" not in ran.stdout
