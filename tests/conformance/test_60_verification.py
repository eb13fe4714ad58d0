"""Spec 60, checklist lines of the comparison of two runs: C-106 to C-110, and the rules of §22."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from pipeline_flows import Driven, pipeline

from ergo_cli.core.json import canonical
from ergo_cli.programs.pipeline.authoring import Event, HandlerError, sink, source, transform
from ergo_cli.programs.pipeline.chain_events import ChainEvent, FlowSignal
from ergo_cli.programs.pipeline.flow_manifest import FlowManifest, FlowStage, blocking_stages
from ergo_cli.programs.pipeline.ids import TimedIds
from ergo_cli.programs.pipeline.program import PipelineProgram
from ergo_cli.programs.pipeline.signals import Eof, Watermark
from ergo_cli.programs.pipeline.topology import StageType
from ergo_cli.programs.pipeline.verification import (
    ABSENT,
    RecordedRun,
    RowDivergence,
    Side,
    Status,
    Verdict,
    verify,
)


def program(factor: int = 1, *, version: str = "1", ordered: bool = True, fails: int = -1) -> PipelineProgram:
    """Orders are multiplied and go to a ledger; the ``fails``-th number cannot be."""

    def scaled(event: Event) -> list[Event]:
        if event.payload["n"] == fails:
            raise HandlerError("too dear", "Domain")
        return [Event("scaled", {"n": event.payload["n"] * factor})]

    return pipeline(
        source("orders"),
        transform("scale", scaled, logic_version=version, ordered_delivery=ordered),
        sink("ledger", lambda event: None),
    )


def run_of(of: PipelineProgram, *numbers: int, status: Status = Status.COMPLETED) -> RecordedRun:
    flow = Driven(of).all(*({"n": number} for number in numbers), interrupted=status is Status.CANCELLED)
    labels = [f"{kind}:{stage.name}" for stage in of.stages for kind in ("data", "error")]
    journals = {label: flow.events(label.removeprefix("data:")) for label in labels}
    return RecordedRun(FlowManifest.of(of.manifest(of.flow_id())), status, journals)


# --- C-106


def test_c60_106_equal_runs_match() -> None:
    result = verify(run_of(program(), 1, 2), run_of(program(), 1, 2))
    assert (result.verdict, result.mode, result.journals) == (Verdict.MATCHED, "whole_run", ())
    assert result.text == "output matched the original run, 0 differences"
    assert (result.exit_code(strict=False), result.exit_code(strict=True)) == (0, 0)


def test_c60_106_a_changed_payload_diverges_with_stage_position_and_field() -> None:
    result = verify(run_of(program(), 0, 2), run_of(program(2), 0, 2))
    [report] = result.journals
    assert (result.verdict, result.exit_code(strict=False)) == (Verdict.DIVERGED, 1)
    assert (report.stage, report.journal, report.count, report.classification) == ("scale", "data", 1, "unexpected")
    assert list(report.divergences) == [RowDivergence(1, "payload", Side.of({"n": 2}), Side.of({"n": 4}))]


def test_c60_106_a_changed_logic_version_classifies_and_changes_no_exit_code() -> None:
    result = verify(run_of(program(), 1), run_of(program(2, version="2"), 1))
    assert (result.journals[0].classification, result.exit_code(strict=False)) == ("changed-code", 1)
    assert verify(run_of(program(), 1), run_of(program(version="2"), 1)).verdict is Verdict.MATCHED


def test_c60_106_uncertified_rows_are_counted_by_type_and_not_compared() -> None:
    result = verify(run_of(program(ordered=False), 1, 2), run_of(program(3, ordered=False), 1, 2))
    assert (result.verdict, result.exit_code(strict=False), result.exit_code(strict=True)) == (
        Verdict.MATCHED_UNCERTIFIED,
        0,
        4,
    )
    scale = next(each for each in result.uncertified if each.stage == "scale")
    assert (scale.blocking, scale.expected, scale.actual) == (["scale"], {"scaled": 2}, {"scaled": 2})


def test_c60_106_uncertified_stages_without_rows_are_vacuous() -> None:
    runs = [run_of(program(ordered=False)) for _ in range(2)]
    result = verify(runs[0], runs[1])
    assert result.verdict is Verdict.MATCHED
    assert [each.is_vacuous for each in result.uncertified] == [True, True]


def _renamed(run: RecordedRun, **members: Any) -> RecordedRun:
    return replace(run, manifest=replace(run.manifest, **members))


def _with_stage(run: RecordedRun) -> RecordedRun:
    extra = FlowStage(("scale",), True, "stage_X", "1", StageType.SINK)
    return _renamed(run, stages={**run.manifest.stages, "audit": extra})


def _rewired(run: RecordedRun) -> RecordedRun:
    stages = dict(run.manifest.stages)
    return _renamed(run, stages={**stages, "ledger": replace(stages["ledger"], inbound=("orders",))})


@pytest.mark.parametrize(
    ("change", "reason", "details"),
    [
        (lambda run: _renamed(run, flow_name="x"), "flow_name_mismatch", {"baseline": "orders", "candidate": "x"}),
        (_with_stage, "stage_set_mismatch", {"added": ["audit"], "removed": []}),
        (_rewired, "inbound_mismatch", {"stages": ["ledger"]}),
        (lambda run: replace(run, is_partial=True), "incomplete_archive_replay_candidate", {}),
        (lambda run: replace(run, status=Status.FAILED), "status_gate", None),
        (lambda run: replace(run, status=Status.UNKNOWN), "status_gate", None),
        (lambda run: replace(run, replays="flow_OTHER"), "lineage_mismatch", None),
    ],
)
def test_c60_106_what_cannot_be_compared_is_refused(change: Any, reason: str, details: Any) -> None:
    run = run_of(program(), 1)
    result = verify(run, change(run))
    assert (result.verdict, result.journals) == (Verdict.REFUSED, ())
    assert result.refusal is not None
    assert result.refusal.reason == reason
    assert details is None or result.refusal.details == details
    assert (result.exit_code(strict=True), result.exit_code(strict=False)) == (4, 0)


def test_a_replay_of_the_baseline_and_one_of_its_original_are_comparable() -> None:
    original = run_of(program(), 1)
    again = replace(original, replays=original.manifest.flow_id)
    assert verify(original, again).verdict is Verdict.MATCHED
    assert verify(again, again).verdict is Verdict.MATCHED


# --- C-107


def test_c60_107_a_cancelled_baseline_may_have_come_less_far() -> None:
    short, long = run_of(program(), 1, status=Status.CANCELLED), run_of(program(), 1, 2, 3)
    result = verify(short, long)
    assert (result.verdict, result.mode) == (Verdict.MATCHED, "baseline_prefix_of_candidate")
    assert {(report.stage, report.surplus) for report in result.journals} == {("orders", 2), ("scale", 2)}


def test_c60_107_a_cancelled_baseline_that_came_further_diverges() -> None:
    result = verify(run_of(program(), 1, 2, status=Status.CANCELLED), run_of(program(), 1))
    assert result.verdict is Verdict.DIVERGED
    assert {each.field for report in result.journals for each in report.divergences} == {"missing_row"}
    assert all(each.actual == ABSENT for report in result.journals for each in report.divergences)
    assert (ABSENT.truncated, ABSENT.sha256, ABSENT.bytes) == ("<absent>", "", 0)


def _poisoned(event: ChainEvent) -> ChainEvent:
    if isinstance(event.content, FlowSignal) and isinstance(event.content.signal, Eof):
        return replace(event, content=FlowSignal(replace(event.content.signal, natural=False)))
    return event


def test_c60_107_evidence_of_eofs_counts_where_both_runs_completed() -> None:
    whole = run_of(program(), 1)
    journals = {label: [_poisoned(event) for event in events] for label, events in whole.journals.items()}
    other = replace(whole, journals=journals)
    result = verify(whole, other)
    assert {each.field for report in result.journals for each in report.divergences} == {"eof_evidence"}
    assert verify(replace(whole, status=Status.CANCELLED), other).verdict is Verdict.MATCHED


def test_evidence_of_eofs_is_compared_regardless_of_their_order() -> None:
    whole = run_of(program(), 1)
    turned = {label: [*reversed(events)] for label, events in whole.journals.items()}
    assert verify(whole, replace(whole, journals=turned)).verdict is Verdict.MATCHED, "one row in each, EOFs around it"


# --- C-108


def test_c60_108_five_divergences_of_a_journal_are_kept_and_all_are_counted() -> None:
    [report] = verify(run_of(program(), *range(1, 13)), run_of(program(2), *range(1, 13))).journals
    assert (report.count, [each.position for each in report.divergences]) == (12, [0, 1, 2, 3, 4])


@given(st.text(alphabet="aé€𝄞", min_size=300, max_size=800))
def test_c60_108_a_long_value_is_cut_between_characters_with_the_digest_of_all(text: str) -> None:
    side, whole = Side.of(text), json.dumps(text, ensure_ascii=False).encode()
    assert whole.startswith(side.truncated.encode())
    assert (side.sha256, side.bytes) == (sha256(whole).hexdigest(), len(whole))
    if len(whole) > 1024:
        assert 1024 - 4 < len(side.truncated.encode()) <= 1024
    else:
        assert side.truncated.encode() == whole


# --- C-109


def _stages(**inbound: tuple[bool, tuple[str, ...]]) -> FlowManifest:
    stages = {
        name: FlowStage(upstream, ordered, f"stage_{name}", "1", StageType.TRANSFORM)
        for name, (ordered, upstream) in inbound.items()
    }
    return FlowManifest((), {}, "flow_F", "f", "ergo-pipeline/1", {}, stages)


def test_c60_109_unordered_delivery_uncertifies_a_stage_and_all_behind_it_and_is_named() -> None:
    manifest = _stages(a=(True, ()), b=(False, ("a",)), c=(True, ("b",)), d=(False, ("a",)), e=(True, ("c", "d")))
    assert blocking_stages([manifest]) == {"a": [], "b": ["b"], "c": ["b"], "d": ["d"], "e": ["b", "d"]}


def test_c60_109_one_run_suffices() -> None:
    ordered = _stages(a=(True, ()), b=(True, ("a",)))
    other = _stages(a=(False, ()), b=(True, ("a",)))
    assert blocking_stages([ordered, other]) == blocking_stages([other, ordered]) == {"a": ["a"], "b": ["a"]}


def test_c60_109_a_cycle_does_not_loop() -> None:
    manifest = _stages(a=(True, ("c",)), b=(True, ("a",)), c=(True, ("b",)), d=(True, ("c",)), e=(True, ()))
    assert blocking_stages([manifest]) == {**{name: ["a", "b", "c"] for name in "abcd"}, "e": []}, (
        "no cycle is certified"
    )


# --- what takes no part, and what does


def test_ids_writers_clocks_and_times_take_no_part() -> None:
    one = run_of(program(), 1, 2)
    ids = iter(range(10_000))
    minted = TimedIds(lambda: 5, lambda size: next(ids).to_bytes(size))

    def another(event: ChainEvent) -> ChainEvent:
        info = replace(event.processing_info, processing_time=9, event_time=7, processed_by="x")
        return replace(event, id=minted.mint(type(event.id)), processing_info=info, correlation_id=None)

    journals = {label: [another(event) for event in events] for label, events in one.journals.items()}
    assert verify(one, replace(one, journals=journals)).verdict is Verdict.MATCHED


def test_the_status_of_an_error_row_takes_part() -> None:
    result = verify(run_of(program(), 1, 2), run_of(program(fails=2), 1, 2))
    found = [(each.position, each.field) for report in result.journals for each in report.divergences]
    assert found == [(1, "kind")], "the marked input stands in the place of the output"
    one = run_of(program(fails=2), 1, 2)
    assert verify(one, run_of(program(fails=2), 1, 2)).verdict is Verdict.MATCHED


def test_watermarks_are_compared_by_their_time_alone() -> None:
    def marked(time: int, stage: str) -> PipelineProgram:
        return pipeline(
            source("orders", lambda payload: [Watermark(timestamp=time, stage_id=stage)]),
            sink("ledger", lambda event: None),
        )

    assert verify(run_of(marked(5, "a"), 1), run_of(marked(5, "b"), 1)).verdict is Verdict.MATCHED
    [report, *_] = verify(run_of(marked(5, "a"), 1), run_of(marked(6, "a"), 1)).journals
    assert (report.divergences[0].field, report.divergences[0].expected) == ("payload", Side.of(5))


def test_sides_hold_canonical_values() -> None:
    assert Side.of({"b": 1, "a": 2.0}).truncated.encode() == canonical({"a": 2.0, "b": 1})
