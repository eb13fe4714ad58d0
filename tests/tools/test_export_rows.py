"""The rows of ``ergo export``, held against the texts of bundles that are read without ergo."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ergo_cli.core.values import Effect, Intent, IntentField, Value, Write
from ergo_cli.errors import ErgoError, UsageError
from ergo_cli.testing.bundles import bundle_of, completed, event_record, rewrite_bundle, set_context
from ergo_cli.tools.conditions import Condition, conditions_of
from ergo_cli.tools.export.exporting import ExportRequest, export_records
from ergo_cli.tools.export.forms import RowForm, row_form, write_rows
from ergo_cli.tools.export.rows import COLUMNS, Holds, Records

ROOT = Path(__file__).parents[2]
BUNDLES = sorted((ROOT / "fixtures").glob("*/captures/*.json"))
EVENT = ["seq", "event_id", "event_kind", "at_ns"]
DECISION = [
    *EVENT,
    *("decision", "schedule_at_ns", "episode_id", "deadline_ns"),
    *("termination", "retry_count", "interruption"),
]
EFFECT = ["effect.index", "effect.kind", "effect.hash", "effect.intent_id"]


def exported(path: Path | str, records: Records, output: Path, *where: str, form: RowForm | None = None) -> int:
    named = row_form(str(output), form)
    return export_records(ExportRequest(str(path), records, named, str(output), conditions_of(where))).rows


def lines(path: Path | str, records: Records, folder: Path, *where: str) -> list[dict[str, Any]]:
    written = folder / "rows.jsonl"
    number = exported(path, records, written, *where)
    rows = [json.loads(line) for line in written.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == number
    return rows


def test_the_columns_of_every_row_are_documented() -> None:
    assert list(COLUMNS[Records.EVENTS]) == [*EVENT, "payload_hash"]
    assert list(COLUMNS[Records.DECISIONS]) == [*DECISION, "effects", "intent_acks"]
    assert list(COLUMNS[Records.EFFECTS]) == [*DECISION, *EFFECT]
    assert list(COLUMNS[Records.DIVERGENCES]) == [
        *("bundle", "seq", "event_id", "occurrence", "episode_id", "kind", "level", "code"),
        *("path", "expected", "actual", "node", "origin", "cause"),
    ]
    page = (ROOT / "docs" / "exporting.md").read_text(encoding="utf-8")
    for records, columns in COLUMNS.items():
        assert f"`--{records.value}`" in page
        assert [column for column in columns if f"`{column}`" not in page] == []


@pytest.mark.parametrize("path", BUNDLES, ids=lambda path: path.parts[-3])
def test_rows_are_what_the_text_of_the_bundle_says(path: Path, tmp_path: Path) -> None:
    bundle = json.loads(path.read_text(encoding="utf-8"))
    assert len(BUNDLES) == 7
    events = lines(path, Records.EVENTS, tmp_path)
    decisions = lines(path, Records.DECISIONS, tmp_path)
    effects = lines(path, Records.EFFECTS, tmp_path)
    assert len(events) == len(decisions) == len(bundle["events"])
    assert len(effects) == sum(len(decision["effects"]) for decision in bundle["decisions"])
    for seq, (event, decision) in enumerate(zip(bundle["events"], bundle["decisions"], strict=True)):
        payload = payload_columns(event["payload"])
        of_event = {
            "seq": seq,
            "event_id": event["event_id"],
            "event_kind": event["kind"],
            "at_ns": ns(event["event_time"]),
        }
        assert events[seq] == {**of_event, "payload_hash": event["payload_hash"], **payload}
        of_decision = {
            **of_event,
            "decision": decision["decision"],
            "schedule_at_ns": ns(decision["schedule_at"]),
            "episode_id": decision["episode_id"],
            "deadline_ns": ns(decision["deadline"]),
            "termination": termination(decision["termination"]),
            "retry_count": decision["retry_count"],
            "interruption": decision.get("interruption"),
        }
        acks = decision.get("intent_acks", [])
        held = [effect_of(index, captured) for index, captured in enumerate(decision["effects"])]
        assert decisions[seq] == {**of_decision, "effects": held, "intent_acks": acks, **payload}
        rows = [row for row in effects if row["seq"] == seq]
        assert rows == [{**of_decision, **effect_columns(effect), **payload} for effect in held]


def ns(time: dict[str, int] | None) -> int | None:
    return None if time is None else time["secs"] * 10**9 + time["nanos"]


def termination(recorded: str | dict[str, str] | None) -> str | None:
    return f"Failed({recorded['Failed']})" if isinstance(recorded, dict) else recorded


def payload_columns(payload: str | list[int]) -> dict[str, Any]:
    """The fixtures have words as names, and no object in a payload."""
    text = payload if isinstance(payload, str) else bytes(payload).decode()
    return {f"payload.{name}": value for name, value in json.loads(text).items()} if text else {}


def effect_of(index: int, captured: dict[str, Any]) -> dict[str, Any]:
    effect = captured["effect"]
    intents = effect.get("intents", [])
    assert len(intents) <= 1
    made: dict[str, Any] = {"index": index, "kind": effect["kind"], "hash": captured["effect_hash"], "intent_id": None}
    if effect["writes"]:
        made["writes"] = {write["key"]: only(write["value"]) for write in effect["writes"]}
    for intent in intents:
        made |= {
            "intent_id": intent["intent_id"],
            "fields": {field["name"]: only(field["value"]) for field in intent["fields"]},
        }
    return made


def only(value: dict[str, Any]) -> Any:
    (held,) = value.values()
    return held


def effect_columns(effect: dict[str, Any]) -> dict[str, Any]:
    columns = {f"effect.{name}": effect[name] for name in ("index", "kind", "hash", "intent_id")}
    for part in ("writes", "fields"):
        for name, value in effect.get(part, {}).items():
            quoted = name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)
            columns[f"effect.{part}.{quoted}"] = value
    return columns


@pytest.mark.parametrize("records", [Records.EVENTS, Records.DECISIONS, Records.EFFECTS], ids=lambda each: each.value)
@pytest.mark.parametrize("path", BUNDLES, ids=lambda path: path.parts[-3])
def test_a_table_holds_what_lines_hold(path: Path, records: Records, tmp_path: Path) -> None:
    rows = lines(path, records, tmp_path)
    columns = list(dict.fromkeys([*COLUMNS[records], *(name for row in rows for name in row)]))
    exported(path, records, tmp_path / "rows.csv")
    with (tmp_path / "rows.csv").open(encoding="utf-8", newline="") as file:
        header, *cells = csv.reader(file)
    assert header == columns
    assert cells == [[cell(row.get(column)) for column in columns] for row in rows]
    exported(path, records, tmp_path / "rows.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "rows.parquet")
    assert table.column_names == columns
    for column in columns:
        held, values = table[column].to_pylist(), [row.get(column) for row in rows]
        assert (from_json(held) if is_mixed(values) else held) == values


def cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


FLOATS = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | FLOATS | st.text(),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=4,
)
NAMED = st.dictionaries(st.sampled_from(["a", "b", "c,d", 'e"f']), VALUES)
ROWS = st.lists(NAMED, max_size=6).map(lambda rows: [{"seq": seq, **row} for seq, row in enumerate(rows)])


@given(ROWS)
def test_any_values_stand_in_a_table(rows: list[dict[str, Any]]) -> None:
    fixed = {"seq": Holds.INTEGER}
    columns = list(dict.fromkeys(["seq", *(name for row in rows for name in row)]))
    text = bytearray()
    assert write_rows(RowForm.CSV, lambda: iter(rows), fixed, text.extend) == len(rows)
    header, *cells = csv.reader(io.StringIO(text.decode(), newline=""))
    assert header == columns
    assert [list(map(known, row)) for row in cells] == [
        [known(cell(row.get(column))) for column in columns] for row in rows
    ]
    data = bytearray()
    assert write_rows(RowForm.PARQUET, lambda: iter(rows), fixed, data.extend) == len(rows)
    table = pyarrow.parquet.read_table(pyarrow.BufferReader(bytes(data)))
    for column in columns:
        values, held = [row.get(column) for row in rows], table[column].to_pylist()
        assert (from_json(held) if is_mixed(values) else held) == values


def known(text: str) -> Any:
    """A cell as its value, as far as CSV tells: numbers are written in more than one way."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def from_json(held: list[str | None]) -> list[Any]:
    return [None if value is None else json.loads(value) for value in held]


