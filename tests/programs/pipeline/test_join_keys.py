"""What the keys of ``inner``, ``left`` and ``strict`` may be: anything that a row can be looked up by."""

from __future__ import annotations

from typing import Any

import pytest
from pipeline_flows import pipeline
from test_pipeline_invoker import Episodes, deliver

from ergo_cli.programs.pipeline import Event, inner, join, left, sink, source, strict
from ergo_cli.supervisor.seam import ErrKind, Failed, Outcome


def key(event: Event) -> Any:
    payload: Any = event.payload
    return payload["k"]


def pair(row: Event | None, event: Event) -> Event:
    return Event("pair", [None if row is None else row.payload, event.payload])


def joined(match: Any) -> Episodes:
    both = join("both", "ref", "src", match("ref", key, key, pair), live=True)
    stages = (source("ref"), source("src"), both, sink("snk", deliver))
    return Episodes(pipeline(*stages, edges="ref>both src>both both>snk"))


@pytest.mark.parametrize("match", [inner, left, strict])
@pytest.mark.parametrize(("source", "given_by"), [("ref", "reference_key"), ("src", "stream_key")])
def test_a_key_without_a_hash_is_named(match: Any, source: str, given_by: str) -> None:
    episodes = joined(match)
    assert episodes.run({"source": source, "k": [1]}) == Failed(ErrKind.SEMANTIC_ERROR)
    assert f"{given_by} gave list, which no row can be looked up by" in str(episodes.entries)


@pytest.mark.parametrize("match", [inner, left, strict])
def test_null_is_a_key_and_the_last_of_several_rows_counts(match: Any) -> None:
    episodes = joined(match)
    for row in (1, 2):
        assert episodes.run({"source": "ref", "k": None, "row": row}) is Outcome.COMPLETED
    assert episodes.run({"source": "src", "k": None}) is Outcome.COMPLETED
    [written] = [each for each in episodes.invoker.drain() if each.kind == "sink_write"]
    assert '"row":2' in str(written)
