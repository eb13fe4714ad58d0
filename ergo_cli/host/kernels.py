"""Step-kernel programs under the host: effects are recorded and not realised, runs are kept (spec 00 §13.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from ergo_cli.bundle.schema import ProgramRecord
from ergo_cli.bundle.sink import BundleSink
from ergo_cli.core.digest_set import DigestSet
from ergo_cli.core.notices import Notice
from ergo_cli.core.program_source import ProgramSource
from ergo_cli.errors import EgressError, ProjectError
from ergo_cli.events.adapter import Adapter
from ergo_cli.host.abandonment import abandoning
from ergo_cli.host.clock import LiveClock
from ergo_cli.host.egress.config import EgressConfig
from ergo_cli.host.episodes import EpisodeRecorder
from ergo_cli.host.hosting import Engaged
from ergo_cli.host.preparation import PreparedRun
from ergo_cli.host.realisation import Unrealised
from ergo_cli.host.runner import HostedRunner
from ergo_cli.programs.kernel.invoker import KernelInvoker
from ergo_cli.programs.kernel.run_ids import RunIdRule
from ergo_cli.project.python_programs import PythonProgram
from ergo_cli.stores.memory import MemoryJournal

if TYPE_CHECKING:
    from typing import Any

    from ergo_cli.host.running import World


class KernelHosting(Struct, frozen=True):
    """How the host runs kernel programs; ``run_id`` is the rule that names their runs."""

    program: PythonProgram
    run_id: str | None

    @property
    def is_stateful(self) -> bool:
        """A kernel acts while it runs."""
        return True

    def check(self, adapter: Adapter | None, egress: EgressConfig | None) -> tuple[Notice, ...]:
        """Refuse routes, which would send nothing, and a run id that can name no run; an adapter only checks events.

        Raises EgressError ``egress.route_unsupported``, ProjectError PRJ-INVALID.
        """
        if egress is not None:
            message = f"the program '{self.program.ref}' acts by itself: none of its intents goes to an egress channel"
            fix = "leave the egress configuration out; let `execute` reach the channel's program"
            raise EgressError("egress.route_unsupported", message, where="egress configuration", fix=fix)
        self._rule()
        return ()

    def live(self) -> PythonProgram:
        """The program with its executor. Raises ProgramError ``program.import_failed``."""
        return self.program.live()

    def record(self, sources: tuple[ProgramSource, ...], *, embed: bool) -> ProgramRecord | None:
        """The program by its name, with its files where they are to be embedded."""
        return ProgramRecord("kernel", self.program.ref, self.program.sources if embed else None)

    def engage(self, run: PreparedRun, sink: BundleSink, world: World) -> Engaged:
        """A runner whose episodes are kept with their records; runs go on in the world's store, if it has one."""
        invoker = self._invoker(world)
        runner = HostedRunner(
            self.program.graph_id,
            run.constraints,
            invoker,
            run.adapter,
            Unrealised(),
            EpisodeRecorder(invoker, sink, world.episodes),
            numbers=run.numbers,
            seen=None if world.vouched else DigestSet(),
        )
        return Engaged(runner, invoker.close)

    def _invoker(self, world: World) -> KernelInvoker[Any]:
        program, store = self.program.live().program, world.store
        assert not isinstance(program.execute, str), "a live program has its executor"
        return KernelInvoker(
            program,
            abandoning(program.execute),
            MemoryJournal() if store is None else store.journal,
            LiveClock(),
            self._rule(),
            snapshots=None if store is None else store.snapshots,
            attempts=None if store is None else store.attempts,
        )

    def _rule(self) -> RunIdRule:
        try:
            return RunIdRule.of(self.run_id)
        except ValueError as error:
            fix = 'write run_id = "name", or "$payload.member"'
            raise ProjectError("PRJ-INVALID", f"key 'run_id' is wrong: {error}", where="run_id", fix=fix) from error
