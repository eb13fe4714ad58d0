"""``[[expect]]``: what is expected for a while is shown and not counted; a table that is due closes the gate."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from lxml.html import fromstring

from tests.conftest import Ergo

DESK = Path(__file__).parents[2] / "fixtures" / "order_threshold"
WHY = "the desk enters at 104 from January on"
LATER, PAST = "2999-12-31", "2001-01-31"


def expect(home: Path, until: str, **keys: str) -> None:
    keys = {"bundle": "captures/*.json", "why": WHY, **keys}
    written = "".join(f'{key} = "{text}"\n' for key, text in keys.items())
    with (home / "ergo.toml").open("a") as file:
        file.write(f"\n[[expect]]\nuntil = {until}\n{written}")


@pytest.fixture
def desk(ergo: Ergo, tmp_path: Path) -> Path:
    """The order strategy with its level to enter at lowered since the capture, and a second bundle like the first."""
    home = shutil.copytree(DESK, tmp_path / "desk", ignore=shutil.ignore_patterns("__pycache__"))
    assert ergo("capture", cwd=home).exit_code == 0
    shutil.copy(home / "captures" / "monday.json", home / "captures" / "tuesday.json")
    graph = home / "graphs" / "order_threshold.yaml"
    graph.write_text(graph.read_text().replace("value: 105.0", "value: 104.0"))
    return home


def test_what_is_expected_is_shown_and_not_counted(ergo: Ergo, desk: Path) -> None:
    assert ergo("replay", cwd=desk).exit_code == 1
    expect(desk, LATER)
    ran = ergo("replay", cwd=desk)
    assert ran.exit_code == 0
    assert ran.stdout.splitlines() == [
        "differs  captures/monday.json  1 of 8 decisions  all expected",
        "passes   what differs is expected",
        "",
        "changed    graphs/order_threshold.yaml:20  enter_level.value  105.0 -> 104.0",
        "",
        f"expected   until {LATER}  2 differences in 1 bundle  {WHY}",
    ]
    report = ergo("replay", "--format", "json", cwd=desk).report
    assert (report["outcome"], report["exit_code"], report["error"]) == ("diverged", 0, None)
    assert report["expects"] == [
        {
            "where": "ergo.toml:11 expect[0]",
            "bundle": "captures/*.json",
            "kind": None,
            "node": None,
            "path": None,
            "until": LATER,
            "why": WHY,
            "count": 2,
        }
    ]
    assert [each["expected_by"] for each in report["bundles"][0]["divergences"]] == [0, 0]
    assert (report["bundles"][0]["divergence_count"], report["levels"]["decision"]) == (2, 2)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_what_else_differs_still_closes_the_gate(ergo: Ergo, desk: Path, jobs: str) -> None:
    expect(desk, LATER, node="buy", kind="effect_extra", path="effects[*]")
    ran = ergo("replay", "captures", "--jobs", jobs, cwd=desk)
    assert ran.exit_code == 1
    assert ran.stdout.startswith("differs  2 of 2 bundles  16 events\n")
    assert f"expected   until {LATER}  2 differences in 2 bundles  {WHY}\n" in ran.stdout
    assert "+ bought_at = 104.25" in ran.stdout
    assert "+ holding = true" not in ran.stdout
    [alone] = ergo("replay", "--format", "json", cwd=desk).report["bundles"]
    assert [each.get("expected_by") for each in alone["divergences"]] == [None, 0]


def test_a_gate_that_passes_says_that_decisions_are_expected(ergo: Ergo, desk: Path) -> None:
    expect(desk, LATER)
    ran = ergo("replay", "--fail-on", "decision", cwd=desk)
    assert ran.exit_code == 0
    assert "passes   below --fail-on decision, apart from what is expected\n" in ran.stdout


def test_of_several_bundles_those_that_are_expected_are_counted(ergo: Ergo, desk: Path) -> None:
    expect(desk, LATER, bundle="captures/monday.json")
    ran = ergo("replay", "captures", cwd=desk)
    assert ran.exit_code == 1
    assert ran.stdout.startswith("differs  2 of 2 bundles, 1 expected  16 events\n")


def test_a_bound_on_what_is_listed_changes_no_verdict(ergo: Ergo, desk: Path) -> None:
    expect(desk, LATER)
    ran = ergo("replay", "--max-divergences", "1", "--format", "json", cwd=desk)
    assert ran.exit_code == 0
    [bundle] = ran.report["bundles"]
    assert (bundle["divergence_count"], len(bundle["divergences"])) == (2, 1)
    assert bundle["expected"] == {"decision": 2, "evidence": 0, "timing": 0}
    ran = ergo("replay", "--max-divergences", "1", "--format", "junit", cwd=desk)
    assert (ran.exit_code, "<failure" in ran.stdout) == (0, False), "what is expected fails no case"


def test_one_that_is_due_is_named_and_expects_nothing(ergo: Ergo, desk: Path) -> None:
    expect(desk, PAST)
    ran = ergo("replay", "--format", "json", cwd=desk)
    assert (ran.exit_code, ran.report["outcome"]) == (1, "diverged")
    assert "expected_by" not in ran.report["bundles"][0]["divergences"][0]
    error = ran.report["error"]
    assert (error["code"], error["where"]) == ("expect.past_date", f"{desk / 'ergo.toml'}:11 expect[0]")
    assert error["message"] == f"what was expected until {PAST} is due: {WHY}"
    (desk / "graphs" / "order_threshold.yaml").write_bytes((DESK / "graphs" / "order_threshold.yaml").read_bytes())
    assert ergo("replay", cwd=desk).exit_code == 1, "due also where everything matches again"


def test_one_that_matches_nothing_closes_the_gate_once_all_its_bundles_were_compared(ergo: Ergo, desk: Path) -> None:
    (desk / "graphs" / "order_threshold.yaml").write_bytes((DESK / "graphs" / "order_threshold.yaml").read_bytes())
    expect(desk, LATER)
    assert ergo("replay", "captures/monday.json", cwd=desk).exit_code == 0, "the other bundle may still differ"
    assert ergo("replay", "captures", "--until", "3", cwd=desk).exit_code == 0, "later decisions may still differ"
    ran = ergo("replay", "captures", "--format", "json", cwd=desk)
    assert (ran.exit_code, ran.report["outcome"]) == (1, "closed")
    assert ran.report["error"]["code"] == "expect.nothing_matched"
    assert ergo("replay", "captures", "--strict", cwd=desk).exit_code == 1


@pytest.fixture
def due(desk: Path) -> str:
    """Where a project whose bundles all match says that something is due."""
    (desk / "graphs" / "order_threshold.yaml").write_bytes((DESK / "graphs" / "order_threshold.yaml").read_bytes())
    expect(desk, PAST)
    line = (desk / "ergo.toml").read_text().splitlines().index("[[expect]]") + 1
    return f"ergo.toml:{line}"


def test_a_gate_that_an_expectation_alone_closes_says_so_first(ergo: Ergo, desk: Path, due: str) -> None:
    ran = ergo("replay", cwd=desk)
    assert ran.exit_code == 1
    first, second, *_ = ran.stdout.splitlines()
    assert first == f"closed  {due} expect[0]  what was expected until {PAST} is due: {WHY}"
    assert second.startswith("match  ")


def test_every_format_has_what_closes_the_gate(ergo: Ergo, desk: Path, due: str) -> None:
    told = f"what was expected until {PAST} is due: {WHY}"
    said = {form: ergo("replay", "--format", form, cwd=desk).stdout for form in ("json", "junit", "sarif", "github")}
    assert json.loads(said["json"])["outcome"] == "closed"
    assert f'<error message="closed  {told}" type="expect.past_date">' in said["junit"]
    file, _, line = due.partition(":")
    assert said["github"].startswith(f"::error file={file},line={line},title=ergo%3A expect.past_date::{told}")
    [result] = json.loads(said["sarif"])["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["region"] == {"startLine": int(line)}
    [issue] = json.loads(ergo("replay", "--format", "gitlab", cwd=desk).stdout)
    assert issue["location"] == {"path": file, "lines": {"begin": int(line)}}


def test_the_page_of_a_gate_that_an_expectation_closes(ergo: Ergo, desk: Path, due: str) -> None:
    ergo("replay", "--report", "html=page.html", cwd=desk)
    page = fromstring((desk / "page.html").read_text(encoding="utf-8"))
    [verdict] = page.cssselect("section.verdict")
    assert [each.text_content().strip() for each in verdict.cssselect(".badge, .lead")] == [
        "!closed",
        f"what was expected until {PAST} is due: {WHY}",
    ]


def test_a_text_in_a_project_that_looks_like_an_expectation_moves_no_line(ergo: Ergo, desk: Path, due: str) -> None:
    with (desk / "ergo.toml").open("a") as file:
        file.write('\n[[expect]]\nuntil = 2999-01-01\nbundle = "no.json"\nwhy = """\n[[expect]]\n"""\n')
    ran = ergo("replay", cwd=desk)
    assert ran.stdout.startswith("closed  ergo.toml expect[0]  ")
    assert "and 1 more expectation" in ran.stdout.splitlines()[0]


def test_one_that_names_no_bundle_closes_the_gate(ergo: Ergo, desk: Path) -> None:
    expect(desk, LATER)
    expect(desk, LATER, bundle="captures/wednesday.json")
    ran = ergo("replay", cwd=desk)
    assert ran.exit_code == 1
    assert "error: ergo.toml:16 expect[1]  no bundle is named 'captures/wednesday.json'\n" in ran.stderr


@pytest.mark.parametrize(
    ("until", "keys", "code", "place"),
    [
        ("2027-02-30", {}, "PRJ-PARSE", ""),
        ('"tomorrow"', {}, "PRJ-PARSE", "expect[0].until"),
        ("12", {}, "PRJ-PARSE", "expect[0].until"),
        ("2027-03-31T10:00:00", {}, "PRJ-PARSE", "expect[0].until"),
        (LATER, {"why": " "}, "PRJ-PARSE", "expect[0].why"),
        (LATER, {"bundle": "../*.json"}, "PRJ-PARSE", "expect[0].bundle"),
        (LATER, {"bundle": "/tmp/*.json"}, "PRJ-PARSE", "expect[0].bundle"),
        (LATER, {"kind": "colour"}, "PRJ-INVALID", "expect[0].kind"),
        (LATER, {"path": "effects["}, "PRJ-INVALID", "expect[0].path"),
    ],
)
def test_a_wrong_table_is_refused_with_its_place(
    ergo: Ergo, desk: Path, until: str, keys: dict[str, str], code: str, place: str
) -> None:
    expect(desk, until, **keys)
    error = ergo("replay", "--format", "json", cwd=desk).report["error"]
    assert (error["code"], bool(error["fix"])) == (code, True)
    assert place in f"{error['where']} {error['message']}"
    checked = ergo("validate", "ergo.toml", "--format", "json", cwd=desk)
    assert (checked.exit_code, checked.report["error"]["code"]) == (3, code)


@pytest.mark.parametrize("key", ["until", "why", "bundle"])
def test_a_key_that_must_be_there_is_missed(ergo: Ergo, desk: Path, key: str) -> None:
    keys = {"bundle": '"captures/*.json"', "until": LATER, "why": '"so"'}
    text = "".join(f"{name} = {value}\n" for name, value in keys.items() if name != key)
    with (desk / "ergo.toml").open("a") as file:
        file.write(f"\n[[expect]]\n{text}")
    ran = ergo("replay", cwd=desk)
    assert (ran.exit_code, f"expect[0].{key}" in ran.stderr) == (3, True)


@pytest.mark.parametrize(
    ("key", "fix"),
    [
        ("nodes", "rename it to 'node'"),
        ("Kind", "rename it to 'kind'"),
        ("whys", "remove it; known are bundle, kind, node, path, until, why"),
        ("colour", "remove it; known are bundle, kind, node, path, until, why"),
    ],
)
def test_an_unknown_key_is_refused_since_it_would_let_more_pass(ergo: Ergo, desk: Path, key: str, fix: str) -> None:
    expect(desk, LATER, **{key: "buy"})
    for command in (("replay",), ("replay", "-q"), ("validate", "ergo.toml")):
        ran = ergo(*command, "--format", "json", cwd=desk)
        error = ran.report["error"]
        assert (ran.exit_code, error["code"], error["fix"]) == (3, "PRJ-PARSE", fix)
        assert f"key 'expect[0].{key}' is unknown" in error["message"]
        assert error["where"].endswith(f"ergo.toml expect[0].{key}")


@pytest.mark.parametrize("name", ["expects", "Expect", "expected", "expectations", "profiles.default.expect"])
@pytest.mark.parametrize("brackets", ["[{}]", "[[{}]]"])
def test_a_table_of_nearly_the_same_name_is_refused(ergo: Ergo, desk: Path, name: str, brackets: str) -> None:
    with (desk / "ergo.toml").open("a") as file:
        file.write(f'\n{brackets.format(name)}\nuntil = {LATER}\nbundle = "captures/*.json"\nwhy = "{WHY}"\n')
    error = ergo("replay", "--format", "json", cwd=desk).report["error"]
    assert error["code"] == "PRJ-PARSE"
    assert f"key '{name}' is unknown; did you mean 'expect'?" in error["message"]
    assert error["fix"].startswith("write [[expect]]")


def test_one_table_in_single_brackets_is_refused(ergo: Ergo, desk: Path) -> None:
    with (desk / "ergo.toml").open("a") as file:
        file.write(f'\n[expect]\nuntil = {LATER}\nbundle = "captures/*.json"\nwhy = "{WHY}"\n')
    error = ergo("replay", "--format", "json", cwd=desk).report["error"]
    assert error["code"] == "PRJ-PARSE"
    assert "key 'expect' must be a list of tables, got a table" in error["message"]
    assert error["fix"] == "write [[expect]]"


def test_other_unknown_keys_stay_warnings(ergo: Ergo, desk: Path) -> None:
    text = (desk / "ergo.toml").read_text()
    (desk / "ergo.toml").write_text('export = "later"\n' + text)
    ran = ergo("replay", "captures/monday.json", cwd=desk)
    assert (ran.exit_code, "unknown key 'export' is ignored" in ran.stderr) == (1, True)
