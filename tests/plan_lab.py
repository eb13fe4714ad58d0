"""A plan engine in memory with everything around it in sight: streams, artifacts, sleeps, transports, failpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from ergo_cli.core import wire
from ergo_cli.errors import StoreError
from ergo_cli.programs.plan.children import ChildRuns
from ergo_cli.programs.plan.engine import Engine, RunResult, StartRun
from ergo_cli.programs.plan.errors import PlanError, StateError
from ergo_cli.programs.plan.events import (
    Domain,
    DomainEvent,
    Envelope,
    FactRecorded,
    Kernel,
    KernelEvent,
    RunCompleted,
    RunStarted,
    StateCompleted,
    StateEntered,
    StateFailed,
    fact_of,
    fact_recorded,
    line,
)
from ergo_cli.programs.plan.facts import IoCall, Transport
from ergo_cli.programs.plan.failpoints import Failpoint, Failpoints
from ergo_cli.programs.plan.ids import RunId
from ergo_cli.programs.plan.manifest import NO_BUILD, Minimal, RunConfig, RunManifest, run_config
from ergo_cli.programs.plan.states import Edge, ExecutionPlan, Handler, State, StateMeta
from ergo_cli.programs.plan.transports import NoTransports, TransportEnv, TransportFactory
from ergo_cli.stores.memory import MemoryArtifacts, MemoryJournal

RUN = RunId("11111111-2222-4333-8444-555555555555")
CONFIG_M1 = run_config(max_attempts=3, event_profile=Minimal())
"""The configuration inside vector M1 of spec 50 §5.3."""
M1 = "8a3bbc67f751e5ecd31dfcde1e76565a20209e5fd572829a9f284a95a41ae9de"
EMPTY = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
"""V5, the snapshot ``{}``."""
X1 = "5041bf1f713df204784353e82f6a4a535931cb64f1f4b4a5aeaffcb720918b22"
"""V6, the snapshot ``{"x":1}``."""
N0 = "f3013f933b9fb80ab6d995e7ad9da36f683837ba1d81e950c943d40111eac2f0"
"""V7, the fact ``{"n":0}``."""
NONE = "0" * 64
S1, S2 = "machine.main.s1", "machine.main.s2"


class World:
    """A factory of transports: answers every call with ``answer``, or by it, and counts."""

    def __init__(self, answer: Any = None) -> None:
        self._answer = answer
        self.calls: list[IoCall] = []
        self.makes: list[TransportEnv] = []

    def make(self, env: TransportEnv) -> Transport:
        self.makes.append(env)

        def transport(call: IoCall) -> Any:
            self.calls.append(call)
            return self._answer(call) if callable(self._answer) else self._answer

        return transport


class Journal(MemoryJournal):
    """Remembers the size of each append. At number ``full_at`` it fails once, at ``race_at`` another one appends."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []
        self.full_at: int | None = None
        self.race_at: int | None = None

    def append(self, run: str, texts: Sequence[str], expected_head: int | None = None) -> int:
        following = self.head(run) + 1
        if following == self.full_at:
            self.full_at = None
            raise StoreError("store.full", "there is no room", fix="make room")
        if following == self.race_at:
            self.race_at = None
            [intruder] = envelopes(DomainEvent("intruder", {}), first=following, run=run)
            super().append(run, [line(intruder).decode()])
        self.sizes.append(len(texts))
        return super().append(run, texts, expected_head)


class Lab:
    """One run of one plan. ``clock`` answers in milliseconds, ``sleeps`` are those that were asked for, in ns."""

    def __init__(
        self,
        *states: Handler | State,
        edges: Sequence[Edge] = (),
        config: RunConfig = CONFIG_M1,
        world: TransportFactory = NoTransports(),
        failpoints: Sequence[Failpoint] = (),
    ) -> None:
        named = (
            each if isinstance(each, State) else State(f"machine.main.s{n}", each) for n, each in enumerate(states, 1)
        )
        self.plan = ExecutionPlan("op", tuple(named), tuple(edges))
        self.manifest = RunManifest("op", "0", {}, config, NO_BUILD)
        self.journal, self.artifacts = Journal(), MemoryArtifacts()
        self.resolved = 0
        self.clock: list[int] = []
        self.sleeps: list[int] = []
        self.engine = Engine(
            journal=self.journal,
            artifact_store=self.artifacts,
            resolver=self,
            transports=world,
            clock=self,
            entropy=lambda count: bytes(range(count)),
            failpoints=Failpoints(*failpoints),
        )

    # what the engine asks for

    def resolve(self, manifest: RunManifest) -> ExecutionPlan:
        self.resolved += 1
        return self.plan

    def wall_ms(self) -> int:
        return self.clock.pop(0)

    def monotonic_ns(self) -> int:
        return 0

    def sleep_ns(self, duration: int) -> None:
        self.sleeps.append(duration)

    # what a test does

    def start(
        self, initial: Mapping[str, Any] | None = None, *, manifest_id: str | None = None, **changes: Any
    ) -> RunResult:
        """Start the run; ``changes`` are to the contract. The manifest is kept unless its id is given."""
        start = StartRun(
            manifest=self.manifest,
            manifest_id=manifest_id or self.keep_manifest(),
            plan=self.plan,
            run_config=self.manifest.run_config,
            initial_context=initial or {},
            run_id=RUN,
        )
        return self.engine.start(replace(start, **changes))

    def resume(self) -> RunResult:
        return self.engine.resume(RUN)

    def keep_manifest(self) -> str:
        return self.artifacts.put(self.manifest.canonical())

    def seed(self, *events: KernelEvent | DomainEvent) -> Lab:
        """Write a stream that begins with RunStarted on an empty context, before anything runs."""
        started = RunStarted("op", self.keep_manifest(), self.artifacts.put(b"{}"))
        self.append(started, *events)
        return self

    def append(self, *events: KernelEvent | DomainEvent, run: str = RUN) -> None:
        """Append events as another process would."""
        self.journal.append(RUN, [line(each).decode() for each in envelopes(*events, first=self.head + 1, run=run)])

    def with_children(self, *plans: ExecutionPlan, failpoints: Sequence[Failpoint] = ()) -> Lab:
        """Let the plan spawn children: of these plans, on the same transports."""
        resolver = Children(plans)

        armed = Failpoints(*failpoints)

        def childs(inner: TransportFactory) -> Engine:
            return replace(self.engine, resolver=resolver, transports=inner, failpoints=armed)

        self.engine = replace(self.engine, transports=ChildRuns(self.engine.transports, childs))
        return self

    # what a test looks at

    @property
    def head(self) -> int:
        return self.journal.head(RUN)

    @property
    def stream(self) -> list[Envelope]:
        return self.engine.streams.read(RUN)

    @property
    def text(self) -> str:
        return "\n".join(text for _, text in self.journal.scan(RUN))

    @property
    def events(self) -> str:
        return abbreviated(self.stream)

    @property
    def facts(self) -> list[FactRecorded]:
        return facts_of(self.stream)

    @property
    def failure(self) -> Any:
        """The information of the latest failure."""
        return self.of(StateFailed)[-1].error.info

    def of(self, kind: Any) -> list[Any]:
        """The engine's events of a kind."""
        return [each.kernel for each in self.stream if isinstance(each.kernel, kind)]

    def kept(self, text: str) -> bool:
        """Whether a text stands anywhere in what was written."""
        contents: Mapping[str, bytes] = vars(self.artifacts)["_contents"]
        return any(text.encode() in data for data in contents.values()) or text in self.text


