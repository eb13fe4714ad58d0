"""Times as a source writes them, as nanoseconds since 1970: ISO 8601 with zones, and counts of an epoch."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from enum import Enum

from ergo_cli.core.json import JsonValue
from ergo_cli.core.time import NANOS
from ergo_cli.errors import UsageError
from ergo_cli.tools.importing.faults import quoted, value_fault

_ISO = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:(?:[Tt]| +)([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,9}))?)?)?"
    r" ?([Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)
_COUNT = re.compile(r"[0-9]{1,25}(?:\.[0-9]{1,25})?")
_EPOCH = date(1970, 1, 1).toordinal()
_DAY = 86_400
_FIX_EARLY = "leave such rows out, or import without --at"
_FORMS = "write it like 2024-11-12T09:14:02.123Z, or as a count since 1970"


class Unit(Enum):
    """What a count since 1970 counts."""

    S = "s"
    MS = "ms"
    US = "us"
    NS = "ns"


_NANOS = {Unit.S: NANOS, Unit.MS: 1_000_000, Unit.US: 1_000, Unit.NS: 1}
_BELOW = {Unit.S: 10**11, Unit.MS: 10**14, Unit.US: 10**17}
"""Counts so large are of a smaller unit: 10**11 seconds are in the year 5138, as milliseconds in 1973."""


def zone_of(name: str) -> tzinfo:
    """The zone of a name of the time zone database. Raises UsageError."""
    if name.upper() in ("UTC", "Z"):
        return UTC
    from zoneinfo import ZoneInfo  # most sources say their zone

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        message = f"there is no time zone {quoted(name)}"
        fix = "give a name such as Europe/Berlin or UTC; a system without zones has them by: pip install tzdata"
        raise UsageError("cli.invalid_option_value", message, where="option --zone", fix=fix) from None


class Times:
    """Reads the times of a source. ``unit`` is that of its counts: the one asked for, else that of the first count."""

    def __init__(self, zone: tzinfo | None, unit: Unit | None) -> None:
        self._zone = zone
        self._asked = unit
        self.unit = unit

    def instant(self, value: JsonValue, where: str) -> int:
        """The nanoseconds since 1970. Raises EventError ``import.value_invalid``."""
        text = str(value) if isinstance(value, int) else repr(value) if isinstance(value, float) else value
        if isinstance(value, bool) or not isinstance(text, str):
            raise value_fault(f"{quoted(value)} is no time", where, _FORMS)
        iso = _ISO.fullmatch(text)
        if iso is not None:
            return self._of_parts(iso, text, where)
        if isinstance(value, float):
            text = f"{Decimal(text):f}"
        if _COUNT.fullmatch(text):
            return self._of_count(text, where)
        raise value_fault(f"{quoted(text)} is no time", where, _FORMS)

    def _of_parts(self, iso: re.Match[str], text: str, where: str) -> int:
        year, month, day, hour, minute, second, fraction, offset = iso.groups()
        try:
            days = date(int(year), int(month), int(day)).toordinal() - _EPOCH
        except ValueError as error:
            raise value_fault(f"{quoted(text)} is no date: {error}", where, "correct the date") from None
        hours, minutes, seconds = int(hour or 0), int(minute or 0), int(second or 0)
        if hours > 23 or minutes > 59 or seconds > 59:
            message = f"{quoted(text)} is no time of a day"
            raise value_fault(
                message, where, "write 00:00:00 to 23:59:59; leap seconds have no place in a count of days"
            )
        if days < -1:
            raise value_fault(f"{quoted(text)} is before 1970", where, _FIX_EARLY)
        local = days * _DAY + hours * 3600 + minutes * 60 + seconds
        whole = local - (_offset(offset, text, where) if offset else self._shift(local, text, where))
        nanos = int((fraction or "0").ljust(9, "0"))
        if whole < 0:
            raise value_fault(f"{quoted(text)} is before 1970", where, _FIX_EARLY)
        return whole * NANOS + nanos

    def _shift(self, local: int, text: str, where: str) -> int:
        """The seconds that a time without zone is ahead of UTC."""
        if self._zone is None:
            message = f"{quoted(text)} says no time zone"
            raise value_fault(message, where, "say it with --zone, such as --zone UTC or --zone Europe/Berlin")
        if self._zone is UTC:
            return 0
        wall = datetime(1970, 1, 1) + timedelta(seconds=local)
        if wall.year > 9998:
            raise value_fault(f"{quoted(text)} is too late for a zone", where, "write the offset behind the time")
        shifts = [_seconds(wall.replace(tzinfo=self._zone, fold=fold).utcoffset()) for fold in (0, 1)]
        real = [shift for shift in dict.fromkeys(shifts) if self._reads(local - shift) == shift]
        if len(real) == 1:
            return real[0]
        what = "is there twice" if real else "is skipped"
        message = f"{quoted(text)} {what} in {self._zone}, where the clock is changed"
        raise value_fault(message, where, "write the offset behind the time, as in +02:00")

    def _reads(self, instant: int) -> int:
        """How far the zone's clock is ahead of UTC at an instant."""
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=instant)
        return _seconds(at.astimezone(self._zone).utcoffset())

    def _of_count(self, text: str, where: str) -> int:
        count = Decimal(text)
        unit = self._asked or _unit_of(count)
        if self.unit is None:
            self.unit = unit
        if self.unit is not unit:
            message = (
                f"{quoted(text)} looks like {unit.value} since 1970, and the times before it like {self.unit.value}"
            )
            raise value_fault(message, where, "say what they count: --at-unit s, ms, us or ns")
        return int(count * _NANOS[unit])


def _unit_of(count: Decimal) -> Unit:
    return next((unit for unit, end in _BELOW.items() if count < end), Unit.NS)


def _offset(written: str, text: str, where: str) -> int:
    if written in "Zz":
        return 0
    digits = written[1:].replace(":", "").ljust(4, "0")
    hours, minutes = int(digits[:2]), int(digits[2:])
    if hours > 23 or minutes > 59:
        raise value_fault(f"{quoted(text)} has an offset that no zone has", where, "write it like +02:00")
    seconds = hours * 3600 + minutes * 60
    return -seconds if written[0] == "-" else seconds


def _seconds(shift: timedelta | None) -> int:
    return 0 if shift is None else int(shift.total_seconds())
