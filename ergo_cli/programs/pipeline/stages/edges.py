"""The edges that a stage reads: what it has seen of each, and what it reports of them (spec 60 §14)."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from ergo_cli.programs.pipeline.chain_events import ChainEvent
from ergo_cli.programs.pipeline.contract_checks import Reader, Reported, Row, ToData, ToSystem
from ergo_cli.programs.pipeline.contracts import DELIVERY, SOURCE, TRANSPORT, EdgeRecord, Receipts
from ergo_cli.programs.pipeline.flow import Flow
from ergo_cli.programs.pipeline.ids import StageId
from ergo_cli.programs.pipeline.signals import ConsumptionProgress
from ergo_cli.programs.pipeline.stages.output import UNKNOWN_STAGE, StageOutput
from ergo_cli.programs.pipeline.stages.subscription import Delivered, UpstreamReader
from ergo_cli.programs.pipeline.system_events import ContractStatus
from ergo_cli.programs.pipeline.topology import Stage, StageType


class EdgeReports:
    """Counts what a stage reads and reports how its contracts stand."""

    def __init__(self, flow: Flow, stage: Stage, output: StageOutput, readers: Sequence[UpstreamReader]) -> None:
        self._flow = flow
        self._stage = stage
        self._output = output
        self._reader = Reader(stage.id)
        self._is_join = stage.type is StageType.JOIN
        is_sink = stage.type is StageType.SINK
        contracts = (TRANSPORT, SOURCE, DELIVERY) if is_sink else (TRANSPORT, SOURCE)
        self._records = {
            reader.upstream: EdgeRecord(
                upstream=reader.upstream, contracts=contracts, receipts=Receipts(set()) if is_sink else None
            )
            for reader in readers
        }
        begun = Reported(last_progress_ns=flow.clock.monotonic_ns())
        self._reported = {reader.upstream: begun for reader in readers}

    def read(self, delivered: Delivered) -> None:
        """Count an event that was delivered."""
        self._records[delivered.reader.upstream].consume(delivered.record.event, delivered.record.vector_clock)

    def receipted(self, delivered: Delivered, receipt: ChainEvent) -> None:
        """Count the receipt for an event."""
        self._records[delivered.reader.upstream].written(receipt)

    def check(self) -> None:
        """Report of every edge what is due."""
        now_ns, wall_ms = self._flow.clock.monotonic_ns(), self._flow.clock.wall_ms()
        for index, (upstream, record) in enumerate(self._records.items()):
            check = self._reader.check(record, self._reported[upstream], now_ns, wall_ms)

            def append(row: Row, index: int = 0 if self._is_join else index) -> bool:
                return self._append(row, index)

            self._reported[upstream] = check.carry_out(self._reported[upstream], append)

    def conclude(self) -> None:
        """Pass the edges that have no EOF and need none: those of a live join, whose stream has ended (§28)."""
        for upstream, record in self._records.items():
            if not self._reported[upstream].final_emitted and not record.eof_seen:
                self._pass(upstream, record)

    def _pass(self, upstream: StageId, record: EdgeRecord) -> None:
        status = ContractStatus(upstream=upstream, reader=self._stage.id, passed=True, reader_seq=record.reader_seq)
        self._flow.note_of_stage(self._stage.id, status)
        self._reported[upstream] = replace(self._reported[upstream], final_emitted=True)

    def _append(self, row: Row, index: int) -> bool:
        match row:
            case ToData(ConsumptionProgress() as progress):
                self._output.signal(replace(progress, reader_index=index), stage_name=UNKNOWN_STAGE)
            case ToData(signal):
                self._output.signal(signal, stage_name=UNKNOWN_STAGE)
            case ToSystem(fact):
                self._flow.note_of_stage(self._stage.id, fact)
        return True
