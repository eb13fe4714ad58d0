"""The fixtures of the pytest plugin: streams that tests run, and what they look at afterwards."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ergo_cli.errors import ErgoError
from ergo_cli.pytest_plugin.captures import Captured, Decided, capture

FIXTURES = Path(__file__).parents[2] / "fixtures"


def price(event_id: str, price: float) -> dict[str, object]:
    event = {"type": "DataAvailable", "id": event_id, "semantic_kind": "price_tick", "payload": {"price": price}}
    return {"kind": "event", "event": event}


@pytest.fixture(autouse=True)
def _own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def run(project: str, events: object, folder: Path) -> Captured:
    home = FIXTURES / project
    return capture(events, home, home, None, folder)  # pyright: ignore[reportArgumentType]


def test_a_stream_of_dictionaries_is_decided_as_plain_values(tmp_path: Path) -> None:
    done = run("order_threshold", [price("a", 101.5), price("b", 106)], tmp_path)
    assert done.decisions == [
        Decided("a", "Invoke", "Completed", {"history": [101.5]}, [], ["set_context"]),
        Decided(
            "b",
            "Invoke",
            "Completed",
            {"history": [101.5, 106.0], "bought_at": 106.0, "holding": True},
            [],
            ["set_context"] * 3,
        ),
    ]
    assert done["b"].writes["holding"] is True
    done.assert_replays()


def test_intents_are_dictionaries_and_no_channel_is_started(tmp_path: Path) -> None:
    done = run("own_primitives", "events/prices.jsonl", tmp_path)
    (intent,) = done.intents
    assert intent["kind"] == "place_order"
    assert done["t4"].intents == [intent]
    done.assert_replays()


def test_a_kept_bundle_is_decided_alike_until_the_stream_differs(tmp_path: Path) -> None:
    run("order_threshold", "events/monday.jsonl", tmp_path).assert_decides_as("captures/monday.json")
    other = run("order_threshold", [price("q-0900", 101.5)], tmp_path)
    with pytest.raises(pytest.fail.Exception, match="q-0910"):
        other.assert_decides_as("captures/monday.json")


def test_records_of_a_program_in_python_are_named(tmp_path: Path) -> None:
    done = run("agent", "events/tuesday.jsonl", tmp_path)
    kinds = [record.kind for record in done.records("t-0910")]
    assert kinds == ["ActionRequested", "ActionSucceeded", "Interrupted"]
    assert done["t-0910"].termination == "Completed"


def test_an_event_that_was_not_in_the_stream_is_named(tmp_path: Path) -> None:
    done = run("order_threshold", [price("a", 101.5)], tmp_path)
    with pytest.raises(pytest.fail.Exception, match="nothing was decided for 'z', only for a"):
        done["z"]


def test_a_stream_that_cannot_be_run_raises_its_error(tmp_path: Path) -> None:
    with pytest.raises(ErgoError) as raised:
        run("order_threshold", [{"kind": "event"}], tmp_path)
    assert raised.value.where is not None
    assert "ergo-events-1.jsonl:1" in raised.value.where


def test_a_test_whose_stream_cannot_be_run_shows_what_to_mend_and_no_line_of_ergo(tmp_path: Path) -> None:
    project = shutil.copytree(FIXTURES / "order_threshold", tmp_path / "desk")
    (project / "test_desk.py").write_text(
        'def test_it(ergo_capture):\n    ergo_capture([{"kind": "event", "event": {"type": "Command", "id": "a"}}])\n'
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_desk.py"]
    ran = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 1, ran
    told = ran.stdout.partition("FAILURES")[2].partition("short test summary")[0].splitlines()
    shown = [line.removeprefix("E ").strip() for line in told if line.startswith("E ")]
    assert shown[0].endswith("event 'a' has no semantic kind, but the run has an adapter")
    assert [line.partition(":")[0] for line in shown[1:]] == ["where", "fix", "code"]
    assert [line for line in told if ".py:" in line] == ["test_desk.py:2: EventError"]
