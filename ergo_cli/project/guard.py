"""The determinism guard: own primitives that read clock, randomness, environment, files or network fail loudly.

It watches a primitive's calls of functions in Python's standard library, written in Python or C, under any imported
name. Calls inside a compiled extension module are not seen.
"""

from __future__ import annotations

import gc
import io
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import date
from types import FrameType
from typing import Any, cast

from msgspec.structs import replace

from ergo_cli.errors import PrimitiveError
from ergo_cli.programs.graph.check.catalog import Inventory
from ergo_cli.programs.graph.primitives.primitive import CallT, ManifestT, Primitive
from ergo_cli.programs.graph.primitives.standard import STANDARD

_FORBIDDEN = frozenset(
    {"time", "random", "_random", "secrets", "socket", "_socket", "subprocess", "_posixsubprocess", "platform"}
)
"""Modules whose functions must not be called."""

_SYSTEM = frozenset({"posix", "nt"})
"""The C modules that define the functions of ``os``."""

_PURE = ("fspath", "_path")
"""Name prefixes of ``os`` functions that depend on their arguments only."""

_THREADS = frozenset({"start_new_thread", "start_joinable_thread"})
"""Functions that start threads, whose calls the guard cannot watch."""

_CLOCKS = frozenset({"now", "utcnow", "today"})
_OPENERS = (io.open, io.open_code, input)
_UUIDS = frozenset({"uuid1", "uuid4", "uuid6", "uuid7", "getnode"})
_STANDARD_IDS = frozenset(primitive.manifest.id for primitive in STANDARD)


def guarded(inventory: Inventory) -> Inventory:
    """The inventory with every own primitive under guard; those of the standard library are unchanged."""
    return Inventory(
        inventory.catalog,
        _each(inventory.sources),
        _each(inventory.computes),
        _each(inventory.triggers),
        _each(inventory.actions),
    )


@contextmanager
def watching(impl_id: str) -> Generator[None]:
    """Watch the calls of the primitive ``impl_id``; afterwards restore the previous profiler.

    The garbage collector is off meanwhile: callbacks and finalizers that it runs are not calls of the primitive.
    Raises PrimitiveError ``primitive.nondeterministic`` for the first forbidden read: at once, and again at the end in
    case the primitive caught it.
    """
    before, found, is_collecting = sys.getprofile(), list[PrimitiveError](), gc.isenabled()

    def watch(frame: FrameType, event: str, function: object) -> None:
        read = _read_in_python(frame) if event == "call" else _read_in_c(function) if event == "c_call" else None
        if read is not None and not _is_importing(frame):
            found.append(_violation(impl_id, read, frame))
            raise found[0]

    gc.disable()
    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(before)
        if is_collecting:
            gc.enable()
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
    """The name of the forbidden input that the Python function of ``frame`` reads; None if it reads none."""
    module, name = str(frame.f_globals.get("__name__")), frame.f_code.co_name
    if module in _FORBIDDEN or (module == "uuid" and name in _UUIDS):
        return f"{module}.{frame.f_code.co_qualname.removesuffix('.__init__')}"
    if module == "os" and (name.startswith("getenv") or frame.f_code.co_qualname.startswith("_Environ.")):
        return "os.environ"
    return None


def _read_in_c(function: Any) -> str | None:
    """The name of the forbidden input that a C function reads; None if it reads none."""
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
    """Whether the call belongs to an import, which reads files."""
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
    """The innermost line outside the standard library that led to the call."""
    at: FrameType = frame
    while str(at.f_globals.get("__name__")).partition(".")[0] in sys.stdlib_module_names and at.f_back is not None:
        at = at.f_back
    return f"{at.f_code.co_filename}:{at.f_lineno}"
