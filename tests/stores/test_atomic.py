from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ergo_cli.errors import CaptureWriteError
from ergo_cli.stores.files import AtomicFile


def test_nothing_stands_at_the_destination_before_the_commit(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    with AtomicFile(str(target)) as file:
        file.write(b"content")
        assert not target.exists()
        assert Path(file.temp_path).exists()
        file.commit()
        assert target.read_bytes() == b"content"
    assert list(tmp_path.iterdir()) == [target]


def write_and_be_interrupted(target: Path) -> None:
    with AtomicFile(str(target)) as file:
        file.write(b"new")
        raise KeyboardInterrupt


def test_without_a_commit_nothing_is_left(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    target.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        write_and_be_interrupted(target)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_symbolic_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    original, link = tmp_path / "original", tmp_path / "link"
    original.write_text("old")
    link.symlink_to(original)
    with AtomicFile(str(link)) as file:
        file.write(b"new")
        file.commit()
    assert not link.is_symlink()
    assert (link.read_text(), original.read_text()) == ("new", "old")


def test_permissions_of_the_destination_are_not_inherited(tmp_path: Path) -> None:
    target, plain = tmp_path / "out.txt", tmp_path / "plain.txt"
    target.touch(mode=0o600)
    plain.touch()
    with AtomicFile(str(target)) as file:
        file.commit()
    assert target.stat().st_mode == plain.stat().st_mode


def test_a_file_in_the_way_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CaptureWriteError) as caught:
        AtomicFile(str(tmp_path / "file" / "out.txt"))
    assert caught.value.stage == "CreateOutputDirectory"
    assert str(tmp_path / "file") in caught.value.message
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.fix


@pytest.mark.parametrize("name", ["x" * 300, "nul\0byte"])
def test_a_name_that_the_system_refuses(tmp_path: Path, name: str) -> None:
    with pytest.raises(CaptureWriteError) as caught:
        AtomicFile(str(tmp_path / name))
    assert caught.value.stage == "CreateTempFile"
    assert ".tmp" in caught.value.message
    assert caught.value.__cause__ is not None


def test_names_of_temporary_files_count_up(tmp_path: Path) -> None:
    with AtomicFile(str(tmp_path / "a")) as first, AtomicFile(str(tmp_path / "a")) as second:
        numbers = [int(Path(file.temp_path).name.split(".")[2]) for file in (first, second)]
    assert numbers[1] == numbers[0] + 1


FULL_DISK = """
import resource, signal, sys
from ergo_cli.errors import CaptureWriteError
from ergo_cli.stores.files import AtomicFile

resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with AtomicFile(sys.argv[1]) as file:
    spool = file.spool()
    try:
        if sys.argv[2] == "file":
            file.write(b"x" * 1_000_000)
        elif sys.argv[2] == "commit":
            file.write(b"x" * 5_000)
            file.commit()
        else:
            spool.append(b"x" * 1_000_000)
    except CaptureWriteError as error:
        print(error.stage, error.__cause__.errno is not None, error.message)
    finally:
        spool.close()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file size are a thing of POSIX")
@pytest.mark.parametrize("where", ["file", "commit", "spool"])
def test_a_disk_that_takes_no_more(tmp_path: Path, where: str) -> None:
    target = tmp_path / "out.txt"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(target), where], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.startswith("WriteTempFile True")
    assert str(target) in done.stdout
    assert "File too large" in done.stdout
    assert list(tmp_path.iterdir()) == []
