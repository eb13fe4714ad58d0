"""``--guard`` in a real process: every way to something forbidden is found, with its name and the project's line."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import Ergo

FIXTURE = Path(__file__).parents[2] / "fixtures" / "own_primitives"
IMPORTS = (
    "import _random, _socket, _thread, collections, copy, enum, functools, io, itertools, json, os, random, socket\n"
    "import subprocess, sys, threading, time, uuid\n"
    "from datetime import date, datetime\n"
    "from decimal import Decimal\n"
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A copy of the fixture project to work in."""
    return Path(shutil.copytree(FIXTURE, tmp_path / "home", ignore=shutil.ignore_patterns("__pycache__")))


def let_ema_do(home: Path, statement: str, before: str = "") -> Path:
    """Let the compute ``ema`` execute a statement, in a module that executes ``before`` when it is imported."""
    module = home / "trend" / "primitives.py"
    text = module.read_text().replace("\n\nclass Smoothed", f"\n{IMPORTS}{before}\n\nclass Smoothed", 1)
    text = text.replace("    before = before or", f"    {statement}\n    before = before or", 1)
    module.write_text(text)
    return module


class Way(NamedTuple):
    """A way to something forbidden: a statement of the primitive, and what its module has prepared for it."""

    name: str
    statement: str
    before: str = ""
    line: str | None = None