def is_mixed(values: list[Any]) -> bool:
    """As documented: several kinds, arrays, integers beyond 64 bits; a float that would not be the integer exactly."""
    kinds = {type(value) for value in values if value is not None}
    large = any(type(value) is int and not -(2**63) <= value < 2**63 for value in values)
    inexact = kinds == {int, float} and any(type(value) is int and abs(value) > 2**53 for value in values)
    return large or inexact or bool(kinds & {list, dict}) or (len(kinds) > 1 and kinds != {int, float})


def test_compressed_bundles_and_outputs_are_read_and_written(tmp_path: Path) -> None:
    source = str(ROOT / "fixtures" / "settlement" / "captures" / "friday.json")
    rewrite_bundle(source, str(tmp_path / "friday.json.zst"), pretty=True)
    assert exported(tmp_path / "friday.json.zst", Records.EFFECTS, tmp_path / "rows.csv.gz") == 17
    exported(source, Records.EFFECTS, tmp_path / "rows.csv")
    assert gzip.decompress((tmp_path / "rows.csv.gz").read_bytes()) == (tmp_path / "rows.csv").read_bytes()


def test_an_effect_with_several_intents_has_a_row_for_each(tmp_path: Path) -> None:
    asked = [Intent("buy", f"i{place}", [IntentField("qty", Value.of(float(place)))]) for place in range(2)]
    effects = [Effect("buy", [], asked), set_context("n", 1.0)]
    path = tmp_path / "b.json"
    path.write_bytes(bundle_of([event_record("e1")], [completed("e1", 0, effects)]).encode())
    rows = lines(path, Records.EFFECTS, tmp_path)
    assert [(row["effect.index"], row["effect.intent_id"], row.get("effect.fields.qty")) for row in rows] == [
        (0, "i0", 0.0),
        (0, "i1", 1.0),
        (1, None, None),
    ]
    assert rows[2]["effect.writes.n"] == 1.0


