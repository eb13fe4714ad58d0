"""``--format junit|sarif|github|gitlab`` of real replays, diffs and validations, each read by its reader."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from ci_readers import github, gitlab, junit, sarif, sarif_places

from tests.conftest import Ergo

ROOT = Path(__file__).parents[2]
GRAPH = "graphs/order_threshold.yaml"
LINE = 20
"""Where the graph has ``enter_level``'s value."""
SAID = "+ bought_at = 104.25  set_context by bought_at"
CHANGE = f"{GRAPH}:{LINE}  enter_level.value  105.0 -> 104.0"
LATE = '"deadline":null,"termination">"deadline":{"secs":5,"nanos":0},"termination"'
FORMATS = ("junit", "sarif", "github", "gitlab")


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    home = tmp_path / "desk"
    shutil.copytree(ROOT / "fixtures" / "order_threshold", home)
    return home


@pytest.fixture
def changed(ergo: Ergo, desk: Path) -> Path:
    """A strategy whose entry level was lowered after its capture."""
    assert ergo("capture", cwd=desk).exit_code == 0
    graph = desk / GRAPH
    graph.write_text(graph.read_text().replace("value: 105.0", "value: 104.0"))
    return desk


def test_junit_has_one_case_a_bundle(ergo: Ergo, changed: Path) -> None:
    (changed / "captures/empty.json").write_text("{}")
    ran = ergo("replay", "captures/empty.json", "captures/monday.json", "--format", "junit", cwd=changed)
    assert ran.exit_code == 3
    refused, differs = junit(ran.stdout)
    assert (refused.name, refused.outcome) == ("captures/empty.json", "error")
    assert (differs.name, differs.file, differs.outcome) == ("captures/monday.json", "captures/monday.json", "failure")
    assert differs.message == f"differs  captures/monday.json  2 divergences: event q-0910: {SAID}"
    lines = differs.text.splitlines()
    assert lines[:2] == ["ergo replay captures/monday.json", differs.message]
    assert lines[3:8] == [
        f"changed  {CHANGE}",
        "decision 1  event q-0910",
        f"  {SAID}",
        "  + holding = true  set_context by buy",
        f"  because  {CHANGE}",
    ]
    assert refused.message in refused.text
    assert re.search(r'<testcase [^>]*name="captures/monday.json"[^>]* time="\d+\.\d{3}"', ran.stdout)


def test_the_reproducing_command_reproduces(ergo: Ergo, changed: Path) -> None:
    (changed / "a b").mkdir()
    shutil.copy(changed / "captures/monday.json", changed / "a b/it's.json")
    options = ("-g", GRAPH, "-a", "adapters/order_desk.yaml", "--from", "1", "--ignore", "effects[*].kind")
    [case] = junit(ergo("replay", "a b", *options, "--format", "junit", cwd=changed).stdout)
    command, *again = shlex.split(case.text.splitlines()[0])
    assert (command, again[:2]) == ("ergo", ["replay", "a b/it's.json"])
    assert junit(ergo(*again, "--format", "junit", cwd=changed).stdout)[0].message == case.message


def test_sarif_stands_at_the_line_of_the_program(ergo: Ergo, changed: Path) -> None:
    ran = ergo("replay", "--format", "sarif", cwd=changed)
    assert ran.exit_code == 1
    run = sarif(ran.stdout)
    assert sarif_places(run) == [(GRAPH, LINE), (GRAPH, LINE)]
    first = run["results"][0]
    assert (first["ruleId"], first["level"], first["occurrenceCount"]) == ("effect_extra", "error", 1)
    assert first["locations"][0]["physicalLocation"]["artifactLocation"]["uriBaseId"] == "%SRCROOT%"
    assert first["locations"][0]["logicalLocations"] == [{"fullyQualifiedName": "enter_level"}]
    assert first["message"]["text"].splitlines() == [
        f"captures/monday.json, event q-0910: {SAID}",
        f"because {CHANGE}",
        "reproduce: ergo replay captures/monday.json",
    ]
    assert run["automationDetails"]["id"] == "ergo/replay/"
    assert run["invocations"][0]["executionSuccessful"] is True


