"""The forms in which a line may give the time of its event (spec 00 §12.2, 10 §2, 30 §2)."""

from __future__ import annotations

from ergo_cli.core.json import JsonValue
from ergo_cli.core.numbers import Numbers
from ergo_cli.core.time import Duration, parse_duration
from ergo_cli.events.external import json_type
from ergo_cli.events.members import Member, RecordFault, known_members, members_at

_OBJECT = '{"secs":5,"nanos":0}'
_FIXTURE_FIX = f'write {_OBJECT} or a duration such as "1500ms", "5s", "2m", "1h"'
_HOSTED_FIX = f"write {_OBJECT}"


def fixture_instant(text: str, at: Member | None) -> int:
    """Ns of a fixture record's ``at``: an object or a duration literal, zero if absent or null. Raises RecordFault."""
    if at is None or at.value is None:
        return 0
    if isinstance(at.value, str):
        return _literal(at.value, at)
    if isinstance(at.value, dict):
        return _object(text, at, _FIXTURE_FIX)
    raise RecordFault(f"`at` must be an object or a duration, got {json_type(at.value)}", at.at, _FIXTURE_FIX)


def hosted_instant(text: str, at: Member) -> int:
    """Ns of a hosted event's ``at``: an object or ``[secs, nanos]``. Raises RecordFault."""
    if isinstance(at.value, dict):
        return _object(text, at, _HOSTED_FIX)
    if isinstance(at.value, list) and len(at.value) == 2:
        return _instant(at.value[0], at.value[1], at, _HOSTED_FIX)
    raise RecordFault(f"`at` must be an object with `secs` and `nanos`, got {json_type(at.value)}", at.at, _HOSTED_FIX)


def _literal(literal: str, at: Member) -> int:
    try:
        return parse_duration(literal)
    except ValueError as error:
        raise RecordFault(f"`at`: {error}", at.at, _FIXTURE_FIX) from error


def _object(text: str, at: Member, fix: str) -> int:
    found = known_members(members_at(text, at.at, Numbers.EXACT), ("secs", "nanos"), closed=True)
    for name in ("secs", "nanos"):
        if name not in found:
            raise RecordFault(f"`at`: missing field `{name}`", at.at, fix)
    return _instant(found["secs"].value, found["nanos"].value, at, fix)


def _instant(secs: JsonValue, nanos: JsonValue, at: Member, fix: str) -> int:
    if type(secs) is not int or type(nanos) is not int:
        raise RecordFault("`at`: `secs` and `nanos` must be whole numbers of at least 0", at.at, fix)
    try:
        return Duration(secs, nanos).ns
    except ValueError as error:
        raise RecordFault(f"`at`: {error}", at.at, fix) from error