def test_names_and_payloads_of_every_form(tmp_path: Path) -> None:
    payloads = [b"", b"{}", b'{"a.b":1,"a":{"b":2,"none":{}},"unit price":[1,{"x":null}]}']
    texts = [f"e{seq}" for seq in range(3)]
    events = [event_record(name, payload) for name, payload in zip(texts, payloads, strict=True)]
    twice = Effect("set_context", [Write("k", Value.of(1.0)), Write("k", Value.of(2.0))])
    path = tmp_path / "b.json"
    path.write_bytes(bundle_of(events, [completed(name, 0, [twice]) for name in texts]).encode())
    rows = lines(path, Records.EFFECTS, tmp_path)
    assert [{name: row[name] for name in row if name.startswith("payload")} for row in rows] == [
        {},
        {"payload": {}},
        {'payload."a.b"': 1, "payload.a.b": 2, "payload.a.none": {}, 'payload."unit price"': [1, {"x": None}]},
    ]
    assert rows[0]["effect.writes.k"] == 2.0
    for column, value in [('payload."a.b"', "1"), ("payload.a.b", "2"), ('payload."unit price"[1].x', "null")]:
        assert [row["event_id"] for row in lines(path, Records.DECISIONS, tmp_path, f"{column}={value}")] == ["e2"]


TREE = {"a": "7", "b": 7, "c": True, "d": None, "e": [{"key": "x=y]", "n": 1.5}], "f=g": "="}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("a=7", True),
        ("b=7", True),
        ("b=7.0", True),
        ('a="7"', True),
        ('b="7"', False),
        ("c=true", True),
        ("c=1", False),
        ("d=null", True),
        ("d=", False),
        ('e[key="x=y]"].n=1.5', True),
        ("e[*].n=2", False),
        ("**.n=1.5", True),
        ('"f=g"==', True),
        ('e=[{"key":"x=y]","n":1.5}]', True),
        ("e[0].key=x=y]", True),
    ],
)
def test_a_condition_compares_texts_and_values(text: str, holds: bool) -> None:
    condition = Condition(text)
    assert condition.holds(TREE) is holds
    assert condition.is_met


@pytest.mark.parametrize("text", ["", "a", "=1", "a..b=1", 'a"b=1', "a[=1", "a b=1"])
def test_a_text_that_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Condition(text)
    assert (caught.value.code, caught.value.where) == ("cli.invalid_option_value", "arg '--where'")
    assert "effect.kind=place_order" in (caught.value.fix or "")


def test_a_path_that_leads_nowhere_is_told_from_a_value_that_no_row_has(tmp_path: Path) -> None:
    path, output = BUNDLES[0], str(tmp_path / "rows.jsonl")
    conditions = conditions_of(["payload.amuont=1", "payload.amount=-1"])
    found = export_records(ExportRequest(str(path), Records.EVENTS, RowForm.JSONL, output, conditions))
    assert found.rows == 0
    assert [notice.message for notice in found.notices] == ["the path 'payload.amuont' of --where matched nothing"]


