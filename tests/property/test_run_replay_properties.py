"""Any random stream under random constraints replays to itself; a random single change is found, named and located."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ergo_cli.bundle.schema import Header
from ergo_cli.bundle.writer import BundleWriter
from ergo_cli.core.values import effect_hash
from ergo_cli.errors import ErgoError
from ergo_cli.events.adapter import Adapter, load_adapter
from ergo_cli.events.stream import EventStream, SemanticKinds
from ergo_cli.host.loop import run_stream
from ergo_cli.host.run_plan import PreparedRun
from ergo_cli.programs.graph.check.catalog import standard_inventory
from ergo_cli.programs.graph.kind import load_graph
from ergo_cli.project.loading import load_graph_assets
from ergo_cli.replay.diffing import diff_bundles
from ergo_cli.replay.engine import replay_bundle
from ergo_cli.replay.results import BundleResult, Outcome, ReplayOptions, Target
from ergo_cli.supervisor.seam import Constraints
from tests.support.events import event_line

FIXTURE = Path(__file__).parents[2] / "fixtures" / "order_threshold"
STRICT = ReplayOptions(strict=True)
ACTIONS = ("buy", "sell", "bought_at", "remember")


@pytest.fixture(scope="module")
def target() -> Target:
    assets = load_graph_assets(FIXTURE / "graphs" / "order_threshold.yaml", [])
    program = load_graph(assets.assets, standard_inventory())
    text = (FIXTURE / "adapters" / "order_desk.yaml").read_text()
    return Target(program, load_adapter(text, "order_desk.yaml"))


prices = st.floats(0.01, 1e9) | st.integers(1, 10**6) | st.sampled_from([104.99, 105.0, 105.01, 98.0, 97.5])
payloads = st.fixed_dictionaries({"price": prices}, optional={"holding": st.booleans()})
instants = st.integers(0, 60).map(lambda secs: f"{secs}s") | st.none()
kinds = st.sampled_from(["Command", "DataAvailable", "Pump"])
events = st.lists(st.tuples(kinds, payloads, instants), min_size=1, max_size=25)
limits = st.builds(
    Constraints,
    max_in_flight=st.none() | st.integers(0, 3),
    max_per_window=st.none() | st.integers(0, 3),
    rate_window=st.none() | st.integers(0, 20 * 10**9),
    deadline=st.none() | st.sampled_from([0, 1, 10**9]),
    max_retries=st.integers(0, 2),
)


def line(index: int, event: tuple[str, dict[str, Any], str | None]) -> bytes:
    kind, payload, at = event
    body = {"type": kind, "id": f"e{index}", "semantic_kind": "price_tick", "payload": payload, "at": at}
    return event_line(body)


def captured(path: Path, target: Target, constraints: Constraints, stream: list[Any], pretty: bool = False) -> Path:
    adapter = target.adapter
    assert isinstance(adapter, Adapter)
    run = PreparedRun(target.program, adapter, constraints)
    header = Header(target.program.graph_id, constraints, target.program.provenance, adapter.fingerprint)
    lines = [line(index, event) for index, event in enumerate(stream)]
    with BundleWriter(str(path), header, pretty=pretty) as writer:
        run_stream(run, EventStream(lines, "events", semantic_kinds=SemanticKinds.REQUIRED), writer)
        writer.commit()
    return path


@given(stream=events, constraints=limits, pretty=st.booleans())
def test_every_capture_replays_to_itself(
    stream: list[Any], constraints: Constraints, pretty: bool, target: Target, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = captured(tmp_path_factory.mktemp("b") / "b.json", target, constraints, stream, pretty)
    result = replay_bundle(str(path), target, STRICT)
    assert (result.outcome, result.error, result.divergences) == (Outcome.MATCH, None, ())
    assert result.events == len(stream)
    assert diff_bundles(str(path), str(path)).outcome is Outcome.MATCH


@given(stream=events, constraints=limits)
def test_two_captures_are_equal_to_the_byte(
    stream: list[Any], constraints: Constraints, target: Target, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("b")
    one = captured(folder / "one.json", target, constraints, stream)
    other = captured(folder / "other.json", target, constraints, stream)
    assert one.read_bytes() == other.read_bytes()


def change_decision(decision: dict[str, Any], draw: st.DataObject) -> str:
    """Change one field of a decision; returns the path that a report must name."""
    field = draw.draw(
        st.sampled_from(["decision", "schedule_at", "episode_id", "deadline", "termination", "retry_count"])
    )
    before = decision[field]
    values: dict[str, Any] = {
        "decision": "Skip",
        "schedule_at": {"secs": 4, "nanos": 1},
        "episode_id": decision["episode_id"] + 7,
        "deadline": {"secs": 4, "nanos": 1},
        "termination": {"Failed": "Cancelled"},
        "retry_count": decision["retry_count"] + 1,
    }
    decision[field] = values[field]
    assert decision[field] != before
    return field


def change_effect(decision: dict[str, Any], draw: st.DataObject) -> str:
    """Change one value of one effect, its hash recomputed; returns the path that a report must name."""
    index = draw.draw(st.integers(0, len(decision["effects"]) - 1))
    effect = decision["effects"][index]["effect"]
    at = draw.draw(st.integers(0, len(effect["writes"]) - 1))
    (tag, value), *_ = effect["writes"][at]["value"].items()
    changed = {"Number": 123.5, "Bool": not value, "Series": [0.5] * 9, "String": "changed"}[tag]
    effect["writes"][at]["value"] = {tag: changed}
    text = json.dumps(effect, separators=(",", ":")).encode()
    decision["effects"][index]["effect_hash"] = effect_hash(text)
    return f"effects[{index}].writes[{at}].value.{tag}"


@given(stream=events, constraints=limits, draw=st.data())
def test_a_single_change_is_found_named_and_located(
    stream: list[Any],
    constraints: Constraints,
    draw: st.DataObject,
    target: Target,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("b")
    good = captured(folder / "good.json", target, constraints, stream)
    bundle = json.loads(good.read_text())
    seq = draw.draw(st.integers(0, len(bundle["decisions"]) - 1))
    decision = bundle["decisions"][seq]
    in_effect = draw.draw(st.booleans())
    assume(not in_effect or decision["effects"])
    path = change_effect(decision, draw) if in_effect else change_decision(decision, draw)
    bad = folder / "bad.json"
    bad.write_text(json.dumps(bundle))
    result = replay_bundle(str(bad), target, STRICT)
    assert_located(result, seq, decision["event_id"], path)
    assert result.divergences[0].code == ("replay.effect_mismatch" if in_effect else "replay.decision_mismatch")
    if path != "episode_id":  # to a diff an episode's number is only what it stands for
        assert_located(diff_bundles(str(good), str(bad)), seq, decision["event_id"], path, nodes=(None,))


def assert_located(
    result: BundleResult, seq: int, event_id: str, path: str, nodes: tuple[str | None, ...] = ACTIONS
) -> None:
    assert result.outcome is Outcome.DIVERGED
    assert [(found.seq, found.event_id, found.path) for found in result.divergences] == [(seq, event_id, path)]
    if path.startswith("effects"):
        assert result.divergences[0].node in nodes


@given(data=st.binary(max_size=400))
def test_no_bytes_make_the_reader_fail_without_a_code(
    data: bytes, target: Target, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("b") / "b.json"
    path.write_bytes(data)
    with pytest.raises(ErgoError) as caught:
        replay_bundle(str(path), target, STRICT, raise_on_failure=True)
    assert caught.value.code in {"replay.host_setup_failed", "bundle.digest_mismatch"}
