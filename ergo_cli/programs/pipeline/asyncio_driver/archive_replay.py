"""Feed the sources of a flow from an archive, and say in its system journal that they are (spec 60 §20.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from msgspec.structs import replace

from ergo_cli.core.wire import Timestamp
from ergo_cli.programs.pipeline.archive import Archive
from ergo_cli.programs.pipeline.asyncio_driver.feeds import Feed
from ergo_cli.programs.pipeline.authoring import EOF, Source
from ergo_cli.programs.pipeline.chain_events import ChainEvent, ReplayContext
from ergo_cli.programs.pipeline.effects import RecordedHistory
from ergo_cli.programs.pipeline.flow import Flow
from ergo_cli.programs.pipeline.ids import StageId
from ergo_cli.programs.pipeline.program import PipelineProgram
from ergo_cli.programs.pipeline.system_events import ReplayCompleted, ReplayFact, ReplayLifecycle, ReplayStarted
from ergo_cli.programs.pipeline.topology import Role

NANOS_A_MS = 1_000_000


class ArchiveReplay:
    """The replay of an archive by a program; ``flow`` is set before the feeds are asked.

    Raises ArchiveError for a source that the archive cannot feed.
    """

    flow: Flow

    def __init__(self, archive: Archive, program: PipelineProgram) -> None:
        self._archive = archive
        self._program = program
        self._sources = {
            stage.name: archive.source(stage.name, stage.type) for stage in program.stages if isinstance(stage, Source)
        }
        self._left = set(self._sources)
        self.feeds: Mapping[str, Feed] = {name: partial(self._next, name) for name in self._sources}
        """A feed for each source."""
        self._started_ns: int | None = None

    @property
    def left_out(self) -> Sequence[str]:
        """The sources of the archive that the program does not have."""
        stages = self._archive.manifest.stages.items()
        return [name for name, stage in stages if stage.stage_type.role is Role.PRODUCER and name not in self._sources]

    def history(self) -> RecordedHistory:
        """The recorded effects, for a program that performs any. Raises ArchiveError."""
        stages = self._archive.manifest.stages if self._program.effect_types else ()
        return RecordedHistory(record for stage in stages for record in self._archive.effects(stage))

    async def _next(self, name: str) -> Sequence[ChainEvent | EOF]:
        """The next event of a source; at its end a natural EOF, also for an infinite one. Raises ArchiveError."""
        self._start()
        event = self._sources[name].next()
        if event is not None:
            return [self._readmitted(event, name)]
        self._left.discard(name)
        if not self._left:
            self._complete()
        return [EOF()]

    def _start(self) -> None:
        """State once, before the first event, what is replayed."""
        if self._started_ns is not None:
            return
        self._started_ns = self.flow.clock.monotonic_ns()
        archive = self._archive
        self._note(
            ReplayStarted(
                archive_path=archive.path,
                archive_flow_id=archive.manifest.flow_id,
                archive_status=archive.ended.chosen,
                archive_status_derivation=archive.ended,
                allow_incomplete=archive.allow_incomplete,
                source_stages=tuple(self._sources),
            ),
        )

    def _complete(self) -> None:
        """State, once every source has come to its end, how much was replayed."""
        assert self._started_ns is not None
        sources = self._sources.values()
        replayed = sum(source.replayed for source in sources)
        skipped = sum(source.skipped for source in sources)
        duration_ms = (self.flow.clock.monotonic_ns() - self._started_ns) // NANOS_A_MS
        self._note(ReplayCompleted(replayed, skipped, duration_ms))

    def _readmitted(self, event: ChainEvent, name: str) -> ChainEvent:
        """The event, naming itself as the original of the one that is made of it."""
        manifest = self._archive.manifest
        context = ReplayContext(
            original_event_id=event.id,
            original_flow_id=manifest.flow_id,
            original_stage_id=StageId.parse(manifest.stages[name].stage_id),
            archive_path=self._archive.path,
            replayed_at=Timestamp.of_millis(self.flow.clock.wall_ms()),
        )
        return replace(event, replay_context=context)

    def _note(self, fact: ReplayFact) -> None:
        self.flow.note(self.flow.writer, ReplayLifecycle(fact))
