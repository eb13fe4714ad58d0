"""The program store: the texts of every program that was ever captured here (spec 00 §12.6)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec
import platformdirs
from msgspec import Struct

from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.documents import NO_ADAPTER, ProgramSource, is_source_path
from ergo_cli.errors import CaptureWriteError, reason
from ergo_cli.programs.kinds import TEXTUAL
from ergo_cli.project.authored import read_text
from ergo_cli.stores.durable import sync_folder
from ergo_cli.stores.files import AtomicFile
from ergo_cli.stores.private import opened_privately, private_folder
from ergo_cli.stores.temporaries import temporary_folder

T = TypeVar("T")

_SCHEMA = "ergo.program/1"
_RECORD = "program.json"
_STRUCTURE = "shape.json"
_MODULE_FILE = re.compile(r"(?:\w+/)*\w+\.py")
_HEX = re.compile(r".*\bsha256:([0-9a-f]{64})", re.DOTALL)


class _AnotherForm(ValueError):
    """An entry that another version of ergo wrote."""


class SourceDigest(Struct, frozen=True):
    """A file of a kept program."""

    path: str
    sha256: str


class KeptProgram(Struct, frozen=True):
    """``program.json``: what a kept program is."""

    schema: str
    kind: str
    ref: str
    runtime_provenance: str
    adapter_provenance: str
    sources: tuple[SourceDigest, ...]


class ProgramStore:
    """Programs in the folder ``root``, by runtime and adapter provenance; keeping the first one makes it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def of_user(cls) -> ProgramStore:
        """The store in the user's data folder."""
        return cls(platformdirs.user_data_path("ergo", appauthor=False) / "programs")

    def keep(
        self,
        ref: str,
        runtime_provenance: str,
        adapter_provenance: str,
        sources: tuple[ProgramSource, ...],
        kind: str = TEXTUAL,
    ) -> Notice | None:
        """Keep the texts of a program unless they are already kept, whole. Returns a notice if they could not be kept.

        A damaged entry is replaced; one in the form of another version of ergo stays.
        Those of a program written in Python are kept to say what changed; they are never run.
        """
        folder = self._folder(runtime_provenance, adapter_provenance)
        if folder is None:
            return None
        digests = tuple(SourceDigest(source.path, source.sha256) for source in sources)
        record = KeptProgram(_SCHEMA, kind, ref, runtime_provenance, adapter_provenance, digests)
        try:
            if not _is_kept(folder, record):
                _write(folder, record, sources)
        except (OSError, ValueError) as error:
            return Notice(f"the program could not be kept in the program store: {reason(error)}", str(folder))
        return None

    def find(
        self, runtime_provenance: str, adapter_provenance: str, kind: str = TEXTUAL
    ) -> tuple[ProgramSource, ...] | Notice | None:
        """The sources kept under these provenances, with digests checked; None if nothing is kept.

        Returns a notice for kept sources that are damaged. The caller must check that they still have these
        provenances.
        """
        folder = self._folder(runtime_provenance, adapter_provenance)
        if folder is None or not os.path.lexists(folder):
            return None
        try:
            record = _read_record(folder, runtime_provenance, adapter_provenance, kind)
            return tuple(_read_source(folder, source) for source in record.sources)
        except (OSError, ValueError) as error:
            return Notice(f"a program of the program store was passed over: {reason(error)}", str(folder))

    def keep_structure(self, runtime_provenance: str, adapter_provenance: str, text: str) -> Notice | None:
        """Keep what a program whose texts are kept is made of, beside them. A notice as of ``keep``."""
        folder = self._folder(runtime_provenance, adapter_provenance)
        if folder is None or not folder.is_dir():
            return None
        try:
            if self.find_structure(runtime_provenance, adapter_provenance, str) != text:
                _replace_file(folder / _STRUCTURE, text)
        except (OSError, ValueError, CaptureWriteError) as error:
            return Notice(f"what the program is made of could not be kept: {_why(error)}", str(folder / _STRUCTURE))
        return None

    def find_structure(
        self, runtime_provenance: str, adapter_provenance: str, read: Callable[[str], T]
    ) -> T | Notice | None:
        """What a kept program is made of, as ``read`` makes it of its text or raises ValueError.

        None if nothing is kept; a notice where it cannot be read.
        """
        folder = self._folder(runtime_provenance, adapter_provenance)
        if folder is None or not os.path.lexists(folder / _STRUCTURE):
            return None
        try:
            return read(_text(folder, _STRUCTURE))
        except (OSError, ValueError, RecursionError) as error:
            return Notice(f"what a kept program is made of was passed over: {reason(error)}", str(folder / _STRUCTURE))

    def keep_capture(self, bundle: str, code: str) -> Notice | None:
        """Keep which code the capture of a bundle ran; both are fingerprints. A notice as of ``keep``."""
        place = self._capture(bundle)
        try:
            if self.find_capture(bundle) != code:
                private_folder(place.parent)
                _replace_file(place, f"{code}\n")
        except (OSError, ValueError, CaptureWriteError) as error:
            return Notice(f"which code was run could not be kept in the program store: {_why(error)}", str(place))
        return None

    def find_capture(self, bundle: str) -> str | None:
        """The fingerprint of the code that the capture of a bundle ran; None if it is not kept."""
        try:
            return read_text(self._capture(bundle)).strip()
        except (OSError, ValueError):
            return None

    def _capture(self, bundle: str) -> Path:
        return self.root / "captures" / (_hex(bundle) or "")

    def _folder(self, runtime_provenance: str, adapter_provenance: str) -> Path | None:
        runtime, adapter = _hex(runtime_provenance), _hex(adapter_provenance)
        if adapter_provenance == NO_ADAPTER:
            adapter = NO_ADAPTER
        return self.root / runtime / adapter if runtime and adapter else None


