"""The ``ergo.report/1`` document: one shape for every command, members in wire order; its outcomes and exit codes.

Spec 00 §7, §12.8.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from ergo_cli.bundle.inspection import DecisionCounts, Inspection
from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.json import JsonValue, without_controls
from ergo_cli.errors import ErgoError
from ergo_cli.replay.level_counts import LevelCounts
from ergo_cli.signals import INTERRUPTED

SCHEMA = "ergo.report/1"

USAGE = 2
NOTHING_TO_DO = 5
BROKEN = 7
DEFECT = 70

_GRAVEST_FIRST = (INTERRUPTED, DEFECT, 6, USAGE, 3, 4, 7, 1, NOTHING_TO_DO, 0)


def gravest(codes: Iterable[int]) -> int:
    """The exit code that takes precedence over the others; 0 if there is none."""
    return min(codes, key=_GRAVEST_FIRST.index, default=0)


def failure_outcome(code: int) -> str:
    """The outcome of a command that ended with an error of this exit code."""
    match code:
        case 130 | 7:
            return "interrupted"
        case 6 | 70:
            return "failed"
        case 5:
            return "empty"
        case _:
            return "refused"


class ErrorDocument(Struct, frozen=True):
    """An error; ``causes`` have the same shape."""

    code: str
    rule: str | None
    message: str
    where: str | None
    fix: str | None
    details: tuple[str, ...]
    causes: tuple[ErrorDocument, ...]


class DivergenceDocument(Struct, frozen=True, omit_defaults=True):
    """One difference (spec 00 §12.7); ``changes`` are the numbers of the bundle's changes that reach it, if any do.

    ``state`` has the members of a state that differ, ``state_before`` those that were looked at before a record that
    differs, by their paths, as far as they are known. ``facts`` are the lines that text reports show, values cut.
    ``place`` is where today's program makes the value. ``memory`` has the members of the context that its event reads
    and that differ.
    """

    seq: int
    event_id: str | None
    episode_id: int | None
    occurrence: int
    kind: str
    level: str
    code: str | None
    path: str
    expected: JsonValue
    actual: JsonValue
    node: str | None
    origin: str | None
    cause: str | None
    changes: tuple[int, ...] = ()
    expected_by: int | None = None
    state: dict[str, SidesDocument] = {}
    state_before: dict[str, JsonValue] = {}
    facts: tuple[str, ...] = ()
    place: LineDocument | None = None
    memory: tuple[MemoryDocument, ...] = ()


class ExpectDocument(Struct, frozen=True):
    """What the project expects to differ until a day, and how many divergences of all bundles were as expected."""

    where: str
    bundle: str
    kind: str | None
    node: str | None
    path: str | None
    until: str
    why: str
    count: int


class MemoryDocument(Struct, frozen=True):
    """A member of the context that differs, and the first event since which it does."""

    key: str
    event_id: str
    occurrence: int


class SidesDocument(Struct, frozen=True):
    """A value on both sides; null where one has none."""

    expected: JsonValue
    actual: JsonValue


class LineDocument(Struct, frozen=True):
    """A place in a file of the program; ``file`` is relative where it is below the current folder."""

    file: str
    line: int | None


class PlaceDocument(Struct, frozen=True):
    """A line of the user's code; ``file`` is relative where it is below the current folder."""

    file: str
    line: int
    function: str


class FailureDocument(Struct, frozen=True):
    """The failures of one cause: ``count`` of them, from the first event to the last; null after the last event.

    ``error`` is the type of the exception or the code of the broken rule, ``where`` the place that the first error
    named, ``frames`` the user's lines that led to it, the innermost first.
    """

    count: int
    event_id: str | None
    last_event_id: str | None
    termination: str
    error: str | None
    message: str | None
    node: str | None
    place: PlaceDocument | None
    where: str | None
    frames: tuple[PlaceDocument, ...]


