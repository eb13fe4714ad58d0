"""Replay the bundles of one request, each with its program, found in the order of spec 00 §3."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.bundle.reader import BundleReader
from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.levels import FailOn
from ergo_cli.core.numbers import Numbers
from ergo_cli.errors import AdapterError, ErgoError, ProgramError
from ergo_cli.events.adapter import adapter_provenance
from ergo_cli.programs.kinds import TEXTUAL
from ergo_cli.programs.program import AnyProgram
from ergo_cli.project.finding import FoundProgram, ProgramFlags, RecordedProgram, find_program_for_replay
from ergo_cli.project.project_file import Project
from ergo_cli.project.store import ProgramStore
from ergo_cli.replay.engine import Assignment, replay
from ergo_cli.replay.explaining import Assigned
from ergo_cli.replay.paths import Pattern, parse_patterns, unmatched
from ergo_cli.replay.preflight import replay_setup_failed
from ergo_cli.replay.results import (
    WHOLE,
    BundleResult,
    Changes,
    ReplayOptions,
    Target,
    Window,
)
from ergo_cli.replay.selection import BundlePath

if TYPE_CHECKING:
    from ergo_cli.replay.expected import Expectation


class ReplayRequest(Struct, frozen=True):
    """A request to replay; None takes a setting from the profile. ``ignore`` holds path texts.

    ``today`` is the day that decides whether something is still expected; without it nothing is.
    """

    flags: ProgramFlags
    strict: bool
    ignore: tuple[str, ...] | None = None
    max_divergences: int = 1000
    numbers: Numbers | None = None
    window: Window = WHOLE
    fail_on: FailOn = FailOn.ANY
    today: date | None = None


class ReplaySession:
    """Replays bundles for one request; afterwards it knows which patterns never matched.

    With a ``clock``, in seconds, results say how long they took.
    """

    def __init__(self, request: ReplayRequest, store: ProgramStore, clock: Callable[[], float] | None = None) -> None:
        self.request = request
        self.clock = clock
        self._store = store
        self._patterns: dict[str, Pattern] = {}
        self._expectations: dict[Path, tuple[Expectation, ...]] = {}
        for text in request.ignore or ():
            self._pattern(text)

    def results(
        self, bundles: Iterable[BundlePath], on_event: Callable[[], None] | None = None
    ) -> Iterator[BundleResult]:
        """Yield one result per bundle; faults of a bundle are in its result.

        Raises UsageError and ProjectError, which are not about a bundle.
        """
        for bundle in bundles:
            begun = None if self.clock is None else self.clock()
            result = replay(bundle.path, partial(self.assign, self._flags(bundle)), on_event)
            yield result if self.clock is None or begun is None else replace(result, seconds=self.clock() - begun)

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

    def assign(self, flags: ProgramFlags, reader: BundleReader) -> Assignment:
        """What a bundle is replayed with. Raises ErgoError as ``find_for_bundle``."""
        found = find_for_bundle(reader, flags, self._store)
        target, options = Target(found.program, found.adapter), self._options(found)
        recall = partial(_program_of_capture, reader, found.program, self._store)
        changes = partial(_changes, found, self._store)
        files = (*found.files, *(str(project.file) for project in _projects(found)))
        expected = self._expected(found.project or (None if found.profile is None else found.profile.project))
        return Assignment(
            target,
            options,
            recall,
            found.rule,
            (*found.notices, *_of_itself(found)),
            changes,
            found.program_file,
            tuple(dict.fromkeys(files)),
            expected,
        )

    def _expected(self, project: Project | None) -> tuple[Expectation, ...]:
        if project is None or not project.expects:
            return ()
        if project.file not in self._expectations:
            from ergo_cli.replay.expected import expectations_of  # imported here: most projects expect nothing

            self._expectations[project.file] = expectations_of(project, self.request.today)
        return self._expectations[project.file]

    def _flags(self, bundle: BundlePath) -> ProgramFlags:
        flags = self.request.flags
        return flags if bundle.profile is None else replace(flags, profile=bundle.profile)

    def _options(self, found: FoundProgram) -> ReplayOptions:
        asked, profile, project = self.request, found.profile, found.project
        settings = profile or project
        ignore = asked.ignore if asked.ignore is not None else settings.ignore if settings is not None else ()
        return ReplayOptions(
            strict=asked.strict,
            ignore=tuple(self._pattern(text) for text in ignore),
            max_divergences=asked.max_divergences,
            numbers=numbers_for(found, asked.numbers),
            window=asked.window,
            fail_on=asked.fail_on,
        )

    def _pattern(self, text: str) -> Pattern:
        """One pattern for each text, so that a match in any bundle counts."""
        if text not in self._patterns:
            [self._patterns[text]] = parse_patterns([text])
        return self._patterns[text]


def _projects(found: FoundProgram) -> Iterator[Project]:
    if found.project is not None:
        yield found.project
    if found.profile is not None:
        yield found.profile.project


def found_by(reader: BundleReader, flags: ProgramFlags, store: ProgramStore) -> str | None:
    """The rule that would find the program of a bundle; None where none does."""
    try:
        return find_program_for_replay(recorded_program(reader), flags, store).rule
    except ErgoError:
        return None


def both_programs(reader: BundleReader, flags: ProgramFlags, store: ProgramStore, numbers: Numbers | None) -> Assigned:
    """Today's program of a bundle and that of its capture. Raises as ``find_for_bundle``."""
    return _both(reader, find_for_bundle(reader, flags, store), store, numbers)


