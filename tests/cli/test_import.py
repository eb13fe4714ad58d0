"""``ergo import``: tables and documents become streams of events; nothing is dropped silently; by real processes."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.refusals import refused
from tests.conftest import Ergo, Ran

TRADES = """\
id,venue,price,size,time
1,XETR,101.5,10,2024-11-12T09:14:02.123456789Z
2,XETR,99,5,2024-11-12T10:14:02+01:00
"""


def events(file: Path) -> list[Any]:
    """The events of a stream, without the line that begins its episode."""
    first, *lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert first == {"kind": "episode_start", "id": "E1"}
    return [line["event"] for line in lines]


def imported(ergo: Ergo, source: Path, content: str | bytes, *options: str) -> Ran:
    source.write_bytes(content.encode() if isinstance(content, str) else content)
    return ergo("import", source.name, "-o", "e.jsonl", *options, "--format", "json", cwd=source.parent)


def made(ergo: Ergo, source: Path, content: str | bytes, *options: str) -> list[Any]:
    ran = imported(ergo, source, content, *options)
    assert ran.exit_code == 0, ran
    assert ergo("validate", "e.jsonl", "--strict", cwd=source.parent).exit_code == 0
    return events(source.parent / "e.jsonl")


def fault(ran: Ran, code: str, where: str, message: str, fix: str = "") -> None:
    refused(ran, 3, code)
    error = ran.report["error"]
    assert error["where"] == where
    assert message in error["message"]
    assert fix in error["fix"]
    assert ran.report["imported"] is None


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".csv.gz"])
def test_a_table_of_trades(ergo: Ergo, tmp_path: Path, suffix: str) -> None:
    text = TRADES.replace(",", "\t") if suffix == ".tsv" else TRADES
    content = gzip.compress(text.encode()) if suffix.endswith(".gz") else text.encode()
    options = ("--id", "venue,id", "--at", "time", "--kind", "trade", "--map", "price=price", "--drop", "time,id")
    assert made(ergo, tmp_path / f"t{suffix}", content, *options) == [
        {
            "type": "DataAvailable",
            "id": f"XETR:{number}",
            "at": {"secs": 1731402842, "nanos": nanos},
            "semantic_kind": "trade",
            "payload": {"venue": "XETR", "price": price, "size": size},
        }
        for number, nanos, price, size in ((1, 123456789, 101.5, 10), (2, 0, 99, 5))
    ]


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("1731402842", 1731402842_000000000),
        ("1731402842.25", 1731402842_250000000),
        ("1731402842123", 1731402842_123000000),
        ("1731402842123456", 1731402842_123456000),
        ("1731402842123456789", 1731402842_123456789),
        ("2024-11-12 09:14:02Z", 1731402842_000000000),
        ("2024-11-12T09:14Z", 1731402840_000000000),
        ("2024-11-12T14:44:02.5+05:30", 1731402842_500000000),
    ],
)
def test_times(ergo: Ergo, tmp_path: Path, written: str, instant: int) -> None:
    [event] = made(ergo, tmp_path / "t.csv", f"when,x\n{written},1\n", "--at", "when")
    assert event["at"] == {"secs": instant // 10**9, "nanos": instant % 10**9}


def test_a_date_and_a_time_in_a_zone_are_joined(ergo: Ergo, tmp_path: Path) -> None:
    table = "Date,Time,x\n2024-07-01,09:00:00,1\n2024-12-01,09:00:00,2\n"
    found = made(ergo, tmp_path / "t.csv", table, "--at", "Date,Time", "--zone", "Europe/Berlin")
    assert [event["at"]["secs"] for event in found] == [1719817200, 1733040000]


TIMES = {
    "no date": ("2024-02-30T00:00:00Z", (), "is no date"),
    "no time of a day": ("2024-02-20T25:00:00Z", (), "is no time of a day"),
    "no time at all": ("soon", (), "is no time"),
    "no zone": ("2024-02-20T10:00:00", (), "says no time zone"),
    "an hour that is skipped": ("2024-03-31T02:30:00", ("--zone", "Europe/Berlin"), "is skipped in Europe/Berlin"),
    "an hour that is there twice": ("2024-10-27T02:30:00", ("--zone", "Europe/Berlin"), "is there twice"),
    "long before 1970": ("0001-01-01T00:00:00", ("--zone", "Europe/Berlin"), "is before 1970"),
    "before 1970": ("1969-12-31T00:00:00Z", (), "is before 1970"),
}


@pytest.mark.parametrize("case", TIMES)
def test_what_is_no_time(ergo: Ergo, tmp_path: Path, case: str) -> None:
    written, options, message = TIMES[case]
    ran = imported(ergo, tmp_path / "t.csv", f"when,x\n{written},1\n", "--at", "when", *options)
    fault(ran, "import.value_invalid", "t.csv:2:1", message)
    assert not (tmp_path / "e.jsonl").exists()


def test_a_zone_that_does_not_exist(ergo: Ergo, tmp_path: Path) -> None:
    ran = imported(ergo, tmp_path / "t.csv", TRADES, "--at", "time", "--zone", "Europe/Atlantis")
    refused(ran, 2, "cli.invalid_option_value")
    assert "Europe/Atlantis" in ran.report["error"]["message"]


@pytest.mark.parametrize(
    ("cell", "options", "value"),
    [
        ('"1,234.5"', ("--thousands", ","), 1234.5),
        ('"1.234,5"', ("--thousands", ".", "--decimal", ","), 1234.5),
        ('"12,5"', ("--decimal", ","), 12.5),
        ("1e3", (), 1000.0),
        ("TRUE", (), True),
        ("007", ("--text", "x"), "007"),
        ("9007199254740993", (), 9007199254740993),
    ],
)
def test_numbers(ergo: Ergo, tmp_path: Path, cell: str, options: tuple[str, ...], value: object) -> None:
    [event] = made(ergo, tmp_path / "t.csv", f"x\n{cell}\n", *options)
    assert event["payload"] == {"x": value}
    assert type(event["payload"]["x"]) is type(value)


@pytest.mark.parametrize("cell", ['"1,234"', '"12,5"', "1.234.567"])
def test_a_number_that_can_be_read_in_two_ways_is_refused_with_the_option(
    ergo: Ergo, tmp_path: Path, cell: str
) -> None:
    fault(imported(ergo, tmp_path / "t.csv", f"x\n{cell}\n"), "import.value_invalid", "t.csv:2:1", "", "--thousands ,")


BROKEN = {
    "a ragged row": ("a,b\n1,2\n3\n", "t.csv:3:1", "the row has 1 cells, the header has 2"),
    "a mixed column": ("a\n1\n2\nthree\n", "t.csv:4:1", "column 'a' holds numbers"),
    "two columns of one name": ("a,a\n1,2\n", "t.csv:1:1", "two columns are called 'a'"),
    "a column without a name": ("a,\n1,2\n", "t.csv:1:1", "column 2 has no name"),
    "an empty file": ("", "t.csv", "the table is empty"),
    "a number that JSON has not": ("a\n1\nNaN\n", "t.csv:3:1", "is no number that JSON has"),
    "an integer beyond all": (f"a\n{'9' * 5000}\n", "t.csv:2:1", "beyond the range of numbers"),
    "no rows": ("a,b\n", "t.csv", "there are no rows"),
    "a quote that is open": ('a\n"x\n', "t.csv:2:1", "a quoted cell is not closed"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_table_that_is_none_leaves_the_stream_that_was_there(ergo: Ergo, tmp_path: Path, case: str) -> None:
    content, where, message = BROKEN[case]
    (tmp_path / "e.jsonl").write_text("kept")
    ran = imported(ergo, tmp_path / "t.csv", content)
    assert (ran.exit_code, ran.report["error"]["where"]) == (3, where)
    assert message in ran.report["error"]["message"]
    assert (tmp_path / "e.jsonl").read_text() == "kept"


@pytest.mark.parametrize("target", ["x", "x.deep"])
def test_a_column_is_not_lost_to_another_of_its_name(ergo: Ergo, tmp_path: Path, target: str) -> None:
    ran = imported(ergo, tmp_path / "t.csv", "x,y\n1,2\n", "--map", f"{target}=y")
    refused(ran, 2, "cli.conflicting_options")
    assert "--drop x" in ran.report["error"]["fix"]
    [event] = made(ergo, tmp_path / "t.csv", "x,y\n1,2\n", "--map", "x=y", "--map", "y=x")
    assert event["payload"] == {"x": 2, "y": 1}


def test_an_arrow_stream_that_is_cut_off(ergo: Ergo, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed (extra 'data')")
    table = pa.table({"x": [1, 2, 3, 4]})
    with pa.OSFile(str(tmp_path / "t.arrows"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    assert ergo("import", "t.arrows", "-o", "e.jsonl").exit_code == 0
    whole = (tmp_path / "t.arrows").read_bytes()
    ran = imported(ergo, tmp_path / "cut.arrows", whole[:-8])
    fault(ran, "import.source_invalid", "cut.arrows", "its end is missing")


def test_parquet_times_beyond_all_years(ergo: Ergo, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed (extra 'data')")
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"t": pa.array([0, 2**62], pa.timestamp("us"))}), tmp_path / "t.parquet")
    ran = ergo("import", "t.parquet", "-o", "e.jsonl", "--format", "json")
    fault(ran, "import.value_invalid", "t.parquet row 2", "beyond the years")


def test_ids_that_repeat_are_joined_or_refused(ergo: Ergo, tmp_path: Path) -> None:
    table = "source,id\na,1\nb,1\n"
    ran = imported(ergo, tmp_path / "t.csv", table, "--id", "id")
    fault(ran, "import.duplicate_id", "t.csv:3:1", "the id '1' was used by a row before", "--id source,id")
    found = made(ergo, tmp_path / "t.csv", table, "--id", "source,id")
    assert [event["id"] for event in found] == ["a:1", "b:1"]


def test_what_is_passed_over_is_counted_with_its_first_line(ergo: Ergo, tmp_path: Path) -> None:
    table = "kind,x\nbuy,1\n\nsell,2\nbuy,\nbuy,4\nsell,5\n"
    (tmp_path / "t.csv").write_text(table)
    words = ("import", "t.csv", "-o", "e.jsonl", "--where", "kind=buy", "--missing", "drop")
    assert ergo(*words).stdout == (
        "wrote 2 events of 6 rows to e.jsonl, passed over 4: 1 blank line (first: t.csv:3:1); "
        "2 --where kind=buy (first: t.csv:4:1); 1 no value in column 'x' (first: t.csv:5:1)\n"
    )
    report = ergo(*words, "--format", "json").report["imported"]
    assert (report["rows"], report["events"]) == (6, 2)
    assert [(each["rows"], each["first"]) for each in report["skipped"]] == [
        (1, "t.csv:3:1"),
        (2, "t.csv:4:1"),
        (1, "t.csv:5:1"),
    ]
    assert [event["payload"]["x"] for event in events(tmp_path / "e.jsonl")] == [1, 4]


@pytest.mark.parametrize(
    ("missing", "payloads"), [("null", [{"x": 1, "y": None}, {"x": None, "y": 2}]), ("drop", None), ("refuse", None)]
)
def test_missing_values(ergo: Ergo, tmp_path: Path, missing: str, payloads: list[Any] | None) -> None:
    ran = imported(ergo, tmp_path / "t.csv", "x,y\n1,\n,2\n", "--missing", missing)
    if payloads is not None:
        assert [event["payload"] for event in events(tmp_path / "e.jsonl")] == payloads
    elif missing == "drop":
        fault(ran, "import.source_invalid", "t.csv", "none of the 2 rows is an event")
    else:
        fault(ran, "import.value_invalid", "t.csv:2:1", "column 'y' has no value")


def test_events_are_sorted_by_time_and_stay_in_order_at_one_time(ergo: Ergo, tmp_path: Path) -> None:
    table = "t,x\n30,a\n10,b\n30,c\n20,d\n10,e\n"
    ran = imported(ergo, tmp_path / "t.csv", table, "--at", "t")
    assert any("t.csv:3:1: the times go back" in warning for warning in ran.report["warnings"])
    found = made(ergo, tmp_path / "t.csv", table, "--at", "t", "--sort-by", "at")
    assert [event["payload"]["x"] for event in found] == ["b", "e", "d", "a", "c"]


DOCUMENTS = [{"data": {"id": "a", "n": 1}, "t": "2024-01-01T00:00:00Z"}, {"data": {"id": "b"}, "t": 1704067200}]


@pytest.mark.parametrize("form", ["jsonl", "json", "one after the other"])
def test_documents_stay_as_they_are(ergo: Ergo, tmp_path: Path, form: str) -> None:
    lines = [json.dumps(each) for each in DOCUMENTS]
    texts = {"jsonl": "\n".join(lines), "json": f"[{','.join(lines)}]", "one after the other": "\n\n".join(lines)}
    name = "d.jsonl" if form == "jsonl" else "d.json"
    found = made(ergo, tmp_path / name, texts[form], "--id", "data.id", "--at", "t", "--map", "n=data.n")
    assert [event["id"] for event in found] == ["a", "b"]
    assert [event["at"]["secs"] for event in found] == [1704067200, 1704067200]
    assert [event["payload"]["data"] for event in found] == [each["data"] for each in DOCUMENTS]
    assert [event["payload"]["n"] for event in found] == [1, None]


@pytest.mark.parametrize(
    ("name", "content", "where"),
    [
        ("d.jsonl", '{"a":1}\n{"a":}\n', "d.jsonl:2:6"),
        ("d.json", '[{"a":1},{"a":2}', "d.json item 2"),
        ("d.json", '[{"a":1}] []', "d.json"),
        ("d.jsonl", '{"a":1,"a":2}\n', "d.jsonl:1"),
    ],
)
def test_documents_that_are_broken(ergo: Ergo, tmp_path: Path, name: str, content: str, where: str) -> None:
    ran = imported(ergo, tmp_path / name, content)
    refused(ran, 3, "import.source_invalid")
    assert ran.report["error"]["where"].startswith(where)


def test_parquet_and_arrow(ergo: Ergo, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed (extra 'data')")
    from datetime import UTC, datetime

    import pyarrow.parquet as pq

    when = [datetime(2024, 11, 12, 9, 14, 2, 123456, UTC), None]
    table = pa.table({"id": ["a", "b"], "at": when, "x": [1, None], "deep": [{"y": [1.5]}, {"y": []}]})
    pq.write_table(table, tmp_path / "t.parquet")
    with pa.OSFile(str(tmp_path / "t.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    for name in ("t.parquet", "t.arrow"):
        words = ("import", name, "-o", "e.jsonl", "--id", "id", "--missing", "null")
        assert ergo(*words).exit_code == 0
        assert [event["payload"] for event in events(tmp_path / "e.jsonl")] == [
            {"id": "a", "at": "2024-11-12T09:14:02.123456Z", "x": 1, "deep": {"y": [1.5]}},
            {"id": "b", "at": None, "x": None, "deep": {"y": []}},
        ]
    whole = (tmp_path / "t.parquet").read_bytes()
    ran = imported(ergo, tmp_path / "cut.parquet", whole[: len(whole) // 2])
    refused(ran, 3, "import.source_invalid")
    assert "not a whole Parquet file" in ran.report["error"]["message"]


def test_parquet_of_types_that_json_has_not(ergo: Ergo, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed (extra 'data')")
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"raw": [b"\xff"], "x": [float("nan")], "n": [1]}), tmp_path / "t.parquet")
    ran = ergo("import", "t.parquet", "-o", "e.jsonl", "--format", "json")
    fault(ran, "import.value_invalid", "t.parquet row 1", "column 'raw' holds values of type binary", "--drop raw")
    ran = ergo("import", "t.parquet", "-o", "e.jsonl", "--drop", "raw", "--format", "json")
    fault(ran, "import.value_invalid", "t.parquet row 1", "column 'x' holds nan", "--null nan")
    (tmp_path / "t.parquet.gz").write_bytes(gzip.compress((tmp_path / "t.parquet").read_bytes()))
    for source in ("t.parquet", "t.parquet.gz"):
        assert ergo("import", source, "-o", "e.jsonl", "--drop", "raw", "--null", "nan").exit_code == 0
        assert [event["payload"] for event in events(tmp_path / "e.jsonl")] == [{"x": None, "n": 1}]


def test_standard_input_and_output_and_a_source_without_a_suffix(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "table").write_text("x\n1\n")
    ran = ergo("import", "table", "-o", "-")
    assert (ran.exit_code, "--from csv" in ran.stderr) == (2, True)
    ran = ergo("import", "table", "--from", "csv", "-o", "-")
    assert (ran.exit_code, ran.stdout.count("\n")) == (0, 2)


def test_the_source_is_not_written_over(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x\n1\n")
    ran = ergo("import", "t.csv", "-o", "./t.csv", "--format", "json")
    refused(ran, 2, "cli.conflicting_options")
    assert (tmp_path / "t.csv").read_text() == "x\n1\n"


@pytest.mark.parametrize("option", ["--id", "--at", "--drop"])
def test_a_column_that_is_not_there_is_named(ergo: Ergo, tmp_path: Path, option: str) -> None:
    ran = imported(ergo, tmp_path / "t.csv", "x\n1\n", option, "nope")
    assert ran.exit_code == 3
    assert "'nope'" in ran.report["error"]["message"]


def test_an_import_is_the_same_to_the_byte(ergo: Ergo, tmp_path: Path) -> None:
    made(ergo, tmp_path / "t.csv", TRADES, "--id", "id", "--at", "time")
    before = (tmp_path / "e.jsonl").read_bytes()
    made(ergo, tmp_path / "t.csv", TRADES, "--id", "id", "--at", "time")
    assert (tmp_path / "e.jsonl").read_bytes() == before


def test_controls_in_names_and_cells_reach_no_terminal(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("a\x1b[31m,b\n1,\x9b2J\n".encode())
    ran = ergo("import", "t.csv", "-o", "e.jsonl", "--id", "nope")
    assert ran.exit_code == 3
    assert "\x1b" not in ran.stdout + ran.stderr
