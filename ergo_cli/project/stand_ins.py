"""Stand-ins for what the determinism guard forbids: they report a use, and otherwise do what the original does.

While a primitive runs, they are in place of the originals in the modules of the standard library, in ``datetime``, in
``os.environ``, and wherever the project's modules hold one: globals, attributes, closures, defaults, lists, dicts,
tuples, partials and iterators. Code in C that calls a function, ``map(time.time, ...)``, so calls a stand-in.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from datetime import date, datetime
from functools import partial
from operator import is_
from types import CellType, CodeType, FrameType, FunctionType, ModuleType
from typing import Any, NamedTuple, cast

from ergo_cli.project.forbidden import CLOCKS, HOLDERS, SYSTEM, name_of_value

Report = Callable[[str, tuple[Any, ...], FrameType], None]
"""Takes the name of what is used, the arguments and the frame that uses it; raises if the use is forbidden there."""

_STANDARD = os.path.dirname(os.__file__) + os.sep
_INSTALLED = ("site-packages", "dist-packages")
_ITERATORS = (map, filter, type(iter(int, 1)))
_BY_ARGUMENTS = frozenset(map(id, (time.strftime, time.asctime, time.gmtime)))
"""Functions that only stand-ins can judge, by their arguments; modules of installed packages may hold them too."""

_DEPTH = 10
"""How deep in each other tuples and iterators are looked into."""

_ATOMS = (int, float, str, bytes, bool, type(None), CodeType, FrameType, ModuleType)


def is_own(namespace: Mapping[str, Any]) -> bool:
    """Whether globals are those of a project's module: not of the standard library, a package installed, or ergo."""
    name, file = str(namespace.get("__name__")), namespace.get("__file__")
    if name == "__main__":
        return True
    if not isinstance(file, str) or name.partition(".")[0] == "ergo_cli":
        return False
    return not file.startswith(_STANDARD) and not any(part in file for part in _INSTALLED)


def caller(depth: int) -> FrameType:
    """The frame that is ``depth`` calls outside the function that asks."""
    return sys._getframe(depth + 1)  # pyright: ignore[reportPrivateUsage] - inspect has no function for it


