"""A kind whose programs follow a script: for tests of what surrounds every program, whatever it computes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from ergo_cli.bundle.memory import CaptureBundle, InMemoryBundle
from ergo_cli.bundle.schema import BundleSink, Header
from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.values import SET_CONTEXT
from ergo_cli.events.adapter import Adapter
from ergo_cli.events.external import Context, HostedEvent
from ergo_cli.host.loop import RunResources, start_run
from ergo_cli.host.run_plan import PreparedRun
from ergo_cli.programs.kind import Attempt, Blame, EffectPlace, Finding, Line, Ran
from ergo_cli.programs.program import Program
from ergo_cli.programs.recorded import Episode, JournalDifference
from ergo_cli.programs.seat import Surroundings
from ergo_cli.supervisor.seam import Constraints, RunTermination
from ergo_cli.testing.scripted import ScriptedInvoker


class Script(Struct, frozen=True):
    """The value of a scripted program: ``make`` gives an invoker at its beginning, ``emits`` are its effect kinds."""

    make: Callable[[], ScriptedInvoker]
    emits: frozenset[str]


class ScriptedComputing(Struct, frozen=True):
    """What the house asks of a kind that computes."""

    def invoker(self, program: Script) -> ScriptedInvoker:
        """The scripted invoker."""
        return program.make()

    def fits(self, program: Script, adapter: Adapter) -> None:
        """Every adapter fits."""

    def emits(self, program: Script) -> frozenset[str]:
        """What the script says."""
        return program.emits

    def places(self, program: Script) -> Mapping[str, str]:
        """Nowhere: a script has no nodes."""
        return {}

    def trace(self, program: Script, event_id: str, context: Context) -> Sequence[Line]:
        """A script has no nodes."""
        return ()


class ScriptedReferee:
    """Runs the script anew; it blames nothing."""

    def __init__(self, invoker: ScriptedInvoker) -> None:
        self._invoker = invoker
        self.run = invoker.run
        self.drain_rendered = invoker.drain_rendered

    @property
    def run_calls(self) -> int:
        """How many times ``run`` was called."""
        return self._invoker.run_calls

    @property
    def pending(self) -> int:
        """How many effects wait to be drained."""
        return self._invoker.pending

    def serve(self, episode: Episode | None) -> None:
        """There are no journals."""

    def finding(self, recorded: RunTermination | None, *, strict: bool) -> Finding:
        """Nothing differs beside the decision."""
        return Finding()

    def blame(self, places: Sequence[EffectPlace | None], ran: Ran | None) -> Sequence[Blame]:
        """Unknown for each."""
        return [Blame()] * len(places)

    def reread(self, ran: Ran) -> Attempt | None:
        """A script reads no numbers."""
        return None

    def close(self, closing: Episode | None) -> Iterator[JournalDifference]:
        """Nothing is left to end."""
        return iter(())


class ScriptedKind(Struct, frozen=True):
    """Stands in for graphs, so that v3 bundles are of its programs."""

    name: str = "graph"
    tag: str = "rpv1"
    computing: ScriptedComputing = ScriptedComputing()
    acting: None = None

    def claims(self, value: object) -> bool:
        """Whether it is a script."""
        return isinstance(value, Script)

    def check(self, program: Script, around: Surroundings) -> tuple[Notice, ...]:
        """A script runs anywhere."""
        return ()

    def referee(self, program: Script, recorded: Script | None, deadline: int | None) -> ScriptedReferee:
        """The script from its beginning."""
        return ScriptedReferee(program.make())


KIND = ScriptedKind()


def scripted(
    make: Callable[[], ScriptedInvoker] = ScriptedInvoker,
    *,
    graph_id: str = "demo",
    provenance: str = "rpv1:sha256:test",
    emits: Iterable[str] = (SET_CONTEXT,),
) -> Program[Script]:
    """A program that does as the invokers of ``make`` do; by default it is that of ``bundle_of``."""
    return Program(KIND, f"{graph_id}@1.0.0", graph_id, provenance, Script(make, frozenset(emits)))


def step_all(
    program: Program[Script], events: Iterable[HostedEvent], sink: BundleSink, run: PreparedRun | None = None
) -> None:
    """Step events live into ``sink``, without adapter unless ``run`` has one."""
    started = start_run(PreparedRun(program, None) if run is None else run, sink, RunResources(vouched=False))
    for event in events:
        started.runner.step(event)
    started.close(False)


def captured(
    program: Program[Script],
    events: Iterable[HostedEvent],
    constraints: Constraints = Constraints(),
    adapter: Adapter | None = None,
) -> CaptureBundle:
    """The bundle of a live run."""
    run = PreparedRun(program, adapter, constraints)
    kept = InMemoryBundle(Header(program.graph_id, constraints, program.provenance, run.adapter_provenance))
    step_all(program, events, kept, run)
    return kept.commit()
