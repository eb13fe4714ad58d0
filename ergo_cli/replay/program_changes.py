"""What changed since a capture, layer by layer: the program, the adapter, the constraints (spec 70 §2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.bundle.reader import BundleReader
from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.documents import NO_ADAPTER, ProgramSource
from ergo_cli.errors import ErgoError
from ergo_cli.events.adapter import adapter_provenance
from ergo_cli.programs.changes import Change, Layer, Verb
from ergo_cli.programs.parts import Part, SaysParts
from ergo_cli.programs.program import AnyProgram
from ergo_cli.project.contracts import described_program
from ergo_cli.project.finding import FoundProgram
from ergo_cli.project.own_code import own_code, own_code_of
from ergo_cli.project.store import ProgramStore
from ergo_cli.project.structures import structure_of
from ergo_cli.replay.constraint_changes import constraint_changes
from ergo_cli.replay.document_changes import document_changes
from ergo_cli.replay.primitive_changes import primitive_changes
from ergo_cli.replay.python_changes import python_changes
from ergo_cli.replay.results import Changes
from ergo_cli.replay.structure_changes import in_parts, structure_changes, without_repeats

UNKNOWN = Notice(
    "what changed is not known: the texts of the capture are not in the program store; "
    "a capture with the program of then, in another folder, puts them there"
)
"""The notice for a changed program of which only the fingerprint is recorded."""


UNKNOWN_CODE = Notice(
    "whether the code of own primitives changed is not known: the texts of the capture are not in the program store; "
    "a capture with the program of then, in another folder, puts them there"
)
"""The notice for a graph with own primitives whose bundle was captured elsewhere, or by an older ergo."""


class AdapterText(Struct, frozen=True):
    """The text of an adapter, and the name of its file."""

    text: str
    label: str


def changes_since(
    reader: BundleReader, found: FoundProgram, recorded: AnyProgram | None, store: ProgramStore
) -> Changes:
    """The differences between the capture's program and adapter and today's, and a notice where they are not known.

    ``recorded`` is the program of the capture, made of its texts, where that is possible.
    """
    texts = recorded_texts(reader, store)
    changes: list[Change] = []
    notices: tuple[Notice, ...] = ()
    if reader.runtime_provenance != found.program.provenance:
        known = recorded or described_program(store, reader.runtime_provenance, texts)
        parts = _structure_changes(reader, found, store)
        changes += parts.found
        changes += without_repeats(_program_changes(texts, found, known), parts.found)
        is_known = changes or (found.python is None and texts)
        notices = parts.notices if is_known else (*parts.notices, UNKNOWN)
    code = _code_changes(reader, found, store)
    changes += unsaid(code.found, changes)
    notices += code.notices
    adapter = found.adapter and AdapterText(found.adapter.text, found.adapter.label)
    today = adapter_provenance(found.adapter)
    changes += adapter_changes(reader.adapter_provenance, today, adapter_text(texts), adapter)
    changes += _profile_changes(reader, found)
    return Changes(tuple(changes), notices)


def _profile_changes(reader: BundleReader, found: FoundProgram) -> Iterator[Change]:
    """The constraints that the profile sets and that differ from those of the bundle, which a replay takes.

    One that the bundle alone has may have been an option of the capture.
    """
    if found.profile is not None:
        file = str(found.profile.project.file)
        for change in constraint_changes(reader.header.constraints, found.profile.constraints):
            if change.after is not None:
                yield replace(change, file=file, effectless=True)


def unsaid(code: Iterable[Change], others: Sequence[Change]) -> list[Change]:
    """The changes of code that say more than a change of a primitive's contract."""
    return [change for change in code if not any(_says(other, change) for other in others)]


def _says(contract: Change, code: Change) -> bool:
    """Whether a change of a primitive's contract is all that a change of its code is: both have the same values."""
    same = _bare(contract) == _bare(code) != ("", "")
    return same and bool(contract.nodes) and set(contract.nodes) <= set(code.nodes)


def _bare(change: Change) -> tuple[str, str]:
    """Both values without the quotes of a text, which manifests and Python write otherwise."""
    return (change.before or "").strip("'\""), (change.after or "").strip("'\"")


def _code_changes(reader: BundleReader, found: FoundProgram, store: ProgramStore) -> Changes:
    """The differences in the code of own primitives, of which the fingerprint knows the manifests alone."""
    computing = found.program.kind.computing
    own = None if computing is None else computing.own_code(found.program.value)
    if not own:
        return Changes()
    recorded = own_code_of(store, reader.fingerprint())
    if recorded is None:
        return Changes(notices=(UNKNOWN_CODE,))
    return Changes(tuple(primitive_changes(recorded, own_code(found.program, found.project), own)))