def break_payload(bundle: dict[str, Any]) -> None:
    bundle["events"][-1]["payload"][-1] = 33


def swap_decisions(bundle: dict[str, Any]) -> None:
    bundle["decisions"].reverse()


def lose_a_decision(bundle: dict[str, Any]) -> None:
    del bundle["decisions"][-1]


def age(bundle: dict[str, Any]) -> None:
    bundle["capture_version"] = "v2"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (break_payload, "replay.hash_mismatch"),
        (swap_decisions, "bundle.inconsistent"),
        (lose_a_decision, "bundle.inconsistent"),
        (age, "replay.unsupported_capture_version"),
    ],
)
@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_a_bundle_that_contradicts_itself_leaves_the_output_as_it_was(
    change: Callable[[dict[str, Any]], None], code: str, suffix: str, tmp_path: Path
) -> None:
    bundle = json.loads((ROOT / "fixtures" / "own_primitives" / "captures" / "prices.json").read_text())
    change(bundle)
    path, output = tmp_path / "b.json", tmp_path / f"rows.{suffix}"
    path.write_text(json.dumps(bundle))
    output.write_text("before")
    with pytest.raises(ErgoError) as caught:
        exported(path, Records.DECISIONS, output)
    assert caught.value.code == code
    assert caught.value.fix
    assert output.read_text() == "before"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["b.json", f"rows.{suffix}"]


def test_a_payload_that_is_no_object_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    path.write_bytes(bundle_of([event_record("e1", b"[1]")], [completed("e1")]).encode())
    with pytest.raises(ErgoError) as caught:
        exported(path, Records.EVENTS, tmp_path / "rows.jsonl")
    assert caught.value.code == "replay.event_rehydrate_failed"


def test_a_table_of_too_many_columns_is_refused_and_lines_are_not(tmp_path: Path) -> None:
    names = [f"e{seq}" for seq in range(5000)]
    events = [event_record(name, f'{{"{name}":1}}'.encode()) for name in names]
    path = tmp_path / "b.json"
    path.write_bytes(bundle_of(events, map(completed, names)).encode())
    assert exported(path, Records.EVENTS, tmp_path / "rows.jsonl") == 5000
    with pytest.raises(UsageError) as caught:
        exported(path, Records.EVENTS, tmp_path / "rows.csv")
    assert caught.value.code == "cli.too_many_columns"
    assert not (tmp_path / "rows.csv").exists()


@pytest.mark.parametrize("form", [RowForm.JSONL, RowForm.CSV], ids=lambda form: form.value)
def test_memory_does_not_grow_with_the_bundle(form: RowForm, tmp_path: Path) -> None:
    def peak(number: int) -> int:
        names = [f"e{seq}" for seq in range(number)]
        payload = b'{"price":101.5,"symbol":"EURUSD","note":"a text that takes room"}'
        events = [event_record(name, payload) for name in names]
        path = tmp_path / f"{number}.json"
        path.write_bytes(bundle_of(events, map(completed, names)).encode())
        del names, events
        tracemalloc.start()
        exported(path, Records.DECISIONS, tmp_path / "rows.txt", form=form)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    small = peak(3000)
    assert peak(15000) < small + 300_000


@pytest.mark.parametrize(
    ("output", "asked", "form"),
    [
        ("-", None, RowForm.JSONL),
        ("rows.csv", None, RowForm.CSV),
        ("ROWS.CSV.GZ", None, RowForm.CSV),
        ("rows.parquet", None, RowForm.PARQUET),
        ("rows.txt", RowForm.CSV, RowForm.CSV),
        ("rows", None, RowForm.JSONL),
    ],
)
def test_the_form_is_as_asked_or_as_the_suffix_says(output: str, asked: RowForm | None, form: RowForm) -> None:
    assert row_form(output, asked) is form


def test_a_suffix_that_would_lie_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        row_form("rows.csv", RowForm.PARQUET)
    assert caught.value.code == "cli.conflicting_options"


def test_an_unchanged_request_writes_the_same_bytes(tmp_path: Path) -> None:
    request = ExportRequest(str(BUNDLES[0]), Records.EFFECTS, RowForm.CSV, str(tmp_path / "a.csv"))
    export_records(request)
    export_records(replace(request, output=str(tmp_path / "b.csv")))
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
