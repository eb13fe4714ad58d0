"""Folders that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from ergo_cli.errors import ErgoError, exit_code
from ergo_cli.stores.folders import new_folder


def write(base: Path | str, *names: str) -> None:
    with new_folder(base, *names) as folder:
        folder.write("a.log", [b"one", b"two"])
        folder.write("b.log", [])


def refused(base: Path | str, *names: str) -> ErgoError:
    with pytest.raises(ErgoError) as caught:
        write(base, *names)
    assert caught.value.where
    assert caught.value.fix
    return caught.value


def test_a_folder_appears_with_all_its_files(tmp_path: Path) -> None:
    write(tmp_path / "new", "flows", "one")
    assert {each.name: each.read_bytes() for each in (tmp_path / "new" / "flows" / "one").iterdir()} == {
        "a.log": b"onetwo",
        "b.log": b"",
    }
    write(tmp_path / "new", "flows", "two")
    assert sorted(each.name for each in (tmp_path / "new" / "flows").iterdir()) == ["one", "two"]


def test_nothing_is_there_before_the_end_of_the_block(tmp_path: Path) -> None:
    with new_folder(tmp_path, "flows", "one") as folder:
        folder.write("a.log", [b"one"])
        assert not folder.target.exists()
    assert folder.target.is_dir()


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_modes_are_those_of_other_outputs(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        write(tmp_path, "flows", "one")
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("flows", "flows/one", "flows/one/a.log")]
    assert modes == [0o777 & ~umask, 0o777 & ~umask, 0o666 & ~umask]


@pytest.mark.parametrize("standing", ["folder", "empty folder", "file", "link to nothing"])
def test_what_is_there_is_refused_and_stays(standing: str, tmp_path: Path) -> None:
    target = tmp_path / "flows" / "one"
    target.parent.mkdir()
    match standing:
        case "file":
            target.write_bytes(b"mine")
        case "link to nothing":
            target.symlink_to(tmp_path / "nothing")
        case _:
            target.mkdir()
            if standing == "folder":
                (target / "mine").write_bytes(b"mine")
    before = sorted(tmp_path.rglob("*"))
    error = refused(tmp_path, "flows", "one")
    assert (error.code, exit_code(error.code)) == ("cli.export_target_exists", 2)
    assert sorted(tmp_path.rglob("*")) == before


def test_what_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "flows" / "one"

    def overtaken() -> None:
        with new_folder(tmp_path, "flows", "one") as folder:
            folder.write("a.log", [b"two"])
            target.mkdir()
            (target / "mine").write_bytes(b"mine")

    with pytest.raises(ErgoError) as caught:
        overtaken()
    assert caught.value.code == "cli.export_target_exists"
    assert sorted(each.name for each in target.parent.iterdir()) == ["one"]
    assert (target / "mine").read_bytes() == b"mine"


@pytest.mark.parametrize("to", ["outside", "nothing"])
def test_a_link_below_the_base_is_not_followed(to: str, tmp_path: Path) -> None:
    base, outside = tmp_path / "base", tmp_path / "outside"
    base.mkdir()
    outside.mkdir()
    (base / "flows").symlink_to(tmp_path / to)
    error = refused(base, "flows", "one")
    assert (error.code, exit_code(error.code)) == ("cli.export_write_failed", 6)
    assert list(outside.iterdir()) == []


def test_the_base_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "base").symlink_to(tmp_path / "real")
    write(tmp_path / "base", "flows", "one")
    assert (tmp_path / "real" / "flows" / "one" / "a.log").is_file()


@pytest.mark.parametrize("name", ["../a", "a/b", "..", ".", "", "/a", "a\\b", "C:a", "a\x00b"])
def test_no_name_leads_out_of_the_folder(name: str, tmp_path: Path) -> None:
    base = tmp_path / "base"
    assert refused(base, "flows", name).code == "cli.export_write_failed"
    assert refused(base, name, "flows").code == "cli.export_write_failed"

    def write_out() -> None:
        with new_folder(base, "flows", "one") as folder:
            folder.write(name, [b"one"])

    with pytest.raises(ErgoError) as caught:
        write_out()
    assert caught.value.code == "cli.export_write_failed"
    assert list(tmp_path.iterdir()) == []


class Broken(Exception):
    pass


def test_a_block_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def breaks() -> None:
        with new_folder(tmp_path / "a" / "b", "flows", "one") as folder:
            folder.write("a.log", [b"one"])
            raise Broken

    with pytest.raises(Broken):
        breaks()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing_and_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    error = refused(tmp_path, "one")
    assert (error.code, "No space left" in error.message, "free some space" in (error.fix or "")) == (
        "cli.export_write_failed",
        True,
        True,
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("base", ["file", "file/below", "a\x00b", "n" * 300])
def test_a_base_that_cannot_be(base: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    error = refused(f"{tmp_path}/{base}", "flows", "one")
    assert error.code == "cli.export_write_failed"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    def twice() -> None:
        with new_folder(tmp_path, "one") as folder:
            folder.write("a.log", [])
            folder.write("a.log", [])

    with pytest.raises(ErgoError) as caught:
        twice()
    assert caught.value.code == "cli.export_write_failed"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_may_not_be_written_to(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        error = refused(tmp_path, "flows", "one")
    finally:
        tmp_path.chmod(0o700)
    assert (error.code, "make the folder writable" in (error.fix or "")) == ("cli.export_write_failed", True)
