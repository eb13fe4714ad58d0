"""The determinism guard: own primitives that read clock, randomness, environment, files or network fail loudly.

What is forbidden is named in ``forbidden``. Three means see it in the thread of a primitive while it runs: a profiler
sees functions in Python, and functions in C that Python code calls; audit events report what Python itself reports of
files, network, processes and ``id``, whatever code caused it; stand-ins see functions that code in C calls, and the
environment's dict. It is a lint, not a wall: what a compiled extension module does by itself is not seen.
"""

from __future__ import annotations

import gc
import sys
from _thread import get_ident
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from sys import setprofile
from types import FrameType
from typing import Any, cast

from msgspec.structs import replace

from ergo_cli.errors import PrimitiveError
from ergo_cli.programs.graph.check.catalog import Inventory
from ergo_cli.programs.graph.primitives.primitive import CallT, ManifestT, Primitive
from ergo_cli.programs.graph.primitives.standard import STANDARD
from ergo_cli.project.forbidden import (
    AUDITED,
    BY_ARGUMENTS,
    CACHES,
    OF_OWN_CODE,
    is_zone_file,
    name_of_c,
    name_of_event,
    name_of_python,
)
from ergo_cli.project.stand_ins import StandIns, caller, is_call, is_own
from ergo_cli.project.steadiness import hashed_in, is_steady

_STANDARD_IDS = frozenset(primitive.manifest.id for primitive in STANDARD)
_NOT_THE_PRIMITIVES = ("importlib._bootstrap", "ergo_cli.signals")
"""Name prefixes of modules whose calls are not the primitive's: imports read files, signals come at any moment."""

_watches: dict[int, _Watch] = {}
"""The watch of each thread in which a primitive runs."""


class _Watch:
    """One run of a primitive, and what was found first; ``outermost`` is the frame that calls the primitive."""

    def __init__(self, impl_id: str, place: str | None, outermost: FrameType) -> None:
        self.found: PrimitiveError | None = None
        self._impl_id = impl_id
        self._place = place
        self._outermost = outermost

    def profile(self, frame: FrameType, event: str, function: object) -> None:
        """Look at an event of the profiler, which tells no arguments; a stand-in has reported its call with them."""
        name = name_of_python(frame) if event == "call" else name_of_c(function) if event == "c_call" else None
        if name is None or name in BY_ARGUMENTS or (event == "c_call" and is_call(frame)):
            return
        if _watches.get(get_ident()) is self:
            self.use(name, (), frame)

    def use(self, name: str, arguments: tuple[Any, ...], frame: FrameType) -> None:
        """Raise PrimitiveError if the use of ``name`` in ``frame`` is one of the primitive and forbidden."""
        if self._counts(name, arguments, frame):
            self.found = self.found or self._breach(name, self._line(frame))
            raise self.found

    def end(self, is_watching: bool) -> None:
        """Raise what was found, or that the profiler is missing."""
        if self.found is None and not is_watching:
            self.found = self._breach("sys.setprofile", self._place)
        if self.found is not None:
            raise self.found

    def _counts(self, name: str, arguments: tuple[Any, ...], frame: FrameType) -> bool:
        if _is_pure(name, arguments):
            return False
        if name in OF_OWN_CODE:
            return (name == "hash" or is_own(frame.f_globals)) and self._is_asked(frame)
        return not self._is_the_librarys(frame)

    def _is_asked(self, frame: FrameType) -> bool:
        """Whether code of the project asks for a hash or an id: itself, or by the ``__hash__`` of what it hashes.

        A ``__hash__`` that a dict or a set calls does no harm.
        """
        methods = [(each, value) for each in self._stack(frame) if (value := hashed_in(each)) is not None]
        if not methods:
            return is_own(frame.f_globals)
        *_, outer = (each for each, value in methods if value is methods[0][1])  # the inner ones are those of its bases
        call = outer.f_back
        return call is not None and is_call(call) and call.f_back is not None and self._is_asked(call.f_back)

    def _is_the_librarys(self, frame: FrameType) -> bool:
        """Whether the use is none of the primitive: in an import or a signal, or for a cache of the standard library.

        What code of the project does that such a cache calls is the primitive's.
        """
        is_inner = True
        for each in self._stack(frame):
            module = _module(each)
            is_inner = is_inner and not is_own(each.f_globals)
            if module.startswith(_NOT_THE_PRIMITIVES) or (is_inner and module.partition(".")[0] in CACHES):
                return True
        return False

    def _stack(self, frame: FrameType | None) -> Iterator[FrameType]:
        """The frames from ``frame`` outwards to the call of the primitive."""
        while frame is not None:
            yield frame
            frame = None if frame is self._outermost else frame.f_back

    def _line(self, frame: FrameType) -> str:
        """The innermost line of the project's code that led to the use."""
        frames = list(self._stack(frame))
        own = (each for each in frames if is_own(each.f_globals) and not each.f_code.co_filename.startswith("<"))
        at = next(own, frames[-1])
        return f"{at.f_code.co_filename}:{at.f_lineno}"

    def _breach(self, name: str, where: str | None) -> PrimitiveError:
        if name == "sys.setprofile":
            message = f"primitive '{self._impl_id}' uses {name}, which removes the profiler of the guard"
            fix = "remove the call, or run without --guard"
        else:
            message = f"primitive '{self._impl_id}' uses {name}, which no replay could give it again"
            fix = "take the value from the event's payload or from the context, through a source"
        return PrimitiveError("primitive.nondeterministic", message, where=where, fix=fix)


