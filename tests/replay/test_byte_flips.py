"""Every byte of a bundle flipped, deleted, doubled: ``--strict`` matches only where the meaning is the same."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ergo_cli.project.loading import LoadedProgram, load_program_from_files
from ergo_cli.replay.engine import replay_bundle
from ergo_cli.replay.results import Outcome, Target
from tests.conftest import CONFORMANCE, Ergo

CASE = CONFORMANCE / "20-replay-failures"
SAMPLE = 150

UNSEEN_IN_V3 = ("events[].event_time.secs", "events[].event_time.nanos", "events[].kind", "config.")
"""What an edit of a v3 bundle can change without a trace, if no decision depends on it; docs/bundles.md lists it."""


def flips(text: bytes) -> list[tuple[int, bytes]]:
    """Every place with every edit of it: lowest bit flipped, deleted, doubled."""
    edits: list[tuple[int, bytes]] = []
    for at in range(len(text)):
        before, byte, after = text[:at], text[at : at + 1], text[at + 1 :]
        edits += ((at, before + new + after) for new in (bytes([byte[0] ^ 1]), b"", byte * 2))
    return edits


def meaning(text: bytes) -> Any:
    """The document as another reader understands it; None where it is not JSON, or has a member twice."""

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a member twice")
        return dict(pairs)

    try:
        return json.loads(text.decode(), object_pairs_hook=members)
    except (ValueError, RecursionError):
        return None


def changed(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """The paths of the leaves that differ, without the numbers of items."""
    if isinstance(before, dict) and isinstance(after, dict) and before.keys() == after.keys():
        for name in before:
            yield from changed(before[name], after[name], f"{path}.{name}".lstrip("."))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for one, other in zip(before, after, strict=True):
            yield from changed(one, other, f"{path}[]")
    elif repr(before) != repr(after):
        yield path


def check(text: bytes, edits: list[tuple[int, bytes]], target: Target, bundle: Path, unseen: tuple[str, ...]) -> None:
    known = meaning(text)
    for at, edited in edits:
        bundle.write_bytes(edited)
        if replay_bundle(bundle, target).outcome is Outcome.MATCH:
            lost = [path for path in changed(known, meaning(edited)) if not path.startswith(unseen)]
            assert not lost, f"byte {at}: {text[at - 30 : at + 10]!r} became {edited[at - 30 : at + 10]!r}"


@pytest.fixture(scope="module")
def v3() -> tuple[bytes, Target]:
    loaded = load_program_from_files(CASE / "graph.yaml", (), CASE / "adapter.yaml")
    return (CASE / "good.json").read_bytes(), Target(loaded.program, loaded.adapter)


def sampled(edits: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    return random.Random(20).sample(edits, SAMPLE)


@pytest.fixture
def v4(ergo: Ergo, tmp_path: Path) -> tuple[bytes, Target]:
    loaded: LoadedProgram = load_program_from_files(CASE / "graph.yaml", (), CASE / "adapter.yaml")
    program = ("-g", CASE / "graph.yaml", "-a", CASE / "adapter.yaml")
    assert ergo("capture", CASE / "events.jsonl", *program, "--embed", "-o", tmp_path / "v4.json").exit_code == 0
    return (tmp_path / "v4.json").read_bytes(), Target(loaded.program, loaded.adapter)


def test_the_original_matches(v3: tuple[bytes, Target], v4: tuple[bytes, Target], tmp_path: Path) -> None:
    for text, target in (v3, v4):
        (tmp_path / "b.json").write_bytes(text)
        assert replay_bundle(tmp_path / "b.json", target).outcome is Outcome.MATCH


def test_some_bytes_of_v3(v3: tuple[bytes, Target], tmp_path: Path) -> None:
    check(v3[0], sampled(flips(v3[0])), v3[1], tmp_path / "b.json", UNSEEN_IN_V3)


def test_some_bytes_of_v4(v4: tuple[bytes, Target], tmp_path: Path) -> None:
    check(v4[0], sampled(flips(v4[0])), v4[1], tmp_path / "b.json", ())


@pytest.mark.slow
def test_every_byte_of_v3(v3: tuple[bytes, Target], tmp_path: Path) -> None:
    check(v3[0], flips(v3[0]), v3[1], tmp_path / "b.json", UNSEEN_IN_V3)


@pytest.mark.slow
def test_every_byte_of_v4(v4: tuple[bytes, Target], tmp_path: Path) -> None:
    check(v4[0], flips(v4[0]), v4[1], tmp_path / "b.json", ())
