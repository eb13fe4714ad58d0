"""When a reader checks its contracts, and what it then appends (spec 60 §14.4).

A check appends in groups. What the reader has reported changes only after a whole group is in the journals, so that a
failed append leaves the rest of the check for the next one.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.programs.pipeline.causes import SeqDivergence, ViolationCause, cause_label, violation
from ergo_cli.programs.pipeline.contracts import EdgeRecord, Verdict, strict, verify, verify_midway
from ergo_cli.programs.pipeline.ids import StageId
from ergo_cli.programs.pipeline.signals import (
    AtLeastOnceViolation,
    ConsumptionFinal,
    ConsumptionGap,
    ConsumptionProgress,
    ReaderStalled,
    Signal,
)
from ergo_cli.programs.pipeline.system_events import ContractResult, ContractStatus, EdgeLiveness, SystemFact

NANOS_A_MS = 1_000_000


class CheckConfig(Struct, frozen=True, kw_only=True):
    """How often a reader reports; times in milliseconds."""

    progress_min_events: int = 1
    progress_max_interval_ms: int = 1000
    stall_threshold_ms: int = 2000
    stall_checks_before_emit: int = 3

    @property
    def tick_ms(self) -> int:
        """The time between two checks of a reader that has nothing to read."""
        return max(self.progress_max_interval_ms // 2, 1)


class Reported(Struct, frozen=True, kw_only=True):
    """What a reader has reported about an edge; ``…_ns`` are moments of the monotonic clock."""

    last_progress_ns: int
    """When it last reported progress; at first, when it began to read."""
    last_progress_seq: int = 0
    last_result_seq: int = 0
    """The events read when it last reported that all is well."""
    stall_checks: int = 0
    stalled_since_ns: int | None = None
    final_emitted: bool = False
    contract_violated: bool = False


class ToData(Struct, frozen=True):
    """A row of the reader's data journal."""

    signal: Signal


class ToSystem(Struct, frozen=True):
    """A row of the system journal."""

    fact: SystemFact


Row = ToData | ToSystem


class Group(Struct, frozen=True):
    """Rows to append in order, and what is reported once all of them are in."""

    rows: tuple[Row, ...]
    then: Reported


class Check(Struct, frozen=True):
    """What a check of an edge appends; ``is_stalled`` holds whether or not the rows get in."""

    groups: tuple[Group, ...] = ()
    is_stalled: bool = False

    def carry_out(self, reported: Reported, append: Callable[[Row], bool]) -> Reported:
        """Append until a row fails; returns what is reported then."""
        for group in self.groups:
            if not all(map(append, group.rows)):
                break
            reported = group.then
        return reported


