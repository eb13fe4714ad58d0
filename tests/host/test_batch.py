"""Where a run of many events at a time may end: between any two of them, and at the one that is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ergo_cli.bundle.reader import open_bundle
from ergo_cli.bundle.schema import Header
from ergo_cli.bundle.writer import BundleWriter
from ergo_cli.channels.interruption import HOST_STOP_REQUESTED
from ergo_cli.errors import StepError
from ergo_cli.events.stream import EventStream, SemanticKinds
from ergo_cli.host.event_input import StreamArrivals
from ergo_cli.host.loop import RunEnd, run_arrivals
from ergo_cli.host.run_plan import PreparedRun
from ergo_cli.host.timing import RunControl, StopHandle
from ergo_cli.project.loading import load_program_from_files
from tests.support.events import event_line

DESK = Path(__file__).parents[2] / "fixtures" / "order_threshold"


def tick(number: int, **payload: Any) -> dict[str, Any]:
    return {"type": "Command", "id": f"r{number}", "semantic_kind": "price_tick", "payload": {"price": 90.0, **payload}}


def line(body: dict[str, Any]) -> bytes:
    return event_line(body)


def stepped(
    path: Path,
    source: list[dict[str, Any]] | Iterator[bytes],
    control: RunControl,
    on_step: Callable[[], None] | None = None,
) -> RunEnd:
    """The end of a run over lines that are read together, captured to ``path``."""
    loaded = load_program_from_files(
        DESK / "graphs" / "order_threshold.yaml", (), DESK / "adapters" / "order_desk.yaml"
    )
    assert loaded.adapter is not None
    run = PreparedRun(loaded.program, loaded.adapter)
    chunks = [b"".join(map(line, source))] if isinstance(source, list) else source
    stream = EventStream(chunks, "day.jsonl", semantic_kinds=SemanticKinds.REQUIRED)
    header = Header(run.program.graph_id, run.constraints, run.program.provenance, run.adapter_provenance)
    with BundleWriter(str(path), header) as writer:
        end = run_arrivals(run, StreamArrivals(stream), writer, control, on_step=on_step)
        writer.commit()
    return end


def ids(path: Path) -> list[str]:
    return [event.event_id for event in open_bundle(str(path)).events()]


def test_a_stop_is_seen_before_the_next_event(tmp_path: Path) -> None:
    stop, steps = StopHandle(), list[int]()

    def on_step() -> None:
        steps.append(len(steps))
        if len(steps) == 5:
            stop.stop()

    end = stepped(tmp_path / "b.json", [tick(number) for number in range(50)], RunControl(stop), on_step)
    assert (end.summary.events, len(steps)) == (5, 5)
    assert end.interruption is not None
    assert end.interruption.code == HOST_STOP_REQUESTED
    assert ids(tmp_path / "b.json") == ["r0", "r1", "r2", "r3", "r4"]


def test_a_stop_is_seen_before_the_next_event_is_refused(tmp_path: Path) -> None:
    stop = StopHandle()
    end = stepped(tmp_path / "b.json", [tick(0), tick(1, price="high")], RunControl(stop), stop.stop)
    assert (end.summary.events, end.interruption is not None) == (1, True)
    assert ids(tmp_path / "b.json") == ["r0"]


def test_an_event_that_was_waited_for_is_stepped_though_the_stop_came_meanwhile(tmp_path: Path) -> None:
    stop = StopHandle()

    def lines() -> Iterator[bytes]:
        stop.stop()
        yield b"".join(line(tick(number)) for number in range(3))

    end = stepped(tmp_path / "b.json", lines(), RunControl(stop))
    assert (end.summary.events, end.interruption is not None) == (1, True)


@pytest.mark.parametrize("most", [1, 7, 50])
def test_a_bound_of_events_is_met_exactly(most: int, tmp_path: Path) -> None:
    bodies = [tick(number) for number in range(50)]
    end = stepped(tmp_path / "b.json", bodies, RunControl(max_events=most))
    assert end.summary.events == most
    assert ids(tmp_path / "b.json") == [f"r{number}" for number in range(most)]


def test_time_is_looked_at_after_every_event(tmp_path: Path) -> None:
    ticks = iter(range(100))
    control = RunControl(max_duration=9, monotonic_ns=lambda: next(ticks))
    control.start()
    end = stepped(tmp_path / "b.json", [tick(number) for number in range(50)], control)
    assert 0 < end.summary.events < 10


def test_the_event_that_is_refused_is_told_with_its_line(tmp_path: Path) -> None:
    bodies = [tick(number) for number in range(20)]
    bodies[8] = tick(8, price="high")
    with pytest.raises(StepError) as caught:
        stepped(tmp_path / "b.json", bodies, RunControl())
    assert (caught.value.name, caught.value.where) == ("Binding", "day.jsonl:9:1 event 'r8'")
    assert list(tmp_path.iterdir()) == []


def test_what_is_refused_while_it_is_realised_is_told_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ergo_cli.host.effects import ApplyEffects

    realise, calls = ApplyEffects.realise, list[int]()

    def refuse(self: ApplyEffects, effects: Any, evidence: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise StepError("EffectApply", "refused")
        return realise(self, effects, evidence)

    monkeypatch.setattr(ApplyEffects, "realise", refuse)
    bodies = [tick(number, price=90.0 if number % 2 else 200.0) for number in range(20)]
    with pytest.raises(StepError) as caught:
        stepped(tmp_path / "b.json", bodies, RunControl())
    assert caught.value.where == "day.jsonl:3:1"
    assert list(tmp_path.iterdir()) == []
