"""Compare two whole runs of a flow, journal by journal, and say whether they decided the same (spec 60 §22).

This is the call of the library. ``ergo replay`` and ``ergo diff`` compare by the same rows, entry by entry of a bundle.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from hashlib import sha256
from itertools import zip_longest
from typing import TypeAlias

from msgspec import Struct

from ergo_cli.core.json import JsonValue, canonical
from ergo_cli.programs.pipeline.chain_events import ChainEvent
from ergo_cli.programs.pipeline.flow_manifest import FlowManifest, blocking_stages
from ergo_cli.programs.pipeline.projection import Part, Row, difference_of, evidence_of, row_of, unmatched
from ergo_cli.programs.pipeline.recorded import PipelineEpisode
from ergo_cli.programs.pipeline.system_events import (
    PipelineCancelled,
    PipelineCompleted,
    PipelineFailed,
    PipelineLifecycle,
    SystemEvent,
)

MOST_STORED = 5
"""How many divergences of a journal are kept; all are counted."""

MOST_BYTES = 1024
"""How many bytes of a value are kept."""


class Status(Enum):
    """How a run ended, by its last terminal fact."""

    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"
    UNKNOWN = "unknown"


class RecordedRun(Struct, frozen=True):
    """A run to compare: its manifest, how it ended, the events of its data and error journals by label.

    ``replays`` is the flow that it replays, if it does; ``is_partial`` a replay of a run that has no end.
    """

    manifest: FlowManifest
    status: Status
    journals: Mapping[str, Sequence[ChainEvent]]
    replays: str | None = None
    is_partial: bool = False

    @classmethod
    def of(cls, episodes: Iterable[PipelineEpisode]) -> RecordedRun:
        """The run of a bundle: its episodes, then what closing recorded. There must be one episode."""
        status, journals = Status.UNKNOWN, dict[str, list[ChainEvent]]()
        manifest: FlowManifest | None = None
        for episode in episodes:
            manifest = episode.manifest
            for record in (record for call in episode.calls for record in call.records):
                event = record.chain_event
                if event is None:
                    status = _status_after(record.envelope.event) or status
                else:
                    journals.setdefault(record.label, []).append(event)
        assert manifest is not None, "a run has an episode"
        return cls(manifest, status, journals)

    @property
    def lineage(self) -> str:
        """The flow that was first recorded: the one that this run replays, or itself."""
        return self.manifest.flow_id if self.replays is None else self.replays


class Verdict(Enum):
    """What a comparison comes to."""

    MATCHED = "matched"
    DIVERGED = "diverged"
    MATCHED_UNCERTIFIED = "matched_uncertified"
    REFUSED = "refused"


class Refusal(Struct, frozen=True):
    """Why two runs cannot be compared: ``{"reason":"stage_set_mismatch","added":["x"],"removed":[]}``."""

    reason: str
    details: Mapping[str, JsonValue] = {}


class Side(Struct, frozen=True):
    """A value of one side: its first bytes, the digest of all, their number. An absent one is ``ABSENT``."""

    truncated: str
    sha256: str
    bytes: int

    @classmethod
    def of(cls, value: JsonValue) -> Side:
        """The side that has this value; cut between characters."""
        text = canonical(value)
        return cls(text[:MOST_BYTES].decode(errors="ignore"), sha256(text).hexdigest(), len(text))


ABSENT = Side("<absent>", "", 0)


class RowDivergence(Struct, frozen=True):
    """A row that differs: its position among those compared, from 0, and the first field in which it does."""

    position: int
    field: str
    expected: Side
    actual: Side


class JournalReport(Struct, frozen=True):
    """What came of one journal: how many rows differ, the first of them, and how many more the candidate has.

    ``classification`` is ``changed-code`` where the stage's logic version differs, else ``unexpected``.
    """

    stage: str
    journal: str
    count: int
    divergences: Sequence[RowDivergence]
    surplus: int
    classification: str


class UncertifiedStage(Struct, frozen=True):
    """A stage whose order no run repeats: the stages that keep it from that, and its rows by type on each side."""

    stage: str
    blocking: Sequence[str]
    expected: Mapping[str, int]
    actual: Mapping[str, int]

    @property
    def is_vacuous(self) -> bool:
        """Whether there is nothing to compare."""
        return not self.expected and not self.actual


class Verification(Struct, frozen=True):
    """The result; ``mode`` is ``whole_run`` or ``baseline_prefix_of_candidate``."""

    verdict: Verdict
    mode: str = "whole_run"
    refusal: Refusal | None = None
    journals: Sequence[JournalReport] = ()
    uncertified: Sequence[UncertifiedStage] = ()

    @property
    def text(self) -> str:
        """The verdict in a line."""
        match self.verdict:
            case Verdict.MATCHED:
                return "output matched the original run, 0 differences"
            case Verdict.DIVERGED:
                return f"output differs from the original run, {sum(each.count for each in self.journals)} differences"
            case Verdict.MATCHED_UNCERTIFIED:
                stages = ", ".join(each.stage for each in self.uncertified if not each.is_vacuous)
                return f"output matched where its order is certified; not compared: {stages}"
            case Verdict.REFUSED:
                return f"not comparable: {'' if self.refusal is None else self.refusal.reason}"

    def exit_code(self, *, strict: bool) -> int:
        """What a command ends with (§22.8): 0, 1, and under ``strict`` 4 for what could not be compared."""
        match self.verdict:
            case Verdict.MATCHED:
                return 0
            case Verdict.DIVERGED:
                return 1
            case _:
                return 4 if strict else 0


def verify(baseline: RecordedRun, candidate: RecordedRun) -> Verification:
    """Compare a candidate with the run that it is to repeat.

    A baseline that was cancelled may have come less far: what the candidate has beyond it is counted and no difference.
    """
    refusal = _refusal(baseline, candidate)
    if refusal is not None:
        return Verification(Verdict.REFUSED, refusal=refusal)
    is_prefix = baseline.status is Status.CANCELLED
    blocking = blocking_stages((baseline.manifest, candidate.manifest))
    journals: list[JournalReport] = []
    uncertified: list[UncertifiedStage] = []
    for stage in baseline.manifest.order:
        if blocking[stage]:
            counts = [_types(run, stage) for run in (baseline, candidate)]
            uncertified.append(UncertifiedStage(stage, blocking[stage], *counts))
        else:
            journals += (_report(baseline, candidate, stage, name, is_prefix=is_prefix) for name in ("data", "error"))
    return Verification(
        _verdict(journals, uncertified),
        "baseline_prefix_of_candidate" if is_prefix else "whole_run",
        journals=tuple(report for report in journals if report.count or report.surplus),
        uncertified=tuple(uncertified),
    )


_Rows: TypeAlias = Sequence[Row]


def _verdict(journals: Iterable[JournalReport], uncertified: Iterable[UncertifiedStage]) -> Verdict:
    if any(report.count for report in journals):
        return Verdict.DIVERGED
    return Verdict.MATCHED if all(each.is_vacuous for each in uncertified) else Verdict.MATCHED_UNCERTIFIED


def _refusal(baseline: RecordedRun, candidate: RecordedRun) -> Refusal | None:
    """The first reason of §22.1 not to compare, among those that can be seen in two runs that were read."""
    one, other = baseline.manifest, candidate.manifest
    if one.flow_name != other.flow_name:
        return Refusal("flow_name_mismatch", {"baseline": one.flow_name, "candidate": other.flow_name})
    added: list[JsonValue] = [*sorted(other.stages.keys() - one.stages)]
    removed: list[JsonValue] = [*sorted(one.stages.keys() - other.stages)]
    if added or removed:
        return Refusal("stage_set_mismatch", {"added": added, "removed": removed})
    rewired: list[JsonValue] = [
        name for name in sorted(one.stages) if one.stages[name].inbound != other.stages[name].inbound
    ]
    if rewired:
        return Refusal("inbound_mismatch", {"stages": rewired})
    if candidate.is_partial:
        return Refusal("incomplete_archive_replay_candidate")
    ended = {Status.COMPLETED, Status.CANCELLED}
    if not {baseline.status, candidate.status} <= ended:
        return Refusal("status_gate", {"baseline": baseline.status.value, "candidate": candidate.status.value})
    if candidate.replays is not None and candidate.replays != baseline.lineage:
        return Refusal("lineage_mismatch", {"baseline": baseline.lineage, "candidate": candidate.lineage})
    return None


def _report(baseline: RecordedRun, candidate: RecordedRun, stage: str, name: str, *, is_prefix: bool) -> JournalReport:
    label = f"{name}:{stage}"
    expected, actual = (run.journals.get(label, ()) for run in (baseline, candidate))
    found, surplus = _walk(_rows(expected), _rows(actual), is_prefix=is_prefix)
    if baseline.status is candidate.status is Status.COMPLETED:
        found += _evidence(expected, actual)
    versions = {run.manifest.stages[stage].stage_logic_version for run in (baseline, candidate)}
    classification = "changed-code" if len(versions) > 1 else "unexpected"
    return JournalReport(stage, name, len(found), found[:MOST_STORED], surplus, classification)


def _walk(expected: _Rows, actual: _Rows, *, is_prefix: bool) -> tuple[list[RowDivergence], int]:
    """The rows that differ, and how many more there are than a prefix has."""
    found: list[RowDivergence] = []
    for position, (here, there) in enumerate(zip_longest(expected, actual)):
        if here is None and is_prefix:
            return found, len(actual) - position
        if here is None or there is None:
            found.append(RowDivergence(position, "missing_row", _whole(here), _whole(there)))
            continue
        difference = difference_of(here, there)
        if difference is not None:
            sides = (Side.of(_part_of(row, difference.name)) for row in (here, there))
            found.append(RowDivergence(position, difference.name, *sides))
    return found, 0


def _part_of(row: Row, name: str) -> JsonValue:
    """The value of a row's part of this name."""
    part: Part = getattr(row, name)
    return part.value


