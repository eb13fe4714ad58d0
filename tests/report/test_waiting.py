"""The command that answers a waiting run."""

from __future__ import annotations

import shlex
from typing import cast

import pytest

from ergo_cli.host.run_plan import RunPlan, RunRequest
from ergo_cli.report.waiting import Answers, waiting_blocks
from ergo_cli.supervisor.journals import WaitingRuns


class _KeptPlan:
    """The one member of a plan that is looked at."""

    def __init__(self, store: str) -> None:
        self.store = store


@pytest.mark.parametrize(
    ("store", "shown"),
    [
        ("postgres:postgres://u:s3cret@h/db", "postgres:postgres://u:***@h/db"),
        ("postgres:user=u password=s3cret host=h", "postgres:user=u password=*** host=h"),
        ("sqlite:runs.db", "sqlite:runs.db"),
    ],
)
def test_the_answering_command_holds_no_password(store: str, shown: str) -> None:
    answers = Answers.of(RunRequest(store=store), cast(RunPlan, _KeptPlan(store)))
    assert answers.options == ("--store", shown)
    for command in (answers.command("r1"), answers.listing()):
        assert command is not None
        assert "s3cret" not in command
        assert command.endswith(shlex.join(("--store", shown)))


def test_without_a_store_there_is_no_command_that_lists() -> None:
    answers = Answers(None)
    assert (answers.command("r1"), answers.listing()) == (None, None)
    lines = [str(block) for block in waiting_blocks(WaitingRuns((), 12), answers)]
    assert "ergo runs" not in "".join(lines)
