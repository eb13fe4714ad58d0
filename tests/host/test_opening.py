"""Streams that are read ahead to their end, and pipes that keep the reader waiting."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest

from ergo_cli.channels.interruption import End
from ergo_cli.errors import ErgoError, EventError, StepError
from ergo_cli.events.external import HostedEvent
from ergo_cli.host.event_input import Arrivals, open_checked_stream, open_stream
from ergo_cli.host.run_plan import PreparedRun
from ergo_cli.host.timing import RunControl, StopHandle
from ergo_cli.project.loading import load_program_from_files
from tests.channels.ingress_runs import FLOW
from tests.support.events import event_line


def tick_flow(adapter: Path = FLOW / "adapter.yaml") -> PreparedRun:
    loaded = load_program_from_files(FLOW / "graph.yaml", (), adapter)
    return PreparedRun(loaded.program, loaded.adapter)


def tick(payload: object) -> str:
    event = {"type": "Command", "semantic_kind": "tick", "payload": payload}
    return event_line(event).decode()


def ids(arrivals: Arrivals) -> list[str]:
    found: list[str] = []
    while isinstance(event := arrivals.next(lambda: False), HostedEvent):
        found.append(event.event_id)
    return found


@contextmanager
def pipe(folder: Path, *texts: str, held: bool = False) -> Iterator[tuple[Path, Thread]]:
    """A named pipe that somebody writes ``texts`` to; ``held`` keeps it open until the end."""
    path, released = folder / "pipe", Event()
    os.mkfifo(path)

    def write() -> None:
        with path.open("w") as file:
            for text in texts:
                file.write(text)
                file.flush()
            if held:
                released.wait()

    writer = Thread(target=write)
    writer.start()
    try:
        yield path, writer
    finally:
        released.set()
        writer.join()


def refusal(path: Path, run: PreparedRun) -> ErgoError:
    with pytest.raises(ErgoError) as caught, open_checked_stream(str(path), run, RunControl()):
        pass
    return caught.value


def test_a_pipe_is_read_ahead_and_then_from_its_copy(tmp_path: Path) -> None:
    with (
        pipe(tmp_path, tick({"x": 1}), tick({"x": 2})) as (path, _),
        open_checked_stream(str(path), tick_flow(), RunControl()) as arrivals,
    ):
        assert ids(arrivals) == ["fixture_evt_1", "fixture_evt_2"]


def test_the_first_fault_of_a_stream_is_told_before_its_first_event(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_text(tick({"x": 1}) + "nonsense\n")
    error = refusal(path, tick_flow())
    assert isinstance(error, EventError)
    assert str(error.where).startswith(f"{path}:2:")
    path.write_text(tick({"x": 1}) + tick({"x": 1}).replace('"tick"', '"tock"'))
    error = refusal(path, tick_flow())
    assert isinstance(error, StepError)
    assert (error.name, str(error.where).startswith(f"{path}:2:1 ")) == ("UnknownSemanticKind", True)


def test_a_member_that_memory_may_bring_is_not_missed_ahead(tmp_path: Path) -> None:
    path, adapter = tmp_path / "e.jsonl", tmp_path / "adapter.yaml"
    needs_both = (FLOW / "adapter.yaml").read_text().replace("required: [x]", "required: [x, y]")
    path.write_text(tick({"x": 1}))
    adapter.write_text(needs_both)
    with open_checked_stream(str(path), tick_flow(adapter), RunControl()) as arrivals:
        assert ids(arrivals) == ["fixture_evt_1"]


def test_a_fault_that_memory_cannot_mend_is_found_ahead(tmp_path: Path) -> None:
    """Actions write ``y`` alone."""
    path = tmp_path / "e.jsonl"
    path.write_text(tick({"x": "one"}))
    assert binding_fault(path, FLOW / "adapter.yaml") == "Binding"


def binding_fault(path: Path, adapter: Path) -> str:
    error = refusal(path, tick_flow(adapter))
    assert isinstance(error, StepError)
    return error.name


def test_a_pipe_that_keeps_the_reader_waiting_is_left_when_the_run_must_stop(tmp_path: Path) -> None:
    stop = StopHandle()
    with (
        pipe(tmp_path, tick({"x": 1}), held=True) as (path, _),
        open_stream(str(path), tick_flow(), RunControl(stop)) as arrivals,
    ):
        assert isinstance(arrivals.next(lambda: False), HostedEvent)
        stop.stop()
        assert arrivals.next(lambda: False) is End.STOPPED


def test_a_pipe_that_ends_when_the_run_must_stop_has_not_finished(tmp_path: Path) -> None:
    stop = StopHandle()
    with (
        pipe(tmp_path, tick({"x": 1}), tick({"x": 2})[:20]) as (path, writer),
        open_stream(str(path), tick_flow(), RunControl(stop)) as arrivals,
    ):
        assert isinstance(arrivals.next(lambda: False), HostedEvent)
        writer.join()
        stop.stop()
        assert arrivals.next(lambda: False) is End.STOPPED


def test_reading_ahead_can_be_stopped(tmp_path: Path) -> None:
    stop = StopHandle()
    stop.stop()
    with (
        pipe(tmp_path, tick({"x": 1}), held=True) as (path, _),
        pytest.raises(EventError) as caught,
        open_checked_stream(str(path), tick_flow(), RunControl(stop)),
    ):
        pass
    assert caught.value.code == "driver.output_incomplete"