def programs_and_changes(
    reader: BundleReader, flags: ProgramFlags, store: ProgramStore, numbers: Numbers | None
) -> tuple[Assigned, Changes]:
    """Both programs of a bundle, and what changed from the one to the other. Raises as ``find_for_bundle``."""
    found = find_for_bundle(reader, flags, store)
    both = _both(reader, found, store, numbers)
    return both, _changes(found, store, reader, both.recorded, in_code=True)


def _both(reader: BundleReader, found: FoundProgram, store: ProgramStore, numbers: Numbers | None) -> Assigned:
    recorded = _program_of_capture(reader, found.program, store)
    return Assigned(
        found.program,
        numbers_for(found, numbers),
        recorded,
        found.notices,
        found.rule,
        found.all_files,
        found.adapter,
    )


def one_decision(path: str, request: ReplayRequest, store: ProgramStore, seq: int) -> BundleResult:
    """The decision of a bundle at ``seq`` compared alone. Raises what refuses the bundle."""
    return compared(path, replace(request, window=Window(seq, seq)), store)


def compared(path: str, request: ReplayRequest, store: ProgramStore) -> BundleResult:
    """One bundle compared. Raises what refuses it."""
    [result] = ReplaySession(request, store).results([BundlePath(path)])
    if result.error is not None:
        raise result.error
    return result


def _of_itself(found: FoundProgram) -> Iterator[Notice]:
    """A warning where a bundle is compared with what its own program decides: no program of today is tested."""
    if found.is_recorded:
        message = (
            f"the program of the capture itself was replayed, found as {found.rule}, not a program of today: "
            "name that with --graph FILE, or run in its project"
        )
        yield Notice(message)


def numbers_for(found: FoundProgram, asked: Numbers | None) -> Numbers:
    """How the payloads of a bundle are read: as asked, else as the profile or the project has it."""
    settings = found.profile or found.project
    return asked or (settings.numbers if settings is not None else None) or Numbers.EXACT


def recorded_program(reader: BundleReader) -> RecordedProgram:
    """What a bundle says of its program."""
    program, is_textual = reader.program, reader.kind_name == TEXTUAL
    return RecordedProgram(
        Path(reader.path),
        reader.graph_id,
        reader.runtime_provenance,
        reader.adapter_provenance,
        () if program is None or not is_textual else program.sources or (),
        None if program is None or is_textual else program.ref,
    )


def find_for_bundle(reader: BundleReader, flags: ProgramFlags, store: ProgramStore) -> FoundProgram:
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


def _program_of_capture(reader: BundleReader, today: AnyProgram, store: ProgramStore) -> AnyProgram | None:
    """The program that made the bundle, where it is not today's and its texts are known (spec 00 §3 rule 3)."""
    recorded = recorded_program(reader)
    if today.kind.name != TEXTUAL or today.provenance == recorded.runtime_provenance:
        return None
    kept = store.find(recorded.runtime_provenance, recorded.adapter_provenance)
    sources = kept if isinstance(kept, tuple) else recorded.sources
    from ergo_cli.project.loading import load_program_from_sources  # imported here: a match does not need it

    try:
        program = load_program_from_sources(sources, today.value.inventory).program
    except (ErgoError, ValueError):
        return None
    return program if program.provenance == recorded.runtime_provenance else None


def _changes(
    found: FoundProgram, store: ProgramStore, reader: BundleReader, recorded: AnyProgram | None, in_code: bool
) -> Changes:
    """What changed since the capture; nothing is read where both fingerprints are today's, and no code is suspected."""
    same_adapter = reader.adapter_provenance == adapter_provenance(found.adapter)
    if not in_code and same_adapter and reader.runtime_provenance == found.program.provenance:
        return Changes()
    from ergo_cli.replay.program_changes import changes_since  # imported here: a match does not need it

    return changes_since(reader, found, recorded, store)
