"""``ergo bisect``: the commit with which a bundle began to differ."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.cli import pipeline_projects, plan_projects
from tests.conftest import Ergo, Ran
from tests.git_histories import Files, add_commits, git, make_history, picture_of, texts_below

REPORTS = Path(__file__).parents[2] / "docs" / "reports.md"
FIXTURES = Path(__file__).parents[2] / "fixtures"
GRAPH = "graphs/order_threshold.yaml"
BUNDLE = "captures/monday.json"
SAME = ("seq", "event_id", "occurrence", "kind", "level", "node", "path", "expected", "actual", "cause")
BROKEN = "this: [is no graph"


@pytest.fixture
def desk(ergo: Ergo, tmp_path: Path) -> dict[str, str]:
    """The files of the order strategy, captured here, so that the program store has its texts."""
    home = tmp_path / "first"
    shutil.copytree(FIXTURES / "order_threshold", home)
    assert ergo("capture", cwd=home).exit_code == 0
    return texts_below(home)


def lowered(desk: dict[str, str]) -> str:
    """The graph with the level to enter at lowered, which makes the bundle differ."""
    return desk[GRAPH].replace("value: 105.0", "value: 104.0")


def notes(numbers: Sequence[int]) -> Iterator[tuple[str, Files]]:
    """Commits that change nothing of the program."""
    yield from ((f"Note {number}", {"notes.txt": f"{number}\n"}) for number in numbers)


def found(ran: Ran) -> dict[str, Any]:
    assert ran.exit_code == 0, ran.stdout + ran.stderr
    return ran.report["bisection"]


def bisected(ergo: Ergo, folder: Path, *words: str, **more: Any) -> dict[str, Any]:
    return found(ergo("bisect", BUNDLE, "--format", "json", *words, cwd=folder, **more))


@pytest.fixture
def history(desk: dict[str, str], tmp_path: Path) -> Path:
    """Six commits without effect, the fourth of which is followed by the one that lowers the level."""
    edit = ("Enter earlier", {GRAPH: lowered(desk)})
    make_history(tmp_path / "desk", [("Begin", desk), *notes(range(4)), edit, *notes([4, 5])])
    return tmp_path / "desk"


def commits(folder: Path) -> list[str]:
    return git(folder, "rev-list", "--reverse", "HEAD").split()


def test_the_commit_and_its_layer_of_change_are_shown(ergo: Ergo, history: Path) -> None:
    ids = commits(history)
    ran = ergo("bisect", BUNDLE, cwd=history)
    assert (ran.exit_code, ran.stderr) == (0, "")
    shown = re.search(r"^```\n(found .*?)^```", REPORTS.read_text(), re.MULTILINE | re.DOTALL)
    assert shown is not None
    assert re.sub(r"\b[0-9a-f]{7}\b", "", ran.stdout) == re.sub(r"\b[0-9a-f]{7}\b", "", shown[1])
    assert ran.stdout.splitlines() == [
        f"found  {ids[5][:7]}  Enter earlier  Ann Author, 2026-01-07",
        "",
        "changed    graphs/order_threshold.yaml:20  enter_level.value  105.0 -> 104.0",
        "",
        "differs    captures/monday.json  event q-0910",
        "           + bought_at = 104.25  set_context by bought_at",
        f"searched   {ids[0][:7]} to {ids[7][:7]}, 4 replays",
        "",
        f"closer     git show {ids[5][:7]}",
    ]


def test_a_value_that_differs_is_named_by_its_key(ergo: Ergo, tmp_path: Path) -> None:
    home, bundle = tmp_path / "trend", "captures/prices.json"
    shutil.copytree(FIXTURES / "own_primitives", home, ignore=shutil.ignore_patterns("__pycache__"))
    assert ergo("capture", cwd=home).exit_code == 0
    files = texts_below(home)
    code = "trend/primitives.py"
    edit = {code: files[code].replace("alpha * (price", "(alpha + 0.5) * (price")}
    make_history(tmp_path / "history", [("Begin", files), ("Follow faster", edit)])
    ran = ergo("bisect", bundle, cwd=tmp_path / "history")
    assert "           ~ average  100.375 -> 101.125  set_context by remember\n" in ran.stdout
    report = ergo("bisect", bundle, "--format", "json", cwd=tmp_path / "history").report
    facts = report["bisection"]["divergence"]["facts"]
    assert facts == ["~ average  100.375 -> 101.125  set_context by remember"]


def test_the_report_has_the_commit_the_range_and_the_change(ergo: Ergo, history: Path) -> None:
    ids = commits(history)
    report = bisected(ergo, history, "--good", "HEAD~7")
    assert report["commit"] == {
        "commit": ids[5],
        "short": ids[5][:7],
        "subject": "Enter earlier",
        "author": "Ann Author",
        "author_date": "2026-01-07T00:00:00+00:00",
    }
    assert report["candidates"] == [report["commit"]]
    assert (report["good"]["commit"], report["bad"]["commit"]) == (ids[0], ids[7])
    [change] = report["changes"]
    assert (change["subject"], change["before"], change["after"]) == ("enter_level.value", "105.0", "104.0")
    assert (change["file"], change["line"]) == (GRAPH, 20)
    assert (report["files"], report["skipped"]) == ([GRAPH], [])
    today = ergo("replay", BUNDLE, "--format", "json", cwd=history).report["bundles"][0]["divergences"][0]
    shown = report["divergence"]
    assert [shown[key] for key in SAME] == [today[key] for key in SAME]


def test_two_searches_say_the_same(ergo: Ergo, history: Path) -> None:
    first, second = (ergo("bisect", BUNDLE, "--format", "json", cwd=history).stdout for _ in range(2))
    assert first == second


def test_200_commits_of_which_20_cannot_be_run(ergo: Ergo, desk: dict[str, str], tmp_path: Path) -> None:
    """Only the commits that cannot be run come on top of twelve replays."""
    chance = random.Random(14)
    broken = set(chance.sample(range(1, 199), 20))
    culprit = next(number for number in iter(lambda: chance.randrange(2, 198), None) if number not in broken)
    graphs = [desk[GRAPH] if number < culprit else lowered(desk) for number in range(200)]
    texts = [BROKEN if number in broken else graph for number, graph in enumerate(graphs)]
    edits = [(f"Edit {number}", {GRAPH: text, "notes.txt": f"{number}\n"}) for number, text in enumerate(texts)]
    ids = make_history(tmp_path / "desk", [("Begin", desk), *edits[1:]])
    report = bisected(ergo, tmp_path / "desk", "--good", ids[0])
    before = culprit - 1
    while before in broken:
        before -= 1
    assert [each["commit"] for each in report["candidates"]] == ids[before + 1 : culprit + 1]
    assert report["replays"] <= 12
    skipped = {ids.index(each["commit"]) for each in report["skipped"]}
    assert skipped <= broken
    assert all(each["error"]["message"] for each in report["skipped"])


def test_without_good_the_commit_of_the_bundle_is_where_it_held(ergo: Ergo, history: Path) -> None:
    report = bisected(ergo, history)
    assert report["good"]["subject"] == "Begin"
    assert report["replays"] <= 5


def test_without_good_and_with_a_bundle_of_no_commit_first_parents_are_walked(
    ergo: Ergo, desk: dict[str, str], tmp_path: Path
) -> None:
    bundle = tmp_path / "apart.json"
    bundle.write_text(desk.pop(BUNDLE))
    edit = ("Enter earlier", {GRAPH: lowered(desk)})
    make_history(tmp_path / "desk", [("Begin", desk), *notes(range(10)), edit, *notes(range(10, 13))])
    report = found(ergo("bisect", bundle, "--format", "json", cwd=tmp_path / "desk"))
    assert report["commit"]["subject"] == "Enter earlier"
    assert report["good"]["subject"] == "Note 9"  # the step of 4


def test_a_program_that_was_written_later_than_the_repository(ergo: Ergo, desk: dict[str, str], tmp_path: Path) -> None:
    bundle = tmp_path / "apart.json"
    bundle.write_text(desk.pop(BUNDLE))
    edit = ("Enter earlier", {GRAPH: lowered(desk)})
    history = [*notes(range(20)), ("Begin", desk), ("Note", {"notes.txt": "20"}), edit, *notes(range(21, 34))]
    make_history(tmp_path / "desk", history)
    report = found(ergo("bisect", bundle, "--format", "json", cwd=tmp_path / "desk"))
    assert report["commit"]["subject"] == "Enter earlier"
    assert {each["error"]["code"] for each in report["skipped"]} == {"PRJ-ROOT"}


def test_a_commit_of_a_branch_that_was_merged_is_found(ergo: Ergo, desk: dict[str, str], tmp_path: Path) -> None:
    home = tmp_path / "desk"
    ids = make_history(home, [("Begin", desk), *notes([0, 1])])
    branch = [("On a branch", {"other.txt": "x"}), ("Enter earlier", {GRAPH: lowered(desk)}), ("More", {"o.txt": "y"})]
    add_commits(home, branch, "side", ids[0])
    merge = git(
        *(home, "-c", "user.name=Ann", "-c", "user.email=a@example.org"),
        *("merge", "--quiet", "--no-ff", "-m", "Merge", "side"),
    )
    assert merge == ""
    add_commits(home, notes([5, 6]), "main", git(home, "rev-parse", "main"))
    git(home, "reset", "--quiet", "--hard", "main")
    report = bisected(ergo, home)
    assert report["commit"]["subject"] == "Enter earlier"
    assert [each["after"] for each in report["changes"]] == ["104.0"]


def test_commits_that_cannot_be_run_beside_the_one_leave_several(
    ergo: Ergo, desk: dict[str, str], tmp_path: Path
) -> None:
    broken = [("Break", {GRAPH: BROKEN}), ("Worse", {GRAPH: f"{BROKEN}: at all"})]
    mended = ("Mend, and enter earlier", {GRAPH: lowered(desk)})
    ids = make_history(tmp_path / "desk", [("Begin", desk), *notes([0]), *broken, mended, *notes([1])])
    ran = ergo("bisect", BUNDLE, cwd=tmp_path / "desk")
    assert (ran.exit_code, ran.stderr) == (1, "")
    lines = ran.stdout.splitlines()
    assert lines[0] == "ambiguous  one of 3 commits; all but the last cannot be run"
    assert [line.split()[0] for line in lines[1:4]] == [each[:7] for each in ids[2:5]]
    assert "skipped    2 commits that cannot be run" in lines
    report = ergo("bisect", BUNDLE, "--format", "json", cwd=tmp_path / "desk").report
    assert (report["outcome"], report["exit_code"], report["bisection"]["commit"]) == ("ambiguous", 1, None)
    assert {each["commit"] for each in report["bisection"]["skipped"]} == set(ids[2:4])
    [change] = report["bisection"]["changes"]
    assert (change["subject"], change["before"], change["after"]) == ("enter_level.value", "105.0", "104.0")


def test_the_change_is_that_of_the_commit_not_since_the_capture(
    ergo: Ergo, desk: dict[str, str], tmp_path: Path
) -> None:
    """An earlier commit changed the same value without effect."""
    raised = ("Raise", {GRAPH: desk[GRAPH].replace("value: 105.0", "value: 104.5")})
    make_history(tmp_path / "desk", [("Begin", desk), raised, ("Lower", {GRAPH: lowered(desk)})])
    report = bisected(ergo, tmp_path / "desk")
    assert report["commit"]["subject"] == "Lower"
    assert [(each["before"], each["after"]) for each in report["changes"]] == [("104.5", "104.0")]


def test_another_divergence_counts_only_with_any(ergo: Ergo, desk: dict[str, str], tmp_path: Path) -> None:
    sold = desk[GRAPH].replace("value: 98.0", "value: 97.5")
    both = lowered({**desk, GRAPH: sold})
    make_history(
        tmp_path / "desk",
        [("Begin", desk), *notes([0]), ("Sell later", {GRAPH: sold}), ("Enter earlier", {GRAPH: both}), *notes([1])],
    )
    assert bisected(ergo, tmp_path / "desk")["commit"]["subject"] == "Enter earlier"
    assert bisected(ergo, tmp_path / "desk", "--any")["commit"]["subject"] == "Sell later"


def test_a_project_in_a_folder_of_the_repository_from_anywhere(
    ergo: Ergo, desk: dict[str, str], tmp_path: Path
) -> None:
    below = {f"desks/one/{path}": text for path, text in desk.items()}
    edit = ("Enter earlier", {f"desks/one/{GRAPH}": lowered(desk)})
    make_history(tmp_path / "all", [("Begin", below), edit])
    one = tmp_path / "all" / "desks" / "one"
    for folder, words in (
        (one, [BUNDLE]),
        (one / "graphs", [f"../{BUNDLE}"]),
        (tmp_path / "all", [f"desks/one/{BUNDLE}", "--project", "desks/one"]),
        (tmp_path, [one / BUNDLE, "--project", one]),
        (one, [BUNDLE, "-g", GRAPH, "-a", "adapters/order_desk.yaml"]),
    ):
        report = found(ergo("bisect", *words, "--format", "json", cwd=folder))
        [change] = report["changes"]
        assert report["commit"]["subject"] == "Enter earlier"
        assert (folder / change["file"]).resolve() == one / GRAPH


def test_a_graph_without_a_project(ergo: Ergo, desk: dict[str, str], tmp_path: Path) -> None:
    files = {path: text for path, text in desk.items() if path != "ergo.toml"}
    edit = ("Enter earlier", {GRAPH: lowered(desk)})
    make_history(tmp_path / "desk", [("Begin", files), edit, *notes([1])])
    report = bisected(ergo, tmp_path / "desk", "-g", GRAPH, "-a", "adapters/order_desk.yaml")
    assert report["commit"]["subject"] == "Enter earlier"


def test_a_program_in_python(ergo: Ergo, tmp_path: Path) -> None:
    home = tmp_path / "first"
    shutil.copytree(FIXTURES / "agent", home)
    assert ergo("capture", cwd=home).exit_code == 0
    files, agent = texts_below(home), "refunds/agent.py"
    broken = files[agent] + "\nraise RuntimeError('not yet')\n"
    edited = files[agent].replace("LARGEST = 100.0", "LARGEST = 10.0")
    history = [
        *(("Begin", files), *notes([0, 1]), ("Break", {agent: broken}), ("Mend", {agent: files[agent]})),
        *(("Ask more often", {agent: edited}), *notes([2, 3, 4])),
    ]
    ids = make_history(tmp_path / "agent", history)
    for words in ([], ["-P", "refunds.agent:program"]):
        ran = ergo("bisect", "captures/tuesday.json", "--format", "json", *words, cwd=tmp_path / "agent")
        report = found(ran)
        assert (report["commit"]["commit"], report["files"]) == (ids[5], [agent])
        assert [(each["subject"], each["file"]) for each in report["changes"]] == [("LARGEST", agent)]
        for each in report["skipped"]:
            assert each["commit"] == ids[3]
            assert "not yet" in each["error"]["message"]


def test_a_plan(ergo: Ergo, tmp_path: Path) -> None:
    home = plan_projects.settlement(tmp_path)
    assert ergo("capture", cwd=home).exit_code == 0
    files, code = texts_below(home), "settlement/plan.py"
    edit = ("Raise the fee", {code: files[code].replace('FEE = Decimal("0.002")', 'FEE = Decimal("0.003")')})
    ids = make_history(tmp_path / "plan", [("Begin", files), *notes([0, 1]), edit, *notes([2])])
    report = found(ergo("bisect", plan_projects.KEPT, "--format", "json", cwd=tmp_path / "plan"))
    assert (report["commit"]["commit"], report["files"]) == (ids[3], [code])
    assert [(each["subject"], each["before"], each["after"]) for each in report["changes"]] == [
        ("FEE", "'0.002'", "'0.003'")
    ]
    assert (report["divergence"]["kind"], report["divergence"]["seq"]) == ("journal", 0)


def test_a_pipeline(ergo: Ergo, tmp_path: Path) -> None:
    home = pipeline_projects.orders(tmp_path)
    assert ergo("capture", cwd=home).exit_code == 0
    files, code = texts_below(home), "orders/pipeline.py"
    edit = ("Charge more", {code: files[code].replace('payload["cents"]})', 'payload["cents"] + 1})')})
    ids = make_history(tmp_path / "flow", [("Begin", files), *notes([0, 1]), edit, *notes([2])])
    report = found(ergo("bisect", pipeline_projects.KEPT, "--format", "json", cwd=tmp_path / "flow"))
    assert (report["commit"]["commit"], report["files"]) == (ids[3], [code])
    assert report["divergence"]["kind"] == "journal"
    assert [each["file"] for each in report["changes"]] == [code]


def test_what_a_program_prints_at_its_end_is_not_its_report(ergo: Ergo, tmp_path: Path) -> None:
    home = tmp_path / "first"
    shutil.copytree(FIXTURES / "agent", home)
    assert ergo("capture", cwd=home).exit_code == 0
    files, agent = texts_below(home), "refunds/agent.py"
    text = files[agent].replace("LARGEST = 100.0", "LARGEST = 10.0")
    text += "\nimport atexit\n\natexit.register(print, '{}')\n"
    make_history(tmp_path / "agent", [("Begin", files), *notes([0]), ("Ask more often", {agent: text}), *notes([1])])
    report = found(ergo("bisect", "captures/tuesday.json", "--format", "json", cwd=tmp_path / "agent"))
    assert (report["commit"]["subject"], report["skipped"]) == ("Ask more often", [])


def test_the_code_of_one_commit_is_not_seen_by_another(ergo: Ergo, tmp_path: Path) -> None:
    """All commits have a module of one name, size and time; the change is in that module alone."""
    home = tmp_path / "first"
    shutil.copytree(FIXTURES / "agent", home)
    agent = home / "refunds" / "agent.py"
    (home / "refunds" / "levels.py").write_text("LARGEST = 100.0\n")
    agent.write_text(agent.read_text().replace("LARGEST = 100.0", "from refunds.levels import LARGEST"))
    assert ergo("capture", cwd=home).exit_code == 0
    files = texts_below(home)
    edit = ("Ask more often", {"refunds/levels.py": "LARGEST = 010.0\n"})
    make_history(tmp_path / "agent", [("Begin", files), *notes([0, 1, 2]), edit, *notes([3, 4])])
    report = found(ergo("bisect", "captures/tuesday.json", "--format", "json", cwd=tmp_path / "agent"))
    assert report["commit"]["subject"] == "Ask more often"


def test_modules_that_are_found_in_the_repository_are_those_of_the_commit(ergo: Ergo, tmp_path: Path) -> None:
    """As an installation in place has it: the folder of the sources is on the path of Python."""
    home = tmp_path / "first"
    shutil.copytree(FIXTURES / "agent", home, ignore=shutil.ignore_patterns("refunds"))
    shutil.copytree(FIXTURES / "agent" / "refunds", home / "src" / "refunds")
    assert ergo("capture", cwd=home, PYTHONPATH=str(home / "src")).exit_code == 0
    files, agent = texts_below(home), "src/refunds/agent.py"
    edit = ("Ask more often", {agent: files[agent].replace("LARGEST = 100.0", "LARGEST = 10.0")})
    make_history(tmp_path / "agent", [("Begin", files), *notes([0]), edit, *notes([1])])
    words = ("bisect", "captures/tuesday.json", "--format", "json")
    report = found(ergo(*words, cwd=tmp_path / "agent", PYTHONPATH=str(tmp_path / "agent" / "src")))
    assert report["commit"]["subject"] == "Ask more often"


def test_what_a_hook_of_git_has_in_its_environment_is_not_used(ergo: Ergo, history: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    make_history(other, notes([0]))
    before = picture_of(other)
    surroundings = {"GIT_DIR": f"{other}/.git", "GIT_WORK_TREE": str(other), "GIT_INDEX_FILE": f"{other}/.git/index"}
    assert bisected(ergo, history, **surroundings)["commit"]["subject"] == "Enter earlier"
    assert picture_of(other) == before


def test_a_worktree_of_the_user_is_left_as_it_is(ergo: Ergo, history: Path, tmp_path: Path) -> None:
    worktree = tmp_path / "worktree"
    git(history, "worktree", "add", "--quiet", "--detach", str(worktree), "HEAD~1")
    before = picture_of(history), picture_of(worktree)
    assert bisected(ergo, worktree)["bad"]["subject"] == "Note 4"
    assert (picture_of(history), picture_of(worktree)) == before


def test_a_bundle_that_does_not_differ_says_so(ergo: Ergo, desk: dict[str, str], tmp_path: Path) -> None:
    ids = make_history(tmp_path / "desk", [("Begin", desk), *notes([0])])
    ran = ergo("bisect", BUNDLE, cwd=tmp_path / "desk")
    assert (ran.exit_code, ran.stderr) == (5, "")
    assert ran.stdout == f"empty: nothing of {BUNDLE} differs at commit {ids[1][:7]}\n"
    report = ergo("bisect", BUNDLE, "--format", "json", cwd=tmp_path / "desk").report
    assert (report["outcome"], report["bisection"]["commit"]) == ("empty", None)


def test_what_is_not_committed_stays_and_is_not_looked_at(
    ergo: Ergo, desk: dict[str, str], tmp_path: Path, history: Path
) -> None:
    (history / GRAPH).write_text(desk[GRAPH])
    (history / "notes.txt").write_text("unsaved\n")
    git(history, "add", "notes.txt")
    (history / "untracked.txt").write_text("mine\n")
    before = picture_of(history)
    ran = ergo("bisect", BUNDLE, cwd=history)
    assert ran.exit_code == 0
    assert "Enter earlier" in ran.stdout
    assert ran.stderr == (
        "warning: the changes of 2 files are not committed, so they are not looked at: "
        "graphs/order_threshold.yaml, notes.txt\n"
    )
    assert picture_of(history) == before


def test_nothing_of_the_repository_is_touched_and_no_hook_runs(ergo: Ergo, history: Path, tmp_path: Path) -> None:
    for hook in ("post-checkout", "post-index-change", "reference-transaction", "monitor"):
        script = history / ".git" / "hooks" / hook
        script.parent.mkdir(exist_ok=True)
        script.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran-{hook}\n")
        script.chmod(0o755)
    for key, value in (
        ("core.fsmonitor", f"{history}/.git/hooks/monitor"),
        ("core.pager", f"touch {tmp_path}/ran-pager"),
        ("core.splitIndex", "true"),
        ("core.untrackedCache", "true"),
        ("core.sparseCheckout", "true"),
        ("log.showSignature", "true"),
    ):
        git(history, "config", key, value)
    (history / ".git" / "info").mkdir(exist_ok=True)
    (history / ".git" / "info" / "sparse-checkout").write_text("/captures/\n")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    before = picture_of(history)
    report = bisected(ergo, history, TMPDIR=str(scratch))
    assert report["commit"]["subject"] == "Enter earlier"
    assert picture_of(history) == before
    assert not list(scratch.iterdir())
    assert not list(tmp_path.glob("ran-*"))


STARTERS = (
    "filter.mine.smudge",
    "filter.mine.clean",
    "filter.other=name.process",
    "diff.external",
    "diff.mine.textconv",
    "diff.mine.command",
    "core.sshCommand",
    "core.askPass",
    "core.editor",
    "credential.helper",
    "gpg.program",
)


def test_no_program_that_the_configuration_of_git_names_is_started(ergo: Ergo, history: Path, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(f'#!/bin/sh\necho "$0 $*" >> {tmp_path}/ran\ncat\n')
    script.chmod(0o755)
    for name in STARTERS:
        git(history, "config", name, str(script))
    for name in ("filter.mine.required", "filter.other=name.required"):
        git(history, "config", name, "true")
    attributes = history / ".git" / "info" / "attributes"
    attributes.parent.mkdir(exist_ok=True)
    attributes.write_text("* filter=mine diff=mine\n*.yaml filter=other=name\n")
    (history / "notes.txt").write_text("unsaved\n")
    (history / GRAPH).touch()
    assert bisected(ergo, history)["commit"]["subject"] == "Enter earlier"
    assert not (tmp_path / "ran").exists()


def test_what_a_partial_clone_lacks_is_not_fetched(ergo: Ergo, history: Path, tmp_path: Path) -> None:
    script = tmp_path / "upload"
    script.write_text(f'#!/bin/sh\ntouch {tmp_path}/ran\nexec git-upload-pack "$@"\n')
    script.chmod(0o755)
    git(history, "config", "uploadpack.allowFilter", "true")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--filter=blob:none", f"file://{history}", str(clone))
    git(clone, "config", "remote.origin.uploadpack", str(script))
    error = refused(ergo, clone, BUNDLE)
    assert error["code"] == "bisect.no_good_commit"
    assert [each["code"] for each in error["causes"]] == ["bisect.git_failed"]
    assert not (tmp_path / "ran").exists()


def test_a_shallow_clone_says_that_it_is_one(ergo: Ergo, history: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--depth=2", f"file://{history}", str(clone))
    error = refused(ergo, clone, BUNDLE)
    assert (error["code"], error["causes"]) == ("bisect.no_good_commit", [])
    assert error["message"].endswith("back to the first one of this shallow clone")
    assert error["fix"] == "bring the rest of the history with git fetch --unshallow"


def test_a_repository_in_a_folder_of_any_name(ergo: Ergo, history: Path, tmp_path: Path) -> None:
    for name in ("-x", "new\nline", "line\u2028end", "esc\x1b[31m", "$(touch ran)"):
        there = tmp_path / name
        history.rename(there)
        ran = ergo("bisect", BUNDLE, cwd=there)
        assert ran.stdout.partition("  ")[2].partition("  ")[2].startswith("Enter earlier"), name
        assert "\x1b" not in ran.stdout + ran.stderr
        history = there


def test_what_commits_and_files_are_called_does_not_control_the_terminal(
    ergo: Ergo, desk: dict[str, str], tmp_path: Path
) -> None:
    edit = ("Enter \x1b[31mearlier\x1b]0;title\x07", {GRAPH: lowered(desk), "n\x1bm": "1\n"})
    make_history(tmp_path / "desk", [("Begin", desk), edit])
    (tmp_path / "desk" / "n\x1bm").write_text("unsaved\n")
    ran = ergo("bisect", BUNDLE, "-v", "--color", "never", cwd=tmp_path / "desk")
    assert ran.exit_code == 0
    assert "Enter \\x1b[31mearlier\\x1b]0;title\\x07" in ran.stdout
    assert "n\\x1bm" in ran.stderr
    assert not any(char in ran.stdout + ran.stderr for char in "\x1b\x07")


def test_what_is_called_git_and_is_not(ergo: Ergo, history: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    script = tmp_path / "git"
    for text in ("#!/bin/sh\necho hello\n", "#!/bin/sh\nexit 1\n", "no program\n"):
        script.write_text(text)
        script.chmod(0o755)
        error = refused(ergo, history, BUNDLE, PATH=f"{tmp_path}:{environment['PATH']}")
        assert error["code"] in ("bisect.no_repository", "bisect.git_failed")


def hanging(desk: dict[str, str], marker: Path) -> Files:
    """A project whose own primitives are a module that never ends to be imported."""
    text = f"import os, pathlib, time\npathlib.Path({str(marker)!r}).write_text(str(os.getpid()))\ntime.sleep(600)\n"
    head, profiles, rest = desk["ergo.toml"].partition("\n[profiles")
    return {"own.py": text, "ergo.toml": f'{head}\nprimitives = ["own"]\n{profiles}{rest}'}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_leaves_nothing(
    desk: dict[str, str], environment: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    home, scratch, marker = tmp_path / "desk", tmp_path / "scratch", tmp_path / "marker"
    scratch.mkdir()
    edit = ("Enter earlier", {GRAPH: lowered(desk)})
    mended = ("Mend", {"own.py": None, "ergo.toml": desk["ergo.toml"]})
    make_history(home, [("Begin", desk), *notes([0]), ("Hang", hanging(desk, marker)), mended, edit])
    before = picture_of(home)
    command = [str(Path(sys.executable).with_name("ergo")), "bisect", BUNDLE]
    child = subprocess.Popen(
        command, cwd=home, env={**environment, "TMPDIR": str(scratch)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 30
    while not (marker.exists() and marker.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    replaying = int(marker.read_text())
    child.send_signal(number)
    output, complaints = child.communicate(timeout=60)
    assert (child.returncode, output, complaints) == (130, b"", b"interrupted\n")
    assert not list(scratch.iterdir())
    assert picture_of(home) == before
    assert is_gone(replaying)


def is_gone(process: int) -> bool:
    """Whether a process has ended; its system may take a moment to say so."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.slow
