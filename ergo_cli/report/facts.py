"""One divergence in the user's own words: ``-`` only recorded, ``+`` only today, ``~`` a value that differs (spec 70).

A write is ``key = value``, an intent ``kind  field=value``, a record its name and fields. Nothing here knows a kind of
program: records come named by their kind.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec
from msgspec import Struct

from ergo_cli.core.json import JsonValue
from ergo_cli.core.tree_differences import differing_members
from ergo_cli.core.values import ValueType
from ergo_cli.programs.recorded import LogDifference, RecordLine
from ergo_cli.replay.results import Divergence, DivergenceKind
from ergo_cli.report.layout import cell_width
from ergo_cli.report.text import GAP, Row, Tone, shorten, shorten_pair

_TAGS = frozenset(kind.value for kind in ValueType)
_EFFECT = re.compile(r"effects\[\d+\]")
_WRITE = re.compile(r"effects\[\d+\]\.writes\[(\d+)\](?:\.value(?:\.\w+)?)?")
_INTENT = re.compile(r"effects\[\d+\]\.intents\[(\d+)\]")
_FIELD = re.compile(r"effects\[\d+\]\.intents\[(\d+)\]\.fields\[(\d+)\](?:\.value(?:\.\w+)?)?")
_END = re.compile(r"journals\[\d+\]\.records\[\d+\]\.end\.termination")
SIGN_TONES = {"-": Tone.REMOVED, "+": Tone.ADDED, "~": Tone.PLAIN}
_LINE = 76
_LEAST = 16
_LEAST_FIELD = 8
_SHORT = 24
_WHOLE = frozenset({DivergenceKind.DECISION_MISSING, DivergenceKind.DECISION_EXTRA})


class Fact(Struct, frozen=True):
    """What differs: its sign, what it is about, its value or both values, and what made it.

    ``subject`` is the same for every divergence of one group, ``joint`` stands between it and the values. ``parts`` are
    the values one by one, of which a group shows those that all have.
    """

    sign: str
    subject: str
    values: str = ""
    made: str = ""
    joint: str = "  "
    parts: tuple[str, ...] = ()
    pair: tuple[str, str] | None = None
    """Both values of ``~`` whole, where ``values`` shows them."""
    is_name: bool = False
    """Whether ``values`` is a name, which is never cut."""

    @property
    def row(self) -> Row:
        """The fact as a line."""
        return Row((f"{self.sign} {self.text}", self.made), SIGN_TONES[self.sign])

    @property
    def text(self) -> str:
        """What it is about and its values, without the sign."""
        return f"{self.subject}{self.joint}{self.values}" if self.values else self.subject


def facts(divergence: Divergence) -> list[Fact]:
    """The facts of one divergence, at least one."""
    return list(_facts(divergence))


FactsOf = Callable[[Divergence], Sequence[Fact]]


def remembered() -> FactsOf:
    """``facts`` that makes those of a divergence once, however often a report needs them; it keeps both."""
    found: dict[int, tuple[Divergence, list[Fact]]] = {}

    def of(divergence: Divergence) -> list[Fact]:
        known = found.get(id(divergence))
        if known is None:  # the divergence is kept with its facts, so that its id stays its own
            known = found[id(divergence)] = divergence, facts(divergence)
        return known[1]

    return of


def records(log: LogDifference) -> Fact | None:
    """The two records of a log in one line, by their names; None where states differ."""
    here, there = log.lines
    if here is None or there is None:
        alone = here or there
        return None if alone is None else Fact("+" if here is None else "-", alone.name)
    return Fact("~", here.name, "" if here.name == there.name else f"-> {there.name}", joint=" ", is_name=True)


def value_line(value: JsonValue) -> str:
    """A value on one line of JSON; a tagged one without its tag, and if it is the text of an object as that object."""
    if isinstance(value, dict) and len(value) == 1 and value.keys() <= _TAGS:
        (value,) = value.values()
        value = _held(value) or value
    return msgspec.json.format(msgspec.json.encode(value), indent=0).decode()


def _held(value: JsonValue) -> JsonValue:
    """The object that a text holds as JSON; None where it holds none."""
    if not (isinstance(value, str) and value.startswith("{")):
        return None
    try:
        return msgspec.json.decode(value, type=dict[str, Any])
    except msgspec.DecodeError:
        return None


def effect_facts(sign: str, effect: JsonValue, node: str | None = None, *, width: int = _LINE) -> Iterator[Fact]:
    """The facts of a whole effect: its writes, then its intents; values are cut where a fact would be wider.

    Members that are left out of the effect are not shown.
    """
    by = "" if node is None else f"by {node}"
    parts = effect if isinstance(effect, dict) else {}
    kind, writes, intents = parts.get("kind"), _items(parts, "writes"), _items(parts, "intents")
    for write in writes:
        yield _written(sign, write, _joined(kind, by), width)
    for intent in intents:
        yield _intended(sign, intent, by, width)
    if not writes and not intents:
        yield Fact(sign, str(kind), made=by) if kind else Fact(sign, "effect", shorten(value_line(effect), width), by)


def _facts(divergence: Divergence) -> Iterator[Fact]:
    node, kind, path = divergence.node, divergence.kind, divergence.path
    if divergence.log is not None:
        yield from _log_facts(divergence, divergence.log)
    elif _EFFECT.fullmatch(path) and (divergence.expected is None or divergence.actual is None):
        sign, effect = ("+", divergence.actual) if divergence.expected is None else ("-", divergence.expected)
        yield from effect_facts(sign, effect, node)
    elif kind is DivergenceKind.EFFECT_ORDER:
        yield Fact("~", "the order of the effects")
    elif kind is DivergenceKind.PROGRAM:
        yield Fact("+", "the program stops here:", str(divergence.actual), joint=" ")
    elif path.endswith(".effect_hash"):
        yield Fact("~", "the recorded hash of an effect, which is otherwise the same")
    elif kind in _WHOLE:
        yield _leaf("decision", divergence)
    elif not path:
        yield _leaf(kind.value.replace("_", " "), divergence)
    else:
        yield _place(divergence)


def _place(divergence: Divergence) -> Fact:
    """A leaf: of a write or an intent by its key or field, of the end of a call by what ended, else by its path."""
    path, effect = divergence.path, divergence.effect
    by = "" if divergence.node is None else f"by {divergence.node}"
    if isinstance(effect, dict):
        made = _joined(effect.get("kind"), by)
        if (at := _WRITE.fullmatch(path)) is not None:
            return _one_write(divergence, _items(effect, "writes"), int(at[1]), made)
        if _INTENT.fullmatch(path) and isinstance(alone := _alone(divergence), dict):
            return _intended("+" if divergence.expected is None else "-", alone, by)
        if (at := _FIELD.fullmatch(path)) is not None:
            intent = _item(_items(effect, "intents"), int(at[1]))
            return _one_field(divergence, intent, int(at[2]), by)
    if _END.fullmatch(path):
        ended = "at the end" if divergence.event_id is None else "of an attempt"
        return _leaf(f"termination {ended}", divergence, by)
    return _leaf(path, divergence, by)


def _one_write(divergence: Divergence, writes: list[Any], index: int, made: str) -> Fact:
    write = _alone(divergence)
    if isinstance(write, dict) and write.keys() & {"key", "value"}:
        return _written("+" if divergence.expected is None else "-", write, made)
    key = _item(writes, index).get("key")
    return _leaf(divergence.path if key is None else str(key), divergence, made)


def _one_field(divergence: Divergence, intent: Mapping[str, Any], index: int, made: str) -> Fact:
    kind, path, field = intent.get("kind"), divergence.path, _alone(divergence)
    if kind is not None and isinstance(field, dict) and field.keys() == {"name", "value"}:
        subject = f"{kind}.{field['name']}"
        value = _fitting(value_line(field["value"]), subject)
        return Fact("+" if divergence.expected is None else "-", subject, value, made)
    name = _item(_items(intent, "fields"), index).get("name")
    return _leaf(path if None in (kind, name) or ".value" not in path else f"{kind}.{name}", divergence, made)


def _alone(divergence: Divergence) -> JsonValue:
    """The value of the one side that has it; None where both have one."""
    if divergence.expected is None:
        return divergence.actual
    return divergence.expected if divergence.actual is None else None


def _items(parts: Mapping[str, Any], name: str) -> list[Any]:
    """The items of a member that may be left out."""
    items = parts.get(name)
    return cast(list[Any], items) if isinstance(items, list) else []


def _item(items: list[Any], index: int) -> dict[str, Any]:
    """The item with an index; an empty one where it is left out."""
    item = items[index] if index < len(items) else None
    return cast(dict[str, Any], item) if isinstance(item, dict) else {}


def _joined(kind: object, by: str) -> str:
    return " ".join(filter(None, (str(kind) if kind else "", by)))


def _leaf(subject: str, divergence: Divergence, made: str = "") -> Fact:
    expected, actual = divergence.expected, divergence.actual
    if expected is None or actual is None:
        sign, value = ("+", actual) if expected is None else ("-", expected)
        return Fact(sign, subject, _fitting(value_line(value), subject), made)
    return _changed(subject, value_line(expected), value_line(actual), made)


def _changed(subject: str, expected: str, actual: str, made: str = "") -> Fact:
    return Fact("~", subject, pair_line(expected, actual, subject), made, pair=(expected, actual))


def pair_line(expected: str, actual: str, subject: str) -> str:
    """``expected -> actual``, cut where they do not differ, and beyond that in the middle of what differs."""
    room = max(_LEAST, (_LINE - cell_width(subject) - 8) // 2)
    here, there = shorten_pair(expected, actual, room)
    if cell_width(here) > 2 * room or cell_width(there) > 2 * room:
        here, there = _beginnings(expected, actual, room - 2 * len(GAP))
    return f"{here} -> {there}"


def pair_within(expected: str, actual: str, width: int) -> str:
    """``expected -> actual`` in about ``width`` columns: whole if they fit, else each side cut around what differs."""
    whole = f"{expected} -> {actual}"
    if cell_width(whole) <= width:
        return whole
    room = max(_LEAST, (width - 4) // 2)
    here, there = shorten_pair(expected, actual, room)
    if cell_width(here) > room or cell_width(there) > room:
        here, there = _beginnings(expected, actual, room - 2 * len(GAP))
    return f"{here} -> {there}"


def _beginnings(expected: str, actual: str, room: int) -> tuple[str, str]:
    """Both texts from just before the first place where they differ, cut to ``room`` characters."""
    same = next((at for at, pair in enumerate(zip(expected, actual, strict=False)) if pair[0] != pair[1]), 0)
    start = max(0, same - room // 4)
    return _cut(expected, start, room), _cut(actual, start, room)


def _cut(text: str, start: int, room: int) -> str:
    head, tail = GAP if start else "", GAP if len(text) > start + room else ""
    return head + text[start : start + room] + tail


def _or_none(value: JsonValue) -> str:
    return "(none)" if value is None else value_line(value)


def _fitting(text: str, subject: str, width: int = _LINE) -> str:
    return shorten(text, max(2 * _LEAST, width - cell_width(subject) - 4))


def _written(sign: str, write: Any, made: str, width: int = _LINE) -> Fact:
    key = str(write.get("key", "a write"))
    value = _fitting(value_line(write["value"]), key, width) if "value" in write else ""
    return Fact(sign, key, value, made, " = ")


def _intended(sign: str, intent: Any, made: str, width: int = _LINE) -> Fact:
    kind = str(intent.get("kind", "an intent"))
    pairs = [_field(field) for field in _items(intent, "fields")]
    fields = tuple("=".join(filter(None, pair)) for pair in pairs)
    return Fact(sign, kind, _pairs_within(pairs, width - cell_width(kind) - 4), made, parts=fields)


def _field(field: Any) -> tuple[str, str]:
    """The name of a field and its value, empty where it is left out."""
    name = str(field.get("name", "a field"))
    return name, value_line(field["value"]) if "value" in field else ""


def _pairs_within(pairs: Sequence[tuple[str, str]], room: int) -> str:
    """``name=value`` of every pair in about ``room`` columns: long values are cut, names and short values never."""
    long = [value for _, value in pairs if len(value) > _SHORT]
    spare = room - sum(len(name) + 2 + (len(value) if len(value) <= _SHORT else 0) for name, value in pairs)
    each = max(_LEAST_FIELD, spare // max(1, len(long)))
    texts = [(name, value if len(value) <= _SHORT else shorten(value, each)) for name, value in pairs]
    return " ".join("=".join(filter(None, pair)) for pair in texts)


def _log_facts(divergence: Divergence, log: LogDifference) -> Iterator[Fact]:
    """The records of both sides; where the records are equal, the members of the state that differ."""
    here, there = log.lines
    if here is None and there is None:
        if not log.state and log.error is None:
            yield Fact("~", "the state, of which the recording holds only a digest", _written_since(log))
        made = "" if divergence.node is None else f"by {divergence.node}"
        for path, expected, actual in log.state:
            yield _changed(path, _or_none(expected), _or_none(actual), made)
    elif here is not None and there is not None and here.name == there.name:
        yield from _record_pair(divergence, here, there)
    else:
        width = max(cell_width(line.name) for line in (here, there) if line is not None)
        for sign, line in (("-", here), ("+", there)):
            if line is not None:
                gap = " " * (1 + width - cell_width(line.name))
                fields = "" if line.fields is None else _beginning(line.fields, _LINE - width - 3)
                yield Fact(sign, line.name, fields, joint=gap)
    if log.error is not None:
        yield Fact("+", "the call ends with", log.error, joint=" ")


def _written_since(log: LogDifference) -> str:
    """The members of today's state that the call has written: the recorded ones are among them."""
    changed = differing_members(log.states[0], log.states[-1]) if log.states else ()
    return _fitting(f"today {named_values((path, now) for path, _, now in changed)}", "", _LINE) if changed else ""


