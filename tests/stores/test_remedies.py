"""What an error of the disk is answered with: space only helps where the disk is full."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from ergo_cli.errors import ErgoError, exit_code
from ergo_cli.stores.artifacts import FileArtifacts
from ergo_cli.stores.files import AtomicFile
from ergo_cli.stores.postgres import postgres_fault
from ergo_cli.stores.sqlite import sqlite_fault
from ergo_cli.stores.standard_output import StandardOutput
from ergo_cli.tools.init_folder import ScaffoldFile, find_target, plant

NUMBERS = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EACCES: "make the folder writable",
    errno.EPERM: "make the folder writable",
    errno.EROFS: "make the folder writable",
    errno.EIO: "check the disk",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
}


def written(folder: Path) -> None:
    with AtomicFile(str(folder / "out.txt")) as file:
        file.write(b"content")
        file.commit()


def scaffolded(folder: Path) -> None:
    plant([ScaffoldFile("a/b.txt", b"content")], find_target(str(folder / "new"), force=False))


def fails(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let the disk refuse whatever is synced, renamed or made from now on."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    monkeypatch.setattr(os, "mkdir", refuse)


@pytest.mark.parametrize(("number", "helps"), NUMBERS.items(), ids=[errno.errorcode[number] for number in NUMBERS])
@pytest.mark.parametrize(("work", "elsewhere"), [(written, "choose another place"), (scaffolded, "name another place")])
def test_a_file_that_cannot_be_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    work: Callable[[Path], None],
    elsewhere: str,
    number: int,
    helps: str,
) -> None:
    fails(monkeypatch, number)
    with pytest.raises(ErgoError, match=os.strerror(number)) as caught:
        work(tmp_path)
    assert caught.value.fix == f"{helps}, or {elsewhere}"


@pytest.mark.parametrize("path", ["file/out.txt", "x" * 300 + "/out.txt"])
def test_a_place_where_no_folder_can_be(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ErgoError) as caught:
        written(tmp_path / Path(path).parent)
    assert caught.value.fix == "choose another place"


@pytest.mark.parametrize(
    ("number", "code", "fix"),
    [
        (errno.ENOSPC, "store.full", "free some space, or name another store"),
        (errno.EDQUOT, "store.full", "free some space, or name another store"),
        (
            errno.EACCES,
            "store.read_only",
            "make the folder and its files readable and writable, or name another store",
        ),
        (errno.EROFS, "store.read_only", "make the folder and its files readable and writable, or name another store"),
        (errno.EIO, "store.unreachable", "check the disk, or name another store"),
        (errno.ENOTDIR, "store.unreachable", "name another store"),
    ],
)
def test_an_artifact_that_cannot_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str, fix: str
) -> None:
    fails(monkeypatch, number)
    with pytest.raises(ErgoError) as caught:
        FileArtifacts(tmp_path).put(b"content")
    assert (caught.value.code, caught.value.fix) == (code, fix)


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="needs a device that is always full")
def test_a_full_folder_for_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull, "w") as nowhere, open("/dev/full", "wb", buffering=0) as full:
        monkeypatch.setattr("sys.__stdout__", nowhere)
        monkeypatch.setattr("tempfile.TemporaryFile", lambda: full)
        with StandardOutput() as output, pytest.raises(ErgoError) as caught:
            output.write(b"content")
    assert caught.value.fix == "free some space, or name another folder in TMPDIR"


def of_sqlite(number: int) -> ErgoError:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = number
    return sqlite_fault("runs.db", error)


@pytest.mark.parametrize(
    ("number", "code", "starts"),
    [
        (sqlite3.SQLITE_FULL, "store.full", "free some space"),
        (sqlite3.SQLITE_TOOBIG, "store.full", "make what is kept smaller"),
        (sqlite3.SQLITE_IOERR_WRITE, "store.unreachable", "check the disk"),
        (sqlite3.SQLITE_IOERR_FSYNC, "store.unreachable", "check the disk"),
        (sqlite3.SQLITE_READONLY_DIRECTORY, "store.read_only", "make the file and its folder writable"),
        (sqlite3.SQLITE_CANTOPEN, "store.unreachable", "check that the path leads to a file"),
    ],
)
def test_an_error_of_sqlite(number: int, code: str, starts: str) -> None:
    fault = of_sqlite(number)
    assert (fault.code, exit_code(fault.code)) == (code, 6)
    assert (fault.fix or "").startswith(starts)


@pytest.mark.parametrize(
    ("state", "code", "starts"),
    [
        ("53100", "store.full", "free some space on the server"),
        ("53200", "store.unreachable", "raise the limits of the server"),
        ("53300", "store.unreachable", "raise the limits of the server"),
        ("54000", "store.full", "make what is kept smaller"),
        ("58030", "store.unreachable", "check the disk of the server"),
        ("25006", "store.read_only", "give the user the right to create and write tables"),
    ],
)
def test_an_error_of_postgres(state: str, code: str, starts: str) -> None:
    psycopg = pytest.importorskip("psycopg")
    error = psycopg.errors.lookup(state)("the server's words")
    fault = postgres_fault("postgres://host/base", error)
    assert fault.code == code
    assert (fault.fix or "").startswith(starts)
