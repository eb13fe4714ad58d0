"""The determinism guard: whatever an own primitive asks the world is found, and nothing else."""

from __future__ import annotations

import _io
import _random
import _socket
import _thread
import builtins
import calendar
import gc
import io
import linecache
import logging
import math
import mimetypes
import os
import platform
import posix
import random
import secrets
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
import traceback
import uuid
import warnings
import zoneinfo
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import partial, wraps
from pathlib import Path, PurePosixPath
from time import monotonic as ticks
from types import ModuleType
from typing import Any, NamedTuple, NoReturn

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
    "time.strftime (map)": lambda: list(map(time.strftime, ["%Y"])),
    "time.gmtime": lambda: time.gmtime(),
    "time.gmtime (None)": lambda: time.gmtime(None),
    "time.asctime": time.asctime,
    "time.ctime": lambda: time.ctime(0),
    "time.localtime": lambda: time.localtime(0),
    "time.mktime": lambda: time.mktime((2020, 1, 2, 0, 0, 0, 0, 0, 0)),
    "time.tzset": lambda: time.tzset(),
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
    "dates as texts": lambda: date(2020, 1, 2).strftime("%d.%m.%Y") == "02.01.2020" or 1 / 0,
    "dates in texts": lambda: f"{datetime(2020, 1, 2):%Y-%m-%d}" == "2020-01-02" or 1 / 0,
    "dates from texts": lambda: datetime.strptime("2020-01-02", "%Y-%m-%d") == datetime(2020, 1, 2) or 1 / 0,
    "names of months": lambda: (calendar.month_name[2], calendar.day_abbr[0]) == ("February", "Mon") or 1 / 0,
    "a calendar": lambda: calendar.TextCalendar().formatmonth(2020, 2).startswith("   February 2020") or 1 / 0,
    "time.strftime": lambda: time.strftime("%Y", time.gmtime(0)) == "1970" or 1 / 0,
    "time.strftime (map)": lambda: list(map(time.strftime, ["%Y"], [time.gmtime(0)])) == ["1970"] or 1 / 0,
    "time.asctime": lambda: time.asctime(time.gmtime(0)) == "Thu Jan  1 00:00:00 1970" or 1 / 0,
    "time.strptime": lambda: time.strptime("2020", "%Y").tm_year == 2020 or 1 / 0,
    "methods of a time that is given": lambda: time.gmtime(0).index(1970) == 0 or 1 / 0,
    "addresses as texts": lambda: socket.inet_ntoa(socket.inet_aton("10.0.0.1")) == "10.0.0.1" or 1 / 0,
    "exit codes": lambda: (os.waitstatus_to_exitcode(256), os.WEXITSTATUS(256)) == (1, 1) or 1 / 0,
    "a command line as a text": lambda: subprocess.list2cmdline(["a b", "c"]) == '"a b" c' or 1 / 0,
}


@pytest.mark.parametrize("what", PURE)
def test_what_depends_on_nothing_but_its_arguments_is_left_alone(what: str) -> None:
    sys.modules.pop("colorsys", None)
    with watching("fine"):
        PURE[what]()


def test_a_library_that_holds_such_functions_is_judged_by_the_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    library = ModuleType("formats")
    library.__file__ = str(Path("site-packages") / "formats.py")
    code = "from time import gmtime, strftime\ndef year(*at): return strftime('%Y', gmtime(*at))\n"
    exec(code, vars(library))
    monkeypatch.setitem(sys.modules, "formats", library)
    with watching("fine"):
        assert library.year(0) == "1970"
    with pytest.raises(PrimitiveError, match=r"uses time\.gmtime"), watching("odd"):
        library.year()
    assert library.gmtime is time.gmtime


def _zone(folder: Path) -> None:
    """A time zone an hour east, in the least form of a file of zones."""
    head = b"TZif2" + b"\0" * 15
    counts = (0, 0, 0, 0, 1, 4)
    block = head + b"".join(count.to_bytes(4) for count in counts) + (3600).to_bytes(4) + b"\0\0" + b"EST\0"
    (folder / "Plant").mkdir()
    (folder / "Plant" / "East").write_bytes(block + block + b"\nEST-1\n")


@pytest.fixture
def zones(tmp_path: Path) -> Iterator[None]:
    _zone(tmp_path)
    zoneinfo.reset_tzpath([tmp_path])
    yield
    zoneinfo.reset_tzpath()


CACHED: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
    "a time zone": (zoneinfo.ZoneInfo.clear_cache, lambda: zoneinfo.ZoneInfo("Plant/East")),
    "the text of a warning": (
        linecache.clearcache,
        lambda: warnings.formatwarning("steep", UserWarning, __file__, 1),
    ),
    "the text of an error": (linecache.clearcache, lambda: traceback.format_exception(ValueError("steep"))),
    "the text of a stack": (linecache.clearcache, lambda: traceback.format_stack()),
    "a form of dates": (lambda: sys.modules.pop("_strptime", None), lambda: datetime.strptime("2020", "%Y")),
    "settings of Python": (
        lambda: setattr(sysconfig, "_CONFIG_VARS", None) or setattr(sysconfig, "_CONFIG_VARS_INITIALIZED", False),
        lambda: sysconfig.get_path("stdlib"),
    ),
}


@pytest.mark.usefixtures("zones")
@pytest.mark.parametrize("what", CACHED)
def test_what_the_standard_library_keeps_is_left_alone_the_first_time_too(what: str) -> None:
    forget, read = CACHED[what]
    forget()
    for _ in range(2):
        with watching("fine"):
            assert read()


