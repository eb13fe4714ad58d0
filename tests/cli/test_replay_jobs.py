"""Several bundles at once: the same report, whatever happens to one of them, and no process left."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from ergo_cli.errors import CaptureWriteError, ErgoError, RuleError, StepError
from tests.cli.started import ERGO, wait_until
from tests.conftest import Ergo

FIXTURE = Path(__file__).parents[2] / "fixtures" / "order_threshold"


@pytest.fixture
def bundles(ergo: Ergo, tmp_path: Path) -> Path:
    """A project with bundles that match, diverge, are of no program, and cannot be read."""
    home = tmp_path / "project"
    shutil.copytree(FIXTURE, home)
    kept = home / "captures" / "monday.json"
    for name in ("a", "b", "c"):
        shutil.copy(kept, home / f"{name}.json")
    (home / "d.json").write_text(kept.read_text().replace('"event_id":"q-0910"', '"event_id":"q-0911"', 1))
    (home / "e.json").write_text(kept.read_text()[:-40])
    (home / "f.json").write_text(kept.read_text().replace('"retry_count":0', '"retry_count":1', 1))
    return home


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("more", [(), ("--strict",), ("--ignore", "retry_count", "--ignore", "nothing.at.all")])
def test_the_report_is_the_same(bundles: Path, ergo: Ergo, form: str, more: tuple[str, ...]) -> None:
    names = [f"{name}.json" for name in "fadbec"]
    alone = ergo("replay", *names, "--format", form, *more, cwd=bundles)
    together = ergo("replay", *names, "--format", form, *more, "--jobs", "3", cwd=bundles)
    assert together == alone
    assert alone.exit_code == 3


def test_auto_is_one_a_core(bundles: Path, ergo: Ergo) -> None:
    assert ergo("replay", "a.json", "b.json", "--strict", "--jobs", "auto", cwd=bundles).exit_code == 0


@pytest.mark.parametrize("jobs", ["0", "-1", "many", "1.5"])
def test_nonsense_is_refused(bundles: Path, ergo: Ergo, jobs: str) -> None:
    ran = ergo("replay", "a.json", "--jobs", jobs, cwd=bundles)
    assert ran.exit_code == 2
    assert jobs in ran.stderr


def test_ctrl_c_leaves_no_process(bundles: Path, environment: dict[str, str]) -> None:
    os.mkfifo(bundles / "never.json")  # nobody writes: whoever opens it waits
    command = [ERGO, "replay", "never.json", "a.json", "--jobs", "2"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=bundles, env=environment, start_new_session=True, stderr=pipe) as process:
        wait_until(lambda: len(_session(process.pid)) > 2, process)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
    for _ in range(100):
        if not _session(process.pid):
            return
        time.sleep(0.1)
    pytest.fail(f"processes are left: {_session(process.pid)}")


def test_a_process_that_dies_is_told(bundles: Path, environment: dict[str, str]) -> None:
    os.mkfifo(bundles / "never.json")
    command = [ERGO, "replay", "never.json", "a.json", "--jobs", "2"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=bundles, env=environment, start_new_session=True, stderr=pipe) as process:
        wait_until(lambda: len(_workers(process.pid)) == 2, process)
        for worker in _workers(process.pid):
            os.kill(worker, signal.SIGKILL)
        told = process.communicate(timeout=30)[1].decode()
    assert process.returncode == 70
    assert "internal.error" in told
    assert "never.json" in told


def _workers(session: int) -> list[int]:
    return [pid for pid in _session(session) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def _session(number: int) -> list[int]:
    entries = [(int(entry.parent.name), _session_of(entry)) for entry in Path("/proc").glob("[0-9]*/stat")]
    return [pid for pid, session in entries if session == number]


def _session_of(entry: Path) -> int | None:
    try:
        return int(entry.read_text().rpartition(")")[2].split()[3])
    except (OSError, IndexError):
        return None


@pytest.mark.parametrize(
    "error",
    [
        ErgoError("a.b", "text", where="here", fix="so", rule="R", details=("d",), causes=(ErgoError("c", "cause"),)),
        StepError("Binding", "no", recoverable=True, where="event 'x'"),
        CaptureWriteError("Serialize", "no", where="b.json"),
        RuleError("V.1", "broken", phase="validation", path="$.nodes"),
    ],
)
def test_errors_travel_as_they_are(error: ErgoError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy)) == (type(error), str(error))
    told = {name: value for name, value in vars(error).items() if name != "causes"}
    assert {name: value for name, value in vars(copy).items() if name != "causes"} == told
    assert [str(cause) for cause in copy.causes] == [str(cause) for cause in error.causes]
