"""What differs between the programs, adapters and constraints of two captures, as far as their texts are known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.bundle.reader import BundleReader
from ergo_cli.core.code_places import CodePlace
from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.documents import ProgramSource
from ergo_cli.core.json import JsonValue
from ergo_cli.errors import ErgoError
from ergo_cli.programs.changes import Change
from ergo_cli.programs.kinds import TEXTUAL
from ergo_cli.programs.program import AnyProgram
from ergo_cli.project.contracts import described_program
from ergo_cli.project.own_code import own_code_of
from ergo_cli.project.store import ProgramStore
from ergo_cli.replay.constraint_changes import constraint_changes
from ergo_cli.replay.primitive_changes import declared_places, primitive_changes
from ergo_cli.replay.program_changes import (
    adapter_changes,
    adapter_text,
    recorded_texts,
    text_changes,
    unsaid,
    without_adapter,
)
from ergo_cli.replay.python_changes import python_changes
from ergo_cli.replay.results import Changes


class CaptureLayers(Struct, frozen=True):
    """What changed from one capture to another; ``before`` and ``after`` are their programs, None where unknown.

    Neither program was loaded with code: they say what depends on what.
    """

    changes: Changes
    before: AnyProgram | None = None
    after: AnyProgram | None = None

    def maker(self, effect: JsonValue, *, is_missing: bool) -> str | None:
        """The node that made an effect, which the first capture alone has if it is missing; None if it is not known."""
        program = self.before if is_missing else self.after
        computing = None if program is None else program.kind.computing
        return None if program is None or computing is None else computing.maker(program.value, effect)


class _Capture(Struct, frozen=True):
    """A bundle, and the texts of its program and adapter."""

    reader: BundleReader
    texts: Sequence[ProgramSource]
    program: AnyProgram | None

    @classmethod
    def of(cls, reader: BundleReader, store: ProgramStore) -> _Capture:
        texts = recorded_texts(reader, store)
        return cls(reader, texts, _program(reader, texts, store) if texts and reader.kind_name == TEXTUAL else None)

    @property
    def program_texts(self) -> list[ProgramSource]:
        return without_adapter(self.texts)


def capture_layers(a: BundleReader, b: BundleReader, store: ProgramStore) -> CaptureLayers:
    """What changed from ``a`` to ``b``; places are those of the kept texts of ``b``."""
    before, after = _Capture.of(a, store), _Capture.of(b, store)
    program, code = _program_changes(before, after), _Code.of(before, after, store)
    found = [
        *map(code.placed, program),
        *unsaid(code.changes, program),
        *adapter_changes(
            a.adapter_provenance, b.adapter_provenance, adapter_text(before.texts), adapter_text(after.texts)
        ),
        *constraint_changes(a.header.constraints, b.header.constraints),
    ]
    return CaptureLayers(Changes(tuple(found), tuple(_unknown(before, after))), before.program, after.program)


def _program(reader: BundleReader, texts: Sequence[ProgramSource], store: ProgramStore) -> AnyProgram | None:
    """The program with the fingerprint of a capture: of the contracts that it kept, else of the standard library's."""
    sources = tuple(texts)
    described = described_program(store, reader.runtime_provenance, sources)
    if described is not None:
        return described
    from ergo_cli.project.loading import load_program_from_sources  # imported here: only these captures need it

    try:
        program = load_program_from_sources(sources).program
    except (ErgoError, ValueError):
        return None
    return program if program.provenance == reader.runtime_provenance else None


def _program_changes(before: _Capture, after: _Capture) -> Sequence[Change]:
    if not _differ(before, after) or not before.program_texts or not after.program_texts:
        return ()
    if before.reader.kind_name != TEXTUAL:
        return python_changes(before.program_texts, after.program_texts)
    if before.program is None or after.program is None:
        return text_changes(before.program_texts, after.program_texts)
    computing = after.program.kind.computing
    return () if computing is None else computing.changes(before.program.value, after.program.value)


class _Code(Struct, frozen=True):
    """What changed in the code of own primitives, and where it stands in the second capture, by the nodes."""

    changes: Sequence[Change] = ()
    places: Mapping[str, CodePlace] = {}

    @classmethod
    def of(cls, before: _Capture, after: _Capture, store: ProgramStore) -> _Code:
        """Nothing where one of the captures kept no code."""
        program = after.program
        computing = None if program is None else program.kind.computing
        names = None if program is None or computing is None else computing.own_names(program.value)
        if not names:
            return cls()
        codes = [own_code_of(store, each.reader.fingerprint()) for each in (before, after)]
        if codes[0] is None or codes[1] is None:
            return cls()
        places = declared_places(codes[1], names)
        return cls(primitive_changes(codes[0], codes[1], places), places)

    def placed(self, change: Change) -> Change:
        """A change in a primitive, at the place of its code."""
        place = self.places.get(change.nodes[0]) if change.file is None and change.nodes else None
        return change if place is None else replace(change, file=place.file, line=place.line)


def _differ(before: _Capture, after: _Capture) -> bool:
    """Whether two programs of one kind are not the same."""
    a, b = before.reader, after.reader
    return a.kind_name == b.kind_name and a.runtime_provenance != b.runtime_provenance


def _unknown(before: _Capture, after: _Capture) -> Iterator[Notice]:
    """That the texts of programs that differ are not known."""
    missing = [each.reader.path for each in (before, after) if not each.program_texts]
    if missing and _differ(before, after):
        names = " and ".join(f"'{path}'" for path in dict.fromkeys(missing))
        text = f"what changed between the programs is not known: the texts of {names} are not in the program store"
        yield Notice(text)
