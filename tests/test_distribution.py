"""What is uploaded to a package index: built as it is for an upload, installed where there is no clone, and used."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path
from zipfile import ZipFile

import pytest

from ergo_cli.version import __version__

ROOT = Path(__file__).parents[1]
STREAM = '{"kind":"event","event":{"type":"Command","id":"order-1","payload":{}}}\n'


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution and the wheel that was made of it."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT],
        check=True,
        capture_output=True,
        timeout=300,
    )
    return folder


def wheel_in(folder: Path) -> Path:
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_the_distribution_is_called_ergo_replay(built: Path) -> None:
    assert sorted(path.name for path in built.iterdir()) == [
        f"ergo_replay-{__version__}-py3-none-any.whl",
        f"ergo_replay-{__version__}.tar.gz",
    ]


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(built: Path) -> None:
    tracked = subprocess.run(["git", "ls-files", "ergo_cli"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    if tracked.returncode != 0:
        pytest.skip("not in a git clone: which files belong to the package is not known")
    with ZipFile(wheel_in(built)) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == set(tracked.stdout.splitlines())


def test_the_source_distribution_can_be_tested(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        held = {name.partition("/")[2] for name in files.getnames()}
    assert {"README.md", "pyproject.toml", "scripts/test", "docs/reports.md", "tests/test_distribution.py"} <= held


@pytest.fixture(scope="module")
def programs(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment in which only the wheel is installed, beside what it depends on."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=300)
    python = folder / "bin" / "python"
    install = [python, "-m", "pip", "install", "--no-index", "--no-deps", "--quiet", wheel_in(built)]
    subprocess.run(install, check=True, capture_output=True, timeout=300)
    # The dependencies come from the environment of the tests, behind the wheel: no index is asked.
    packages = sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
    Path(packages, "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


@pytest.mark.parametrize("command", ["ergo", "ergo-replay"])
def test_an_installed_wheel_captures_and_replays(
    command: str, programs: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    def run(*arguments: str) -> str:
        line = [programs / command, *arguments]
        done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    place = "import ergo_cli; print(ergo_cli.__file__)"
    found = subprocess.run([programs / "python", "-c", place], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert Path(found.stdout.strip()).is_relative_to(programs.parent)
    (tmp_path / "events.jsonl").write_text(STREAM)
    assert run("--version") == f"ergo {__version__}\n"
    run("capture", "events.jsonl", "-o", "bundle.json")
    assert run("replay", "bundle.json", "--strict").startswith("match  bundle.json")


@pytest.mark.parametrize("kind", ["graph", "kernel", "pipeline", "plan"])
def test_an_installed_wheel_makes_projects_that_pass(
    kind: str, programs: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    environment = {**environment, "PATH": f"{programs}:{environment['PATH']}"}
    for line, cwd in (
        (["init", "flow", "--kind", kind], tmp_path),
        (["replay", "--strict"], tmp_path / "flow"),
    ):
        done = subprocess.run([programs / "ergo", *line], cwd=cwd, env=environment, capture_output=True, timeout=120)
        assert done.returncode == 0, done.stderr.decode()
