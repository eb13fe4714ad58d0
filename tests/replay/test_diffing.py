from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ergo_cli.bundle.memory import CaptureBundle
from ergo_cli.bundle.schema import DecisionRecord, EventRecord, IntentAck
from ergo_cli.errors import BundleError, ReplayError
from ergo_cli.events.external import EventKind
from ergo_cli.replay.diffing import diff_bundles
from ergo_cli.replay.paths import parse_patterns
from ergo_cli.replay.results import BundleResult, Outcome
from ergo_cli.supervisor.seam import Constraints, Decision
from ergo_cli.testing.bundles import bundle_of, completed, event_record, set_context
from tests.replay.conftest import written

ACK = IntentAck("eid1:sha256:1", "broker", "accepted", "durable")


def events(*ids: str) -> list[EventRecord]:
    return [event_record(event_id, json.dumps({"id": event_id}).encode()) for event_id in ids]


def decisions(*ids: str) -> list[DecisionRecord]:
    return [completed(event_id, number, [set_context("last", event_id)]) for number, event_id in enumerate(ids)]


def run(*ids: str) -> CaptureBundle:
    return bundle_of(events(*ids), decisions(*ids))


def diff(folder: Path, a: CaptureBundle, b: CaptureBundle, *ignore: str) -> BundleResult:
    patterns = parse_patterns(ignore)
    result = diff_bundles(written(folder / "a.json", a), written(folder / "b.json", b), patterns)
    assert (result.outcome is Outcome.DIVERGED) == bool(result.divergence_count)
    return result


def told(folder: Path, a: CaptureBundle, b: CaptureBundle, *ignore: str) -> list[tuple[Any, ...]]:
    found = diff(folder, a, b, *ignore).divergences
    assert {each.code for each in found} <= {None}
    return [(each.seq, each.event_id, each.kind.value, each.path) for each in found]


def test_an_event_inserted_at_the_front_is_one_difference(tmp_path: Path) -> None:
    ids = [f"e{number}" for number in range(500)]
    result = diff(tmp_path, run(*ids), run("front", *ids))
    [found] = result.divergences
    assert (found.kind.value, found.seq, found.event_id, found.path) == ("event_extra", 0, "front", "")
    assert found.expected is None
    assert isinstance(found.actual, dict)
    assert found.actual["payload"] == {"id": "front"}
    assert result.events == 501


@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [
        ("abc", "ac", [(1, "b", "event_missing", "")]),
        ("ac", "abc", [(1, "b", "event_extra", "")]),
        ("abcd", "bcda", [(0, "a", "event_moved", "")]),
        ("abc", "abca", [(3, "a", "event_extra", "")]),
        ("aab", "ab", [(1, "a", "event_missing", "")]),
        ("abc", "axc", [(1, "b", "event_missing", ""), (1, "x", "event_extra", "")]),
        ("", "a", [(0, "a", "event_extra", "")]),
    ],
)
def test_events_are_joined_by_id_and_occurrence(a: str, b: str, wanted: list[tuple[Any, ...]], tmp_path: Path) -> None:
    assert told(tmp_path, run(*a), run(*b)) == wanted


def test_a_moved_event_tells_both_places(tmp_path: Path) -> None:
    [found] = diff(tmp_path, run(*"abcd"), run(*"bcda")).divergences
    assert (found.expected, found.actual) == (0, 3)


def test_a_repeated_event_tells_its_occurrence(tmp_path: Path) -> None:
    [found] = diff(tmp_path, run(*"ab"), run(*"aba")).divergences
    assert (found.seq, found.event_id, found.occurrence) == (2, "a", 1)


def test_decisions_without_events_and_events_without_decisions(tmp_path: Path) -> None:
    whole = run(*"abc")
    assert told(tmp_path, whole, replace(whole, decisions=whole.decisions[:2])) == [(2, "c", "decision_missing", "")]
    assert told(tmp_path, replace(whole, decisions=whole.decisions[1:]), whole) == [(0, "a", "decision_extra", "")]
    assert told(tmp_path, whole, replace(whole, events=whole.events[:2])) == [(2, "c", "event_missing", "")]
    ghost = replace(whole, decisions=(*whole.decisions, completed("ghost")))
    assert told(tmp_path, whole, ghost) == [(3, "ghost", "decision_extra", "")]
    assert told(tmp_path, ghost, whole) == [(3, "ghost", "decision_missing", "")]
    [found] = diff(tmp_path, ghost, whole).divergences
    assert (found.expected, found.actual) == ("Invoke", None)


