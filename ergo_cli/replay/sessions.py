"""Bundles replayed one after the other, each with the program that the order of spec 00 §3 finds for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.bundle.reader import BundleReader
from ergo_cli.core.notices import Notice
from ergo_cli.core.numbers import Numbers
from ergo_cli.errors import AdapterError, ErgoError, ProgramError, ProjectError, UsageError
from ergo_cli.programs.graph.program import GraphProgram
from ergo_cli.project.finding import FoundProgram, ProgramFlags, RecordedProgram, find_program_for_replay
from ergo_cli.project.loading import load_program_from_sources
from ergo_cli.project.store import ProgramStore
from ergo_cli.replay.paths import Pattern, parse_patterns
from ergo_cli.replay.patterns import unmatched
from ergo_cli.replay.replaying import ReplayOptions, Target, replay_scanned
from ergo_cli.replay.result import BundleResult, Outcome
from ergo_cli.replay.scan import Scan, replay_setup_failed, scan_bundle
from ergo_cli.replay.targets import BundlePath


class ReplayRequest(Struct, frozen=True):
    """What a caller wants replayed and how; None leaves a thing to the profile. ``ignore`` holds path texts."""

    flags: ProgramFlags = ProgramFlags()
    strict: bool = False
    ignore: tuple[str, ...] | None = None
    max_divergences: int = 1000
    numbers: Numbers | None = None


class ReplaySession:
    """Replays bundles for one request; afterwards it knows which patterns never matched."""

    def __init__(self, request: ReplayRequest, store: ProgramStore) -> None:
        self._request = request
        self._store = store
        self._patterns: dict[str, Pattern] = {}
        for text in request.ignore or ():
            self._pattern(text)

    def results(
        self, bundles: Iterable[BundlePath], on_event: Callable[[], None] | None = None
    ) -> Iterator[BundleResult]:
        """One result a bundle; what is wrong with a bundle is in its result.

        Raises UsageError and ProjectError, which are not about a bundle.
        """
        for bundle in bundles:
            try:
                yield self._replay(bundle, on_event)
            except (UsageError, ProjectError):
                raise
            except ErgoError as error:
                yield BundleResult(bundle.path, Outcome.REFUSED, error)

    def notices(self) -> tuple[Notice, ...]:
        """A warning for each pattern that matched nothing so far."""
        return unmatched(self._patterns.values())

    def _replay(self, bundle: BundlePath, on_event: Callable[[], None] | None) -> BundleResult:
        scan = scan_bundle(bundle.path)
        flags = self._request.flags
        if bundle.profile is not None:
            flags = replace(flags, profile=bundle.profile)
        found = _find(scan.reader, flags, self._store)
        target = Target(found.program, found.adapter, _program_of_capture(scan, found, self._store))
        result = replay_scanned(scan, target, self._options(found), on_event)
        return replace(result, found_by=found.rule, warnings=found.notices + result.warnings)

    def _options(self, found: FoundProgram) -> ReplayOptions:
        asked, profile, project = self._request, found.profile, found.project
        settings = profile or project
        ignore = asked.ignore if asked.ignore is not None else settings.ignore if settings is not None else ()
        return ReplayOptions(
            strict=asked.strict,
            ignore=tuple(self._pattern(text) for text in ignore),
            max_divergences=asked.max_divergences,
            numbers=asked.numbers or (settings.numbers if settings is not None else None) or Numbers.EXACT,
        )

    def _pattern(self, text: str) -> Pattern:
        """One pattern for each text, so that a match in any bundle counts."""
        if text not in self._patterns:
            [self._patterns[text]] = parse_patterns([text])
        return self._patterns[text]


def found_by(reader: BundleReader, flags: ProgramFlags, store: ProgramStore) -> str | None:
    """The rule that would find the program of a bundle; None where none does."""
    try:
        return find_program_for_replay(recorded_program(reader), flags, store).rule
    except ErgoError:
        return None


def recorded_program(reader: BundleReader) -> RecordedProgram:
    """What a bundle says of its program."""
    graph = reader.program if reader.program is not None and reader.program.kind == "graph" else None
    sources = () if graph is None else graph.sources or ()
    return RecordedProgram(
        Path(reader.path), reader.graph_id, reader.runtime_provenance, reader.adapter_provenance, sources
    )


def _find(reader: BundleReader, flags: ProgramFlags, store: ProgramStore) -> FoundProgram:
    try:
        return find_program_for_replay(recorded_program(reader), flags, store)
    except (ProgramError, AdapterError) as error:
        if not error.code.startswith(("graph.", "adapter.")):
            raise
        raise replay_setup_failed(error) from error


def _program_of_capture(scan: Scan, found: FoundProgram, store: ProgramStore) -> GraphProgram | None:
    """The program that made the bundle, where it is not today's and its texts are at hand (spec 00 §3 rule 3)."""
    recorded = recorded_program(scan.reader)
    if found.program.provenance == recorded.runtime_provenance:
        return None
    kept = store.find(recorded.runtime_provenance, recorded.adapter_provenance)
    try:
        program = load_program_from_sources(kept if isinstance(kept, tuple) else recorded.sources).program
    except (ErgoError, ValueError):
        return None
    return program if program.provenance == recorded.runtime_provenance else None
