from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ergo_cli.bundle.memory import CaptureBundle
from ergo_cli.errors import BundleError
from ergo_cli.replay.diff_reader import Side
from ergo_cli.replay.diffing import diff_bundles
from ergo_cli.replay.paths import parse_patterns
from ergo_cli.replay.results import Outcome
from ergo_cli.testing.bundles import bundle_of, completed, event_record, set_context
from tests.replay.conftest import written


def run(*ids: str, episodes: tuple[int, ...] = ()) -> CaptureBundle:
    made = [completed(event_id, number, [set_context("last", event_id)]) for number, event_id in enumerate(ids)]
    for index, episode in enumerate(episodes[: len(made)]):
        made[index] = replace(made[index], episode_id=episode)
    return bundle_of([event_record(event_id, json.dumps({"id": event_id}).encode()) for event_id in ids], made)


def rows(path: str, *, quick: bool) -> list[tuple[Any, ...]]:
    side = Side(path, quick=quick)
    assert side.paired
    found = [(row.seq, row.key, *told(row.record)) for row in side.pairs()]
    assert sum(side.counts.values()) == len(found)
    return found


def told(entry: Any) -> tuple[Any, ...]:
    return bytes(entry.event), entry.decision, entry.kind, entry.episode_id, entry.episode


some_ids = st.lists(st.sampled_from("abcde"), max_size=8)
some_episodes = st.lists(st.integers(0, 4), max_size=8).map(tuple)


@given(ids=some_ids, episodes=some_episodes, pretty=st.booleans())
def test_both_ways_to_open_a_bundle_read_the_same(
    ids: list[str], episodes: tuple[int, ...], pretty: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("s") / "a.json"
    path.write_bytes(run(*ids, episodes=episodes).encode(pretty=pretty))
    assert rows(str(path), quick=True) == rows(str(path), quick=False)


@given(ids=some_ids, episodes=some_episodes)
def test_an_entry_that_is_kept_is_the_same(
    ids: list[str], episodes: tuple[int, ...], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = written(tmp_path_factory.mktemp("s") / "a.json", run(*ids, episodes=episodes))
    for row in Side(path, quick=True).pairs():
        kept = row.record.kept()
        assert told(kept) == told(row.record)
        assert kept.decides_as(row.record)
        assert kept.event == row.record.event
        assert kept.page is not None
        assert row.record.page is not None
        assert len(kept.page.records) == 1


@pytest.mark.parametrize("swapped", [False, True])
def test_text_that_no_comparison_needs_is_refused_all_the_same(swapped: bool, tmp_path: Path) -> None:
    good = written(tmp_path / "good.json", run("a", "b"))
    bad = tmp_path / "bad.json"
    bad.write_bytes(Path(good).read_bytes().replace(b'"graph_id"', b'"events":[7],"graph_id"', 1))
    with pytest.raises(BundleError) as caught:
        diff_bundles(*((str(bad), good) if swapped else (good, str(bad))))
    assert "a record must be an object" in caught.value.message


def test_records_laid_out_in_another_way_are_read(tmp_path: Path) -> None:
    ids = [f"e{number}" for number in range(3000)]
    path = written(tmp_path / "a.json", run(*ids))
    odd = tmp_path / "odd.json"
    start, *records = Path(path).read_bytes().split(b"},{")
    odd.write_bytes(start + b"".join((b"} ,\t{" if n % 1000 else b"},{") + text for n, text in enumerate(records)))
    assert diff_bundles(path, str(odd)).outcome is Outcome.MATCH


def test_a_malformed_record_is_refused_where_the_patterns_met_all_before_it(tmp_path: Path) -> None:
    good = written(tmp_path / "good.json", run("a", "b"))
    bundle = json.loads(Path(good).read_text())
    bundle["decisions"][0]["episode_id"] = -1
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(bundle))
    with pytest.raises(BundleError):
        diff_bundles(good, str(bad), parse_patterns(["episode_id"]))


@pytest.mark.parametrize(("seam", "other"), [(b",\n", b","), (b",", b"\n,")])
def test_records_that_are_equal_to_the_letter_are_not_looked_into(seam: bytes, other: bytes, tmp_path: Path) -> None:
    paths = tmp_path / "a.json", tmp_path / "b.json"
    text = run("a", "b", "c").encode().replace(b'"kind":"Command"', b'"kind": "none that there is"')
    for path, between in zip(paths, (seam, other), strict=True):
        path.write_bytes(text.replace(b'},{"event_id"', b"}" + between + b'{"event_id"'))
    assert diff_bundles(str(paths[0]), str(paths[1])).outcome is Outcome.MATCH
