"""The determinism guard: whatever an own primitive asks the world is found, and nothing else."""

from __future__ import annotations

import _io
import _random
import _socket
import _thread
import builtins
import gc
import io
import logging
import math
import os
import platform
import posix
import random
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import nullcontext
from datetime import date, datetime
from functools import partial
from pathlib import Path
from time import monotonic as ticks
from typing import NoReturn

import pytest

from ergo_cli.errors import PrimitiveError, UsageError
from ergo_cli.primitives import compute
from ergo_cli.programs.graph.check.catalog import build_inventory, standard_inventory
from ergo_cli.project import guard, python_programs
from ergo_cli.project.finding import ProgramFlags, find_program_for_run
from ergo_cli.project.guard import guarded, watching
from ergo_cli.project.profiles import resolve_profile
from ergo_cli.project.project_file import load_project
from ergo_cli.project.stand_ins import StandIn, StandIns
from ergo_cli.testing.guarding import call_guarded

CLOCK_OF_LOGGING = "time.time_ns" if sys.version_info >= (3, 13) else "time.time"
READS: dict[str, Callable[[], object]] = {
    "time.time": time.time,
    "time.monotonic": lambda: ticks(),
    "time.sleep": lambda: time.sleep(0),
    "time.strftime": lambda: time.strftime("%Y"),
    "datetime.now": datetime.now,
    "datetime.utcnow": lambda: datetime.utcnow(),
    "date.today": date.today,
    "random.random": random.random,
    "random.Random.randint": lambda: random.randint(1, 2),
    "random.Random.choice": lambda: sorted([2, 1], key=lambda _: random.choice([1, 2])),
    "random.Random": lambda: random.Random(7).random(),
    "secrets.token_hex": secrets.token_hex,
    "secrets.randbelow": lambda: secrets.randbelow(9),
    "uuid.uuid1": uuid.uuid1,
    "uuid.uuid4": uuid.uuid4,
    "os.urandom": lambda: os.urandom(1),
    "os.environ": lambda: os.environ["PATH"],
    "os.environ (get)": lambda: os.environ.get("NOTHING"),
    "os.environ (in)": lambda: "NOTHING" in os.environ,
    "os.environ (all)": lambda: dict(os.environ),
    "os.environ (getenv)": lambda: os.getenv("NOTHING"),
    "os.getpid": os.getpid,
    "os.listdir": lambda: os.listdir("."),
    "os.getcwd": Path.cwd,
    "open": lambda: open(os.devnull),  # noqa: SIM115
    "open (path)": lambda: Path(os.devnull).read_bytes(),
    "socket.socket": lambda: socket.socket(),
    "subprocess.run": lambda: subprocess.run(["true"], check=False),
    "platform.node": platform.node,
    "threads": lambda: threading.Thread(target=time.time).start(),
    f"{CLOCK_OF_LOGGING} (logging)": lambda: logging.getLogger().warning("hot"),
}


@pytest.mark.parametrize("read", READS)
def test_what_reads_the_world_is_found_and_named_with_its_line(read: str) -> None:
    with pytest.raises(PrimitiveError) as caught, watching("odd"):
        READS[read]()
    error = caught.value
    assert error.code == "primitive.nondeterministic"
    assert error.message == f"primitive 'odd' uses {read.partition(' ')[0]}, which no replay could give it again"
    file, _, line = str(error.where).rpartition(":")
    assert (Path(file), int(line) > 0) == (Path(__file__), True)
    assert error.fix


PURE: dict[str, Callable[[], object]] = {
    "arithmetic": lambda: math.sin(1.0) ** 2,
    "dates that are given": lambda: datetime.fromisoformat("2024-02-29").replace(year=2028).isoformat(),
    "names from names": lambda: uuid.uuid5(uuid.NAMESPACE_DNS, "plant"),
    "paths as texts": lambda: os.path.join(os.path.normpath("a/../b"), str(Path("c") / "d")),
    "an import": lambda: __import__("colorsys"),
    "a print": lambda: print(end=""),
}


