"""Runs and captures from start to end: program found, events read, bundle and program kept (spec 30 §10–13)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct
from msgspec.structs import asdict, replace

from ergo_cli.bundle.schema import DecisionRecord, EventRecord, Header, ProgramRecord
from ergo_cli.bundle.sink import BundleSink
from ergo_cli.bundle.writer import BundleWriter
from ergo_cli.core.notices import Notice
from ergo_cli.core.numbers import Numbers
from ergo_cli.errors import UsageError
from ergo_cli.events.stream import EventStream, SemanticKinds
from ergo_cli.host.preparation import PreparedRun, prepare_run
from ergo_cli.host.running import RunSummary, run_stream
from ergo_cli.host.sources import STANDARD_INPUT, open_source, source_label
from ergo_cli.programs.graph.program import SCHEDULE
from ergo_cli.project.captures import capture_path
from ergo_cli.project.finding import FoundProgram, ProgramFlags, find_program_for_run
from ergo_cli.project.profiles import FixtureFile, ResolvedProfile
from ergo_cli.project.store import ProgramStore
from ergo_cli.supervisor.constraints import Constraints

OnStep = Callable[[], None]


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


class RunRequest(Struct, frozen=True):
    """What a caller wants run; None leaves a thing to the profile. ``events`` is a path, ``-`` is standard input."""

    flags: ProgramFlags = ProgramFlags()
    events: str | None = None
    limits: Limits = Limits()
    numbers: Numbers | None = None


class KeepRequest(Struct, frozen=True):
    """How to keep the bundle; None leaves a thing to the profile, then to its default."""

    output: Path | None = None
    pretty: bool | None = None
    embed: bool | None = None


class RunPlan(Struct, frozen=True):
    """A run that is ready to begin: its program is found and fits its adapter."""

    found: FoundProgram
    prepared: PreparedRun
    events: str
    graph: Path | None


class RunResult(Struct, frozen=True):
    """A run that came to its end; ``bundle`` is the path of what was kept."""

    summary: RunSummary
    bundle: str | None = None
    notices: tuple[Notice, ...] = ()


def plan_run(request: RunRequest) -> RunPlan:
    """Find the program and the events of a run, and check that it can begin.

    Raises ErgoError: UsageError ``cli.missing_required_option`` where nothing says where the events are, and as
    ``find_program_for_run`` and ``prepare_run``.
    """
    found = find_program_for_run(request.flags, _file_of(request.events))
    events = request.events or _profile_events(found.profile)
    constraints = Constraints() if found.profile is None else found.profile.constraints
    prepared = PreparedRun(found.program, found.adapter, request.limits.over(constraints), _numbers(request, found))
    prepare_run(found.program, found.adapter)
    graph = request.flags.graph or (found.profile.graph if found.profile is not None else None)
    return RunPlan(found, prepared, events, graph)


def perform(plan: RunPlan, keep: KeepRequest | None = None, on_step: OnStep | None = None) -> RunResult:
    """Run; with ``keep`` also keep a bundle, and the program in the program store. ``on_step``: once an event.

    Raises EventError or StepError at the first fault of the stream, and CaptureWriteError; then nothing is left at the
    bundle's destination or beside it.
    """
    with open_source(plan.events) as chunks:
        if keep is None:
            return RunResult(_run_into(plan, chunks, _Nowhere(), on_step))
        return _capture(plan, keep, chunks, on_step)


class _Nowhere:
    """A bundle that is not kept."""

    def event(self, record: EventRecord) -> None:
        """Drop the record."""

    def decision(self, record: DecisionRecord) -> None:
        """Drop the record."""


def _capture(plan: RunPlan, keep: KeepRequest, chunks: Iterator[bytes], on_step: OnStep | None) -> RunResult:
    profile = plan.found.profile
    destination = str(capture_path(keep.output, profile, plan.graph))
    pretty = _chosen(keep.pretty, profile is not None and profile.pretty)
    embed = _chosen(keep.embed, profile is not None and profile.embed)
    with BundleWriter(destination, _header(plan), pretty=pretty, program=_embedded(plan) if embed else None) as writer:
        summary = _run_into(plan, chunks, writer, on_step)
        writer.commit()
    notice = _keep_program(plan)
    return RunResult(summary, destination, () if notice is None else (notice,))


def _run_into(plan: RunPlan, chunks: Iterator[bytes], sink: BundleSink, on_step: OnStep | None) -> RunSummary:
    run = plan.prepared
    label, kinds = source_label(plan.events), _semantic_kinds(run)
    return run_stream(run, EventStream(chunks, label, semantic_kinds=kinds, numbers=run.numbers), sink, on_step)


def _semantic_kinds(run: PreparedRun) -> SemanticKinds:
    if run.program is SCHEDULE:
        return SemanticKinds.IGNORED
    return SemanticKinds.REFUSED if run.adapter is None else SemanticKinds.REQUIRED


def _file_of(events: str | None) -> Path | None:
    return None if events is None or events == STANDARD_INPUT else Path(events)


def _profile_events(profile: ResolvedProfile | None) -> str:
    if profile is None:
        message = "there are no events to run"
        fix = "name a file of events, - for standard input, or a profile that has a fixture"
        raise UsageError("cli.missing_required_option", message, where="argument EVENTS", fix=fix)
    ingress = profile.required_ingress()
    if isinstance(ingress, FixtureFile):
        return str(ingress.path)
    message = f"profile '{profile.name}' takes its events from a process, which cannot be started yet"
    where, fix = f"{profile.project.file} profiles.{profile.name}.ingress", "name a file of events: EVENTS"
    raise UsageError("cli.missing_required_option", message, where=where, fix=fix)


def _numbers(request: RunRequest, found: FoundProgram) -> Numbers:
    project = None if found.project is None else found.project.numbers
    profile = None if found.profile is None else found.profile.numbers
    return request.numbers or profile or project or Numbers.EXACT


def _chosen(asked: bool | None, default: bool) -> bool:
    return default if asked is None else asked


def _header(plan: RunPlan) -> Header:
    run = plan.prepared
    return Header(run.program.graph_id, run.constraints, run.program.provenance, run.adapter_provenance)


def _embedded(plan: RunPlan) -> ProgramRecord:
    return ProgramRecord("graph", plan.prepared.program.ref, plan.found.sources)


def _keep_program(plan: RunPlan) -> Notice | None:
    run = plan.prepared
    if run.program is SCHEDULE:
        return None
    store = ProgramStore.of_user()
    return store.keep(run.program.ref, run.program.provenance, run.adapter_provenance, plan.found.sources)
