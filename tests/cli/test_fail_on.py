"""``--fail-on``: which differences give exit code 1, for every kind of program, one bundle or many, diff and replay."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from replayed_kernels import resealed_entry, sealed

from tests.cli import pipeline_projects, plan_projects
from tests.conftest import Ergo, Ran

FIXTURES = Path(__file__).parents[2] / "fixtures"
GATES = ("decision", "evidence", "any")
KEEP = "def kept(event):\n    pass\n"


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A strategy with bundles that match, and that differ in a deadline, in a decision, and in both."""
    home = tmp_path / "order_threshold"
    shutil.copytree(FIXTURES / "order_threshold", home)
    kept = (home / "captures/monday.json").read_text()
    late = kept.replace('"deadline":null,"termination"', '"deadline":{"secs":5,"nanos":0},"termination"', 1)
    retried = kept.replace('"retry_count":0', '"retry_count":1', 1)
    both = late.replace('"retry_count":0', '"retry_count":1', 1)
    for name, text in (("same", kept), ("late", late), ("retried", retried), ("both", both)):
        (home / f"{name}.json").write_text(text)
    assert len({kept, late, retried, both}) == 4
    return home


def exits(ergo: Ergo, home: Path, *arguments: str) -> dict[str, int]:
    return {gate: ergo(*arguments, "--fail-on", gate, cwd=home).exit_code for gate in GATES}


def levels(decision: int = 0, evidence: int = 0, timing: int = 0) -> dict[str, int]:
    return {"decision": decision, "evidence": evidence, "timing": timing}


@pytest.mark.parametrize(
    ("bundle", "passing"),
    [("same", set(GATES)), ("late", {"decision", "evidence"}), ("retried", set()), ("both", set())],
)
def test_what_a_bundle_passes(ergo: Ergo, desk: Path, bundle: str, passing: set[str]) -> None:
    wanted = {gate: 0 if gate in passing else 1 for gate in GATES}
    assert exits(ergo, desk, "replay", f"{bundle}.json") == wanted
    assert exits(ergo, desk, "replay", f"{bundle}.json", "--strict") == wanted
    assert exits(ergo, desk, "diff", "same.json", f"{bundle}.json") == wanted
    assert ergo("replay", f"{bundle}.json", cwd=desk).exit_code == wanted["any"]


def test_a_difference_below_the_gate_is_said(ergo: Ergo, desk: Path) -> None:
    ran = ergo("replay", "late.json", "--fail-on", "decision", cwd=desk)
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == [
        "differs  late.json  1 of 8 decisions  timing alone",
        "passes   below --fail-on decision: what was decided and done is the same",
        "",
        "decision 0  event q-0900  timing",
        '  - deadline  {"secs": 5, "nanos": 0}',
        "",
        "closer     ergo explain late.json --event q-0900",
        "intended?  ergo accept late.json",
    ]
    assert ergo("replay", "late.json", "--fail-on", "evidence", cwd=desk).stdout.splitlines()[1] == (
        "passes   below --fail-on evidence: nothing but times differs"
    )
    assert "passes" not in ergo("replay", "late.json", cwd=desk).stdout
    assert "passes" not in ergo("replay", "both.json", "--fail-on", "decision", cwd=desk).stdout


def test_the_report_has_the_levels_and_the_gate(ergo: Ergo, desk: Path) -> None:
    report = ergo("replay", "late.json", "--fail-on", "decision", "--format", "json", cwd=desk).report
    assert (report["outcome"], report["exit_code"], report["fail_on"]) == ("diverged", 0, "decision")
    [bundle] = report["bundles"]
    assert (bundle["outcome"], bundle["levels"], report["levels"]) == ("diverged", levels(timing=1), levels(timing=1))
    assert [each["level"] for each in bundle["divergences"]] == ["timing"]
    report = ergo("replay", "same.json", "--format", "json", cwd=desk).report
    assert {"levels", "fail_on"}.isdisjoint({*report, *report["bundles"][0]})


def test_the_decision_in_full_is_the_first_that_fails(ergo: Ergo, desk: Path) -> None:
    text = (desk / "same.json").read_text()
    early = text.replace('"deadline":null,"termination"', '"deadline":{"secs":5,"nanos":0},"termination"', 1)
    parts = early.rsplit('"retry_count":0', 1)
    (desk / "mixed.json").write_text('"retry_count":3'.join(parts))
    for gate, event in (("any", "q-0900"), ("decision", "q-1010")):
        lines = ergo("replay", "mixed.json", "--fail-on", gate, cwd=desk).stdout.splitlines()
        assert lines[0] == "differs  mixed.json  2 of 8 decisions  1 decision, 1 timing"
        assert [line.split("event ")[1].split()[0] for line in lines if line.startswith("decision ")] == [event]
        assert lines[2:4] == [
            "  1          ~ retry_count  3 -> 0                q-1010",
            '  1  timing  - deadline  {"secs": 5, "nanos": 0}  q-0900',
        ]


