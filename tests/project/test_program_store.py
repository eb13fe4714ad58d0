from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.documents import ProgramSource
from ergo_cli.project.store import ProgramStore

RUNTIME = "rpv1:sha256:" + "a" * 64
ADAPTER = "adapter:plant@1.0.0;sha256:" + "b" * 64
SOURCES = (
    ProgramSource.of("graph.yaml", "kind: cluster\n"),
    ProgramSource.of("clusters/inner@1.0.0+b1.yaml", "größe\r\n"),
    ProgramSource.of("adapter.json", "{}"),
)


@pytest.fixture
def store(tmp_path: Path) -> ProgramStore:
    return ProgramStore(tmp_path / "data" / "programs")


def kept_folder(store: ProgramStore) -> Path:
    return store.root / ("a" * 64) / ("b" * 64)


def test_what_was_kept_is_found(store: ProgramStore):
    assert store.keep("plant@1.0.0", RUNTIME, ADAPTER, SOURCES) is None
    assert store.find(RUNTIME, ADAPTER) == SOURCES


def test_the_layout_is_documented(store: ProgramStore):
    store.keep("plant@1.0.0", RUNTIME, ADAPTER, SOURCES)
    folder = kept_folder(store)
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert files == ["adapter.json", "clusters/inner@1.0.0+b1.yaml", "graph.yaml", "program.json"]
    assert (folder / "clusters/inner@1.0.0+b1.yaml").read_bytes() == "größe\r\n".encode()
    assert json.loads((folder / "program.json").read_text()) == {
        "schema": "ergo.program/1",
        "kind": "graph",
        "ref": "plant@1.0.0",
        "runtime_provenance": RUNTIME,
        "adapter_provenance": ADAPTER,
        "sources": [{"path": source.path, "sha256": source.sha256} for source in SOURCES],
    }
    assert os.listdir(folder.parent) == [folder.name]


def test_without_an_adapter_the_folder_is_none(store: ProgramStore):
    store.keep("plant@1.0.0", RUNTIME, "none", SOURCES[:1])
    assert (store.root / ("a" * 64) / "none" / "graph.yaml").is_file()
    assert store.find(RUNTIME, "none") == SOURCES[:1]
    assert store.find(RUNTIME, ADAPTER) is None


def test_one_that_exists_is_left_alone(store: ProgramStore):
    store.keep("plant@1.0.0", RUNTIME, ADAPTER, SOURCES)
    before = {path: path.stat().st_mtime_ns for path in kept_folder(store).rglob("*")}
    assert store.keep("other@2.0.0", RUNTIME, ADAPTER, SOURCES[:1]) is None
    assert {path: path.stat().st_mtime_ns for path in kept_folder(store).rglob("*")} == before


def test_two_captures_at_once_keep_one_program(store: ProgramStore):
    notices: list[Notice | None] = []
    threads = [
        threading.Thread(target=lambda: notices.append(store.keep("p@1", RUNTIME, ADAPTER, SOURCES))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert notices == [None] * 8
    assert store.find(RUNTIME, ADAPTER) == SOURCES
    assert os.listdir(kept_folder(store).parent) == ["b" * 64]


def test_a_store_that_cannot_be_written_is_a_notice(tmp_path: Path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    notice = ProgramStore(blocked / "programs").keep("p@1", RUNTIME, ADAPTER, SOURCES)
    assert notice is not None
    assert "could not be kept in the program store" in notice.message


@pytest.mark.parametrize("path", ["../evil.yaml", "clusters/../../evil@1.yaml", "/graph.yaml", "program.json"])
def test_a_name_that_leads_elsewhere_is_never_written(store: ProgramStore, path: str, tmp_path: Path):
    notice = store.keep("p@1", RUNTIME, ADAPTER, (ProgramSource.of(path, "x"),))
    assert notice is not None
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == []


@pytest.mark.parametrize("provenance", ["rpv1:sha256:../../etc", "rpv1:sha256:test", "none", "", "A" * 64])
def test_a_provenance_without_a_digest_names_no_folder(store: ProgramStore, provenance: str):
    assert store.find(provenance, "none") is None
    assert store.keep("p@1", provenance, "none", SOURCES) is None
    assert not store.root.exists()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / "graph.yaml").write_text("changed"), "the digest of 'graph.yaml' does not match"),
        (lambda folder: (folder / "adapter.json").unlink(), "No such file"),
        (lambda folder: (folder / "program.json").write_text("{"), "passed over"),
        (lambda folder: edit(folder, "schema", "ergo.program/2"), "'ergo.program/2' of kind 'graph'"),
        (lambda folder: edit(folder, "kind", "kernel"), "of kind 'kernel'"),
        (lambda folder: edit(folder, "runtime_provenance", "rpv1:x"), "kept for other provenances"),
        (lambda folder: edit(folder, "sources", [{"path": "../x", "sha256": ""}]), "'../x' is not a source name"),
    ],
)
def test_what_does_not_fit_is_a_notice(store: ProgramStore, damage, words: str):
    store.keep("plant@1.0.0", RUNTIME, ADAPTER, SOURCES)
    damage(kept_folder(store))
    found = store.find(RUNTIME, ADAPTER)
    assert isinstance(found, Notice)
    assert words in found.message
    assert found.where == str(kept_folder(store))


def edit(folder: Path, key: str, value: object) -> None:
    record = json.loads((folder / "program.json").read_text())
    (folder / "program.json").write_text(json.dumps(record | {key: value}))


def test_the_store_of_the_user_lies_in_the_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert ProgramStore.of_user().root == tmp_path / "ergo" / "programs"


def test_the_texts_of_a_python_program_are_kept_under_its_kind(store: ProgramStore):
    sources = (ProgramSource.of("agent.py", "x = 1\n"), ProgramSource.of("a/b/c.py", "y = 2\n"))
    assert store.keep("agent:program", RUNTIME, "none", sources, "kernel") is None
    assert store.find(RUNTIME, "none", "kernel") == sources
    assert isinstance(store.find(RUNTIME, "none"), Notice)


@pytest.mark.parametrize("path", ["../a.py", "/a.py", "a/../b.py", "a.txt", "a/.py", ""])
def test_a_text_with_the_name_of_no_module_is_not_kept(store: ProgramStore, path: str):
    assert isinstance(store.keep("a:p", RUNTIME, "none", (ProgramSource.of(path, ""),), "kernel"), Notice)
    assert store.find(RUNTIME, "none", "kernel") is None
