"""``ergo init``: odd and refused targets, failures that leave nothing, and the gate of the project it makes."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.refusals import ERGO, as_a_user, files, refused, shell
from tests.cli.started import wait_until
from tests.cli.test_bad_surroundings import as_nobody
from tests.conftest import Ergo, Ran

ROOT = Path(__file__).parents[2]
WITH_ERGO = os.pathsep.join([str(Path(ERGO).parent), os.environ["PATH"]])
WITHOUT_ERGO = os.pathsep.join(
    folder for folder in os.environ["PATH"].split(os.pathsep) if not (Path(folder) / "ergo").exists()
)


def run_gate(project: Path, environment: dict[str, str], **env: str) -> Ran:
    """What the project's own ``scripts/test`` comes to."""
    done = subprocess.run(
        ["scripts/test"], cwd=project, env={**environment, **env}, capture_output=True, timeout=300, text=True
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_project_passes_its_own_gate_at_once_and_again(
    ergo: Ergo, tmp_path: Path, environment: dict[str, str]
) -> None:
    assert ergo("init", "x").exit_code == 0
    for _ in range(2):
        ran = run_gate(tmp_path / "x", environment, PATH=WITH_ERGO)
        assert ran.exit_code == 0, ran.stdout + ran.stderr
    assert not (tmp_path / "x" / ".venv").exists()


@pytest.mark.parametrize("kind", ["graph", "kernel", "pipeline", "plan"])
def test_a_project_of_each_kind_passes_its_own_gate(
    ergo: Ergo, tmp_path: Path, environment: dict[str, str], kind: str
) -> None:
    ran = ergo("init", "x", "--kind", kind)
    assert ran.exit_code == 0, ran.stderr
    assert ("channels" in ran.stdout) == (kind == "graph")
    gate = run_gate(tmp_path / "x", environment, PATH=WITH_ERGO)
    assert gate.exit_code == 0, gate.stdout + gate.stderr
    kept = (tmp_path / "x" / "captures" / "historical.capture.json").read_text()
    assert f'"kind": "{kind}"' in kept or kind == "graph"


def test_the_default_is_a_project_with_a_graph(ergo: Ergo, tmp_path: Path) -> None:
    """Byte for byte, but for the names."""
    assert ergo("init", "a/x").exit_code == ergo("init", "b/x", "--kind", "graph").exit_code == 0
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert (tmp_path / "a" / "x" / "graphs" / "strategy.yaml").is_file()


@pytest.mark.parametrize(
    ("kind", "path", "old", "new", "node"),
    [
        ("kernel", "agent.py", 'GREETING = "hello"', 'GREETING = "good-bye"', "greeter/e1-3"),
        ("pipeline", "stock.py", "LIMIT = 5", "LIMIT = 50", "count"),
        ("plan", "parcels.py", "LIMIT = 5000", "LIMIT = 500", "parcels.main.book#0"),
    ],
)
def test_a_changed_program_closes_the_gate_and_replay_names_the_step(
    ergo: Ergo, tmp_path: Path, environment: dict[str, str], kind: str, path: str, old: str, new: str, node: str
) -> None:
    assert ergo("init", "x", "--kind", kind).exit_code == 0
    project = tmp_path / "x"
    rewrite(project / path, old, new)
    assert ergo("replay", "--strict", cwd=project).exit_code == 4
    replayed = ergo("replay", "--format", "json", cwd=project)
    assert replayed.exit_code == 1
    assert replayed.report["bundles"][0]["divergences"][0]["node"] == node
    gate = run_gate(project, environment, PATH=WITH_ERGO)
    assert gate.exit_code != 0
    assert f"\nchanged    {path}:" in gate.stdout
    assert "\ncompare    ergo replay captures/historical.capture.json\n" in gate.stdout
    assert ergo("capture", "-p", "historical", cwd=project).exit_code == 0
    assert run_gate(project, environment, PATH=WITH_ERGO).exit_code == 0


def test_an_unknown_kind_is_refused(ergo: Ergo, tmp_path: Path) -> None:
    ran = ergo("init", "x", "--kind", "flow", "--format", "json")
    refused(ran, 2, "cli.invalid_option_value")
    assert ran.report["error"]["message"] == "invalid value for --kind: 'flow' is none of graph, kernel, pipeline, plan"
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("path", "old", "new", "origin"),
    [
        ("graphs/strategy.yaml", "text: hello-from-cluster", "text: good-bye", "src/src"),
        ("graphs/strategy.yaml", "value: true", "value: false", "gate"),
    ],
)
def test_a_changed_constant_closes_the_gate_and_replay_names_the_node(
    ergo: Ergo, tmp_path: Path, environment: dict[str, str], path: str, old: str, new: str, origin: str
) -> None:
    assert ergo("init", "x").exit_code == 0
    project = tmp_path / "x"
    rewrite(project / path, old, new)
    assert ergo("replay", "--strict", cwd=project).exit_code == 4
    replayed = ergo("replay", "--format", "json", cwd=project)
    assert replayed.exit_code == 1
    divergence = replayed.report["bundles"][0]["divergences"][0]
    assert (divergence["node"], divergence["origin"]) == ("publish", origin)
    assert run_gate(project, environment, PATH=WITH_ERGO).exit_code != 0
    assert ergo("capture", "-p", "historical", cwd=project).exit_code == 0
    assert run_gate(project, environment, PATH=WITH_ERGO).exit_code == 0