def test_many_bundles_fail_by_the_gravest_of_theirs(ergo: Ergo, desk: Path) -> None:
    names = ("same.json", "late.json", "retried.json", "both.json")
    assert exits(ergo, desk, "replay", *names) == dict.fromkeys(GATES, 1)
    assert exits(ergo, desk, "replay", *names[:2]) == {"decision": 0, "evidence": 0, "any": 1}
    ran = ergo("replay", *names, "--fail-on", "decision", "--list", cwd=desk)
    assert ran.stdout.splitlines()[:5] == [
        "differs  3 of 4 bundles, 1 below --fail-on decision  2 decision, 2 timing  32 events",
        "match  same.json  8 events, 8 invoked",
        "differs  late.json  1 of 8 decisions  timing alone  passes",
        "differs  retried.json  1 of 8 decisions",
        "differs  both.json  1 of 8 decisions  1 decision, 1 timing",
    ]
    text = ergo("replay", *names[:2], "--fail-on", "evidence", cwd=desk).stdout
    assert text.splitlines()[:2] == [
        "differs  1 of 2 bundles  timing alone  16 events",
        "passes   below --fail-on evidence: nothing but times differs",
    ]
    report = ergo("replay", *names, "--fail-on", "decision", "--format", "json", cwd=desk).report
    sums = {name: sum(each.get("levels", levels())[name] for each in report["bundles"]) for name in levels()}
    assert report["levels"] == sums == levels(decision=2, timing=2)
    assert [each["outcome"] for each in report["bundles"]] == ["match", "diverged", "diverged", "diverged"]


def test_a_bundle_that_is_refused_outweighs_every_gate(ergo: Ergo, desk: Path) -> None:
    (desk / "broken.json").write_text("{}")
    assert exits(ergo, desk, "replay", "late.json", "broken.json") == dict.fromkeys(GATES, 3)
    for names in (("late.json", "broken.json"), ("broken.json", "late.json")):
        report = ergo("replay", *names, "--fail-on", "decision", "--format", "json", cwd=desk).report
        assert (report["outcome"], report["levels"], report["fail_on"]) == ("refused", levels(timing=1), "decision")


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("gate", GATES)
def test_processes_side_by_side_give_the_same_report(ergo: Ergo, desk: Path, gate: str, form: str) -> None:
    arguments = ("replay", "both.json", "late.json", "same.json", "--fail-on", gate, "--format", form, "--from", "0")
    assert ergo(*arguments, "--jobs", "2", cwd=desk) == ergo(*arguments, cwd=desk)


@pytest.mark.parametrize(
    ("window", "counts", "passing"),
    [
        (("--until", "0"), levels(timing=1), {"decision", "evidence"}),
        (("--event", "q-0900"), levels(timing=1), {"decision", "evidence"}),
        (("--from", "1"), levels(decision=1), set()),
        (("--event", "q-1010"), levels(decision=1), set()),
        (("--from", "1", "--until", "6"), None, set(GATES)),
    ],
)
def test_only_the_window_counts(
    ergo: Ergo, desk: Path, window: tuple[str, ...], counts: dict[str, int] | None, passing: set[str]
) -> None:
    text = (desk / "late.json").read_text()
    (desk / "mixed.json").write_text('"retry_count":3'.join(text.rsplit('"retry_count":0', 1)))
    for gate in GATES:
        ran = ergo("replay", "mixed.json", *window, "--fail-on", gate, "--format", "json", cwd=desk)
        assert (ran.exit_code == 0) == (gate in passing)
        assert ran.report.get("levels") == counts


@pytest.mark.parametrize("jobs", ["1", "3"])
@pytest.mark.parametrize(
    ("window", "counts"),
    [(("--until", "0"), levels(decision=2, timing=2)), (("--from", "1"), None), (("--event", "q-0930"), None)],
)
def test_the_windows_of_many_bundles_are_summed(
    ergo: Ergo, desk: Path, window: tuple[str, ...], counts: dict[str, int] | None, jobs: str
) -> None:
    names = ("same.json", "late.json", "retried.json", "both.json")
    for gate in GATES:
        ran = ergo("replay", *names, *window, "--jobs", jobs, "--fail-on", gate, "--format", "json", cwd=desk)
        assert (ran.report.get("levels"), ran.exit_code) == (counts, 0 if counts is None else 1)
        assert [each.get("levels") for each in ran.report["bundles"]] == (
            [None] * 4 if counts is None else [None, levels(timing=1), levels(decision=1), levels(decision=1, timing=1)]
        )


