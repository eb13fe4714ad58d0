"""Channels for tests: command lines of the programs beside this module, and what they left behind."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from ergo_cli.core.values import Intent, IntentField, NativeValue, Value

PROGRAMS = Path(__file__).parent / "programs"
GUARD_SECONDS = 60


def outbox(file: Path, *kinds: str) -> list[str]:
    """A channel that acknowledges everything and keeps it in ``file``."""
    return [sys.executable, str(PROGRAMS / "egress_outbox.py"), str(file), *kinds]


def shell_outbox(file: Path, kind: str) -> list[str]:
    """The same in sh."""
    return ["sh", str(PROGRAMS / "egress_outbox.sh"), str(file), kind]


def scripted(file: Path, *steps: str) -> list[str]:
    """A channel that takes ``steps`` one after the other and keeps what it reads in ``file``."""
    return [sys.executable, str(PROGRAMS / "egress_scripted.py"), str(file), *steps]


def intent(kind: str, intent_id: str, **fields: NativeValue) -> Intent:
    """An intent with fields in the order given."""
    return Intent(kind, intent_id, [IntentField(name, Value.of(value)) for name, value in fields.items()])


def read_frames(file: Path) -> list[str]:
    """The lines that a channel kept; none where it never read anything."""
    return file.read_text().splitlines() if file.exists() else []


def await_exit() -> None:
    """Wait until a channel has exited, and leave it to its owner to reap."""
    os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)


def left_behind(folder: Path) -> list[str]:
    """The processes that work in ``folder`` or have it in their command line, and our own that nobody has reaped.

    One that was killed may take a moment to go.
    """
    deadline = time.monotonic() + GUARD_SECONDS
    while (left := _remnants(folder)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left


def _remnants(folder: Path) -> list[str]:
    return [told for entry in Path("/proc").iterdir() if entry.name.isdigit() and (told := _remnant(entry, folder))]


def _remnant(entry: Path, folder: Path) -> str:
    try:
        state, parent, *_ = (entry / "stat").read_text().rpartition(")")[2].split()
        if state == "Z":
            return f"zombie {entry.name}" if int(parent) == os.getpid() else ""
        command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        inside = (entry / "cwd").readlink().is_relative_to(folder)
    except OSError:  # gone meanwhile
        return ""
    return command if inside or str(folder) in command else ""