class ChangeDocument(Struct, frozen=True):
    """A part of the program that is another than when the bundle was captured.

    ``nodes`` are the parts of today's program that it is in; ``idle``: it can decide nothing; ``without_effect``: it
    reaches none of the divergences.
    """

    layer: str
    change: str
    subject: str
    before: str | None
    after: str | None
    file: str | None
    line: int | None
    nodes: tuple[str, ...]
    idle: bool
    without_effect: bool


class WindowDocument(Struct, frozen=True):
    """The decisions that were compared, by their places from 0, both inclusive; null has no bound."""

    first: int | None
    last: int | None


class BundleDocument(Struct, frozen=True, kw_only=True):
    """The result of one bundle; only ``diff`` writes ``base``.

    Only a replay writes ``failures``, episodes that fail today, and ``changes``, the differences from the capture's
    program, and ``window``, where not every decision was compared. ``levels`` counts the divergences of each level,
    where there are any. What differs or is refused has ``program``, the file that defines today's program, if it is
    one, and ``reproduce``, the command that compares this bundle alone.
    """

    path: str
    base: str | UnsetType = UNSET
    outcome: str
    error: ErrorDocument | None
    events: int | None
    decisions: DecisionCounts | None
    warnings: tuple[str, ...]
    divergence_count: int
    divergences: tuple[DivergenceDocument, ...]
    levels: LevelCounts | UnsetType = UNSET
    expected: LevelCounts | UnsetType = UNSET
    failures: tuple[FailureDocument, ...] | UnsetType = UNSET
    changes: tuple[ChangeDocument, ...] | UnsetType = UNSET
    window: WindowDocument | UnsetType = UNSET
    program: str | UnsetType = UNSET
    reproduce: str | UnsetType = UNSET


class WrittenDocument(Struct, frozen=True):
    """The earlier event whose episode wrote a member of the context."""

    event_id: str
    seq: int


class RaisedDocument(Struct, frozen=True):
    """How a part failed, and the line of the user's code where it did."""

    message: str
    place: PlaceDocument | None


class CauseDocument(Struct, frozen=True):
    """One step of the chain behind a value, with its sources; ``event`` is the earlier one that it is of.

    ``written_by`` is the event that wrote the member of the context, ``alike`` how many between the two came about the
    same way and are left out; ``is_parting``: its write is the first that differs. ``is_unset``: nothing set it yet.
    ``payload_path`` is the place of the payload that the adapter gives it, ``is_default``: there is nothing.
    """

    part: str
    role: str
    recorded: str | None
    today: str | None
    differs: bool
    made: str
    key: str | None
    file: str | None
    line: int | None
    is_change: bool
    rewired: str
    is_repeated: bool
    is_unknown: bool
    event: WrittenDocument | None
    written_by: WrittenDocument | None
    alike: int
    is_parting: bool
    is_unset: bool
    payload_path: str | None
    is_default: bool
    recorded_failure: RaisedDocument | None
    today_failure: RaisedDocument | None
    sources: tuple[CauseDocument, ...]


class WhyDocument(Struct, frozen=True):
    """Why a node did what it did in one episode: its effects on both sides, and the chain behind it.

    ``memory`` says which event wrote the members of the context that the chain reads; ``knows_capture``: the chain has
    the values of the capture's program. ``changes`` are the differences from it.
    """

    event_id: str | None
    seq: int
    occurrence: int
    node: str
    recorded: tuple[JsonValue, ...]
    actual: tuple[JsonValue, ...]
    memory: dict[str, WrittenDocument]
    knows_capture: bool
    chain: CauseDocument
    failures: tuple[FailureDocument, ...] | UnsetType = UNSET
    changes: tuple[ChangeDocument, ...] | UnsetType = UNSET


