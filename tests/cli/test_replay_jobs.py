"""Several bundles at once: the same report, whatever happens to one of them, and no process left."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ergo_cli.channels.interruption import DispatchFailure, Interruption
from ergo_cli.errors import AdapterError, CaptureWriteError, ErgoError, ProjectError, RuleError, StepError
from ergo_cli.library.errors import ValidationError
from ergo_cli.programs.kernel.engine.errors import Category, KernelError
from ergo_cli.project.finding import ProgramFlags
from ergo_cli.project.store import ProgramStore
from ergo_cli.replay.parallel import replay_in_parallel
from ergo_cli.replay.results import Outcome
from ergo_cli.replay.session import BundlePath, ReplayRequest, ReplaySession
from tests.cli.started import ERGO, wait_until
from tests.conftest import Ergo

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture
def bundles(ergo: Ergo, tmp_path: Path) -> Path:
    """A project with bundles that match, diverge, are of no program, and cannot be read."""
    home = tmp_path / "project"
    shutil.copytree(FIXTURES / "order_threshold", home)
    kept = home / "captures" / "monday.json"
    for name in ("a", "b", "c"):
        shutil.copy(kept, home / f"{name}.json")
    (home / "d.json").write_text(kept.read_text().replace('"event_id":"q-0910"', '"event_id":"q-0911"', 1))
    (home / "e.json").write_text(kept.read_text()[:-40])
    (home / "f.json").write_text(kept.read_text().replace('"retry_count":0', '"retry_count":1', 1))
    return home


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A project with own primitives."""
    ignored = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(FIXTURES / "own_primitives", tmp_path / "own", ignore=ignored))