@pytest.mark.parametrize("what", PURE)
def test_what_depends_on_nothing_but_its_arguments_is_left_alone(what: str) -> None:
    sys.modules.pop("colorsys", None)
    with watching("fine"):
        PURE[what]()


def test_what_the_garbage_collector_runs_is_not_the_primitives_doing() -> None:
    gc.callbacks.append(clock := lambda phase, info: time.perf_counter())
    before = gc.get_threshold()
    gc.set_threshold(1)
    try:
        with watching("fine"):
            rings = [[] for _ in range(10)]
        assert gc.isenabled()
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(clock)
    assert rings


def test_a_primitive_cannot_hide_what_it_did() -> None:
    def secretly() -> None:
        try:
            time.time()
        except Exception:  # noqa: BLE001
            return

    with pytest.raises(PrimitiveError, match="uses time"), watching("sly"):
        secretly()


def test_an_error_of_the_primitive_itself_comes_through() -> None:
    with pytest.raises(ZeroDivisionError), watching("broken"):
        _ = 1 / 0


def test_the_profiler_that_was_set_is_set_again() -> None:
    def profiler(*_: object) -> None:
        return None

    before = sys.getprofile()
    sys.setprofile(profiler)
    try:
        with watching("fine"):
            math.sqrt(2.0)
        assert sys.getprofile() is profiler
        with pytest.raises(PrimitiveError), watching("odd"):
            time.time()
        assert sys.getprofile() is profiler
    finally:
        sys.setprofile(before)


CLOCK = partial(time.time)
TICKS = iter(time.time, None)
KEPT = [time.monotonic]


class Clock:
    read = staticmethod(time.time)


def _state() -> dict[str, int]:
    """All that the guard replaces while it watches, as it is now; names of modules that come and go are left out."""
    modules = [time, os, posix, io, _io, builtins, random, _random, _socket, _thread, sys, uuid, sys.modules[__name__]]
    state = {f"{module.__name__}.{name}": id(value) for module in modules for name, value in vars(module).items()}
    state |= {f"{kind.__name__}.{name}": id(kind.__dict__[name]) for kind in (date, datetime) for name in kind.__dict__}
    held = [
        vars(os.environ)["_data"],
        vars(os.environb)["_data"],
        CLOCK.func,
        KEPT[0],
        Clock.__dict__["read"],
        type(datetime.now),
    ]
    return state | {f"held {number}": id(value) for number, value in enumerate(held)}


class Stopped(BaseException):
    """What a handler of a signal raises."""


def _stopped(*_: object) -> NoReturn:
    raise Stopped


def _interrupted() -> None:
    before = signal.signal(signal.SIGALRM, _stopped)
    try:
        signal.raise_signal(signal.SIGALRM)
    finally:
        signal.signal(signal.SIGALRM, before)


ENDS: dict[str, tuple[Callable[[], object], type[BaseException] | None]] = {
    "result": (lambda: math.sqrt(2.0), None),
    "breach": (CLOCK, PrimitiveError),
    "breach of an iterator": (lambda: next(TICKS), PrimitiveError),
    "breach of an audit event": (lambda: io.FileIO(os.devnull), PrimitiveError),
    "error": (lambda: 1 / 0, ZeroDivisionError),
    "exit": (lambda: sys.exit(1), SystemExit),
    "signal": (_interrupted, Stopped),
    "recursion": (lambda: deeper(0), RecursionError),
}


def deeper(depth: int) -> int:
    return deeper(depth + 1)


@pytest.mark.parametrize("end", ENDS)
def test_afterwards_everything_is_as_it_was(end: str) -> None:
    run, error = ENDS[end]
    datetime.now()  # so that the class's cache of methods knows the original
    before, profiler = _state(), sys.getprofile()
    with nullcontext() if error is None else pytest.raises(error), watching("any"):
        assert type(time.time) is StandIn
        run()
    assert (_state(), sys.getprofile(), gc.isenabled()) == (before, profiler, True)
    assert isinstance(CLOCK(), float)
    assert isinstance(next(TICKS), float)
    assert isinstance(datetime.now(), datetime)
    assert os.environ["PATH"]
    assert hash("a") == hash("a")