class ShrinkDocument(Struct, frozen=True, kw_only=True):
    """The smallest stream that was found: its ``events``, of ``events_before``, in the file ``output``.

    ``stopped`` says why there may be a smaller one: ``max_tries``, ``max_seconds``, ``hung`` or ``interrupted``; null:
    nothing of it can go. ``tries`` counts all, ``event_tries`` those before payloads, ``hung`` those given up. A bundle
    has ``divergence``, the first one of the result, and the ``changes`` since its capture; a stream has ``command`` and
    ``status``, its exit code there, negative for a signal.
    """

    path: str
    output: str
    test: str | None
    events_before: int
    events: int
    tries: int
    event_tries: int
    hung: int
    stopped: str | None
    divergence: DivergenceDocument | None = None
    changes: tuple[ChangeDocument, ...] = ()
    command: tuple[str, ...] | None = None
    status: int | None = None


class CommitDocument(Struct, frozen=True):
    """A commit of a git repository: its id, whole and abbreviated, and what it says of itself."""

    commit: str
    short: str
    subject: str
    author: str
    author_date: str


class SkippedCommitDocument(CommitDocument, frozen=True):
    """A commit that cannot be run, and why."""

    error: ErrorDocument


class AcceptedGroupDocument(Struct, frozen=True):
    """A group of divergences of one bundle: what they have in common, how many there are, whether it is accepted.

    ``kind`` is ``fingerprint`` where nothing is decided otherwise, ``unlisted`` for those that are counted only.
    """

    kind: str
    node: str | None
    path: str | None
    count: int
    accepted: bool


class AcceptedBundleDocument(Struct, frozen=True):
    """A bundle that differs: ``accepted``, ``left`` as it was, or ``waiting`` for an answer.

    ``sha256`` is that of its new file, ``was`` that of the old one; ``rebound`` counts the events that hold other
    values of the context.
    """

    path: str
    state: str
    sha256: str | None
    was: str
    rebound: int
    groups: tuple[AcceptedGroupDocument, ...]
    failures: tuple[FailureDocument, ...] | UnsetType = UNSET


class AcceptDocument(Struct, frozen=True):
    """What became of the bundles that differ, and the files that say who accepted what."""

    bundles: tuple[AcceptedBundleDocument, ...]
    logs: tuple[str, ...]


class RedactedPathDocument(Struct, frozen=True):
    """A path to redact, and how many values it found."""

    path: str
    matches: int


class RedactedPlaceDocument(Struct, frozen=True):
    """A place that is recorded otherwise since values are redacted; without its values, which may be secrets."""

    seq: int
    event_id: str | None
    kind: str
    path: str | None


class RedactionDocument(Struct, frozen=True):
    """A bundle that was recorded anew with redacted events.

    ``values`` were replaced in ``changed_events`` of its ``events``. ``difference_count`` counts what is recorded
    otherwise beside the events, ``differences`` lists the first of it. ``same_program``: today's made the bundle.
    """

    path: str
    output: str
    events: int
    changed_events: int
    values: int
    paths: tuple[RedactedPathDocument, ...]
    difference_count: int
    differences: tuple[RedactedPlaceDocument, ...]
    same_program: bool


class BisectionDocument(Struct, frozen=True):
    """Which commit made a bundle differ.

    ``commit`` is null where several ``candidates`` are left, or where nothing differs at ``bad``; ``changes`` and
    ``files`` are those from the first parent of the first candidate to the last one. ``good`` is the commit that the
    search began at, ``replays`` counts the commits that ran.
    """

    commit: CommitDocument | None
    candidates: tuple[CommitDocument, ...]
    divergence: DivergenceDocument | None
    changes: tuple[ChangeDocument, ...]
    files: tuple[str, ...]
    good: CommitDocument | None
    bad: CommitDocument
    replays: int
    skipped: tuple[SkippedCommitDocument, ...]


class InterruptionDocument(Struct, frozen=True, omit_defaults=True):
    """Why a run ended early (spec 30 §13.1); members that do not apply are left out."""

    code: str
    channel: str | None = None
    intent_id: str | None = None


class RecoveryDocument(Struct, frozen=True):
    """What a journal holds: the committed ``events``, and intents whose delivery is unknown."""

    journal: str
    bundle: str
    events: int
    unconfirmed: tuple[IntentDocument, ...]