def deferred(*shared: int) -> CaptureBundle:
    """Decisions of events a, b, … with these episode ids."""
    ids = "abcdef"[: len(shared)]
    made = [replace(completed(event_id), episode_id=episode) for event_id, episode in zip(ids, shared, strict=True)]
    return bundle_of(events(*ids), made)


def test_an_episode_is_compared_by_the_event_that_it_stands_for(tmp_path: Path) -> None:
    assert told(tmp_path, deferred(0, 1, 0), deferred(5, 9, 5)) == []
    [found] = diff(tmp_path, deferred(0, 1, 0), deferred(0, 1, 1)).divergences
    assert (found.path, found.expected, found.actual) == ("episode_id", 0, 1)


def test_equal_numbers_that_stand_for_different_events_are_told_as_those(tmp_path: Path) -> None:
    a = bundle_of(events("x", "p"), [replace(completed("x"), episode_id=2), replace(completed("p"), episode_id=2)])
    b = bundle_of(events("y", "p"), [replace(completed("y"), episode_id=2), replace(completed("p"), episode_id=2)])
    found = diff(tmp_path, a, b).divergences
    assert [(each.kind.value, each.expected, each.actual) for each in found if each.path] == [("decision", "x", "y")]


def test_the_leaves_of_an_event(tmp_path: Path) -> None:
    a = bundle_of([event_record("e", b'{"p":1.0,"q":[1,2],"r":{"s":1}}', at=5)], decisions("e"))
    b = bundle_of([event_record("e", b'{"p":2.0,"q":[1,3],"r":{"t":1}}', kind=EventKind.PUMP)], decisions("e"))
    assert [path for *_, path in told(tmp_path, a, b)] == [
        "event.event_time",
        "event.kind",
        "event.payload.p",
        "event.payload.q[1]",
        "event.payload.r.s",
        "event.payload.r.t",
    ]
    left = told(tmp_path, a, b, "event.event_time", "event.kind", "event.payload.q", "event.payload.r.*")
    assert [path for *_, path in left] == ["event.payload.p"]
    assert told(tmp_path, a, b, "event.event_time", "event.kind", "event.payload.**") == []


def test_the_payload_hash_counts_only_where_the_payload_is_equal(tmp_path: Path) -> None:
    good = event_record("e", b"{}")
    a, b = (bundle_of([event], decisions("e")) for event in (good, replace(good, payload_hash="0" * 64)))
    assert told(tmp_path, a, b) == [(0, "e", "event_changed", "event.payload_hash")]
    spelled = bundle_of([event_record("e", b"{ }")], decisions("e"))
    assert told(tmp_path, a, spelled) == [(0, "e", "event_changed", "event.payload_hash")]


def test_a_payload_that_is_no_json_is_compared_as_text(tmp_path: Path) -> None:
    a, b = (bundle_of([event_record("e", payload)], decisions("e")) for payload in (b"\xff", b""))
    [found] = diff(tmp_path, a, b).divergences
    assert (found.path, found.expected, found.actual) == ("event.payload", "\\xff", None)


def test_the_header(tmp_path: Path) -> None:
    a = bundle_of([], [])
    limits = Constraints(max_per_window=2, rate_window=10**10)
    b = replace(bundle_of([], [], graph_id="other", constraints=limits), egress_provenance="epv1:sha256:0")
    result = diff(tmp_path, a, b)
    assert {(each.kind.value, each.event_id) for each in result.divergences} == {("header", None)}
    assert [each.path for each in result.divergences] == [
        "header.graph_id",
        "header.config.max_per_window",
        "header.config.rate_window",
        "header.egress_provenance",
    ]
    assert diff(tmp_path, a, b, "header").outcome is Outcome.MATCH


def test_acks_and_interruptions_are_evidence(tmp_path: Path) -> None:
    a = bundle_of(events("e"), [replace(completed("e"), intent_acks=(ACK,))])
    b = bundle_of(
        events("e"), [replace(completed("e"), intent_acks=(replace(ACK, channel="c"), ACK), interruption="x")]
    )
    assert told(tmp_path, a, b) == [
        (0, "e", "evidence", "intent_acks[0].channel"),
        (0, "e", "evidence", "intent_acks[1]"),
        (0, "e", "evidence", "interruption"),
    ]
    assert told(tmp_path, a, b, "intent_acks", "interruption") == []


