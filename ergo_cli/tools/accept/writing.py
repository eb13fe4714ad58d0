"""Replace a bundle by its new recording, and note who accepted what, when and why (``accepted.jsonl``)."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256

import msgspec
from msgspec import Struct

from ergo_cli.core.diagnostics import Notice
from ergo_cli.errors import ErgoError, ReplayError, escaped, reason
from ergo_cli.events.adapter import adapter_provenance
from ergo_cli.project.finding import FoundProgram
from ergo_cli.project.own_code import keep_own_code, own_code
from ergo_cli.project.store import ProgramStore
from ergo_cli.stores.files import AtomicFile, compressor_for
from ergo_cli.stores.remedies import remedy
from ergo_cli.tools.accept.proposals import Proposal, digest_of

LOG = "accepted.jsonl"
"""The file beside the bundles that has a line for each acceptance."""

_BLOCK = 1 << 16


class Acceptance(Struct, frozen=True):
    """Who accepts, when (UTC, ISO 8601), and why; None where no reason is given."""

    who: str
    when: str
    why: str | None

    @classmethod
    def now(cls, why: str | None) -> Acceptance:
        """By the user of this process, at this moment."""
        try:
            who = getpass.getuser()
        except (OSError, KeyError, ImportError):  # a user id without a name
            who = str(os.getuid()) if hasattr(os, "getuid") else "unknown"
        when = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        return cls(escaped(who), when, None if why is None else escaped(why))


class LogLine(Struct, frozen=True):
    """One line of ``accepted.jsonl``. ``sha256`` is that of the file as written, ``was`` that of the one before."""

    bundle: str
    sha256: str
    was: str
    program: str
    adapter: str
    who: str
    when: str
    why: str | None


class Written(Struct, frozen=True):
    """A bundle that was replaced: the SHA-256 of its file, and where the line about it is."""

    sha256: str
    log: str
    notices: tuple[Notice, ...] = ()


def write_each(
    proposals: Iterable[Proposal], acceptance: Acceptance, store: ProgramStore
) -> dict[str, Written | ErgoError]:
    """Replace bundles, and what became of each, by path; one that cannot be replaced stops no other."""
    return {proposal.path: _written(proposal, acceptance, store) for proposal in proposals}


def _written(proposal: Proposal, acceptance: Acceptance, store: ProgramStore) -> Written | ErgoError:
    try:
        return write(proposal, acceptance, store)
    except ErgoError as error:
        return error


def write(proposal: Proposal, acceptance: Acceptance, store: ProgramStore) -> Written:
    """Replace a bundle by what was reviewed: whole, or not at all.

    The line is on the disk before the bundle is replaced: a line whose ``sha256`` is not the file's was not carried
    out. Raises ReplayError ``accept.bundle_changed`` where the bundle is another than the one reviewed,
    CaptureWriteError, ErgoError ``accept.log_write_failed``.
    """
    path, found = proposal.path, proposal.found
    adapter = adapter_provenance(found.adapter)
    log = os.path.join(os.path.dirname(path), LOG)
    digest, compressor = sha256(), compressor_for(path)
    with AtomicFile(path) as file, open(proposal.recording, "rb") as text:

        def put(block: bytes) -> None:
            digest.update(block)
            file.write(block)

        for block in iter(lambda: text.read(_BLOCK), b""):
            put(block if compressor is None else compressor.compress(block))
        if compressor is not None:
            put(compressor.flush())
        if digest_of(path) != proposal.was:
            raise _changed(path)
        line = LogLine(
            escaped(os.path.basename(path)),
            digest.hexdigest(),
            proposal.was,
            found.program.provenance,
            adapter,
            acceptance.who,
            acceptance.when,
            acceptance.why,
        )
        _append(log, msgspec.json.encode(line))
        file.commit()
    return Written(digest.hexdigest(), log, keep_program(found, proposal.fingerprint, store))


def keep_program(found: FoundProgram, fingerprint: str, store: ProgramStore) -> tuple[Notice, ...]:
    """Keep the texts of the program, as a capture does, so that a later replay can say what changed.

    ``fingerprint`` is that of the bundle. Returns warnings.
    """
    notices = list[Notice | None]()
    program, texts = found.program, found.kept_texts
    if texts:
        adapter = adapter_provenance(found.adapter)
        notices.append(store.keep(program.ref, program.provenance, adapter, texts, program.kind.name))
    if program.has_own_code is not None and program.has_own_code():
        code = own_code(program, found.project)
        notices.append(keep_own_code(store, fingerprint, code) if code else None)
    return tuple(notice for notice in notices if notice is not None)


def _append(path: str, line: bytes) -> None:
    """Add a line at the end of a file, behind one that was not finished too, and sync it.

    A link is not followed: it may come with a folder of others and lead anywhere.
    """
    if os.path.islink(path) or (os.path.exists(path) and not os.path.isfile(path)):
        message = f"'{path}' cannot take the line about what is accepted: it is not a plain file"
        raise ErgoError("accept.log_write_failed", message, where=path, fix="put a plain file in its place")
    try:
        with open(path, "a+b") as file:
            end = file.seek(0, os.SEEK_END)
            if end:
                file.seek(end - 1)
                line = line if file.read(1) == b"\n" else b"\n" + line
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        message = f"'{path}' cannot take the line about what is accepted: {reason(error)}"
        fix = remedy(error, "make the file writable")
        raise ErgoError("accept.log_write_failed", message, where=path, fix=fix) from error


def _changed(path: str) -> ErgoError:
    message = f"'{path}' is not the bundle that was reviewed: it was changed meanwhile"
    return ReplayError("accept.bundle_changed", message, where=path, fix="review it again: ergo accept " + path)
