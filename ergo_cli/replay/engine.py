"""Replay: today's program driven from recorded bundles; one iterator under every way to ask for it (spec 11 §12–13)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from os import PathLike, fspath
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.bundle.journals import BundleJournals
from ergo_cli.bundle.memory import CaptureBundle
from ergo_cli.bundle.reader import BundleReader, skim_bundle
from ergo_cli.core.diagnostics import Notice
from ergo_cli.errors import ErgoError, ProjectError, UsageError
from ergo_cli.events.adapter import adapter_provenance
from ergo_cli.programs.pictures import DrawsPrograms, Picture
from ergo_cli.programs.program import AnyProgram
from ergo_cli.replay.byte_match import match_bytes
from ergo_cli.replay.number_form import in_form_of
from ergo_cli.replay.preflight import (
    PROGRAM_CHANGES,
    Scan,
    check_comparable,
    check_kind,
    scan_bundle,
    scan_value,
)
from ergo_cli.replay.results import WHOLE, BundleResult, Changes, Outcome, ReplayOptions, Target, failure

if TYPE_CHECKING:
    from ergo_cli.replay.expected import Expectation

Bundle = str | PathLike[str] | CaptureBundle
"""A bundle by the path of its file, or as a value."""

IN_MEMORY = "<bundle>"
"""The name in errors of a bundle that is not a file."""


FindChanges = Callable[[BundleReader, AnyProgram | None, bool], Changes]
"""What changed since a bundle's capture, given its program, None where it is not known.

