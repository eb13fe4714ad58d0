"""What a run keeps can be opened by its owner alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Generator
from pathlib import Path

import pytest

from ergo_cli.core.documents import NO_ADAPTER, ProgramSource
from ergo_cli.programs.kernel.tables import KERNEL_TABLES
from ergo_cli.project.store import ProgramStore
from ergo_cli.stores.artifacts import FileArtifacts
from ergo_cli.stores.backends import open_store


@pytest.fixture(autouse=True)
def open_umask() -> Generator[None]:
    """A user whose files everybody may read."""
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder: Path) -> set[tuple[bool, int]]:
    """Whether it is a folder, and the permission bits, of a folder and all in it."""
    return {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in (folder, *folder.rglob("*"))}


PRIVATE = {(True, 0o700), (False, 0o600)}


def test_a_sqlite_store_with_the_files_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "ergo"
    with open_store("default", folder, lambda: 0, KERNEL_TABLES) as store:
        store.journal.append("r", ["{}"])
        store.artifacts.put(b"artifact")
        assert {path.name for path in folder.iterdir()} == {"runs.db", "runs.db-wal", "runs.db-shm", "artifacts"}
        assert modes(folder) == PRIVATE


def test_artifacts(tmp_path: Path) -> None:
    FileArtifacts(tmp_path / "a" / "artifacts").put(b"artifact")
    assert modes(tmp_path / "a") == PRIVATE


def test_the_program_store(tmp_path: Path) -> None:
    digest = "sha256:" + "0" * 64
    sources = (ProgramSource.of("graph.yaml", "a"), ProgramSource.of("clusters/a@1.0.0.yaml", "b"))
    assert ProgramStore(tmp_path / "programs").keep("g", digest, NO_ADAPTER, sources) is None
    assert modes(tmp_path / "programs") == PRIVATE


def test_a_folder_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0o755)
    FileArtifacts(tmp_path / "a").put(b"artifact")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o755