class Children:
    """Resolves manifests of children by their operation."""

    def __init__(self, plans: Sequence[ExecutionPlan]) -> None:
        self._plans = {plan.op_id: plan for plan in plans}

    def resolve(self, manifest: RunManifest) -> ExecutionPlan:
        return self._plans[manifest.op_id]


def envelopes(*events: KernelEvent | DomainEvent, first: int = 1, run: str = RUN) -> list[Envelope]:
    """Events of a run, numbered from ``first``."""
    return [
        Envelope(RunId(run), seq, None, Domain(event) if isinstance(event, DomainEvent) else Kernel(event))
        for seq, event in enumerate(events, first)
    ]


def abbreviated(events: Sequence[Envelope]) -> str:
    """A stream as spec 50 §24 writes it: ``RS SE0 FR SC RC``; events of handlers by their names."""
    return " ".join(map(_abbreviated, events))


def _abbreviated(envelope: Envelope) -> str:
    match envelope.kernel:
        case None:
            assert envelope.domain is not None
            return "FR" if envelope.domain.name == "fact_recorded" else envelope.domain.name
        case StateEntered(_, attempt, _):
            return f"SE{attempt}"
        case RunStarted():
            return "RS"
        case StateCompleted():
            return "SC"
        case StateFailed():
            return "SF"
        case RunCompleted():
            return "RC"


def facts_of(events: Sequence[Envelope]) -> list[FactRecorded]:
    """The bindings of a stream, in order."""
    found = (fact_of(each.domain) for each in events if each.domain is not None)
    return [fact for fact in found if fact is not None]


def fact(key: str, artifact: str) -> DomainEvent:
    """The event that binds a key."""
    return fact_recorded(FactRecorded(key, artifact, {}))


def write_x(ctx: Any, io: Any, rec: Any) -> None:
    """Write x=1 where nothing was left by an earlier attempt."""
    assert "x" not in ctx
    ctx.write("x", 1)


def nothing(ctx: Any, io: Any, rec: Any) -> None:
    """Change nothing."""


def fails(*, retryable: bool, times: int = 1000) -> Handler:
    """A handler that fails so many times."""
    left = [times]

    def handle(ctx: Any, io: Any, rec: Any) -> None:
        if left[0]:
            left[0] -= 1
            ctx.write("leftover", 1)
            raise StateError.of("flaky", "not yet", retryable=retryable)
        assert "leftover" not in ctx

    return handle


def calls(key: str | None = "k", *, then: Callable[[], None] = lambda: None) -> Handler:
    """A handler that asks the world and writes the answer to ``answer``."""

    def handle(ctx: Any, io: Any, rec: Any) -> None:
        ctx.write("answer", io.call("test", {"q": 1}, key).response)
        then()

    return handle


def tagged(state_id: str, handle: Handler, *tags: str) -> State:
    return State(state_id, handle, StateMeta(tags=tags))


def code_of(error: PlanError) -> str:
    """Variants and code of an error as spec 50 §6 writes them: ``Storage.NotFound run_not_found``."""
    form, names = error.form, list[str]()
    while True:
        names.append(type(form).__name__)
        inner = form.info if hasattr(form, "info") else form.error
        if hasattr(inner, "code"):
            return f"{'.'.join(names)} {inner.code}"
        form = inner


def reads(kind: Any, value: Any) -> bool:
    """Whether decoded JSON is read as a kind."""
    try:
        wire.read(value, kind)
    except wire.WireError:
        return False
    return True
