"""What a program written in Python is made of, kept beside its texts in the program store (spec 00 §12.6)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from ergo_cli.core.diagnostics import Notice
from ergo_cli.errors import reason
from ergo_cli.programs.parts import PlainPart, SaysParts
from ergo_cli.programs.program import AnyProgram
from ergo_cli.project.store import ProgramStore

_SCHEMA = "ergo.shape/1"


class _Shape(Struct, frozen=True, forbid_unknown_fields=True):
    """``shape.json``."""

    schema: str
    parts: tuple[PlainPart, ...]


def keep_structure(store: ProgramStore, program: AnyProgram, adapter_provenance: str) -> Notice | None:
    """Keep the parts of a program of a kind that knows them, beside its texts. A notice as of ``ProgramStore.keep``."""
    acting = program.kind.acting
    if not isinstance(acting, SaysParts):
        return None
    try:
        shape = _Shape(_SCHEMA, tuple(part.plain for part in acting.structure(program.value)))
        text = msgspec.json.encode(shape).decode()
    except ValueError as error:
        return Notice(f"what the program is made of could not be kept: {reason(error)}", program.ref)
    return store.keep_structure(program.provenance, adapter_provenance, f"{text}\n")


def structure_of(
    store: ProgramStore, runtime_provenance: str, adapter_provenance: str
) -> Sequence[PlainPart] | Notice | None:
    """The parts that are kept of a program; None if none are, a notice where they cannot be read."""
    return store.find_structure(runtime_provenance, adapter_provenance, _read)


def _read(text: str) -> Sequence[PlainPart]:
    """The parts of a text. Raises ValueError."""
    shape = msgspec.json.decode(text, type=_Shape)
    if shape.schema != _SCHEMA:
        raise ValueError(f"its form is '{shape.schema}', not '{_SCHEMA}'")
    if len({part.name for part in shape.parts}) < len(shape.parts):
        raise ValueError("two parts have the same name")
    return shape.parts
