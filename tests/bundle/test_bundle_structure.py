"""What spec 11 §2 refuses, and what it lets pass."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from ergo_cli.bundle.checking import check_bundle
from ergo_cli.bundle.reader import open_bundle
from ergo_cli.bundle.scanning import (
    BLOCK,
    VALUE_LIMIT,
    TextFault,
    Window,
    _artifacts,  # pyright: ignore[reportPrivateUsage]
    cut_list,
)
from ergo_cli.errors import BundleError
from ergo_cli.events.external import EventKind
from ergo_cli.testing.bundles import bundle_of, completed, event_record, set_context

Document = dict[str, Any]
Change = Callable[[Document], None]

GOOD: Document = json.loads(
    bundle_of(
        [event_record("e1", b'{"x":1}', at=3), event_record("e2", b'{"x":2}')],
        [completed("e1", 0, [set_context("x", 1.0)]), completed("e2", 1, [set_context("s", [1.0, 2.0])])],
    ).encode()
)


def setting(*path: str | int, to: Any) -> Change:
    def change(document: Document) -> None:
        place: Any = document
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to

    return change


def removing(*path: str | int) -> Change:
    def change(document: Document) -> None:
        place: Any = document
        for step in path[:-1]:
            place = place[step]
        del place[path[-1]]

    return change


def read(folder: Path, text: str | bytes) -> BundleError | None:
    path = folder / "b.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    try:
        open_bundle(str(path)).load()
    except BundleError as error:
        return error
    return None


def changed(change: Change) -> str:
    document = deepcopy(GOOD)
    change(document)
    return json.dumps(document)


EFFECT = ("decisions", 0, "effects", 0)
VALUE = (*EFFECT, "effect", "writes", 0, "value")

REFUSED: list[tuple[Change, str, str]] = [
    (removing("config"), "missing field `config`", ""),
    (removing("capture_version"), "missing field `capture_version`", ""),
    (removing("events"), "missing field `events`", ""),
    (removing("runtime_provenance"), "missing field `runtime_provenance`", ""),
    (setting("adapter_version", to="1"), "unknown field `adapter_version`", ""),
    (setting("program", to={}), "unknown field `program`", ""),
    (setting("capture_version", to=3), "expected `str`, got `int`", "capture_version"),
    (setting("graph_id", to=None), "expected `str`, got `null`", "graph_id"),
    (setting("events", to={}), "expected `[`", ""),
    (setting("events", 1, to=5), "a record must be an object", ""),
    (setting("config", to=[]), "expected `object`, got `array`", "config"),
    (removing("config", "max_retries"), "missing field `max_retries`", "config"),
    (setting("config", "max_in_flight", to=-1), "expected `int` >= 0", "config.max_in_flight"),
    (setting("config", "max_retries", to=2**64), "expected `int`, got `float`", "config.max_retries"),
    (setting("config", "deadline", to={"secs": 1}), "missing field `nanos`", "config.deadline"),
    (removing("events", 1, "payload_hash"), "missing field `payload_hash`", "events[1]"),
    (setting("events", 1, "event_time", to=None), "expected `object`, got `null`", "events[1].event_time"),
    (setting("events", 1, "event_time", "secs", to=-1), "secs must be between", "events[1]"),
    (setting("events", 1, "event_time", "secs", to=1.5), "expected `int`, got `float`", "events[1].event_time.secs"),
    (setting("events", 1, "event_time", "nanos", to=2**32), "nanos must be between", "events[1]"),
    (setting("events", 1, "event_time", "days", to=1), "unknown field `days`", "events[1].event_time"),
    (setting("events", 1, "kind", to="tick"), "`Pump`, `Tick`, `DataAvailable`, `Command`", "events[1].kind"),
    (setting("events", 1, "payload", to="{}"), "expected `array`, got `str`", "events[1].payload"),
    (setting("events", 1, "payload", to={}), "expected `array`, got `object`", "events[1].payload"),
    (setting("events", 1, "payload", 2, to=256), "from 0 to 255, got 256", "events[1].payload[2]"),
    (setting("events", 1, "payload", 2, to=-1), "from 0 to 255, got -1", "events[1].payload[2]"),
    (setting("events", 1, "payload", 2, to=1.0), "expected `int`, got `float`", "events[1].payload[2]"),
    (setting("events", 1, "payload", 2, to=True), "expected `int`, got `bool`", "events[1].payload[2]"),
    (removing("decisions", 1, "retry_count"), "missing field `retry_count`", "decisions[1]"),
    (setting("decisions", 1, to=["e2", "Invoke"]), "a record must be an object", ""),
    (setting("decisions", 1, "decision", to={"Invoke": None}), "expected `str`, got `object`", "decisions[1].decision"),
    (setting("decisions", 1, "decision", to="invoke"), "`Invoke`, `Skip`, `Defer`", "decisions[1].decision"),
    (setting("decisions", 1, "episode_id", to=2**64), "is greater than", "decisions[1]"),
    (setting("decisions", 1, "episode_id", to=1.0), "expected `int`, got `float`", "decisions[1].episode_id"),
    (setting("decisions", 1, "retry_count", to=-1), "expected `int` >= 0", "decisions[1].retry_count"),
    (setting("decisions", 1, "termination", to="Failed"), "unknown variant 'Failed'", "decisions[1].termination"),
    (setting("decisions", 1, "termination", to={"Failed": "Nope"}), "unknown variant 'Nope'", "decisions[1]"),
    (setting("decisions", 1, "termination", to={"Completed": None}), "field", "decisions[1].termination"),
    (setting("decisions", 1, "intent_acks", to=None), "expected `array`, got `null`", "decisions[1].intent_acks"),
    (setting("decisions", 1, "effects", to=None), "expected `array`, got `null`", "decisions[1].effects"),
    (removing(*EFFECT, "effect_hash"), "missing field `effect_hash`", "decisions[0].effects[0]"),
    (removing(*EFFECT, "effect", "writes"), "missing field `writes`", "decisions[0].effects[0].effect"),
    (setting(*VALUE, to={"Number": None}), "expected `float`, got `null`", "decisions[0].effects[0].effect"),
    (setting(*VALUE, to={"Number": 1.0, "Bool": True}), "exactly one of", "decisions[0].effects[0].effect"),
    (setting(*VALUE, to={}), "exactly one of", "decisions[0].effects[0].effect"),
    (setting(*VALUE, to={"Text": "a"}), "unknown field `Text`", "decisions[0].effects[0].effect"),
    (setting(*VALUE, to={"Series": [1.0, "2"]}), "expected `float`, got `str`", "decisions[0].effects[0].effect"),
]


@pytest.mark.parametrize(("change", "message", "path"), REFUSED, ids=[row[1] + " " + row[2] for row in REFUSED])
def test_refused_with_the_member_named(tmp_path: Path, change: Change, message: str, path: str) -> None:
    error = read(tmp_path, changed(change))
    assert error is not None
    assert error.code == "bundle.parse_failed"
    assert message in error.message
    assert error.where is not None
    assert error.where.startswith(f"{tmp_path / 'b.json'}:1:")
    assert path in error.where
    assert error.fix


ACCEPTED: list[Change] = [
    setting("egress_provenance", to=None),
    setting("events", 0, "note", to={"deep": [1, {"er": None}]}),
    setting("events", 0, "event_time", "nanos", to=2_000_000_000),
    setting("events", 0, "payload_hash", to="whatever"),
    setting("config", "colour", to="red"),
    setting("decisions", 0, "note", to=[]),
    setting(*EFFECT, "note", to=1),
    setting(*EFFECT, "effect", "note", to=1),
    setting(*EFFECT, "effect", "writes", 0, "note", to=1),
    setting(*EFFECT, "effect_hash", to="wrong but a text"),
    setting(*EFFECT, "effect", "intents", to=[]),
    setting(*VALUE, to={"Number": 1}),
    setting(*VALUE, to={"Series": [1, 2, 18446744073709551616]}),
    setting("decisions", 0, "termination", to={"Failed": "Cancelled"}),
    setting("decisions", 0, "interruption", to=None),
    setting("capture_version", to="v999"),
    removing("config", "deadline"),
    removing("decisions", 0, "schedule_at"),
]


@pytest.mark.parametrize("change", ACCEPTED, ids=range(len(ACCEPTED)))
def test_accepted(tmp_path: Path, change: Change) -> None:
    assert read(tmp_path, changed(change)) is None


@pytest.mark.parametrize("cut", [0, 1, 10, 200, 500, -2])
def test_a_truncated_file_is_refused(tmp_path: Path, cut: int) -> None:
    error = read(tmp_path, json.dumps(GOOD)[:cut])
    assert error is not None
    assert error.code == "bundle.parse_failed"
    assert ("empty" if cut == 0 else "end of") in error.message


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"events": [', '"events": [,'),
        ("}, {", "}{"),
        ("}, {", "},, {"),
        ('"config": ', '"config"'),
        ('"retry_count": 0', '"retry_count": 00'),
        ('"retry_count": 0', '"retry_count": '),
        ('"retry_count": 0', '"retry_count": NaN'),
        ('"kind": "Command"', '"kind": "Com\nmand"'),
        ('"demo"', '"de\\ud800mo"'),
        ('"e1"', '"e\\ud8001"'),
        ("{", "\ufeff{"),
        ("]}]", "]},]"),
        ('"e1"', "'e1'"),
        ('"max_retries": 0', '"max_retries": -0'),
        ('"graph_id"', '"graph\\x_id"'),
    ],
)
def test_what_is_no_json_is_refused(tmp_path: Path, old: str, new: str) -> None:
    text = json.dumps(GOOD)
    assert old in text
    error = read(tmp_path, text.replace(old, new, 1))
    assert error is not None
    assert error.code == "bundle.parse_failed"


def test_text_behind_the_document_is_refused(tmp_path: Path) -> None:
    assert read(tmp_path, json.dumps(GOOD) + " \n\t\r") is None
    assert read(tmp_path, json.dumps(GOOD) + "{}") is not None


def test_invalid_utf_8_is_refused_even_where_nobody_looks(tmp_path: Path) -> None:
    text = changed(setting("decisions", 0, "note", to="here")).encode()
    assert read(tmp_path, text) is None
    error = read(tmp_path, text.replace(b"here", b"h\xffre"))
    assert error is not None
    assert error.code == "bundle.parse_failed"


@pytest.mark.parametrize(("levels", "passes"), [(124, True), (125, False), (5000, False)])
def test_nesting_is_limited_to_127_levels(tmp_path: Path, levels: int, passes: bool) -> None:
    text = changed(setting("decisions", 0, "note", to="here")).replace('"here"', "[" * levels + "]" * levels)
    error = read(tmp_path, text)
    assert (error is None) == passes


def test_the_place_of_a_bad_record_has_line_and_column(tmp_path: Path) -> None:
    document = deepcopy(GOOD)
    document["decisions"][1]["decision"] = "Nope"
    text = json.dumps(document, indent=1)
    line = text[: text.index("Nope")].count("\n") + 1
    record = max(at for at, row in enumerate(text.split("\n")[:line]) if row == "  {") + 1
    error = read(tmp_path, text)
    assert error is not None
    assert error.where == f"{tmp_path / 'b.json'}:{record}:3 decisions[1].decision"


def test_the_last_of_duplicate_members_counts(tmp_path: Path) -> None:
    text = json.dumps(GOOD).replace('"kind": "Command"', '"kind": 5, "kind": "Command", "kind": "Pump"', 1)
    path = tmp_path / "b.json"
    path.write_text(text.replace('"graph_id": "demo"', '"graph_id": "first", "graph_id": "last"'))
    bundle = open_bundle(str(path)).load()
    assert bundle.header.graph_id == "last"
    assert bundle.events[0].kind is EventKind.PUMP


def test_minus_zero_is_a_float(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    path.write_text(json.dumps(GOOD).replace('{"Number": 1.0}', '{"Number": -0}'))
    effect = open_bundle(str(path)).load().decisions[0].effects[0]
    assert effect.text.endswith(b'{"Number":-0.0}}]}')


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.json", tmp_path):
        with pytest.raises(BundleError) as caught:
            open_bundle(str(path))
        assert caught.value.code == "bundle.read_failed"
        assert str(path) in caught.value.message
        assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize("name", ["b.json.gz", "b.json.zst"])
def test_a_compressed_file_that_is_none(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(BundleError, match="not a whole") as caught:
        open_bundle(str(tmp_path / name))
    assert caught.value.code == "bundle.read_failed"


def test_a_path_that_nothing_can_have_is_a_bundle_that_cannot_be_read() -> None:
    with pytest.raises(BundleError) as caught:
        open_bundle("a\0b.json")
    assert caught.value.code == "bundle.read_failed"


def _window(*pieces: bytes) -> Window:
    return Window(BytesIO(b"".join(pieces)))


def test_a_value_has_a_size_and_is_not_read_beyond_it() -> None:
    window = _window(b'"', b"a" * (40 * 2**20), b'"')
    with pytest.raises(TextFault, match="longer than 16 MiB"):
        window.value()
    assert len(window.text) < 2 * VALUE_LIMIT + BLOCK


def test_a_record_may_be_longer() -> None:
    record = b'{"a":"' + b"a" * (17 * 2**20) + b'"}'
    [(chunk, count)] = cut_list(_window(b"[", record, b"]"), b'"decisions"')
    assert (chunk.length, count) == (len(record), 1)
    assert _window(record, b",").value_end(len(record)) == len(record)
    with pytest.raises(TextFault, match="longer than"):
        _window(record, b",").value_end(len(record) - 1)


def test_white_space_has_a_size() -> None:
    assert _window(b" " * VALUE_LIMIT, b"1").next() == b"1"
    with pytest.raises(TextFault, match="more than 16 MiB of white space"):
        _window(b"\n" * (VALUE_LIMIT + 1), b"1").next()


def test_artifacts_are_read_one_by_one() -> None:
    artifacts = {name * 64: {"text": name * (9 * 2**20)} for name in "ab"}
    text = json.dumps({"artifacts": artifacts})
    window = _window(text[len('{"artifacts":') :].encode())
    assert _artifacts(window) == artifacts
    assert _artifacts(_window(b"{ }")) == {}


def test_validate_refuses_a_payload_that_a_replay_cannot_read(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_bytes(
        bundle_of([event_record("e1", b'{"x":' + b"[" * 127 + b"]" * 127 + b"}")], [completed("e1", 0, [])]).encode()
    )
    with open_bundle(tmp_path / "b.json") as reader:
        [fault] = check_bundle(reader)
    assert (fault.code, fault.message[-30:]) == ("replay.event_rehydrate_failed", "nesting deeper than 127 levels")
