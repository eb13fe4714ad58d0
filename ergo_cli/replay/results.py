"""Options and results of a replay or a diff (spec 00 §7, §12.7–8)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from enum import Enum

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.bundle.inspection import DecisionCounts
from ergo_cli.core.diagnostics import Notice, counted
from ergo_cli.core.json import JsonValue
from ergo_cli.core.levels import FailOn, Level
from ergo_cli.core.numbers import Numbers
from ergo_cli.errors import ErgoError, ReplayError
from ergo_cli.events.adapter import Adapter
from ergo_cli.host.failures import FailureSummary
from ergo_cli.programs.causes import Cause
from ergo_cli.programs.changes import Change
from ergo_cli.programs.pictures import Picture
from ergo_cli.programs.program import AnyProgram
from ergo_cli.programs.recorded import JournalDifference, LogDifference
from ergo_cli.project.project_file import Expect
from ergo_cli.replay.level_counts import LevelCounts
from ergo_cli.replay.paths import Pattern


class DivergenceKind(Enum):
    """What differs."""

    DECISION = "decision"
    TERMINATION = "termination"
    DECISION_MISSING = "decision_missing"
    DECISION_EXTRA = "decision_extra"
    EFFECT_CHANGED = "effect_changed"
    EFFECT_MISSING = "effect_missing"
    EFFECT_EXTRA = "effect_extra"
    EFFECT_ORDER = "effect_order"
    JOURNAL = "journal"
    PROGRAM = "program"
    EVENT_MISSING = "event_missing"
    EVENT_EXTRA = "event_extra"
    EVENT_MOVED = "event_moved"
    EVENT_CHANGED = "event_changed"
    HEADER = "header"
    EVIDENCE = "evidence"


Key = tuple[str | None, int]
"""An event id and how many earlier events have the same one."""

BUNDLE_EDITED = "bundle_edited"
"""The cause of a difference in an effect whose recorded hash is not its own: the bundle was changed by hand."""

PRIMITIVE_CODE = "primitive_code"
"""The cause of a difference in what the code of an own primitive decides: no fingerprint covers that code."""

MEMORY = "memory"
"""The cause of a difference of an event whose memory is another: what earlier events left behind for it."""

EFFECT_KINDS = frozenset(
    {
        DivergenceKind.EFFECT_CHANGED,
        DivergenceKind.EFFECT_MISSING,
        DivergenceKind.EFFECT_EXTRA,
        DivergenceKind.EFFECT_ORDER,
    }
)


class MemorySince(Struct, frozen=True):
    """A member of the context that differs, and the first event since which it does, with its occurrence."""

    key: str
    event_id: str
    occurrence: int = 0


class Divergence(Struct, frozen=True):
    """One difference between what was recorded and what came out now (in a diff: between A and B)."""

    seq: int
    """Position in the decision stream, from 0: of the recording, for an extra of the other side."""
    event_id: str | None
    episode_id: int | None
    kind: DivergenceKind
    path: str
    """Inside the decision: ``effects[0].writes[1].value.Number``; empty where the whole decision or event is meant.

    Of a journal: ``journals[0].records[1].event.ActionRequested.payload``.
    """
    expected: JsonValue
    """What the recording (A) has; None where it has nothing."""
    actual: JsonValue
    """What came out now (what B has); None where there is nothing."""
    occurrence: int = 0
    """How many earlier events have the same id."""
    code: str | None = None
    """What the original would have called it; None in a diff."""
    node: str | None = None
    """Authoring path of the action that made the effect; in a journal the step or the action."""
    origin: str | None = None
    """Authoring path of the first node whose output differs from the recorded program's."""
    cause: str | None = None
    """``numbers``, ``program_changed``, ``adapter_changed``, ``primitive_code``, ``bundle_edited``, ``memory``, or a
    log's kind.

    None where it is not known. The kinds are those of 40 §9.2.
    """
    log: LogDifference | None = None
    """Of a journal: the difference in full."""
    journal: JournalDifference | None = None
    """Of a journal: the difference as its kind found it."""
    level: Level = Level.DECISION
    effect: JsonValue = None
    """Of a changed effect: the recorded one, whole."""
    changes: tuple[int, ...] = ()
    """Which of the bundle's changes, by number from 0, its value depends on."""
    chain: Cause | None = None
    """What stands behind its node; of the first decision that differs, where the program of the capture can be run."""
    place: tuple[str, int | None] | None = None
    """File and line of today's program where the value is made: of the origin, else of the node; None if unknown."""
    expected_by: int | None = None
    """Which of the bundle's expectations takes it, by number from 0; None where it is not expected."""
    memory: tuple[MemorySince, ...] = ()
    """The members of the context that its event reads, and that differ."""
    by_key: tuple[Divergence, ...] | None = None
    """What text reports show in its place: the differences of its decision's effects, paired by key and kind.

    The first difference of the effects has them all, the others none; None where both pairings are the same.
    """


