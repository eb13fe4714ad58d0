"""Plans and pipelines whose parts changed since their captures: what a replay says of it, from real projects."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.cli.pipeline_projects import KEPT as MORNING
from tests.cli.pipeline_projects import edit, orders
from tests.cli.plan_projects import KEPT as FRIDAY
from tests.cli.plan_projects import settlement
from tests.conftest import Ergo

AGENT, TUESDAY = Path(__file__).parents[2] / "fixtures" / "agent", "captures/tuesday.json"


@pytest.fixture
def shop(ergo: Ergo, tmp_path: Path) -> Path:
    """The pipeline of the example, captured here."""
    return captured(ergo, orders(tmp_path), MORNING)


@pytest.fixture
def bills(ergo: Ergo, tmp_path: Path) -> Path:
    """The plan of the example, captured here."""
    return captured(ergo, settlement(tmp_path), FRIDAY)


def captured(ergo: Ergo, project: Path, bundle: str) -> Path:
    kept = (project / bundle).read_bytes()
    (project / bundle).unlink()
    assert ergo("capture", cwd=project).exit_code == 0
    assert (project / bundle).read_bytes() == kept, "nothing of the parts is in the bundle"
    return project


def replayed(ergo: Ergo, project: Path, bundle: str, code: int = 1) -> Any:
    ran = ergo("replay", bundle, "--format", "json", cwd=project)
    assert ran.exit_code == code, ran.stdout + ran.stderr
    [found] = ran.report["bundles"]
    return found


def said(found: Any) -> list[tuple[Any, ...]]:
    names = ("subject", "change", "before", "after", "line", "without_effect")
    return [tuple(change[name] for name in names) for change in found["changes"]]


def reasons(found: Any) -> set[tuple[str | None, tuple[str, ...]]]:
    """The nodes of records that differ, each with the subjects of the changes that reach it."""
    subjects = [change["subject"] for change in found["changes"]]
    return {
        (each["node"], tuple(subjects[number] for number in each.get("changes", ())))
        for each in found["divergences"]
        if each["kind"] == "journal"
    }


def shape(environment: dict[str, str]) -> Path:
    [file] = Path(environment["XDG_DATA_HOME"]).glob("ergo/programs/*/none/shape.json")
    return file


# --- pipelines


def test_a_stage_in_the_middle_reaches_its_own_records(ergo: Ergo, shop: Path) -> None:
    file = shop / "orders" / "pipeline.py"
    edit(file, '        transform("check", check),\n', '        transform("check", check),\n        AUDIT,\n')
    edit(file, "program = Pip", 'AUDIT = transform("audit", lambda order: [order])\n\nprogram = Pip')
    edit(file, '        ("check", "price"),\n', '        ("check", "audit"),\n        ("audit", "price"),\n')
    edit(file, '            "check",\n', '            "audit",\n')
    found = replayed(ergo, shop, MORNING)
    assert said(found)[:3] == [
        ("audit", "added", None, "transform", 86, False),
        ("price.after", "changed", "check", "audit", 115, False),
        ("price.stream", "changed", "check", "audit", 95, False),
    ]
    assert [change["nodes"] for change in found["changes"]][:3] == [["audit"], ["price"], ["price"]]
    assert reasons(found) == {("audit", ("audit",)), ("price", ("audit",)), ("baskets", ("audit",))}


def test_a_setting_that_changes_nothing_here_is_without_effect(ergo: Ergo, shop: Path) -> None:
    file = shop / "orders" / "pipeline.py"
    edit(file, '    version="1",\n', '    version="1",\n    settings=PipelineSettings(shutdown_timeout_ms=900),\n')
    edit(file, "    PipelineProgram,\n", "    PipelineProgram,\n    PipelineSettings,\n")
    found = replayed(ergo, shop, MORNING, code=0)
    [setting, *others] = found["changes"]
    assert said(found)[0] == ("settings.shutdown_timeout_ms", "changed", "30000", "900", 118, True)
    assert setting["nodes"] == ["catalogue", "orders", "check", "price", "baskets", "till"]
    assert [change["subject"] for change in others] == ["code outside functions", "program"]


# --- plans


def test_a_renamed_state_and_the_edges_to_it(ergo: Ergo, bills: Path) -> None:
    file = bills / "settlement" / "plan.py"
    file.write_text(file.read_text().replace("settlement.main.fee", "settlement.main.cost"))
    found = replayed(ergo, bills, FRIDAY)
    assert said(found)[:3] == [
        ("settlement.main.cost", "added", None, "state", 79, False),
        ("settlement.main.pay.after", "changed", "settlement.main.fee", "settlement.main.cost", 91, True),
        ("settlement.main.fee", "removed", "state", None, None, False),
    ]
    assert reasons(found) == {("settlement.main.cost#0", ("settlement.main.cost", "settlement.main.fee"))}


def test_an_edge_that_is_turned_round_reaches_the_state_that_runs_too_early(ergo: Ergo, bills: Path) -> None:
    one, other = '"settlement.main.quote"', '"settlement.main.convert"'
    edit(bills / "settlement" / "plan.py", f"({one}, {other})", f"({other}, {one})")
    found = replayed(ergo, bills, FRIDAY)
    assert said(found)[:2] == [
        ("settlement.main.quote.after", "added", None, "settlement.main.convert", 88, False),
        ("settlement.main.convert.after", "removed", "settlement.main.quote", None, 78, False),
    ]
    both = "settlement.main.quote.after", "settlement.main.convert.after"
    assert reasons(found) == {("settlement.main.convert#0", both)}


def test_why_ends_at_the_edge(ergo: Ergo, bills: Path) -> None:
    one, other = '"settlement.main.quote"', '"settlement.main.convert"'
    edit(bills / "settlement" / "plan.py", f"({one}, {other})", f"({other}, {one})")
    ran = ergo("why", FRIDAY, cwd=bills)
    assert ran.exit_code == 0, ran.stderr
    assert "settlement.main.quote.after  (none) -> settlement.main.convert  :88  <- the change" in ran.stdout


# --- kernel programs


def test_a_record_and_a_state_name_the_function_that_made_them(ergo: Ergo, tmp_path: Path) -> None:
    project = captured(ergo, Path(shutil.copytree(AGENT, tmp_path / "agent")), TUESDAY)
    file = project / "refunds" / "agent.py"
    edit(file, '"pay" if approve else "decline"', '"pay" if approve else "reject"')
    edit(file, "How likely is it a fraud?", "How likely is a fraud?")
    found = replayed(ergo, project, TUESDAY)
    changes = {change["subject"]: (change["line"], change["nodes"]) for change in found["changes"]}
    assert changes == {"in step": (37, ["step"]), "in reduce": (58, ["reduce"])}
    causes = {(each["cause"], tuple(each["changes"])) for each in found["divergences"] if each["kind"] == "journal"}
    assert causes == {("ActionMismatch", (0, 1)), ("StateMismatch", (1,))}


# --- what a store may hold


def test_an_older_capture_without_parts_names_the_code(ergo: Ergo, shop: Path, environment: dict[str, str]) -> None:
    shape(environment).unlink()
    edit(shop / "orders" / "pipeline.py", "Safety.IDEMPOTENT", "Safety.TRANSACTIONAL")
    ran = ergo("replay", MORNING, "--format", "json", cwd=shop)
    [found] = ran.report["bundles"]
    assert [change["subject"] for change in found["changes"]] == ["program"]
    assert not any("made of" in warning for warning in found["warnings"])


def test_parts_that_cannot_be_read_are_passed_over_by_name(ergo: Ergo, shop: Path, environment: dict[str, str]) -> None:
    kept = shape(environment)
    kept.write_text("[" * 200_000)
    edit(shop / "orders" / "pipeline.py", "pieces < 1:", "pieces < 2:")
    ran = ergo("replay", MORNING, "--format", "json", cwd=shop)
    [found] = ran.report["bundles"]
    assert (ran.exit_code, [change["subject"] for change in found["changes"]]) == (1, ["in check"])
    [warning] = [each for each in found["warnings"] if "made of" in each]
    assert "what a kept program is made of was passed over: " in warning
    assert str(kept) in warning


def test_names_that_a_stranger_wrote_do_not_reach_the_terminal_as_they_are(
    ergo: Ergo, shop: Path, environment: dict[str, str]
) -> None:
    part = {"sort": "x\x1b[2J", "name": "gone\x1b[2J\n\u202e", "after": [], "fields": {}}
    shape(environment).write_text(json.dumps({"schema": "ergo.shape/1", "parts": [part]}))
    edit(shop / "orders" / "pipeline.py", "pieces < 1:", "pieces < 2:")
    ran = ergo("replay", MORNING, "--list", cwd=shop)
    assert ran.exit_code == 1
    assert "gone" in ran.stdout
    assert not {"\x1b", "\u202e"} & set(ran.stdout)


def test_a_second_capture_keeps_the_parts_that_an_older_ergo_did_not(
    ergo: Ergo, shop: Path, environment: dict[str, str]
) -> None:
    kept = shape(environment)
    text = kept.read_text()
    kept.unlink()
    assert ergo("capture", "-o", "again.json", cwd=shop).exit_code == 0
    assert kept.read_text() == text
    assert kept.stat().st_mode & 0o777 == 0o600
