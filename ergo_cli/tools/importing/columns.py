"""Which columns of a row are its id, its time and its payload."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import Enum

from msgspec import Struct

from ergo_cli.core.json import JsonValue, Member
from ergo_cli.errors import UsageError
from ergo_cli.events.payload_paths import PayloadPath
from ergo_cli.tools.importing.batches import Row
from ergo_cli.tools.importing.faults import quoted

_LISTED = re.compile(r'(?:"(?:[^"\\]|\\.)*+"|[^,"])+')
_RENAMED = re.compile(r'(?P<name>(?:"(?:[^"\\]|\\.)*+"|[^="])+)=(?P<column>.+)', re.DOTALL)


class Column:
    """A column by its name, or a place inside one by its path: ``Adj Close``, ``data.object.id``."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.is_met = False
        try:
            self._path = PayloadPath.parse(text)
        except ValueError:
            self._path = None
        first = self._path.steps[0] if self._path is not None and len(self._path.steps) == 1 else None
        self.name = first.name if isinstance(first, Member) else text

    def value(self, row: Row) -> JsonValue:
        """The value in a row; None where there is none."""
        name = self.member(row)
        if name is not None:
            self.is_met = True
            return row[name]
        value = None if self._path is None else self._path.value(dict(row))
        self.is_met = self.is_met or value is not None
        return value

    def member(self, row: Row) -> str | None:
        """The name of the whole column of the row that this is."""
        if self.text in row:
            return self.text
        return self.name if self.name in row else None


class Renamed(Struct, frozen=True):
    """A member of the payload, at a path of names, and the column that it comes from."""

    target: tuple[str, ...]
    column: Column


class Missing(Enum):
    """What becomes of a row that lacks a value."""

    NULL = "null"
    DROP = "drop"
    REFUSE = "refuse"


class Columns(Struct, frozen=True):
    """What is made of the columns of a row. Without ``ids`` an event is called by the number of its row."""

    ids: tuple[Column, ...] = ()
    times: tuple[Column, ...] = ()
    renamed: tuple[Renamed, ...] = ()
    dropped: tuple[Column, ...] = ()

    @property
    def all(self) -> Iterable[Column]:
        """Every column that is named."""
        return (*self.ids, *self.times, *(each.column for each in self.renamed), *self.dropped)

    def payload(self, row: Row) -> dict[str, JsonValue]:
        """The payload of a row: all columns but those dropped, under their new names where they have one."""
        payload = dict(row)
        if not self.renamed and not self.dropped:
            return payload
        for column in self.dropped:
            column.value(row)
            name = column.member(row)
            if name is not None:
                payload.pop(name, None)
        values = [each.column.value(row) for each in self.renamed]
        for each in self.renamed:
            name = each.column.member(row)
            if name is not None:
                payload.pop(name, None)
        made = set[str]()
        for each, value in zip(self.renamed, values, strict=True):
            first = each.target[0]
            if first in payload and first not in made:
                raise _taken(first)
            made.add(first)
            _put(payload, each.target, value)
        return payload


def _taken(name: str) -> UsageError:
    message = f"{quoted(name)} is a column, and --map gives its name to another"
    fix = f"leave the column out with --drop {name}, or give another name"
    return UsageError("cli.conflicting_options", message, where="option --map", fix=fix)


def _put(payload: dict[str, JsonValue], target: Sequence[str], value: JsonValue) -> None:
    *above, last = target
    for name in above:
        below = payload.get(name)
        payload[name] = payload = dict(below) if isinstance(below, dict) else {}  # a copy: rows stay as they were
    payload[last] = value


def listed(texts: Iterable[str]) -> tuple[Column, ...]:
    """The columns of options whose values are names with commas between them; a name with a comma is in quotes."""
    return tuple(Column(name.strip()) for text in texts for name in _LISTED.findall(text) if name.strip())


def renamed_of(texts: Iterable[str]) -> tuple[Renamed, ...]:
    """The members of ``--map NAME=COLUMN``. Raises UsageError ``cli.invalid_option_value``, also for a repeated one."""
    found: dict[tuple[str, ...], Renamed] = {}
    for text in texts:
        parts = _RENAMED.fullmatch(text)
        if parts is None:
            raise _invalid(f"'{text}' is not NAME=COLUMN")
        target = _target(parts["name"])
        if any(target[: len(other)] == other or other[: len(target)] == target for other in found):
            raise _invalid(f"'{parts['name']}' is given two columns")
        found[target] = Renamed(target, Column(parts["column"]))
    return tuple(found.values())


def _target(text: str) -> tuple[str, ...]:
    try:
        steps = PayloadPath.parse(text).steps
    except ValueError as error:
        raise _invalid(str(error)) from None
    names = tuple(step.name for step in steps if isinstance(step, Member))
    if len(names) < len(steps):
        raise _invalid(f"'{text}' is no path of names")
    return names


def _invalid(message: str) -> UsageError:
    fix = 'write the member of the payload and the column, such as price=Close, or row."Adj Close"="Adj Close"'
    return UsageError("cli.invalid_option_value", message, where="option --map", fix=fix)