def _evidence(expected: Sequence[ChainEvent], actual: Sequence[ChainEvent]) -> list[RowDivergence]:
    sides = [[part for event in events if (part := evidence_of(event)) is not None] for events in (expected, actual)]
    return [
        RowDivergence(
            number,
            "eof_evidence",
            ABSENT if here is None else Side.of(sides[0][here].value),
            ABSENT if there is None else Side.of(sides[1][there].value),
        )
        for number, (here, there) in enumerate(unmatched(sides[0], sides[1]))
    ]


def _whole(row: Row | None) -> Side:
    if row is None:
        return ABSENT
    return Side.of({"kind": row.kind.value, "payload": row.payload.value, "status": row.status.value})


def _rows(events: Sequence[ChainEvent]) -> _Rows:
    return [row for event in events if (row := row_of(event)) is not None]


def _types(run: RecordedRun, stage: str) -> Mapping[str, int]:
    rows = (row for name in ("data", "error") for row in _rows(run.journals.get(f"{name}:{stage}", ())))
    return dict(sorted(Counter(str(row.kind.value) for row in rows).items()))


def _status_after(event: object) -> Status | None:
    """How a run has ended, by a fact of its system journal; None for any other fact."""
    match event:
        case SystemEvent(event=PipelineLifecycle(fact=PipelineCompleted())):
            return Status.COMPLETED
        case SystemEvent(event=PipelineLifecycle(fact=PipelineCancelled())):
            return Status.CANCELLED
        case SystemEvent(event=PipelineLifecycle(fact=PipelineFailed())):
            return Status.FAILED
        case _:
            return None