def test_a_signal_while_everything_is_put_back_does_not_leave_a_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before, takes, take = _state(), list[int](), StandIns.take

    def interrupted_take(stand_ins: StandIns) -> None:
        takes.append(1)
        if len(takes) == 1:
            raise Stopped
        take(stand_ins)

    monkeypatch.setattr(StandIns, "take", interrupted_take)
    with pytest.raises(Stopped), watching("any"):
        pass
    assert (_state(), gc.isenabled()) == (before, True)


def test_a_module_imported_meanwhile_gets_originals_and_is_watched_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "late_clock.py").write_text("from time import time\nimport functools\nNOW = functools.partial(time)\n")
    monkeypatch.syspath_prepend(tmp_path)
    stand_ins = StandIns(guard._used)  # pyright: ignore[reportPrivateUsage]
    with watching("first", stand_ins=stand_ins):
        import late_clock  # pyright: ignore[reportMissingImports]
    try:
        assert late_clock.time is time.time
        assert isinstance(late_clock.NOW(), float)
        with pytest.raises(PrimitiveError, match=r"'second' uses time\.time"), watching("second", stand_ins=stand_ins):
            late_clock.NOW()
    finally:
        del sys.modules["late_clock"]


def test_other_threads_use_everything_meanwhile() -> None:
    begin, results = threading.Event(), list[object]()

    def work() -> None:
        begin.wait(10)
        results.extend([CLOCK(), next(TICKS), os.environ["PATH"], datetime.now(), io.FileIO(os.devnull).close()])

    thread = threading.Thread(target=work)
    thread.start()
    with watching("any"):
        begin.set()
        while len(results) != 5:
            pass
    thread.join()
    assert len(results) == 5


def test_the_projects_objects_that_hold_the_guard_are_left_alone() -> None:
    global HOLDING
    HOLDING = guarded(build_inventory([noisy]))
    before = _state()
    for _ in range(2):
        with pytest.raises(PrimitiveError, match="primitive 'noisy' uses random"):
            HOLDING.computes["noisy"].call({"value": 2.0}, {})
    assert _state() == before


@compute("noisy", "1.0.0")
def noisy(value: float) -> float:
    return value + random.random()


@compute("quiet", "1.0.0")
def quiet(value: float, *, by: float = 2.0) -> float:
    return value * by


def test_own_primitives_are_guarded_and_standard_ones_are_left_as_they_are() -> None:
    inventory = guarded(build_inventory([noisy, quiet]))
    assert inventory.computes["add"] is standard_inventory().computes["add"]
    assert inventory.computes["quiet"].call({"value": 2.0}, {"by": 3.0}) == {"result": 6.0}
    with pytest.raises(PrimitiveError, match="primitive 'noisy' uses random"):
        inventory.computes["noisy"].call({"value": 2.0}, {})


def test_a_projects_own_tests_call_primitives_under_guard() -> None:
    assert call_guarded(quiet, 2.0, by=4.0) == 8.0
    with pytest.raises(PrimitiveError) as caught:
        call_guarded(noisy, 2.0)
    lines = Path(__file__).read_text().splitlines()
    assert "random.random()" in lines[int(str(caught.value.where).rpartition(":")[2]) - 1]


def test_a_kind_that_the_guard_does_not_cover_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = type("Found", (), {"program": type("Program", (), {"kind": type("Kind", (), {"name": "kernel"})})})
    monkeypatch.setattr(python_programs, "load_python_program", lambda *_: found)
    with pytest.raises(UsageError, match="not 'agent:program', a program of kind 'kernel'") as caught:
        find_program_for_run(ProgramFlags(program="agent:program", guard=True))
    assert (caught.value.code, caught.value.where) == ("cli.conflicting_options", "option --guard")


def test_guard_is_a_key_of_a_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ergo.toml").write_text('name = "p"\nversion = "1"\n[profiles.a]\ngraph = "g.yaml"\nguard = true\n')
    monkeypatch.chdir(tmp_path)
    assert resolve_profile(load_project(tmp_path), "a").guard