def test_a_list_that_is_cut_counts_all(ergo: Ergo, desk: Path) -> None:
    ran = ergo("replay", "both.json", "--max-divergences", "0", "--format", "json", cwd=desk)
    [bundle] = ran.report["bundles"]
    assert (bundle["divergences"], bundle["levels"]) == ([], levels(decision=1, timing=1))
    assert exits(ergo, desk, "replay", "late.json", "--max-divergences", "0") == {
        "decision": 0,
        "evidence": 0,
        "any": 1,
    }
    assert exits(ergo, desk, "replay", "both.json", "--max-divergences", "0") == dict.fromkeys(GATES, 1)


def test_what_is_ignored_has_no_level(ergo: Ergo, desk: Path) -> None:
    assert exits(ergo, desk, "replay", "late.json", "--ignore", "deadline") == dict.fromkeys(GATES, 0)
    report = ergo("replay", "both.json", "--ignore", "retry_count", "--format", "json", cwd=desk).report
    assert report["levels"] == levels(timing=1)


def test_another_gate_is_refused(ergo: Ergo, desk: Path) -> None:
    ran = ergo("replay", "same.json", "--fail-on", "timing", cwd=desk)
    assert ran.exit_code == 2
    assert "'decision', 'evidence', 'any'" in ran.stderr


def test_a_program_that_stops_is_a_decision(ergo: Ergo, tmp_path: Path) -> None:
    """What is behind the place where it stops was not compared, so that no gate lets it pass."""
    home = tmp_path / "own"
    shutil.copytree(FIXTURES / "agent", home, ignore=shutil.ignore_patterns("__pycache__"))
    agent = home / "refunds" / "agent.py"
    agent.write_text(agent.read_text() + "\n\ndef _raise(*_):\n    raise SystemError('no')\n\n\ndecide = _raise\n")
    bundle = "captures/tuesday.json"
    codes = exits(ergo, home, "replay", bundle)
    report = ergo("replay", bundle, "--format", "json", cwd=home).report
    assert codes == dict.fromkeys(GATES, report["exit_code"])


# --- programs that record journals


def reported(ran: Ran) -> list[tuple[str | None, str]]:
    [bundle] = ran.report["bundles"]
    return [(each["cause"] or each["path"].rpartition(".")[2], each["level"]) for each in bundle["divergences"]]


MANIFEST = [("graph_id", "evidence"), ("runtime_provenance", "evidence"), ("event_mismatch", "evidence")]
"""The differences of two bundles of two versions of a plan that does the same in both."""


def test_a_plan_of_another_manifest_alone_differs_in_evidence(ergo: Ergo, tmp_path: Path) -> None:
    home = plan_projects.Home(tmp_path / "own").one('ctx.write("n", 1)')
    home.capture(ergo)
    shutil.copy(home.root / plan_projects.BUNDLE, home.root / "before.json")
    plan_projects.edit(home.root / "own" / "program.py", '"own", "1"', '"own", "2"')
    home.capture(ergo)
    arguments = ("diff", "before.json", plan_projects.BUNDLE)
    found = reported(ergo(*arguments, "--format", "json", cwd=home.root))
    assert found == MANIFEST
    assert exits(ergo, home.root, *arguments) == {"decision": 0, "evidence": 1, "any": 1}