def test_a_gate_elsewhere_names_the_change(ergo: Ergo, tmp_path: Path) -> None:
    """As in CI: a fresh clone, and a user data folder without the texts of the capture."""
    assert ergo("init", "x").exit_code == 0
    rewrite(tmp_path / "x" / "graphs" / "strategy.yaml", "value: true", "value: false")
    elsewhere = ergo("replay", "--strict", cwd=tmp_path / "x", XDG_DATA_HOME=str(tmp_path / "elsewhere"))
    assert elsewhere.exit_code == 4
    assert "\nchanged    graphs/strategy.yaml:6  gate.value  true -> false\n" in elsewhere.stdout
    assert "accept the change with ergo accept" in elsewhere.stderr


def test_files_that_nobody_reads_below_the_top_of_a_repository_are_named(ergo: Ergo, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "."], cwd=tmp_path, check=True)
    ran = ergo("init", "tools/gate")
    assert ran.exit_code == 0
    names = ".github/workflows/ergo.yml, .gitlab-ci.yml, .pre-commit-config.yaml"
    assert f"{names} are read at the top of a repository alone, which is '{tmp_path}'" in ran.stderr
    (tmp_path / "own").mkdir()
    subprocess.run(["git", "init", "-q", "."], cwd=tmp_path / "own", check=True)
    assert "repository" not in ergo("init", ".", "--force", cwd=tmp_path / "own").stderr


def test_a_message_changed_in_python_closes_the_gate(ergo: Ergo, tmp_path: Path, environment: dict[str, str]) -> None:
    assert ergo("init", "x").exit_code == 0
    rewrite(tmp_path / "x" / "primitives.py", "return text", "return text.upper()")
    assert run_gate(tmp_path / "x", environment, PATH=WITH_ERGO).exit_code == 1


@pytest.mark.slow
@pytest.mark.parametrize("requirement", [{}, {"ERGO_REQUIREMENT": str(ROOT)}], ids=["requirements.txt", "environment"])
def test_the_gate_installs_ergo_where_there_is_none(
    ergo: Ergo, tmp_path: Path, environment: dict[str, str], requirement: dict[str, str]
) -> None:
    assert ergo("init", "x").exit_code == 0
    if requirement:
        (tmp_path / "x" / "requirements.txt").write_text("no-such-distribution-as-this==0\n")
    pip = {name: os.environ[name] for name in os.environ if name.startswith("PIP_")}
    ran = run_gate(tmp_path / "x", environment, PATH=WITHOUT_ERGO, PYTHON=sys.executable, **pip, **requirement)
    assert ran.exit_code == 0, ran.stdout + ran.stderr
    assert (tmp_path / "x" / ".venv" / "bin" / "ergo").exists()


@pytest.mark.parametrize("directory", [".", "./", "empty", "empty/", "link", "nothing/../empty"])
def test_folders_that_are_there_and_empty_are_filled(ergo: Ergo, tmp_path: Path, directory: str) -> None:
    home = tmp_path / "home"
    (home / "empty").mkdir(parents=True)
    start = home / "empty" if directory.startswith(".") else home
    if directory == "link":
        (home / "link").symlink_to("empty")
    ran = ergo("init", directory, cwd=start)
    assert ran.exit_code == 0, ran.stderr
    assert ergo("replay", "--strict", cwd=home / "empty").exit_code == 0
    assert (f"  cd {directory}" in ran.stdout) == (not directory.startswith("."))