def guarded(inventory: Inventory) -> Inventory:
    """The inventory with every own primitive under guard; those of the standard library are unchanged."""
    groups = (inventory.sources, inventory.computes, inventory.triggers, inventory.actions)
    own = [primitive for group in groups for key, primitive in group.items() if key not in _STANDARD_IDS]
    stand_ins = StandIns(_used, own)
    return Inventory(
        inventory.catalog,
        _each(inventory.sources, stand_ins),
        _each(inventory.computes, stand_ins),
        _each(inventory.triggers, stand_ins),
        _each(inventory.actions, stand_ins),
    )


@contextmanager
def watching(
    impl_id: str, place: str | None = None, roots: Iterable[object] = (), stand_ins: StandIns | None = None
) -> Generator[None]:
    """Watch what the primitive ``impl_id``, defined at ``place``, does; afterwards everything is as before.

    Stand-ins are put in place wherever ``roots`` and the project's modules hold something forbidden, or those given.
    The garbage collector is off meanwhile: callbacks and finalizers that it runs are not calls of the primitive.
    Raises PrimitiveError ``primitive.nondeterministic`` for the first forbidden use: at once, and again at the end in
    case the primitive caught it; at the end if the profiler is no longer set.
    """
    _listen()
    thread, before, is_collecting = get_ident(), sys.getprofile(), gc.isenabled()
    outer = _watches.get(thread)
    watch, stand_ins = _Watch(impl_id, place, caller(2)), stand_ins or StandIns(_used, roots)
    profile = watch.profile

    def restore() -> None:
        if outer is None:
            _watches.pop(thread, None)
        else:
            _watches[thread] = outer
        setprofile(before)
        stand_ins.take()
        if is_collecting:
            gc.enable()

    is_watching = True
    try:
        stand_ins.put()
        gc.disable()
        _watches[thread] = watch
        setprofile(profile)
        try:
            yield
        except RecursionError:
            raise  # the profiler itself may have met the limit, whereupon Python removes it
        except BaseException:
            is_watching = sys.getprofile() is profile
            raise
        else:
            is_watching = sys.getprofile() is profile
    finally:
        try:
            restore()
        except BaseException:  # a signal: it raises once
            restore()
            raise
        watch.end(is_watching)


@cache
def _listen() -> None:
    """Add the audit hook, once: a process cannot remove it. It does nothing where no primitive is watched."""
    sys.addaudithook(_audited)


def _audited(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watches or not event.startswith(AUDITED):
        return
    watch, name = _watches.get(get_ident()), name_of_event(event, arguments)
    if watch is not None and name is not None:
        watch.use(name, arguments, caller(1))


def _used(name: str, arguments: tuple[Any, ...], frame: FrameType) -> None:
    watch = _watches.get(get_ident())
    if watch is not None:
        watch.use(name, arguments, frame)


def _each(
    primitives: Mapping[str, Primitive[ManifestT, CallT]], stand_ins: StandIns
) -> Mapping[str, Primitive[ManifestT, CallT]]:
    return {
        impl_id: primitive if impl_id in _STANDARD_IDS else _under_guard(primitive, stand_ins)
        for impl_id, primitive in primitives.items()
    }


def _under_guard(primitive: Primitive[ManifestT, CallT], stand_ins: StandIns) -> Primitive[ManifestT, CallT]:
    call, impl_id = cast("Callable[..., Any]", primitive.call), primitive.manifest.id

    def watched(*arguments: object) -> Any:
        with watching(impl_id, primitive.place, stand_ins=stand_ins):
            return call(*arguments)

    return replace(primitive, call=watched)


def _is_pure(name: str, arguments: tuple[Any, ...]) -> bool:
    """Whether a use depends on nothing but its arguments, or reads what belongs to the installation."""
    if name == "hash":
        return all(map(is_steady, arguments))
    if name in BY_ARGUMENTS:
        return len(arguments) >= BY_ARGUMENTS[name] and arguments[0] is not None
    return name in ("open", "io.FileIO") and bool(arguments) and is_zone_file(*arguments[:2])


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__"))
