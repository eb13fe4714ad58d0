"""``ergo shrink BUNDLE``: the smallest bundle that still differs in the same way, written with a test."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Ergo, Ran

FIXTURES = Path(__file__).parents[2] / "fixtures"
BUNDLE = "captures/monday.json"
GRAPH = ("graphs", "order_threshold.yaml")


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1, text.count(old)
    file.write_text(text.replace(old, new))


def copied(name: str, folder: Path) -> Path:
    return shutil.copytree(FIXTURES / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))


@pytest.fixture
def desk(ergo: Ergo, tmp_path: Path) -> Path:
    """The order strategy, captured here, so that the program store has its texts."""
    home = copied("order_threshold", tmp_path)
    assert ergo("capture", cwd=home).exit_code == 0
    return home


@pytest.fixture
def lowered(desk: Path) -> Path:
    """With the level to enter at lowered since."""
    edit(desk.joinpath(*GRAPH), "value: 105.0", "value: 104.0")
    return desk


def shrunk(ran: Ran) -> dict[str, Any]:
    assert ran.exit_code == 0, ran.stderr
    return ran.report["shrink"]


def ids(bundle: Path) -> list[str]:
    return [event["event_id"] for event in json.loads(bundle.read_text())["events"]]


def payloads(bundle: Path) -> list[Any]:
    texts = [event["payload"] for event in json.loads(bundle.read_text())["events"]]
    return [json.loads(text if isinstance(text, str) else bytes(text)) for text in texts]


def first_way(report: dict[str, Any]) -> tuple[str, str | None]:
    first = report["bundles"][0]["divergences"][0]
    return first["kind"], first["node"]


def test_the_report_says_what_is_left_and_why_it_differs(ergo: Ergo, lowered: Path) -> None:
    ran = ergo("shrink", BUNDLE, "-o", "small.json", cwd=lowered)
    assert ran.exit_code == 0
    first, *rest = ran.stdout.splitlines()
    assert first.startswith(f"shrunk  {BUNDLE}  8 events -> 1  (")
    assert rest == [
        "",
        "changed    graphs/order_threshold.yaml:20  enter_level.value  105.0 -> 104.0",
        "",
        "decision 0  event q-0910",
        "  + bought_at = 104.2  set_context by bought_at",
        "  + holding = true     set_context by buy",
        "  because   enter  not emitted -> emitted",
        "            above  gt(price 104.2, enter_level 105.0 -> 104.0)",
        "",
        "closer     ergo why small.json q-0910",
        "",
        "written    small.json",
    ]


def test_the_small_bundle_replays_to_the_same_divergence_and_payloads_are_simpler(ergo: Ergo, lowered: Path) -> None:
    whole = ergo("replay", BUNDLE, "--format", "json", cwd=lowered).report
    document = shrunk(ergo("shrink", BUNDLE, "-o", "small.json", "--format", "json", cwd=lowered))
    small = ergo("replay", "small.json", "--format", "json", cwd=lowered).report
    assert first_way(small) == first_way(whole) == ("effect_extra", "bought_at")
    assert (document["events_before"], document["events"], document["stopped"]) == (8, 1, None)
    assert document["divergence"]["event_id"] == "q-0910"
    [change] = document["changes"]
    assert (change["subject"], change["before"], change["after"]) == ("enter_level.value", "105.0", "104.0")
    assert document["divergence"]["changes"] == [0]
    assert document["event_tries"] <= document["tries"]
    assert payloads(lowered / "small.json") == [{"price": 104.2}]
    strict = ergo("replay", "small.json", "--strict", "--format", "json", cwd=lowered).report
    assert strict["error"]["code"] == "replay.runtime_provenance_mismatch"


def test_the_program_of_the_capture_still_decides_as_the_small_bundle_says(ergo: Ergo, lowered: Path) -> None:
    assert ergo("shrink", BUNDLE, "-o", "small.json", cwd=lowered).exit_code == 0
    edit(lowered.joinpath(*GRAPH), "value: 104.0", "value: 105.0")
    assert ergo("replay", "small.json", "--strict", cwd=lowered).exit_code == 0


def test_the_same_search_finds_the_same_bytes(ergo: Ergo, lowered: Path) -> None:
    for name in ("one.json", "other.json"):
        assert ergo("shrink", BUNDLE, "-o", name, cwd=lowered).exit_code == 0
    assert (lowered / "one.json").read_bytes() == (lowered / "other.json").read_bytes()


def test_what_memory_wrote_is_in_the_payload_and_needs_no_event_before(ergo: Ergo, desk: Path) -> None:
    edit(desk.joinpath(*GRAPH), "value: 98.0", "value: 97.5")
    document = shrunk(ergo("shrink", BUNDLE, "-o", "small.json", "--format", "json", cwd=desk))
    assert document["events"] == 1
    assert payloads(desk / "small.json")[0]["holding"] is True


def test_without_the_texts_of_the_capture_events_go_and_payloads_stay(
    ergo: Ergo, lowered: Path, tmp_path: Path
) -> None:
    elsewhere = {"XDG_DATA_HOME": str(tmp_path / "elsewhere")}
    ran = ergo("shrink", BUNDLE, "-o", "small.json", "--format", "json", cwd=lowered, **elsewhere)
    assert shrunk(ran)["events"] == 1
    assert ran.report["warnings"] == [
        "payloads are left as they are: the program of the capture, which would decide for other ones, is not known"
    ]
    assert payloads(lowered / "small.json")[0]["price"] == 104.25


def test_an_edited_bundle_is_shrunk_as_it_is(ergo: Ergo, desk: Path) -> None:
    bundle = json.loads((desk / BUNDLE).read_text())
    write = bundle["decisions"][4]["effects"][0]["effect"]["writes"][0]
    write["value"] = {"Series": [1.0]}
    (desk / BUNDLE).write_text(json.dumps(bundle))
    shrunk(ergo("shrink", BUNDLE, "-o", "small.json", "--format", "json", cwd=desk))
    assert ids(desk / "small.json") == [bundle["events"][4]["event_id"]]
    report = ergo("replay", "small.json", "--format", "json", cwd=desk).report
    assert report["bundles"][0]["divergences"][0]["cause"] == "bundle_edited"


@pytest.fixture
def limited(ergo: Ergo, tmp_path: Path) -> Path:
    """A strategy with one event in ten seconds: later ones wait, and a Pump serves them."""
    home = copied("order_threshold", tmp_path)
    lines = ['{"kind":"episode_start","id":"d"}']
    for number, (kind, price) in enumerate([("Command", 100 + each % 5) for each in range(9)] + [("Pump", 1)] * 9):
        event = {
            "type": kind,
            "id": f"e{number}",
            "at": f"{number}s" if kind == "Command" else f"{10 * number}s",
            "semantic_kind": "price_tick",
            "payload": {"price": price},
        }
        lines.append(json.dumps({"kind": "event", "event": event}))
    (home / "events" / "monday.jsonl").write_text("\n".join(lines) + "\n")
    limits = ("--max-per-window", "1", "--rate-window", "10s")
    ran = ergo("capture", *limits, cwd=home)
    assert ran.exit_code == 0, ran.stderr
    edit(home.joinpath(*GRAPH), "value: 105.0", "value: 103.5")
    return home


def test_decisions_that_limits_put_off_are_made_anew_by_the_program_of_the_capture(ergo: Ergo, limited: Path) -> None:
    before = json.loads((limited / BUNDLE).read_text())["decisions"]
    assert any(decision["schedule_at"] for decision in before)
    whole = ergo("replay", BUNDLE, "--format", "json", cwd=limited).report
    document = shrunk(ergo("shrink", BUNDLE, "-o", "small.json", "--format", "json", cwd=limited))
    assert document["events"] == 1
    small = ergo("replay", "small.json", "--format", "json", cwd=limited).report
    assert first_way(small) == first_way(whole)
    assert small["bundles"][0]["decisions"] == {"invoke": 1, "skip": 0, "defer": 0}


def test_without_that_program_such_a_bundle_is_refused(ergo: Ergo, limited: Path, tmp_path: Path) -> None:
    ran = ergo("shrink", BUNDLE, "-o", "small.json", "-v", cwd=limited, XDG_DATA_HOME=str(tmp_path / "elsewhere"))
    assert (ran.exit_code, ran.stdout) == (3, "")
    assert "shrink.indivisible" in ran.stderr
    assert "--embed" in ran.stderr
    assert not (limited / "small.json").exists()


def test_of_a_kernel_program_whole_runs_go(ergo: Ergo, tmp_path: Path) -> None:
    home = copied("agent", tmp_path)
    edit(home / "refunds" / "agent.py", "{case.amount} back, receipt", "{case.amount} back: receipt")
    whole = ergo("replay", "captures/tuesday.json", "--format", "json", cwd=home).report
    assert whole["bundles"][0]["divergences"][0]["event_id"] == "t-0900"
    edit(home / "refunds" / "agent.py", "LARGEST = 100.0", "LARGEST = 20.0")
    document = shrunk(ergo("shrink", "captures/tuesday.json", "-o", "s.json", "--format", "json", cwd=home))
    assert (document["events_before"], document["events"]) == (8, 1)
    small = ergo("replay", "s.json", "--format", "json", cwd=home).report
    assert small["bundles"][0]["divergence_count"] > 0
    assert ids(home / "s.json") == ["t-0900"]


def test_a_run_is_kept_up_to_the_event_that_differs(ergo: Ergo, tmp_path: Path) -> None:
    home = copied("agent", tmp_path)
    edit(home / "refunds" / "agent.py", "We cannot pay", "We can not pay")
    whole = ergo("replay", "captures/tuesday.json", "--format", "json", cwd=home).report
    document = shrunk(ergo("shrink", "captures/tuesday.json", "-o", "s.json", "--format", "json", cwd=home))
    assert ids(home / "s.json") == ["t-0940", "t-1000"]
    assert document["divergence"]["event_id"] == "t-1000"
    small = ergo("replay", "s.json", "--format", "json", cwd=home).report
    assert first_way(small) == first_way(whole)
    edit(home / "refunds" / "agent.py", "We can not pay", "We cannot pay")
    assert ergo("replay", "s.json", "--strict", cwd=home).exit_code == 0


def test_the_test_of_a_program_in_python_is_written_too(
    ergo: Ergo, environment: dict[str, str], tmp_path: Path
) -> None:
    home = copied("agent", tmp_path)
    edit(home / "refunds" / "agent.py", "We cannot pay", "We can not pay")
    ran = ergo("shrink", "captures/tuesday.json", "-o", "s.json", "--test", "test_s.py", cwd=home)
    assert ran.exit_code == 0, ran.stderr
    assert pytest_of(home / "test_s.py", environment).returncode == 1
    edit(home / "refunds" / "agent.py", "We can not pay", "We cannot pay")
    done = pytest_of(home / "test_s.py", environment)
    assert done.returncode == 0, done.stdout


def test_of_plans_whole_runs_go_with_their_artifacts(ergo: Ergo, tmp_path: Path) -> None:
    home = copied("settlement", tmp_path)
    edit(home / "settlement" / "plan.py", '"status", "held"', '"status", "stopped"')
    document = shrunk(ergo("shrink", "captures/friday.json", "-o", "s.json", "--format", "json", cwd=home))
    assert document["events"] == 1
    assert len((home / "s.json").read_bytes()) < len((home / "captures" / "friday.json").read_bytes()) / 2
    edit(home / "settlement" / "plan.py", '"status", "stopped"', '"status", "held"')
    assert ergo("replay", "s.json", "--strict", cwd=home).exit_code == 0


def test_a_flow_cannot_be_divided(ergo: Ergo, tmp_path: Path) -> None:
    home = copied("orders", tmp_path)
    edit(home / "orders" / "pipeline.py", "MOST = 50", "MOST = 5")
    ran = ergo("shrink", "captures/morning.json", "-o", "s.json", "--format", "json", cwd=home)
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "shrink.indivisible")
    assert "--run" in ran.report["error"]["fix"]


def test_where_nothing_differs_the_outcome_is_empty_and_nothing_is_written(ergo: Ergo, desk: Path) -> None:
    ran = ergo("shrink", BUNDLE, "-o", "small.json", cwd=desk)
    assert (ran.exit_code, ran.stdout) == (5, f"empty: nothing of {BUNDLE} differs\n")
    assert not (desk / "small.json").exists()


def test_a_program_that_only_the_bundle_names_is_not_imported(ergo: Ergo, tmp_path: Path) -> None:
    home = copied("agent", tmp_path)
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(home / "captures" / "tuesday.json", alone)
    ran = ergo("shrink", "tuesday.json", "-o", "s.json", "--format", "json", cwd=alone)
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "program.not_found")
    assert "--program" in ran.report["error"]["fix"]


def pytest_of(file: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)]
    return subprocess.run(command, cwd=file.parent, env=environment, capture_output=True, text=True, timeout=120)


def test_the_test_that_is_written_fails_until_the_program_decides_as_before(
    ergo: Ergo, lowered: Path, environment: dict[str, str]
) -> None:
    (lowered / "tests").mkdir()
    ran = ergo("shrink", BUNDLE, "-o", "tests/small.json", "--test", "tests/test_small.py", cwd=lowered)
    assert ran.exit_code == 0
    assert ran.stdout.splitlines()[-1] == "test       pytest tests/test_small.py"
    written = lowered / "tests" / "test_small.py"
    assert str(lowered) not in written.read_text()
    done = pytest_of(written, environment)
    assert (done.returncode, done.stdout.splitlines()[-1][:18]) == (1, "1 failed, 1 passed"), done.stdout
    assert "bought_at" in done.stdout
    edit(lowered.joinpath(*GRAPH), "value: 104.0", "value: 105.0")
    done = pytest_of(written, environment)
    assert done.returncode == 0, done.stdout
    small = lowered / "tests" / "small.json"
    small.write_text(small.read_text().replace("history", "histery"))
    assert pytest_of(written, environment).returncode == 1


def test_a_test_finds_a_graph_outside_of_projects_by_its_file(
    ergo: Ergo, lowered: Path, environment: dict[str, str]
) -> None:
    (lowered / "ergo.toml").unlink()
    files = ("-g", "graphs/order_threshold.yaml", "-a", "adapters/order_desk.yaml")
    assert ergo("shrink", BUNDLE, "-o", "s.json", "--test", "t/test_s.py", *files, cwd=lowered).exit_code == 0
    assert pytest_of(lowered / "t" / "test_s.py", environment).returncode == 1
    edit(lowered.joinpath(*GRAPH), "value: 104.0", "value: 105.0")
    assert pytest_of(lowered / "t" / "test_s.py", environment).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        ((BUNDLE,), "cli.missing_required_option", "--output"),
        ((BUNDLE, "-o", BUNDLE), "cli.conflicting_options", "the bundle that is shrunk"),
        ((BUNDLE, "-o", "graphs/order_threshold.yaml"), "cli.conflicting_options", "a file of the program"),
        ((BUNDLE, "-o", "ergo.toml"), "cli.conflicting_options", "a file of the program"),
        ((BUNDLE, "-o", "events/monday.jsonl"), "cli.conflicting_options", "a file of the program"),
        ((BUNDLE, "-o", "s.json", "--test", "events/monday.jsonl"), "cli.conflicting_options", "a file of the program"),
        ((BUNDLE, "-o", "s.json", "--max-seconds", "nan"), "cli.invalid_option_value", "--max-seconds"),
        ((BUNDLE, "-o", "s.json", "--max-seconds", "0"), "cli.invalid_option_value", "--max-seconds"),
        ((BUNDLE, "-o", "s.json", "--test", "s.json"), "cli.conflicting_options", "the shrunk bundle"),
        ((BUNDLE, "-o", "-", "--test", "t.py"), "cli.conflicting_options", "from a file"),
        ((BUNDLE, "-o", "s.json", "--run", "false"), "cli.conflicting_options", "is a bundle"),
        (("events/monday.jsonl", "-o", "s.jsonl"), "cli.missing_required_option", "--run"),
        (
            ("events/monday.jsonl", "-o", "s.jsonl", "--run", "false", "--test", "t.py"),
            "cli.conflicting_options",
            "--test",
        ),
        (
            ("events/monday.jsonl", "-o", "s.jsonl", "--run", "false", "-p", "default"),
            "cli.conflicting_options",
            "--run",
        ),
        (("events/monday.jsonl", "-o", "s.jsonl", "--run", "'"), "cli.invalid_option_value", "--run"),
        ((BUNDLE, "-o", "s.json", "--max-tries", "0"), "cli.invalid_option_value", "--max-tries"),
        (
            (
                BUNDLE,
                "-o",
                "s.json",
                "--test",
                "t.py",
                "-g",
                "graphs/order_threshold.yaml",
                "-a",
                "adapters/order_desk.yaml",
            ),
            "cli.conflicting_options",
            "ergo.toml",
        ),
    ],
)
def test_what_does_not_belong_together_is_refused_before_anything_is_tried(
    ergo: Ergo, lowered: Path, arguments: tuple[str, ...], code: str, word: str
) -> None:
    before = sorted(lowered.rglob("*"))
    ran = ergo("shrink", *arguments, "--format", "json", cwd=lowered)
    assert ran.exit_code == 2
    error = (ran.report if "-" not in arguments else json.loads(ran.stderr.splitlines()[-1]))["error"]
    assert error["code"] == code
    assert word in f"{error['message']} {error['where']} {error['fix']}"
    assert sorted(lowered.rglob("*")) == before


def test_standard_input_and_output_are_bundles_too(ergo: Ergo, lowered: Path) -> None:
    ran = ergo("shrink", "-", "-o", "-", cwd=lowered, stdin=(lowered / BUNDLE).read_bytes())
    assert ran.exit_code == 0
    assert [event["event_id"] for event in json.loads(ran.stdout)["events"]] == ["q-0910"]
    assert "shrunk  -  8 events -> 1" in ran.stderr


def test_a_limit_of_tries_keeps_the_best_so_far(ergo: Ergo, lowered: Path) -> None:
    ran = ergo("shrink", BUNDLE, "-o", "s.json", "--max-tries", "1", cwd=lowered)
    assert ran.exit_code == 0
    assert "  not the smallest: --max-tries was reached" in ran.stdout.splitlines()
    assert ids(lowered / "s.json") == ["q-0900", "q-0910"]


def test_a_program_that_hangs_on_the_whole_is_bounded_and_named(ergo: Ergo, tmp_path: Path) -> None:
    home = tmp_path / "trend"
    shutil.copytree(FIXTURES / "own_primitives", home)
    edit(home / "trend" / "primitives.py", "    before = before or price\n", "    while True:\n        pass\n")
    ran = ergo(*("shrink", "captures/prices.json", "-o", "s.json", "--max-seconds", "1", "--format", "json"), cwd=home)
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "shrink.try_hung")
    assert ran.report["error"]["message"] == "today's program does not come to the end of 'captures/prices.json'"
    assert not (home / "s.json").exists()
