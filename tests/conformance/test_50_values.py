"""The tables of the original plan engine: values, secrets, ids, orders, back-off, manifests, wire forms, histories."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from ergo_cli.core import wire
from ergo_cli.core.json import JsonError, NotCanonicalError, decode
from ergo_cli.programs.plan.canonical import FloatNotAllowed, SecretsNotAllowed, canonical_json
from ergo_cli.programs.plan.engine import RunResult, read_manifest
from ergo_cli.programs.plan.errors import ContextError, ErrorInfo, RunForm, json_form, redacted
from ergo_cli.programs.plan.events import Envelope, FactRecorded
from ergo_cli.programs.plan.history import EnvelopeFault, History
from ergo_cli.programs.plan.ids import IdError, RunId, is_op_path, is_segment, is_state_id, op_id, state_id
from ergo_cli.programs.plan.manifest import BackoffPolicy, Delay, RunConfig
from ergo_cli.programs.plan.secrets import find_secret, is_suspicious
from ergo_cli.programs.plan.states import PlanFault, StateMeta, StateOutcome, ordered
from ergo_cli.programs.plan.stream import Artifacts
from ergo_cli.stores.artifacts import artifact_id
from ergo_cli.stores.memory import MemoryArtifacts
from tests.conformance.plan_scenarios import load

Case = dict[str, Any]


def cases(name: str) -> list[Case]:
    found: list[Case] = load(name)["cases"]
    assert found
    return found


@pytest.mark.parametrize("case", cases("canonical"), ids=lambda case: case["text"][:40])
def test_c50_canonical_values(case: Case) -> None:
    text = case["text"].encode()
    if case.get("error") == "parse":
        with pytest.raises(JsonError):
            decode(text)
        return
    value = decode(text)
    match case.get("error"):
        case "FloatNotAllowed":
            with pytest.raises(FloatNotAllowed):
                canonical_json(value)
        case "SecretsNotAllowed":
            with pytest.raises(SecretsNotAllowed):
                canonical_json(value)
        case None:
            assert canonical_json(value) == case["canonical"].encode()
            assert artifact_id(canonical_json(value)) == case["id"]
        case other:
            raise AssertionError(other)


@pytest.mark.parametrize("case", cases("secrets"), ids=lambda case: str(case["value"])[:40])
def test_c50_secrets(case: Case) -> None:
    match case["kind"]:
        case "string":
            assert is_suspicious(case["value"]) is case["found"]
        case "json":
            assert (find_secret(case["value"]) is not None) is case["found"]
        case "redact":
            info = wire.read(case["value"], ErrorInfo)
            assert json_form(redacted(info)) == case["result"]
        case other:
            raise AssertionError(other)


@pytest.mark.parametrize("case", cases("ids"), ids=lambda case: case["value"][:20] or "empty")
def test_c50_ids(case: Case) -> None:
    value = case["value"]
    assert is_segment(value) is case["segment"]
    assert is_op_path(value) is case["op_path"]
    assert is_state_id(value) is (case["state_id"] is True)
    for make, wanted in ((op_id, case["op_id"]), (state_id, case["state_id"])):
        if wanted is True:
            assert make(value) == value
        else:
            with pytest.raises(IdError) as refused:
                make(value)
            assert str(refused.value) == wanted


@pytest.mark.parametrize("case", cases("topology"), ids=lambda case: json.dumps(case["edges"])[:40])
def test_c50_topological_order(case: Case) -> None:
    prefix = load("topology")["state_id_prefix"]
    edges = [(prefix + tail, prefix + head) for tail, head in case["edges"]]
    found = ordered([prefix + name for name in case["states"]], edges)
    if "order" in case:
        assert found == tuple(case["order"])
    else:
        assert not isinstance(found, tuple)
        assert without_order(json_form(found)) == without_order(case["error"])


def without_order(fault: Any) -> Any:
    """The original's cycle is in no fixed order."""
    if isinstance(fault, dict) and "CircularDependency" in fault:
        return {"CircularDependency": {"cycle": sorted(fault["CircularDependency"]["cycle"])}}
    return fault


@pytest.mark.parametrize("case", cases("backoff"), ids=lambda case: json.dumps(case["policy"])[:60])
def test_c50_backoff(case: Case) -> None:
    if "error" in case or is_loose(json.dumps(case["policy"])):
        with pytest.raises(wire.WireError):
            wire.read(case["policy"], BackoffPolicy)
        return
    policy = wire.read(case["policy"], BackoffPolicy)
    assert json.loads(wire.encode(policy)) == case["policy_written"]
    for attempt, seconds, nanos in case["delays"]:
        assert policy.after(attempt) == seconds * 10**9 + nanos


