"""Bundles replayed one after the other, each with the program that the order of spec 00 §3 finds for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.bundle.journals import check_no_journals
from ergo_cli.bundle.reader import BundleReader, skim_bundle
from ergo_cli.core.notices import Notice
from ergo_cli.core.numbers import Numbers
from ergo_cli.errors import AdapterError, ErgoError, ProgramError, ProjectError, UsageError
from ergo_cli.programs.graph.program import GraphProgram
from ergo_cli.project.finding import FoundProgram, Program, ProgramFlags, RecordedProgram, find_program_for_replay
from ergo_cli.project.loading import load_program_from_sources
from ergo_cli.project.store import ProgramStore
from ergo_cli.replay.options import ReplayOptions, Target
from ergo_cli.replay.paths import Pattern, parse_patterns
from ergo_cli.replay.patterns import unmatched
from ergo_cli.replay.preflight import check_graph_id, check_runtime_provenance
from ergo_cli.replay.proof import prove_match
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
        self.request = request
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
                flags = self._flags(bundle)
                proven = self._proven(bundle.path, flags, on_event)
                yield proven or self.replay(scan_bundle(bundle.path), flags, on_event)
            except (UsageError, ProjectError):
                raise
            except ErgoError as error:
                yield BundleResult(bundle.path, Outcome.REFUSED, error)

    def notices(self) -> tuple[Notice, ...]:
        """A warning for each pattern that matched nothing so far."""
        return unmatched(self._patterns.values())

    def matched(self) -> dict[str, bool]:
        """The text of each pattern met so far, and whether it ever matched."""
        return {text: pattern.matched for text, pattern in self._patterns.items()}

    def met(self, matched: Mapping[str, bool]) -> None:
        """Take over what another session, of another process, has met."""
        for text, has_matched in matched.items():
            pattern = self._pattern(text)
            pattern.matched = pattern.matched or has_matched

    def replay(self, scan: Scan, flags: ProgramFlags, on_event: Callable[[], None] | None = None) -> BundleResult:
        """The result of a bundle that was read before. Raises ErgoError where its program is not to be had."""
        found = find_for_bundle(scan.reader, flags, self._store)
        result = self._replayed(scan, found, on_event)
        return replace(result, found_by=found.rule, warnings=found.notices + result.warnings)

    def _replayed(self, scan: Scan, found: FoundProgram[Program], on_event: Callable[[], None] | None) -> BundleResult:
        program, options = found.program, self._options(found)
        check_kind(scan.reader, program, strict=options.strict)
        if isinstance(program, GraphProgram):
            from ergo_cli.replay.replaying import replay_scanned  # the short way to a match does not pay for the import

            target = Target(program, found.adapter, _program_of_capture(scan, program, self._store))
            return replay_scanned(scan, target, options, on_event)
        from ergo_cli.replay.kernel.replaying import KernelTarget, replay_kernel  # graphs do not pay for the import

        return replay_kernel(scan, KernelTarget(program.program, program.provenance, found.adapter), options, on_event)

    def _proven(self, path: str, flags: ProgramFlags, on_event: Callable[[], None] | None) -> BundleResult | None:
        """The result of the short way to a match, if it leads there."""
        try:
            with skim_bundle(path) as reader:
                found = find_for_bundle(reader, flags, self._store)
                target = Target(graph_program(reader, found.program), found.adapter)
                check_no_journals(reader)
                result = prove_match(reader, target, self._options(found), on_event)
        except ErgoError:  # told by the long way
            return None
        return None if result is None else replace(result, found_by=found.rule, warnings=found.notices)

    def _flags(self, bundle: BundlePath) -> ProgramFlags:
        flags = self.request.flags
        return flags if bundle.profile is None else replace(flags, profile=bundle.profile)

    def _options(self, found: FoundProgram[Program]) -> ReplayOptions:
        asked, profile, project = self.request, found.profile, found.project
        settings = profile or project
        ignore = asked.ignore if asked.ignore is not None else settings.ignore if settings is not None else ()
        return ReplayOptions(
            strict=asked.strict,
            ignore=tuple(self._pattern(text) for text in ignore),
            max_divergences=asked.max_divergences,
            numbers=numbers_for(found, asked.numbers),
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


def numbers_for(found: FoundProgram[Program], asked: Numbers | None) -> Numbers:
    """How the payloads of a bundle are read: as asked, else as the profile or the project has it."""
    settings = found.profile or found.project
    return asked or (settings.numbers if settings is not None else None) or Numbers.EXACT


def recorded_program(reader: BundleReader) -> RecordedProgram:
    """What a bundle says of its program."""
    program = reader.program
    is_graph = program is None or program.kind == "graph"
    return RecordedProgram(
        Path(reader.path),
        reader.graph_id,
        reader.runtime_provenance,
        reader.adapter_provenance,
        () if program is None or not is_graph else program.sources or (),
        None if program is None or is_graph else program.ref,
    )


def find_for_bundle(reader: BundleReader, flags: ProgramFlags, store: ProgramStore) -> FoundProgram[Program]:
    """Today's program of a bundle.

    Raises ReplayError ``replay.host_setup_failed`` for a graph or an adapter that cannot be used, else as
    ``find_program_for_replay``.
    """
    try:
        return find_program_for_replay(recorded_program(reader), flags, store)
    except (ProgramError, AdapterError) as error:
        if not error.code.startswith(("graph.", "adapter.")):
            raise
        raise replay_setup_failed(error) from error


def graph_program(reader: BundleReader, program: Program) -> GraphProgram:
    """The program, for a bundle of a graph. Raises ProgramError ``program.wrong_kind`` if either is of another kind."""
    check_kind(reader, program)
    if isinstance(program, GraphProgram):
        return program
    raise _wrong_kind(reader, "graph", program)


def check_kind(reader: BundleReader, program: Program, *, strict: bool = False) -> None:
    """Raise ProgramError ``program.wrong_kind`` for a program of another kind than the one that was captured.

    If ``strict``, ReplayError ``replay.graph_id_mismatch`` or ``replay.runtime_provenance_mismatch`` goes first.
    """
    recorded = "graph" if reader.program is None else reader.program.kind
    if recorded == _kind(program):
        return
    if strict:
        check_graph_id(reader.graph_id, program.graph_id)
        check_runtime_provenance(reader.runtime_provenance, program.provenance)
    raise _wrong_kind(reader, recorded, program)


def _kind(program: Program) -> str:
    return "graph" if isinstance(program, GraphProgram) else program.kind


def _wrong_kind(reader: BundleReader, recorded: str, program: Program) -> ProgramError:
    message = f"'{reader.path}' is of a {recorded} program, '{program.graph_id}' is a {_kind(program)} program"
    fix = "name the program of the capture: a graph with --graph FILE, others with --program MODULE:ATTRIBUTE"
    return ProgramError("program.wrong_kind", message, where=reader.path, fix=fix)


def _program_of_capture(scan: Scan, today: GraphProgram, store: ProgramStore) -> GraphProgram | None:
    """The program that made the bundle, where it is not today's and its texts are at hand (spec 00 §3 rule 3)."""
    recorded = recorded_program(scan.reader)
    if today.provenance == recorded.runtime_provenance:
        return None
    kept = store.find(recorded.runtime_provenance, recorded.adapter_provenance)
    sources = kept if isinstance(kept, tuple) else recorded.sources
    try:
        program = load_program_from_sources(sources, today.inventory).program
    except (ErgoError, ValueError):
        return None
    return program if program.provenance == recorded.runtime_provenance else None
