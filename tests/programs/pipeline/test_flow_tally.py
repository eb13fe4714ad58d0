"""What is counted of a flow's records: endings that stay, stages that are cut off, memory that does not grow."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from itertools import chain, repeat

import pytest

from ergo_cli.bundle.journals import BundleJournals
from ergo_cli.bundle.reader import open_bundle
from ergo_cli.programs.pictures import NodeOutcome
from ergo_cli.programs.pipeline.flow_tally import FlowTally
from ergo_cli.programs.pipeline.kind import KIND
from ergo_cli.programs.pipeline.recorded import JournalRecord, PipelineEpisode
from ergo_cli.programs.pipeline.system_events import StageCompleted, StageLifecycle, SystemEvent
from tests.cli.pipeline_projects import KEPT, ORDERS


@pytest.fixture(scope="module")
def episodes() -> list[PipelineEpisode]:
    with open_bundle(ORDERS / KEPT) as reader:
        found = list(BundleJournals(reader).recorded())
    assert len(found) == 9, "eight events, and the closing entry"
    return [each for each in found if isinstance(each, PipelineEpisode)]


def records(episodes: list[PipelineEpisode]) -> Iterator[JournalRecord]:
    return (record for episode in episodes for call in episode.calls for record in call.records)


def is_completion(record: JournalRecord) -> bool:
    event: object = record.envelope.event
    return (
        isinstance(event, SystemEvent)
        and isinstance(event.event, StageLifecycle)
        and isinstance(event.event.fact, StageCompleted)
    )


def test_stages_that_run_when_the_flow_ends_are_cut_off(episodes: list[PipelineEpisode]) -> None:
    tally = FlowTally(episodes[0].manifest)
    assert {tally.outcome_of(name) for name in tally.stages} == {NodeOutcome.NOT_STARTED}
    for record in records(episodes[:1]):
        tally.take(record)
    assert {tally.outcome_of(name) for name in tally.stages} == {NodeOutcome.RUNNING}
    for record in records(episodes[1:]):
        if not is_completion(record):
            tally.take(record)
    assert tally.outcome is NodeOutcome.COMPLETED
    assert {tally.outcome_of(name) for name in tally.stages} == {NodeOutcome.CUT_OFF}


def test_an_end_stays(episodes: list[PipelineEpisode]) -> None:
    tally = FlowTally(episodes[0].manifest)
    for record in chain(records(episodes), records(episodes[:1])):
        tally.take(record)
    assert {tally.outcome, *map(tally.outcome_of, tally.stages)} == {NodeOutcome.COMPLETED}


def test_memory_does_not_grow_with_the_events(episodes: list[PipelineEpisode]) -> None:
    """The same eight events, 1,500 times: 12,000 events, of which one in eight comes marked as an error."""

    def endless(times: int) -> Iterator[PipelineEpisode]:
        return chain.from_iterable(repeat(episodes, times))

    def peak(times: int) -> int:
        tracemalloc.start()
        try:
            picture = KIND.acting.run_picture(endless(times))
            size = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert picture is not None
        [check] = [node for node in picture.nodes if node.name == "check"]
        assert check.run is not None
        assert check.run.counts == {"wrote": 5 * times, "marked": times, "undelivered": 0, "error rows": times}
        return size

    peak(1)  # imports
    assert peak(1_500) < peak(15) + 20_000
