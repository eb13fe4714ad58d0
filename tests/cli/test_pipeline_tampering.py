"""Bundles of pipelines with one record less, twice or in another place, all digests and heads fitting again."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from replayed_kernels import resealed_entry, sealed

from tests.cli.pipeline_projects import GONE, KEPT, orders
from tests.conftest import Ergo

Records = list[Any]
FOUND = {"diverged", "refused"}


def removed(records: Records, place: int) -> None:
    del records[place]


def written_twice(records: Records, place: int) -> None:
    records.insert(place, copy.deepcopy(records[place]))


def repeated_at_the_end(records: Records, place: int) -> None:
    records.insert(len(records) - 1, copy.deepcopy(records[place]))


def put_behind_the_next(records: Records, place: int) -> None:
    records.insert(place + 1, records.pop(place))


def put_at_the_end(records: Records, place: int) -> None:
    records.insert(len(records) - 1, records.pop(place))


def resealed(bundle: Any) -> bytes:
    """The text of a bundle whose heads, digests of entries and digest fit its records again."""
    head = 0
    for entry in bundle["journals"]:
        for record in entry["records"]:
            if "begin" in record:
                record["begin"]["head"] = head
            head += "journal" in record
        resealed_entry(entry)
    return sealed(bundle)


def outcomes(ergo: Ergo, folder: Path, damage: Callable[[Records, int], None]) -> list[tuple[Any, Any, str]]:
    """For every record of the example, the one behind it, and what a strict replay says once it was damaged."""
    project = orders(folder)
    (project / "orders" / "world.py").write_text(GONE)
    text = (project / KEPT).read_text()
    (project / "damaged").mkdir()
    damaged: dict[str, tuple[Any, Any]] = {}
    for index, entry in enumerate(json.loads(text)["journals"]):
        for place, record in enumerate(entry["records"]):
            if "journal" in record:
                bundle = json.loads(text)
                damage(bundle["journals"][index]["records"], place)
                name = f"damaged/{index}-{place:02}.json"
                (project / name).write_bytes(resealed(bundle))
                damaged[name] = record, entry["records"][place + 1]
    ran = ergo("replay", "damaged", "--strict", "--format", "json", cwd=project)
    bundles = {each["path"]: each for each in ran.report["bundles"]}
    assert bundles.keys() == damaged.keys()
    for each in bundles.values():
        assert each["error"] is None or each["error"]["code"] == "bundle.journal_invalid"
    return [(*damaged[path], each["outcome"]) for path, each in bundles.items()]


def is_of_readers(record: Any) -> bool:
    """Whether a record says how far readers are, or is a source's promise: such signals take no part."""
    content = record["record"]["event"].get("content", {})
    kind = content.get("flow_control_type", "")
    return kind.startswith("consumption_") or kind == "source_contract"


def test_every_record_that_is_taken_out_is_missed_but_last_reports_of_readers(ergo: Ergo, tmp_path: Path) -> None:
    """§22.4, §17.4: rows, receipts, EOFs and every fact of the system journal are missed.

    A report is missed by the count of its writer, but for the last one, and for copies that other stages pass on.
    """
    found = outcomes(ergo, tmp_path, removed)
    assert len(found) > 200
    for record, _, outcome in found:
        assert outcome in FOUND or is_of_readers(record), record
    reports = [outcome for record, _, outcome in found if is_of_readers(record)]
    assert reports.count("refused") > 10


@pytest.mark.slow
@pytest.mark.parametrize("damage", [written_twice, repeated_at_the_end, put_at_the_end])
def test_every_record_that_stands_twice_or_later_is_found(
    ergo: Ergo, tmp_path: Path, damage: Callable[[Records, int], None]
) -> None:
    for record, behind, outcome in outcomes(ergo, tmp_path, damage):
        assert outcome in FOUND or (damage is put_at_the_end and "end" in behind), record