class IntentDocument(Struct, frozen=True):
    """An intent that may have been sent."""

    event_id: str
    intent_id: str
    channel: str


class WaitingDocument(Struct, frozen=True):
    """A run that waits: for an answer to its question, or for a signal; ``answer`` is the command that gives it.

    ``answer`` is null where the runs are kept in memory, which ends with the command.
    """

    run_id: str
    asks: Raw | None
    signal: str | None
    answer: str | None


class RunDocument(Struct, frozen=True):
    """The counts of a run; ``bundle`` is the path of its bundle, if it was kept.

    ``failures`` has one item a cause, 100 at most; ``other_failures`` counts the failed episodes of further causes,
    ``waiting`` names 100 runs at most, of ``waiting_runs`` in all.
    """

    graph_id: str
    events: int
    episodes: int
    invoked: int
    deferred: int
    skipped: int
    failed: int
    interruption: InterruptionDocument | None
    bundle: str | None
    failures: tuple[FailureDocument, ...]
    other_failures: int
    waiting: tuple[WaitingDocument, ...]
    waiting_runs: int


class FileDocument(Struct, frozen=True):
    """The result of ``validate`` for one file; only an invalid one has ``reproduce``, the command that checks it."""

    path: str
    kind: str | None
    id: str | None
    outcome: str
    errors: tuple[ErrorDocument, ...]
    warnings: tuple[str, ...]
    reproduce: str | UnsetType = UNSET


class RecordedNodeDocument(Struct, frozen=True):
    """What the program of the capture did at a node."""

    impl: str
    params: Mapping[str, JsonValue]
    inputs: Mapping[str, JsonValue]
    outputs: Mapping[str, JsonValue]
    ran: bool
    why: str | None
    place: PlaceDocument | UnsetType = UNSET


class NodeDocument(Struct, frozen=True):
    """What happened at one node of an episode; values are tagged (spec 20 §2.5). Only one that failed has ``place``.

    ``recorded`` is what the capture's program did there, null where it has no such node; a node that does as that did
    has none. ``origin`` is the place of the payload that a source reads, where an adapter gives its context key one.
    """

    id: str
    path: str
    impl: str
    family: str
    params: Mapping[str, JsonValue]
    inputs: Mapping[str, JsonValue]
    outputs: Mapping[str, JsonValue]
    ran: bool
    why: str | None
    place: PlaceDocument | UnsetType = UNSET
    recorded: RecordedNodeDocument | UnsetType | None = UNSET
    origin: str | UnsetType = UNSET


class StateDocument(Struct, frozen=True):
    """One state of a run, and why it ran, ran again or was left out."""

    run_id: str
    state: str
    why: str


class EpisodeDocument(Struct, frozen=True):
    """One decision of a bundle, node by node as its program computes it now; what else it has is as recorded.

    ``states`` are those of the runs of the episode, where its kind has states; ``gone`` are the nodes that only the
    program of the capture has.
    """

    seq: int
    event_id: str
    episode_id: int
    decision: str
    termination: JsonValue
    nodes: tuple[NodeDocument, ...]
    effects: tuple[JsonValue, ...]
    gone: tuple[str, ...] | UnsetType = UNSET
    states: tuple[StateDocument, ...] | UnsetType = UNSET
    intent_acks: tuple[JsonValue, ...] | UnsetType = UNSET
    interruption: str | UnsetType = UNSET


class GraphDocument(Struct, frozen=True, rename={"form": "as"}):
    """The picture of a graph; ``text`` is null where it was written to the file ``output``."""

    graph_id: str
    form: str
    output: str | None
    text: str | None


class ConversionDocument(Struct, frozen=True):
    """A written fixture and its number of events."""

    path: str
    events: int


class InitDocument(Struct, frozen=True, kw_only=True):
    """A new project; ``files`` are relative to ``path``, ``requirement`` is the pip requirement of ergo."""

    path: str
    name: str
    requirement: str
    guide: str
    bundle: str
    files: tuple[str, ...]


