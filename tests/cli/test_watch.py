"""``ergo watch``: real files are edited beside a real process, which replays what the change reaches."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.cli.started import ERGO
from tests.conftest import Ergo

FIXTURES = Path(__file__).parents[2] / "fixtures"
GUARD_SECONDS = 240


class Watch:
    """``ergo watch`` at work, its streams in files."""

    def __init__(self, home: Path, child: subprocess.Popen[bytes], output: Path, errors: Path) -> None:
        self.home, self.child, self._output, self._errors = home, child, output, errors

    @property
    def output(self) -> str:
        return self._output.read_text()

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    @property
    def last(self) -> str:
        """The last report."""
        return self.output.rpartition("\n---- ")[2]

    def until(self, what: Callable[[], bool]) -> None:
        give_up = time.monotonic() + GUARD_SECONDS
        while not what():
            assert self.child.poll() is None, self.errors
            assert time.monotonic() < give_up, self.output + self.errors
            time.sleep(0.05)

    def edit(self, file: str, old: str, new: str) -> None:
        text = (self.home / file).read_text()
        assert text.count(old) == 1
        (self.home / file).write_text(text.replace(old, new))


@contextmanager
def watching(home: Path, environment: dict[str, str], *arguments: str) -> Generator[Watch]:
    output, errors = home.parent / "output", home.parent / "errors"
    with output.open("wb") as out, errors.open("wb") as err:
        child = subprocess.Popen([ERGO, "watch", *arguments], cwd=home, env=environment, stdout=out, stderr=err)
    try:
        yield Watch(home, child, output, errors)
    finally:
        child.kill()
        child.wait()


@pytest.fixture
def desk(ergo: Ergo, tmp_path: Path) -> Path:
    home = shutil.copytree(FIXTURES / "order_threshold", tmp_path / "desk")
    assert ergo("capture", cwd=home).exit_code == 0
    shutil.copy(home / "captures" / "monday.json", home / "captures" / "tuesday.json")
    return home


GRAPH = "graphs/order_threshold.yaml"


def test_edits_a_syntax_error_its_repair_and_bundles_that_go_and_come(desk: Path, environment: dict[str, str]) -> None:
    with watching(desk, environment, "captures") as watch:
        watch.until(lambda: watch.output == "match  2 bundles  16 events\n")
        watch.edit(GRAPH, "value: 105.0", "value: 104.0")
        watch.until(lambda: "closer     ergo why" in watch.last)
        assert f"---- {GRAPH} changed\ndiffers  2 of 2 bundles  16 events\n" in watch.output
        watch.edit(GRAPH, "value: 104.0", "value: [")
        watch.until(lambda: "refused  2 of 2 bundles" in watch.last and "fix:" in watch.errors)
        assert f"error: {GRAPH}:" in watch.errors
        watch.edit(GRAPH, "value: [", "value: 105.0")
        watch.until(lambda: "match  2 bundles  16 events\n" in watch.last)
        (desk / "captures" / "tuesday.json").unlink()
        watch.until(lambda: "match  captures/monday.json  8 events" in watch.last)
        shutil.copy(desk / "captures" / "monday.json", desk / "captures" / "sunday.json")
        watch.until(lambda: "match  2 bundles  16 events\n" in watch.last)
        watch.edit("ergo.toml", "[profiles.default]", "[profiles.default")
        watch.until(lambda: "ergo.toml" in watch.errors)
        watch.edit("ergo.toml", "[profiles.default", "[profiles.default]")
        watch.until(lambda: "match  2 bundles  16 events\n" in watch.last)
        watch.child.send_signal(signal.SIGINT)
        assert watch.child.wait(GUARD_SECONDS) == 130
        assert "Traceback" not in watch.errors
        assert sorted(path.name for path in desk.iterdir()) == ["adapters", "captures", "ergo.toml", "events", "graphs"]


def test_code_of_own_primitives_is_that_of_the_file_as_it_stands(
    ergo: Ergo, tmp_path: Path, environment: dict[str, str]
) -> None:
    from tests.stories.test_stories import edited, story_of

    story = story_of("04_a_bug_in_an_own_primitive")
    home = edited(ergo, story, tmp_path)
    with watching(home, environment, story.bundle) as watch:
        watch.until(lambda: "closer " in watch.output)
        watch.edit(story.edit.file, story.edit.new, story.edit.old)
        watch.until(lambda: watch.last.partition("changed\n")[2].startswith("match "))
        watch.edit(story.edit.file, story.edit.old, "this is no Python")
        watch.until(lambda: "refused" in watch.last and "SyntaxError" in watch.errors)
        watch.child.send_signal(signal.SIGTERM)
        assert watch.child.wait(GUARD_SECONDS) == 130


def test_a_terminal_is_cleared_before_each_report(desk: Path, environment: dict[str, str]) -> None:
    mine, theirs = pty.openpty()
    child = subprocess.Popen(
        [ERGO, "watch", "captures"],
        cwd=desk,
        env={**environment, "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""

    def until(text: bytes) -> None:
        nonlocal shown
        while text not in shown.rpartition(b"\x1b[2J")[2]:
            shown += os.read(mine, 4096)

    try:
        until(b"match")
        text = (desk / GRAPH).read_text()
        (desk / GRAPH).write_text(text.replace("value: 105.0", "value: 104.0"))
        until(b"intended?")
        assert b"differs" in shown
        assert shown.count(b"\x1b[2J\x1b[3J\x1b[H") == 2
        assert b"----" not in shown
        child.send_signal(signal.SIGINT)
        with suppress(OSError):  # of a terminal that nobody has open any more
            while os.read(mine, 4096):
                pass
        assert child.wait(GUARD_SECONDS) == 130
    finally:
        child.kill()
        child.wait()
        os.close(mine)


def test_without_its_extra_the_remedy_is_said(ergo: Ergo, desk: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "watchfiles.py").write_text("raise ImportError('not installed')")
    ran = ergo("watch", "captures", cwd=desk, PYTHONPATH=str(tmp_path / "none"))
    assert (ran.exit_code, ran.stdout) == (3, "")
    assert "watchfiles" in ran.stderr
    assert "fix: pip install 'ergo-replay[watch]'" in ran.stderr


def test_standard_input_cannot_be_watched(ergo: Ergo, desk: Path) -> None:
    ran = ergo("watch", "-", cwd=desk)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "'-'" in ran.stderr
