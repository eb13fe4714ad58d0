"""The value behind a digest, near one that is known."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ergo_cli.core.json import canonical
from ergo_cli.core.near_digest import value_of_digest

SUMMARY: dict[str, Any] = {
    "age": 5,
    "paid": True,
    "summary": {"label": "delayed", "text": "It is delayed."},
    "words": ["a", "b"],
}

simple = st.one_of(st.none(), st.booleans(), st.integers(-100, 100), st.text(max_size=4))
states = st.dictionaries(st.text(min_size=1, max_size=3), st.one_of(simple, st.lists(simple, max_size=3)), max_size=5)


def digest(value: Any) -> str:
    return sha256(canonical(value)).hexdigest()


@pytest.mark.parametrize(
    ("recorded", "literals"),
    [
        ({**SUMMARY, "summary": {"label": "late", "text": "It is late."}}, [("late", "delayed")]),
        ({**SUMMARY, "summary": {"label": "late", "text": "It is delayed."}}, [("late", "delayed")]),
        ({**SUMMARY, "summary": {"tag": "delayed", "text": "It is delayed."}}, [("tag", "label")]),
        ({**SUMMARY, "age": 4, "paid": False}, [(4, 5), (False, True)]),
        ({**SUMMARY, "age": 6}, []),
        ({**SUMMARY, "words": ["a"]}, []),
        ({"age": 5, "paid": True, "words": ["a", "b"]}, []),
        ({**SUMMARY, "summary": {"age": 5, "label": "delayed", "text": "It is delayed."}}, []),
        ({**SUMMARY, "paid": 1}, [(1, True)]),
    ],
)
def test_what_a_small_change_makes_otherwise_is_found(recorded: Any, literals: list[tuple[Any, Any]]) -> None:
    assert value_of_digest(canonical(SUMMARY), digest(recorded), literals) == canonical(recorded)


def test_a_member_as_it_was_before_is_found() -> None:
    earlier = {**SUMMARY, "words": [{"far": "away"}]}
    recorded = {**SUMMARY, "words": [{"far": "away"}]}
    assert value_of_digest(canonical(SUMMARY), digest(recorded), [], [canonical(earlier)]) == canonical(recorded)


def test_an_order_of_members_that_is_not_that_of_the_names_is_kept() -> None:
    near, recorded = b'{"z":1,"label":"delayed","a":2}', b'{"z":1,"label":"late","a":2}'
    found = value_of_digest(near, sha256(recorded).hexdigest(), [("late", "delayed")])
    assert found == recorded


@given(states, states)
def test_what_is_found_has_the_digest(near: dict[str, Any], recorded: dict[str, Any]) -> None:
    found = value_of_digest(canonical(near), digest(recorded), [("a", "b")], [])
    assert found in (None, canonical(recorded))


@given(states.filter(bool), st.data())
def test_one_member_less_is_always_found(near: dict[str, Any], data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(sorted(near)))
    recorded = {name: value for name, value in near.items() if name != gone}
    assert value_of_digest(canonical(near), digest(recorded)) == canonical(recorded)


def test_a_text_that_is_not_compact_gives_nothing() -> None:
    assert value_of_digest(b'{"a": 1}', digest({"a": 2})) is None