def test_a_commit_that_hangs_is_skipped_and_named(ergo: Ergo, desk: dict[str, str], tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    edit = ("Enter earlier", {GRAPH: lowered(desk)})
    mended = ("Mend", {"own.py": None, "ergo.toml": desk["ergo.toml"]})
    make_history(tmp_path / "desk", [("Begin", desk), *notes([0]), ("Hang", hanging(desk, marker)), mended, edit])
    report = bisected(ergo, tmp_path / "desk", "--timeout", "15s")
    assert report["commit"]["subject"] == "Enter earlier"
    [skipped] = report["skipped"]
    assert (skipped["subject"], skipped["error"]["code"]) == ("Hang", "bisect.commit_not_run")
    assert skipped["error"]["message"] == "the replay did not end within 15 s"
    assert is_gone(int(marker.read_text()))


def test_a_program_that_ends_the_process_is_skipped(ergo: Ergo, desk: dict[str, str], tmp_path: Path) -> None:
    edit = ("Enter earlier", {GRAPH: lowered(desk)})
    ending = {**hanging(desk, tmp_path), "own.py": "import os\nos._exit(0)\n"}
    mended = ("Mend", {"own.py": None, "ergo.toml": desk["ergo.toml"]})
    make_history(tmp_path / "desk", [("Begin", desk), *notes([0]), ("End", ending), mended, edit])
    [skipped] = bisected(ergo, tmp_path / "desk")["skipped"]
    assert skipped["error"]["message"] == "the replay has no report: it ended with status 0"


def refused(ergo: Ergo, folder: Path, *words: str, **more: Any) -> dict[str, Any]:
    """The error of a refusal, which is one line of what and one of remedy, without a traceback."""
    ran = ergo("bisect", *words, cwd=folder, **more)
    assert ran.stdout == ""
    assert ran.stderr.startswith("error: ")
    assert "\n  fix: " in ran.stderr
    assert "Traceback" not in ran.stderr
    report = ergo("bisect", *words, "--format", "json", cwd=folder, **more).report
    assert (report["outcome"], report["exit_code"], report["bisection"]) == ("refused", ran.exit_code, None)
    return report["error"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--good", "HEAD~1"], "bisect.good_differs", "the divergence is there at the good commit {6} already"),
        (["--bad", "HEAD~4"], "bisect.bad_holds", "nothing differs at the bad commit {3}"),
        (["--good", "HEAD"], "bisect.no_range", "the good commit {7} is the same commit as the bad one, {7}"),
        (
            ["--good", "HEAD", "--bad", "HEAD~1"],
            "bisect.no_range",
            "the good commit {7} does not come before the bad one, {6}",
        ),
        (["--good", "v9"], "bisect.unknown_revision", "'v9' names no commit of the repository"),
        (["--good", "^HEAD"], "bisect.unknown_revision", "'^HEAD' names no commit of the repository"),
        (["--bad=--all"], "bisect.unknown_revision", "'--all' names no commit of the repository"),
        (["--good", "HEAD:notes.txt"], "bisect.unknown_revision", "'HEAD:notes.txt' names no commit of the repository"),
    ],
)
def test_no_clean_range(ergo: Ergo, history: Path, words: list[str], code: str, message: str) -> None:
    error = refused(ergo, history, BUNDLE, *words)
    assert (error["code"], error["message"]) == (code, message.format(*(each[:7] for each in commits(history))))
    assert error["where"].startswith("option --")