@pytest.mark.slow
def test_two_records_of_one_writer_and_journal_cannot_change_places(ergo: Ergo, tmp_path: Path) -> None:
    """Records of several journals have no order that a replay compares."""
    for record, behind, outcome in outcomes(ergo, tmp_path, put_behind_the_next):
        if "journal" in behind and behind["journal"] == record["journal"]:
            writers = [each["record"]["event"]["writer_id"] for each in (record, behind)]
            assert outcome in FOUND or writers[0] != writers[1], record


def end_of(bundle: Any, entry: int) -> Any:
    return bundle["journals"][entry]["records"][-1]["end"]


def closed_twice(bundle: Any) -> None:
    bundle["journals"].append(copy.deepcopy(bundle["journals"][-1]))


def closed_without_a_record(bundle: Any) -> None:
    records = bundle["journals"][-1]["records"]
    del records[1:-1]
    records[-1]["end"]["termination"] = "Aborted"


def cut(count: int) -> Callable[[Any], None]:
    """Take away the last records of the flow."""

    def change(bundle: Any) -> None:
        del bundle["journals"][-1]["records"][-1 - count : -1]

    return change


ENDS: dict[str, tuple[Callable[[Any], object], str]] = {
    "closed twice": (closed_twice, "it belongs to no decision"),
    "closed without a record": (closed_without_a_record, "the flow has not ended with `drained`"),
    "drained cut off": (cut(1), "the flow has not ended with `drained`"),
    "completed cut off": (cut(2), "the flow has not ended with `drained`"),
    "failed, but completed": (lambda b: end_of(b, -1).update(status="Failed"), "but the flow said `completed`"),
    "running, but ended": (lambda b: end_of(b, -1).update(status="Running"), "but the flow has ended"),
    "drained, but running": (lambda b: end_of(b, 2).update(status="Drained"), "has not ended with `drained`"),
    "aborted, but completed": (
        lambda b: end_of(b, -1).update(termination="Aborted"),
        "is not that of a flow that said `completed`",
    ),
    "a stage failed, but the flow runs": (
        lambda b: end_of(b, 2).update(termination={"Failed": "SemanticError"}),
        "that of a flow that ended, but the flow has not",
    ),
    "refused without a reason": (
        lambda b: end_of(b, 2).update(termination={"Failed": "ValidationFailed"}),
        "that of a flow that ended, but the flow has not",
    ),
}


@pytest.mark.parametrize("strict", [True, False])
def test_an_end_that_does_not_fit_the_records_is_refused(ergo: Ergo, tmp_path: Path, strict: bool) -> None:
    project = orders(tmp_path)
    text = (project / KEPT).read_text()
    (project / "damaged").mkdir()
    for name, (change, _) in ENDS.items():
        bundle = json.loads(text)
        change(bundle)
        (project / "damaged" / f"{name}.json").write_bytes(resealed(bundle))
    ran = ergo("replay", "damaged", *(["--strict"] if strict else []), "--format", "json", cwd=project)
    errors = {Path(each["path"]).stem: each["error"] for each in ran.report["bundles"]}
    assert (ran.exit_code, errors.keys()) == (3, ENDS.keys())
    for name, (_, why) in ENDS.items():
        assert errors[name] is not None, name
        assert (errors[name]["code"], why in errors[name]["message"]) == ("bundle.journal_invalid", True), errors[name]


def test_a_missing_closing_entry_is_a_warning_and_strictly_not_comparable(ergo: Ergo, tmp_path: Path) -> None:
    project = orders(tmp_path)
    bundle = json.loads((project / KEPT).read_text())
    del bundle["journals"][-1]
    (project / "cut.json").write_bytes(resealed(bundle))
    ran = ergo("replay", "cut.json", cwd=project)
    assert (ran.exit_code, "there is no closing entry" in ran.stderr) == (0, True)
    strict = ergo("replay", "cut.json", "--strict", "--format", "json", cwd=project)
    assert (strict.exit_code, strict.report["bundles"][0]["error"]["code"]) == (4, "pipeline.not_comparable")


