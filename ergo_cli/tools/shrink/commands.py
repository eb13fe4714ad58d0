"""Shrink a stream of events: the smallest one on which a command still ends as it does on the whole."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from time import monotonic_ns

from msgspec import Struct

from ergo_cli.channels.bounded_run import Finished, SpawnError, run_bounded
from ergo_cli.errors import CaptureWriteError, ErgoError, UsageError, reason
from ergo_cli.stores.remedies import temporary_remedy
from ergo_cli.stores.temporaries import temporary_folder
from ergo_cli.tools.shrink.lines import EventLine, read_lines, text_of
from ergo_cli.tools.shrink.search import Found, shrink
from ergo_cli.tools.shrink.tries import Limits, Tries, TryHung

PLACE = "{}"
"""What stands in a command for the path of the stream."""

_KEPT_OUTPUT = 1 << 16


class Command(Struct, frozen=True):
    """A command that no shell sees, by its words."""

    words: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Command:
        """The command of a line, split as a shell does. Raises UsageError ``cli.invalid_option_value``."""
        try:
            words = tuple(shlex.split(text))
        except ValueError as error:
            raise _bad_command(f"'{text}' is not a command line: {error}") from error
        if not words:
            raise _bad_command("the command has no words")
        return cls(words)

    def on(self, path: str) -> list[str]:
        """The words with ``path`` for each ``{}``, at the end if there is none."""
        named = [word.replace(PLACE, path) for word in self.words]
        return named if named != list(self.words) else [*named, path]


class ShrunkEvents(Struct, frozen=True):
    """The text of the smallest stream, how the command ends on it, and how the search went.

    ``status`` is the exit code, negative for a signal; ``events`` are those of the whole.
    """

    text: bytes
    status: int
    found: Found[EventLine]
    events: int


def shrink_events(
    path: str, command: Command, limits: Limits, on_try: Callable[[Tries[EventLine]], None]
) -> ShrunkEvents | None:
    """The smallest stream on which ``command`` ends as on the one at ``path``; None where it succeeds on that.

    Raises EventError, ErgoError ``shrink.command_not_started``, ``shrink.try_hung``, ``shrink.flaky``,
    CaptureWriteError where no stream can be written for it.
    """
    events = read_lines(path)
    runs = CommandRuns(command, limits.whole)
    began = monotonic_ns()
    try:
        status = runs.status(events)
    except TryHung as error:
        raise _hung(command, path) from error
    if status == 0:
        return None
    runs.patience = limits.patience(monotonic_ns() - began)
    found = shrink(CommandSubject(events, runs, status), limits, on_try)
    return ShrunkEvents(text_of(found.stream), status, found, len(events))


class CommandRuns:
    """Runs a command on streams, each for ``patience`` ns at most.

    It gets each as a file in a folder of its own: whatever a try does with them, the next one finds nothing of it.
    """

    def __init__(self, command: Command, patience: int) -> None:
        self._command = command
        self.patience = patience

    def status(self, stream: Sequence[EventLine]) -> int:
        """The exit code, negative for a signal.

        Raises TryHung, ErgoError ``shrink.command_not_started``, CaptureWriteError where the stream cannot be written.
        """
        try:
            with temporary_folder("ergo-shrink-") as folder:
                file = folder / "events.jsonl"
                file.write_bytes(text_of(stream))
                done = self._run(self._command.on(str(file)))
        except OSError as error:
            message = f"the stream of a try cannot be written to a temporary folder: {reason(error)}"
            fix = temporary_remedy(error)
            raise CaptureWriteError("WriteTempFile", message, where="temporary folder", fix=fix) from error
        if done is None:
            raise TryHung
        return done.status

    def _run(self, words: Sequence[str]) -> Finished | None:
        try:
            return run_bounded(words, None, os.environ, b"", _KEPT_OUTPUT, self.patience)
        except SpawnError as error:
            message = f"the command '{words[0]}' cannot be started: {reason(error)}"
            fix = "name a program that can be found; a shell's own words need one: sh -c '...'"
            raise ErgoError("shrink.command_not_started", message, where="option --run", fix=fix) from error


class CommandSubject:
    """Events, of which a part fails if a command ends on it as on the whole."""

    def __init__(self, items: Sequence[EventLine], runs: CommandRuns, status: int) -> None:
        self.items = items
        self._runs = runs
        self._status = status

    def fails(self, stream: Sequence[EventLine]) -> bool:
        """Whether the command ends in the way looked for. Raises TryHung, and as ``CommandRuns.status``."""
        return self._runs.status(stream) == self._status

    def opens_payloads(self, stream: Sequence[EventLine]) -> bool:
        """Every payload may be simplified."""
        return True


def _bad_command(message: str) -> UsageError:
    fix = "give one command line, quoted: --run 'python check.py {}'"
    return UsageError("cli.invalid_option_value", message, where="option --run", fix=fix)


def _hung(command: Command, path: str) -> ErgoError:
    message = f"the command does not end on the whole of '{path}': {shlex.join(command.words)}"
    fix = "bound it, so that it fails where it hangs: --run 'timeout 10 CMD', or give it more time with --max-seconds"
    return ErgoError("shrink.try_hung", message, where="option --run", fix=fix)