def _structure_changes(reader: BundleReader, found: FoundProgram, store: ProgramStore) -> Changes:
    """The differences between the parts of a program, of a kind that knows them, as far as the capture kept its own."""
    today = parts_of(found.program)
    if not today:
        return Changes()
    recorded = structure_of(store, reader.runtime_provenance, reader.adapter_provenance)
    if isinstance(recorded, Notice):
        return Changes(notices=(recorded,))
    return Changes(() if recorded is None else tuple(structure_changes(recorded, today, found.kept_texts)))


def parts_of(program: AnyProgram) -> Sequence[Part]:
    """The parts of a program; none of a kind that does not know them, and of a program that cannot run."""
    acting = program.kind.acting
    try:
        return acting.structure(program.value) if isinstance(acting, SaysParts) else ()
    except ErgoError:
        return ()


def recorded_texts(reader: BundleReader, store: ProgramStore) -> tuple[ProgramSource, ...]:
    """The texts of a capture's program and its adapter, as far as they are known."""
    kept = store.find(reader.runtime_provenance, reader.adapter_provenance, reader.kind_name)
    embedded = () if reader.program is None else reader.program.sources or ()
    return kept if isinstance(kept, tuple) else embedded


def _program_changes(
    texts: Sequence[ProgramSource], found: FoundProgram, recorded: AnyProgram | None
) -> Sequence[Change]:
    before = without_adapter(texts)
    if found.python is not None:
        if not before or not found.kept_texts:
            return ()
        changes = in_parts(python_changes(before, found.kept_texts), parts_of(found.program))
        return changes or [Change(subject="name or version of the program")]
    computing = found.program.kind.computing
    if recorded is not None and computing is not None:
        changes = computing.changes(recorded.value, found.program.value)
        return changes or [Change(subject="contract of a primitive")]
    files: Mapping[str, str] = {} if computing is None else computing.files(found.program.value)
    return text_changes(before, without_adapter(found.texts), files) if before else ()


def text_changes(
    before: Sequence[ProgramSource], after: Sequence[ProgramSource], files: Mapping[str, str] = {}
) -> list[Change]:
    """The members of a program's texts that differ, where no program can be made of the recorded ones.

    ``files`` are those of the texts by their names.
    """
    old = {_part(source.path): source for source in before}
    new = {_part(source.path): source for source in after}
    changes: list[Change] = []
    for part, source in new.items():
        file = files.get(source.path, source.path)
        if part not in old:
            changes.append(Change(subject="the file", verb=Verb.ADDED, file=file))
        else:
            changes += document_changes(old[part].text, source.text, file, Layer.PROGRAM)
    gone = (source.path for part, source in old.items() if part not in new)
    changes += (Change(subject="the file", verb=Verb.REMOVED, file=path) for path in gone)
    return changes or [Change(subject="contract of a primitive")]


def adapter_changes(
    recorded: str, today: str, before: AdapterText | None, after: AdapterText | None
) -> Iterator[Change]:
    """What differs between two adapters, given their fingerprints and what is known of their texts."""
    file = None if after is None else after.label
    if recorded == today:
        return
    if today == NO_ADAPTER:
        yield Change(subject="the adapter", verb=Verb.REMOVED, layer=Layer.ADAPTER, before=recorded)
    elif recorded == NO_ADAPTER:
        yield Change(subject="the adapter", verb=Verb.ADDED, layer=Layer.ADAPTER, file=file)
    elif before is None or after is None:
        yield Change(subject="the adapter", layer=Layer.ADAPTER, file=file)
    else:
        yield from document_changes(before.text, after.text, after.label, Layer.ADAPTER)


def adapter_text(texts: Sequence[ProgramSource]) -> AdapterText | None:
    """The text of the adapter among those of a capture."""
    found = (AdapterText(source.text, source.path) for source in texts if source.path.startswith("adapter."))
    return next(found, None)


def without_adapter(texts: Sequence[ProgramSource]) -> list[ProgramSource]:
    """The texts of the program alone."""
    return [source for source in texts if not source.path.startswith("adapter.")]


def _part(path: str) -> str:
    """What a text of a program is, whatever its version and its form: ``graph``, ``clusters/smooth``."""
    return path.rpartition("@")[0] or path.rpartition(".")[0]