def test_fingerprints_stay_when_lines_are_added_above(ergo: Ergo, changed: Path) -> None:
    before = sarif(ergo("replay", "--format", "sarif", cwd=changed).stdout)
    graph = changed / GRAPH
    graph.write_text("# a comment\n# and another\n" + graph.read_text())
    after = sarif(ergo("replay", "--format", "sarif", cwd=changed).stdout)
    assert sarif_places(after) == [(GRAPH, LINE + 2), (GRAPH, LINE + 2)]
    prints = [[result["partialFingerprints"] for result in run["results"]] for run in (before, after)]
    assert prints[0] == prints[1]


def test_a_fresh_checkout_locates_at_the_node(ergo: Ergo, changed: Path) -> None:
    """Another home has no program store, so that the program of the capture is not known."""
    other = str(changed.parent / "other")
    run = sarif(ergo("replay", "--format", "sarif", cwd=changed, XDG_DATA_HOME=other).stdout)
    lines = (changed / GRAPH).read_text().splitlines()
    place = {node: lines.index(f"  {node}:") + 1 for node in ("bought_at", "buy")}
    assert sarif_places(run) == [(GRAPH, place["bought_at"]), (GRAPH, place["buy"])]


def test_a_program_in_python_is_located_at_its_line(ergo: Ergo, tmp_path: Path) -> None:
    home = tmp_path / "agent"
    shutil.copytree(ROOT / "fixtures" / "agent", home)
    assert ergo("capture", cwd=home).exit_code == 0
    code = home / "refunds/agent.py"
    code.write_text(code.read_text().replace("How likely is it a fraud?", "Is it a fraud?"))
    line = next(at for at, text in enumerate(code.read_text().splitlines(), 1) if "Is it a fraud?" in text)
    ran = ergo("replay", "--format", "sarif", cwd=home)
    assert ran.exit_code == 1
    assert set(sarif_places(sarif(ran.stdout))) == {("refunds/agent.py", line)}


def test_github_annotates_and_stops_commands(ergo: Ergo, changed: Path) -> None:
    summary = changed / "summary.md"
    summary.write_text("# earlier\n")
    ran = ergo("replay", "--format", "github", cwd=changed, GITHUB_STEP_SUMMARY=str(summary))
    assert (ran.exit_code, ran.stderr) == (1, "")
    log = github(ran.stdout)
    [command] = log.annotations
    assert command.name == "error"
    assert command.properties == {"file": GRAPH, "line": str(LINE), "title": "ergo: effect_extra"}
    assert command.data.splitlines() == [
        f"captures/monday.json, event q-0910: {SAID}",
        f"because {CHANGE}",
        "and 1 more finding here, of 1 bundle",
        "reproduce: ergo replay captures/monday.json",
    ]
    assert "ergo replay: 1 failed" in log.lines
    assert f"    {SAID}" in log.lines
    assert any(line.startswith("  warning: the program changed") for line in log.lines)
    told = summary.read_text()
    assert told.startswith("# earlier\n### ergo replay: 1 failed\n")
    assert f"```text\ndiffers  captures/monday.json  2 divergences: event q-0910: {SAID}\n" in told
    page = (ROOT / "docs/ci-formats.md").read_text()
    assert f"```text\n{ran.stdout.splitlines()[0]}\n```" in page


def test_gitlab_has_severities(ergo: Ergo, changed: Path) -> None:
    ran = ergo("replay", "--format", "gitlab", cwd=changed)
    issues = gitlab(ran.stdout)
    assert [(each["severity"], each["check_name"], each["location"]) for each in issues] == [
        ("critical", "effect_extra", {"path": GRAPH, "lines": {"begin": LINE}})
    ] * 2
    assert issues[0]["description"] == f"captures/monday.json, event q-0910: {SAID}; because {CHANGE}"


