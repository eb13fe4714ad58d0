"""The pipeline kind: stages that read each other's journals, one flow for a whole stream (spec 60)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.diagnostics import Notice
from ergo_cli.errors import EgressError, ProjectError
from ergo_cli.events.external import HostedEvent
from ergo_cli.programs.causes import Cause
from ergo_cli.programs.kind import Asked, Line
from ergo_cli.programs.parts import Part, Reach
from ergo_cli.programs.pictures import Picture
from ergo_cli.programs.pipeline.checks import check_pipeline
from ergo_cli.programs.pipeline.differences import journal_differences
from ergo_cli.programs.pipeline.environment import configured, environment_notices
from ergo_cli.programs.pipeline.flow_manifest import FlowManifest
from ergo_cli.programs.pipeline.flow_store import MemoryFlow
from ergo_cli.programs.pipeline.invoker import PipelineInvoker
from ergo_cli.programs.pipeline.kept_flow import KeptFlow
from ergo_cli.programs.pipeline.kept_runs import PipelineRuns
from ergo_cli.programs.pipeline.modes import StartupMode
from ergo_cli.programs.pipeline.program import PipelineProgram
from ergo_cli.programs.pipeline.record_lines import parts_of
from ergo_cli.programs.pipeline.recorded import JournalRecord, PipelineEpisode, PipelineReader
from ergo_cli.programs.pipeline.referee import PipelineReferee
from ergo_cli.programs.recorded import Episode, JournalDifference
from ergo_cli.programs.seat import Seat, Surroundings
from ergo_cli.stores.memory import MemoryJournal

if TYPE_CHECKING:
    from ergo_cli.programs.pipeline.answered import AnsweredPipeline


class PipelineActing(Struct, frozen=True):
    """The ``Acting`` interface of pipeline programs."""

    written_as: str = "PipelineProgram of ergo_cli.programs.pipeline"
    runs: PipelineRuns = PipelineRuns()

    def live(self, program: PipelineProgram, load: Callable[[str], Callable[..., object]]) -> PipelineProgram:
        """The program with its executors, loaded where they are named by a text."""
        return program.live(load)

    def admit(self, program: PipelineProgram, event: HostedEvent) -> None:
        """Take any event: its source is found when it is admitted."""

    def invoker(self, program: PipelineProgram, seat: Seat) -> PipelineInvoker:
        """An invoker whose flow is kept in the seat's store; in memory, only what is still to be read is kept.

        The environment has the last word about the settings.
        """
        program = replace(program, settings=configured(program.settings, seat.environment))
        if seat.store is not None:
            return PipelineInvoker(program, KeptFlow(program, seat.store), seat)
        journal = MemoryJournal()
        return PipelineInvoker(program, MemoryFlow(program.flow_id(), journal, forget=journal.forget), seat)

    def answered(self, program: PipelineProgram) -> AnsweredPipeline:
        """An invoker that is answered from a recording."""
        from ergo_cli.programs.pipeline.answered import AnsweredPipeline  # imported here: only a new recording needs it

        return AnsweredPipeline(program)

    def reader(self, artifacts: Mapping[str, bytes]) -> PipelineReader:
        """A reader for the journals of one bundle."""
        return PipelineReader(artifacts)

    def line(self, record: bytes) -> Line:
        """One record of a flow for readers: its stage, the name of its event, what it says; ``family``: its journal."""
        read = JournalRecord.of(record)
        name, fields = parts_of(read)
        return Line(
            id="",
            path=read.stage or read.label,
            impl=name,
            family=read.label.partition(":")[0],
            outputs=fields,
        )

    def compare(self, a: Episode, b: Episode, own_runs: tuple[str, str]) -> Iterable[JournalDifference]:
        """The rows that differ, journal by journal."""
        assert isinstance(a, PipelineEpisode)
        assert isinstance(b, PipelineEpisode)
        return journal_differences(a, b)

    def parts(self, program: PipelineProgram, episode: Episode) -> Sequence[str]:
        """Stages, types of effects, rows and receipts, ids of events."""
        from ergo_cli.programs.pipeline.why import parts_of  # imported here: nothing else needs it

        assert isinstance(episode, PipelineEpisode)
        return parts_of(episode)

    def why(self, program: PipelineProgram, episode: Episode, asked: Asked) -> Cause:
        """The record that differs, the stage that made it, and the rows that it was made of, back to the source."""
        from ergo_cli.programs.pipeline.why import cause_of  # imported here: nothing else needs it

        assert isinstance(episode, PipelineEpisode)
        return cause_of(program, episode, asked)

    def structure(self, program: PipelineProgram) -> Sequence[Part]:
        """Its stages with the edges to them, its settings, its effects."""
        from ergo_cli.programs.pipeline.structure import structure_of  # only captures and changed programs need it

        return structure_of(program)

    def reach(self, program: PipelineProgram) -> Reach:
        """A stage, and those that lead to it."""
        from ergo_cli.programs.pipeline.structure import StagesBehind  # only changed programs need it

        return StagesBehind(program)

    def run_picture(self, episodes: Iterable[Episode]) -> Picture | None:
        """The stages by what the records say became of them, from the manifest that the records name."""
        from ergo_cli.programs.pipeline.flow_tally import FlowTally
        from ergo_cli.programs.pipeline.picture import picture_of  # only a picture needs them

        manifest, tally = None, None
        for episode in episodes:
            assert isinstance(episode, PipelineEpisode)
            manifest = episode.manifest
            tally = tally or FlowTally(manifest)
            for call in episode.calls:
                for record in call.records:
                    tally.take(record)
        return None if manifest is None else picture_of(manifest, tally)


class PipelineKind(Struct, frozen=True):
    """Graphs of stages that read each other's journals (spec 60)."""

    name: str = "pipeline"
    tag: str = "fpv1"
    computing: None = None
    acting: PipelineActing = PipelineActing()

    def claims(self, value: object) -> bool:
        """Whether the value is a PipelineProgram."""
        return isinstance(value, PipelineProgram)

    def check(self, program: PipelineProgram, around: Surroundings) -> tuple[Notice, ...]:
        """Refuse egress routes and run id rules, which do not apply, and a pipeline that cannot run.

        Returns warnings about settings, of the program and of the environment, that are not taken as they stand.
        Raises EgressError ``egress.route_unsupported``, ProjectError PRJ-INVALID, and as ``check_pipeline``.
        """
        if around.routed is not None:
            message = f"the program '{program.graph_id}' acts by itself: none of its intents goes to an egress channel"
            fix = "leave the egress configuration out; name what performs an effect in the program's effects"
            raise EgressError("egress.route_unsupported", message, where="egress configuration", fix=fix)
        if around.run_id is not None:
            message = "key 'run_id' is wrong: all events of a pipeline belong to one flow"
            raise ProjectError("PRJ-INVALID", message, where="run_id", fix="leave run_id out")
        check_pipeline(program)
        return (*_manual_start(program), *environment_notices(around.environment))

    def picture(self, program: PipelineProgram) -> Picture:
        """Its stages and edges. Raises as ``check_pipeline``."""
        from ergo_cli.programs.pipeline.picture import picture_of  # only a picture needs it

        check_pipeline(program)
        return picture_of(FlowManifest.of(program.manifest(program.flow_id())))

    def referee(
        self, program: PipelineProgram, recorded: PipelineProgram | None, deadline: int | None
    ) -> PipelineReferee:
        """Run the flow again on the recorded events and effects; the recorded program is not needed.

        Raises as ``check_pipeline``.
        """
        check_pipeline(program)
        return PipelineReferee(program)


def _manual_start(program: PipelineProgram) -> Iterator[Notice]:
    if program.settings.startup is StartupMode.MANUAL:
        manual = "the setting 'startup_mode' is 'manual', which is for the library"
        message = f"{manual}; ergo starts a pipeline with its first event"
        yield Notice(message, where=f"pipeline '{program.name}'")


KIND = PipelineKind()
