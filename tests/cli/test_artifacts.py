"""Plans whose artifacts are kept in an object store: captured, killed, continued, resumed, replayed without it."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from s3_server import Bucket

from ergo_cli.programs.plan.tables import PLAN_TABLES
from ergo_cli.stores.backends import open_store
from tests.channels.egress_channels import PROGRAMS
from tests.cli import mortal_plan
from tests.conftest import Ergo, Ran

STORE = ("--store", "sqlite:runs.db")
CAPTURE = ("capture", "-o", "b.json", *STORE)
RUN = "39e6d5dc-4aa1-5e35-9f4f-d1a9c3ec6d16"
HEAD = 'name = "n"\nversion = "1"\n[profiles.default]\nfixture = "e.jsonl"\n'
PLAN = 'plan = "mortal_plan:program"\n'
ENDPOINT = "http://127.0.0.1:1"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The mortal plan in the current folder, and one event."""
    shutil.copy(Path(mortal_plan.__file__), tmp_path / "mortal_plan.py")
    (tmp_path / "ergo.toml").write_text(HEAD + PLAN)
    event = {"kind": "event", "event": {"type": "Command", "id": "e1", "payload": {"symbol": "x"}}}
    (tmp_path / "e.jsonl").write_text(json.dumps(event) + "\n")
    return tmp_path


def run_of(ergo: Ergo) -> str:
    """The run of the event: of all runs of the store, that with the most events."""
    runs = ergo("runs", "list", *STORE, "--format", "json").report["runs"]
    return max(runs, key=lambda run: run["head"])["run_id"]


def stream(project: Path, run: str) -> list[Any]:
    with open_store(f"sqlite:{project}/runs.db", project, lambda: 0, PLAN_TABLES) as store:
        return [json.loads(text) for _, text in store.journal.scan(run)]


def bundle(project: Path) -> Any:
    return json.loads((project / "b.json").read_text())


def check_refused(ran: Ran, exit_code: int, code: str, *words: str) -> None:
    assert (ran.exit_code, ran.report["error"]["code"]) == (exit_code, code), ran.stdout + ran.stderr
    assert [word for word in words if word not in json.dumps(ran.report["error"])] == []
    assert "Traceback" not in ran.stderr
    assert "hunter2" not in ran.stdout + ran.stderr


def test_a_capture_keeps_its_artifacts_there_and_a_replay_needs_none(ergo: Ergo, project: Path, s3: Bucket) -> None:
    captured = ergo(*CAPTURE, "--artifacts", s3.url, **s3.environment)
    assert captured.exit_code == 0, captured.stderr
    assert not (project / "artifacts").exists()
    kept = bundle(project)["artifacts"]
    assert len(kept) > 5
    assert [name for name in kept if not s3.object(name)] == []
    assert ergo("replay", "b.json", "--strict").exit_code == 0
    plain = ergo("capture", "-o", "plain.json")
    assert (plain.exit_code, (project / "plain.json").stat().st_size) == (0, (project / "b.json").stat().st_size)


def test_a_killed_run_is_shown_resumed_and_forked(ergo: Ergo, project: Path, s3: Bucket) -> None:
    place = (*STORE, "--artifacts", s3.url)
    (project / "cut").write_text("12")
    assert ergo(*CAPTURE, "--artifacts", s3.url, **s3.environment).exit_code == -signal.SIGKILL
    run = run_of(ergo)
    shown = ergo("runs", "show", run, *place, "--format", "json", **s3.environment)
    assert shown.report["run_summary"]["derived_status"] == "Active"
    resumed = ergo("runs", "resume", run, "--force", *place, "--format", "json", **s3.environment)
    assert (resumed.exit_code, resumed.report["run_resumed"]["status"]["status"]) == (0, "Completed"), resumed.stdout
    branch = "11111111-2222-4333-8444-555555555555"
    fork = ("runs", "fork", run, "--at", "7", "--as", branch)
    assert ergo(*fork, *place, **s3.environment).exit_code == 0
    assert ergo("runs", "resume", branch, "--force", *place, **s3.environment).exit_code == 0
    assert not (project / "artifacts").exists()


def test_the_next_capture_continues_a_killed_run(ergo: Ergo, project: Path, s3: Bucket) -> None:
    (project / "ergo.toml").write_text(f'{HEAD}{PLAN}store = "sqlite:runs.db"\nartifacts = "{s3.url}"\n')
    (project / "cut").write_text("12")
    assert ergo("capture", "-o", "b.json", **s3.environment).exit_code == -signal.SIGKILL
    assert ergo("capture", "-o", "b.json", **s3.environment).exit_code == 0
    assert bundle(project)["journals"][0]["records"][0]["begin"]["head"] > 0
    assert not (project / "artifacts").exists()
    assert ergo("runs", "show", run_of(ergo), **s3.environment).exit_code == 0
    assert ergo("replay", "b.json", "--strict").exit_code == 0


