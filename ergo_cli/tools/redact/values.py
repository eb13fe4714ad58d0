"""The values that a redaction replaces in a bundle, and where they still stand once it is recorded anew."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from ergo_cli.bundle.journals import read_artifacts
from ergo_cli.bundle.reader import BundleReader
from ergo_cli.bundle.schema import EventRecord, check_payload, payload_hash
from ergo_cli.core.json import JsonError, JsonValue, canonical, decode
from ergo_cli.core.members import members
from ergo_cli.events.redaction import Redaction, replaced_values

LEAST_TEXT = 4
"""The fewest characters of a text that is looked for: shorter ones stand everywhere."""

LEAST_NUMBER = 6
"""The fewest characters of a number that is looked for."""

_LEAST_PART = 8  # a shorter text counts only as a word of its own
_ESCAPED = 4  # how deep a JSON text stands in strings of others: a payload in a state in an effect
_GRAM = 4
_WORD = re.compile(rb"[0-9A-Za-z\x80-\xff]")


class RedactedEvents:
    """Redacts the events of a bundle, and remembers what was replaced; ``changed`` counts events, ``values`` values."""

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction
        self._forms: dict[bytes, dict[bytes, bool]] = {}
        self.changed = 0
        self.values = 0

    def record(self, event: EventRecord) -> EventRecord:
        """The event with a redacted payload; one that is not JSON stays. Raises PayloadHashMismatch."""
        check_payload(event)
        try:
            payload: JsonValue = decode(event.payload)
        except JsonError:
            return event
        after = self._redaction.payload(payload)
        replaced = list(replaced_values(payload, after))
        if not replaced:
            return event
        self.changed += 1
        self.values += len(replaced)
        for _, value in replaced:
            self._remember(value)
        text = canonical(after)
        return replace(event, payload=text, payload_hash=payload_hash(text))

    def left_in(self, reader: BundleReader) -> Iterator[str]:
        """The places of a bundle in which a replaced value stands."""
        return (place for place, text in _texts(reader) if self._stands_in(text))

    def _remember(self, value: JsonValue) -> None:
        for leaf in (value, *(part for _, part in members(value))):
            match leaf:
                case str() if len(leaf) >= LEAST_TEXT:
                    form = leaf.encode()
                    for _ in range(_ESCAPED):
                        self._like(form)[form] = len(leaf) < _LEAST_PART
                        form = msgspec.json.encode(form.decode())[1:-1]
                case int() | float() if not isinstance(leaf, bool) and len(canonical(leaf)) >= LEAST_NUMBER:
                    form = canonical(leaf)
                    self._like(form)[form] = True
                case _:
                    pass

    def _like(self, form: bytes) -> dict[bytes, bool]:
        """The forms that begin as this one does, and whether each counts as a word only."""
        return self._forms.setdefault(form[:_GRAM], {})

    def _stands_in(self, text: bytes) -> bool:
        grams = {text[at : at + _GRAM] for at in range(len(text))}
        forms = (form for gram in grams & self._forms.keys() for form in self._forms[gram].items())
        return any(_is_word_of(form, text) if is_word else form in text for form, is_word in forms)


def _is_word_of(form: bytes, text: bytes) -> bool:
    at = text.find(form)
    while at >= 0:
        end = at + len(form)
        if not (_WORD.match(text[max(at - 1, 0) : at]) or _WORD.match(text[end : end + 1])):
            return True
        at = text.find(form, at + 1)
    return False


def _texts(reader: BundleReader) -> Iterator[tuple[str, bytes]]:
    """All that a bundle records, with its place: of events ids and payloads, decisions, journals, artifacts."""
    for event in reader.events():
        yield f"event '{event.event_id}' id", event.event_id.encode()
        yield f"event '{event.event_id}' payload", event.payload
    for number, (decision, text) in enumerate(zip(reader.decisions(), reader.decision_texts(), strict=True)):
        yield f"decisions[{number}] of event '{decision.event_id}'", text
    for number, text in enumerate(reader.journal_texts()):
        yield f"journals[{number}]", text
    for name, content in read_artifacts(reader).items():
        yield f"artifacts {name}", content