class ExpectedHere(Struct, frozen=True):
    """What one ``[[expect]]`` of the project found in a bundle: how many divergences it took.

    ``fits``: it names this bundle; ``bundles`` are all that it names, by their real paths, ascending.
    ``is_past``: its day is over.
    """

    expect: Expect
    fits: bool
    is_past: bool
    count: int
    bundles: tuple[str, ...]


def with_pairs_by_key(found: Iterable[Divergence], by_key: Sequence[Divergence] | None) -> Iterator[Divergence]:
    """The differences of one decision, those of its effects with what text reports show in their place."""
    shown = None if by_key is None else tuple(by_key)
    for divergence in found:
        if shown is None or divergence.kind not in EFFECT_KINDS:
            yield divergence
            continue
        yield replace(divergence, by_key=shown)
        shown = ()


def as_shown(divergences: Iterable[Divergence]) -> list[Divergence]:
    """The differences as text reports show them: those of effects paired by key and kind."""
    pairs = ((each,) if each.by_key is None else each.by_key for each in divergences)
    return [divergence for pair in pairs for divergence in pair]


def replay_code(kind: DivergenceKind) -> str:
    """The original's code for a divergence of a replay."""
    if kind in EFFECT_KINDS:
        return "replay.effect_mismatch"
    if kind is DivergenceKind.PROGRAM:
        return "replay.host_step_failed"
    if kind is DivergenceKind.JOURNAL:
        return "replay.journal_mismatch"
    return "replay.decision_mismatch"


