"""Spec 11 §18, C-27 … C-31: the file appears whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, Thread

import pytest

from ergo_cli.bundle.memory import CaptureBundle
from ergo_cli.bundle.writer import BundleWriter
from ergo_cli.errors import CaptureWriteError
from ergo_cli.stores.files import ATTEMPTS, AtomicFile
from ergo_cli.testing.bundles import bundle_of, completed, event_record


def bundle_named(name: str, length: int = 3) -> CaptureBundle:
    ids = [f"{name}-{index}" for index in range(length)]
    return bundle_of(
        map(event_record, ids), [completed(event_id, at) for at, event_id in enumerate(ids)], graph_id=name
    )


def write(bundle: CaptureBundle, destination: Path | str) -> None:
    with BundleWriter(str(destination), bundle.header) as writer:
        for event in bundle.events:
            writer.event(event)
        for decision in bundle.decisions:
            writer.decision(decision)
        writer.commit()


def failure(destination: Path | str) -> CaptureWriteError:
    with pytest.raises(CaptureWriteError) as caught:
        write(bundle_named("x"), destination)
    assert caught.value.code == "capture.write_failed"
    assert caught.value.stage in caught.value.details
    return caught.value


def test_c11_27_an_existing_file_is_replaced_and_nothing_else_left(tmp_path: Path) -> None:
    target = tmp_path / "b.json"
    target.write_text("old")
    write(bundle_named("new"), target)
    assert target.read_bytes() == bundle_named("new").encode()
    assert list(tmp_path.iterdir()) == [target]


def test_c11_28_eight_threads_write_one_path(tmp_path: Path) -> None:
    target = tmp_path / "b.json"
    bundles = [bundle_named(f"writer{number}", 50) for number in range(8)]
    start, failures = Barrier(8), list[BaseException]()

    def work(bundle: CaptureBundle) -> None:
        start.wait()
        try:
            write(bundle, target)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test must see it
            failures.append(error)

    threads = [Thread(target=work, args=(bundle,)) for bundle in bundles]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert target.read_bytes() in [bundle.encode() for bundle in bundles]
    assert list(tmp_path.iterdir()) == [target]


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "locked"
    folder.mkdir()
    (folder / "b.json").write_text("old")
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    yield folder
    folder.chmod(stat.S_IRWXU)


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="the superuser may write anywhere")
def test_c11_29_without_permission_the_old_content_stays(read_only: Path) -> None:
    error = failure(read_only / "b.json")
    assert error.stage == "CreateTempFile"
    assert "Permission denied" in error.message
    assert (read_only / "b.json").read_text() == "old"


def test_c11_30_missing_folders_are_made(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "c.json"
    write(bundle_named("x"), target)
    assert target.read_bytes() == bundle_named("x").encode()


@pytest.mark.parametrize("destination", ["", "/", ".", "..", "./.", "../", "//"])
def test_c11_30_what_names_no_file_is_an_invalid_destination(destination: str) -> None:
    error = failure(destination)
    assert error.stage == "InvalidDestination"
    assert error.__cause__ is None
    assert f"'{destination}'" in error.message


def test_c11_30_the_folder_is_made_before_the_destination_is_refused(tmp_path: Path) -> None:
    assert failure(f"{tmp_path}/d1/..").stage == "InvalidDestination"
    assert (tmp_path / "d1").is_dir()


def test_c11_30_trailing_separators_and_dots_do_not_count(tmp_path: Path) -> None:
    with AtomicFile(f"{tmp_path}/name/./") as file:
        assert Path(file.temp_path).parent == tmp_path
        file.commit()
    assert list(tmp_path.iterdir()) == [tmp_path / "name"]


def test_c11_30_a_folder_as_destination_is_refused_at_once(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    error = failure(target)
    assert error.stage == "InvalidDestination"
    assert f"'{target}': it is a folder" in error.message
    assert list(tmp_path.iterdir()) == [target]
    assert list(target.iterdir()) == []


def test_c11_31_with_64_names_taken_the_write_fails(tmp_path: Path) -> None:
    target = tmp_path / "b.json"
    with AtomicFile(str(target)) as file:
        process, last = Path(file.temp_path).name.split(".")[1:3]
    taken = [tmp_path / f"ergo.{process}.{int(last) + step}.tmp" for step in range(1, ATTEMPTS + 1)]
    for path in taken:
        path.touch()
    error = failure(target)
    assert error.stage == "ExhaustedTempFileAttempts"
    assert error.__cause__ is None
    assert sorted(tmp_path.iterdir()) == sorted(taken)
    write(bundle_named("x"), target)
    assert target.exists()
