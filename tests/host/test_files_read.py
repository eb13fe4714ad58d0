"""No output of a run takes the place of anything that was read (spec 00 §13.1)."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from ergo_cli.errors import UsageError
from ergo_cli.host.files_read import check_outputs
from ergo_cli.host.perform import KeepRequest, perform
from ergo_cli.host.run_plan import RunPlan, RunRequest, plan_run
from ergo_cli.project.finding import ProgramFlags
from ergo_cli.tools.pictures import picture_of_file, write_picture
from tests.channels.ingress_runs import PROGRAM
from tests.channels.samples import sample_project
from tests.cli.refusals import files

AGENT = Path(__file__).parents[2] / "fixtures" / "agent"
READ_BY_GRAPH = [
    "ergo.toml",
    "graphs/strategy.yaml",
    "clusters/sample_message.yaml",
    "adapters/sample.yaml",
    "sample_primitives.py",
    "egress/live.toml",
    "channels/egress/sample_outbox.py",
    "fixtures/historical.jsonl",
]
READ_BY_KERNEL = ["ergo.toml", "refunds/agent.py", "refunds/case.py", "refunds/desk.py", "events/tuesday.jsonl"]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample_project(tmp_path_factory.mktemp("read"))


def plan_of(project: Path, profile: str, store: str | None = None) -> RunPlan:
    return plan_run(RunRequest(ProgramFlags(profile=profile, project=project), store=store))


def check_refused(plan: RunPlan, destination: Path, journal: Path | None = None) -> None:
    with pytest.raises(UsageError, match="writing there would destroy it") as caught:
        check_outputs(plan, str(destination), journal)
    assert caught.value.code == "cli.conflicting_options"
    assert caught.value.fix


def check_every_way(plan: RunPlan, file: Path, folder: Path) -> None:
    """As bundle and as journal, by its name, another spelling, a link and a hard link."""
    link, hard = folder / "link.json", folder / "hard.json"
    link.symlink_to(file)
    os.link(file, hard)
    for name in (file, file.parent / "." / ".." / file.parent.name / file.name, link, hard):
        check_refused(plan, name)
        check_refused(plan, folder / "b.json", name)


@pytest.mark.parametrize("name", READ_BY_GRAPH)
def test_files_of_a_graph(sample: Path, tmp_path: Path, name: str) -> None:
    check_every_way(plan_of(sample, "historical"), sample / name, tmp_path)


@pytest.mark.parametrize("name", READ_BY_KERNEL)
def test_files_of_a_python_program(tmp_path: Path, name: str) -> None:
    project = Path(shutil.copytree(AGENT, tmp_path / "agent", ignore=shutil.ignore_patterns("__pycache__")))
    check_every_way(plan_of(project, "default"), project / name, tmp_path)


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("name", ["runs.db", "runs.db-wal"])
def test_files_of_the_store(tmp_path: Path, name: str, exists: bool) -> None:
    if exists:
        (tmp_path / name).touch()
    check_refused(plan_of(AGENT, "default", f"sqlite:{tmp_path}/runs.db"), tmp_path / name)


def test_bundle_and_journal_are_two_files(sample: Path, tmp_path: Path) -> None:
    plan = plan_of(sample, "historical")
    check_refused(plan, tmp_path / "b.json", tmp_path / "." / "b.json")
    check_refused(plan, tmp_path / "b.json", tmp_path / "b.partial.json")
    check_outputs(plan, str(tmp_path / "b.json"), tmp_path / "j")


def test_a_partial_bundle_takes_the_place_of_nothing_either(tmp_path: Path) -> None:
    (tmp_path / "x.partial.json").write_text("")
    plan = plan_run(RunRequest(PROGRAM, events=str(tmp_path / "x.partial.json")))
    check_refused(plan, tmp_path / "x.json")
    (tmp_path / "link.json").symlink_to("x.json")
    check_refused(plan, tmp_path / "link.json")


def test_the_script_of_a_driver(tmp_path: Path) -> None:
    script = tmp_path / "driver.py"
    script.write_text("raise SystemExit(1)\n")
    plan = plan_run(RunRequest(PROGRAM, driver=("python3", str(script))))
    before = files(tmp_path)
    with pytest.raises(UsageError, match="a file of the driver's command"):
        perform(plan, KeepRequest(script))
    assert files(tmp_path) == before


@pytest.mark.parametrize("name", ["ergo.toml", "graphs/strategy.yaml", "clusters/sample_message.yaml"])
def test_a_picture_replaces_no_file_of_its_graph(sample: Path, name: str) -> None:
    picture = picture_of_file(sample / "graphs" / "strategy.yaml", named=sample)
    before = files(sample)
    with pytest.raises(UsageError, match="writing there would destroy it"):
        write_picture(sample / name, b"", picture.files)
    assert files(sample) == before
