"""The handle ``Ergo``: operations on a project, or on files and values passed one by one (spec 30 §27)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from os import PathLike, fspath
from pathlib import Path
from typing import cast

from ergo_cli.bundle.memory import CaptureBundle
from ergo_cli.channels.timeouts import ChannelPolicy
from ergo_cli.errors import ErgoError, PrimitiveError, UsageError
from ergo_cli.host.timing import StopHandle
from ergo_cli.library.categories import NO_PROJECT, SOURCE_CONFLICT, UNSUPPORTED
from ergo_cli.library.errors import (
    BuildError,
    ConfigError,
    LibraryError,
    ReplayError,
    RunError,
    RunnerError,
    ValidationError,
)
from ergo_cli.library.kept_runs import KeptRuns, no_project, raising_kept
from ergo_cli.library.operations import Planned, plan_config, proven, replay_given, run_planned
from ergo_cli.library.projects import FileProject, MemoryProject, Profiles, ProjectSummary, check_in_memory
from ergo_cli.library.run_config import AdapterSource, GraphSource, InMemoryProject, ReplayConfig, RunConfig, RunOutcome
from ergo_cli.library.stepping import ProfileRunner
from ergo_cli.programs.graph.check.catalog import Inventory, build_inventory
from ergo_cli.programs.graph.primitives.primitive import (
    ActionPrimitive,
    AnyPrimitive,
    ComputePrimitive,
    Family,
    Primitive,
    SourcePrimitive,
    TriggerPrimitive,
)
from ergo_cli.project.profiles import RunFlags
from ergo_cli.replay.engine import IN_MEMORY
from ergo_cli.replay.results import BundleResult, ReplayOptions, Target


class Ergo:
    """Runs, replays and checks; an operation does not depend on the outcome of earlier ones.

    Every operation blocks. A handle is not thread-safe; a StopHandle is.
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
    def from_project(cls, path: str | PathLike[str]) -> Ergo:
        """A handle for the project at ``path``: its folder, its file, or any path below it; read by each operation."""
        return cls.builder().project_root(path).build()

    def run(self, config: RunConfig, stop: StopHandle | None = None) -> RunOutcome:
        """Run the given files and values. Raises RunError; then nothing is kept."""
        with _raising(RunError):
            return run_planned(plan_config(config, self._offered()), stop, self._policy)

    def run_profile(self, name: str, stop: StopHandle | None = None, *, continues: bool = False) -> RunOutcome:
        """Run a profile of the project. Raises RunError; then nothing is kept.

        An event of a run that the profile's store has as completed is refused (``kernel.already_completed``), unless
        ``continues``, which is ``--continue`` of the command line.
        """
        with _raising(RunError):
            return run_planned(self._plan(name), stop, self._policy, continues=continues)

    def runner_for_profile(self, name: str) -> ProfileRunner:
        """A runner for stepping events one by one, with its channels started. Raises RunnerError."""
        with _raising(RunnerError):
            return ProfileRunner(self._plan(name), self._policy)

    def replay(self, config: ReplayConfig) -> BundleResult:
        """Replay a bundle in a file. Raises ReplayError if it cannot be replayed, or differs."""
        return proven(lambda: replay_given(fspath(config.capture), config, self._offered()))

    def replay_bundle(
        self,
        bundle: CaptureBundle,
        graph: GraphSource,
        cluster_paths: Sequence[str | PathLike[str]] = (),
        adapter: AdapterSource | None = None,
        options: ReplayOptions = ReplayOptions(),
    ) -> BundleResult:
        """Replay a bundle in memory. Raises ReplayError as ``replay``."""
        config = ReplayConfig(IN_MEMORY, graph, cluster_paths, adapter, options)
        return proven(lambda: replay_given(bundle, config, self._offered()))

    def replay_profile(self, name: str, capture: str | PathLike[str]) -> BundleResult:
        """Replay a bundle in a file with the program of a profile. Raises ReplayError as ``replay``."""
        with _raising(ReplayError):
            profiles = self._project()
            if isinstance(profiles, MemoryProject):
                raise _unsupported()
            return proven(lambda: profiles.replay(name, fspath(capture)))

    def replay_profile_bundle(self, name: str, bundle: CaptureBundle) -> BundleResult:
        """Replay a bundle in memory with the program of a profile. Raises ReplayError as ``replay``."""
        with _raising(ReplayError):
            profiles = self._project()
            return proven(lambda: profiles.replay(name, bundle))

    def target(self, name: str) -> Target:
        """The program of a profile with its adapter, as replay functions take it. Raises ReplayError."""
        with _raising(ReplayError):
            return self._project().target(name)

    def runs(
        self,
        profile: str | None = None,
        *,
        store: str | None = None,
        artifacts: str | None = None,
        program: str | None = None,
    ) -> KeptRuns:
        """The runs of ``store`` (``sqlite:PATH``, ``postgres:DSN``, ``default``), else of the store of a profile.

        ``artifacts`` is the URL of its artifacts if they are in an object store. ``profile`` defaults to the project's
        implied one. ``program`` is the ``module:attribute`` that resumes runs, by default the profile's. A handle
        without a project's folder needs ``store`` and cannot resume runs. Raises KeptRunError.
        """
        with raising_kept():
            flags = RunFlags(store, program, profile, artifacts=artifacts)
            if self._profiles is not None:
                return KeptRuns(self._profiles.run_flags(flags))
            if store is None or program is not None or profile is not None:
                raise no_project("runs")
            return KeptRuns(flags)

    def validate_project(self) -> ProjectSummary:
        """Check the project and all that its profiles name; starts and writes nothing. Raises ValidationError."""
        with _raising(ValidationError):
            return self._project().validate()

    def _offered(self) -> Inventory:
        """The primitives for graphs that belong to no profile."""
        return self._inventory if self._profiles is None else self._profiles.inventory()

    def _plan(self, name: str) -> Planned:
        return self._project().plan(name)

    def _project(self) -> Profiles:
        if self._profiles is None:
            fix = "build the handle with project_root() or in_memory_project()"
            raise UsageError(NO_PROJECT, "the handle has no project", where="handle", fix=fix)
        return self._profiles


