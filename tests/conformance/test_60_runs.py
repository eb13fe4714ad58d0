"""Whole flows of the original, run by ergo's scheduler: its journals, writer by writer, or the rule by which we differ.

Not compared is what depends on time alone: progress before the end and healthy contracts (§23.2: after every visit),
what the aggregator of metrics says (§23.2: there is none), and the place of a record among those of other writers.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Set
from pathlib import Path
from typing import Any

import pytest
from pipeline_scenarios import Row, expected_rows, rows_of, run, state_text

from ergo_cli.programs.pipeline.errors import TopologyError

RUNS = json.loads((Path(__file__).parent / "data/spec60/runs.json").read_bytes())
CASES = {case["name"]: case for case in RUNS}

METRICS = (
    "events_processed_total",
    "events_accumulated_total",
    "events_emitted_total",
    "errors_total",
    "errors_by_kind",
    "in_flight",
)
FLOW_METRICS = ("events_in_total", "events_out_total", "errors_total")

Sequences = dict[tuple[str, str, str], list[Row]]
"""Rows by journal, writer and family: what a stage reports of its readers comes after every visit here (§23.2)."""

REPORTS = ("consumption_progress", "consumption_gap", "consumption_final", "at_least_once_violation")


def sequences(journals: dict[str, list[Row]], unstable: Set[str]) -> Sequences:
    """The rows of each writer in each journal, ids numbered by writer; sorted where the original has no order."""
    kept = {label: [row for row in rows if is_compared(label, row)] for label, rows in journals.items()}
    kept["system"] = once(kept["system"])
    ids: dict[str, str] = {}
    numbers: Counter[tuple[str, str]] = Counter()
    for label, rows in kept.items():
        for row in rows:
            if row["id"].startswith(f"{label}#") and not row["writer"].startswith("SYS"):
                key = (label, family(row))
                numbers[key] += 1
                ids[row["id"]] = f"{label}@{family(row)}{numbers[key]}"
    found: Sequences = defaultdict(list)
    for label, rows in kept.items():
        for row in rows:
            found[label, written_by(label, row), family(row)].append(normal(label, row, ids))
    return {
        key: sorted(map(without_order, rows), key=str) if key[0] in unstable else rows for key, rows in found.items()
    }


def family(row: Row) -> str:
    is_report = row.get("flow_control_type") in REPORTS or row.get("system_event_type", "").startswith("contract_")
    return "reports" if is_report else "rows"


def without_order(row: Row) -> Row:
    return {key: value for key, value in row.items() if key != "id"}


def is_compared(label: str, row: Row) -> bool:
    if label != "system":
        return row.get("flow_control_type") != "consumption_progress" or row["eof_seen"]
    return not (
        row["system_event_type"] == "metrics_coordination"
        or row.get("pipeline_event") == "ready_for_run"
        or row.get("status") == "healthy"
        or (row.get("lifecycle_event") == "completed" and "metrics" not in row)
    )


def once(rows: list[Row]) -> list[Row]:
    """The rows without a second marker of completion (§15.1)."""
    markers = [row for row in rows if row.get("pipeline_event") == "all_stages_completed"]
    return [row for row in rows if row not in markers[1:] or row is markers[0]]


def written_by(label: str, row: Row) -> str:
    """The writer; what a handler made is written by its stage, whatever writer the handler named (§6)."""
    is_made = row.get("event_type", "").endswith((".out", ".eof", ".drain", ".ref"))
    if is_made or row.get("status") == "Filtered":
        return "STAGE:" + row["id"].partition(":")[2].partition("#")[0]
    return "SYS" if row["writer"].startswith("SYS") else row["writer"]


def normal(label: str, row: Row, ids: dict[str, str]) -> Row:
    is_by_system = row["writer"].startswith("SYS")
    row = with_ids({key: value for key, value in row.items() if key not in ("clock", "repeated", "writer")}, ids)
    if label == "system" or is_by_system:
        del row["id"]
    if "metrics" in row:
        wanted = FLOW_METRICS if "events_in_total" in row["metrics"] else METRICS
        row["metrics"] = {name: row["metrics"][name] for name in wanted}
    if row.get("reason", "") and str(row["reason"]).startswith("Pipeline abort requested"):
        row["reason"] = "Pipeline abort requested"  # the rest is text for people (§10)
    return row


def with_ids(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: with_ids(member, ids) for key, member in value.items()}
    if isinstance(value, list):
        return [with_ids(item, ids) for item in value]
    return ids.get(value, value) if isinstance(value, str) else value


def differences(case: dict[str, Any]) -> dict[tuple[str, str, str], tuple[list[Row], list[Row]]]:
    """Where our rows differ: journal and writer, our rows and theirs."""
    unstable = {label for label, journal in case["journals"].items() if label != "system" and not journal["stable"]}
    ours, theirs = sequences(rows_of(run(case).flow), unstable), sequences(expected_rows(case), unstable)
    return {
        key: (ours.get(key, []), theirs.get(key, []))
        for key in sorted(ours.keys() | theirs.keys())
        if ours.get(key, []) != theirs.get(key, [])
    }


PANIC = "§28: a stage whose handler panics fails, here too where the original's task is lost"
SOURCE_ROWS = "H-20: an EOF counts what is in the data journal, so that marked events of a source do not abort"
SETTLED = "H-15: the last failed source of warn mode leads through SourceCompleted and Draining"
CLOSED = "H-18, H-21: a stage that is shut down says so, once and with its metrics"

INSTEAD: dict[str, tuple[str, str, set[str]]] = {
    "tr-panic": (PANIC, "Failed", {"system"}),
    "snk-panic": ("§18.5: the text is for people, and names handler and exception", "Failed", {"data:snk", "system"}),
    "snk-flush-err": ("H-9: a failure is an event of every state of the pipeline", "Failed", {"system"}),
    "src-panic": (PANIC, "Failed", {"data:snk", "system"}),
    "acc-panic": (PANIC, "Failed", {"system"}),
    "src-marked-Validation": (SOURCE_ROWS, "Drained", {"data:snk", "data:src", "system"}),
    "src-tr-marked-Timeout": (SOURCE_ROWS, "Drained", {"data:snk", "data:src", "data:tr", "system"}),
    "forged-eof-under-warn": (SETTLED, "Drained", {"system"}),
    "forged-eof-fanout-warn": (SETTLED, "Drained", {"system"}),
    "join-strict": (
        "H-23: a strict miss ends the join with a poison EOF that counts what it wrote, and fails it",
        "Failed",
        {"data:jn", "data:rf", "data:snk", "data:st", "system"},
    ),
    "join-live": ("§28: the edges of a live join are checked", "Drained", {"data:jn", "data:snk", "system"}),
    "join-live-ref-err": ("§28: the edges of a live join are checked", "Drained", {"data:jn", "data:snk", "system"}),
    "chain": ("§18.6: an own EOF names the last event of its own stage", "Drained", {"data:acc", "data:tb"}),
    "forged-eof-midchain-warn": (
        f"§18.6: an own EOF names the last event of its own stage; {SETTLED}",
        "Drained",
        {"data:acc", "data:tb", "system"},
    ),
    "isrc-snk-abort": (CLOSED, "Failed", {"system"}),
    "isrc-snk-cancel-twice": (CLOSED, "Failed", {"system"}),
    "isrc-snk-graceful-deadline": (
        "§23.2: under a clock that stands no time passes",
        "Drained",
        {"data:snk", "system"},
    ),
}
"""Where the product does otherwise: the rule, the last state, and the journals that differ."""

REFUSED = {"cycle": "pipeline.cycles_unsupported"}
"""Flows that are not built (§3.2, §28)."""


@pytest.mark.parametrize("name", [name for name in CASES if name not in INSTEAD and name not in REFUSED])
def test_a_flow_leaves_the_records_of_the_original(name: str) -> None:
    assert differences(CASES[name]) == {}


@pytest.mark.parametrize("name", [name for name in CASES if name not in REFUSED])
def test_a_flow_ends_in_the_state_of_the_original(name: str) -> None:
    expected = INSTEAD[name][1] if name in INSTEAD else CASES[name]["final_states"][0].partition(" ")[0]
    assert state_text(run(CASES[name])) == expected


@pytest.mark.parametrize("name", INSTEAD)
def test_a_flow_differs_only_where_a_rule_says_so(name: str) -> None:
    assert {journal for journal, _, _ in differences(CASES[name])} == INSTEAD[name][2]


@pytest.mark.parametrize("name", REFUSED)
def test_a_flow_that_goes_in_circles_is_refused(name: str) -> None:
    with pytest.raises(TopologyError) as caught:
        run(CASES[name])
    assert caught.value.code == REFUSED[name]