class Reader(Struct, frozen=True):
    """A stage that reads, and how often it reports."""

    stage: StageId
    config: CheckConfig = CheckConfig()

    def check(self, record: EdgeRecord, reported: Reported, now_ns: int, wall_ms: int) -> Check:
        """Check the contracts of an edge; an edge whose end is reported is not checked again."""
        if reported.final_emitted:
            return Check()
        groups: list[Group] = []
        if record.reader_seq and not record.eof_seen:
            reported = self._midway(groups, record, reported, now_ns)
        if not self._is_due(record, reported, now_ns):
            return self._stalling(groups, record, reported, now_ns, wall_ms)
        reported = _progress(groups, record, reported, now_ns)
        if record.eof_seen:
            self._final(groups, record, reported)
        return Check(tuple(groups))

    def _midway(self, groups: list[Group], record: EdgeRecord, reported: Reported, now_ns: int) -> Reported:
        """Say that contracts are healthy, if something was read since; say every time that one fails."""
        verdicts = verify_midway(record, now_ns)
        has_moved = record.reader_seq != reported.last_result_seq
        rows = [
            self._result(record, verdict, "healthy" if verdict.status == "pending" else verdict.status)
            for verdict in verdicts
            if has_moved or verdict.status == "failed"
        ]
        cause = strict(verdicts)
        if cause is not None:
            rows.append(self._status(record, violation(cause)))
        if not rows:
            return reported
        violated = reported.contract_violated or cause is not None
        then = replace(reported, last_result_seq=record.reader_seq, contract_violated=violated)
        groups.append(Group(tuple(rows), then))
        return then

    def _final(self, groups: list[Group], record: EdgeRecord, reported: Reported) -> None:
        """Judge the edge at the end of its data."""
        verdicts = verify(record)
        cause = strict(verdicts)
        reason = None if cause is None else violation(cause)
        rows: list[Row] = [self._result(record, verdict, verdict.status) for verdict in verdicts]
        if isinstance(reason, SeqDivergence):
            rows += _missed(record, reason)
        final = ConsumptionFinal(
            passed=reason is None,
            consumed_count=record.reader_seq,
            expected_count=record.expected_count,
            eof_seen=True,
            last_event_id=record.last_event,
            reader_seq=record.reader_seq,
            advertised_writer_seq=record.writer_seq,
            advertised_vector_clock=record.writer_clock,
            failure_reason=reason,
        )
        rows += [ToData(final), self._status(record, reason)]
        groups.append(Group(tuple(rows), replace(reported, final_emitted=True, contract_violated=reason is not None)))

    def _is_due(self, record: EdgeRecord, reported: Reported, now_ns: int) -> bool:
        advanced = record.reader_seq - reported.last_progress_seq
        waited_ns = now_ns - reported.last_progress_ns
        return (
            record.eof_seen
            or advanced >= self.config.progress_min_events
            or waited_ns >= self.config.progress_max_interval_ms * NANOS_A_MS
        )

    def _stalling(
        self, groups: list[Group], record: EdgeRecord, reported: Reported, now_ns: int, wall_ms: int
    ) -> Check:
        """Count a check without progress; after enough of them report a stall, which fails nothing (H-14, C-71)."""
        waited_ns = now_ns - reported.last_progress_ns
        if waited_ns < self.config.stall_threshold_ms * NANOS_A_MS:
            groups.append(Group((), replace(reported, stall_checks=0)))
            return Check(tuple(groups))
        counted = replace(reported, stall_checks=reported.stall_checks + 1)
        groups.append(Group((), counted))
        if counted.stall_checks < self.config.stall_checks_before_emit or reported.stalled_since_ns is not None:
            return Check(tuple(groups))
        waited_ms = waited_ns // NANOS_A_MS
        liveness = EdgeLiveness(record.upstream, self.stage, "stalled", waited_ms, record.reader_seq, record.last_event)
        stalled = ReaderStalled(upstream=record.upstream, stalled_since=wall_ms)
        groups.append(Group((ToData(stalled), ToSystem(liveness)), replace(counted, stalled_since_ns=now_ns)))
        return Check(tuple(groups), is_stalled=True)

    def _result(self, record: EdgeRecord, verdict: Verdict, status: str) -> Row:
        cause = None if verdict.cause is None else cause_label(verdict.cause)
        counts = (record.reader_seq, record.writer_seq)
        return ToSystem(ContractResult(record.upstream, self.stage, verdict.contract, status, cause, *counts))

    def _status(self, record: EdgeRecord, reason: ViolationCause | None) -> Row:
        status = ContractStatus(
            upstream=record.upstream,
            reader=self.stage,
            passed=reason is None,
            reader_seq=record.reader_seq,
            advertised_writer_seq=record.writer_seq,
            reason=reason,
        )
        return ToSystem(status)


def _progress(groups: list[Group], record: EdgeRecord, reported: Reported, now_ns: int) -> Reported:
    progress = ConsumptionProgress(
        reader_seq=record.reader_seq,
        last_event_id=record.last_event,
        vector_clock=record.last_clock,
        eof_seen=record.eof_seen,
        reader_path=record.upstream.display,
        reader_index=record.index,
        advertised_writer_seq=record.writer_seq,
        advertised_vector_clock=record.writer_clock,
    )
    then = replace(
        reported,
        last_progress_ns=now_ns,
        last_progress_seq=record.reader_seq,
        stall_checks=0,
        stalled_since_ns=None,
    )
    groups.append(Group((ToData(progress),), then))
    return then


def _missed(record: EdgeRecord, reason: SeqDivergence) -> list[Row]:
    """The gap, where the writer is ahead, and the violation."""
    rows: list[Row] = []
    advertised, reader_seq = reason.advertised or 0, reason.reader
    if advertised > reader_seq:
        rows.append(ToData(ConsumptionGap(from_seq=reader_seq + 1, to_seq=advertised, upstream=record.upstream)))
    violated = AtLeastOnceViolation(
        upstream=record.upstream, reason=reason, reader_seq=reader_seq, advertised_writer_seq=record.writer_seq
    )
    return [*rows, ToData(violated)]
