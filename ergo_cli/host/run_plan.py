"""Plan a run and check that it can begin, before any process is started (spec 30 §9–10)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import asdict, replace

from ergo_cli.bundle.schema import Header, ProgramRecord
from ergo_cli.channels.egress_config import EgressConfig
from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.numbers import Numbers
from ergo_cli.errors import ErgoError, UsageError
from ergo_cli.events.adapter import Adapter, adapter_provenance, with_formats
from ergo_cli.host.effects import check_ownership, replay_owned_kinds
from ergo_cli.programs.program import AnyProgram
from ergo_cli.programs.seat import Surroundings
from ergo_cli.project.finding import FoundProgram, ProgramFlags, choose_profile, find_program_for_run
from ergo_cli.project.profiles import FixtureFile, IngressProcess, ResolvedProfile, capture_of, profile_store
from ergo_cli.project.redaction import FoundRedaction, RedactFlags, find_redaction
from ergo_cli.project.trust import check_settings
from ergo_cli.stores.files import STANDARD_INPUT
from ergo_cli.supervisor.seam import Constraints

if TYPE_CHECKING:
    from ergo_cli.events.redaction import Redaction

NO_VARIABLES: Mapping[str, str] = {}


class Limits(Struct, frozen=True):
    """Constraints set by the caller; None takes the profile's. Durations are ns."""

    max_in_flight: int | None = None
    max_per_window: int | None = None
    rate_window: int | None = None
    deadline: int | None = None
    max_retries: int | None = None

    def over(self, constraints: Constraints) -> Constraints:
        """Override ``constraints`` with every limit that is set here."""
        given = {name: limit for name, limit in asdict(self).items() if limit is not None}
        return replace(constraints, **given)


class Bounds(Struct, frozen=True):
    """When a run stops by itself; None takes the profile's bound. ``max_duration`` is ns."""

    max_events: int | None = None
    max_duration: int | None = None

    def over(self, profile: ResolvedProfile | None) -> Bounds:
        """Fill missing bounds from the profile."""
        if profile is None:
            return self
        max_events = profile.max_events if self.max_events is None else self.max_events
        max_duration = profile.max_duration if self.max_duration is None else self.max_duration
        return Bounds(max_events, max_duration)


class RunRequest(Struct, frozen=True):
    """A request to run; None takes a setting from the profile.

    ``events`` is a path (``-`` is standard input); ``driver`` is the command of an ingress process used instead.
    ``egress`` is the file that routes intents, ``store`` the store that keeps the runs of a stateful program,
    ``artifacts`` where the artifacts of that store are. ``accept_plan_change``: its unfinished runs may go on with
    another plan than the one that they were begun with. ``environment`` holds variables that a kind of program may
    heed. ``dry_run``: no channel is started, and intents are recorded without being dispatched. ``formats``: payloads
    with texts that are not of the ``format`` of their schema are refused. ``redact`` adds to what the project and the
    profile redact.
    """

    flags: ProgramFlags = ProgramFlags()
    events: str | None = None
    driver: tuple[str, ...] | None = None
    egress: Path | None = None
    limits: Limits = Limits()
    bounds: Bounds = Bounds()
    numbers: Numbers | None = None
    store: str | None = None
    artifacts: str | None = None
    accept_plan_change: bool = False
    environment: Mapping[str, str] = {}
    dry_run: bool = False
    formats: bool = False
    redact: RedactFlags = RedactFlags()


class EventFile(Struct, frozen=True):
    """Events come from the file at ``path``; ``-`` is standard input."""

    path: str


class EventLines(Struct, frozen=True):
    """Events come from lines in memory, each with its line end; ``label`` names them in errors."""

    label: str
    lines: tuple[bytes, ...]


class Driver(Struct, frozen=True):
    """Events come from the process that ``command`` starts in ``folder`` (None: the current one)."""

    command: tuple[str, ...]
    folder: Path | None


EventSource = EventFile | EventLines | Driver


class EgressPlan(Struct, frozen=True):
    """The routing of intents, and the folder in which channels are started (None: the current one).

    ``file`` is the one that it was read from, if it was.
    """

    config: EgressConfig
    folder: Path | None
    file: Path | None = None


class PreparedRun(Struct, frozen=True):
    """A program that fits its adapter and the settings of its run; ``run_id`` is the profile's rule for run ids.

    ``environment`` is that of the request, ``redaction`` changes events before anything else sees them.
    """

    program: AnyProgram
    adapter: Adapter | None
    constraints: Constraints = Constraints()
    numbers: Numbers = Numbers.EXACT
    run_id: str | None = None
    environment: Mapping[str, str] = {}
    redaction: Redaction | None = None

    @property
    def adapter_provenance(self) -> str:
        """The adapter's fingerprint, or ``none``."""
        return adapter_provenance(self.adapter)