def test_the_example_of_the_documentation(ergo: Ergo, changed: Path) -> None:
    shown = ergo("replay", "--format", "junit", cwd=changed).stdout
    page = (ROOT / "docs/ci-formats.md").read_text()
    [example] = re.findall(r"```xml\n(.*?)```", page, re.DOTALL)
    timeless = re.sub(r' time="[\d.]+"', "", shown)
    assert re.sub(r' time="[\d.]+"', "", example) in timeless


@pytest.mark.parametrize(
    ("differs", "options", "wanted"),
    [
        ('"retry_count":0>"retry_count":1', (), ("failure", "error", "error", "critical")),
        (LATE, (), ("failure", "error", "error", "minor")),
        (LATE, ("--fail-on", "decision"), ("passed", "note", "notice", "minor")),
    ],
    ids=["decision", "timing", "timing below the gate"],
)
def test_levels(ergo: Ergo, desk: Path, differs: str, options: tuple[str, ...], wanted: tuple[str, ...]) -> None:
    bundle = desk / "captures/monday.json"
    before, _, after = differs.partition(">")
    bundle.write_text(bundle.read_text().replace(before, after, 1))
    told = {form: ergo("replay", *options, "--format", form, cwd=desk) for form in FORMATS}
    assert {ran.exit_code for ran in told.values()} == {0 if wanted[0] == "passed" else 1}
    [case] = junit(told["junit"].stdout)
    [result] = sarif(told["sarif"].stdout)["results"]
    [annotation] = github(told["github"].stdout).annotations
    [issue] = gitlab(told["gitlab"].stdout)
    assert (case.outcome, result["level"], annotation.name, issue["severity"]) == wanted
    assert "event q-0900" in case.text + case.output


