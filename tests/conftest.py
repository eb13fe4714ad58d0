from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from postgres_server import running_server
from s3_server import Bucket, make_bucket, running_s3_server

CONFORMANCE = Path(__file__).parent / "conformance" / "originals"

settings.register_profile(
    "ergo",
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow],
    database=None,
    derandomize=True,
)
settings.register_profile("exploring", settings.get_profile("ergo"), derandomize=False)
settings.load_profile("ergo")
"""The same examples in each run: what closes the gate is a change. ``scripts/test --all`` looks for new ones."""


class Ran(NamedTuple):
    """What a process of ergo came to."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def report(self) -> dict[str, Any]:
        return json.loads(self.stdout)


Ergo = Callable[..., Ran]


@pytest.fixture(scope="session")
def conformance() -> Path:
    """The original's bundles and refusals."""
    return CONFORMANCE


@pytest.fixture
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a user who has never run ergo before."""
    home = tmp_path_factory.mktemp("home")
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "SYSTEMROOT") if name in os.environ}
    return {**kept, "HOME": str(home), "XDG_DATA_HOME": str(home / "data"), "COLUMNS": "120"}


@pytest.fixture
def ergo(tmp_path: Path, environment: dict[str, str]) -> Ergo:
    """Runs the installed command as a process of its own, by default in an empty folder.

    ``through`` is a command that runs the one behind it in surroundings of its own.
    """

    def run(
        *arguments: str | Path,
        cwd: Path | None = None,
        stdin: bytes | None = None,
        through: Sequence[str] = (),
        **env: str,
    ) -> Ran:
        command = [*through, str(Path(sys.executable).with_name("ergo")), *map(str, arguments)]
        source = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
        done = subprocess.run(
            command, cwd=cwd or tmp_path, env={**environment, **env}, capture_output=True, timeout=120, **source
        )
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture(scope="session")
def postgres_server() -> Generator[tuple[str, count[int]]]:
    """A PostgreSQL server on loopback, and numbers for the databases in it."""
    with running_server() as dsn:
        yield dsn, count(1)


@pytest.fixture
def postgres(postgres_server: tuple[str, count[int]]) -> str:
    """The connection string of an empty PostgreSQL database. The test is skipped where no server can be had."""
    import psycopg

    dsn, numbers = postgres_server
    name = f"test_{next(numbers)}"
    with psycopg.connect(f"{dsn}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{dsn}/{name}"


@pytest.fixture(scope="session")
def s3_server() -> Generator[tuple[str, count[int]]]:
    """An S3 server on loopback, and numbers for the buckets in it."""
    with running_s3_server() as address:
        yield address, count(1)


@pytest.fixture
def s3(s3_server: tuple[str, count[int]], monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty bucket, which this process may use. The test is skipped where no server can be had."""
    address, numbers = s3_server
    bucket = make_bucket(address, f"test-{next(numbers)}")
    for name, value in bucket.environment.items():
        monkeypatch.setenv(name, value)
    return bucket


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many points of failure were tried, of how many (``tests/faults``)."""
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    points = [value for report in reports for name, value in report.user_properties if name == "fault points"]
    if points:
        tried, known = map(sum, zip(*points, strict=True))
        terminalreporter.write_line(f"fault points: {tried:,} of {known:,} tried")