class RunPlan(Struct, frozen=True):
    """A run that is ready to begin: its program is found and fits its adapter, every effect has an owner.

    ``store`` names the store of a stateful program's runs, None is memory; ``artifacts`` the place of its artifacts,
    None is the store's own. A bundle without a given path is ``named_after`` the file of the program, or its id.
    ``accept_plan_change`` and ``dry_run`` are those of the request. ``key_file`` holds the key of the redaction.
    """

    found: FoundProgram
    prepared: PreparedRun
    source: EventSource
    egress: EgressPlan | None
    bounds: Bounds
    named_after: Path | None
    notices: tuple[Notice, ...]
    store: str | None = None
    artifacts: str | None = None
    accept_plan_change: bool = False
    dry_run: bool = False
    key_file: Path | None = None

    @property
    def channels(self) -> EgressPlan | None:
        """The channels to start, None where intents go nowhere."""
        return None if self.dry_run else self.egress

    @property
    def undispatched(self) -> frozenset[str]:
        """The kinds of intents that are recorded and not dispatched."""
        program = self.prepared.program
        if not self.dry_run or program.kind.computing is None:
            return frozenset()
        return replay_owned_kinds(program.kind.computing.emits(program.value), self.prepared.adapter)

    @property
    def reads_ahead(self) -> bool:
        """Whether the stream is checked to its end before the first step, because steps cannot be undone."""
        return self.channels is not None or self.prepared.program.kind.acting is not None

    @property
    def header(self) -> Header:
        """The header of this run's bundle."""
        run = self.prepared
        return Header(run.program.graph_id, run.constraints, run.program.provenance, run.adapter_provenance)

    def record(self, *, embed: bool) -> ProgramRecord | None:
        """The program record of a v4 bundle; None where the bundle is v3, which has no journals."""
        program = self.prepared.program
        if not embed and program.kind.acting is None:
            return None
        return ProgramRecord(program.kind.name, program.ref, self.found.sources if embed else None)


def plan_run(request: RunRequest) -> RunPlan:
    """Find the program and the events of a run, and check that it can begin; starts nothing.

    Raises ErgoError: UsageError for a request without events or with two sources of them, EgressError
    ``cli.egress_config_*``, and as ``find_program_for_run`` and ``check_ready``; in this order, but for the settings
    that a project may not give (``trust``), which come first, and for the production gate, which a profile that needs
    an adapter fails before its graph is read.
    """
    _, profile = choose_profile(request.flags, _file_of(request))
    if profile is not None:
        check_settings(profile.project, profile.name, _unused(request))
    source = _source(request, profile)
    egress, notices = _egress(request, profile)
    if request.driver is None and profile is not None:
        _check_profile_adapter(request, source, profile)
    found = find_program_for_run(request.flags, _file_of(request))
    notices += check_ready(found, source, egress, _run_id(found), request.environment, dry_run=request.dry_run)
    if request.dry_run:
        notices += (Notice("dry run: no channel is started, intents are recorded and not dispatched"),)
    store = _store(request, found)
    redaction = find_redaction(request.redact, found.project, found.profile)
    return RunPlan(
        found,
        _prepared(request, found, redaction),
        source,
        egress,
        request.bounds.over(profile),
        found.file if found.python is None else Path(found.program.graph_id),
        found.notices + notices,
        store,
        _artifacts(request, found, store),
        request.accept_plan_change,
        request.dry_run,
        None if redaction is None else redaction.key_file,
    )


def capture_path(output: Path | None, profile: ResolvedProfile | None, graph: Path | None) -> Path:
    """The bundle's path: ``-o``, else the profile's, else the default for the graph file (None: built-in program).

    Raises ProgramError ``program.import_refused`` for the path of a project that may not say where to write.
    """
    if output is not None:
        return output
    return default_capture_path(graph) if profile is None else capture_of(profile)


def default_capture_path(graph: Path | None) -> Path:
    """``target/<stem>-capture.json``, relative to the current folder; unusual characters of the stem become ``_``."""
    stem = re.sub(r"[^A-Za-z0-9_-]", "_", graph.stem) if graph else ""
    return Path("target") / f"{stem or 'graph'}-capture.json"


def check_ready(
    found: FoundProgram,
    source: EventSource,
    egress: EgressPlan | None,
    run_id: str | None = None,
    environment: Mapping[str, str] = NO_VARIABLES,
    *,
    dry_run: bool = False,
) -> tuple[Notice, ...]:
    """Raise unless the program fits its surroundings; returns warnings.

    Raises ErgoError as ``check_fit``, then ``adapter.production_requires_adapter`` for a process without adapter.
    """
    config = None if egress is None else egress.config
    notices = check_fit(found.program, found.adapter, config, run_id, environment, dry_run=dry_run)
    if isinstance(source, Driver) and found.adapter is None:
        raise production_requires_adapter()
    return notices


