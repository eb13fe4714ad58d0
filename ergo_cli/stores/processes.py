"""This process as the owner of leases, and whether another one is gone (spec 50 §23, B-12)."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from ergo_cli.stores.leases import Owner

_BOOT = "*/random/boot_id"  # below /proc/sys
_NAMESPACE = "/proc/self/ns/pid"
_STATE, _STARTED = 0, 19  # fields of /proc/PID/stat behind the name of the command


def this_process(name: str) -> Owner:
    """This process, which does what ``name`` says."""
    pid = os.getpid()
    return Owner(socket.gethostname(), pid, name, _place(), _born(pid))


def is_gone(owner: Owner) -> bool:
    """Whether a process of this system has certainly ended; False where that cannot be seen.

    A pid alone is no proof: it may have been given to another process, and another system has pids of its own.
    """
    if not owner.place or owner.place != _place():
        return False
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    born = _born(owner.pid)
    return bool(born) and born != owner.born


def _place() -> str:
    """The boot and the process namespace that pids of this system belong to; empty where there is no /proc."""
    try:
        boot = next(Path("/proc/sys").glob(_BOOT)).read_text().strip()
        return f"{boot} {os.readlink(_NAMESPACE)}"
    except (OSError, StopIteration):
        return ""


def _born(pid: int) -> str:
    """When a process started, in ticks since the boot; ``dead`` for one that has ended, empty if unknown."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return ""
    return "dead" if fields[_STATE] in ("Z", "X") else fields[_STARTED]
