"""Which members of a state a step function looks at: it is called once more, on a state that notes what is read."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from msgspec import Struct

from ergo_cli.core.json import JsonValue, Location, Member, canonical
from ergo_cli.programs.kernel.program import Kernel

_MOST = 100


def members_read(kernel: Kernel[Any], state: JsonValue) -> list[Location]:
    """The members that a step function reads of a state, given as JSON, in the order in which it first does.

    At most a hundred, those that the state lacks too; of a whole that is read for its parts these alone. Whatever the
    step function raises is left aside: it has been called on this state before.
    """
    read: dict[Location, None] = {}
    with suppress(Exception, SystemExit):
        kernel.step(_watched(kernel.codec.decode(canonical(state)), (), read))
    places = list(read)[:_MOST]
    return [place for place in places if not any(other[: len(place)] == place and other != place for other in places)]


def _watched(value: Any, at: Location, read: dict[Location, None]) -> Any:
    """A value that notes in ``read`` which of its members are read; any other value than an object as it is."""
    if value.__class__ is dict:
        return _WatchedDict(value, at, read)
    if isinstance(value, Struct):
        return _watched_struct(value, at, read)
    return value


class _WatchedDict(dict[str, Any]):
    """An object whose members are noted when code asks for them by name, one by one."""

    def __init__(self, members: dict[str, Any], at: Location, read: dict[Location, None]) -> None:
        super().__init__(members)
        self._at = at
        self._read = read

    def __getitem__(self, name: str) -> Any:
        return _watched(super().__getitem__(name), self._note(name), self._read)

    def __contains__(self, name: object) -> bool:
        self._note(name)
        return super().__contains__(name)

    def get(self, name: str, default: Any = None) -> Any:
        return _watched(super().get(name, default), self._note(name), self._read)

    def items(self) -> Any:
        return [(name, self[name]) for name in self]

    def values(self) -> Any:
        return [self[name] for name in self]

    def _note(self, name: object) -> Location:
        place = (*self._at, Member(str(name)))
        self._read[place] = None
        return place


def _watched_struct(value: Struct, at: Location, read: dict[Location, None]) -> Any:
    """A struct of a subclass that notes which fields are read."""
    names = dict(zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True))

    def noted(self: Any, name: str) -> Any:
        found = object.__getattribute__(self, name)
        if name not in names:
            return found
        place = (*at, Member(names[name]))
        read[place] = None
        return _watched(found, place, read)

    kind: Any = type(value)
    watched = type(kind)(kind.__name__, (kind,), {"__getattribute__": noted, "__module__": kind.__module__})
    return watched(**{name: getattr(value, name) for name in names})