def check_fit(
    program: AnyProgram,
    adapter: Adapter | None,
    egress: EgressConfig | None,
    run_id: str | None = None,
    environment: Mapping[str, str] = NO_VARIABLES,
    *,
    dry_run: bool = False,
) -> tuple[Notice, ...]:
    """Raise the first fault of the program in these surroundings (``Kind.check``), then of ownership; returns warnings.

    Raises ErgoError ``host.configuration_invalid`` where an effect kind has no owner, or several (HST-5). A ``dry_run``
    without routes owns the intents that the adapter accepts.
    """
    routed = None if egress is None else egress.routes.keys()
    notices = program.kind.check(program.value, Surroundings(adapter, routed, run_id, environment))
    if program.kind.computing is None:
        return notices
    emitted = program.kind.computing.emits(program.value)
    recorded = replay_owned_kinds(emitted, adapter) if dry_run and routed is None else frozenset[str]()
    return notices + check_ownership(emitted, adapter, routed, recorded)


def production_requires_adapter(where: str = "session intent: process ingress") -> ErgoError:
    """The error of the production gate: events of a process need an adapter, for every program (RUN-CANON-2)."""
    return ErgoError(
        "adapter.production_requires_adapter",
        "events come from a process, and no adapter is bound that says what they may be",
        rule="RUN-CANON-2",
        where=where,
        fix="give an adapter manifest with --adapter, or in the profile",
    )


def refuse_dry_run_of_acting(plan: RunPlan) -> None:
    """Raise UsageError for a dry run of a program that reaches the world by itself: not only its intents do."""
    program = plan.found.program
    if plan.dry_run and program.kind.acting is not None:
        message = f"'{program.graph_id}' is a {program.kind.name} program, which acts on the world by itself"
        fix = "leave --dry-run out, and give the program stand-ins for what it calls"
        raise UsageError("cli.conflicting_options", message, where="option --dry-run", fix=fix)


def _file_of(request: RunRequest) -> Path | None:
    return None if request.events is None or request.events == STANDARD_INPUT else Path(request.events)


def _unused(request: RunRequest) -> frozenset[str]:
    """The keys of a profile that options replace.

    Where a capture goes is looked at by ``capture_path``, the file of a key by ``find_redaction``.
    """
    flags = request.flags
    replaced = {
        "program": flags.graph is not None or flags.program is not None,
        "adapter": flags.adapter is not None,
        "fixture": request.events is not None or request.driver is not None,
        "ingress": request.events is not None or request.driver is not None,
        "egress": request.egress is not None,
        "store": request.store is not None,
        "artifacts": request.store is not None or request.artifacts is not None,
        "capture_output": True,
        "redact_key_file": True,
    }
    return frozenset(key for key, is_replaced in replaced.items() if is_replaced)


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
    from ergo_cli.channels.egress_config import load_egress_config  # imported here: only runs with channels need it

    config, notices = load_egress_config(path)
    return EgressPlan(config, folder, path), notices


def _check_profile_adapter(request: RunRequest, source: EventFile | Driver, profile: ResolvedProfile) -> None:
    if isinstance(source, Driver) and profile.adapter is None and request.flags.adapter is None:
        raise production_requires_adapter(f"{profile.project.file} profiles.{profile.name}")


def _prepared(request: RunRequest, found: FoundProgram, redaction: FoundRedaction | None) -> PreparedRun:
    constraints = request.limits.over(Constraints() if found.profile is None else found.profile.constraints)
    return PreparedRun(
        found.live(),
        _adapter(request, found),
        constraints,
        _numbers(request, found),
        _run_id(found),
        request.environment,
        None if redaction is None else redaction.redaction,
    )


def _adapter(request: RunRequest, found: FoundProgram) -> Adapter | None:
    settings = found.profile or found.project
    asserts = request.formats or (settings is not None and settings.formats)
    return with_formats(found.adapter, asserts)


def _run_id(found: FoundProgram) -> str | None:
    return None if found.profile is None else found.profile.run_id


def _store(request: RunRequest, found: FoundProgram) -> str | None:
    kind = found.program.kind
    if kind.acting is None or kind.acting.runs is None:
        if request.store is not None:
            message = f"'{found.program.graph_id}' is a {kind.name} program, which keeps no runs in a store"
            fix = "leave --store out, or name a program whose runs are kept"
            raise UsageError("cli.conflicting_options", message, where="option --store", fix=fix)
        return None
    if request.store is not None or found.profile is None:
        return request.store
    return profile_store(found.profile)


def _artifacts(request: RunRequest, found: FoundProgram, store: str | None) -> str | None:
    if request.artifacts is None and request.store is None and store is not None:
        return None if found.profile is None else found.profile.artifacts
    if request.artifacts is not None and store is None:
        message = "artifacts are kept for the runs of a store, and none is named"
        fix = "name a store with --store, or leave --artifacts out"
        raise UsageError("cli.conflicting_options", message, where="option --artifacts", fix=fix)
    return request.artifacts


def _numbers(request: RunRequest, found: FoundProgram) -> Numbers:
    project = None if found.project is None else found.project.numbers
    profile = None if found.profile is None else found.profile.numbers
    return request.numbers or profile or project or Numbers.EXACT
