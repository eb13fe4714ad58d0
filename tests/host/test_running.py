"""The loop of every run, over events that arrive on cue."""

from __future__ import annotations

import pytest

from ergo_cli.bundle.memory import InMemoryBundle
from ergo_cli.bundle.schema import Header
from ergo_cli.channels.interruption import (
    DRIVER_IO,
    EGRESS_IO,
    HOST_STEP_FAILED,
    HOST_STOP_REQUESTED,
    End,
    IngressFailure,
    Interruption,
)
from ergo_cli.errors import EventError, StepError
from ergo_cli.events.external import EventKind, HostedEvent
from ergo_cli.host.loop import RunEnd, RunResources, run_arrivals
from ergo_cli.host.run_plan import PreparedRun
from ergo_cli.host.timing import RunControl
from ergo_cli.supervisor.seam import Constraints
from ergo_cli.testing.worlds import ScriptedArrivals, ScriptedDispatcher, broken_channel
from tests.channels.samples import KIND, sample_program

BROKEN = IngressFailure(EventError("driver.io_failed", "cannot be heard"), Interruption(DRIVER_IO))
DRIVER = RunResources(ScriptedDispatcher({KIND: "outbox"}), lasting=True, vouched=False)


def sample(event_id: str, message: str | int = "hello") -> HostedEvent:
    return HostedEvent(event_id, EventKind.COMMAND, 0, "sample_event", {"message": message})


class Played:
    """A run of cues, and what was recorded of it."""

    def __init__(self, *cues: HostedEvent | End | IngressFailure, world: RunResources = DRIVER) -> None:
        loaded = sample_program()
        self.bundle = InMemoryBundle(Header("sample_flow", Constraints(), loaded.program.provenance))
        run = PreparedRun(loaded.program, loaded.adapter)
        self.end: RunEnd = run_arrivals(run, ScriptedArrivals(cues), self.bundle, RunControl(), world)

    @property
    def reason(self) -> str | None:
        return self.end.interruption.code if self.end.interruption else None

    @property
    def events(self) -> list[str]:
        return [record.event_id for record in self.bundle.commit().events]


def test_a_source_that_finishes() -> None:
    played = Played(sample("a"), sample("b"))
    assert played.end.interruption is None
    summary = played.end.summary
    assert (summary.events, summary.episodes, summary.invoked, summary.failed) == (2, 1, 2, 0)


def test_a_stop_found_out_while_waiting() -> None:
    assert Played(sample("a"), End.STOPPED).reason == HOST_STOP_REQUESTED
    with pytest.raises(EventError) as caught:
        Played(End.STOPPED)
    assert caught.value.code == "driver.output_incomplete"


def test_a_source_that_breaks_is_an_error_first_and_an_interruption_later() -> None:
    played = Played(sample("a"), BROKEN)
    assert (played.reason, played.end.error, played.events) == (DRIVER_IO, BROKEN.error, ["a"])
    with pytest.raises(EventError) as caught:
        Played(BROKEN)
    assert caught.value is BROKEN.error


@pytest.mark.parametrize("bad", [sample("a"), sample("b", 7)])
def test_a_step_that_fails_later_is_cut_off(bad: HostedEvent) -> None:
    played = Played(sample("a"), bad, sample("c"))
    assert (played.reason, played.events) == (HOST_STEP_FAILED, ["a"])
    assert played.end.summary.events == 1
    assert isinstance(played.end.error, StepError)
    assert str(played.end.error.where).startswith("script:2 ")


def test_a_first_step_that_fails_refuses_the_run() -> None:
    with pytest.raises(StepError):
        Played(sample("a", 7), sample("b"))


def test_where_nothing_lasts_a_step_that_fails_refuses_the_run() -> None:
    with pytest.raises(StepError) as caught:
        Played(sample("a"), sample("b", 7), world=RunResources(ScriptedDispatcher({KIND: "outbox"})))
    assert str(caught.value.where).startswith("script:2 ")


def test_a_channel_that_breaks_ends_the_run_with_its_event() -> None:
    world = RunResources(ScriptedDispatcher({KIND: "outbox"}, {1: broken_channel("outbox")}), lasting=True)
    played = Played(sample("a"), sample("b"), sample("c"), world=world)
    assert (played.reason, played.events) == (EGRESS_IO, ["a", "b"])
    assert played.end.interruption == Interruption(EGRESS_IO, "outbox")
    assert (played.end.summary.events, played.end.summary.invoked) == (2, 2)