The last argument is whether code that no fingerprint covers may decide otherwise than it did.
"""


def no_changes(reader: BundleReader, recorded: AnyProgram | None, in_code: bool) -> Changes:
    """Nothing: for callers who give the program themselves."""
    return Changes()


class Assignment(Struct, frozen=True):
    """What one bundle is replayed with. ``recall`` gives the program of its capture, where that is known.

    ``changes`` says what differs since a bundle's capture. ``rule`` says which rule found the program (spec 00 §3),
    ``notices`` what finding it had to say, ``program_file`` and ``files`` where it is.
    """

    target: Target
    options: ReplayOptions
    recall: Callable[[], AnyProgram | None]
    rule: str | None = None
    notices: tuple[Notice, ...] = ()
    changes: FindChanges = no_changes
    program_file: str | None = None
    files: tuple[str, ...] = ()
    expected: tuple[Expectation, ...] = ()

    @property
    def looking_at(self) -> ReplayOptions:
        """The options of the comparison itself: where some divergences are expected, more are looked at than kept."""
        if not self.expected:
            return self.options
        from ergo_cli.replay.expected import MOST_LOOKED_AT  # imported here: most projects expect nothing

        return replace(self.options, max_divergences=max(self.options.max_divergences, MOST_LOOKED_AT))


Assign = Callable[[BundleReader], Assignment]
OnEvent = Callable[[], None]


def replay_bundle(
    bundle: Bundle, target: Target, options: ReplayOptions = ReplayOptions(), *, raise_on_failure: bool = False
) -> BundleResult:
    """Replay one bundle and compare.

    Whatever is wrong with it is in the result's ``error``; with ``raise_on_failure`` it is raised, and so is a
    divergence, as ReplayError.
    """
    [result] = replay_bundles([bundle], lambda reader: target, options, raise_on_failure=raise_on_failure)
    return result


def replay_bundles(
    bundles: Iterable[Bundle],
    find: Callable[[BundleReader], Target],
    options: ReplayOptions = ReplayOptions(),
    *,
    raise_on_failure: bool = False,
) -> list[BundleResult]:
    """The results of ``iter_replays``, all at once."""
    return list(iter_replays(bundles, find, options, raise_on_failure=raise_on_failure))


def iter_replays(
    bundles: Iterable[Bundle],
    find: Callable[[BundleReader], Target],
    options: ReplayOptions = ReplayOptions(),
    *,
    raise_on_failure: bool = False,
) -> Iterator[BundleResult]:
    """Replay bundles one by one, each with the program that ``find`` gives for it. Raises as ``replay_bundle``."""

    def assign(reader: BundleReader) -> Assignment:
        target = find(reader)
        return Assignment(target, options, lambda: target.recorded)

    for bundle in bundles:
        result = replay(bundle, assign)
        error = failure(result) if raise_on_failure else None
        if error is not None:
            raise error
        yield result


def replay(bundle: Bundle, assign: Assign, on_event: OnEvent | None = None) -> BundleResult:
    """Replay one bundle: find the program once, match bytes, else check and compare in full.

    ``on_event`` is called after each event. Raises UsageError and ProjectError, which are not about the bundle.
    """
    find = _Once(assign)
    try:
        result = _matched(bundle, find, on_event) or _compared(bundle, find, on_event)
    except (UsageError, ProjectError):
        raise
    except ErgoError as error:
        return BundleResult(_label(bundle), Outcome.REFUSED, error)
    found = find.found
    assert found is not None, "a result needs a program"
    warnings = found.notices + result.warnings
    result = replace(
        result,
        found_by=found.rule,
        warnings=warnings,
        fail_on=found.options.fail_on,
        program_file=found.program_file,
        files=found.files,
        fingerprint=f"{found.target.program.provenance} {adapter_provenance(found.target.adapter)}",
        picture=_picture(found.target.program) if result.outcome is Outcome.DIVERGED else None,
    )
    if not found.expected:
        return result
    from ergo_cli.replay.expected import with_expected  # imported here: most projects expect nothing

    return with_expected(result, found.expected, found.options.max_divergences)


def _picture(program: AnyProgram) -> Picture | None:
    """The picture of a program, where its kind has one and it is valid."""
    kind = program.kind
    if not isinstance(kind, DrawsPrograms):
        return None
    try:
        return kind.picture(program.value)
    except ErgoError:  # what is wrong with it is a difference already
        return None


def _matched(bundle: Bundle, find: _Once, on_event: OnEvent | None) -> BundleResult | None:
    """The result of the fast path, or None; any error is left to the full path to report."""
    if isinstance(bundle, CaptureBundle):
        return None
    with suppress(ErgoError), skim_bundle(fspath(bundle)) as reader:
        found = find(reader)
        if found.options.window != WHOLE:
            return None
        return match_bytes(reader, found.target, found.options, on_event)
    return None


def _compared(bundle: Bundle, find: _Once, on_event: OnEvent | None) -> BundleResult:
    """Check, replay and compare; what refuses the comparison is in the result, which knows the bundle's graph then."""
    scan = _scan(bundle)
    found = find(scan.reader)
    options, target = found.looking_at, in_form_of(scan.reader, replace(found.target, recorded=found.recall()))
    check_kind(scan.reader, target.program, strict=options.strict)
    if options.window != WHOLE:
        from ergo_cli.replay.windows import window_in  # imported here: most replays compare everything

        window = window_in(scan, options.window)
        if isinstance(window, ErgoError):
            return BundleResult(scan.reader.path, Outcome.REFUSED, window, graph_id=scan.reader.graph_id)
        options = replace(options, window=window)
    from ergo_cli.replay.comparison import Comparison  # imported here: a byte match does not need them
    from ergo_cli.replay.reaching import differs_in_code, with_changes, with_places

    journals = BundleJournals(scan.reader)
    try:
        warnings = check_comparable(scan, journals, target, strict=options.strict)
    except ErgoError as error:
        is_of_change = error.code in PROGRAM_CHANGES
        return _refused(scan, error, found.changes(scan.reader, target.recorded, False) if is_of_change else Changes())
    try:
        comparison = Comparison(scan, journals, target, options, on_event)
    except ErgoError as error:
        return _refused(scan, error, found.changes(scan.reader, target.recorded, False))
    result = comparison.run(warnings)
    changes = found.changes(scan.reader, target.recorded, differs_in_code(result))
    return with_places(with_changes(result, changes, target.program), target.program)


def _refused(scan: Scan, error: ErgoError, changes: Changes) -> BundleResult:
    return BundleResult(
        scan.reader.path,
        Outcome.REFUSED,
        error,
        warnings=changes.notices,
        graph_id=scan.reader.graph_id,
        changes=changes.found,
    )


def _scan(bundle: Bundle) -> Scan:
    return scan_value(bundle, IN_MEMORY) if isinstance(bundle, CaptureBundle) else scan_bundle(fspath(bundle))


def _label(bundle: Bundle) -> str:
    return IN_MEMORY if isinstance(bundle, CaptureBundle) else fspath(bundle)


class _Once:
    """Finds the program of one bundle once for all paths; an error is raised again on each call."""

    def __init__(self, assign: Assign) -> None:
        self._assign = assign
        self._error: ErgoError | None = None
        self.found: Assignment | None = None

    def __call__(self, reader: BundleReader) -> Assignment:
        if self._error is not None:
            raise self._error
        if self.found is None:
            try:
                self.found = self._assign(reader)
            except ErgoError as error:
                self._error = error
                raise
        return self.found