class ErgoBuilder:
    """Collects the settings of a handle; ``build`` checks them."""

    def __init__(self) -> None:
        self._root: Path | None = None
        self._memory: InMemoryProject | None = None
        self._primitives: list[tuple[AnyPrimitive, Family]] = []
        self._policy = ChannelPolicy()

    def project_root(self, path: str | PathLike[str]) -> ErgoBuilder:
        """Use the project at ``path``; a later call replaces an earlier one."""
        self._root = Path(path)
        return self

    def in_memory_project(self, project: InMemoryProject) -> ErgoBuilder:
        """Use a project given as a value; a later call replaces an earlier one."""
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
        """Set the timeouts for channel processes."""
        self._policy = policy
        return self

    def build(self) -> Ergo:
        """Return the handle; later changes of the builder do not affect it. Raises BuildError."""
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
    message = f"the argument of add_{name}() is not a {name}: {given!r:.80}"
    fix = f"decorate the function with {name} of ergo_cli.primitives, and add each family by its own method"
    raise PrimitiveError("primitive.wrong_family", message, where=f"add_{name}", fix=fix)


def _conflict() -> UsageError:
    message = "the handle is given a project's folder and a project in memory"
    return UsageError(SOURCE_CONFLICT, message, where="builder", fix="give one of the two")


def _unsupported() -> UsageError:
    message = "a project in memory replays no files"
    fix = "load the bundle with open_bundle(path).load() and use replay_profile_bundle()"
    return UsageError(UNSUPPORTED, message, where="replay_profile", fix=fix)
