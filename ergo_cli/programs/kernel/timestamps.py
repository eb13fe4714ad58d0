"""Moments of interrupt and suspension objects, as RFC 3339 text (spec 40 §2 rule 10)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from ergo_cli.core.time import NANOS

_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Timestamp(Struct, frozen=True, order=True):
    """Nanoseconds since 1970-01-01T00:00:00Z."""

    ns: int

    @classmethod
    def of_millis(cls, millis: int) -> Timestamp:
        """The moment of a wall clock in milliseconds."""
        return cls(millis * 1_000_000)

    def to_wire(self) -> str:
        """UTC with ``Z`` and 0, 3, 6 or 9 digits of a second, as many as it takes."""
        seconds, nanos = divmod(self.ns, NANOS)
        text = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
        digits = f"{nanos:09}"
        for needless, kept in (("0" * 9, 0), ("0" * 6, 3), ("0" * 3, 6)):
            if digits.endswith(needless):
                return text + (f".{digits[:kept]}Z" if kept else "Z")
        return f"{text}.{digits}Z"

    @classmethod
    def from_wire(cls, text: str) -> Timestamp:
        """The moment of any RFC 3339 text; digits beyond the ninth are dropped. Raises ValueError."""
        match = _RFC3339.fullmatch(text)
        if match is None:
            raise ValueError(f"'{text}' is no RFC 3339 time")
        date, clock, fraction, sign, hours, minutes = match.groups()
        since = datetime.fromisoformat(f"{date}T{clock}+00:00") - _EPOCH
        seconds = since.days * 86_400 + since.seconds
        if sign is not None:
            offset = int(hours) * 3600 + int(minutes) * 60
            seconds -= offset if sign == "+" else -offset
        return cls(seconds * NANOS + int((fraction or "")[:9].ljust(9, "0")))