def test_a_bad_commit_that_cannot_be_run(ergo: Ergo, desk: dict[str, str], tmp_path: Path) -> None:
    ids = make_history(tmp_path / "desk", [("Begin", desk), ("Remove", {GRAPH: None}), *notes([0])])
    error = refused(ergo, tmp_path / "desk", BUNDLE)
    assert error["code"] == "bisect.bad_not_run"
    assert error["message"] == f"commit {ids[2][:7]}, where the search begins, cannot be run"
    assert error["causes"][0]["code"] == "replay.host_setup_failed"
    assert "ergo-bisect-" not in str(error)


def test_a_good_commit_without_the_program(ergo: Ergo, desk: dict[str, str], tmp_path: Path) -> None:
    edited = {**desk, GRAPH: lowered(desk)}
    ids = make_history(tmp_path / "desk", [*notes([0]), ("Begin", edited), *notes([1])])
    error = refused(ergo, tmp_path / "desk", BUNDLE, "--good", ids[0])
    assert error["code"] == "bisect.good_not_run"
    error = refused(ergo, tmp_path / "desk", BUNDLE)
    assert error["code"] == "bisect.no_good_commit"
    assert error["message"].startswith(f"no commit before {ids[2][:7]} was found that lacks the divergence")


def test_no_commit_that_held(ergo: Ergo, desk: dict[str, str], tmp_path: Path) -> None:
    make_history(tmp_path / "desk", [("Begin", {**desk, GRAPH: lowered(desk)}), *notes(range(5))])
    assert refused(ergo, tmp_path / "desk", BUNDLE)["code"] == "bisect.no_good_commit"


