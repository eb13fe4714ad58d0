"""A destination that cannot take the bundle is found before a channel is started (spec 00 §13.4)."""

from __future__ import annotations

from pathlib import Path

import pytest

from ergo_cli import Ergo, RunnerError
from ergo_cli.errors import CaptureWriteError
from ergo_cli.host.perform import KeepRequest, perform
from ergo_cli.host.run_plan import RunRequest, plan_run
from ergo_cli.project.finding import ProgramFlags
from tests.channels.samples import sample_project
from tests.cli.refusals import files


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose channel leaves a file once it is started."""
    project = sample_project(tmp_path)
    script = project / "channels" / "egress" / "sample_outbox.py"
    script.write_text("open('started', 'w').close()\n")
    (project / "folder").mkdir()
    (project / "loop").symlink_to("loop")
    return project


@pytest.mark.parametrize("name", ["folder", "loop", "x" * 256, "ergo.toml/b.json"])
def test_nothing_is_started(project: Path, name: str) -> None:
    plan = plan_run(RunRequest(ProgramFlags(profile="historical", project=project)))
    before = files(project)
    with pytest.raises(CaptureWriteError, match="cannot write"):
        perform(plan, KeepRequest(project / name))
    assert {path: content for path, content in files(project).items() if "__pycache__" not in path} == before


@pytest.mark.parametrize(("name", "category"), [("folder", "capture"), ("ergo.toml", "config")])
def test_a_runner_looks_at_its_destination_first(project: Path, name: str, category: str) -> None:
    text = (project / "ergo.toml").read_text()
    (project / "ergo.toml").write_text(f'{text}capture_output = "{name}"\n')
    with pytest.raises(RunnerError) as caught:
        Ergo.from_project(project).runner_for_profile("historical")
    assert caught.value.category == category
    assert not (project / "started").exists()
