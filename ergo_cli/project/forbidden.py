"""What the determinism guard forbids: which calls and accesses read what no replay could give again, by their names."""

from __future__ import annotations

import _random
import io
import os
import sys
from collections.abc import Callable
from datetime import date
from time import struct_time
from types import BuiltinFunctionType, FrameType
from typing import Any

MODULES = frozenset(
    {
        *("time", "random", "_random", "secrets", "socket", "_socket", "subprocess", "_posixsubprocess", "platform"),
        *("_uuid", "tempfile", "mimetypes"),
    }
)
"""Modules whose functions must not be called; some keep what they read, so that only the first call would show it."""

SYSTEM = frozenset({"posix", "nt"})
"""The C modules that define the functions of ``os``."""

PURE = frozenset(
    {
        "time.strptime",
        "subprocess.list2cmdline",
        *(f"os.{name}" for name in ("fspath", "strerror", "major", "minor", "makedev", "waitstatus_to_exitcode")),
        *(f"os.{name}" for name in ("WIFEXITED", "WEXITSTATUS", "WIFSIGNALED", "WTERMSIG", "WIFSTOPPED", "WSTOPSIG")),
        *(f"os.{name}" for name in ("_path_normpath", "_path_splitroot", "_path_splitroot_ex")),
        *(f"socket.{name}" for name in ("htonl", "htons", "ntohl", "ntohs", "CMSG_LEN", "CMSG_SPACE")),
        *(f"socket.{name}" for name in ("inet_aton", "inet_ntoa", "inet_pton", "inet_ntop")),
    }
)
"""Functions of such modules that depend on their arguments only."""

BY_ARGUMENTS = {"time.strftime": 2, "time.asctime": 1, "time.gmtime": 1}
"""Functions that read the clock only where fewer arguments than these are given, or None."""

CACHES = frozenset({"linecache", "zoneinfo", "sysconfig", "_strptime"})
"""Modules of the standard library that read what belongs to the installation, and keep it.

These are the lines of code that tracebacks and warnings show, time zones, and settings of Python.
"""

THREADS = frozenset({"start_new_thread", "start_new", "start_joinable_thread"})
"""Functions that start threads, whose calls the guard cannot watch."""

CLOCKS = ("now", "utcnow", "today")
"""Class methods of ``date`` and ``datetime`` that read the clock."""

UUIDS = frozenset({"uuid1", "uuid4", "uuid6", "uuid7", "getnode"})

FUNCTIONS: tuple[tuple[Callable[..., object], str], ...] = (
    (io.open, "open"),
    (io.open_code, "open_code"),
    (input, "input"),
    (sys.setprofile, "sys.setprofile"),
)
"""Single functions in C, and their names; ``sys.setprofile`` would remove the guard's profiler."""

OF_OWN_CODE = frozenset({"hash", "id"})
"""Forbidden only where code of the project asks for them: copying, printing, dicts and sets use them harmlessly.

``hash`` is forbidden for some arguments only, see ``steadiness``.
"""

HOLDERS = (
    *("time", "posix", "nt", "os", "random", "_random", "_socket", "socket", "_posixsubprocess", "_uuid", "_thread"),
    *("builtins", "io", "_io", "sys"),
)
"""Modules of the standard library whose functions are replaced while a primitive runs."""

AUDITED = (
    *("builtins.id", "builtins.input", "ctypes.call_function", "ctypes.dlopen", "fcntl.", "glob.", "mmap.", "open"),
    *("os.", "resource.", "signal.", "socket.", "sqlite3.connect", "subprocess.", "syslog.", "_thread.start_"),
    "time.sleep",
)
"""Prefixes of the audit events of Python that report something forbidden."""


def name_of_python(frame: FrameType) -> str | None:
    """The name of the forbidden function in Python that ``frame`` runs; None if it is none."""
    module = str(frame.f_globals.get("__name__"))
    if module in MODULES or (module == "uuid" and frame.f_code.co_name in UUIDS):
        return _unless_pure(f"{module}.{frame.f_code.co_qualname.removesuffix('.__init__')}")
    if module == "os" and frame.f_code.co_qualname.startswith(("getenv", "_Environ.")):
        return "os.environ"
    return None


def name_of_c(function: Any) -> str | None:
    """The name of the forbidden function in C that ``function`` is; None if it is none."""
    name, owner = function.__name__, getattr(function, "__self__", None)
    module = getattr(function, "__module__", None) or type(owner).__module__
    if name in CLOCKS and isinstance(owner, type) and issubclass(owner, date):
        return f"{owner.__name__}.{name}"
    if module in MODULES:
        return None if isinstance(owner, struct_time) else _unless_pure(f"{module.lstrip('_')}.{name}")
    if module == "_thread" and name in THREADS:
        return "threads"
    if module in SYSTEM:
        return _unless_pure(f"os.{name}")
    return next((label for each, label in FUNCTIONS if function is each), None)


def name_of_value(value: object) -> str | None:
    """The name of a value that a stand-in can replace: a forbidden function in C, or ``_random.Random``; else None."""
    if value is _random.Random:
        return "random.Random"
    if type(value) is not BuiltinFunctionType:
        return None
    return "hash" if value is hash else name_of_c(value)


def name_of_event(event: str, arguments: tuple[Any, ...]) -> str | None:
    """The name of what an audit event reports, if it is forbidden: the callable where the event tells it."""
    if not event.startswith(AUDITED):
        return None
    if event == "open":
        return "os.open" if len(arguments) > 1 and arguments[1] is None else "io.FileIO"
    if event.startswith("_thread."):
        return "threads"
    return "socket.socket" if event == "socket.__new__" else event.removeprefix("builtins.").removesuffix(".__new__")


def is_zone_file(path: object, mode: object = "r") -> bool:
    """Whether a file that is opened to be read belongs to the time zones of the installation."""
    zones = sys.modules.get("zoneinfo")
    if zones is None or not isinstance(path, str) or not isinstance(mode, str) or not set(mode) <= set("rbt"):
        return False
    return os.path.normpath(path).startswith(tuple(os.path.join(folder, "") for folder in zones.TZPATH))


def _unless_pure(name: str) -> str | None:
    return None if name in PURE else name