def test_outside_of_a_repository(ergo: Ergo, desk: dict[str, str], tmp_path: Path) -> None:
    error = refused(ergo, tmp_path / "first", BUNDLE, GIT_CEILING_DIRECTORIES=str(tmp_path))
    assert error["code"] == "bisect.no_repository"
    assert "not a git repository" in error["message"]


def test_a_repository_without_a_commit(ergo: Ergo, desk: dict[str, str], tmp_path: Path) -> None:
    git(tmp_path / "first", "init", "--quiet")
    assert refused(ergo, tmp_path / "first", BUNDLE)["code"] == "bisect.unknown_revision"


def test_without_git(ergo: Ergo, history: Path, tmp_path: Path) -> None:
    error = refused(ergo, history, BUNDLE, PATH=str(tmp_path))
    assert (error["code"], error["where"]) == ("bisect.git_unavailable", "program 'git'")


def test_a_bundle_that_is_not_there_or_cannot_be_read_twice(ergo: Ergo, history: Path) -> None:
    assert refused(ergo, history, "none.json")["code"] == "bundle.read_failed"
    assert refused(ergo, history, "-")["code"] == "cli.unexpected_argument"


def test_a_program_of_no_file(ergo: Ergo, desk: dict[str, str], tmp_path: Path) -> None:
    """The program store knows the program, but no commit is looked at for it."""
    bundle = {"captures/monday.json": desk[BUNDLE]}
    make_history(tmp_path / "desk", [("Begin", bundle), *notes([0])])
    error = refused(ergo, tmp_path / "desk", BUNDLE)
    assert (error["code"], error["where"]) == ("bisect.no_program", BUNDLE)


