"""Events stepped in batches give, byte for byte, what the runner gives, which looks at every step."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ergo_cli.bundle.memory import InMemoryBundle
from ergo_cli.bundle.reader import open_bundle, skim_bundle
from ergo_cli.bundle.schema import BundleSink, Header
from ergo_cli.bundle.writer import BundleWriter
from ergo_cli.errors import StepError
from ergo_cli.events.adapter import load_adapter
from ergo_cli.events.stream import EventStream, SemanticKinds
from ergo_cli.host.loop import RunSummary, run_stream
from ergo_cli.host.run_plan import PreparedRun
from ergo_cli.project.loading import load_program_from_files
from ergo_cli.replay.byte_match import match_bytes
from ergo_cli.replay.engine import replay_bundle
from ergo_cli.replay.results import ReplayOptions, Target
from ergo_cli.supervisor.seam import Constraints
from tests.support.events import event_line

GRAPH = """
kind: cluster
id: lane
version: "1.0.0"
nodes:
  x: { impl: context_number_source@0.1.0 }
  names: { impl: context_string_source@0.1.0, params: { key: name } }
  seen: { impl: context_series_source@0.1.0, params: { key: seen } }
  zero: { impl: number_source@0.1.0, params: { value: 0.0 } }
  big: { impl: number_source@0.1.0, params: { value: 1.0e308 } }
  over: { impl: gt@0.1.0 }
  product: { impl: multiply@0.1.0 }
  longer: { impl: append@0.1.0 }
  some: { impl: emit_if_true@0.1.0 }
  keep: { impl: context_set_number@0.1.0, params: { key: product } }
  call: { impl: context_set_string@0.1.0, params: { key: "na\\"me\\u00e9" } }
  remember: { impl: context_set_series@0.1.0, params: { key: seen } }
edges:
  - x.value -> over.a
  - zero.value -> over.b
  - x.value -> product.a
  - big.value -> product.b
  - seen.value -> longer.series
  - x.value -> longer.value
  - over.result -> some.input
  - some.event -> keep.event
  - product.result -> keep.value
  - some.event -> call.event
  - names.value -> call.value
  - some.event -> remember.event
  - longer.result -> remember.value
outputs:
  kept: keep.outcome
"""
ADAPTER = """
kind: adapter
id: lane
version: 1.0.0
runtime_compatibility: 0.1.0-alpha.1
context_keys:
  - { name: x, type: Number, required: false, writable: false, description: "a number" }
  - { name: name, type: String, required: false, writable: false, description: "a name" }
  - { name: product, type: Number, required: false, writable: true, description: "its product" }
  - { name: "na\\"me\\u00e9", type: String, required: false, writable: true, description: "the name again" }
  - { name: seen, type: Series, required: false, writable: true, description: "all numbers" }
event_kinds:
  - name: e
    payload_schema:
      type: object
      properties:
        x: { type: number }
        name: { type: string }
        product: { type: number }
        seen: { type: array, items: { type: number } }
      additionalProperties: false
accepts:
  effects:
    - name: set_context
      payload_schema: { type: object, additionalProperties: false }
capture:
  format_version: "1"
  fields: [event.e]
"""

numbers = (
    st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**64 - 1) | st.sampled_from([0, -0.0, 2])
)
payloads = st.fixed_dictionaries(
    {}, optional={"x": numbers, "product": numbers | st.none(), "name": st.text(max_size=5)}
)
instants = st.none() | st.integers(0, 30).map(lambda secs: f"{secs}s")
ids = st.text(min_size=1, max_size=6)
events = st.lists(
    st.tuples(st.sampled_from(["Command", "DataAvailable", "Pump"]), ids, payloads, instants),
    min_size=1,
    max_size=12,
    unique_by=lambda event: event[1],
)
limits = st.builds(
    Constraints,
    max_in_flight=st.none() | st.integers(0, 2),
    max_per_window=st.none() | st.integers(0, 2),
    rate_window=st.none() | st.integers(0, 20 * 10**9),
    deadline=st.none() | st.sampled_from([0, 10**9]),
    max_retries=st.integers(0, 2),
)


@cache
def target() -> Target:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "graph.yaml"
        path.write_text(GRAPH)
        return Target(load_program_from_files(path).program, load_adapter(ADAPTER, "adapter.yaml"))


def stream(drawn: list[tuple[str, str, dict[str, Any], str | None]]) -> EventStream:
    bodies = [
        {"type": kind, "id": name, "semantic_kind": "e", "payload": payload, **({} if at is None else {"at": at})}
        for kind, name, payload, at in drawn
    ]
    text = b"".join(event_line(body) for body in bodies)
    return EventStream([text], "events", semantic_kinds=SemanticKinds.REQUIRED)


@given(drawn=events, constraints=limits)
def test_batch_equals_runner(
    drawn: list[Any], constraints: Constraints, tmp_path_factory: pytest.TempPathFactory
) -> None:
    program, adapter = target().program, target().adapter
    assert adapter is not None
    run = PreparedRun(program, adapter, constraints)
    header = Header(program.graph_id, constraints, program.provenance, adapter.fingerprint)
    watched = InMemoryBundle(header)
    path: Path = tmp_path_factory.mktemp("b") / "b.json"
    with BundleWriter(str(path), header) as writer:
        told = ended(run, drawn, writer)
        assert told == ended(run, drawn, watched)
        if not isinstance(told, RunSummary):
            return
        writer.commit()
    assert path.read_bytes() == watched.commit().encode()
    check_replays(path)


def ended(run: PreparedRun, drawn: list[Any], sink: BundleSink) -> RunSummary | str:
    """What a run came to, or what refused it."""
    try:
        return run_stream(run, stream(drawn), sink)
    except StepError as error:
        return str(error)


def check_replays(path: Path) -> None:
    """The short way and the long way say the same, however the bundle was opened."""
    options = ReplayOptions(strict=True)
    told = replay_bundle(open_bundle(str(path)).load(), target(), options)
    told = replace(told, path=str(path))
    assert replay_bundle(str(path), target(), options) == told
    for opened in (open_bundle, skim_bundle):
        with opened(str(path)) as reader:
            assert match_bytes(reader, target(), options) == replace(told, fingerprint=None)
