"""Records that msgspec reads and writes by itself, and the three ways to tag a union (spec 40 §2, 60 §2.2)."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any

import pytest
from msgspec import Struct, field

from ergo_cli.core import wire
from ergo_cli.core.json import NotCanonicalError
from ergo_cli.core.wire import FLAT, REPEATED, Adjacent, FreeValue, Variant, WireError, Wrapper


class Colour(Enum):
    RED = "red"


class Plain(Struct, frozen=True):
    name: str
    size: int
    colour: Colour = Colour.RED
    counts: dict[str, int] = {}


class Count(Variant, frozen=True):
    start: int = field(name="from")


class Text(Wrapper, frozen=True):
    text: str


Cause = Annotated[Count | Text, Adjacent("type", "details", {"count": Count, "text": Text})]


class On(Struct, frozen=True, tag_field="state", tag="on"):
    level: float


class Off(Struct, frozen=True, tag_field="state", tag="off"):
    pass


class Report(Struct, frozen=True, kw_only=True, omit_defaults=True):
    id: str
    state: Annotated[On | Off, FLAT]
    cause: Cause | None = None
    seen: bool = field(default_factory=bool)
    note: str | None
    payload: FreeValue = None


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (Plain("a", 1, counts={"b": 2, "a": 1}), '{"name":"a","size":1,"colour":"red","counts":{"a":1,"b":2}}'),
        (Report(id="x", state=Off(), note=None), '{"id":"x","state":"off","seen":false,"note":null}'),
        (
            Report(id="x", state=On(1.0), cause=Count(3), seen=True, note="n", payload={"b": 1, "a": None}),
            '{"id":"x","state":"on","level":1.0,"cause":{"type":"count","details":{"from":3}},"seen":true,"note":"n",'
            '"payload":{"a":null,"b":1}}',
        ),
        (
            Report(id="x", state=Off(), cause=Text("t"), note=None),
            '{"id":"x","state":"off","cause":{"type":"text","details":"t"},"seen":false,"note":null}',
        ),
    ],
)
def test_a_record_is_written_and_read(record: Any, text: str) -> None:
    assert wire.encode(record).decode() == text
    assert wire.decode(text.encode(), type(record)) == record


def test_absent_members_and_unknown_ones() -> None:
    record = wire.decode(b'{"more":1,"state":"off","id":"x","extra":{}}', Report)
    assert record == Report(id="x", state=Off(), note=None)


@pytest.mark.parametrize(
    "text",
    [
        '{"id":"x"}',
        '{"id":"x","state":"up"}',
        '{"id":"x","state":"on"}',
        '{"id":"x","state":"off","cause":{"type":"count"}}',
        '{"id":"x","state":"off","cause":{"details":"t"}}',
        '{"id":"x","state":"off","cause":{"type":"other","details":"t"}}',
        '{"id":"x","state":"off","cause":{"type":["count"],"details":"t"}}',
        '{"id":"x","state":"off","cause":"text"}',
        '{"id":5,"state":"off"}',
        "[]",
    ],
)
def test_what_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(WireError):
        wire.decode(text.encode(), Report)


@pytest.mark.parametrize(
    ("record", "place"),
    [
        (Plain("\ud800", 1), "/name"),
        (Plain("a", 2**64), "/size"),
        (Plain("a", -(2**63) - 1), "/size"),
        (Plain("a", 1, counts={"b": 2**70}), "/counts/b"),
        (On(float("nan")), ""),
        (Report(id="x", state=Off(), note=None, payload=[float("inf")]), "/0"),
    ],
)
def test_what_json_cannot_hold_is_refused_with_its_place(record: object, place: str) -> None:
    with pytest.raises(NotCanonicalError) as caught:
        wire.encode(record)
    assert caught.value.place == place


def test_integers_of_64_bits_are_written_as_they_are() -> None:
    for number in (2**64 - 1, -(2**63)):
        assert wire.encode(Plain("a", number)).decode().startswith(f'{{"name":"a","size":{number}')


class Place(Struct, frozen=True):
    name: str
    state: Count | None = None


class Sighting(Struct, frozen=True):
    place: Annotated[Place, REPEATED]


def test_a_remembered_text_is_that_of_an_equal_value() -> None:
    places = [Place(name, state) for name in ("a", "b") for state in (None, Count(1), Count(2))]
    texts = [wire.encode(Sighting(place)) for place in (*places, *places)]
    assert texts[:6] == texts[6:]
    assert texts[:3] == [
        b'{"place":{"name":"a","state":null}}',
        b'{"place":{"name":"a","state":{"Count":{"from":1}}}}',
        b'{"place":{"name":"a","state":{"Count":{"from":2}}}}',
    ]
    assert [wire.decode(text, Sighting) for text in texts[:6]] == [Sighting(place) for place in places]


@pytest.mark.parametrize("record", [Place("\ud800"), Sighting(Place("\ud800")), Plain("a", 2**64)])
def test_texts_and_numbers_that_json_cannot_hold_are_refused(record: Struct) -> None:
    with pytest.raises(NotCanonicalError):
        wire.encode(record)
