"""Runs ergo under the tracer, in a folder that holds the user's home too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

TRACER = Path(__file__).with_name("tracer.py")
ERGO = str(Path(sys.executable).with_name("ergo"))


class Ran(NamedTuple):
    """A command that has ended; its calls on files of the folder, each with name, path and result."""

    words: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str
    calls: list[tuple[str, str, int]]


def ergo(
    folder: Path,
    words: tuple[str, ...],
    at: int | None = None,
    fault: str | None = None,
    first: str | None = None,
) -> Ran:
    """Run a command; its call number ``at`` fails with ``fault``, or ``first``, the first call of this name."""
    if "--format" not in words:
        words = (*words, "--format", "json")
    beside = folder.parent
    job = {
        "command": [ERGO, *words],
        "folder": str(folder),
        "stdout": str(beside / "stdout"),
        "stderr": str(beside / "stderr"),
        "at": at,
        "first": first,
        "fault": fault,
    }
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    home = {"HOME": str(folder / "data"), "XDG_DATA_HOME": str(folder / "data"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(TRACER), json.dumps(job)],
        env={**kept, **home, "COLUMNS": "120"},
        stdout=subprocess.PIPE,
        check=True,
        timeout=120,
    )
    ended = json.loads(done.stdout)
    texts = [(beside / name).read_text() for name in ("stdout", "stderr")]
    return Ran(words, ended["exit_code"], *texts, [tuple(call) for call in ended["calls"]])
