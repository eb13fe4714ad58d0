"""The contracts of the primitives of captured programs, kept by the fingerprints of these programs (spec 00 §12.6).

A graph's texts name its primitives, its fingerprint covers their ports and parameters as well. With the contracts of
the capture, a graph whose primitives are others today can still be made of its texts, and compared.
"""

from __future__ import annotations

import re
from pathlib import Path

from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.documents import ProgramSource
from ergo_cli.errors import CaptureWriteError, ErgoError, reason
from ergo_cli.programs.program import AnyProgram
from ergo_cli.project.store import ProgramStore
from ergo_cli.stores.files import AtomicFile
from ergo_cli.stores.private import opened_privately, private_folder

_PROVENANCE = re.compile(r"\w+:sha256:([0-9a-f]{64})")


def keep_contracts(store: ProgramStore, program: AnyProgram) -> Notice | None:
    """Keep the contracts of a program unless they are kept. A notice where they could not be."""
    computing = program.kind.computing
    contracts = b"" if computing is None else computing.contracts(program.value)
    place = _place(store, program.provenance)
    try:
        if contracts and place is not None and _read(place) != contracts:
            private_folder(place.parent)
            with AtomicFile(str(place), opened_privately) as file:
                file.write(contracts)
                file.commit()
    except (OSError, ValueError, CaptureWriteError) as error:
        why = error.message if isinstance(error, CaptureWriteError) else reason(error)
        return Notice(f"the contracts of primitives could not be kept in the program store: {why}", str(place))
    return None


def described_program(store: ProgramStore, provenance: str, sources: tuple[ProgramSource, ...]) -> AnyProgram | None:
    """The program with this fingerprint, for comparison alone: its texts with the contracts of its capture.

    None where these are not kept, or do not make it.
    """
    from ergo_cli.project.loading import describe_program  # imported here: captures do not need it

    contracts = _read(_place(store, provenance))
    try:
        program = None if contracts is None else describe_program(sources, contracts)
    except (ErgoError, ValueError):
        return None
    return program if program is not None and program.provenance == provenance else None


def _place(store: ProgramStore, provenance: str) -> Path | None:
    """None for any text but a fingerprint, which a bundle may hold."""
    found = _PROVENANCE.fullmatch(provenance)
    return None if found is None else store.root / "contracts" / found[1]


def _read(place: Path | None) -> bytes | None:
    try:
        return None if place is None or not place.is_file() else place.read_bytes()
    except (OSError, ValueError):
        return None
