"""The commands that are disturbed: what is there before, and what must be true after them whatever failed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ergo_cli.errors import EventError, exit_code
from ergo_cli.host.recovery import recover
from tests.channels.ingress_runs import FLOW
from tests.cli.kept_runs import begin_run, log_of, make_project
from tests.faults.runs import Ran, ergo
from tests.support.events import TICK_LINE

FIXTURES = Path(__file__).parents[2] / "fixtures"
OLD = b"the bundle of yesterday"
EVENTS = 5
TICKS = ("-g", str(FLOW / "graph.yaml"), "-a", str(FLOW / "adapter.yaml"))

Whole = dict[str, bytes]
"""What every file of the folder holds after a run in which nothing failed."""


class Scenario(NamedTuple):
    """A command in a folder; ``check`` looks at what a disturbed run left there."""

    name: str
    words: tuple[str, ...]
    prepare: Callable[[Path], object]
    check: Callable[[Path, Ran, Whole], object]


def tick_events(folder: Path) -> None:
    (folder / "events.jsonl").write_bytes(TICK_LINE * EVENTS)


def capture_to(name: str, *options: str) -> Scenario:
    def prepare(folder: Path) -> None:
        tick_events(folder)
        (folder / name).write_bytes(OLD)

    def check(folder: Path, ran: Ran, whole: Whole) -> None:
        old_or_whole(folder / name, ran, whole)
        check_journal(folder, ran)

    return Scenario(
        " ".join((name, *options)), ("capture", *TICKS, "events.jsonl", "-o", name, *options), prepare, check
    )


def old_or_whole(path: Path, ran: Ran, whole: Whole) -> None:
    """The bundle is the new one, whole, or that of yesterday; it is the new one where the command says so."""
    written = path.read_bytes()
    assert written in (whole[path.name], OLD)
    if ran.exit_code == 0:
        assert written == whole[path.name]


def check_journal(folder: Path, ran: Ran) -> None:
    """A journal that is left can be recovered to every step that was on the disk, or holds none."""
    if not (folder / "j").exists():
        return
    synced = sum(name == "fsync" and path == "j" and result == 0 for name, path, result in ran.calls)
    acknowledged = max(0, synced - 1)  # the first line is no step
    try:
        steps = recover(folder / "j", str(folder / "recovered.json")).steps
    except EventError:
        steps = 0
    assert steps >= acknowledged


def keep_a_journal(folder: Path) -> None:
    """The journal of a run whose bundle could not be moved into place."""
    tick_events(folder)
    (folder / "b.json").write_bytes(OLD)
    words = ("capture", *TICKS, "events.jsonl", "-o", "b.json", "--journal", "j")
    ran = ergo(folder, words, fault="EIO", first="rename")
    assert (ran.exit_code, (folder / "j").exists()) == (6, True)
    (folder / "b.json").unlink()


def check_recovered(folder: Path, ran: Ran, whole: Whole) -> None:
    assert (folder / "j").read_bytes() == whole["j"]
    if ran.exit_code == 0 or (folder / "b.json").exists():
        assert (folder / "b.json").read_bytes() == whole["b.json"]


def own_primitives(folder: Path) -> None:
    shutil.copytree(
        FIXTURES / "own_primitives", folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
    )
    (folder / "b.json").write_bytes(OLD)


def check_own_primitives(folder: Path, ran: Ran, whole: Whole) -> None:
    """What is kept in the program store is whole: the next capture finds it so, or writes it anew."""
    old_or_whole(folder / "b.json", ran, whole)
    assert ergo(folder, ran.words).exit_code == 0
    kept = {name: content for name, content in files_of(folder).items() if name.startswith("data/")}
    assert kept == {name: content for name, content in whole.items() if name.startswith("data/")}


def kernel_project(folder: Path) -> None:
    make_project(folder)
    event = {"kind": "event", "event": {"type": "Command", "id": "run", "payload": {"amount": 5}}}
    lines = (json.dumps(line) + "\n" for line in ({"kind": "episode_start", "id": "d"}, event))
    (folder / "events.jsonl").write_text("".join(lines))


def log(folder: Path, run: str = "run") -> list[str]:
    """The events of the run in the project's store."""
    return log_of(f"sqlite:{folder}/runs.db", folder, run)


