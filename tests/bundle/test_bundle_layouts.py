"""Bundles are read whatever their layout, in blocks, lazily and again."""

from __future__ import annotations

import gzip
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from ergo_cli.bundle.memory import CaptureBundle
from ergo_cli.bundle.reader import open_bundle
from ergo_cli.bundle.scanning import BLOCK
from ergo_cli.errors import BundleError
from ergo_cli.testing.bundles import bundle_of, completed, event_record, set_context

TRICKY = '"],"decisions":[{"event_id":"x"},{"event_id":"'


def large(count: int = 1500) -> CaptureBundle:
    """A bundle of several blocks whose strings look like the seams between records."""
    events = [event_record(f"e{at}{TRICKY}", b"x" * (at % 300), at=at) for at in range(count)]
    effects = [set_context("key", TRICKY), set_context("list", [1.0, 2.5])]
    decisions = [completed(event.event_id, at, effects) for at, event in enumerate(events)]
    return bundle_of(events, decisions)


def compact(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def tabbed(document: dict[str, Any]) -> str:
    return json.dumps(document, indent="\t").replace("\n", "\r\n")


def shuffled(document: dict[str, Any]) -> str:
    def shuffle(value: Any) -> Any:
        if isinstance(value, dict):
            names = sorted(value, key=lambda name: (len(name), name))
            return {name: shuffle(value[name]) for name in names}
        return [shuffle(item) for item in value] if isinstance(value, list) else value

    return json.dumps(shuffle(document))


def ragged(document: dict[str, Any]) -> str:
    """White space differs from record to record."""
    chance = random.Random(7)
    text = compact(document)
    pieces = text.split('},{"event_id"')
    return "".join(
        piece + ("}" + " " * chance.randrange(3) + "," + "\n" * chance.randrange(3) + '{"event_id"')
        for piece in pieces[:-1]
    ) + pieces[-1].replace('"adapter_provenance"', '\n"adapter_provenance"')


def annotated(document: dict[str, Any]) -> str:
    """Every fourth record has a member that nobody knows and that looks like records."""
    for name in ("events", "decisions"):
        for record in document[name][::4]:
            record["note"] = [{"event_id": 1}, {"event_id": [{"event_id": 2}]}]
    return compact(document)


@pytest.mark.parametrize("layout", [compact, json.dumps, tabbed, shuffled, ragged, annotated])
def test_every_layout_reads_the_same(tmp_path: Path, layout: Callable[[dict[str, Any]], str]) -> None:
    bundle = large()
    path = tmp_path / "b.json"
    path.write_text(layout(json.loads(bundle.encode())), newline="")
    assert path.stat().st_size > 3 * BLOCK
    with open_bundle(str(path)) as reader:
        assert (reader.event_count, reader.decision_count) == (1500, 1500)
        assert reader.load() == bundle
        assert [json.loads(text)["event_id"] for text in reader.event_texts()] == [e.event_id for e in bundle.events]


def test_records_longer_than_a_block(tmp_path: Path) -> None:
    bundle = bundle_of([event_record("a", b"x" * BLOCK), event_record("b", b"y" * 2 * BLOCK)], [])
    for pretty in (False, True):
        path = tmp_path / "b.json"
        path.write_bytes(bundle.encode(pretty=pretty))
        assert open_bundle(str(path)).load() == bundle


def test_iterators_can_run_side_by_side_and_again(tmp_path: Path) -> None:
    bundle = large()
    path = tmp_path / "b.json"
    path.write_bytes(bundle.encode())
    reader = open_bundle(str(path))
    pairs = list(zip(reader.events(), reader.decisions(), reader.decision_texts(), strict=True))
    assert [event for event, _, _ in pairs] == list(bundle.events)
    assert [decision for _, decision, _ in pairs] == list(bundle.decisions)
    assert list(reader.events()) == list(bundle.events)
    reader.close()


def test_texts_are_those_of_the_file(tmp_path: Path) -> None:
    bundle = large(5)
    path = tmp_path / "b.json"
    path.write_bytes(bundle.encode())
    reader = open_bundle(str(path))
    for text in (*reader.event_texts(), *reader.decision_texts()):
        assert text in path.read_bytes()


def test_a_bad_record_is_told_when_it_is_reached(tmp_path: Path) -> None:
    document = json.loads(large().encode())
    document["decisions"][1400]["retry_count"] = -1
    path = tmp_path / "b.json"
    path.write_text(compact(document))
    reader = open_bundle(str(path))
    assert len(list(reader.events())) == 1500
    with pytest.raises(BundleError) as caught:
        list(reader.decisions())
    assert caught.value.where is not None
    assert caught.value.where.endswith(" decisions[1400].retry_count")


def test_malformed_text_deep_in_a_large_file_is_refused_with_its_place(tmp_path: Path) -> None:
    text = large().encode()
    place = text.index(b'"retry_count":0', len(text) - 2000) + len(b'"retry_count":')
    path = tmp_path / "b.json"
    path.write_bytes(text[:place] + b"!" + text[place + 1 :])
    with pytest.raises(BundleError) as caught:
        open_bundle(str(path))
    assert caught.value.where == f"{path}:1:{place + 1}"


def test_a_gzip_bundle_reads_as_its_content(tmp_path: Path) -> None:
    bundle = large(10)
    path = tmp_path / "b.json.gz"
    path.write_bytes(gzip.compress(bundle.encode()))
    assert open_bundle(str(path)).load() == bundle


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    bundle = large(10)
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = Thread(target=path.write_bytes, args=(bundle.encode(),))
    writer.start()
    reader = open_bundle(str(path))
    writer.join()
    assert reader.load() == bundle
    assert list(reader.events()) == list(bundle.events)


MEMORY = """
import resource, sys
from ergo_cli.bundle.reader import open_bundle
from ergo_cli.bundle.writer import BundleWriter
from ergo_cli.testing.bundles import bundle_of, completed, event_record, set_context

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

before = peak()
with BundleWriter(sys.argv[1], bundle_of([], []).header) as writer:
    event, decision = event_record("e", b"x" * 300), completed("e", 0, [set_context("k", "v" * 300)])
    for _ in range(30_000):
        writer.event(event)
        writer.decision(decision)
    writer.commit()
reader = open_bundle(sys.argv[1])
assert sum(1 for _ in reader.events()) == sum(1 for _ in reader.decision_texts()) == 30_000
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is counted in KiB only there")
def test_memory_does_not_grow_with_the_bundle(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(path)], capture_output=True, text=True, check=True, timeout=120
    )
    assert path.stat().st_size > 50_000_000
    assert int(done.stdout) < 15_000
