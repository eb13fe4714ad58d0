"""The progress of ``ergo run`` and ``ergo capture`` on a terminal: how much of the events is read."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from ergo_cli.host.event_input import Reading, open_source
from tests.cli.terminals import on_terminal, plain

_EVENTS = 300_000  # enough for more than the second after which progress is shown
_SHARE = re.compile(r"(\d+) %, ([\d,]+) events")


@pytest.fixture(scope="module")
def many_events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("events") / "many.jsonl"
    line = '{{"kind":"event","event":{{"type":"Command","id":"e{}"}}}}\n'
    path.write_text("".join(line.format(number) for number in range(_EVENTS)))
    return path


@pytest.mark.parametrize("command", [["run"], ["capture", "-o", "b.json"]])
def test_the_share_of_the_file_that_is_read_is_shown(
    command: list[str], many_events: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    shown = plain(on_terminal([*command, str(many_events)], environment, tmp_path, stream="stderr"))
    shares = [(int(share), int(events.replace(",", ""))) for share, events in _SHARE.findall(shown)]
    assert shares
    assert shares == sorted(shares)
    for share, events in shares:
        assert 0 <= share <= 100
        assert abs(share - 100 * events / _EVENTS) < 5  # the lines are equally long


def test_a_run_that_ends_before_its_file_shows_no_share(
    many_events: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    arguments = ["run", str(many_events), "--max-events", str(_EVENTS - 1)]
    shown = plain(on_terminal(arguments, environment, tmp_path, stream="stderr"))
    assert " events, " in shown
    assert _SHARE.search(shown) is None


def test_a_reading_follows_the_bytes_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_bytes(b"x" * 100_000)
    reading = Reading()
    assert reading.done == (0, 0)
    with open_source(str(path), reading=reading) as chunks:
        assert reading.done == (0, 100_000)
        next(chunks)
        assert reading.done == (32 * 1024, 100_000)
    assert reading.done == (100_000, 100_000)


def test_of_a_compressed_file_the_stored_bytes_count(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl.gz"
    path.write_bytes(gzip.compress(b"x" * 1_000_000))
    size, reading = path.stat().st_size, Reading()
    with open_source(str(path), reading=reading) as chunks:
        assert reading.done == (0, size)
        assert sum(map(len, chunks)) == 1_000_000
        assert reading.done == (size, size)
