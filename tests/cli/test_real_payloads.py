"""Payloads in the shapes that services send, each bound by an adapter, captured and replayed (``tests/data/shapes``).

The shapes are written by hand after what Stripe, GitHub, CloudEvents, OpenTelemetry, Bitfinex, Binance, Yahoo and the
log of a sensor look like; the values are made up.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Ergo

SHAPES = Path(__file__).parents[1] / "data" / "shapes"

BOOL = {"Bool": True}
DECIDED: dict[str, dict[str, dict[str, Any]]] = {
    "stripe_charge": {"evt_1": {}, "evt_2": {"review": BOOL}, "evt_3": {"review": BOOL}},
    "github_push": {
        "push-1": {},
        "push-2": {"alarm": BOOL, "last_message": {"String": "Rewrite history"}},
        "push-3": {},
    },
    "cloud_event": {"c-1": {}, "c-2": {"alarm": BOOL}, "c-3": {}},
    "otel_span": {
        "s-1": {},
        "s-2": {"alarm": BOOL, "slow_route": {"String": "/orders/{id}"}},
        "s-3": {"alarm": BOOL, "slow_route": {"String": "/orders/{id}"}},
    },
    "bitfinex_frame": {
        "f-1": {"last": {"Number": 87911.0}, "rising": {"Bool": False}},
        "f-2": {"last": {"Number": 88230.5}, "rising": BOOL},
        "f-3": {"last": {"Number": 88400.0}, "rising": BOOL},
    },
    "binance_trade": {"t-1": {}, "t-2": {"alarm": BOOL}, "t-3": {}},
    "yahoo_row": {"2024-11-11": {}, "2024-11-12": {}, "2024-11-13": {"alarm": BOOL}},
    "sensor_line": {"l-1": {}, "l-2": {"alarm": BOOL}, "l-3": {}},
}
"""What the graph of each shape writes for each event."""

OTHER = {
    "stripe_charge": ("evt_2", '"amount":129900', '"amount":99900'),
    "github_push": ("push-2", '"forced":true', '"forced":false'),
    "cloud_event": ("c-2", '"celsius":244.25', '"celsius":219'),
    "otel_span": ("s-2", '"doubleValue":2.5', '"doubleValue":0.25'),
    "bitfinex_frame": ("f-1", "0.005,87911.0", "0.005,88911.0"),
    "binance_trade": ("t-2", '"qty":2.75', '"qty":0.75'),
    "yahoo_row": ("2024-11-13", '"Close":226.4', '"Close":224.9'),
    "sensor_line": ("l-2", '"value":13.5', '"value":12.5'),
}
"""An event of each shape, and a nested value on which what is decided for it depends."""


@pytest.fixture(params=sorted(DECIDED))
def shape(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of one shape: events, adapter and graph."""
    return Path(shutil.copytree(SHAPES / str(request.param), tmp_path / str(request.param)))


def capture(ergo: Ergo, folder: Path, bundle: str, *options: str) -> dict[str, Any]:
    ran = ergo("capture", "events.jsonl", "-g", "graph.yaml", "-a", "adapter.yaml", "-o", bundle, *options, cwd=folder)
    assert ran.exit_code == 0, ran.stderr
    return json.loads((folder / bundle).read_text(encoding="utf-8"))


