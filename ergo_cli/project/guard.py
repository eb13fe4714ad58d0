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
from ergo_cli.project.forbidden import AUDITED, OF_OWN_CODE, is_steady, name_of_c, name_of_event, name_of_python
from ergo_cli.project.stand_ins import StandIns, caller, is_own

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
        """Look at an event of the profiler."""
        name = name_of_python(frame) if event == "call" else name_of_c(function) if event == "c_call" else None
        if name is not None and _watches.get(get_ident()) is self:
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
        if name in OF_OWN_CODE:
            is_pure = name == "hash" and all(map(is_steady, arguments))
            return not is_pure and is_own(frame.f_globals) and frame.f_code.co_name != "__hash__"
        return not any(_module(each).startswith(_NOT_THE_PRIMITIVES) for each in self._stack(frame))

    def _stack(self, frame: FrameType | None) -> Iterator[FrameType]:
        """The frames from ``frame`` outwards to the call of the primitive."""
        while frame is not None:
            yield frame
            frame = None if frame is self._outermost else frame.f_back

    def _line(self, frame: FrameType) -> str:
        """The innermost line of the project's code that led to the use."""
        frames = list(self._stack(frame))
        at = next((each for each in frames if is_own(each.f_globals)), frames[-1])
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
        watch.use(name, (), caller(1))


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


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__"))
