"""The handle: everything that can be done with a project, or with files named one by one (spec 30 §27)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from ergo_cli.bundle.memory import CaptureBundle
from ergo_cli.errors import ErgoError, PrimitiveError, UsageError
from ergo_cli.host.channels.policy import ChannelPolicy
from ergo_cli.host.stopping import StopHandle
from ergo_cli.library.categories import NO_PROJECT, SOURCE_CONFLICT, UNSUPPORTED
from ergo_cli.library.config import AdapterSource, GraphSource, InMemoryProject, ReplayConfig, RunConfig
from ergo_cli.library.errors import (
    BuildError,
    ConfigError,
    LibraryError,
    ReplayError,
    RunError,
    RunnerError,
    ValidationError,
)
from ergo_cli.library.outcome import RunOutcome
from ergo_cli.library.planning import Planned, plan_config
from ergo_cli.library.projects import FileProject, MemoryProject, Profiles, ProjectSummary, check_in_memory
from ergo_cli.library.replaying import IN_MEMORY, proven, replay_given
from ergo_cli.library.running import run_planned
from ergo_cli.library.stepping import ProfileRunner
from ergo_cli.programs.graph.catalog import Inventory, build_inventory
from ergo_cli.programs.graph.manifest import Family
from ergo_cli.programs.graph.primitives.primitive import (
    ActionPrimitive,
    AnyPrimitive,
    ComputePrimitive,
    Primitive,
    SourcePrimitive,
    TriggerPrimitive,
)
from ergo_cli.replay.options import ReplayOptions
from ergo_cli.replay.result import BundleResult


class Ergo:
    """Runs, replays, checks: one operation after the other, whatever became of those before it.

    Every operation blocks. A handle is not for several threads at once; only a StopHandle is.
    """

    def __init__(self, profiles: Profiles | None, inventory: Inventory, policy: ChannelPolicy) -> None:
        self._profiles = profiles
        self._inventory = inventory
        self._policy = policy

    @classmethod
    def builder(cls) -> ErgoBuilder:
        """Begin a handle with a project, primitives or both."""
        return ErgoBuilder()

    @classmethod
    def from_project(cls, path: str | Path) -> Ergo:
        """A handle for the project at ``path``: its folder, its file, or anything below; read when it is needed."""
        return cls.builder().project_root(path).build()

    def run(self, config: RunConfig, stop: StopHandle | None = None) -> RunOutcome:
        """Run files and values named one by one. Raises RunError: then nothing is kept."""
        with _raising(RunError):
            return run_planned(plan_config(config, self._offered()), stop, self._policy)

    def run_profile(self, name: str, stop: StopHandle | None = None) -> RunOutcome:
        """Run a profile of the project. Raises RunError: then nothing is kept."""
        with _raising(RunError):
            return run_planned(self._plan(name), stop, self._policy)

    def runner_for_profile(self, name: str) -> ProfileRunner:
        """A runner to be given events by hand, its channels started. Raises RunnerError."""
        with _raising(RunnerError):
            return ProfileRunner(self._plan(name), self._policy)

    def replay(self, config: ReplayConfig) -> BundleResult:
        """Prove a bundle in a file. Raises ReplayError for one that cannot be replayed, or is decided differently."""
        return proven(config.capture, lambda scan: replay_given(scan, config, self._offered()))

    def replay_bundle(
        self,
        bundle: CaptureBundle,
        graph: GraphSource,
        cluster_paths: Sequence[str | Path] = (),
        adapter: AdapterSource | None = None,
        options: ReplayOptions = ReplayOptions(strict=True),
    ) -> BundleResult:
        """Prove a bundle in memory. Raises ReplayError as ``replay``."""
        config = ReplayConfig(IN_MEMORY, graph, cluster_paths, adapter, options)
        return proven(bundle, lambda scan: replay_given(scan, config, self._offered()))

    def replay_profile(self, name: str, capture: str | Path) -> BundleResult:
        """Prove a bundle in a file with the program of a profile. Raises ReplayError as ``replay``."""
        with _raising(ReplayError):
            profiles = self._project()
            if isinstance(profiles, MemoryProject):
                raise _unsupported()
            return proven(capture, lambda scan: profiles.replay(name, scan))

    def replay_profile_bundle(self, name: str, bundle: CaptureBundle) -> BundleResult:
        """Prove a bundle in memory with the program of a profile. Raises ReplayError as ``replay``."""
        with _raising(ReplayError):
            profiles = self._project()
            return proven(bundle, lambda scan: profiles.replay(name, scan))

    def validate_project(self) -> ProjectSummary:
        """Check the project and all that its profiles name; nothing is started or written. Raises ValidationError."""
        with _raising(ValidationError):
            return self._project().validate()

    def _offered(self) -> Inventory:
        """The primitives that a graph may use which is none of a profile's."""
        return self._inventory if self._profiles is None else self._profiles.inventory()

    def _plan(self, name: str) -> Planned:
        return self._project().plan(name)

    def _project(self) -> Profiles:
        if self._profiles is None:
            fix = "build the handle with project_root() or in_memory_project()"
            raise UsageError(NO_PROJECT, "the handle has no project", where="handle", fix=fix)
        return self._profiles