KEEPING: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
    "tempfile.gettempdir": (tempfile.gettempdir, lambda: tempfile.gettempdir()),
    "mimetypes.guess_type": (mimetypes.init, lambda: mimetypes.guess_type("a.txt")),
    "uuid.getnode": (uuid.getnode, lambda: uuid.getnode()),
    "platform.node": (platform.node, lambda: platform.node()),
}


@pytest.mark.parametrize("name", KEEPING)
def test_what_is_kept_of_the_machine_is_found_though_it_is_kept(name: str) -> None:
    keep, read = KEEPING[name]
    keep()
    with pytest.raises(PrimitiveError, match=f"uses {name}"), watching("odd"):
        read()


@pytest.mark.usefixtures("zones")
def test_what_is_not_a_file_of_zones_is_found(tmp_path: Path) -> None:
    for path in (tmp_path / ".." / "other", tmp_path.with_name(f"{tmp_path.name}-more")):
        with pytest.raises(PrimitiveError, match="uses open"), watching("odd"):
            open(str(path))  # noqa: SIM115
    with pytest.raises(PrimitiveError, match=r"uses io\.FileIO"), watching("odd"):
        io.FileIO(str(tmp_path / "Plant" / "East"), "a")


@pytest.mark.usefixtures("zones")
def test_code_of_the_project_that_a_cache_calls_is_found(tmp_path: Path) -> None:
    class Source:
        def read(self, size: int) -> bytes:
            time.time()
            return b""

    source: Any = Source()
    with pytest.raises(PrimitiveError, match=r"uses time\.time"), watching("odd"):
        zoneinfo.ZoneInfo.from_file(source)


def counted(method: Callable[..., int]) -> Callable[..., int]:
    @wraps(method)
    def counting(*arguments: object) -> int:
        return method(*arguments)

    return counting


class Key:
    def __init__(self, of: object) -> None:
        self.of = of

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and self.of == other.of

    __hash__ = lambda self: hash(self.of)  # noqa: E731


class Helped(Key):
    def __hash__(self) -> int:
        return self.hash_of_parts()

    def hash_of_parts(self) -> int:
        return hash((self.of, 1))


class Wrapped(Key):
    @counted
    def __hash__(self) -> int:
        return hash(self.of)


class Above(Helped):
    def __hash__(self) -> int:
        return super().__hash__() + 1


class Placed(Key):
    def __hash__(self) -> int:
        return id(self)


@dataclass(frozen=True)
class Point:
    x: object
    y: int = 0


class Pair(NamedTuple):
    left: object
    right: object


class Side(Enum):
    BUY = "buy"


KEYS = [Key, Helped, Wrapped, Above, Point]
STEADY: dict[str, Callable[[], object]] = {
    **{f"{kind.__name__} of a number": partial(kind, 7) for kind in KEYS},
    "number": lambda: 7,
    "truth": lambda: True,
    "fraction": lambda: Fraction(1, 3),
    "decimal": lambda: Decimal("1.5"),
    "complex": lambda: 1j,
    "empty text": lambda: "",
    "empty bytes": lambda: b"",
    "tuple": lambda: (1, (2.0, Decimal(3))),
    "named tuple": lambda: Pair(1, (2,)),
    "frozenset": lambda: frozenset({1, 2}),
    "range": lambda: range(3, 9),
    "timedelta": lambda: timedelta(hours=1),
    "time zone": lambda: UTC,
    "aware time": lambda: datetime(2020, 1, 2, tzinfo=UTC),
    "uuid": lambda: uuid.UUID(int=7),
}
VARYING: dict[str, Callable[[], object]] = {
    **{f"{kind.__name__} of a text": partial(kind, "price") for kind in (*KEYS, Placed)},
    "text": lambda: "price",
    "bytes": lambda: b"price",
    "object": object,
    "class": lambda: Key,
    "function": lambda: counted,
    "not a number": lambda: float("nan"),
    "not a decimal": lambda: Decimal("NaN"),
    "tuple with a text": lambda: (1, ("price",)),
    "named tuple with a text": lambda: Pair(1, "price"),
    "frozenset of texts": lambda: frozenset({"price"}),
    "date": lambda: date(2020, 1, 2),
    "naive time": lambda: datetime(2020, 1, 2),
    "path": lambda: PurePosixPath("price"),
    "member of an enumeration": lambda: Side.BUY,
}
(STEADY if sys.version_info >= (3, 12) else VARYING).update({"None": lambda: None, "empty range": lambda: range(0)})


@pytest.mark.parametrize("what", STEADY)
def test_a_hash_that_is_the_same_in_every_process_is_left_alone(what: str) -> None:
    value = STEADY[what]()
    with watching("fine"):
        assert [hash(value)] == list(map(hash, [value]))


@pytest.mark.parametrize("what", STEADY)
def test_such_hashes_are_the_same_in_every_process(what: str) -> None:
    code = f"from tests.project.test_guard import STEADY; print(hash(STEADY[{what!r}]()))"
    found = set[str]()
    for seed in "12":
        root = Path(__file__).parents[2]
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join([str(root), *sys.path])}
        found.add(subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True).stdout)
    assert len(found) == 1
    assert found != {""}


@pytest.mark.parametrize("what", VARYING)
def test_a_hash_that_depends_on_the_process_is_found_where_the_code_asks_for_it(what: str) -> None:
    value = VARYING[what]()
    for _ in range(2):
        with watching("fine"):
            assert {value: 1}[value] == 1
            assert value in {value}
        with pytest.raises(PrimitiveError, match=r"uses (hash|id),") as caught, watching("odd"):
            hash(value)
        assert str(caught.value.where).startswith(f"{__file__}:")


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
