"""Commands that are looked at, signalled and killed while they run."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

ERGO = str(Path(sys.executable).with_name("ergo"))
GUARD_SECONDS = 60


def started(folder: Path, environment: dict[str, str], *arguments: str) -> subprocess.Popen[bytes]:
    """``ergo`` at work in ``folder``, all its streams pipes."""
    pipe = subprocess.PIPE
    return subprocess.Popen([ERGO, *arguments], cwd=folder, env=environment, stdin=pipe, stdout=pipe, stderr=pipe)


def steps_in(journal: Path) -> int:
    """How many steps a journal holds now."""
    lines = journal.read_bytes().split(b"\n")[:-1] if journal.exists() else []
    return sum(line.startswith(b'{"event"') for line in lines)


def wait_until(what: Callable[[], object], child: subprocess.Popen[bytes]) -> None:
    """Wait until something is true of a command that runs."""
    give_up = time.monotonic() + GUARD_SECONDS
    while not what():
        assert child.poll() is None, child.communicate()[1]
        assert time.monotonic() < give_up, "the command runs, but what the test waits for does not happen"
        time.sleep(0.01)


@contextmanager
def working(folder: Path, environment: dict[str, str], *command: str) -> Generator[subprocess.Popen[bytes]]:
    """A command at work, killed where the block fails."""
    with started(folder, environment, *command) as child:
        try:
            yield child
        except BaseException:
            child.kill()
            raise


@contextmanager
def held(folder: Path, environment: dict[str, str], *command: str) -> Generator[subprocess.Popen[bytes]]:
    """A command whose program waits beside its file ``hold``, until the block is left and it is released."""
    (folder / "hold").touch()
    with working(folder, environment, *command) as child:
        wait_until((folder / "held").exists, child)
        try:
            yield child
        finally:
            (folder / "release").touch()
            child.wait(60)
            for name in ("hold", "held", "release"):
                (folder / name).unlink()
