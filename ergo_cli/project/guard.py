"""The determinism guard: own primitives that read clock, randomness, environment, files or network fail loudly.

It watches the calls that a primitive makes, under whatever name they were imported: those of functions of Python's own
library, be they written in Python or in C. What a compiled extension module does inside itself cannot be seen.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import date
from types import FrameType
from typing import Any, cast

from msgspec.structs import replace

from ergo_cli.errors import PrimitiveError
from ergo_cli.programs.graph.catalog import Inventory
from ergo_cli.programs.graph.primitives import STANDARD
from ergo_cli.programs.graph.primitives.primitive import CallT, ManifestT, Primitive

_FORBIDDEN = frozenset(
    {"time", "random", "_random", "secrets", "socket", "_socket", "subprocess", "_posixsubprocess", "platform"}
)
"""Modules of which nothing may be called."""

_SYSTEM = frozenset({"posix", "nt"})
"""Where the functions of ``os`` come from."""

_PURE = ("fspath", "_path")
"""How those functions of ``os`` begin that look at nothing but their arguments."""

_THREADS = frozenset({"start_new_thread", "start_joinable_thread"})
"""How threads begin, in which nobody would watch."""

_CLOCKS = frozenset({"now", "utcnow", "today"})
_OPENERS = (io.open, io.open_code, input)
_UUIDS = frozenset({"uuid1", "uuid4", "uuid6", "uuid7", "getnode"})
_STANDARD_IDS = frozenset(primitive.manifest.id for primitive in STANDARD)


def guarded(inventory: Inventory) -> Inventory:
    """The inventory with every own primitive under guard; those of the standard library are left as they are."""
    return Inventory(
        inventory.catalog,
        _each(inventory.sources),
        _each(inventory.computes),
        _each(inventory.triggers),
        _each(inventory.actions),
    )


@contextmanager
def watching(impl_id: str) -> Generator[None]:
    """Watch what the primitive ``impl_id`` calls; afterwards the profiler is the one that was set before.

    Raises PrimitiveError ``primitive.nondeterministic`` for the first thing that was read: at once, and again at the
    end, should the primitive have caught it.
    """
    before, found = sys.getprofile(), list[PrimitiveError]()

    def watch(frame: FrameType, event: str, function: object) -> None:
        read = _read_in_python(frame) if event == "call" else _read_in_c(function) if event == "c_call" else None
        if read is not None and not _is_importing(frame):
            found.append(_violation(impl_id, read, frame))
            raise found[0]

    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(before)
        if found:
            raise found[0]


def _each(primitives: Mapping[str, Primitive[ManifestT, CallT]]) -> Mapping[str, Primitive[ManifestT, CallT]]:
    return {
        impl_id: primitive if impl_id in _STANDARD_IDS else _under_guard(primitive)
        for impl_id, primitive in primitives.items()
    }


def _under_guard(primitive: Primitive[ManifestT, CallT]) -> Primitive[ManifestT, CallT]:
    call, impl_id = cast("Callable[..., Any]", primitive.call), primitive.manifest.id

    def watched(*arguments: object) -> Any:
        with watching(impl_id):
            return call(*arguments)

    return replace(primitive, call=watched)


def _read_in_python(frame: FrameType) -> str | None:
    """What the function that ``frame`` begins to run reads, None for nothing."""
    module, name = str(frame.f_globals.get("__name__")), frame.f_code.co_name
    if module in _FORBIDDEN or (module == "uuid" and name in _UUIDS):
        return f"{module}.{frame.f_code.co_qualname.removesuffix('.__init__')}"
    if module == "os" and (name.startswith("getenv") or frame.f_code.co_qualname.startswith("_Environ.")):
        return "os.environ"
    return None


def _read_in_c(function: Any) -> str | None:
    """What a function written in C reads, None for nothing."""
    name, owner = function.__name__, getattr(function, "__self__", None)
    module = getattr(function, "__module__", None) or type(owner).__module__
    if name in _CLOCKS and isinstance(owner, type) and issubclass(owner, date):
        return f"{owner.__name__}.{name}"
    if module in _FORBIDDEN:
        return f"{module.lstrip('_')}.{name}"
    if module == "_thread" and name in _THREADS:
        return "threads"
    if module in _SYSTEM and not name.startswith(_PURE):
        return f"os.{name}"
    return name if any(function is opener for opener in _OPENERS) else None


def _is_importing(frame: FrameType | None) -> bool:
    """Whether this is Python itself, looking for a module."""
    while frame is not None:
        if str(frame.f_globals.get("__name__")).startswith("importlib._bootstrap"):
            return True
        frame = frame.f_back
    return False


def _violation(impl_id: str, read: str, frame: FrameType) -> PrimitiveError:
    return PrimitiveError(
        "primitive.nondeterministic",
        f"primitive '{impl_id}' uses {read}, which no replay could give it again",
        where=_place(frame),
        fix="take the value from the event's payload or from the context, through a source",
    )


def _place(frame: FrameType) -> str:
    """The line, outside of Python's own library, that led to the call."""
    at: FrameType = frame
    while str(at.f_globals.get("__name__")).partition(".")[0] in sys.stdlib_module_names and at.f_back is not None:
        at = at.f_back
    return f"{at.f_code.co_filename}:{at.f_lineno}"