def test_a_store_of_the_command_line_takes_the_place_of_both_keys(ergo: Ergo, project: Path) -> None:
    (project / "ergo.toml").write_text(f'{HEAD}{PLAN}store = "sqlite:other.db"\nartifacts = "s3://nowhere"\n')
    assert ergo(*CAPTURE).exit_code == 0
    assert (project / "artifacts").is_dir()
    assert ergo("runs", "show", run_of(ergo), *STORE).exit_code == 0


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_an_artifact_that_is_gone_or_damaged(ergo: Ergo, project: Path, s3: Bucket, damage: str) -> None:
    place = ("--artifacts", s3.url)
    (project / "cut").write_text("12")
    assert ergo(*CAPTURE, *place, **s3.environment).exit_code == -signal.SIGKILL
    run = run_of(ergo)
    if damage == "missing":
        place = ("--artifacts", f"{s3.url}/elsewhere")
    else:
        s3.object(stream(project, run)[0]["event"]["Kernel"]["RunStarted"]["manifest_id"], b"{}")
    before = stream(project, run)
    code = {"missing": "plan.artifact_not_found", "changed": "plan.artifact_corruption"}[damage]
    ran = ergo(*CAPTURE, *place, "--format", "json", **s3.environment)
    check_refused(ran, 3, code)
    assert not (project / "b.json").exists()
    assert stream(project, run) == before


def test_a_server_that_cannot_be_reached_begins_nothing(ergo: Ergo, project: Path, s3: Bucket) -> None:
    gone = {**s3.environment, "AWS_ENDPOINT_URL": ENDPOINT}
    ran = ergo(*CAPTURE, "--artifacts", s3.url, "--format", "json", **gone)
    check_refused(ran, 6, "store.unreachable", s3.url)
    assert not (project / "asked").exists()
    assert not (project / "b.json").exists()
    assert ergo("runs", "list", *STORE, "--format", "json").report["runs"] == []


def test_a_bucket_that_is_not_there(ergo: Ergo, project: Path, s3: Bucket) -> None:
    ran = ergo(*CAPTURE, "--artifacts", "s3://absent/runs", "--format", "json", **s3.environment)
    check_refused(ran, 6, "store.unreachable", "there is no bucket", "s3://absent/runs")
    assert not (project / "asked").exists()
    assert not (project / "b.json").exists()


@pytest.mark.parametrize(
    ("arguments", "exit_code", "code"),
    [
        (("capture", "-o", "b.json", "--artifacts", "s3://b"), 2, "cli.conflicting_options"),
        (("run", "--artifacts", "s3://b"), 2, "cli.conflicting_options"),
        ((*CAPTURE, "--artifacts", "folder"), 2, "cli.invalid_option_value"),
        ((*CAPTURE, "--artifacts", "s3://key:hunter2@b"), 2, "cli.invalid_option_value"),
        (("runs", "show", RUN, *STORE, "--artifacts", "folder"), 2, "cli.invalid_option_value"),
    ],
)
def test_options_that_are_refused(
    ergo: Ergo, project: Path, arguments: tuple[str, ...], exit_code: int, code: str
) -> None:
    check_refused(ergo(*arguments, "--format", "json"), exit_code, code)
    assert sorted(path.suffix for path in project.iterdir() if path.is_file()) == [".jsonl", ".py", ".toml"]


@pytest.mark.parametrize(
    ("keys", "code", "words"),
    [
        ('artifacts = "s3://b"', "PRJ-INVALID", "none is named"),
        ('store = "default"\nartifacts = "folder"', "PRJ-PARSE", "s3://bucket/prefix"),
        ('store = "default"\nartifacts = "s3://key:hunter2@b"', "PRJ-PARSE", "s3://bucket/prefix"),
    ],
)
def test_keys_that_are_refused(ergo: Ergo, project: Path, keys: str, code: str, words: str) -> None:
    (project / "ergo.toml").write_text(f"{HEAD}{PLAN}{keys}\n")
    check_refused(ergo("run", "--format", "json"), 3, code, words)
    assert ergo("validate", "ergo.toml").exit_code == 3


def test_a_graph_has_no_artifacts(ergo: Ergo, tmp_path: Path) -> None:
    desk = PROGRAMS.parents[2] / "fixtures" / "order_threshold"
    ran = ergo("run", "--artifacts", "s3://b", "--format", "json", cwd=desk)
    check_refused(ran, 2, "cli.conflicting_options")


def test_artifacts_of_a_strangers_project_are_not_looked_for(ergo: Ergo, project: Path, tmp_path: Path) -> None:
    """The key is refused where it is used; the only program that could use it would be refused as well."""
    (tmp_path / "evil").mkdir()
    shutil.copy(project / "e.jsonl", tmp_path / "evil")
    keys = 'graph = "g.yaml"\nstore = "sqlite:runs.db"\nartifacts = "s3://b"\n'
    (tmp_path / "evil" / "ergo.toml").write_text(HEAD + keys)
    (tmp_path / "ergo.toml").unlink()
    ran = ergo("run", "evil/e.jsonl", "--format", "json")
    check_refused(ran, 3, "program.import_refused", "profiles.default.store")
    (tmp_path / "evil" / "ergo.toml").write_text(HEAD + keys.replace("store", "#"))
    check_refused(ergo("run", "evil/e.jsonl", "--format", "json"), 3, "PRJ-INVALID")
