"""A sweep keeps what an artifact that is kept as a difference is restored from."""

from __future__ import annotations

import os
from pathlib import Path

from ergo_cli.host.artifact_sweep import Sweep, sweep_artifacts
from ergo_cli.programs.plan.context import snapshot_text
from ergo_cli.programs.plan.engine import Engine, Phase, StartRun
from ergo_cli.programs.plan.program import PlanProgram
from ergo_cli.programs.plan.states import State
from ergo_cli.programs.plan.tables import PLAN_TABLES
from ergo_cli.project.profiles import NamedStore
from ergo_cli.stores.artifacts import FileArtifacts
from ergo_cli.stores.backends import open_store

BEFORE = {f"k{number:03d}": str(number) * 50 for number in range(100)}
CONTEXT = {**BEFORE, "last": "more"}
LOST = (snapshot_text({**CONTEXT, "lost": 1}), snapshot_text({**CONTEXT, "lost": 2}))
PROGRAM = PlanProgram("m", "1", tuple(State(f"m.s.h{n}", lambda ctx, io, rec: None) for n in range(2)))


def begun(folder: Path) -> FileArtifacts:
    """A store with a run whose first snapshot is a difference from an artifact that no run names, and lost ones."""
    artifacts = FileArtifacts(folder / "artifacts")
    base = artifacts.put(snapshot_text(BEFORE))
    initial = artifacts.put_near(snapshot_text(CONTEXT), base)
    assert artifacts.references(initial) == (base,)
    manifest = PROGRAM.manifest
    with open_store(f"sqlite:{folder}/runs.db", folder, lambda: 0, PLAN_TABLES) as store:
        engine = Engine(journal=store.journal, artifact_store=artifacts, resolver=PROGRAM, entropy=os.urandom)
        start = StartRun(
            manifest=manifest,
            manifest_id=artifacts.put(manifest.canonical()),
            plan=PROGRAM.plan,
            run_config=manifest.run_config,
            initial_context=CONTEXT,
        )
        assert engine.start(start).phase is Phase.COMPLETED
    artifacts.put_near(LOST[1], artifacts.put_near(LOST[0], initial))
    return artifacts


def swept(folder: Path, grace_ms: int) -> Sweep:
    return sweep_artifacts(NamedStore(f"sqlite:{folder}/runs.db", "the test"), grace_ms=grace_ms)


def age(file: Path) -> None:
    os.utime(file, (1, 1))


def test_the_base_of_a_named_difference_stays_and_lost_differences_go(tmp_path: Path) -> None:
    begun(tmp_path)
    for file in (tmp_path / "artifacts").rglob("*"):
        age(file)
    sweep = swept(tmp_path, 0)
    assert (sweep.named.artifacts, sweep.removed.artifacts, sweep.young.artifacts) == (3, 2, 0)
    artifacts = FileArtifacts(tmp_path / "artifacts")
    found = {artifacts.get(kept.id) for kept in artifacts.every()}
    assert found == {PROGRAM.manifest.canonical(), snapshot_text(BEFORE), snapshot_text(CONTEXT)}
    assert swept(tmp_path, 0).removed.artifacts == 0


def test_the_base_of_a_young_difference_stays(tmp_path: Path) -> None:
    artifacts = begun(tmp_path)
    youngest = artifacts.put(LOST[1])
    for file in (tmp_path / "artifacts").rglob("*"):
        if not file.name.startswith(youngest):
            age(file)
    sweep = swept(tmp_path, 3_600_000)
    assert (sweep.named.artifacts, sweep.removed.artifacts, sweep.young.artifacts) == (3, 0, 2)
    assert FileArtifacts(tmp_path / "artifacts").get(youngest) == LOST[1]


def test_an_artifact_that_is_put_again_is_young_again(tmp_path: Path) -> None:
    artifacts = FileArtifacts(tmp_path)
    near = artifacts.put(snapshot_text(BEFORE))
    again = artifacts.put_near(snapshot_text(CONTEXT), near)
    [file] = tmp_path.rglob(f"{again}*")
    for put in (
        lambda: artifacts.put(snapshot_text(CONTEXT)),
        lambda: artifacts.put_near(snapshot_text(CONTEXT), near),
    ):
        age(file)
        assert put() == again
        assert file.stat().st_mtime > 1
