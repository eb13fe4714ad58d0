"""Any bundle that can be written is read back and written again to the same bytes."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ergo_cli.bundle.memory import CaptureBundle
from ergo_cli.bundle.reader import open_bundle
from ergo_cli.bundle.schema import CapturedEffect, DecisionRecord, EventRecord, Header, IntentAck, ProgramRecord
from ergo_cli.core.documents import ProgramSource
from ergo_cli.core.json import canonical
from ergo_cli.core.time import MAX_NS
from ergo_cli.core.values import Effect, Intent, IntentField, Value, Write
from ergo_cli.events.external import EventKind
from ergo_cli.supervisor.seam import Constraints, Decision, ErrKind, Failed, Outcome
from ergo_cli.testing.bundles import rewrite_bundle

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
counts = st.one_of(st.integers(0, 5), st.integers(0, 2**64 - 1))
times = st.one_of(st.integers(0, 10**10), st.integers(0, MAX_NS))
floats = st.floats(allow_nan=False, allow_infinity=False)
natives = st.one_of(floats, st.booleans(), texts, st.lists(floats, max_size=4))
values = st.builds(Value.of, natives)
effects = st.builds(
    Effect,
    texts,
    st.lists(st.builds(Write, texts, values), max_size=2),
    st.lists(st.builds(Intent, texts, texts, st.lists(st.builds(IntentField, texts, values), max_size=2)), max_size=2),
)
terminations = st.one_of(st.sampled_from(Outcome), st.builds(Failed, st.sampled_from(ErrKind)))
decisions = st.builds(
    DecisionRecord,
    texts,
    st.sampled_from(Decision),
    st.none() | times,
    counts,
    st.none() | times,
    st.none() | terminations,
    counts,
    st.lists(st.builds(CapturedEffect.recorded, effects, texts), max_size=2).map(tuple),
    st.lists(st.builds(IntentAck, texts, texts, texts, texts, st.none() | texts), max_size=2).map(tuple),
    st.none() | texts,
)
headers = st.builds(
    Header,
    texts,
    st.builds(Constraints, st.none() | counts, st.none() | counts, st.none() | times, st.none() | times, counts),
    texts,
    texts,
)


def events(payloads: st.SearchStrategy[bytes]) -> st.SearchStrategy[list[EventRecord]]:
    return st.lists(st.builds(EventRecord, texts, times, st.sampled_from(EventKind), payloads, texts), max_size=4)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | floats | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


def artifact(value: Any) -> tuple[str, bytes]:
    text = canonical(value)
    return hashlib.sha256(text).hexdigest(), b'{"json":' + text + b"}"


bundles_v3 = st.builds(
    CaptureBundle,
    headers,
    events(st.binary(max_size=20)).map(tuple),
    st.lists(decisions, max_size=4).map(tuple),
    st.none() | texts,
)
programs = st.builds(
    ProgramRecord,
    st.sampled_from(["graph", "kernel"]),
    texts,
    st.none() | st.lists(st.builds(ProgramSource.of, texts, texts), max_size=2).map(tuple),
)
bundles_v4 = st.builds(
    CaptureBundle,
    headers,
    events(texts.map(str.encode)).map(tuple),
    st.lists(decisions, max_size=4).map(tuple),
    st.none() | texts,
    programs,
    st.lists(st.dictionaries(texts, json_values, max_size=3).map(canonical), max_size=2).map(tuple),
    st.lists(json_values.map(artifact), max_size=2).map(dict),
    st.just("v4"),
)
bundles = bundles_v3 | bundles_v4


@given(bundles, st.booleans())
def test_what_is_encoded_reads_back_to_the_same_bytes(bundle: CaptureBundle, pretty: bool) -> None:
    text = bundle.encode(pretty=pretty)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "b.json"
        path.write_bytes(text)
        with open_bundle(str(path)) as reader:
            again = reader.load()
    assert again == bundle
    assert again.encode(pretty=pretty) == text


@given(bundles, st.booleans(), st.sampled_from(["", ".gz", ".zst"]), st.sampled_from(["", ".gz", ".zst"]))
def test_a_stream_through_every_compression_ends_as_the_same_bytes(
    bundle: CaptureBundle, pretty: bool, first: str, second: str
) -> None:
    text = bundle.encode()
    with tempfile.TemporaryDirectory() as folder:
        source, one, two = (f"{folder}/{name}" for name in ("source.json", f"one.json{first}", f"two.json{second}"))
        Path(source).write_bytes(text)
        rewrite_bundle(source, one, pretty=pretty)
        rewrite_bundle(one, two, pretty=not pretty)
        rewrite_bundle(two, source)
        assert Path(source).read_bytes() == text


@given(bundles, st.integers(0, 3))
def test_white_space_makes_no_difference(bundle: CaptureBundle, indent: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "b.json"
        path.write_bytes(msgspec.json.format(bundle.encode(), indent=indent))
        with open_bundle(str(path)) as reader:
            assert reader.load() == bundle
