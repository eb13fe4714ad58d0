"""``ergo why`` of kernel programs: the record that differs, the state before it, the records behind that."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import Ergo

FIXTURES = Path(__file__).parents[2] / "fixtures"
BUNDLE = "captures/tuesday.json"


@pytest.fixture
def agent(ergo: Ergo, tmp_path: Path) -> Path:
    """The example agent, captured here, so that the program store has its texts."""
    home = tmp_path / "agent"
    shutil.copytree(FIXTURES / "agent", home, ignore=shutil.ignore_patterns("__pycache__"))
    assert ergo("capture", cwd=home).exit_code == 0
    return home


def edit(home: Path, old: str, new: str, file: str = "agent.py") -> None:
    module = home / "refunds" / file
    text = module.read_text()
    assert old in text
    module.write_text(text.replace(old, new))


def test_another_prompt_is_the_record_that_differs(ergo: Ergo, agent: Path) -> None:
    edit(agent, "How likely is it a fraud?", "Is it a fraud?")
    ran = ergo("why", BUNDLE, cwd=agent)
    assert ran.exit_code == 0
    head, recorded, today = ran.stdout.splitlines()[:3]
    assert head == "event t-0900  record 1"
    assert recorded.startswith("- CallLLM assessor")
    assert "How likely is it a fraud?" in recorded
    assert today.startswith("+ CallLLM assessor")
    assert "How likely" not in today


def test_a_member_of_the_state_names_the_result_that_wrote_it_and_its_request(ergo: Ergo, agent: Path) -> None:
    ran = ergo("why", BUNDLE, "t-0930", "receipt", cwd=agent)
    assert ran.exit_code == 0
    head, value, result, request = ran.stdout.splitlines()
    assert (head, value) == ("event t-0930  receipt", '  "r-c-2-5"')
    assert result.startswith("  written by  record 6  ActionSucceeded")
    assert request.startswith("    request  record 5  CallTool pay")


def test_a_member_that_an_earlier_event_wrote_names_that_event(ergo: Ergo, agent: Path) -> None:
    ran = ergo("why", BUNDLE, "t-0930", "risk", cwd=agent)
    [written] = [line for line in ran.stdout.splitlines() if line.startswith("  written by")]
    assert written.endswith("event t-0910")


def test_a_part_that_is_not_there_is_refused_with_what_is_near(ergo: Ergo, agent: Path) -> None:
    ran = ergo("why", BUNDLE, "t-0930", "reciept", cwd=agent)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "did you mean 'receipt'?" in ran.stderr


def test_where_nothing_differs_the_outcome_is_empty(ergo: Ergo, agent: Path) -> None:
    ran = ergo("why", BUNDLE, cwd=agent)
    assert (ran.exit_code, ran.stdout) == (5, f"empty: nothing of {BUNDLE} differs; name an event\n")
    ran = ergo("why", BUNDLE, "t-0900", cwd=agent)
    assert (ran.exit_code, ran.stdout) == (5, "empty: nothing of event 't-0900' differs; name a part of it\n")
