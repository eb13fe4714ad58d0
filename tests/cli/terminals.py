"""What a process of ergo shows on a terminal."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ERGO = str(Path(sys.executable).with_name("ergo"))


def on_terminal(
    arguments: Sequence[str], environment: Mapping[str, str], folder: Path, *, stream: str = "stdout"
) -> str:
    """What a process shows on a terminal that is its standard output, or its standard error."""
    controller, terminal = pty.openpty()
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: terminal}
    child = subprocess.Popen([ERGO, *arguments], stdin=subprocess.DEVNULL, env=environment, cwd=folder, **streams)
    os.close(terminal)
    shown = b""
    while True:
        try:
            block = os.read(controller, 4096)
        except OSError:  # Linux's way to say that the other side is closed
            break
        if not block:
            break
        shown += block
    os.close(controller)
    child.wait(timeout=60)
    return shown.decode()


def plain(text: str) -> str:
    """The text without the sequences that move the cursor or colour what follows."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)