def _beginning(value: JsonValue, room: int) -> str:
    """A value in about ``room`` columns: of an object its first members, each name whole; anything else cut inside."""
    whole = value_line(value)
    if cell_width(whole) <= room or not isinstance(value, dict):
        return whole if cell_width(whole) <= room else shorten(whole, max(2 * _LEAST, room))
    shown: list[str] = []
    left = room - len("{}")
    for name, member in value.items():
        text, is_last = f"{value_line(name)}: ", len(shown) == len(value) - 1
        behind = 0 if is_last else len(f", {GAP}")
        inside = left - cell_width(text) - behind
        each = value_line(member)
        if cell_width(each) > inside and shown and inside < _LEAST:
            break
        shown.append(text + shorten(each, max(_LEAST, inside)))
        left -= cell_width(shown[-1]) + len(", ")
        if cell_width(each) > inside:
            break
    rest = [GAP] if len(shown) < len(value) else []
    return "{" + ", ".join([*shown, *rest]) + "}"


def named_values(pairs: Iterable[tuple[str, JsonValue]]) -> str:
    """``plan = "refund", approved = (none)``."""
    return ", ".join(f"{name} = {_or_none(value)}" for name, value in pairs)


def _record_pair(divergence: Divergence, here: RecordLine, there: RecordLine) -> Iterator[Fact]:
    """Two records of one name: both on lines of their own, cut where they do not differ."""
    fields = value_line(here.fields), value_line(there.fields)
    if fields[0] == fields[1]:
        yield _leaf(f"{here.name} {divergence.path.rpartition(']')[2].lstrip('.')}", divergence)
        return
    room = _LINE - cell_width(here.name) - 4
    pair = shorten_pair(*fields, room)
    if max(map(cell_width, pair)) > 2 * room:
        pair = _beginnings(*fields, room)
    for sign, text in zip("-+", pair, strict=True):
        yield Fact(sign, here.name, text, joint=" ")