def test_a_plan_is_compared_behind_another_manifest(ergo: Ergo, tmp_path: Path) -> None:
    home = plan_projects.Home(tmp_path / "own").one('rec.emit("seen", {"n": 1})')
    home.capture(ergo)
    shutil.copy(home.root / plan_projects.BUNDLE, home.root / "before.json")
    program = home.root / "own" / "program.py"
    program.write_text(program.read_text().replace('"own", "1"', '"own", "2"').replace('{"n": 1}', '{"n": 2}'))
    home.capture(ergo)
    arguments = ("diff", "before.json", plan_projects.BUNDLE)
    found = reported(ergo(*arguments, "--format", "json", cwd=home.root))
    assert found == [*MANIFEST, ("event_mismatch", "decision")]
    assert exits(ergo, home.root, *arguments) == dict.fromkeys(GATES, 1)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('ctx.write("n", 1)', 'ctx.write("n", 2)'),
        ('io.call("bank.pay", {"n": 1}, "pay")', 'io.call("bank.pay", {"n": 2}, "pay")'),
        ('io.call("bank.pay", {"n": 1}, "pay")', 'io.call("bank.pay", {"n": 1}, "other")'),
        ('rec.emit("seen", {"n": 1})', 'raise StateError.of("no", "no")'),
    ],
)
def test_a_plan_that_writes_asks_or_ends_otherwise_decides_otherwise(
    ergo: Ergo, tmp_path: Path, old: str, new: str
) -> None:
    body = ('ctx.write("n", 1)', 'io.call("bank.pay", {"n": 1}, "pay")', 'rec.emit("seen", {"n": 1})')
    meta = 'StateMeta(side_effects=SideEffects.APPLY_SIDE_EFFECT, idempotency="x")'
    home = plan_projects.Home(tmp_path / "own").one(*body, meta=meta, more='effectful=("bank.pay",)')
    home.capture(ergo)
    plan_projects.edit(home.root / "own" / "program.py", old, new)
    found = reported(ergo("replay", "--format", "json", cwd=home.root))
    assert {level for _, level in found} == {"decision"}
    assert exits(ergo, home.root, "replay") == dict.fromkeys(GATES, 1)


@pytest.mark.parametrize(
    ("code", "message", "wanted"),
    [
        ("closed", "please wait", ("unreproducible_failure", "evidence")),
        ("open", "no", ("unreproducible_failure", "decision")),
    ],
)
def test_a_failure_is_decided_by_its_code_and_not_by_its_words(
    ergo: Ergo, tmp_path: Path, code: str, message: str, wanted: tuple[str, str]
) -> None:
    """What the handler says comes from files that are not part of the program."""
    home = plan_projects.Home(tmp_path / "own").one('raise StateError.of(open("code").read(), open("message").read())')
    for name, text in (("code", "closed"), ("message", "no")):
        (home.root / name).write_text(text)
    home.capture(ergo)
    for name, text in (("code", code), ("message", message)):
        (home.root / name).write_text(text)
    arguments = ("replay", plan_projects.BUNDLE, "--strict")
    assert reported(ergo(*arguments, "--format", "json", cwd=home.root)) == [wanted]
    assert exits(ergo, home.root, *arguments)["decision"] == (0 if wanted[1] == "evidence" else 1)


WATERMARK = 'def marks(payload):\n    return [Event("d", payload), Watermark(timestamp=payload["n"] + 100)]\n'


@pytest.fixture
def flow(ergo: Ergo, tmp_path: Path) -> pipeline_projects.Home:
    home = pipeline_projects.Home(tmp_path / "own")
    home.program('source("in", marks)', 'sink("out", kept)', handlers=WATERMARK + KEEP)
    home.capture(ergo)
    return home


def test_a_watermark_of_a_pipeline_is_a_time(ergo: Ergo, flow: pipeline_projects.Home) -> None:
    pipeline_projects.edit(flow.root / "own.py", "+ 100", "+ 200")
    found = reported(ergo("replay", "--format", "json", cwd=flow.root))
    assert found
    assert set(found) == {("payload", "timing")}
    assert exits(ergo, flow.root, "replay") == {"decision": 0, "evidence": 0, "any": 1}


def test_a_row_of_a_pipeline_is_a_decision_and_its_count_at_the_end_evidence(
    ergo: Ergo, flow: pipeline_projects.Home
) -> None:
    pipeline_projects.edit(flow.root / "own.py", "[Event(", '[Event("d", 0)] * (payload["n"] == 2) + [Event(')
    found = reported(ergo("replay", "--format", "json", cwd=flow.root))
    assert ("payload", "decision") in found
    assert found[-1] == ("payload", "evidence")
    assert exits(ergo, flow.root, "replay") == dict.fromkeys(GATES, 1)


def test_the_evidence_of_an_end_alone_is_evidence(ergo: Ergo, flow: pipeline_projects.Home) -> None:
    bundle: Any = json.loads((flow.root / pipeline_projects.BUNDLE).read_text())
    text = json.dumps(bundle["journals"][-1])
    assert text.count(', "writer_seq": 3') == 1
    bundle["journals"][-1] = json.loads(text.replace(', "writer_seq": 3', ', "writer_seq": 4'))
    resealed_entry(bundle["journals"][-1])
    (flow.root / pipeline_projects.BUNDLE).write_bytes(sealed(bundle))
    found = reported(ergo("replay", "--format", "json", cwd=flow.root))
    assert found == [("payload", "evidence")]
    assert exits(ergo, flow.root, "replay") == {"decision": 0, "evidence": 1, "any": 1}
