"""What can be wrong with a folder of artifacts."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from ergo_cli.stores.artifacts import FileArtifacts
from ergo_cli.testing.stores import refused

DATA = b'{"amount":5}'
ID = sha256(DATA).hexdigest()


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """The file of an artifact."""
    assert FileArtifacts(tmp_path).put(DATA) == ID
    return tmp_path / ID[:2] / ID


def test_the_file_is_named_by_the_digest(tmp_path: Path, kept: Path) -> None:
    assert kept.read_bytes() == DATA
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [kept]


def test_damage_is_found_in_both_directions(tmp_path: Path, kept: Path) -> None:
    kept.write_bytes(DATA[:-1])
    with refused("store.corrupt", ID, str(kept)):
        FileArtifacts(tmp_path).get(ID)
    with refused("store.corrupt", ID):
        FileArtifacts(tmp_path).put(DATA)
    assert kept.read_bytes() == DATA[:-1]


def test_artifacts_never_change(tmp_path: Path, kept: Path) -> None:
    before = kept.stat()
    FileArtifacts(tmp_path).put(DATA)
    assert kept.stat() == before


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    artifacts = FileArtifacts(tmp_path / "file")
    with refused("store.unreachable", ID):
        artifacts.put(DATA)
    assert not artifacts.exists(ID)


def test_a_folder_in_place_of_the_file(tmp_path: Path, kept: Path) -> None:
    kept.unlink()
    kept.mkdir()
    with refused("store.unreachable", ID):
        FileArtifacts(tmp_path).get(ID)
