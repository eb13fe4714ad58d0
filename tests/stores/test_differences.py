"""Artifacts that are kept as differences: what they take, and what can be wrong with them."""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ergo_cli.programs.plan.engine import Engine, Phase, StartRun
from ergo_cli.programs.plan.ids import RunId
from ergo_cli.programs.plan.manifest import NO_BUILD, RunManifest, run_config
from ergo_cli.programs.plan.states import ExecutionPlan, Handler, State
from ergo_cli.stores.artifacts import ArtifactStore, FileArtifacts
from ergo_cli.stores.differences import SMALLEST, Difference
from ergo_cli.stores.memory import MemoryArtifacts, MemoryJournal
from ergo_cli.testing.stores import refused

RUN = RunId("11111111-2222-4333-8444-555555555555")
BASE = "0" * 64
WHOLE = bytes(range(256)) * 20
LATER = WHOLE + b"more"
LAST = LATER + b"and more"


def name(data: bytes) -> str:
    return sha256(data).hexdigest()


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A folder of a whole artifact and two differences."""
    artifacts = FileArtifacts(tmp_path)
    artifacts.put_near(LAST, artifacts.put_near(LATER, artifacts.put(WHOLE)))
    return tmp_path


def file_of(folder: Path, data: bytes) -> Path:
    return folder / name(data)[:2] / f"{name(data)}.difference"


bytes_ = st.binary(max_size=300) | st.binary(min_size=1, max_size=3).map(lambda data: data * 2000)


@given(bytes_, bytes_, bytes_, bytes_)
def test_a_difference_makes_the_other_artifact(begin: bytes, one: bytes, other: bytes, end: bytes) -> None:
    before, after = begin + one + end, begin + other + end
    difference = Difference.between(BASE, 1, before, after)
    assert Difference.decoded(difference.encoded()) == difference
    assert difference.applied(before) == after


def test_small_artifacts_are_kept_whole(tmp_path: Path) -> None:
    artifacts = FileArtifacts(tmp_path)
    first, second = b"x" * (SMALLEST - 2), b"x" * (SMALLEST - 1)
    artifacts.put_near(second, artifacts.put(first))
    assert (tmp_path / name(second)[:2] / name(second)).read_bytes() == second


def test_an_artifact_that_is_not_like_the_other_is_kept_whole(tmp_path: Path) -> None:
    artifacts, other = FileArtifacts(tmp_path), os.urandom(len(WHOLE))
    artifacts.put_near(other, artifacts.put(WHOLE))
    assert (tmp_path / name(other)[:2] / name(other)).read_bytes() == other


def test_another_process_reads_what_is_kept_as_differences(kept: Path) -> None:
    artifacts = FileArtifacts(kept)
    assert [artifacts.get(name(data)) for data in (LAST, WHOLE, LATER)] == [LAST, WHOLE, LATER]
    assert artifacts.references(name(LAST)) == (name(LATER),)
    assert artifacts.put(LAST) == name(LAST)
    assert not (kept / name(LAST)[:2] / name(LAST)).exists()


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "cut": lambda data: data[:-1],
    "other": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "header": lambda data: data[:30],
    "lengths": lambda data: data[:54] + b"\xff" * 24 + data[78:],
    "text": lambda _: LAST,
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("damaged", [LAST, LATER])
def test_a_damaged_difference(kept: Path, damage: str, damaged: bytes) -> None:
    file = file_of(kept, damaged)
    file.write_bytes(DAMAGE[damage](file.read_bytes()))
    with refused("store.corrupt", name(LAST)):
        FileArtifacts(kept).get(name(LAST))
    with refused("store.corrupt", name(LAST)):
        FileArtifacts(kept).put(LAST)
    assert FileArtifacts(kept).get(name(WHOLE)) == WHOLE


def test_a_whole_artifact_that_is_gone_is_named(kept: Path) -> None:
    (kept / name(WHOLE)[:2] / name(WHOLE)).unlink()
    with refused("store.not_found", name(WHOLE)):
        FileArtifacts(kept).get(name(LAST))


def test_differences_that_lead_in_a_circle(kept: Path) -> None:
    """The file of LATER says that it is made of LAST, which is made of LATER."""
    file_of(kept, LATER).write_bytes(Difference(name(LAST), 2, 0, 0, 5, b"").encoded())
    with refused("store.corrupt", name(LAST)):
        FileArtifacts(kept).get(name(LAST))


# --- a run whose context grows


def growing(number: int) -> Handler:
    return lambda ctx, io, rec: ctx.write(f"k{number:05d}", sha256(str(number).encode()).hexdigest() * 3)


class OnePlan:
    """A plan of so many states, each of which adds 200 bytes to the context."""

    def __init__(self, states: int) -> None:
        self.plan = ExecutionPlan("m", tuple(State(f"m.s.h{n}", growing(n)) for n in range(states)))

    def resolve(self, manifest: RunManifest) -> ExecutionPlan:
        return self.plan


def grown(artifacts: ArtifactStore, states: int) -> tuple[Engine, str]:
    """The engine, and the last snapshot of a run of so many states."""
    resolver, journal = OnePlan(states), MemoryJournal()
    engine = Engine(journal=journal, artifact_store=artifacts, resolver=resolver, entropy=bytes)
    manifest = RunManifest("m", "1", {}, run_config(), NO_BUILD)
    start = StartRun(
        manifest=manifest,
        manifest_id=engine.artifacts.put(manifest.canonical()),
        plan=resolver.plan,
        run_config=manifest.run_config,
        initial_context={},
        run_id=RUN,
    )
    result = engine.start(start)
    assert result.phase is Phase.COMPLETED
    assert result.final_snapshot_id is not None
    return engine, result.final_snapshot_id


def size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def test_bytes_written_are_linear_where_a_context_grows(tmp_path: Path) -> None:
    sizes = []
    for states in (300, 600):
        folder = tmp_path / str(states)
        engine, last = grown(FileArtifacts(folder), states)
        whole = engine.artifact_store.get(last)
        assert len(whole) > 200 * states
        assert FileArtifacts(folder).get(last) == whole
        sizes.append(size(folder))
    assert sizes[1] - sizes[0] < 300 * 600
    assert sizes[1] < 2.5 * sizes[0]


def test_snapshots_have_the_ids_that_whole_ones_have(tmp_path: Path) -> None:
    streams = []
    for artifacts in (FileArtifacts(tmp_path), MemoryArtifacts(), WholeArtifacts()):
        engine, last = grown(artifacts, 60)
        assert name(artifacts.get(last)) == last
        streams.append([text for _, text in engine.journal.scan(RUN)])
    assert streams[0] == streams[1] == streams[2]


def test_a_run_of_whole_snapshots_goes_on_with_differences(tmp_path: Path) -> None:
    """As a run does that an ergo without differences began."""
    whole = WholeArtifacts()
    engine, last = grown(whole, 60)
    artifacts = FileArtifacts(tmp_path)
    texts = [text for _, text in engine.journal.scan(RUN)]
    for data in whole.contents.values():
        artifacts.put(data)
    for file in tmp_path.rglob(name(whole.contents[last])):
        file.unlink()
    journal = MemoryJournal.starting_at({RUN: texts[:-2]})
    resumed = Engine(journal=journal, artifact_store=artifacts, resolver=OnePlan(60), entropy=bytes).resume(RUN)
    assert resumed.final_snapshot_id == last
    assert len(artifacts.references(last)) == 1
    assert FileArtifacts(tmp_path).get(last) == whole.contents[last]


class WholeArtifacts:
    """An ArtifactStore that knows no differences."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}

    def put(self, data: bytes) -> str:
        self.contents[name(data)] = data
        return name(data)

    def get(self, artifact: str) -> bytes:
        return self.contents[artifact]

    def exists(self, artifact: str) -> bool:
        return artifact in self.contents