@pytest.mark.parametrize(
    ("arguments", "rule", "exit_code"),
    [
        (("replay", "captures", "--strict"), "replay.runtime_provenance_mismatch", 4),
        (("replay", "captures", "--max-divergences", "0"), "not_listed", 1),
        (("replay", "missing.json"), "replay.host_setup_failed", 3),
        (("replay", "hollow"), "empty", 5),
        (("replay", "captures", "-p", "nobody"), "PRJ-PROFILE", 2),
        (("replay", "captures", "--until", "2", "--from", "3"), "cli.invalid_option_value", 2),
        (("replay", "captures", "--nope"), "cli.invalid_option", 2),
        (("diff", "captures/monday.json", "missing.json"), "bundle.read_failed", 3),
        (("diff", "captures/monday.json"), "cli.missing_required_argument", 2),
        (("validate", "broken.yaml"), "INTERNAL", 3),
        (("validate", "missing.yaml"), "LOAD-IO", 3),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_no_failure_looks_green(
    ergo: Ergo, changed: Path, arguments: tuple[str, ...], rule: str, exit_code: int
) -> None:
    (changed / "hollow").mkdir()
    (changed / "broken.yaml").write_text((changed / GRAPH).read_text() + "x: [\n")
    told = {form: ergo(*arguments, "--format", form, cwd=changed) for form in FORMATS}
    assert {ran.exit_code for ran in told.values()} == {exit_code}
    [case] = junit(told["junit"].stdout)
    assert case.outcome == ("failure" if exit_code == 1 else "error")
    run = sarif(told["sarif"].stdout)
    assert [(result["ruleId"], result["level"]) for result in run["results"]] == [(rule, "error")]
    assert run["invocations"][0]["exitCode"] == exit_code
    assert [(each.name, each.properties["title"]) for each in github(told["github"].stdout).annotations] == [
        ("error", f"ergo: {rule}")
    ]
    assert [issue["check_name"] for issue in gitlab(told["gitlab"].stdout)] == [rule]


def test_a_match_has_no_findings(ergo: Ergo, desk: Path) -> None:
    told = {form: ergo("replay", "--strict", "--format", form, cwd=desk) for form in FORMATS}
    assert {(ran.exit_code, ran.stderr) for ran in told.values()} == {(0, "")}
    assert [case.outcome for case in junit(told["junit"].stdout)] == ["passed"]
    assert sarif(told["sarif"].stdout)["results"] == []
    assert github(told["github"].stdout).annotations == []
    assert gitlab(told["gitlab"].stdout) == []


def test_validate_says_how_long_each_file_took_in_junit_alone(ergo: Ergo, desk: Path) -> None:
    files = (GRAPH, "missing.yaml", "events/monday.jsonl")
    ran = ergo("validate", *files, "--format", "junit", cwd=desk)
    took = re.findall(r'<testcase [^>]*name="([^"]+)"[^>]* time="(\d+\.\d{3})"', ran.stdout)
    assert [name for name, _ in took] == list(files)
    [whole] = re.findall(r'<testsuite [^>]*time="([\d.]+)"', ran.stdout)
    assert float(whole) == pytest.approx(sum(float(each) for _, each in took), abs=0.002)
    for form in ("json", "gitlab", "sarif"):
        first, second = (ergo("validate", *files, "--format", form, cwd=desk).stdout for _ in range(2))
        assert first == second, "what does not show times does not depend on them"


def test_validate_locates_each_error(ergo: Ergo, desk: Path) -> None:
    graph = desk / GRAPH
    text = graph.read_text().replace("impl: number_source@0.1.0", "impl: number_sauce@0.1.0")
    graph.write_text(text)
    lines = [number for number, line in enumerate(text.splitlines(), 1) if "number_sauce" in line]
    ran = ergo("validate", GRAPH, "ergo.toml", "--format", "gitlab", cwd=desk)
    report = ergo("validate", GRAPH, "ergo.toml", "--format", "json", cwd=desk).report
    issues = gitlab(ran.stdout)
    assert len(issues) == sum(len(file["errors"]) for file in report["files"]) >= 2
    found = {(each["location"]["path"], each["location"]["lines"]["begin"]) for each in issues}
    assert found <= {(GRAPH, line) for line in range(lines[0] - 1, lines[-1] + 1)}
    cases = junit(ergo("validate", GRAPH, "events/monday.jsonl", "--format", "junit", cwd=desk).stdout)
    assert [(case.name, case.outcome) for case in cases] == [(GRAPH, "error"), ("events/monday.jsonl", "passed")]
    assert cases[0].text.splitlines()[0] == f"ergo validate {GRAPH}"


def test_diff_names_the_second_bundle(ergo: Ergo, changed: Path) -> None:
    assert ergo("capture", "-o", "today.json", cwd=changed).exit_code == 0
    ran = ergo("diff", "captures/monday.json", "today.json", "--format", "junit", cwd=changed)
    [case] = junit(ran.stdout)
    assert (ran.exit_code, case.name, case.outcome) == (1, "today.json", "failure")
    assert case.text.startswith("ergo diff captures/monday.json today.json\n")
    run = sarif(ergo("diff", "captures/monday.json", "today.json", "--format", "sarif", cwd=changed).stdout)
    assert set(sarif_places(run)) == {("today.json", 1)}


@pytest.mark.parametrize("variable", ["GITHUB_WORKSPACE", "CI_PROJECT_DIR"])
def test_paths_are_relative_to_the_repository(ergo: Ergo, changed: Path, variable: str) -> None:
    around = {variable: str(changed.parent)}
    run = sarif(ergo("replay", "--format", "sarif", cwd=changed, **around).stdout)
    assert sarif_places(run)[0] == (f"desk/{GRAPH}", LINE)
    [annotation] = github(ergo("replay", "--format", "github", cwd=changed, **around).stdout).annotations
    assert annotation.properties["file"] == f"desk/{GRAPH}"
    [case] = junit(ergo("replay", "--format", "junit", cwd=changed, **around).stdout)
    assert (case.name, case.file) == ("captures/monday.json", "desk/captures/monday.json")


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_result_is_the_same_text(ergo: Ergo, changed: Path, form: str) -> None:
    for number in range(3):
        shutil.copy(changed / "captures/monday.json", changed / f"captures/copy{number}.json")
    one, many = (ergo("replay", "captures", "--format", form, "--jobs", jobs, cwd=changed).stdout for jobs in "13")
    assert re.sub(r' time="[\d.]+"', "", one) == re.sub(r' time="[\d.]+"', "", many)
    assert json.dumps(one).isascii()
