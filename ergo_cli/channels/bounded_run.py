"""A program that is run to its end: given its input, its output kept up to a limit, killed past its time."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from msgspec import Struct, field

from ergo_cli.channels.group import ProcessGroup
from ergo_cli.signals import signals_held

_CHUNK = 64 * 1024
_POLL_MS = 10
"""How long a wait for pipes lasts before it checks whether the program has exited."""


class Output(Struct):
    """What a program wrote to one of its outputs: the first bytes, and how many there were."""

    kept: bytearray = field(default_factory=bytearray)
    size: int = 0


class Finished(Struct, frozen=True):
    """A program that exited. ``status`` is negative for the signal that ended it.

    ``input_error`` is what kept it from being given all of its input.
    """

    status: int
    stdout: Output
    stderr: Output
    input_error: OSError | None = None


def run_bounded(
    command: Sequence[str],
    folder: Path | None,
    environment: Mapping[str, str],
    given: bytes,
    limit: int,
    timeout_ns: int,
) -> Finished | None:
    """Run ``command``, an argument list that no shell sees, with ``given`` as its whole input.

    At most ``limit`` bytes of each output are kept. Once it has exited, all that it started in its process group is
    killed; so is the whole group ``timeout_ns`` after the start, and the result is None. Raises SpawnError if it cannot
    be run, OSError if its outputs cannot be read.
    """
    deadline = time.monotonic_ns() + timeout_ns
    with ExitStack() as undo:
        with signals_held():
            try:
                pipe = subprocess.PIPE
                group = ProcessGroup.start(command, folder, stdin=pipe, stderr=pipe, environment=environment)
            except OSError as error:
                raise SpawnError(*error.args) from error
            undo.callback(group.close)
        return _Exchange(group, given, limit).finished(deadline)


class SpawnError(OSError):
    """The program could not be started."""


class _Exchange:
    """Moves bytes between ergo and one program until it has exited and its outputs are empty."""

    def __init__(self, group: ProcessGroup, given: bytes, limit: int) -> None:
        child = group.child
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        os.set_blocking(child.stdin.fileno(), False)
        self._group = group
        self._limit = limit
        self._stdin: IO[bytes] = child.stdin
        self._rest = memoryview(given)
        self._input_error: OSError | None = None
        self._outputs = {child.stdout.fileno(): Output(), child.stderr.fileno(): Output()}
        self._open = set(self._outputs)
        self._poller = select.poll()
        self._poller.register(child.stdin.fileno(), select.POLLOUT)
        for output in self._outputs:
            self._poller.register(output, select.POLLIN)

    def finished(self, deadline: int) -> Finished | None:
        """What came of it; None if it has not exited at ``deadline``, a time of the monotonic clock."""
        while self._open or self._rest:
            status = self._group.wait(0)
            if status is not None:
                self._group.signal()  # what it left behind must not keep its outputs open
            ready = self._poller.poll(_POLL_MS if status is None else 0)
            for pipe, _ in ready:
                self._move(pipe)
            if status is not None and not ready:  # a process that left the group holds an output
                break
            if time.monotonic_ns() >= deadline:
                return None
        status = self._group.wait(max(deadline - time.monotonic_ns(), 0))
        stdout, stderr = self._outputs.values()
        return None if status is None else Finished(status, stdout, stderr, self._input_error)

    def _move(self, pipe: int) -> None:
        if pipe in self._outputs:
            self._read(pipe)
        else:
            self._write(pipe)

    def _read(self, pipe: int) -> None:
        chunk = os.read(pipe, _CHUNK)
        if not chunk:
            self._poller.unregister(pipe)
            self._open.remove(pipe)
        output = self._outputs[pipe]
        output.kept += chunk[: self._limit - len(output.kept)]
        output.size += len(chunk)

    def _write(self, pipe: int) -> None:
        try:
            self._rest = self._rest[os.write(pipe, self._rest) :]
        except BlockingIOError:
            return
        except OSError as error:
            self._input_error = error
            self._rest = self._rest[:0]
        if not self._rest:
            self._poller.unregister(pipe)
            self._stdin.close()
