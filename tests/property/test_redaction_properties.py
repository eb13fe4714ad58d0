"""A capture that redacts is the capture of a stream that was redacted by hand; replaying it needs no key."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ergo_cli import CaptureBundle, Completed, Ergo, EventKind, HostedEvent, Items, Outcome, RunConfig
from ergo_cli.core.json import free_text
from tests.library.worlds import MECHANICAL, assets

KEY = b"a key of 16 bytes"

names = st.sampled_from(["a", "b", "secret", "two words"])
leaves = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.recursive(
    leaves | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
payloads = st.none() | st.dictionaries(names, values, max_size=4)


def digest(value: Any) -> str:
    return "redacted:" + hmac.new(KEY, free_text(value), "sha256").hexdigest()[:32]


def named(payload: dict[str, Any]) -> dict[str, Any]:
    """What ``payload.secret`` redacts."""
    return {name: digest(value) if name == "secret" else value for name, value in payload.items()}


def below(payload: dict[str, Any]) -> dict[str, Any]:
    """What ``payload.*.secret`` redacts."""
    return {name: named(value) if isinstance(value, dict) else value for name, value in payload.items()}


def at_any_depth(value: Any) -> Any:
    """What ``payload.**.secret`` redacts."""
    match value:
        case dict():
            return {name: digest(part) if name == "secret" else at_any_depth(part) for name, part in value.items()}
        case list():
            return [at_any_depth(item) for item in value]
        case _:
            return value


def items(payload: dict[str, Any]) -> dict[str, Any]:
    """What ``payload."two words"[*]`` redacts."""
    found = payload.get("two words")
    return payload | {"two words": list(map(digest, found))} if isinstance(found, list) else payload


BY_HAND: dict[str, Callable[[Any], Any]] = {
    "payload.secret": named,
    "payload.*.secret": below,
    "payload.**.secret": at_any_depth,
    'payload."two words"[*]': items,
}


def captured(events: Sequence[HostedEvent], *redact: str) -> CaptureBundle:
    config = RunConfig(assets(MECHANICAL), Items("s", events), redact=redact, redact_key=KEY if redact else None)
    outcome = Ergo.builder().build().run(config)
    assert isinstance(outcome, Completed)
    return outcome.summary.capture_bundle


@given(st.lists(payloads, min_size=1, max_size=5), st.sampled_from([*BY_HAND]))
def test_a_redacted_capture_is_that_of_a_stream_redacted_by_hand(payloads: list[Any], path: str) -> None:
    events = [HostedEvent(f"e{at}", EventKind.COMMAND, at, None, payload) for at, payload in enumerate(payloads)]
    by_hand = BY_HAND[path]
    expected = [replace(each, payload=each.payload and by_hand(each.payload)) for each in events]
    bundle = captured(events, f"{path}?")
    assert bundle == captured(expected)
    assert captured(expected, f"{path}?") == bundle, "redacting again changes nothing"
    assert Ergo.builder().build().replay_bundle(bundle, assets(MECHANICAL)).outcome is Outcome.MATCH