def test_a_repository_found_beside_the_bundle_is_not_used(ergo: Ergo, history: Path, tmp_path: Path) -> None:
    """Its configuration may name programs that git starts."""
    git(history, "config", "filter.evil.smudge", f"touch {tmp_path}/ran; cat")
    (history / ".git" / "info").mkdir(exist_ok=True)
    (history / ".git" / "info" / "attributes").write_text("* filter=evil\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for words in ([], ["-g", str(history / GRAPH)]):
        error = refused(ergo, elsewhere, str(history / BUNDLE), *words)
        assert error["code"] == "program.import_refused"
    assert not (tmp_path / "ran").exists()


def test_a_project_above_the_temporary_folder_is_not_found(ergo: Ergo, desk: dict[str, str], tmp_path: Path) -> None:
    """Anyone may write an ergo.toml into a folder for temporary files."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (scratch / "ergo.toml").write_text('name = "evil"\nversion = "1"\nprimitives = ["evil"]\n')
    (scratch / "evil.py").write_text(f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\n")
    files = {path: text for path, text in desk.items() if path != "ergo.toml"}
    make_history(tmp_path / "desk", [("Begin", files), ("Enter earlier", {GRAPH: lowered(desk)})])
    words = ("-g", GRAPH, "-a", "adapters/order_desk.yaml")
    assert bisected(ergo, tmp_path / "desk", *words, TMPDIR=str(scratch))["commit"]["subject"] == "Enter earlier"
    assert not (tmp_path / "ran").exists()