WAYS = {
    "called": Way("time.time", "time.time()"),
    "called under a name bound before": Way("time.time", "clock()", "from time import time as clock"),
    "a partial": Way("time.time", "functools.partial(time.time)()"),
    "a partial bound before": Way("time.time", "CLOCK()", "CLOCK = functools.partial(time.time)"),
    "a partial of a name bound before": Way(
        "time.time", "functools.partial(clock)()", "from time import time as clock"
    ),
    "a partial with arguments": Way(
        "os.listdir", "LIST()", "LIST = functools.partial(functools.partial(os.listdir), path='.')"
    ),
    "a partial in a set": Way("time.time", "[*ALL][0]()", "ALL = {functools.partial(time.time)}"),
    "a partial in a deque": Way("time.time", "ALL[0]()", "ALL = collections.deque([functools.partial(time.time)])"),
    "a partial that passes a function on": Way(
        "time.localtime", "list(LOCAL())", "LOCAL = functools.partial(map, time.localtime, [0])"
    ),
    "an iterator": Way("time.time", "next(iter(time.time, None))"),
    "an iterator bound before": Way("time.time", "next(TICKS)", "TICKS = iter(time.time, None)"),
    "an iterator of a name bound before": Way("time.time", "next(iter(clock, None))", "from time import time as clock"),
    "in a closure": Way(
        "time.monotonic",
        "TICK()",
        "def made(clock):\n    return lambda: next(iter(clock, 0))\nTICK = made(time.monotonic)",
        "return lambda: next(iter(clock, 0))",
    ),
    "in an attribute": Way(
        "time.time",
        "next(iter(HOLDER.clock, 0))",
        "class Holder:\n    def __init__(self):\n        self.clock = time.time\nHOLDER = Holder()",
    ),
    "in a class": Way("time.time", "next(iter(Holder.clock, 0))", "class Holder:\n    clock = staticmethod(time.time)"),
    "in a list of a dict": Way("time.time", "next(iter(ALL['a'][0], 0))", "ALL = {'a': [time.time]}"),
    "in a tuple": Way("time.time", "next(iter(ALL[1], 0))", "ALL = (1, time.time)"),
    "in a default": Way(
        "time.time",
        "tick()",
        "def tick(clock=time.time):\n    return next(iter(clock, 0))",
        "return next(iter(clock, 0))",
    ),
    "in a keyword's default": Way(
        "time.time",
        "tick()",
        "def tick(*, clock=time.time):\n    return next(iter(clock, 0))",
        "return next(iter(clock, 0))",
    ),
    "map of open": Way("open", "list(map(open, ['ergo.toml']))"),
    "map of open bound before": Way("open", "list(FILES)", "FILES = map(open, ['ergo.toml'])"),
    "io.open": Way("open", "functools.partial(io.open, 'ergo.toml')()"),
    "io.FileIO": Way("io.FileIO", "io.FileIO('ergo.toml')"),
    "map of io.FileIO": Way("io.FileIO", "list(map(io.FileIO, ['ergo.toml']))"),
    "io.FileIO bound before": Way("io.FileIO", "list(FILES)", "FILES = itertools.starmap(io.FileIO, [('ergo.toml',)])"),
    "os.open": Way("os.open", "list(map(os.open, ['ergo.toml'], [0]))"),
    "os.stat": Way("os.stat", "list(map(os.stat, ['.']))"),
    "os.urandom": Way("os.urandom", "functools.partial(os.urandom, 1)()"),
    "os.environ": Way("os.environ", "os.environ['PATH']"),
    "os.environ bound before": Way("os.environ", "list(map(environ.get, ['PATH']))", "from os import environ"),
    "os.getenv": Way("os.environ", "functools.partial(os.getenv, 'PATH')()"),
    "os.environ._data": Way("os.environ", "os.environ._data[b'PATH']"),
    "os.environ._data whole": Way("os.environ", "dict(os.environ._data)"),
    "os.environ._data bound before": Way("os.environ", "DATA.get(b'PATH')", "DATA = os.environ._data"),
    "posix.environ": Way("os.environ", "posix.environ[b'PATH']", "import posix"),
    "hash": Way("hash", "hash('price')"),
    "map of hash": Way("hash", "list(map(hash, ['price']))"),
    "a partial of hash": Way("hash", "HASH()", "HASH = functools.partial(hash, 'price')"),
    "id": Way("id", "id(price)"),
    "map of id": Way("id", "list(map(id, [price]))"),
    "random": Way("random.random", "functools.partial(random.random)()"),
    "random bound before": Way("random.random", "next(iter(draw, 2))", "from random import random as draw"),
    "random in Python": Way("random.Random.randint", "functools.partial(random.randint, 1, 2)()"),
    "a generator of random numbers": Way("random.Random", "functools.partial(_random.Random)()"),
    "uuid": Way("uuid.uuid4", "functools.partial(uuid.uuid4)()"),
    "socket": Way("socket.socket", "functools.partial(_socket.socket)()"),
    "the host's name": Way("socket.gethostname", "functools.partial(socket.gethostname)()"),
    "a process": Way("subprocess.run", "functools.partial(subprocess.run, ['true'])()"),
    "datetime.now": Way("datetime.now", "datetime.now()"),
    "a partial of datetime.now": Way("datetime.now", "functools.partial(datetime.now)()"),
    "datetime.now bound before": Way("datetime.now", "next(iter(NOW, 0))", "NOW = datetime.now"),
    "date.today": Way("date.today", "next(iter(date.today, 0))"),
    "a thread": Way("threads", "threading.Thread(target=int).start()"),
    "a thread of C": Way("threads", "functools.partial(_thread.start_new_thread, int, ())()"),
    "the profiler": Way("sys.setprofile", "sys.setprofile(None)"),
    "a partial of the profiler": Way("sys.setprofile", "functools.partial(sys.setprofile, None)()"),
    "an error caught": Way(
        "time.time",
        "sly()",
        "def sly():\n    try:\n        next(iter(time.time, 0))\n    except Exception:\n        pass",
        "next(iter(time.time, 0))",
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_is_found_with_the_name_and_the_line(way: str, ergo: Ergo, home: Path) -> None:
    name, statement, before, line = WAYS[way]
    module = let_ema_do(home, statement, before)
    ran = ergo("run", "--guard", "--format", "json", cwd=home)
    assert ran.exit_code == 3
    error = ran.report["error"]
    assert error["code"] == "primitive.nondeterministic"
    assert error["message"].startswith(f"primitive 'ema' uses {name}, which ")
    file, _, number = error["where"].rpartition(":")
    assert Path(file).resolve() == module.resolve()
    assert module.read_text().splitlines()[int(number) - 1].strip() == (line or statement)
    assert error["fix"]


def test_a_profiler_removed_unseen_is_noticed_when_the_primitive_returns(ergo: Ergo, home: Path) -> None:
    module = let_ema_do(home, "next(OFF)", "OFF = itertools.starmap(sys.setprofile, [(None,)])")
    ran = ergo("run", "--guard", "--format", "json", cwd=home)
    assert ran.exit_code == 3
    error = ran.report["error"]
    assert error["code"] == "primitive.nondeterministic"
    assert error["message"] == "primitive 'ema' uses sys.setprofile, which removes the profiler of the guard"
    assert str(module) in error["where"]


PURE = {
    "a partial": ("functools.partial(max, 1)(2)", ""),
    "hashes of numbers": ("hash(price), hash((1, Decimal(2))), list(map(hash, [True]))", ""),
    "hashes of keys": (
        "{Key('a'): 1}[Key('a')]",
        "class Key(str):\n    def __hash__(self):\n        return hash(str(self))",
    ),
    "copies": ("copy.deepcopy({'a': [(1, datetime(2024, 1, 1), time.time)]})", ""),
    "JSON": ("json.dumps({'a': [price]}, indent=1)", ""),
    "given dates": ("datetime.fromisoformat('2024-02-29') < datetime(2028, 1, 1)", ""),
    "types of dates": (
        "assert type(DAY) is datetime and isinstance(DAY, date) and {datetime: 1}[type(DAY)]",
        "DAY = datetime(2024, 1, 1)",
    ),
    "a function that is not called": (
        "assert time.time == CLOCK and isinstance(CLOCK, type(len)) and callable(CLOCK)",
        "CLOCK = time.time",
    ),
    "paths as texts": ("os.path.join(os.path.normpath('a/../b'), os.fspath('c'))", ""),
    "an import": ("import colorsys", ""),
    "texts of given times": (
        "assert f'{GIVEN:%Y}' + strftime('%d', GIVEN.timetuple()) + calendar.month_name[2] == '202402February'",
        "import calendar\nfrom time import strftime\nGIVEN = date(2024, 1, 2)",
    ),
    "a time zone": (
        "assert datetime(2024, 7, 1, tzinfo=zoneinfo.ZoneInfo('Europe/Berlin')).utcoffset().seconds == 7200",
        "import zoneinfo",
    ),
    "a warning": ("warnings.warn('steep'); text = traceback.format_exc()", "import traceback, warnings"),
    "hashes by other names": (
        "{Named('a'): 1}[Named('a')]",
        "class Named(Key):\n    __hash__ = lambda s: hash(str(s))",
    ),
    "a print": ("print('smoothed')", ""),
    "a file that stays closed": ("isinstance(price, io.IOBase) or issubclass(io.FileIO, io.RawIOBase)", ""),
    "enumerations": ("{Side.BUY: 1}[Side.BUY]", "class Side(enum.Enum):\n    BUY = 'buy'"),
}


def test_what_is_pure_passes(ergo: Ergo, home: Path) -> None:
    before = "\n".join(prepared for _, prepared in PURE.values() if prepared)
    let_ema_do(home, "\n    ".join(statement for statement, _ in PURE.values()), before)
    ran = ergo("run", "--guard", "--format", "json", cwd=home)
    assert (ran.exit_code, ran.stderr.count("smoothed"), ran.stderr.count("UserWarning: steep")) == (0, 6, 1)
    assert ran.report["run"]["failed"] == 0


def test_what_a_primitive_raises_is_its_failure_and_not_the_guards(ergo: Ergo, home: Path) -> None:
    let_ema_do(home, "deeper(0)", "def deeper(depth):\n    return deeper(depth + 1)")
    ran = ergo("run", "--guard", "--format", "json", cwd=home)
    assert (ran.report["outcome"], ran.report["run"]["failed"]) == ("completed", 6)


def test_replays_by_several_processes_are_guarded(ergo: Ergo, home: Path) -> None:
    let_ema_do(home, "functools.partial(time.time)()")
    shutil.copy(home / "captures" / "prices.json", home / "captures" / "again.json")
    ran = ergo("replay", "--guard", "--jobs", "2", "captures", "--format", "json", cwd=home)
    assert ran.exit_code == 3
    assert "primitive 'ema' uses time.time" in ran.stdout