def test_style_compression_and_version_make_no_difference(tmp_path: Path) -> None:
    bundle = run(*"abc")
    one = written(tmp_path / "a.json", bundle)
    pretty, packed = tmp_path / "p.json", tmp_path / "c.json.gz"
    pretty.write_bytes(bundle.encode(pretty=True))
    packed.write_bytes(gzip.compress(bundle.encode()))
    for other in (pretty, packed):
        assert diff_bundles(one, str(other)).outcome is Outcome.MATCH
        assert diff_bundles(str(other), one).outcome is Outcome.MATCH


def test_a_pattern_has_matched_also_where_nothing_differs(tmp_path: Path) -> None:
    texts = (
        "header.config.max_retries",
        "event.payload.id",
        "effects[*].writes[key=last]",
        "interruption",
        "**.nothing",
    )
    patterns = parse_patterns(texts)
    path = written(tmp_path / "a.json", run(*"ab"))
    assert diff_bundles(path, path, patterns).outcome is Outcome.MATCH
    assert [pattern.matched for pattern in patterns] == [True, True, True, True, False]


def test_every_difference_is_counted_and_the_first_are_listed(tmp_path: Path) -> None:
    ids = [f"e{number}" for number in range(9)]
    a = written(tmp_path / "a.json", run(*ids))
    b = written(tmp_path / "b.json", run(*(f"f{number}" for number in range(9))))
    result = diff_bundles(a, b, max_divergences=4)
    assert (result.divergence_count, len(result.divergences)) == (18, 4)


@pytest.mark.parametrize(
    ("edit", "place"),
    [
        (lambda bundle: bundle["decisions"][1].pop("effects"), "decisions[1]"),
        (lambda bundle: bundle["decisions"][2].update(decision="Perhaps"), "decisions[2].decision"),
        (lambda bundle: bundle["events"][1].pop("event_id"), "events[1]"),
        (lambda bundle: bundle["events"][1]["payload"].append(300), "events[1].payload"),
        (lambda bundle: bundle["events"].append(7), "a record must be an object"),
    ],
)
@pytest.mark.parametrize("swapped", [False, True])
def test_a_malformed_record_is_refused_with_its_place(edit: Any, place: str, swapped: bool, tmp_path: Path) -> None:
    good = written(tmp_path / "good.json", run(*"abc"))
    bundle = json.loads(Path(good).read_text())
    edit(bundle)
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(bundle))
    with pytest.raises(BundleError) as caught:
        diff_bundles(*((str(bad), good) if swapped else (good, str(bad))))
    assert caught.value.code == "bundle.parse_failed"
    assert f"{bad}:1:" in (caught.value.where or "")
    assert place in f"{caught.value.where} {caught.value.message}"


def test_an_unknown_version_is_refused_by_name(tmp_path: Path) -> None:
    good = tmp_path / "good.json"
    bad = written(tmp_path / "bad.json", run("a"))
    good.write_text(Path(bad).read_text())
    Path(bad).write_text(good.read_text().replace('"v3"', '"v2"'))
    with pytest.raises(ReplayError) as caught:
        diff_bundles(str(good), bad)
    assert caught.value.code == "replay.unsupported_capture_version"
    assert bad in (caught.value.where or "")


ids = st.lists(st.sampled_from("abcde"), max_size=8)


@given(a=ids, b=ids)
def test_streams_differ_by_what_one_has_and_the_other_lacks(
    a: list[str], b: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    found = diff(tmp_path_factory.mktemp("d"), run(*a), run(*b)).divergences
    kinds = [each.kind.value for each in found]
    common = sum(min(a.count(event_id), b.count(event_id)) for event_id in "abcde")
    assert kinds.count("event_missing") == len(a) - common
    assert kinds.count("event_extra") == len(b) - common
    assert set(kinds) <= {"event_missing", "event_extra", "event_moved"}


def test_kinds_of_decisions_are_counted_for_b(tmp_path: Path) -> None:
    kinds = (Decision.INVOKE, Decision.DEFER, Decision.DEFER, Decision.SKIP)
    made = [replace(completed(event_id), decision=kind) for event_id, kind in zip("abcd", kinds, strict=True)]
    result = diff(tmp_path, run(*"abcd"), bundle_of(events(*"abcd"), made))
    assert result.decisions is not None
    assert (result.decisions.invoke, result.decisions.skip, result.decisions.defer) == (1, 1, 2)