class Divergences:
    """Collects divergences in the order of their decisions: counts all by level, keeps the first ``limit``."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.count = 0
        self.decisions = 0
        """How many decisions differ."""
        self.kept: list[Divergence] = []
        self._levels = dict.fromkeys(Level, 0)
        self._last: Key | None = None

    @property
    def levels(self) -> LevelCounts:
        """How many there are of each level."""
        return LevelCounts(*self._levels.values())

    @property
    def full(self) -> bool:
        """Whether further divergences are only counted."""
        return len(self.kept) >= self.limit

    def add(self, divergence: Divergence) -> None:
        """Count one more; keep it while there is room."""
        self.only_count((divergence.event_id, divergence.occurrence), (divergence.level,))
        if not self.full:
            self.kept.append(divergence)

    def only_count(self, key: Key, levels: Collection[Level]) -> None:
        """Count the differences of one decision; ``key`` is its event id and occurrence, without id of none."""
        if not levels:
            return
        self.count += len(levels)
        for level in levels:
            self._levels[level] += 1
        if key != self._last and key[0] is not None:
            self.decisions += 1
        self._last = key


class Window(Struct, frozen=True):
    """The decisions to compare, by their places from 0, both inclusive; None has no bound. ``event`` names one instead.

    Decisions before are stepped all the same, since later ones may depend on them; nothing behind it is.
    """

    first: int | None = None
    last: int | None = None
    event: str | None = None

    def holds(self, seq: int) -> bool:
        """Whether the decision at a place is to be compared."""
        return (self.first or 0) <= seq and (self.last is None or seq <= self.last)


WHOLE = Window()
"""Every decision, and what closing the program recorded."""


class ReplayOptions(Struct, frozen=True):
    """How to compare: ``ignore`` leaves parts of decisions out, ``max_divergences`` bounds what is listed.

    ``window`` leaves all decisions out but some. ``fail_on`` says which differences fail the replay: the others are in
    the result all the same.
    """

    strict: bool = True
    ignore: tuple[Pattern, ...] = ()
    max_divergences: int = 1000
    numbers: Numbers = Numbers.EXACT
    window: Window = WHOLE
    fail_on: FailOn = FailOn.ANY


class Target(Struct, frozen=True):
    """The program a bundle is replayed with; ``recorded`` is the program of the capture where it is known.

    ``newer_numbers`` says that effects are hashed as originals with a newer serde_json do.
    """

    program: AnyProgram
    adapter: Adapter | None = None
    recorded: AnyProgram | None = None
    newer_numbers: bool = False


class Outcome(Enum):
    """How a comparison ended."""

    MATCH = "match"
    DIVERGED = "diverged"
    REFUSED = "refused"


class Episode(Struct, frozen=True):
    """One decision in short: the context that a text report shows before the first divergence."""

    seq: int
    event_id: str
    episode_id: int
    decision: str
    termination: str | None
    effects: int
    texts: tuple[bytes, ...] = ()
    """The compact JSON of its effects."""


class Changes(Struct, frozen=True):
    """What changed since a capture, and notices where that is not known."""

    found: tuple[Change, ...] = ()
    notices: tuple[Notice, ...] = ()


class BundleResult(Struct, frozen=True):
    """One bundle's result; ``events`` and ``decisions`` are None where it was refused before anything ran.

    ``base`` is A of a diff. ``divergence_count`` and ``levels`` are exact, ``divergences`` holds the first of them.
    """

    path: str
    outcome: Outcome
    error: ErgoError | None = None
    events: int | None = None
    decisions: DecisionCounts | None = None
    warnings: tuple[Notice, ...] = ()
    divergence_count: int = 0
    divergences: tuple[Divergence, ...] = ()
    graph_id: str | None = None
    base: str | None = None
    differing: int = 0
    """How many decisions differ, exactly."""
    before_first: tuple[Episode, ...] = ()
    """The episodes before the first divergence, at most three."""
    found_by: str | None = None
    """Which rule found the program (spec 00 §3)."""
    failures: FailureSummary = FailureSummary()
    """Why episodes fail today that did not fail so when they were recorded."""
    changes: tuple[Change, ...] = ()
    """What differs between the program of the capture and today's."""
    window: Window = WHOLE
    """Which decisions were compared; ``events`` and ``decisions`` count those alone."""
    levels: LevelCounts = LevelCounts()
    """How many divergences there are of each level."""
    fail_on: FailOn = FailOn.ANY
    """Which of them fail the comparison."""
    expects: tuple[ExpectedHere, ...] = ()
    """What the project expects, in the order of its file."""
    expected: LevelCounts = LevelCounts()
    """How many divergences of each level are expected."""
    says_why: bool = False
    """Whether the kind of its program can say what is behind its records."""
    program_file: str | None = None
    """The file that defines today's program, where it is one."""
    files: tuple[str, ...] = ()
    """The files that were read to find and load that program."""
    fingerprint: str | None = None
    """The fingerprint of today's program, and that of its adapter; None where none was found."""
    seconds: float | None = None
    """How long it took, by the clock of the caller; None without one."""
    picture: Picture | None = None
    """Today's program as a picture, where both sides differ and its kind has one; None of a diff."""

    @property
    def passes(self) -> bool:
        """Whether both sides are equal, or differ less than ``fail_on`` says."""
        match self.outcome:
            case Outcome.MATCH:
                return True
            case Outcome.REFUSED:
                return False
            case Outcome.DIVERGED:
                is_open = self.fail_on is not FailOn.ANY or bool(self.expected)
                return is_open and not self.levels.without(self.expected).reach(self.fail_on)


def failure(result: BundleResult) -> ErgoError | None:
    """The error of a result that does not pass: its own, else a ReplayError for its divergences."""
    if result.passes:
        return None
    if result.outcome is not Outcome.DIVERGED:
        return result.error
    first = result.divergences[0] if result.divergences else None
    code = replay_code(DivergenceKind.DECISION if first is None else first.kind)
    divergences = counted(result.divergence_count, "divergence")
    message = f"{result.path}: the program does not decide as it was recorded: {divergences}"
    fix = "look at the divergences of the result; capture again if the new decisions are right"
    if first is None:
        return ReplayError(code, message, fix=fix)
    where = f"decision {first.seq}, event '{first.event_id}' {first.path}".rstrip()
    details = (f"expected: {first.expected}", f"got: {first.actual}")
    return ReplayError(code, message, where=where, fix=fix, details=details)