class RunDriverDocument(Struct, frozen=True):
    """The process that drives a run: where it is, what it does, since when and when it was last heard of, in ms ago."""

    host: str
    pid: int
    name: str
    held_ms: int
    heartbeat_ms: int


class ListedRunDocument(Struct, frozen=True):
    """A run of a store; ``snapshot`` is the seq of its latest, ``driver`` is absent if nothing drives it, ``program``
    unless the run keeps the name of its program.

    Head, status and snapshot are null if ``error`` is set.
    """

    run_id: str
    head: int | None
    derived_status: str | None
    snapshot: int | None
    error: ErrorDocument | None
    driver: RunDriverDocument | UnsetType = UNSET
    program: str | UnsetType = UNSET


class SnapshotDocument(Struct, frozen=True):
    """The latest snapshot of a run and the version of the state in it."""

    at_seq: int
    version: int


class ShownRunDocument(Struct, frozen=True):
    """Where a run stands; ``status`` is the original's summary, ``interrupt`` and ``request`` are unanswered."""

    run_id: str
    head: int
    status: Raw
    derived_status: str
    snapshot: SnapshotDocument | None
    interrupt: Raw | None
    request: Raw | None
    last_events: tuple[Raw, ...]
    driver: RunDriverDocument | UnsetType = UNSET


class TimelineDocument(Struct, frozen=True):
    """A run's timeline (spec 40 §3.13) and its derived status."""

    run_id: str
    events: tuple[Raw, ...]
    final_status: Raw
    derived_status: str


class ResumptionDocument(Struct, frozen=True):
    """A resumed run: its ``status`` (spec 40 §3.8), and the number of its last event before and after."""

    run_id: str
    status: Raw
    head_before: int
    head: int


class AmountDocument(Struct, frozen=True):
    """A number of artifacts, and their bytes."""

    artifacts: int
    bytes: int


class SweepDocument(Struct, frozen=True):
    """What ``runs gc`` removed, or would remove; what runs name; what no run names and is too young."""

    dry_run: bool
    removed: AmountDocument
    named: AmountDocument
    young: AmountDocument


class CancelDocument(Struct, frozen=True):
    """A run that was ended as cancelled, and the runs that it had spawned; ``was_driven``: by the one who drove it."""

    run_id: str
    head: int
    children: tuple[str, ...]
    was_driven: bool


class ExportDocument(Struct, frozen=True):
    """A run that was exported: ``files`` and ``records`` count what is in the folder ``path``."""

    run_id: str
    form: str
    path: str
    files: int
    records: int


class MovedRunsDocument(Struct, frozen=True):
    """Runs that were written to the file ``path``, or taken from it, with their records and artifacts.

    An import leaves ``present`` runs as they are, since the store has them already.
    """

    path: str
    runs: int
    records: int
    artifacts: int
    present: int | UnsetType = UNSET


class ExportedRowsDocument(Struct, frozen=True, rename={"form": "as"}):
    """The rows of a bundle that were written: of ``decisions``, ``effects``, ``events`` or ``divergences``."""

    path: str
    records: str
    form: str
    output: str
    rows: int


class PassedOverDocument(Struct, frozen=True):
    """Rows of a source that became no events, why, and where the first of them stands."""

    reason: str
    rows: int
    first: str


class ImportedRowsDocument(Struct, frozen=True, rename={"form": "from"}):
    """The rows of a source of one form that were read, and the events that were written of them."""

    path: str
    form: str
    output: str
    rows: int
    events: int
    at_unit: str | None
    skipped: tuple[PassedOverDocument, ...]


class ForkDocument(Struct, frozen=True):
    """A written branch; ``head`` is the number of its events."""

    source_run_id: str
    branch_id: str
    fork_point_seq: int
    alternate_event: Raw | None
    head: int


