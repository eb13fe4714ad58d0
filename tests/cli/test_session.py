from __future__ import annotations

import json

import pytest

from ergo_cli.cli.commands import Format
from ergo_cli.cli.session import Session
from ergo_cli.report.command_result import CommandResult
from ergo_cli.signals import Interrupted


def _defect() -> CommandResult:
    raise ZeroDivisionError("nothing divides by zero")


def _interrupted() -> CommandResult:
    raise Interrupted


def _left() -> CommandResult:
    raise SystemExit(0)


def _broken_off() -> CommandResult:
    raise KeyboardInterrupt


def test_a_defect_of_ours_has_a_traceback_and_asks_for_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert Session("replay", Format.JSON).conclude(_defect) == 70
    told = capsys.readouterr()
    assert told.err.startswith("Traceback (most recent call last):")
    assert "error: ergo failed: ZeroDivisionError: nothing divides by zero\n  fix: " in told.err
    assert "please report it" in told.err
    report = json.loads(told.out)
    assert (report["outcome"], report["exit_code"], report["error"]["code"]) == ("failed", 70, "internal.error")


def test_an_interrupt_is_told_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert Session("capture", Format.JSON).conclude(_interrupted) == 130
    told = capsys.readouterr()
    assert told.err == "interrupted\n"
    report = json.loads(told.out)
    assert (report["outcome"], report["exit_code"], report["error"], report["run"]) == ("interrupted", 130, None, None)


def test_what_leaves_by_itself_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    assert Session("capture", Format.JSON).conclude(_left) == 70
    assert json.loads(capsys.readouterr().out)["error"]["message"] == "ergo failed: SystemExit: 0"


def test_an_interrupt_of_a_user_s_own_is_one_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert Session("capture", Format.JSON).conclude(_broken_off) == 130
    assert json.loads(capsys.readouterr().out)["outcome"] == "interrupted"