class StandIn:
    """In place of a function or class; equal to it, and an instance of what it is an instance of."""

    __slots__ = ("_report", "name", "original")

    def __init__(self, original: Any, name: str, report: Report) -> None:
        self.original = original
        self.name = name
        self._report = report

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Report the use, then call the original."""
        self._report(self.name, arguments, caller(1))
        return self.original(*arguments, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)

    __class__ = property(lambda self: self.original.__class__)  # pyright: ignore[reportIncompatibleMethodOverride]

    def __eq__(self, other: object) -> bool:
        return self.original == (other.original if type(other) is StandIn else other)

    def __hash__(self) -> int:
        return hash(self.original)

    def __repr__(self) -> str:
        return repr(self.original)

    def __reduce__(self) -> Any:
        return self.original.__reduce__()

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self.original)

    def __subclasscheck__(self, subclass: type) -> bool:
        return issubclass(subclass, self.original)

    def __mro_entries__(self, bases: tuple[object, ...]) -> tuple[Any, ...]:
        return (self.original,)


def is_call(frame: FrameType) -> bool:
    """Whether a frame is the call of a stand-in."""
    return frame.f_code is StandIn.__call__.__code__


class _ClockMethod:
    """In place of a class method of ``datetime`` or ``date`` that reads the clock."""

    def __init__(self, original: Any, name: str, report: Report) -> None:
        self.original = original
        self._name = name
        self._report = report

    def __get__(self, instance: object, owner: type) -> StandIn:
        return StandIn(self.original.__get__(instance, owner), f"{owner.__name__}.{self._name}", self._report)


class _Environment(MutableMapping[Any, Any]):
    """In place of the dict behind ``os.environ``."""

    def __init__(self, original: dict[Any, Any], report: Report) -> None:
        self.original = original
        self._report = report

    def _used(self) -> dict[Any, Any]:
        self._report("os.environ", (), caller(2))
        return self.original

    def __getitem__(self, key: Any) -> Any:
        return self._used()[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._used()[key] = value

    def __delitem__(self, key: Any) -> None:
        del self._used()[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._used())

    def __len__(self) -> int:
        return len(self._used())


class _Held(NamedTuple):
    """What a holder holds under its keys: originals, and the stand-ins for them."""

    holder: Any
    originals: dict[Any, Any]
    stand_ins: dict[Any, Any]


class StandIns:
    """The stand-ins of one process for one group of primitives, found when they are first put in place."""

    def __init__(self, report: Report, roots: Iterable[object] = ()) -> None:
        self._report = report
        self._roots = list(roots)
        self._made: dict[int, Any] = {}
        self._held: list[_Held] = []
        self._modules: set[str] = set()
        self._is_ready = False

    def put(self) -> None:
        """Put the stand-ins in place of the originals."""
        if not self._is_ready:
            self._held = [*self._in_classes(), *self._in_environment(), *self._in_standard_library()]
            self._held += self._in_libraries()
            self._held += self._reachable([*filter(is_own, self._new_modules()), *self._roots])
            self._is_ready = True
        for held in self._held:
            _swap(held.holder, held.originals, held.stand_ins)
        _refresh()

    def take(self) -> None:
        """Put every original back, also in modules that were imported meanwhile."""
        for held in self._held:
            _swap(held.holder, held.stand_ins, held.originals)
        _refresh()
        if self._is_ready and len(sys.modules) != len(self._modules):
            self._take_from(self._new_modules())

    def _take_from(self, namespaces: list[dict[str, Any]]) -> None:
        """Put originals where modules were given stand-ins when they were imported, and know them from now on."""
        known = len(self._held)
        self._held += self._reachable([*filter(is_own, namespaces)])
        for namespace in namespaces:
            self._held += self._held_by(namespace, namespace.items())
        for held in self._held[known:]:
            _swap(held.holder, held.stand_ins, held.originals)

    def _new_modules(self) -> list[dict[str, Any]]:
        """The globals of the modules that were imported since the last time."""
        new = [vars(module) for name, module in _modules() if name not in self._modules]
        self._modules = set(sys.modules)
        return new

    def _in_classes(self) -> Iterator[_Held]:
        for clock in (date, datetime):
            (namespace,) = gc.get_referents(clock.__dict__)
            originals = {name: _original(namespace[name]) for name in CLOCKS if name in namespace}
            methods = {name: _ClockMethod(original, name, self._report) for name, original in originals.items()}
            yield _Held(namespace, originals, methods)

    def _in_environment(self) -> Iterator[_Held]:
        systems = [vars(sys.modules[name]) for name in SYSTEM if name in sys.modules]
        places = [(vars(os.environ), "_data"), *((system, "environ") for system in systems)]
        if hasattr(os, "environb"):
            places.append((vars(os.environb), "_data"))
        for holder, key in places:
            original = _original(holder[key])
            stand_in = self._made.setdefault(id(original), _Environment(original, self._report))
            yield _Held(holder, {key: original}, {key: stand_in})

    def _in_standard_library(self) -> Iterator[_Held]:
        for namespace in (vars(sys.modules[name]) for name in HOLDERS if name in sys.modules):
            yield from self._held_by(namespace, namespace.items())

    def _in_libraries(self) -> Iterator[_Held]:
        """In modules that are not the project's, only the functions that depend on their arguments."""
        for namespace in (vars(module) for name, module in _modules() if name not in HOLDERS):
            if not is_own(namespace):
                items = list(namespace.items())
                found = [(key, it) for key, it in items if id(it) in _BY_ARGUMENTS or type(it) is StandIn]
                yield from self._held_by(namespace, found)

    def _reachable(self, roots: list[object]) -> Iterator[_Held]:
        """What objects of the project hold, however deep; library code and modules are not entered."""
        queue, kept, seen = roots, list[object](), _library_namespaces()
        while queue:
            holder = queue.pop()
            if id(holder) in seen or issubclass(type(holder), (*_ATOMS, StandIns)):
                continue
            seen.add(id(holder))
            kept.append(holder)  # or another object might have its id
            keyed, others = _contents(holder)
            yield from self._held_by(holder, keyed)
            queue += [value for _, value in keyed]
            queue += others

    def _held_by(self, holder: object, items: Iterable[tuple[Any, object]]) -> Iterator[_Held]:
        found = [(key, value, other) for key, value in items if (other := self._stand_in(value)) is not None]
        if found:
            yield _Held(holder, {key: _original(value) for key, value, _ in found}, {key: it for key, _, it in found})

    def _stand_in(self, value: Any, depth: int = 0) -> Any:
        """What to put in place of ``value``: a stand-in, or a tuple or iterator with one in it; or None."""
        if type(value) in (StandIn, _Environment):
            return value
        if id(value) in self._made:
            return self._made[id(value)]
        name = name_of_value(value)
        if name is not None:
            return self._made.setdefault(id(value), StandIn(value, name, self._report))
        make, parts = _parts(value)
        others = [self._stand_in(part, depth + 1) for part in parts] if depth < _DEPTH else []
        if all(other is None for other in others):
            return None
        return make(*(part if other is None else other for part, other in zip(parts, others, strict=True)))


