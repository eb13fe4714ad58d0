"""Spec 50 §24, contexts and snapshots (C-35 to C-40), stores (C-41 to C-47)."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest
from plan_lab import EMPTY, NONE, RUN, Lab, code_of, envelopes, nothing

from ergo_cli.programs.plan.context import StagedContext, read_snapshot, snapshot_text
from ergo_cli.programs.plan.errors import ContextError, PlanError, StorageError
from ergo_cli.programs.plan.events import DomainEvent, Envelope
from ergo_cli.programs.plan.ids import RunId
from ergo_cli.programs.plan.stream import Artifacts, Streams
from ergo_cli.programs.plan.tables import PLAN_TABLES
from ergo_cli.stores.artifacts import FileArtifacts, artifact_id
from ergo_cli.stores.backends import memory_store, open_store
from ergo_cli.stores.memory import MemoryArtifacts

OTHER_RUN = RunId("22222222-2222-4333-8444-555555555555")


def refused(code: str, kind: type[PlanError], act: Callable[[], object]) -> None:
    with pytest.raises(kind) as caught:
        act()
    assert code_of(caught.value) == code


def test_c50_35_equal_contexts_have_one_id() -> None:
    ids: list[str] = []
    for keys in ("ab", "ba"):
        context = StagedContext({})
        for key in keys:
            context.write(key, ord(key))
        ids.append(artifact_id(snapshot_text(context.dump())))
    assert ids[0] == ids[1]


def test_c50_36_a_staged_context_is_kept_or_forgotten() -> None:
    base = {"x": 1}
    context = StagedContext(base)
    context.write("x", 2)
    context.write("y", 3)
    context.delete("x")
    context.delete("never there")
    assert context.dump() == {"y": 3}
    assert "x" not in context
    assert StagedContext(base).dump() == {"x": 1}


def test_c50_36_values_are_copies() -> None:
    given, base = [1], {"b": [1]}
    context = StagedContext(base)
    context.write("w", given)
    given.append(2)
    context.read("w").append(3)
    context.read("b").append(2)
    context.dump()["b"].append(2)
    assert context.dump() == {"b": [1], "w": [1]}


def test_c50_37_a_null_is_a_value() -> None:
    context = StagedContext({})
    context.write("k", None)
    assert "k" in context
    assert context.read("k", "default") is None
    assert context.dump() == {"k": None}
    context.delete("k")
    assert "k" not in context
    assert context.read("k", "default") == "default"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"[1]", "Serialization context_snapshot_not_object"),
        (b"null", "Serialization context_snapshot_not_object"),
        (b"{garbage", "Serialization context_snapshot_decode_failed"),
        (b"\xff", "Serialization context_snapshot_decode_failed"),
    ],
)
def test_c50_38_a_snapshot_that_is_no_object(content: bytes, code: str) -> None:
    store = MemoryArtifacts()
    snapshot = store.put(content)
    refused(code, ContextError, lambda: read_snapshot(Artifacts(store), snapshot))


class Forgetful(MemoryArtifacts):
    """A store that gives another id than that of the bytes."""

    def put(self, data: bytes) -> str:
        super().put(data)
        return "f" * 64


def test_c50_39_artifacts_are_verified_in_both_directions() -> None:
    store = MemoryArtifacts({EMPTY: b'{"x":1}'})
    code = "Corruption artifact_content_address_mismatch"
    refused(code, StorageError, lambda: read_snapshot(Artifacts(store), EMPTY))
    refused("Corruption artifact_put_id_mismatch", StorageError, lambda: Artifacts(Forgetful()).put(b"{}"))


def test_c50_40_a_typed_read() -> None:
    context = StagedContext({"n": 5, "s": "5", "null": None})
    assert context.read_typed("n", int) == 5
    assert context.read_typed("absent", int) is None
    for key in ("s", "null"):
        with pytest.raises(ContextError) as caught:
            context.read_typed(key, int)
        assert code_of(caught.value) == "Serialization context_deserialize_failed"


# --- stores


@pytest.fixture(params=["memory", "folder"])
def artifacts(request: pytest.FixtureRequest, tmp_path: Path) -> Artifacts:
    return Artifacts(MemoryArtifacts() if request.param == "memory" else FileArtifacts(tmp_path / "artifacts"))


def test_c50_41_what_is_put_can_be_got(artifacts: Artifacts) -> None:
    data = b"\x00 any bytes"
    assert artifacts.put(data) == artifacts.put(data) == sha256(data).hexdigest()
    assert artifacts.get(artifact_id(data)) == data


def test_c50_42_an_absent_artifact(artifacts: Artifacts) -> None:
    assert not artifacts.exists(NONE)
    refused("NotFound artifact_not_found", StorageError, lambda: artifacts.get(NONE))


def test_c50_43_a_damaged_file(tmp_path: Path) -> None:
    artifacts = Artifacts(FileArtifacts(tmp_path))
    artifact = artifacts.put(b"hello")
    file = tmp_path / artifact[:2] / artifact
    file.write_bytes(b"hallo")
    for act in (lambda: artifacts.get(artifact), lambda: artifacts.put(b"hello")):
        refused("Corruption artifact_corruption", StorageError, act)


def test_c50_43_many_put_the_same_at_once(tmp_path: Path) -> None:
    artifacts = Artifacts(FileArtifacts(tmp_path))
    with ThreadPoolExecutor(32) as pool:
        assert set(pool.map(artifacts.put, [b"hello"] * 32)) == {artifact_id(b"hello")}
    assert artifacts.get(artifact_id(b"hello")) == b"hello"
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [artifact_id(b"hello")]


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def streams(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Streams]:
    if request.param == "memory":
        store = memory_store()
    else:
        where = f"{tmp_path}/runs.db" if request.param == "sqlite" else request.getfixturevalue("postgres")
        store = open_store(f"{request.param}:{where}", tmp_path, lambda: 0, PLAN_TABLES)
    with store:
        yield Streams(store.journal)


def events(first: int, count: int, run: str = RUN) -> list[Envelope]:
    return envelopes(*(DomainEvent("n", number) for number in range(count)), first=first, run=run)


def test_c50_44_appending_and_reading(streams: Streams) -> None:
    assert streams.head(RUN) == 0
    assert streams.append(RUN, events(1, 1), 0) == 1
    assert streams.append(RUN, events(2, 2), 1) == 3
    assert streams.read(RUN, 2, 2) == events(2, 2)[:1]
    assert streams.append(RUN, [], 3) == 3


def test_c50_45_a_stale_head(streams: Streams) -> None:
    streams.append(RUN, events(1, 2), 0)
    code = "Concurrency event_store_concurrency"
    refused(code, StorageError, lambda: streams.append(RUN, events(2, 1), 1))
    assert streams.head(RUN) == 2


def test_c50_46_reading_what_is_not_there(streams: Streams) -> None:
    assert streams.read(RUN) == []
    streams.append(RUN, events(1, 2), 0)
    assert streams.read(RUN, 0) == streams.read(RUN, 1) == events(1, 2)
    assert streams.read(OTHER_RUN) == []


@pytest.mark.parametrize(
    "batch",
    [
        [*events(1, 1), *events(3, 1)],
        events(2, 1),
        [*events(1, 2), *events(2, 1)],
        events(1, 1, OTHER_RUN),
        [*events(1, 1), *events(2, 1, OTHER_RUN)],
    ],
    ids=["gap", "late", "twice", "other run", "other run behind"],
)
def test_c50_47_a_batch_that_does_not_fit(streams: Streams, batch: list[Envelope]) -> None:
    refused("Corruption event_sequence_invalid", StorageError, lambda: streams.append(RUN, batch, 0))
    assert streams.head(RUN) == 0


def test_c50_47_a_record_that_was_moved_is_not_read() -> None:
    lab = Lab(nothing)
    lab.start()
    [_, second, *_] = [text for _, text in lab.journal.scan(RUN)]
    lab.journal.append(RUN, [second])
    refused("Corruption event_stream_corrupt", StorageError, lambda: lab.engine.streams.read(RUN))
