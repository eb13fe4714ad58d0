"""A command that asks on a terminal, and a test that answers."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ERGO = str(Path(sys.executable).with_name("ergo"))


class Asked(NamedTuple):
    """What a command came to: its exit code, what it wrote to standard output, each screen that asked."""

    exit_code: int
    stdout: str
    screens: list[str]


def asked(
    arguments: Sequence[str], environment: Mapping[str, str], folder: Path, answer: Callable[[str], str | None]
) -> Asked:
    """Run ergo with a terminal for standard input and error; ``answer`` None ends standard input."""
    controller, terminal = pty.openpty()
    child = subprocess.Popen(
        [ERGO, *arguments],
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=terminal,
        env={**environment, "TERM": "dumb"},
        cwd=folder,
    )
    os.close(terminal)
    screens: list[str] = []
    shown = ""
    while block := _read(controller):
        shown += block.decode()
        if shown.endswith("q quit: "):
            screens.append(shown.replace("\r\n", "\n"))
            said, shown = answer(screens[-1]), ""
            os.write(controller, b"\x04" if said is None else said.encode() + b"\n")
    os.close(controller)
    assert child.stdout is not None
    with child.stdout as stream:
        stdout = stream.read().decode()
    return Asked(child.wait(timeout=60), stdout, screens)


def _read(controller: int) -> bytes:
    try:
        return os.read(controller, 4096)
    except OSError:  # Linux's way to say that the other side is closed
        return b""
