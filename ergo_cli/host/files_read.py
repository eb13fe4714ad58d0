"""What a command has read, and that none of its outputs takes the place of it (spec 00 §13.1)."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from ergo_cli.errors import UsageError
from ergo_cli.host.run_plan import Driver, EventFile, RunPlan
from ergo_cli.project.profiles import user_folder
from ergo_cli.stores.backends import store_files
from ergo_cli.stores.files import STANDARD_INPUT, partial_path
from ergo_cli.stores.locations import is_remote
from ergo_cli.stores.standard_output import STANDARD_OUTPUT


class Read(Struct, frozen=True):
    """A file that a command reads, or works in, and what messages call it; ``-`` is none."""

    path: str | Path
    what: str


def refuse_replacing(output: str | Path, reads: Iterable[Read]) -> None:
    """Refuse an ``output`` that is one of ``reads``, a loaded Python file, or a file that a standard stream goes to.

    It is refused by any path, link or hard link, and as a file that standard input or output is redirected to.

    Raises UsageError ``cli.conflicting_options``.
    """
    if str(output) == STANDARD_OUTPUT:
        standing = place = _stream(1)
    else:
        standing = _identity(output)
        _refuse_stream(output, standing)
        place = standing or _path_of(output)
    if place is None:
        return
    name = "standard output" if str(output) == STANDARD_OUTPUT else f"'{output}'"
    for read in reads if standing is None else (*reads, *_modules()):
        if place == _place_of(read.path):
            message = f"{name} is {read.what}: writing there would destroy it"
            fix = "name another file to write to"
            raise UsageError("cli.conflicting_options", message, where=str(output), fix=fix)


def _place_of(path: str | Path) -> tuple[int, int] | str | None:
    """What is read at a path, where it can be told from other files; ``-`` is the file that standard input is."""
    return _stream(0) if str(path) == STANDARD_INPUT else _identity(path) or _path_of(path)


def _refuse_stream(output: str | Path, standing: tuple[int, int] | None) -> None:
    """Refuse a plain file that standard output or error goes to: it would be lost with the file that is replaced."""
    for name, descriptor in (("standard output", 1), ("standard error", 2)):
        if standing is not None and _stream(descriptor) == standing:
            message = f"'{output}' is {name}: writing there would destroy what goes to it"
            fix = "name another file to write to"
            raise UsageError("cli.conflicting_options", message, where=str(output), fix=fix)


def _stream(descriptor: int) -> tuple[int, int] | None:
    """Device and inode of the plain file that a standard stream is; None if it is none."""
    try:
        stream = os.fstat(descriptor)
    except OSError:
        return None
    return (stream.st_dev, stream.st_ino) if stat.S_ISREG(stream.st_mode) else None


def refuse_bundle_over(destination: str, reads: Sequence[Read]) -> None:
    """As ``refuse_replacing``, for the bundle and for a partial one beside it."""
    refuse_replacing(destination, reads)
    if destination != STANDARD_OUTPUT and not is_remote(destination):
        refuse_replacing(partial_path(os.path.realpath(destination)), reads)


def check_outputs(plan: RunPlan, destination: str | None, journal: Path | None = None) -> None:
    """Check where a run writes before it begins. Raises UsageError ``cli.conflicting_options``."""
    reads = list(_reads(plan))
    if journal is not None:
        _refuse_standard_output(journal)
        refuse_remote_journal(journal)
        refuse_replacing(journal, reads)
        reads.append(Read(journal, "the crash journal"))
    if destination is not None:
        refuse_bundle_over(destination, reads)


def _refuse_standard_output(journal: Path) -> None:
    if str(journal) == STANDARD_OUTPUT:
        message = "a crash journal cannot go to standard output: every step must be on the disk before the next begins"
        raise UsageError("cli.conflicting_options", message, where="option --journal", fix="name a file with --journal")


def refuse_remote_journal(journal: Path) -> None:
    """Refuse a crash journal at a URL. Raises UsageError ``cli.conflicting_options``."""
    if is_remote(str(journal)):
        message = "a crash journal is a file of this system: every step must be on the disk before the next begins"
        raise UsageError("cli.conflicting_options", message, where=str(journal), fix="name a file")


def _reads(plan: RunPlan) -> Iterator[Read]:
    if isinstance(plan.source, EventFile):
        yield Read(plan.source.path, "the stream of events")
    if isinstance(plan.source, Driver):
        yield from _words(plan.source.command, plan.source.folder, "a file of the driver's command")
    if plan.egress is not None:
        if plan.egress.file is not None:
            yield Read(plan.egress.file, "the egress configuration")
        for command in plan.egress.config.channels.values():
            yield from _words(command, plan.egress.folder, "a file of a channel's command")
    if plan.key_file is not None:
        yield Read(plan.key_file, "the key of the redaction")
    found = plan.found
    if found.file is not None:
        yield Read(found.file, "the graph")
    for file in found.all_files:
        yield Read(file, "a file of the program")
    if plan.store is not None:
        for file in store_files(plan.store, user_folder()):
            yield Read(file, "a file of the store")


def _words(command: Sequence[str], folder: Path | None, what: str) -> Iterator[Read]:
    """The words of a command as files; the first is looked for on PATH too."""
    for word in command:
        yield Read(os.path.join(folder or os.curdir, word), what)
    program = shutil.which(command[0]) if command else None
    if program is not None:
        yield Read(program, what)


def _modules() -> Iterator[Read]:
    """Every Python file that was loaded: those of the program, of primitives, and all that these import."""
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str):
            yield Read(file, "a loaded Python file")


def _identity(path: str | Path) -> tuple[int, int] | None:
    """Device and inode of what is at a path; None if nothing is."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def _path_of(path: str | Path) -> str:
    """The path without links, of what does not exist yet; as it is, if it cannot be a path."""
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):
        return str(path)
