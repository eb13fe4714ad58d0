"""Redaction: values of payloads are replaced before an event is bound, hashed or seen by a program.

A value becomes ``redacted:`` and a keyed digest of its canonical text: equal values stay equal under one key, and the
key is needed to find out whether a guess is right.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator, Sequence
from typing import TypeGuard

from msgspec.structs import replace

from ergo_cli.core.json import JsonValue, Location, Member, canonical
from ergo_cli.core.members import parts
from ergo_cli.core.path_patterns import START, PathFault, PathSteps, parse_path
from ergo_cli.errors import EventError, headline
from ergo_cli.events.external import REDACTED, HostedEvent

DIGITS = 32
"""The hexadecimal digits of a digest: 128 bits of HMAC-SHA256."""

_FORM = re.compile(rf"{REDACTED}[0-9a-f]{{{DIGITS}}}")
_PAYLOAD = Member("payload")
_OPTIONAL = "?"

PATH_FIX = "write a path such as payload.customer.email, payload.lines[*].name or payload.**.token"


class RedactionPathFault(ValueError):
    """A text that names no values to redact."""


class RedactionPath:
    """A path to values of payloads: ``payload.customer.*``; with a ``?`` behind it, there may be no such value.

    ``matches`` counts the values found, not those inside of one found. Raises RedactionPathFault.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.is_optional = text.endswith(_OPTIONAL)
        self.matches = 0
        path = text.removesuffix(_OPTIONAL)
        try:
            self.steps = PathSteps(path)
            first, *others = parse_path(path)
        except PathFault as fault:
            raise RedactionPathFault(str(fault)) from fault
        if first != _PAYLOAD or not others:
            raise RedactionPathFault(f"'{text}' does not lead into a payload: only values of payloads are redacted")


_Walk = tuple[RedactionPath, frozenset[int]]


class Redaction:
    """Replaces the values at ``paths``, which also count how often they matched; ``key`` is secret."""

    def __init__(self, paths: Sequence[RedactionPath], key: bytes) -> None:
        self.paths = tuple(paths)
        self._key = key

    def event(self, event: HostedEvent) -> HostedEvent:
        """The event with a redacted payload."""
        payload = self.payload(event.payload)
        return event if payload is event.payload else replace(event, payload=payload)

    def events(self, events: Sequence[HostedEvent]) -> Sequence[HostedEvent]:
        """Several events, each as ``event`` does it."""
        return list(map(self.event, events))

    def payload(self, payload: JsonValue) -> JsonValue:
        """A payload with its values replaced; the same object where no path matches."""
        begun = ((path, path.steps.advance(START, _PAYLOAD, payload)[0]) for path in self.paths)
        return self._replaced(payload, [*begun])

    @property
    def unmatched(self) -> tuple[str, ...]:
        """The paths that matched nothing so far, and must."""
        return tuple(path.text for path in self.paths if not (path.matches or path.is_optional))

    def check_matched(self, where: str) -> None:
        """Refuse paths that matched nothing, once all is read. Raises EventError ``redact.path_unmatched``."""
        if self.unmatched:
            raise headline([_unmatched(path, where) for path in self.unmatched])

    def _replaced(self, value: JsonValue, walks: Sequence[_Walk]) -> JsonValue:
        """``value`` with the parts replaced that a path ends at; a path may end inside a part that another replaces."""
        found: list[JsonValue] = []
        changed = False
        for step, part in parts(value):
            below, is_match = list[_Walk](), False
            for path, states in walks:
                behind, has_ended = path.steps.advance(states, step, part)
                path.matches += has_ended
                is_match |= has_ended
                if behind and not has_ended:
                    below.append((path, behind))
            inner = self._replaced(part, below) if below else part
            found.append(self._digest(part) if is_match else inner)
            changed |= found[-1] is not part
        if not changed:
            return value
        return dict(zip(value, found, strict=True)) if isinstance(value, dict) else found

    def _digest(self, value: JsonValue) -> str:
        """The text in the place of a value; one that has this form is redacted already."""
        if is_redacted(value):
            return value
        return REDACTED + hmac.digest(self._key, canonical(value), "sha256").hex()[:DIGITS]


def is_redacted(value: JsonValue) -> TypeGuard[str]:
    """Whether a value is what a redaction puts in the place of another."""
    return isinstance(value, str) and _FORM.fullmatch(value) is not None


def replaced_values(before: JsonValue, after: JsonValue, at: Location = ()) -> Iterator[tuple[Location, JsonValue]]:
    """What a redaction replaced in a value, with its place."""
    if before is after:
        return
    if is_redacted(after):
        if before != after:
            yield at, before
        return
    for (step, was), (_, now) in zip(parts(before), parts(after), strict=True):
        yield from replaced_values(was, now, (*at, step))


def _unmatched(path: str, where: str) -> EventError:
    return EventError(
        "redact.path_unmatched",
        f"the path '{path}' to redact matched nothing",
        where=where,
        fix=f"correct the path; if there may be no such value, write '{path}{_OPTIONAL}'",
    )
