"""Stores that fail once under a run with a supervisor: the call ends, the run does not fail and comes to its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace
from plan_lab import RUN, Lab, World, code_of

from ergo_cli.errors import StoreError
from ergo_cli.programs.plan.children import await_child, spawn_child
from ergo_cli.programs.plan.engine import Phase, RunResult
from ergo_cli.programs.plan.errors import RunError
from ergo_cli.programs.plan.manifest import Normal, run_config
from ergo_cli.programs.plan.states import ExecutionPlan, State, StateMeta
from ergo_cli.stores.memory import MemoryArtifacts, MemoryJournal

CONFIG = run_config(event_profile=Normal())


class Once:
    """Fails at the use of this number, and never again; counts the uses."""

    def __init__(self, number: int | None = None) -> None:
        self.number = number
        self.uses = 0

    def __call__(self) -> None:
        self.uses += 1
        if self.uses == self.number:
            raise StoreError("store.full", "there is no room", fix="make room")


class Journal(MemoryJournal):
    def __init__(self, once: Once) -> None:
        super().__init__()
        self._once = once

    def append(self, run: str, texts: Sequence[str], expected_head: int | None = None) -> int:
        self._once()
        return super().append(run, texts, expected_head)


class Artifacts(MemoryArtifacts):
    def __init__(self, once: Once) -> None:
        super().__init__()
        self._once = once

    def put(self, data: bytes) -> str:
        self._once()
        return super().put(data)

    def get(self, artifact: str) -> bytes:
        self._once()
        return super().get(artifact)


def kid(ctx: Any, io: Any, rec: Any) -> None:
    ctx.write("x", io.call("test", {}, "kid's").response)


def calm(ctx: Any, io: Any, rec: Any) -> None:
    ctx.write("first", io.call("test", {"q": 1}, "k").response)
    io.record_value("v", [1])
    io.random_bytes(4)
    rec.emit("note", 1)
    ctx.write("again", io.call("test", {"q": 1}, "k").response)
    io.call("pay", {"euros": 5}, "payment")


def careless(ctx: Any, io: Any, rec: Any) -> None:
    """Swallows whatever can be swallowed."""
    for act in (
        lambda: ctx.write("first", io.call("test", {"q": 1}, "k").response),
        lambda: rec.emit("note", 1),
        lambda: ctx.write("again", io.call("test", {"q": 1}, "k").response),
    ):
        try:
            act()
        except Exception:  # noqa: BLE001 - that is what the test is about
            ctx.write("swallowed", True)


async def patient(ctx: Any, io: Any, rec: Any) -> None:
    calm(ctx, io, rec)


def parent(ctx: Any, io: Any, rec: Any) -> None:
    spawned = spawn_child(io, rec, "kid", op_id="kid", op_version="1", run_config=CONFIG)
    ctx.write("kid", await_child(io, rec, "ended", spawned).response["final_snapshot"])


HANDLERS = {"calm": calm, "careless": careless, "async": patient, "parent": parent}


def lab_of(name: str, journal: Once, artifacts: Once) -> Lab:
    first = State("machine.main.s1", HANDLERS[name], StateMeta(idempotency="pay-1"))
    lab = Lab(first, State("machine.main.s2", kid), config=CONFIG, world=World({"n": 0}))
    lab.engine = replace(
        lab.engine, journal=Journal(journal), artifact_store=Artifacts(artifacts), effectful=frozenset({"pay"})
    )
    return lab.with_children(ExecutionPlan("kid", (State("kid.main.one", kid),)))


def driven(name: str, journal: Once, artifacts: Once) -> str | None:
    """Drive a run to its end, as often as it takes, which is once more than a store fails; its last snapshot."""
    lab = lab_of(name, journal, artifacts)
    manifest_id = lab.engine.artifacts.put(lab.manifest.canonical())

    def drive() -> RunResult:
        return lab.resume() if lab.engine.streams.head(RUN) else lab.start(manifest_id=manifest_id)

    if {journal.number, artifacts.number} != {None}:
        with pytest.raises(RunError) as stopped:
            drive()
        assert code_of(stopped.value).startswith("Storage.Other ")
        assert stopped.value.code == "store.full"
        assert f"run '{RUN}'" in str(stopped.value.where)
    result = drive()
    assert result.phase is Phase.COMPLETED
    return result.final_snapshot_id


@pytest.mark.parametrize("name", HANDLERS)
def test_a_store_that_fails_once_fails_no_run(name: str) -> None:
    journal, artifacts = Once(), Once()
    undisturbed = driven(name, journal, artifacts)
    assert min(journal.uses, artifacts.uses) > 8
    for number in range(1, journal.uses + 1):
        assert driven(name, Once(number), Once()) == undisturbed, number
    for number in range(2, artifacts.uses + 1):  # the first is the test's own
        assert driven(name, Once(), Once(number)) == undisturbed, number