def system_event(bundle: Any, member: str, fact: str, number: int = 0) -> Any:
    """The event of one of the facts of this name that the lifecycle of the flow, or of its stages, has."""
    events = [each["record"]["event"] for entry in bundle["journals"] for each in entry["records"] if "record" in each]
    return [event for event in events if event.get(member) == fact][number]


def effect(bundle: Any) -> Any:
    """The record of the first effect."""
    contents = [
        each["record"]["event"].get("content", {})
        for entry in bundle["journals"]
        for each in entry["records"]
        if "record" in each
    ]
    return next(each["payload"] for each in contents if each.get("event_type") == "obzenflow.effect_record.v1")


STAGE, FLOW = "lifecycle_event", "pipeline_event"
OTHER_FLOW = "flow_1ZE1STVZH6JR1MTYKEYHVHPR10"


def starting_instead_of_ready(bundle: Any) -> None:
    event = system_event(bundle, FLOW, "ready_for_run")
    event["pipeline_event"] = "starting"
    del event["stage_count"]


FACTS: dict[str, tuple[Callable[[Any], object], str]] = {
    "a stage drains that never ran": (
        lambda b: system_event(b, STAGE, "running").update(lifecycle_event="draining"),
        "says `draining`, but not `running` before it",
    ),
    "a stage runs twice": (
        lambda b: system_event(b, STAGE, "running", 1).update(stage_id=system_event(b, STAGE, "running")["stage_id"]),
        "says `running`, but has said `running` before it",
    ),
    "a fact of a stage that is not there": (
        lambda b: system_event(b, STAGE, "running").update(stage_id="1" * 26),
        f"the flow has no stage 'stage_{'1' * 26}'",
    ),
    "starting, but not ready": (
        starting_instead_of_ready,
        "the flow says `starting`, but not `ready_for_run` before it",
    ),
    "draining twice": (
        lambda b: system_event(b, FLOW, "all_stages_completed").update(pipeline_event="draining"),
        "the flow says `draining`, but has said `draining` before it",
    ),
    "stages counted wrong": (
        lambda b: system_event(b, FLOW, "running").update(stage_count=7),
        "the flow has 6 stages, `running` counts 7",
    ),
    "stages not counted": (
        lambda b: system_event(b, FLOW, "ready_for_run").pop("stage_count"),
        "the flow has 6 stages, `ready_for_run` counts None",
    ),
    "an effect of another flow": (
        lambda b: effect(b)["cursor"].update(recorded_flow_id=OTHER_FLOW),
        f"its effect is one of flow '{OTHER_FLOW}'",
    ),
    "an effect of another stage": (
        lambda b: effect(b)["cursor"].update(stage_key="price"),
        "its effect is one of stage 'price'",
    ),
    "an effect that asks for something else": (
        lambda b: effect(b)["descriptor"].update(label="another"),
        "its `descriptor_hash` is not that of its descriptor",
    ),
}


def test_facts_and_effects_that_no_flow_says_are_refused(ergo: Ergo, tmp_path: Path) -> None:
    """§9, §17.4, §21: neither takes part in the rows, so that a replay would not see that they were changed."""
    project = orders(tmp_path)
    text = (project / KEPT).read_text()
    (project / "damaged").mkdir()
    for name, (change, _) in FACTS.items():
        bundle = json.loads(text)
        change(bundle)
        (project / "damaged" / f"{name}.json").write_bytes(resealed(bundle))
    ran = ergo("replay", "damaged", "--strict", "--format", "json", cwd=project)
    errors = {Path(each["path"]).stem: each["error"] for each in ran.report["bundles"]}
    assert (ran.exit_code, errors.keys()) == (3, FACTS.keys())
    for name, (_, why) in FACTS.items():
        assert errors[name] is not None, name
        assert (errors[name]["code"], why in errors[name]["message"]) == ("bundle.journal_invalid", True), errors[name]
