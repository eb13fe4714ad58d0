"""Child processes in groups, each of which ends as a whole and does not outlive this process."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import IO

from ergo_cli.core.time import NANOS
from ergo_cli.project.redaction import KEY_VARIABLE
from ergo_cli.signals import before_the_end, signals_held

_SHELL = "/bin/sh"
_KEEP = "trap '' HUP INT QUIT TERM; read -r _; kill -KILL 0"
"""What a keeper does: wait for the end of its input, whose other end ergo alone holds, and kill its group."""

_EXIT_POLL_NS = NANOS // 100
_REAP_SECONDS = 5  # only reached by a process the host may not kill, such as one of another user
_alive: set[ProcessGroup] = set()


@before_the_end
def kill_all() -> None:
    """Send SIGKILL to every group that is left; takes no locks, so signal handlers may call it.

    Reaps and closes nothing: the caller is about to exit.
    """
    for group in tuple(_alive):
        group.signal()


class ProcessGroup:
    """A child, all that it starts in its group, and a keeper: a small shell that kills the group if ergo is killed.

    The child leads its group and stays unreaped until ``end``, so that its process id is not reused before. A program
    that leaves the group is out of reach. The parent-death signal of Linux is no substitute for the keeper: it reaches
    the child alone, comes as soon as the thread that started it ends, and is set between fork and exec, where Python
    code is not safe. Where there is no shell, only the end of their input lets programs notice that ergo was killed.
    """

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self.child = child
        self._keeper = _keeper(child.pid)
        _alive.add(self)

    @classmethod
    def start(
        cls,
        command: Sequence[str],
        folder: Path | None,
        *,
        stdin: int | IO[bytes],
        stderr: int | IO[bytes],
        environment: Mapping[str, str] | None = None,
    ) -> ProcessGroup:
        """Run ``command``, an argument list that no shell sees, in ``folder`` or, for None, in the current one.

        Its stdout is a pipe; ``environment`` is by default that of ergo, and never has the key of redactions. The
        caller must ``end`` it, even after the child has exited: it may have left children. Raises OSError if it cannot
        be run.
        """
        variables = os.environ if environment is None else environment
        without_key = {name: value for name, value in variables.items() if name != KEY_VARIABLE}
        with signals_held():
            try:
                child = subprocess.Popen(
                    list(command),
                    cwd=folder,
                    stdin=stdin,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    env=without_key,
                    process_group=0,
                )
            except ValueError as error:  # a zero byte, or a character that the file system cannot name
                raise OSError(errno.EINVAL, str(error)) from error
            return cls(child)

    @property
    def is_alive(self) -> bool:
        """Whether it has not been ended yet."""
        return self in _alive

    def wait(self, timeout_ns: float = inf) -> int | None:
        """The child's exit status, negative for the signal that ended it; None if it still runs after ``timeout_ns``.

        Does not reap it.
        """
        deadline = time.monotonic_ns() + timeout_ns
        pause = _EXIT_POLL_NS // 16
        while (status := self._status()) is None and (left := deadline - time.monotonic_ns()) > 0:
            time.sleep(min(pause, left) / NANOS)
            pause = min(2 * pause, _EXIT_POLL_NS)
        return status

    def signal(self) -> None:
        """Send SIGKILL to the group, which must not have been reaped."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.child.pid, signal.SIGKILL)

    def end(self) -> None:
        """Kill the group, reap the child and close its input; further calls do nothing."""
        if not self.is_alive:
            return
        self.signal()
        _alive.discard(self)  # before it is reaped: afterwards its process id may be reused
        for process in (self.child, self._keeper):
            if process is None:
                continue
            if process.stdin is not None:
                process.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_REAP_SECONDS)

    def close(self) -> None:
        """End the group and close its pipes, which nothing else may be reading."""
        self.end()
        for pipe in (self.child.stdout, self.child.stderr):
            if pipe is not None:
                pipe.close()

    def _status(self) -> int | None:
        if self.child.returncode is not None:
            return self.child.returncode
        try:
            found = os.waitid(os.P_PID, self.child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:  # reaped by the system, because the host was started with SIGCHLD ignored
            return 0
        if found is None:
            return None
        return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status


def _keeper(group: int) -> subprocess.Popen[bytes] | None:
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        return None  # the group may be gone already, and its number another's
    nowhere = subprocess.DEVNULL
    with suppress(OSError):  # no shell, no further process, or a group that is already gone
        return subprocess.Popen(
            [_SHELL, "-c", _KEEP],
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=nowhere,
            stderr=nowhere,
            process_group=group,
        )
    return None
