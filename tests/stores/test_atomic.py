from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ergo_cli.errors import CaptureWriteError
from ergo_cli.stores.files import AtomicFile, partial_path


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


def replaced(target: Path, content: bytes = b"new") -> None:
    with AtomicFile(str(target)) as file:
        file.write(content)
        file.commit()


def test_a_link_is_followed_and_its_target_replaced(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "original").write_text("old")
    link, dangling = tmp_path / "link", tmp_path / "dangling"
    link.symlink_to(Path("far", "original"))
    dangling.symlink_to(Path("new", "folder", "file"))
    replaced(link)
    replaced(dangling)
    assert (link.is_symlink(), dangling.is_symlink()) == (True, True)
    assert (tmp_path / "far" / "original").read_text() == "new"
    assert (tmp_path / "new" / "folder" / "file").read_text() == "new"
    assert sorted(path.name for path in tmp_path.rglob("*.tmp")) == []


@pytest.mark.skipif(sys.platform == "win32", reason="permission bits are a thing of POSIX")
@pytest.mark.parametrize("mode", [0o600, 0o664, 0o444])
def test_the_file_that_is_replaced_passes_on_its_permission_bits(tmp_path: Path, mode: int) -> None:
    target = tmp_path / "out.txt"
    target.touch()
    target.chmod(mode)
    with AtomicFile(str(target)) as file:
        assert stat.S_IMODE(os.stat(file.temp_path).st_mode) == mode
        file.commit()
    assert stat.S_IMODE(target.stat().st_mode) == mode


@pytest.mark.parametrize("name", ["b.json", "x" * 251 + ".zst"])
def test_temporary_names_are_short_whatever_the_destination_is_called(tmp_path: Path, name: str) -> None:
    with AtomicFile(str(tmp_path / name)) as file:
        assert len(Path(file.temp_path).name) < 40
        file.commit()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_folder_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    (tmp_path / "folder").mkdir()
    for name in ("folder", "link"):
        with pytest.raises(CaptureWriteError, match="it is a folder") as caught:
            AtomicFile(str(tmp_path / name))
        assert caught.value.stage == "InvalidDestination"
    assert list(tmp_path.glob("*.tmp")) == []


@pytest.mark.parametrize(
    ("name", "beside"),
    [
        ("b.json", "b.partial.json"),
        ("b.json.gz", "b.partial.json.gz"),
        ("b.v2.json.zst", "b.v2.partial.json.zst"),
        ("b", "b.partial"),
        ("b.gz", "b.partial.gz"),
        ("é" * 120 + ".json.gz", "é" * 119 + ".partial.json.gz"),
    ],
)
def test_the_partial_file_beside(name: str, beside: str) -> None:
    assert partial_path(f"some/{name}") == f"some/{beside}"


def test_a_partial_file_replaces_only_another_one(tmp_path: Path) -> None:
    target, beside = tmp_path / "b.json", tmp_path / "b.partial.json"
    for content, expected in ((b"1", target), (b"2", beside), (b"3", beside)):
        with AtomicFile(str(target)) as file:
            file.write(content)
            assert file.commit(is_partial=True) == str(expected)
    assert (target.read_bytes(), beside.read_bytes()) == (b"1", b"3")
    assert sorted(tmp_path.iterdir()) == [target, beside]


def test_what_cannot_be_replaced_leaves_the_finished_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(source: str, destination: str) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy")

    target = tmp_path / "out.txt"
    target.write_text("old")
    monkeypatch.setattr(os, "replace", busy)
    with AtomicFile(str(target)) as file:
        file.write(b"new")
        with pytest.raises(CaptureWriteError, match="it cannot be replaced") as caught:
            file.commit()
    assert (caught.value.stage, target.read_text()) == ("RenameTempFile", "old")
    assert Path(file.temp_path).read_text() == "new"
    assert f"stays as '{file.temp_path}'" in caught.value.message


MOUNTED = """
mount --bind target.txt target.txt || exit 77
exec "$1" -c 'from ergo_cli.stores.files import AtomicFile; AtomicFile("target.txt")'
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="only Linux mounts single files")
def test_a_mounted_file_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "target.txt").write_text("old")
    command = ["unshare", "-rm", "sh", "-c", MOUNTED, "-", sys.executable]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    if "CaptureWriteError" not in done.stderr and done.returncode in (1, 77):
        pytest.skip("this system lets no one mount")
    assert "'target.txt': it is a mount point" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["target.txt"]


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
    assert caught.value.stage == "InvalidDestination"
    assert name[:10] in caught.value.message
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