BEGUN = ['{"StateUpdated":{"step_id":"begin","payload":{"n":1}}}', '{"Interrupted":{"value":{"ask":"go?"}}}']


def check_kernel_capture(folder: Path, ran: Ran, whole: Whole) -> None:
    if ran.exit_code == 0 or (folder / "b.json").exists():
        assert (folder / "b.json").read_bytes() == whole["b.json"]
    before = log(folder, "waiting/run")
    assert before == BEGUN[: len(before)]
    again = ergo(folder, (*ran.words, "--continue"))
    assert (again.exit_code, log(folder, "waiting/run")) == (0, BEGUN), again


def waiting_run(folder: Path) -> None:
    make_project(folder)
    begin_run(f"sqlite:{folder}/runs.db", folder)


def check_resumed(folder: Path, ran: Ran, whole: Whole) -> None:
    """Whatever of the run was committed stays, and the run can be driven to its end from there."""
    answered = [*BEGUN, '{"Resumed":{"value":1}}']
    done = [
        *answered,
        '{"ActionRequested":{"action_id":"run-4","payload":{"CallTool":{"input":null,"tool":"work"}}}}',
        '{"ActionSucceeded":{"action_id":"run-4","output":"run-4"}}',
        '"Completed"',
    ]
    kept = log(folder)
    assert kept == done[: len(kept)]
    assert len(kept) >= len(BEGUN)
    if ran.exit_code == 0:
        assert kept == done
    if kept != done:
        words = ran.words if kept == BEGUN else ("runs", "resume", "run", "--format", "json")
        assert ergo(folder, words).exit_code == 0
        assert log(folder) == done


def check_init(folder: Path, ran: Ran, whole: Whole) -> None:
    """The project is there whole, or nothing of it."""
    made = {name: content for name, content in files_of(folder).items() if name.startswith("demo")}
    assert made == {name: content for name, content in whole.items() if name.startswith("demo")} or not made
    assert bool(made) == (ran.exit_code == 0)


def check_filled(folder: Path, ran: Ran, whole: Whole) -> None:
    """In a folder that is there, every file is as before, or the new one and whole."""
    made, wanted = without_store(files_of(folder)), without_store(whole)
    assert all(content == wanted[name] or (name == "ergo.toml" and content == OLD) for name, content in made.items())
    if ran.exit_code == 0:
        assert made == wanted


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def without_store(files: dict[str, bytes]) -> dict[str, bytes]:
    """Without the program store, which may miss a program: a warning says so."""
    return {name: content for name, content in files.items() if not name.startswith("data/")}


def old_project_file(folder: Path) -> None:
    (folder / "ergo.toml").write_bytes(OLD)


SCENARIOS = [
    capture_to("b.json"),
    capture_to("b.json", "--pretty"),
    capture_to("b.json.gz"),
    capture_to("b.json.zst"),
    capture_to("b.json", "--journal", "j"),
    Scenario("recover", ("recover", "j", "-o", "b.json"), keep_a_journal, check_recovered),
    Scenario("program store", ("capture", "-o", "b.json"), own_primitives, check_own_primitives),
    Scenario("kernel", ("capture", "events.jsonl", "-o", "b.json"), kernel_project, check_kernel_capture),
    Scenario("runs resume", ("runs", "resume", "run", "--value", "1"), waiting_run, check_resumed),
    Scenario("init", ("init", "demo"), lambda folder: None, check_init),
    Scenario("init --force", ("init", "--force", "."), old_project_file, check_filled),
]


def check_told(ran: Ran) -> None:
    """The exit code is a documented one, the report has it too, with an error that stands for it."""
    assert "Traceback" not in ran.stderr, ran.stderr
    report = json.loads(ran.stdout)
    assert report["exit_code"] == ran.exit_code
    if ran.exit_code != 0:
        error = report["error"]
        assert error["code"] != "internal.error", error
        assert exit_code(error["code"]) == ran.exit_code
        assert error["message"]
        assert error["fix"]