def written(bundle: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What each decision of a bundle writes."""
    return {
        decision["event_id"]: {
            write["key"]: write["value"] for each in decision["effects"] for write in each["effect"]["writes"]
        }
        for decision in bundle["decisions"]
    }


def payloads(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()
    return [record["event"]["payload"] for line in lines if "event" in (record := json.loads(line))]


def test_every_shape_is_listed() -> None:
    assert {folder.name for folder in SHAPES.iterdir()} == set(DECIDED) == set(OTHER)


def test_a_shape_is_valid_captured_and_replayed(ergo: Ergo, shape: Path) -> None:
    valid = ergo("validate", "adapter.yaml", "--strict", cwd=shape)
    assert (valid.exit_code, valid.stderr) == (0, "")
    bound = ergo("validate", "events.jsonl", "graph.yaml", "-a", "adapter.yaml", "--strict", "--formats", cwd=shape)
    assert (bound.exit_code, bound.stderr) == (0, "")
    bundle = capture(ergo, shape, "bundle.json")
    assert written(bundle) == DECIDED[shape.name]
    for program in (("-g", "graph.yaml", "-a", "adapter.yaml"), ()):
        replayed = ergo("replay", "bundle.json", "--strict", *program, cwd=shape)
        said = "" if program else "warning: bundle.json: the program of the capture itself was replayed"
        assert (replayed.exit_code, replayed.stderr[: len(said) or None]) == (0, said)


def test_the_payload_is_recorded_as_it_came(ergo: Ergo, shape: Path) -> None:
    bundle = capture(ergo, shape, "bundle.json", "--embed")
    memory = {key for writes in DECIDED[shape.name].values() for key in writes}
    recorded = [json.loads(event["payload"]) for event in bundle["events"]]
    assert [{name: each[name] for name in each if name not in memory} for each in recorded] == payloads(shape)
    assert ergo("replay", "bundle.json", "--strict", cwd=shape).exit_code == 0


def test_what_is_decided_depends_on_the_nested_value(ergo: Ergo, shape: Path) -> None:
    event, value, other = OTHER[shape.name]
    events = shape / "events.jsonl"
    text = events.read_text(encoding="utf-8")
    assert text.count(value) >= 1
    events.write_text(text.replace(value, other), encoding="utf-8")
    decided = written(capture(ergo, shape, "bundle.json"))
    assert decided[event] != DECIDED[shape.name][event]
    assert ergo("replay", "bundle.json", "--strict", "-g", "graph.yaml", "-a", "adapter.yaml", cwd=shape).exit_code == 0


def test_many_events_are_replayed_through_memory_and_defaults(ergo: Ergo, shape: Path) -> None:
    """The same events again and again: bound in batches, with values that earlier ones wrote."""
    start, *events = (shape / "events.jsonl").read_text(encoding="utf-8").splitlines()
    again: list[str] = [start]
    for turn in range(40):
        for line in events:
            record = json.loads(line)
            record["event"]["id"] += f"-{turn}"
            again.append(json.dumps(record))
    (shape / "events.jsonl").write_text("\n".join(again) + "\n", encoding="utf-8")
    capture(ergo, shape, "bundle.json")
    replayed = ergo("replay", "bundle.json", "--strict", "-g", "graph.yaml", "-a", "adapter.yaml", cwd=shape)
    assert (replayed.exit_code, replayed.stderr) == (0, "")
    changed = (shape / "graph.yaml").read_text(encoding="utf-8").replace('version: "1.0.0"', 'version: "1.0.1"')
    (shape / "today.yaml").write_text(changed, encoding="utf-8")
    compared = ergo("replay", "bundle.json", "-g", "today.yaml", "-a", "adapter.yaml", cwd=shape)
    assert compared.exit_code == 0


@pytest.fixture
def stripe(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHAPES / "stripe_charge", tmp_path / "stripe"))


def edited(folder: Path, name: str, old: str, new: str) -> None:
    text = (folder / name).read_text(encoding="utf-8")
    assert old in text
    (folder / name).write_text(text.replace(old, new), encoding="utf-8")


def test_another_path_is_another_adapter(ergo: Ergo, stripe: Path) -> None:
    capture(ergo, stripe, "bundle.json")
    edited(stripe, "adapter.yaml", "from: data.object.amount ", "from: data.object.amount_captured ")
    edited(stripe, "adapter.yaml", "amount: { type: integer, minimum: 0 }", "amount_captured: { type: integer }")
    today = ("-g", "graph.yaml", "-a", "adapter.yaml")
    assert ergo("replay", "bundle.json", "--strict", *today, cwd=stripe).exit_code == 4
    compared = ergo("replay", "bundle.json", *today, cwd=stripe)
    assert compared.exit_code == 0
    assert "context_keys.amount.from" in compared.stdout
    assert "data.object.amount -> data.object.amount_captured  without effect" in compared.stdout


def test_a_default_that_changed_is_a_divergence(ergo: Ergo, stripe: Path) -> None:
    edited(stripe, "events.jsonl", '"risk_score":11', '"risk_score":null')
    edited(stripe, "events.jsonl", '"amount":129900', '"amount":900')
    assert written(capture(ergo, stripe, "bundle.json"))["evt_2"] == {"review": BOOL}
    edited(stripe, "adapter.yaml", "default: 100", "default: 50")
    compared = ergo("replay", "bundle.json", "-g", "graph.yaml", "-a", "adapter.yaml", "--format", "json", cwd=stripe)
    assert compared.exit_code == 1
    found = json.loads(compared.stdout)["bundles"][0]["divergences"]
    assert {(each["event_id"], each["kind"], each["cause"]) for each in found} >= {
        ("evt_2", "effect_missing", "adapter_changed")
    }


def test_why_and_explain_name_the_place_of_the_payload(ergo: Ergo, stripe: Path) -> None:
    capture(ergo, stripe, "bundle.json")
    today = ("-g", "graph.yaml", "-a", "adapter.yaml")
    explained = ergo("explain", "bundle.json", "--event", "evt_3", *today, cwd=stripe)
    assert "from data.object.amount" in explained.stdout
    why = ergo("why", "bundle.json", "evt_2", "hold", *today, cwd=stripe)
    assert "amount from data.object.amount of the payload" in why.stdout
    edited(stripe, "events.jsonl", '"risk_score":21', '"risk_score":null')
    capture(ergo, stripe, "bundle.json")
    why = ergo("why", "bundle.json", "evt_1", "hold", *today, cwd=stripe)
    assert "risk by default, nothing at data.object.outcome.risk_score of the payload" in why.stdout
    told = ergo("why", "bundle.json", "evt_1", "hold", *today, "--format", "json", cwd=stripe)
    steps = list(every_step(json.loads(told.stdout)["why"]["chain"]))
    assert ("data.object.amount", False) in {(step["payload_path"], step["is_default"]) for step in steps}
    assert ("data.object.outcome.risk_score", True) in {(step["payload_path"], step["is_default"]) for step in steps}


def every_step(step: dict[str, Any]) -> list[dict[str, Any]]:
    return [step, *(below for source in step["sources"] for below in every_step(source))]


def test_the_chain_of_a_changed_graph_ends_at_the_place(ergo: Ergo, stripe: Path) -> None:
    capture(ergo, stripe, "bundle.json")
    edited(stripe, "graph.yaml", "value: 75.0", "value: 15.0")
    replayed = ergo("replay", "bundle.json", "-g", "graph.yaml", "-a", "adapter.yaml", cwd=stripe)
    assert (replayed.exit_code, "decision 0  event evt_1" in replayed.stdout) == (1, True)
    why = ergo("why", "bundle.json", "-g", "graph.yaml", "-a", "adapter.yaml", cwd=stripe)
    assert "risk from data.object.outcome.risk_score of the payload" in why.stdout
    assert "75.0 -> 15.0" in why.stdout


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"amount":2000,', "", '"amount" is a required property'),
        ('"amount":2000,', '"amount":null,', "null is not of type"),
        ('"type":"charge.succeeded"', '"type":"charge.failed"', "charge.succeeded"),
    ],
)
def test_other_members_are_checked(ergo: Ergo, stripe: Path, old: str, new: str, words: str) -> None:
    edited(stripe, "events.jsonl", old, new)
    ran = ergo("run", "events.jsonl", "-g", "graph.yaml", "-a", "adapter.yaml", cwd=stripe)
    assert ran.exit_code == 3
    assert words in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_required_place_with_nothing_there_is_refused_with_its_path(ergo: Ergo, stripe: Path) -> None:
    edited(stripe, "adapter.yaml", "required: [id, amount, currency]", "required: [id, currency]")
    edited(stripe, "events.jsonl", '"amount":2000,', "")
    ran = ergo("capture", "events.jsonl", "-g", "graph.yaml", "-a", "adapter.yaml", "-o", "b.json", cwd=stripe)
    assert ran.exit_code == 3
    assert "context key 'amount' is required, but there is nothing at 'data.object.amount'" in ran.stderr
    assert not (stripe / "b.json").exists()
    checked = ergo("validate", "events.jsonl", "-a", "adapter.yaml", cwd=stripe)
    assert (checked.exit_code, "events.jsonl:2" in checked.stderr) == (3, True)


@pytest.mark.parametrize(
    ("old", "new", "rule", "words"),
    [
        ("from: data.object.amount }", "from: data..amount }", "ADP-20", "is not a path"),
        ("from: data.object.amount }", "from: data.object.amont }", "ADP-20", "leads nowhere"),
        ("name: amount, type: Number", "name: amount, type: String", "ADP-20", "is String, but"),
        ("default: 100", "default: high", "ADP-21", "its default is of JSON type string"),
        (", default: 100", "", "ADP-21", "may be null"),
        ("name: amount,", "name: review,", "ADP-5", "declared twice"),
        ("name: amount,", "name: id,", "ADP-20", "has a member of its name"),
    ],
)
def test_an_adapter_with_a_wrong_place_is_refused(
    ergo: Ergo, stripe: Path, old: str, new: str, rule: str, words: str
) -> None:
    edited(stripe, "adapter.yaml", old, new)
    checked = ergo("validate", "adapter.yaml", "--format", "json", cwd=stripe)
    [file] = json.loads(checked.stdout)["files"]
    error = next(each for each in file["errors"] if words in each["message"])
    assert (checked.exit_code, error["rule"]) == (3, rule)
    assert error["where"].startswith("adapter.yaml:")
    assert error["fix"]


def test_an_unknown_format_is_a_warning(ergo: Ergo, stripe: Path) -> None:
    edited(stripe, "adapter.yaml", "currency: { type: string }", "currency: { type: string, format: iso4217 }")
    checked = ergo("validate", "adapter.yaml", cwd=stripe)
    assert checked.exit_code == 0
    assert "format 'iso4217' is unknown to JSON Schema Draft 2020-12 and checks nothing" in checked.stderr
    assert ergo("validate", "adapter.yaml", "--strict", cwd=stripe).exit_code == 3


@pytest.mark.parametrize("way", ["run", "capture", "validate", "profile", "validated profile"])
def test_formats_are_asserted_where_asked_for(ergo: Ergo, tmp_path: Path, way: str) -> None:
    folder = Path(shutil.copytree(SHAPES / "yahoo_row", tmp_path / "yahoo"))
    edited(folder, "events.jsonl", '"Date":"2024-11-12"', '"Date":"12.11.2024"')
    program = ("-g", "graph.yaml", "-a", "adapter.yaml")
    settings = '[profiles.p]\ngraph = "graph.yaml"\nadapter = "adapter.yaml"\nfixture = "events.jsonl"\n'
    (folder / "ergo.toml").write_text(f'name = "p"\nversion = "1"\n{settings}', encoding="utf-8")
    commands = {
        "run": ("run", "events.jsonl", *program),
        "capture": ("capture", "events.jsonl", "-o", "b.json", *program),
        "validate": ("validate", "events.jsonl", "-a", "adapter.yaml"),
        "validated profile": ("validate", "ergo.toml"),
        "profile": ("run",),
    }
    assert ergo(*commands[way], cwd=folder).exit_code == 0
    if way == "profile":
        edited(folder, "ergo.toml", "[profiles.p]\n", "[profiles.p]\nformats = true\n")
        refused = ergo("run", cwd=folder)
    else:
        refused = ergo(*commands[way], "--formats", cwd=folder)
    assert refused.exit_code == 3
    assert '"12.11.2024" is not a "date"' in refused.stderr


SOURCES: dict[str, tuple[str, ...]] = {
    "stripe_charge": ("source.jsonl", "--id", "id", "--at", "created", "--kind", "charge"),
    "github_push": ("source.json", "--id", "after", "--kind", "push"),
    "cloud_event": ("source.jsonl", "--id", "source,id", "--at", "time", "--kind", "reading"),
    "otel_span": ("source.jsonl", "--id", "span.spanId", "--at", "span.startTimeUnixNano", "--kind", "span"),
    "bitfinex_frame": (
        *("source.jsonl", "--id", "value[2][0]", "--at", "value[2][1]", "--kind", "trade"),
        *("--map", "frame=value"),
    ),
    "binance_trade": (
        *("source.csv", "--id", "symbol,id", "--at", "time", "--kind", "trade"),
        *(word for name in ("id", "price", "qty", "quoteQty", "time", "isBuyerMaker", "isBestMatch")
          for word in ("--map", f"trade.{name}={name}")),
    ),
    "yahoo_row": (
        *("source.csv", "--id", "Date", "--at", "Date", "--zone", "Europe/Berlin", "--kind", "bar"),
        *(word for name in ("Date", "Open", "High", "Low", "Close", "Volume", "Dividends")
          for word in ("--map", f"row.{name}={name}")),
        *("--map", 'row."Adj Close"=Adj Close', "--map", 'row."Stock Splits"=Stock Splits'),
    ),
    "sensor_line": ("source.jsonl", "--at", "ts", "--kind", "line"),
}  # fmt: skip
"""What a service sends, as it comes, and how it becomes events (docs/adapters.md)."""


def test_what_a_service_sends_is_imported_and_decided_alike(ergo: Ergo, shape: Path) -> None:
    """import, validate, capture with the adapter, strict replay, export."""
    kept = written(capture(ergo, shape, "kept.json"))
    source, *options = SOURCES[shape.name]
    assert ergo("import", source, "-o", "events.jsonl", *options, cwd=shape).stdout.startswith("wrote 3 events of 3 ")
    assert ergo("validate", "events.jsonl", "--adapter", "adapter.yaml", "--strict", cwd=shape).exit_code == 0
    bundle = capture(ergo, shape, "b.json")
    assert list(written(bundle).values()) == list(kept.values())
    program = ("-g", "graph.yaml", "-a", "adapter.yaml")
    assert ergo("replay", "b.json", "--strict", *program, cwd=shape).exit_code == 0
    rows = ergo("export", "b.json", "--events", cwd=shape).stdout.splitlines()
    assert [json.loads(row)["event_id"] for row in rows] == [event["event_id"] for event in bundle["events"]]