class ErgoBuilder:
    """Gathers what a handle is to know; ``build`` checks it."""

    def __init__(self) -> None:
        self._root: Path | None = None
        self._memory: InMemoryProject | None = None
        self._primitives: list[tuple[AnyPrimitive, Family]] = []
        self._policy = ChannelPolicy()

    def project_root(self, path: str | Path) -> ErgoBuilder:
        """Use the project at ``path``, in place of one named so before."""
        self._root = Path(path)
        return self

    def in_memory_project(self, project: InMemoryProject) -> ErgoBuilder:
        """Use a project that is a value, in place of one given so before."""
        self._memory = project
        return self

    def add_source(self, primitive: SourcePrimitive) -> ErgoBuilder:
        """Offer a source beside those of the standard library."""
        return self._add(primitive, Family.SOURCE)

    def add_compute(self, primitive: ComputePrimitive) -> ErgoBuilder:
        """Offer a compute beside those of the standard library."""
        return self._add(primitive, Family.COMPUTE)

    def add_trigger(self, primitive: TriggerPrimitive) -> ErgoBuilder:
        """Offer a trigger beside those of the standard library."""
        return self._add(primitive, Family.TRIGGER)

    def add_action(self, primitive: ActionPrimitive) -> ErgoBuilder:
        """Offer an action beside those of the standard library."""
        return self._add(primitive, Family.ACTION)

    def channel_policy(self, policy: ChannelPolicy) -> ErgoBuilder:
        """Wait for channel processes otherwise than by default."""
        self._policy = policy
        return self

    def build(self) -> Ergo:
        """The handle, which nothing that happens to the builder changes. Raises BuildError."""
        if self._root is not None and self._memory is not None:
            raise BuildError(_conflict(), SOURCE_CONFLICT)
        try:
            primitives = tuple(_of_family(primitive, family) for primitive, family in self._primitives)
            inventory = build_inventory(primitives)
        except ErgoError as error:
            raise BuildError(error, "registration") from error
        return Ergo(self._profiles(primitives, inventory), inventory, self._policy)

    def _profiles(self, primitives: tuple[AnyPrimitive, ...], inventory: Inventory) -> Profiles | None:
        if self._root is not None:
            return FileProject(self._root, primitives)
        if self._memory is None:
            return None
        try:
            check_in_memory(self._memory)
        except UsageError as error:
            raise BuildError(ConfigError(error), "project") from error
        return MemoryProject(self._memory, inventory)

    def _add(self, primitive: AnyPrimitive, family: Family) -> ErgoBuilder:
        self._primitives.append((primitive, family))
        return self


@contextmanager
def _raising(family: Callable[[ErgoError], LibraryError]) -> Generator[None]:
    try:
        yield
    except LibraryError:
        raise
    except ErgoError as error:
        raise family(error) from error


def _of_family(primitive: AnyPrimitive, family: Family) -> AnyPrimitive:
    given = cast("object", primitive)
    if isinstance(given, Primitive) and primitive.manifest.family is family:
        return primitive
    name = family.value
    message = f"what add_{name}() was given is no {name}: {given!r:.80}"
    fix = f"decorate the function with {name} of ergo_cli.primitives, and add each family by its own method"
    raise PrimitiveError("primitive.wrong_family", message, where=f"add_{name}", fix=fix)


def _conflict() -> UsageError:
    message = "the handle is given a project's folder and a project in memory"
    return UsageError(SOURCE_CONFLICT, message, where="builder", fix="give one of the two")


def _unsupported() -> UsageError:
    message = "a project in memory replays no files"
    fix = "load the bundle with open_bundle(path).load() and use replay_profile_bundle()"
    return UsageError(UNSUPPORTED, message, where="replay_profile", fix=fix)