@pytest.mark.parametrize("directory", ["with blank", "it's", "-dash", "café", "ergo.toml", "a\nb", "x" * 255])
def test_odd_names_of_folders_work(ergo: Ergo, tmp_path: Path, directory: str) -> None:
    ran = ergo("init", "--", directory)
    assert ran.exit_code == 0, ran.stderr
    assert ergo("validate", "ergo.toml", "--strict", cwd=tmp_path / directory).exit_code == 0
    assert ergo("replay", "--strict", cwd=tmp_path / directory).exit_code == 0


def test_a_name_that_is_no_text_works(ergo: Ergo, tmp_path: Path) -> None:
    ran = ergo("init", os.fsdecode(b"caf\xe9"), "--format", "json")
    assert ran.exit_code == 0, ran.stderr
    assert ran.report["init"]["name"] == "caf"


def test_a_project_inside_another_is_one_of_its_own(ergo: Ergo, tmp_path: Path) -> None:
    assert ergo("init", "outer").exit_code == 0
    assert ergo("init", "inner", cwd=tmp_path / "outer").exit_code == 0
    assert ergo("replay", "--strict", cwd=tmp_path / "outer" / "inner").exit_code == 0


@pytest.mark.parametrize(
    ("directory", "code", "exit_code"),
    [
        ("file", "cli.init_target_invalid", 2),
        ("file/below", "cli.init_target_invalid", 2),
        ("dangling", "cli.init_target_invalid", 2),
        ("full", "cli.init_target_not_empty", 2),
        (".", "cli.init_target_not_empty", 2),
        ("x" * 256, "cli.init_path_invalid", 2),
        ("loop/x", "cli.init_path_invalid", 2),
    ],
)
def test_targets_that_are_refused(ergo: Ergo, tmp_path: Path, directory: str, code: str, exit_code: int) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / ".hidden").write_text("mine")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    before = files(tmp_path)
    refused(ergo("init", directory, "--format", "json"), exit_code, code)
    assert files(tmp_path) == before


def test_force_makes_no_folder_of_a_file(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    refused(ergo("init", "file", "--force", "--format", "json"), 2, "cli.init_target_invalid")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], "cli.missing_required_argument"),
        ([""], "cli.missing_required_argument"),
        (["a", "b"], "cli.unexpected_argument"),
        (["a", "--sdk-path", "b"], "cli.invalid_option"),
    ],
)
def test_command_lines_that_are_refused(ergo: Ergo, tmp_path: Path, arguments: list[str], code: str) -> None:
    refused(ergo("init", *arguments, "--format", "json"), 2, code)
    assert files(tmp_path) == {}


@pytest.mark.parametrize(
    ("obstacle", "is_folder", "code"),
    [
        ("graphs", False, "cli.init_scaffold_create_failed"),
        ("README.md", True, "cli.init_scaffold_write_failed"),
    ],
)
def test_what_stands_in_the_way_of_force_is_found_before_anything_is_written(
    ergo: Ergo, tmp_path: Path, obstacle: str, is_folder: bool, code: str
) -> None:
    target = tmp_path / "x" / obstacle
    target.parent.mkdir()
    target.mkdir() if is_folder else target.write_text("mine")
    before = files(tmp_path)
    refused(ergo("init", "x", "--force", "--format", "json"), 6, code)
    assert files(tmp_path) == before


def test_force_follows_a_link_and_keeps_permission_bits_as_captures_do(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("mine")
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "README.md").symlink_to("../elsewhere")
    (tmp_path / "x" / "ergo.toml").symlink_to("made.toml")
    (tmp_path / "x" / "primitives.py").touch(mode=0o600)
    assert ergo("init", "x", "--force").exit_code == 0
    assert (tmp_path / "x" / "README.md").is_symlink()
    assert (tmp_path / "elsewhere").read_text().startswith("# x\n")
    assert (tmp_path / "x" / "ergo.toml").is_symlink()
    assert (tmp_path / "x" / "made.toml").read_text().startswith('name = "x"\n')
    assert stat.S_IMODE((tmp_path / "x" / "primitives.py").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "x" / "scripts" / "test").stat().st_mode) & 0o111


