"""What is to be run, and whether it can begin: everything up to the first process (spec 30 §10)."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct
from msgspec.structs import asdict, replace

from ergo_cli.bundle.schema import Header, ProgramRecord
from ergo_cli.core.notices import Notice
from ergo_cli.core.numbers import Numbers
from ergo_cli.errors import UsageError
from ergo_cli.host.egress.config import EgressConfig
from ergo_cli.host.hosting import Hosting, hosting
from ergo_cli.host.preparation import PreparedRun, production_requires_adapter
from ergo_cli.host.sources import STANDARD_INPUT
from ergo_cli.programs.graph.program import GraphProgram
from ergo_cli.project.finding import FoundProgram, Program, ProgramFlags, choose_profile, find_program_for_run
from ergo_cli.project.profiles import FixtureFile, IngressProcess, ResolvedProfile
from ergo_cli.project.run_store import profile_store
from ergo_cli.supervisor.constraints import Constraints


class Limits(Struct, frozen=True):
    """Constraints that the caller sets; None leaves one to the profile. Durations are ns."""

    max_in_flight: int | None = None
    max_per_window: int | None = None
    rate_window: int | None = None
    deadline: int | None = None
    max_retries: int | None = None

    def over(self, constraints: Constraints) -> Constraints:
        """``constraints`` with every limit that is set here in place of its own."""
        given = {name: limit for name, limit in asdict(self).items() if limit is not None}
        return replace(constraints, **given)


class Bounds(Struct, frozen=True):
    """When a run stops by itself; None leaves a bound to the profile. ``max_duration`` is ns."""

    max_events: int | None = None
    max_duration: int | None = None

    def over(self, profile: ResolvedProfile | None) -> Bounds:
        """These bounds, a missing one taken from the profile."""
        if profile is None:
            return self
        max_events = profile.max_events if self.max_events is None else self.max_events
        max_duration = profile.max_duration if self.max_duration is None else self.max_duration
        return Bounds(max_events, max_duration)


class RunRequest(Struct, frozen=True):
    """What a caller wants run; None leaves a thing to the profile.

    ``events`` is a path, ``-`` is standard input; ``driver`` is the command of an ingress process in its place.
    ``egress`` is the file that routes intents, ``store`` the store that the runs of a stateful program are kept in.
    """

    flags: ProgramFlags = ProgramFlags()
    events: str | None = None
    driver: tuple[str, ...] | None = None
    egress: Path | None = None
    limits: Limits = Limits()
    bounds: Bounds = Bounds()
    numbers: Numbers | None = None
    store: str | None = None


class EventFile(Struct, frozen=True):
    """Events come from the file at ``path``, ``-`` being standard input."""

    path: str


class EventLines(Struct, frozen=True):
    """Events come from lines at hand, each with its line end; ``label`` is what errors call them."""

    label: str
    lines: tuple[bytes, ...]


class Driver(Struct, frozen=True):
    """Events come from the process that ``command`` starts in ``folder``, None being the current one."""

    command: tuple[str, ...]
    folder: Path | None


EventSource = EventFile | EventLines | Driver


class EgressPlan(Struct, frozen=True):
    """Where intents go, and the folder in which channels are started, None being the current one."""

    config: EgressConfig
    folder: Path | None


class RunPlan(Struct, frozen=True):
    """A run that is ready to begin: its program is found and fits its adapter, every effect has an owner.

    ``store`` names where runs of a stateful program are kept; None is memory.
    """

    found: FoundProgram[Program]
    prepared: PreparedRun
    source: EventSource
    egress: EgressPlan | None
    bounds: Bounds
    graph: Path | None
    notices: tuple[Notice, ...]
    store: str | None = None

    @property
    def hosting(self) -> Hosting:
        """How the host runs the program."""
        return hosting(self.prepared.program, self.prepared.run_id)

    @property
    def reads_ahead(self) -> bool:
        """Whether the stream is checked to its end before the first event: what is done then cannot be taken back."""
        return self.egress is not None or self.hosting.is_stateful

    @property
    def header(self) -> Header:
        """What a bundle of this run begins with."""
        run = self.prepared
        return Header(run.program.graph_id, run.constraints, run.program.provenance, run.adapter_provenance)

    def record(self, *, embed: bool) -> ProgramRecord | None:
        """The program as a v4 bundle holds it; None where the bundle is v3."""
        return self.hosting.record(self.found.sources, embed=embed)


def plan_run(request: RunRequest) -> RunPlan:
    """Find the program and the events of a run, and check that it can begin; nothing is started.

    Raises ErgoError: UsageError for a request without events or with two sources of them, EgressError
    ``cli.egress_config_*``, and as ``find_program_for_run`` and ``check_ready``; in this order, but for the production
    gate, which a profile that needs an adapter fails before its graph is read.
    """
    _, profile = choose_profile(request.flags, _file_of(request))
    source = _source(request, profile)
    egress, notices = _egress(request, profile)
    if request.driver is None and profile is not None:
        _check_profile_adapter(request, source, profile)
    found = find_program_for_run(request.flags, _file_of(request))
    notices += check_ready(found, source, egress)
    return RunPlan(
        found,
        _prepared(request, found),
        source,
        egress,
        request.bounds.over(profile),
        _named_after(found, request.flags.graph or (None if profile is None else profile.graph)),
        found.notices + notices,
        _store(request, found),
    )


def check_ready(found: FoundProgram[Program], source: EventSource, egress: EgressPlan | None) -> tuple[Notice, ...]:
    """Raise unless the program fits what is around it; what is only odd is returned.

    Raises ErgoError as ``Hosting.check``, then ``adapter.production_requires_adapter`` for a process without adapter.
    """
    notices = _hosting(found).check(found.adapter, None if egress is None else egress.config)
    if isinstance(source, Driver) and found.adapter is None:
        raise production_requires_adapter()
    return notices


def _file_of(request: RunRequest) -> Path | None:
    return None if request.events is None or request.events == STANDARD_INPUT else Path(request.events)


def _source(request: RunRequest, profile: ResolvedProfile | None) -> EventFile | Driver:
    if request.driver is not None:
        if request.events is not None:
            message = f"events come either from '{request.events}' or from a driver process, not from both"
            fix = "leave EVENTS or --driver-cmd out"
            raise UsageError("cli.conflicting_options", message, where="option --driver-cmd", fix=fix)
        return Driver(request.driver, None)
    if request.events is not None:
        return EventFile(request.events)
    if profile is None:
        message = "there are no events to run"
        fix = "name a file of events, - for standard input, a program with --driver-cmd, or a profile with a fixture"
        raise UsageError("cli.missing_required_option", message, where="argument EVENTS", fix=fix)
    match profile.required_ingress():
        case FixtureFile(path=path):
            return EventFile(str(path))
        case IngressProcess(command=command, folder=folder):
            return Driver(command, folder)


def _egress(request: RunRequest, profile: ResolvedProfile | None) -> tuple[EgressPlan | None, tuple[Notice, ...]]:
    path, folder = request.egress, None
    if path is None and profile is not None:
        path, folder = profile.egress, profile.project.root
    if path is None:
        return None, ()
    from ergo_cli.host.egress.config_files import load_egress_config  # only runs with channels pay for the import

    config, notices = load_egress_config(path)
    return EgressPlan(config, folder), notices


def _check_profile_adapter(request: RunRequest, source: EventFile | Driver, profile: ResolvedProfile) -> None:
    if isinstance(source, Driver) and profile.adapter is None and request.flags.adapter is None:
        raise production_requires_adapter(f"{profile.project.file} profiles.{profile.name}")


def _prepared(request: RunRequest, found: FoundProgram[Program]) -> PreparedRun:
    constraints = request.limits.over(Constraints() if found.profile is None else found.profile.constraints)
    return PreparedRun(_hosting(found).live(), found.adapter, constraints, _numbers(request, found), _run_id(found))


def _hosting(found: FoundProgram[Program]) -> Hosting:
    return hosting(found.program, _run_id(found))


def _run_id(found: FoundProgram[Program]) -> str | None:
    return None if found.profile is None else found.profile.run_id


def _named_after(found: FoundProgram[Program], graph: Path | None) -> Path | None:
    """What gives a bundle without a place of its own its name: the graph file, or the name of a Python program."""
    return graph if isinstance(found.program, GraphProgram) else Path(found.program.graph_id)


def _store(request: RunRequest, found: FoundProgram[Program]) -> str | None:
    if request.store is not None and not _hosting(found).is_stateful:
        message = f"'{found.program.graph_id}' is a graph, which keeps no runs in a store"
        fix = "leave --store out, or name a kernel program"
        raise UsageError("cli.conflicting_options", message, where="option --store", fix=fix)
    if request.store is not None or found.profile is None:
        return request.store
    return profile_store(found.profile)


def _numbers(request: RunRequest, found: FoundProgram[Program]) -> Numbers:
    project = None if found.project is None else found.project.numbers
    profile = None if found.profile is None else found.profile.numbers
    return request.numbers or profile or project or Numbers.EXACT