class ShardDocument(Struct, frozen=True):
    """The shard that a replay took, from 1, of how many; ``selected`` counts the bundles of all shards.

    ``results`` is what ``ergo report merge`` reads, in a form that changes with every version; ``digest`` is over it.
    """

    index: int
    count: int
    selected: int
    digest: str
    results: Raw


class Report(Struct, frozen=True, kw_only=True):
    """The document of one command; its own member (``run``, ``inspect``, ``files`` …) comes last.

    ``levels`` sums those of the bundles, where there are any; ``fail_on`` is absent where any difference fails,
    ``expects`` where the project expects none, ``shard`` where a replay takes all bundles.
    """

    schema: str = SCHEMA
    command: str | None
    outcome: str
    exit_code: int
    error: ErrorDocument | None = None
    bundles: tuple[BundleDocument, ...] = ()
    warnings: tuple[str, ...] = ()
    levels: LevelCounts | UnsetType = UNSET
    fail_on: str | UnsetType = UNSET
    expects: tuple[ExpectDocument, ...] | UnsetType = UNSET
    shard: ShardDocument | UnsetType = UNSET
    run: RunDocument | UnsetType | None = UNSET
    inspect: Inspection | UnsetType | None = UNSET
    exported: ExportedRowsDocument | UnsetType | None = UNSET
    imported: ImportedRowsDocument | UnsetType | None = UNSET
    files: tuple[FileDocument, ...] | UnsetType = UNSET
    episode: EpisodeDocument | UnsetType | None = UNSET
    why: WhyDocument | UnsetType | None = UNSET
    shrink: ShrinkDocument | UnsetType | None = UNSET
    bisection: BisectionDocument | UnsetType | None = UNSET
    accept: AcceptDocument | UnsetType | None = UNSET
    stale: tuple[str, ...] | UnsetType | None = UNSET
    redaction: RedactionDocument | UnsetType | None = UNSET
    graph: GraphDocument | UnsetType | None = UNSET
    fixture: ConversionDocument | UnsetType = UNSET
    recovery: RecoveryDocument | UnsetType | None = UNSET
    init: InitDocument | UnsetType | None = UNSET
    runs: tuple[ListedRunDocument, ...] | UnsetType = UNSET
    run_summary: ShownRunDocument | UnsetType | None = UNSET
    run_timeline: TimelineDocument | UnsetType | None = UNSET
    run_resumed: ResumptionDocument | UnsetType | None = UNSET
    run_fork: ForkDocument | UnsetType | None = UNSET
    run_cancelled: CancelDocument | UnsetType | None = UNSET
    run_exported: ExportDocument | UnsetType | None = UNSET
    runs_archived: MovedRunsDocument | UnsetType | None = UNSET
    runs_imported: MovedRunsDocument | UnsetType | None = UNSET
    swept: SweepDocument | UnsetType | None = UNSET


def error_document(error: ErgoError) -> ErrorDocument:
    """The document of ``error`` and its causes."""
    return ErrorDocument(
        code=error.code,
        rule=error.rule,
        message=unicode(error.message),
        where=None if error.where is None else unicode(error.where),
        fix=None if error.fix is None else unicode(error.fix),
        details=tuple(unicode(detail) for detail in error.details),
        causes=tuple(error_document(cause) for cause in error.causes),
    )


def warning_texts(notices: Iterable[Notice]) -> tuple[str, ...]:
    """Each warning as one string, with its position in front."""
    return tuple(warning_text(notice) for notice in notices)


def warning_text(notice: Notice) -> str:
    """``<where>: <message>``, or the message alone."""
    return unicode(notice.message if notice.where is None else f"{notice.where}: {notice.message}")


def unicode(text: str) -> str:
    """``text`` with lone surrogates, which a file name may hold and JSON may not, written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def encoded(document: Struct) -> bytes:
    """The JSON of a document, with characters that could control a terminal as escapes: input may hold them."""
    return without_controls(msgspec.json.encode(document))


def encode_report(report: Report) -> bytes:
    """The document as one line of JSON, ended by a newline."""
    return encoded(report) + b"\n"
