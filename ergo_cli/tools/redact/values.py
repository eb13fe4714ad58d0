"""The values that a redaction replaces in a bundle, and where they still stand once it is recorded anew."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ergo_cli.bundle.journals import read_artifacts
from ergo_cli.bundle.reader import BundleReader
from ergo_cli.core.json import JsonError, JsonValue, Location, Member, canonical, decode, render
from ergo_cli.core.members import members
from ergo_cli.events.redaction import Redaction, is_redacted, replaced_values
from ergo_cli.tools.redact.word_search import WordSearch

LEAST_TEXT = 4
"""The fewest characters of a text that is looked for: shorter ones stand everywhere."""

LEAST_NUMBER = 6
"""The fewest characters of a number that is looked for."""

_LEAST_PART = 8  # a shorter text counts only as a word of its own
_DEEPEST = 4  # how deep a JSON text stands in strings of others: a payload in a state in an effect

_ESCAPE = re.compile(r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[\"\\/bfnrt])")


class RedactedEvents:
    """Redacts the events of a bundle, and remembers what was replaced.

    ``changed`` counts events, ``values`` the values that were replaced, ``present`` those that had been before.
    """

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction
        self._search = WordSearch(LEAST_TEXT)
        self.changed = 0
        self.values = 0
        self.present = 0

    def payload(self, payload: JsonValue) -> JsonValue:
        """The payload of an event, redacted."""
        after = self._redaction.payload(payload)
        replaced = list(replaced_values(payload, after))
        self.changed += bool(replaced)
        self.values += len(replaced)
        self.present += sum(is_redacted(part) for _, part in members(after)) - len(replaced)
        for _, value in replaced:
            self._remember(value)
        return after

    def left_in(self, reader: BundleReader) -> Iterator[str]:
        """The places of a bundle in which a replaced value stands; none of them holds one itself."""
        for number, event in enumerate(reader.events()):
            has_value = self._stands_in(event.event_id)
            name = f"events[{number}]" if has_value else f"event '{event.event_id}'"
            if has_value:
                yield f"{name} id"
            yield from self._places(f"{name} payload", event.payload, ".")
        for number, text in enumerate(reader.decision_texts()):
            yield from self._places(f"decisions[{number}]", text, " ")
        for number, text in enumerate(reader.journal_texts()):
            yield from self._places(f"journals[{number}]", text, " ")
        for name, content in read_artifacts(reader).items():
            yield from self._places(f"artifacts {name}", content, " ")

    def _remember(self, value: JsonValue) -> None:
        for leaf in (value, *(part for _, part in members(value))):
            match leaf:
                case str() if len(leaf) >= LEAST_TEXT:
                    self._search.add(leaf, is_word=len(leaf) < _LEAST_PART)
                case int() | float() if not isinstance(leaf, bool) and len(canonical(leaf)) >= LEAST_NUMBER:
                    self._search.add(canonical(leaf).decode(), is_word=True)
                case _:
                    pass

    def _places(self, name: str, text: bytes, join: str) -> Iterator[str]:
        try:
            value: JsonValue = decode(text)
        except JsonError:
            if self._stands_in(text.decode(errors="replace")):
                yield name
            return
        for at, has_value in self._looked_at(value):
            if has_value:
                place = render(self._without_values(at))
                yield f"{name}{join}{place}" if place else name

    def _looked_at(self, value: JsonValue) -> Iterator[tuple[Location, bool]]:
        """Every text and number of a value with its place, and whether a replaced value stands in it."""
        for place, part in (((), value), *members(value)):
            match part:
                case str():
                    yield place, self._stands_in(part)
                case int() | float() if not isinstance(part, bool):
                    yield place, self._search.finds(canonical(part).decode())
                case dict():
                    for key in part:
                        yield (*place, Member(key)), self._stands_in(key)
                case _:
                    pass

    def _stands_in(self, text: str) -> bool:
        """Whether a replaced value stands in a text, as it is or as JSON within it writes it, with escapes."""
        for _ in range(_DEEPEST):
            if self._search.finds(text):
                return True
            if "\\" not in text:
                return False
            text = _ESCAPE.sub(_unescaped, text)
        return self._search.finds(text)

    def _without_values(self, at: Location) -> Location:
        """The place, or that of the whole around the first member whose name holds a replaced value."""
        for depth, step in enumerate(at):
            if isinstance(step, Member) and self._stands_in(step.name):
                return at[:depth]
        return at


def _unescaped(found: re.Match[str]) -> str:
    """What an escape of JSON stands for; half of a pair stays as it is."""
    try:
        value: JsonValue = decode(f'"{found[0]}"'.encode())
    except JsonError:
        return found[0]
    return value if isinstance(value, str) else found[0]