@contextmanager
def stuck(home: Path, environment: dict[str, str]) -> Generator[subprocess.Popen[bytes]]:
    """A replay whose first bundle is a pipe that nobody writes to; all of its session is gone at the end."""
    os.mkfifo(home / "never.json")
    command = [ERGO, "replay", "never.json", "a.json", "--jobs", "2"]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=home, env=environment, start_new_session=True, stderr=pipe)
    try:
        yield process
    finally:
        for pid in _session(process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.communicate()


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
    with stuck(bundles, environment) as process:
        wait_until(lambda: _workers(process.pid), process)
        os.killpg(process.pid, signal.SIGINT)
        told = process.communicate(timeout=60)[1].decode()
        assert (process.returncode, told) == (130, "interrupted\n")
        _wait_for_the_end_of_all(process.pid)


def test_a_process_that_dies_is_told(bundles: Path, environment: dict[str, str]) -> None:
    with stuck(bundles, environment) as process:
        wait_until(lambda: len(_workers(process.pid)) == 2, process)
        for worker in _workers(process.pid):
            os.kill(worker, signal.SIGKILL)
        told = process.communicate(timeout=60)[1].decode()
        assert process.returncode == 70
        assert "error: the process that replayed 'never.json' was ended by SIGKILL\n" in told
        assert told.count("  fix: look whether memory ran out") == 1


def test_a_process_that_dies_costs_its_bundle_alone(own: Path, ergo: Ergo) -> None:
    names = [f"{name}.json" for name in "abcdefgh"]
    for name in names:
        shutil.copy(own / "captures" / "prices.json", own / name)
    events = own / "events" / "prices.jsonl"
    events.write_text(events.read_text().replace("100.0", "1234.5", 1))
    assert ergo("capture", "-o", "c.json", cwd=own).exit_code == 0
    _change(own, "price == 1234.5 and os._exit(9)")
    ran = ergo("replay", *names, "--jobs", "2", "--format", "json", cwd=own)
    assert (ran.exit_code, ran.report["outcome"]) == (70, "failed")
    assert [each["path"] for each in ran.report["bundles"]] == names
    (lost,) = [each for each in ran.report["bundles"] if each["outcome"] != "match"]
    assert (lost["path"], lost["error"]["code"], lost["error"]["where"]) == ("c.json", "internal.error", "c.json")
    assert lost["error"]["message"] == "the process that replayed 'c.json' ended with exit code 9"


def test_what_own_primitives_print_is_no_result(own: Path, ergo: Ergo) -> None:
    _change(own, "print('heard')")
    shutil.copy(own / "captures" / "prices.json", own / "a.json")
    names = ("captures/prices.json", "a.json", "--strict", "--format", "json")
    alone = ergo("replay", *names, cwd=own)
    together = ergo("replay", *names, "--jobs", "2", cwd=own)
    assert (together.exit_code, together.stdout) == (0, alone.stdout)
    assert sorted(together.stderr.splitlines()) == alone.stderr.splitlines()
    assert "heard" in alone.stderr


def test_an_error_that_is_not_about_a_bundle_ends_the_replay(bundles: Path, ergo: Ergo) -> None:
    arguments = ("replay", "a.json", "b.json", "c.json", "-p", "nothing", "--format", "json")
    alone = ergo(*arguments, cwd=bundles)
    assert (alone.exit_code, alone.report["error"]["code"]) == (2, "PRJ-PROFILE")
    assert ergo(*arguments, "--jobs", "2", cwd=bundles) == alone


def test_workers_do_not_outlive_a_killed_command(bundles: Path, environment: dict[str, str]) -> None:
    with stuck(bundles, environment) as process, (bundles / "never.json").open("w"):  # a worker waits for its content
        assert _workers(process.pid)
        process.kill()
        process.wait()
        _wait_for_the_end_of_all(process.pid)


def test_every_event_is_counted(bundles: Path) -> None:
    request = ReplayRequest(ProgramFlags(project=bundles), strict=True)
    session = ReplaySession(request, ProgramStore(bundles / "store"))
    counted: list[None] = []
    paths = [BundlePath(str(bundles / f"{name}.json")) for name in "abc"]
    results = list(replay_in_parallel(session, paths, 2, lambda: counted.append(None)))
    assert [result.outcome for result in results] == [Outcome.MATCH] * 3
    assert len(counted) == sum(result.events or 0 for result in results) > 0


ERRORS = [
    ErgoError("a.b", "text", where="here", fix="so", rule="R", details=("d",), causes=(ErgoError("c", "cause"),)),
    StepError("Binding", "no", recoverable=True, where="event 'x'"),
    CaptureWriteError("Serialize", "no", where="b.json"),
    RuleError("V.1", "broken", phase="validation", path="$.nodes", authoring_path=("hot", "check")),
    AdapterError("ADP-1", "broken", path="$.accepts"),
    DispatchFailure(Interruption("egress_ack_timeout", "desk", "i-1"), "no ack", ("late",)),
    KernelError(Category.POLICY, "denied", where="run 'a/e1' seq 4"),
    ValidationError(ProjectError("PRJ-PROFILE", "no such profile", fix="name another")),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors_travel_as_they_are(error: ErgoError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.args) == (type(error), str(error), error.args)
    assert _told(copy) == _told(error)


def _told(error: ErgoError) -> dict[str, object]:
    """Every attribute of an error; the errors among them by their own, this one by its name."""
    return {name: _shown(value, error) for name, value in vars(error).items()}


def _shown(value: object, owner: ErgoError) -> object:
    if isinstance(value, tuple):
        return tuple(_shown(item, owner) for item in value)
    if isinstance(value, ErgoError):
        return "itself" if value is owner else (type(value), _told(value))
    return value


def _change(home: Path, statement: str) -> None:
    """Let an own primitive do something more in every episode."""
    module = home / "trend" / "primitives.py"
    text = module.read_text()
    line = "    before = before or price\n"
    assert line in text
    module.write_text(
        text.replace("from typing", "import os\nfrom typing", 1).replace(line, f"    {statement}\n{line}")
    )


def _wait_for_the_end_of_all(session: int) -> None:
    for _ in range(6000):
        if not _session(session):
            return
        time.sleep(0.01)
    pytest.fail(f"processes are left: {_session(session)}")


def _workers(session: int) -> list[int]:
    return [pid for pid in _session(session) if b"spawn_main" in _command(pid)]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it just ended
        return b""


def _session(number: int) -> list[int]:
    entries = [(int(entry.parent.name), _session_of(entry)) for entry in Path("/proc").glob("[0-9]*/stat")]
    return [pid for pid, session in entries if session == number]


def _session_of(entry: Path) -> int | None:
    try:
        return int(entry.read_text().rpartition(")")[2].split()[3])
    except (OSError, IndexError):
        return None