REFUSALS = {"decode": "plan.manifest_decode_failed", "deserialize": "plan.manifest_deserialize_failed"}
LOOSE = re.compile(r'^\[1,2\]$|"delay":\[|"io_mode":\{"Live":null\}')
"""Where the original reads a struct written as a list, or a variant as an object: refused here (spec 50 §26, 2)."""


@pytest.mark.parametrize("case", cases("manifests"), ids=lambda case: case["group"])
def test_c50_manifests(case: Case) -> None:
    text, store = case["text"].encode(), MemoryArtifacts()
    kept = artifact_id(text)
    store.put(text)
    error = "deserialize" if is_loose(case["text"]) else case.get("error")
    if error in REFUSALS:
        with pytest.raises(ContextError) as refused:
            read_manifest(Artifacts(store), kept)
        assert refused.value.code == REFUSALS[error]
        return
    manifest = read_manifest(Artifacts(store), kept)
    if error is None:
        assert manifest.canonical() == case["canonical"].encode()
        assert artifact_id(manifest.canonical()) == case["id"]
    else:
        with pytest.raises(NotCanonicalError if error == "FloatNotAllowed" else SecretsNotAllowed):
            manifest.canonical()


def is_loose(text: str) -> bool:
    return LOOSE.search(text.replace(" ", "")) is not None


KINDS: dict[str, Any] = {
    "BackoffPolicy": BackoffPolicy,
    "Duration": Delay,
    "EventEnvelope": Envelope,
    "FactRecorded": FactRecorded,
    "PlanValidationError": PlanFault,
    "RunConfig": RunConfig,
    "RunError": RunForm,
    "RunId": RunId,
    "RunResult": RunResult,
    "StateMeta": StateMeta,
    "StateOutcome": StateOutcome,
}
NOT_OURS = {"ArtifactKind", "IoCall", "OpId", "StateId", "StateMeta"}
"""Forms that no part of ergo reads by themselves."""
OTHERWISE = {
    '"seq":1,"seq":2': "the last of two members wins, as in every text that is read as a value first",
    '"secs":1,"secs":2': "the last of two members wins, as in every text that is read as a value first",
    "DanglingDependencyTag": "no engine raises this fault, and it is not known here",
    '"NOTHEX"': "what is not an artifact id is refused (spec 50 §3)",
}


def differs_on_purpose(case: Case) -> bool:
    return any(part in case["text"].replace(" ", "") for part in OTHERWISE)


@pytest.mark.parametrize("case", cases("wire"), ids=lambda case: f"{case['type']}-{case['text'][:40]}")
def test_c50_wire_forms(case: Case) -> None:
    if case["type"] in NOT_OURS:
        pytest.skip(f"{case['type']} is a form of the original's own")
    kind, text = KINDS[case["type"]], case["text"].encode()
    is_refused = "error" in case or is_loose(case["text"])
    if is_refused != differs_on_purpose(case):
        with pytest.raises((wire.WireError, JsonError)):
            wire.decode(text, kind)
    else:
        written = json.loads(wire.encode(wire.decode(text, kind)))
        assert differs_on_purpose(case) or written == json.loads(case["written"])


OWN_RULES = {
    "R2_nested_next_attempt_completed": None,
    "R5_events_after_RC": "EventAfterRunCompleted",
    "R5_orphan_after_RC": "EventAfterRunCompleted",
    "RS_after_RC": "EventAfterRunCompleted",
    "two_RS": "DuplicateRunStarted",
    "random_3": "EventAfterRunCompleted",
    "random_9": "DuplicateRunStarted",
    "random_27": "DuplicateRunStarted",
    "random_45": "DuplicateRunStarted",
}
"""Histories with two beginnings, or events after the end, are refused; a superseded attempt is not (spec 50 §11)."""


@pytest.mark.parametrize("case", cases("envelopes"), ids=lambda case: case["name"])
def test_c50_histories(case: Case) -> None:
    run = load("envelopes")["run_id"]
    events = [wire.read({"run_id": run, "ts_millis": None, **event}, Envelope) for event in case["events"]]
    error = OWN_RULES.get(case["name"], case.get("error"))
    if error is not None:
        with pytest.raises(EnvelopeFault) as refused:
            History.of(events)
        assert refused.value.variant == error
        return
    history = History.of(events)
    if case["name"] not in OWN_RULES:
        assert history.checkpoint == case["last_checkpoint"]
        assert orphan_of(history) == case["orphan"]


def orphan_of(history: History) -> Any:
    orphan = history.orphan
    if orphan is None:
        return None
    return {
        "state_id": orphan.state_id,
        "attempt": orphan.attempt,
        "base_snapshot_id": orphan.base_snapshot_id,
        "entered_seq": orphan.entered_seq,
    }