def _modules() -> list[tuple[str, ModuleType]]:
    loaded: list[tuple[str, object]] = list(sys.modules.items())
    return [(name, module) for name, module in loaded if isinstance(module, ModuleType)]


def _library_namespaces() -> set[int]:
    """The ids of the globals of every module that is not the project's."""
    namespaces = (vars(module) for module in sys.modules.values() if hasattr(module, "__dict__"))
    return {id(namespace) for namespace in namespaces if not is_own(namespace)}


def _original(value: Any) -> Any:
    return value.original if type(value) in (StandIn, _ClockMethod, _Environment) else value


def _parts(value: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """What an immutable value is made of, and how to make another one of such parts."""
    kind = cast("type[Any]", type(value))
    if kind is tuple:
        return lambda *items: items, value
    if kind in (staticmethod, classmethod):
        return kind, (value.__func__,)
    if kind in _ITERATORS:
        return value.__reduce__()[:2]
    return tuple, ()


def _contents(holder: Any) -> tuple[list[tuple[Any, object]], list[object]]:
    """What is in an object: by a key under which another value can be put, and other objects."""
    kind = cast("type[Any]", type(holder))
    if kind is dict:
        return list(holder.items()), []
    if kind is list:
        return list(enumerate(cast("list[object]", holder))), []
    if kind is CellType:
        return [("cell_contents", content) for content in gc.get_referents(holder)], []
    if kind is partial:
        return [("func", holder.func), *enumerate(holder.args)], [holder.keywords, vars(holder)]
    if kind is FunctionType:
        return _contents_of_function(holder)
    if issubclass(kind, type):
        module = sys.modules.get(str(holder.__module__))
        return ([] if module is None or not is_own(vars(module)) else list(_class_namespace(holder).items())), []
    return [], [*gc.get_referents(holder), *_attributes(holder)]


def _contents_of_function(function: FunctionType) -> tuple[list[tuple[Any, object]], list[object]]:
    """The closure of any function, which may hold the project's; of one of the project also defaults and globals."""
    others: list[object] = [*(function.__closure__ or ()), vars(function)]
    if not is_own(function.__globals__):
        return [], others
    return [("__defaults__", function.__defaults__)], [*others, function.__kwdefaults__, function.__globals__]


def _attributes(value: object) -> list[object]:
    """The dict of an object's attributes, without asking code of its class."""
    try:
        return [object.__getattribute__(value, "__dict__")]
    except AttributeError:
        return []


def _swap(holder: Any, before: dict[Any, Any], after: dict[Any, Any]) -> None:
    """Put the values ``after`` where the values ``before`` still are."""
    if type(holder) is dict:
        namespace = cast("dict[Any, Any]", holder)
        if all(map(is_, map(namespace.get, before), before.values())):
            namespace.update(after)  # without a loop in Python: it runs twice a call
            return
        for key, value in before.items():
            if namespace.get(key) is value:
                namespace[key] = after[key]
        return
    for key, value in before.items():
        if _at(holder, key) is value:
            _bind(holder, key, after[key])


def _at(holder: Any, key: Any) -> object:
    kind = cast("type[Any]", type(holder))
    if kind is list:
        return holder[key] if key < len(holder) else None
    if kind is partial:
        return holder.func if key == "func" else holder.args[key]
    return _class_namespace(holder).get(key) if issubclass(kind, type) else getattr(holder, key, None)


def _bind(holder: Any, key: Any, value: object) -> None:
    kind = cast("type[Any]", type(holder))
    if kind is list:
        holder[key] = value
    elif kind is partial:
        _set_part(holder, key, value)
    elif issubclass(kind, type):
        type.__setattr__(holder, key, value)
    else:
        setattr(holder, key, value)


def _set_part(holder: Any, key: Any, value: object) -> None:
    """Change a partial itself, wherever it is."""
    function = value if key == "func" else holder.func
    arguments = tuple(value if index == key else each for index, each in enumerate(holder.args))
    holder.__setstate__((function, arguments, holder.keywords, vars(holder)))


def _class_namespace(holder: Any) -> Mapping[str, object]:
    return cast("Mapping[str, object]", vars(holder))


def _refresh() -> None:
    """Let Python forget which methods of ``date`` and its subclasses it found before: their classes are in C."""
    import ctypes  # only the guard needs the import

    ctypes.pythonapi.PyType_Modified(ctypes.py_object(date))