def test_force_refuses_a_pipe_before_anything_is_written(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    os.mkfifo(tmp_path / "x" / "README.md")
    before = files(tmp_path)
    refused(ergo("init", "x", "--force", "--format", "json"), 6, "cli.init_scaffold_write_failed")
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("directory", "mode", "code"),
    [
        ("new", 0o555, "cli.init_target_create_failed"),
        ("new/below", 0o555, "cli.init_target_create_failed"),
        (".", 0o555, "cli.init_scaffold_create_failed"),
    ],
)
def test_a_folder_that_is_not_ours_to_write(ergo: Ergo, tmp_path: Path, directory: str, mode: int, code: str) -> None:
    tmp_path.chmod(mode)
    ran = as_nobody(ergo, tmp_path, "init", directory)
    tmp_path.chmod(0o755)
    refused(ran, 6, code)
    assert files(tmp_path) == {}


def test_a_folder_that_is_not_ours_to_read(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o000)
    refused(as_nobody(ergo, tmp_path, "init", "closed"), 6, "cli.init_target_read_failed")


def test_a_folder_to_start_in_that_is_gone(ergo: Ergo) -> None:
    ran = ergo("init", "x", "--format", "json", through=shell("mkdir gone; cd gone; rmdir ../gone; exec"))
    refused(ran, 6, "cli.init_current_dir_unavailable")


def test_a_full_disk_leaves_nothing(ergo: Ergo, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    settings = {"TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1"}
    ran = ergo("init", "a/b", "--format", "json", through=shell("ulimit -f 1; exec"), **settings)
    refused(ran, 6, "cli.init_scaffold_write_failed")
    assert files(tmp_path) == {"temporary": None}


def test_without_python_the_channel_cannot_be_run_and_nothing_is_left(ergo: Ergo, tmp_path: Path) -> None:
    ran = ergo("init", "a/b", "--format", "json", PATH=str(tmp_path))
    refused(ran, 3, "egress.start_failed")
    assert "python3" in ran.report["error"]["fix"]
    assert files(tmp_path) == {}


def test_an_interrupt_leaves_nothing_and_nobody(tmp_path: Path, environment: dict[str, str]) -> None:
    programs, temporary = tmp_path / "programs", tmp_path / "temporary"
    programs.mkdir()
    temporary.mkdir()
    sleeper = programs / "python3"
    sleeper.write_text(f"#!/bin/sh\necho $$ > {tmp_path / 'started'}\nexec sleep 600\n")
    sleeper.chmod(0o755)
    env = {**environment, "PATH": f"{programs}{os.pathsep}{environment['PATH']}", "TMPDIR": str(temporary)}
    with subprocess.Popen([ERGO, "init", "a/b"], cwd=tmp_path, env=env, stderr=subprocess.PIPE) as process:
        wait_until(lambda: (tmp_path / "started").exists() and (tmp_path / "started").read_text(), process)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (130, b"interrupted\n")
    assert not Path(f"/proc/{(tmp_path / 'started').read_text().strip()}").exists()
    assert not (tmp_path / "a").exists()
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(("folder", "mode"), [("captures", 0o555), ("graphs", 0o000)])
def test_a_folder_that_cannot_be_written_to_is_found_before_anything_is_written(
    ergo: Ergo, tmp_path: Path, folder: str, mode: int
) -> None:
    ergo("init", "p")
    (tmp_path / "p" / "README.md").write_text("mine")
    (tmp_path / "p" / folder).chmod(mode)
    ran = ergo("init", "--force", "p", "--format", "json", through=as_a_user())
    (tmp_path / "p" / folder).chmod(0o755)
    assert (ran.exit_code, ran.report["error"]["code"].startswith("cli.init_")) == (6, True)
    assert (tmp_path / "p" / "README.md").read_text() == "mine"


def test_a_mount_point_is_found_before_anything_is_replaced(ergo: Ergo, tmp_path: Path) -> None:
    ergo("init", "p")
    (tmp_path / "p" / "ergo.toml").write_text("mine")
    (tmp_path / "other").write_text("mounted")
    place = tmp_path / "p" / "README.md"
    mounted = subprocess.run(["mount", "--bind", tmp_path / "other", place], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        ran = ergo("init", "--force", "p", "--format", "json")
    finally:
        subprocess.run(["umount", place], check=True)
    assert (ran.exit_code, ran.report["error"]["code"]) == (6, "cli.init_scaffold_write_failed")
    assert (tmp_path / "p" / "ergo.toml").read_text() == "mine"
