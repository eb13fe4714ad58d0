"""A flow of a store that a run drives: the last one of its program, unless that has ended, else the next."""

from __future__ import annotations

from bisect import bisect_left
from contextlib import ExitStack

from ergo_cli.programs.pipeline.authoring import Source
from ergo_cli.programs.pipeline.build import SYSTEM, data_label, error_label
from ergo_cli.programs.pipeline.chain_events import FlowSignal
from ergo_cli.programs.pipeline.continuing import ContinuedJournal, KeptOutcomes
from ergo_cli.programs.pipeline.durability import Durability
from ergo_cli.programs.pipeline.errors import FlowDiffers
from ergo_cli.programs.pipeline.flow_manifest import FlowManifest
from ergo_cli.programs.pipeline.ids import FlowId
from ergo_cli.programs.pipeline.journal import store_errors
from ergo_cli.programs.pipeline.leases import driving, is_cancelled
from ergo_cli.programs.pipeline.program import PipelineProgram
from ergo_cli.programs.pipeline.signals import Eof, SourceContract
from ergo_cli.programs.pipeline.stop_intent import Graceful
from ergo_cli.programs.pipeline.stored_flows import MANIFEST, is_over, journal_run, keep_manifest, kept_manifest
from ergo_cli.programs.pipeline.system_events import PipelineLifecycle, PipelineStopRequested, SystemEvent
from ergo_cli.programs.pipeline.terminal_facts import stop_requested
from ergo_cli.stores.backends import RunStore
from ergo_cli.stores.leases import HeldLease

_MOST_FLOWS = 2**31


class KeptFlow:
    """The ``FlowStore`` of a flow that is kept: under its lease from ``begin`` to ``close``.

    It goes on where it was left: what it has is repeated first, up to a stop that it has recorded.
    """

    def __init__(self, program: PipelineProgram, store: RunStore) -> None:
        self._program = program
        self._store = store
        self._durability = Durability(store.journal, program.settings.fsync_mode)
        self._open = ExitStack()
        self._lease: HeldLease | None = None
        self.flow_id = program.flow_id()
        self.journal = ContinuedJournal(self._durability.journal, self.flow_id.display, ())
        self.history = KeptOutcomes(self.journal)

    def begin(self) -> None:
        """Take the flow and its lease; compare its manifest with the program's, or write it.

        Raises JournalError: FlowDiffers, ``pipeline.run_busy``, and what the store raises.
        """
        try:
            self._take()
            self._check_manifest()
        except BaseException:
            self._open.close()
            raise

    @property
    def is_behind(self) -> bool:
        """Whether the store has records that the flow has not come to."""
        return self.journal.behind > 0

    @property
    def has_failed(self) -> bool:
        """Whether an append failed, or was refused."""
        return self.journal.has_failed

    @property
    def is_stopped_here(self) -> bool:
        """Whether ``runs cancel`` asks for the end of the flow, or a process that drove it ended it at this rest."""
        if not self.is_behind:
            return self._lease is not None and is_cancelled(self._lease)
        if self._recorded_stop() != stop_requested(Graceful(self._program.settings.shutdown_timeout_ms)):
            return False
        return not any(self._admits_more(stage.name) for stage in self._program.stages if isinstance(stage, Source))

    @property
    def is_timed_out_here(self) -> bool:
        """Whether all that the flow has not come to is what the supervisor recorded when the time was over."""
        return (
            self.is_behind
            and self.journal.is_all_that_is_left(SYSTEM)
            and self._recorded_stop() == stop_requested(Graceful(0))
        )

    def effect_recorded(self) -> None:
        """Sync as the program's settings say."""
        with self.journal.failing():
            self._durability.effect_recorded()

    def forget(self, run: str, count: int) -> None:
        """Keep everything."""

    def episode_ended(self) -> None:
        """Sync as the program's settings say."""
        with self.journal.failing():
            self._durability.episode_ended()

    def close(self, *, has_ended: bool) -> None:
        """Give the lease back."""
        if self._lease is not None:
            self._lease.has_ended = has_ended
        self._open.close()

    def _take(self) -> None:
        """Take the lease of the last flow, or of the one after it; again, if that has ended meanwhile."""
        while True:
            flow_id = self._last_or_next()
            self._lease = self._open.enter_context(driving(self._store.leases, flow_id.display))
            if not is_over(self._store.journal, flow_id.display):
                self._go_on(flow_id)
                return
            self._open.close()

    def _last_or_next(self) -> FlowId:
        """The last flow of the program; the next one, if that has ended: a flow begins when all before have ended."""
        number = bisect_left(range(_MOST_FLOWS), True, key=lambda number: not self._is_begun(number))
        if number and not is_over(self._store.journal, self._program.flow_id(number - 1).display):
            number -= 1
        return self._program.flow_id(number)

    def _is_begun(self, number: int) -> bool:
        run = journal_run(self._program.flow_id(number).display, MANIFEST)
        with store_errors(run):
            return self._store.journal.head(run) > 0

    def _go_on(self, flow_id: FlowId) -> None:
        """Show the flow as it began, and compare it from there on with what the store has."""
        names = [stage.name for stage in self._program.stages]
        labels = [SYSTEM, *map(data_label, names), *map(error_label, names)]
        self.flow_id = flow_id
        with store_errors():
            self.journal = ContinuedJournal(self._durability.journal, flow_id.display, labels)
        self.history = KeptOutcomes(self.journal)

    def _check_manifest(self) -> None:
        flow_id = self.flow_id.display
        today = self._program.manifest(self.flow_id)
        kept = kept_manifest(self._store.journal, flow_id)
        if kept is None:
            keep_manifest(self._store.journal, flow_id, today)
            return
        differing = kept.differing(FlowManifest.of(today))
        if differing:
            why = f"the program has another manifest, {', '.join(differing)} differ"
            raise FlowDiffers(flow_id, why, f"flow '{flow_id}' {MANIFEST}")

    def _recorded_stop(self) -> PipelineStopRequested | None:
        """The stop that is next in the system journal of the store."""
        with store_errors():
            record = next(self.journal.ahead(SYSTEM), None)
        event: object = None if record is None else record.envelope.event
        match event:
            case SystemEvent(event=PipelineLifecycle(fact=PipelineStopRequested() as stop)):
                return stop
            case _:
                return None

    def _admits_more(self, source: str) -> bool:
        """Whether the store has something of a source that is not about its end."""
        with store_errors():
            record = next(self.journal.ahead(data_label(source)), None)
            has_errors = next(self.journal.ahead(error_label(source)), None) is not None
        event = None if record is None else record.chain_event
        ends = event is None or (
            isinstance(event.content, FlowSignal) and isinstance(event.content.signal, Eof | SourceContract)
        )
        return has_errors or not ends