def _replace_file(place: Path, text: str) -> None:
    with AtomicFile(str(place), opened_privately) as file:
        file.write(text.encode())
        file.commit()


def _why(error: OSError | ValueError | CaptureWriteError) -> str:
    return error.message if isinstance(error, CaptureWriteError) else reason(error)


def _hex(provenance: str) -> str | None:
    """The digest of a provenance, the name of its folder; None for any other text, which a bundle may hold."""
    match = _HEX.fullmatch(provenance)
    return match[1] if match else None


def _is_kept(folder: Path, record: KeptProgram) -> bool:
    """Whether this program stands in the folder undamaged, or something that only another version can judge."""
    if not os.path.lexists(folder):
        return False
    try:
        kept = _read_record(folder, record.runtime_provenance, record.adapter_provenance, record.kind)
        return bool([_read_source(folder, source) for source in kept.sources])
    except _AnotherForm:
        return True
    except (OSError, ValueError):
        return False


def _write(folder: Path, record: KeptProgram, sources: tuple[ProgramSource, ...]) -> None:
    private_folder(folder.parent)
    with temporary_folder(f".{folder.name}.", folder.parent) as temporary:
        for source in sources:
            if not _is_file_name(source.path):
                raise ValueError(f"'{source.path}' cannot be the name of a file")
            _write_file(temporary / source.path, source.text.encode())
        _write_file(temporary / _RECORD, msgspec.json.encode(record) + b"\n")
        sync_folder(temporary)
        if os.path.lexists(folder) and not _is_kept(folder, record):
            _put_aside(folder)
        _rename(temporary, folder)
    sync_folder(folder.parent)


def _put_aside(damaged: Path) -> None:
    """Remove a damaged entry at one stroke: no moment leaves half of it in its place."""
    with temporary_folder(f".{damaged.name}.", damaged.parent) as aside, suppress(FileNotFoundError):
        os.rename(damaged, aside / "damaged")  # unless another capture has done so meanwhile


def _is_file_name(path: str) -> bool:
    """Whether a text of a program may have this name: that of a graph's text, or of a Python module."""
    return is_source_path(path) or _MODULE_FILE.fullmatch(path) is not None


def _write_file(path: Path, content: bytes) -> None:
    private_folder(path.parent)
    with open(path, "xb", opener=opened_privately) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _rename(temporary: Path, folder: Path) -> None:
    try:
        temporary.rename(folder)
    except OSError:
        if not folder.is_dir():  # otherwise another capture kept the same program meanwhile
            raise


def _read_record(folder: Path, runtime_provenance: str, adapter_provenance: str, kind: str) -> KeptProgram:
    record = msgspec.json.decode(_text(folder, _RECORD), type=KeptProgram)
    if record.schema != _SCHEMA or record.kind != kind:
        raise _AnotherForm(f"'{record.schema}' of kind '{record.kind}' is not a {kind} program that can be read")
    if (record.runtime_provenance, record.adapter_provenance) != (runtime_provenance, adapter_provenance):
        raise ValueError(f"it is kept for other provenances than {_RECORD} names")
    return record


def _read_source(folder: Path, source: SourceDigest) -> ProgramSource:
    if not _is_file_name(source.path):
        raise ValueError(f"'{source.path}' is not a source name")
    kept = ProgramSource(source.path, source.sha256, _text(folder, source.path))
    if not kept.is_intact:
        raise ValueError(f"the digest of '{source.path}' does not match its text")
    return kept


def _text(folder: Path, name: str) -> str:
    if os.path.exists(folder / name) and not os.path.isfile(folder / name):
        raise ValueError(f"'{name}' is not a file")
    return read_text(folder / name)
