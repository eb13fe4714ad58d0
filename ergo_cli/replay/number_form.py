"""Replay a bundle in the form that it writes numbers in."""

from __future__ import annotations

from msgspec.structs import replace

from ergo_cli.bundle.number_form import has_newer_hashes, has_newer_texts
from ergo_cli.bundle.reader import BundleReader
from ergo_cli.events.adapter import Adapter, adapter_provenance
from ergo_cli.events.adapter_manifest import fingerprint
from ergo_cli.programs.program import AnyProgram
from ergo_cli.replay.results import Target


def in_form_of(reader: BundleReader, target: Target) -> Target:
    """The target as it is in the bundle's form of numbers: its fingerprints and, by a mark, its effects.

    The form is the newer one where texts and hashes of effects have it, or the fingerprints if no effect holds such a
    number. Anything mixed is compared in the usual form, in which it differs. Raises BundleError.
    """
    is_written = has_newer_texts(reader)
    if not is_written and _fits(reader, target):
        return target
    program, adapter = _newer_program(target.program), _newer_adapter(target.adapter)
    newer = replace(target, program=program, adapter=adapter, newer_numbers=True)
    if not (is_written or _fits(reader, newer)):
        return target
    hashed = has_newer_hashes(reader)
    is_newer = _fits(reader, newer) if hashed is None else hashed and is_written
    return newer if is_newer else target


def _fits(reader: BundleReader, target: Target) -> bool:
    recorded = reader.runtime_provenance, reader.adapter_provenance
    return recorded == (target.program.provenance, adapter_provenance(target.adapter))


def _newer_program(program: AnyProgram) -> AnyProgram:
    newer = program.newer_provenance
    return program if newer is None else replace(program, provenance=newer())


def _newer_adapter(adapter: Adapter | None) -> Adapter | None:
    if adapter is None:
        return None
    newer = fingerprint(adapter.manifest, newer=True)
    return replace(adapter, provides=replace(adapter.provides, fingerprint=newer))
