"""The supervisor of a source: it writes what it admits, then its EOF (spec 60 §18.1)."""

from __future__ import annotations

from collections import deque

from ergo_cli.core.wire import FreeValue
from ergo_cli.programs.pipeline import stage_machines as machines
from ergo_cli.programs.pipeline.authoring import EOF, Event, HandlerError, Source, StrictMiss
from ergo_cli.programs.pipeline.chain_events import ChainEvent, Data
from ergo_cli.programs.pipeline.flow import Flow
from ergo_cli.programs.pipeline.signals import ConsumptionFinal, Eof, SourceContract
from ergo_cli.programs.pipeline.stage_machines import StageAction
from ergo_cli.programs.pipeline.stages.output import UNKNOWN_STAGE
from ergo_cli.programs.pipeline.stages.supervisor import StageSupervisor
from ergo_cli.programs.pipeline.status import Error, ErrorKind
from ergo_cli.programs.pipeline.topology import Stage

POLL_ERROR = "source.poll_error"
"""The observation that a source could not admit a payload."""

_TRANSPORT = (ErrorKind.REMOTE, ErrorKind.TIMEOUT)
"""The kinds of a source's error that are one of transport."""


class SourceSupervisor(StageSupervisor):
    """Drives a source over the payloads that are offered to it."""

    def __init__(self, flow: Flow, stage: Stage, source: Source) -> None:
        self.machine = machines.INFINITE_SOURCE if source.is_infinite else machines.FINITE_SOURCE
        super().__init__(flow, stage, source)
        self._source = source
        self._offered: deque[FreeValue | ChainEvent | EOF] = deque()
        self._is_exhausted = False
        self._gave_eof = False
        self._is_natural = not source.is_infinite

    def offer(self, payload: FreeValue | ChainEvent | EOF) -> None:
        """Hand the source a payload, or of an archive an event or the end; it is admitted at a next visit."""
        self._offered.append(payload)

    def exhaust(self) -> None:
        """Let the source end once it has admitted what was offered."""
        self._is_exhausted = True

    async def start(self) -> None:
        """Start the source."""
        await self.handle(machines.Start())

    @property
    def takes_payloads(self) -> bool:
        """Whether a payload would still be admitted."""
        return isinstance(self.state, machines.Running) and not self._is_exhausted

    @property
    def wants_payload(self) -> bool:
        """Whether a payload is all that is missing for a next step."""
        return self.takes_payloads and not self._offered

    def after_start(self) -> None:
        """A finite source says where its data stands."""
        if not self._source.is_infinite:
            contract = SourceContract(
                expected_count=None,
                source_id=self.stage.id,
                journal_path=self.stage.id.display,
                journal_index=0,
            )
            self.output.signal(contract, stage_name=UNKNOWN_STAGE)

    async def step(self, at_rest: bool) -> bool:
        """Admit one payload, or come to the end."""
        match self.state:
            case machines.Running() if self._offered and not self._gave_eof:
                await self._admit(self._offered.popleft())
                return True
            case machines.Running() if self._is_exhausted:
                await self.handle(machines.BeginDrain() if self._source.is_infinite else machines.Completed())
                return True
            case machines.Draining():
                await self.handle(machines.Completed())
                return True
            case _:
                return False

    async def act(self, action: StageAction) -> None:
        """Write the EOF with the number of events that were written, and the source's own verdict (H-20)."""
        if not isinstance(action, machines.SendEOF):
            return
        written = self.output.writer_seq
        self.output.signal(
            Eof(
                natural=self._is_natural,
                timestamp=self.flow.clock.wall_ms(),
                writer_id=self.output.writer,
                writer_seq=written,
            )
        )
        self.output.signal(
            ConsumptionFinal(
                passed=True, consumed_count=written, eof_seen=True, reader_seq=written, advertised_writer_seq=written
            )
        )

    async def _admit(self, payload: FreeValue | ChainEvent | EOF) -> None:
        match payload:
            case ChainEvent():
                await self._readmit(payload)
            case EOF(natural):
                self._is_exhausted = self._gave_eof = True
                self._is_natural = natural
            case _:
                await self._admit_payload(payload)

    async def _readmit(self, event: ChainEvent) -> None:
        with self.writing():
            await self.output.readmitted(event)
        self.inputs += 1
        self.counters.processed += isinstance(event.content, Data)

    async def _admit_payload(self, payload: FreeValue) -> None:
        try:
            outputs = await self.outputs(self._source.admit, payload)
        except HandlerError as error:
            self.note(error)
            return
        finally:
            self.inputs += 1
        for output in outputs:
            if self._gave_eof:
                raise self.unfit(f"admit of '{self.stage.name}' gave an output after EOF")
            match output:
                case Event():
                    with self.writing():
                        await self.output.source_event(output)
                    self.counters.processed += 1
                case EOF(natural):
                    self._is_exhausted = self._gave_eof = True
                    self._is_natural = self._is_natural and natural
                case StrictMiss():
                    raise self.unfit(f"admit of '{self.stage.name}' gave StrictMiss, which is for joins")
                case signal:
                    self.output.handler_signal(signal)

    def note(self, error: HandlerError) -> None:
        """Note that a payload could not be admitted; the source goes on (§28)."""
        is_transport = error.kind in _TRANSPORT
        kind = "source transport error" if is_transport else "source error"
        text = f"{kind}: {error.message}"
        value = {
            "error_type": "Transport" if is_transport else "Other",
            "message": text,
            "source_type": "infinite" if self._source.is_infinite else "finite",
            "timestamp_ms": self.flow.clock.wall_ms(),
        }
        status = Error(text, ErrorKind.REMOTE if is_transport else ErrorKind.UNKNOWN)
        self.output.poll_error(POLL_ERROR, value, status)
