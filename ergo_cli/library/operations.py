"""Plan and perform runs and replays from the arguments of a library caller (spec 30 §27)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from msgspec import Struct
from msgspec.structs import asdict, replace

from ergo_cli import errors
from ergo_cli.bundle.memory import InMemoryBundle
from ergo_cli.bundle.reader import BundleReader
from ergo_cli.channels.timeouts import ChannelPolicy
from ergo_cli.core.json import NotCanonicalError, free_text
from ergo_cli.errors import DocumentError, ErgoError
from ergo_cli.events.adapter import Adapter, load_adapter, setup_failed, with_formats
from ergo_cli.host.perform import KeepRequest, RunOptions, perform
from ergo_cli.host.run_plan import (
    Bounds,
    Driver,
    EgressPlan,
    EventFile,
    EventSource,
    PreparedRun,
    RunPlan,
    RunRequest,
    check_ready,
    plan_run,
)
from ergo_cli.host.timing import StopHandle
from ergo_cli.library.errors import ReplayError
from ergo_cli.library.items import event_lines
from ergo_cli.library.run_config import (
    AdapterSource,
    Completed,
    Fixture,
    GraphSource,
    Ingress,
    Interrupted,
    Items,
    Process,
    ReplayConfig,
    RunConfig,
    RunOutcome,
    RunSummary,
)
from ergo_cli.programs.graph.check.catalog import Inventory
from ergo_cli.programs.graph.files.discovery import InMemorySource, load_in_memory_graph_sources
from ergo_cli.programs.graph.model import GraphAssets
from ergo_cli.programs.graph.program import AdapterText
from ergo_cli.project.authored import load_adapter_file, notices_of
from ergo_cli.project.finding import FoundProgram, ProgramFlags
from ergo_cli.project.loading import LoadedProgram, load_program_from_files, prepare_program
from ergo_cli.project.redaction import RedactFlags, checked_key, find_redaction, redaction_of
from ergo_cli.replay.engine import Assignment, Bundle, replay
from ergo_cli.replay.preflight import replay_setup_failed
from ergo_cli.replay.results import BundleResult, Target, failure

if TYPE_CHECKING:
    from ergo_cli.events.redaction import Redaction

_MANIFEST = "<adapter>"


def load_graph_assets_from_memory(
    root_id: str, sources: Iterable[InMemorySource], search_roots: Iterable[str] = ()
) -> GraphAssets:
    """The graph whose text has the id ``root_id``, with its clusters (spec 21 §8), ready to run.

    Raises DiscoveryError and DocumentError as ``load_in_memory_graph_sources``.
    """
    return load_in_memory_graph_sources(root_id, sources, search_roots).assets


def load_given_program(
    graph: GraphSource,
    cluster_paths: Sequence[str | PathLike[str]],
    adapter: AdapterSource | None,
    inventory: Inventory,
) -> FoundProgram:
    """The program that a caller names. Raises as ``load_program_from_files``."""
    if isinstance(graph, GraphAssets):
        program, notices, files = prepare_program(graph, inventory), (), ()
    else:
        loaded = load_program_from_files(graph, cluster_paths, None, inventory)
        program, notices, files = loaded.program, loaded.notices, loaded.files
    bound = None if adapter is None else _adapter(adapter)
    complete = LoadedProgram(program, bound, notices + notices_of(bound))
    file = None if isinstance(graph, GraphAssets) else Path(graph)
    if isinstance(adapter, str | PathLike):
        files += (fspath(adapter),)
    return FoundProgram("the caller", program, bound, complete.sources, None, None, complete.notices, file, files=files)


def _adapter(source: AdapterSource) -> Adapter:
    match source:
        case AdapterText(text, label):
            return load_adapter(text, label)
        case Mapping():
            return load_adapter(_manifest_text(source), _MANIFEST)
        case _:
            return load_adapter_file(source)


def _manifest_text(manifest: Mapping[str, object]) -> str:
    try:
        return free_text(manifest).decode()
    except NotCanonicalError as error:
        fault = DocumentError(
            "DEC-SYNTAX", str(error), where=error.place, fix="give the manifest nothing but JSON values"
        )
        raise setup_failed(_MANIFEST, [fault]) from error


class Planned(Struct, frozen=True):
    """A run that is ready to begin; ``keep`` is None if its bundle stays in memory.

    ``output`` is the path of the bundle if the caller or the profile names one.
    """

    run: RunPlan
    keep: KeepRequest | None
    output: Path | None
    pretty: bool = False
    embed: bool = False


def plan_config(config: RunConfig, inventory: Inventory) -> Planned:
    """The run that ``config`` describes. Raises ErgoError as ``load_given_program`` and ``check_ready``."""
    source = _source(config.ingress)
    found = load_given_program(config.graph, config.cluster_paths, config.adapter, inventory)
    egress = None if config.egress_config is None else EgressPlan(config.egress_config, None)
    notices = check_ready(found, source, egress)
    adapter = with_formats(found.adapter, config.formats)
    plan = RunPlan(
        found,
        PreparedRun(found.program, adapter, config.constraints, config.numbers, redaction=_redaction(config)),
        source,
        egress,
        Bounds(config.max_events, config.max_duration),
        found.file,
        found.notices + notices,
    )
    output = None if config.capture_output is None else Path(config.capture_output)
    in_memory = output is None and plan.named_after is None
    keep = None if in_memory else KeepRequest(output, config.pretty_capture, embed=False)
    return Planned(plan, keep, output, config.pretty_capture)


def _redaction(config: RunConfig) -> Redaction | None:
    paths = tuple(config.redact)
    if config.redact_key is not None and paths:
        return redaction_of(paths, checked_key(config.redact_key, "redact_key"))
    found = find_redaction(RedactFlags(paths), None, None)
    return None if found is None else found.redaction


def plan_profile(flags: ProgramFlags) -> Planned:
    """The run of a profile of a project file. Raises ErgoError as ``plan_run``."""
    plan = plan_run(RunRequest(flags))
    profile = plan.found.profile
    assert profile is not None
    explicit = profile.project.profiles[profile.name].capture_output is not None
    return Planned(plan, KeepRequest(), profile.capture if explicit else None, profile.pretty, profile.embed)


def _source(ingress: Ingress) -> EventSource:
    match ingress:
        case Fixture(path):
            return EventFile(fspath(path))
        case Process(command):
            return Driver(tuple(command), None)
        case Items():
            return event_lines(ingress)
        case _:
            assert_never(ingress)


def run_planned(
    planned: Planned, stop: StopHandle | None, policy: ChannelPolicy, *, continues: bool = False
) -> RunOutcome:
    """Run, blocking, and return the outcome; ``continues`` is that of ``KeepRequest``.

    Raises ErgoError as ``perform``; then nothing is kept.
    """
    plan = planned.run
    memory = InMemoryBundle(plan.header) if planned.keep is None else None
    keep = None if planned.keep is None else replace(planned.keep, continues=continues)
    result = perform(plan, keep, options=RunOptions(stop, policy=policy, sink=memory))
    summary = RunSummary(
        **asdict(result.summary),
        capture_path=None if result.bundle is None else Path(result.bundle),
        notices=plan.notices + result.notices,
        memory=None if memory is None else memory.commit(egress_provenance(plan)),
    )
    if result.interruption is None:
        return Completed(summary)
    return Interrupted(summary, result.interruption, result.error)


def egress_provenance(plan: RunPlan) -> str | None:
    """The fingerprint of the egress configuration, None without one."""
    return None if plan.channels is None else plan.channels.config.provenance


def proven(replaying: Callable[[], BundleResult]) -> BundleResult:
    """Return the result of a replay without differences. Raises ReplayError for any other."""
    try:
        result = replaying()
    except ErgoError as error:
        raise ReplayError(error) from error
    error = failure(result)
    if error is not None:
        was_read = result.graph_id is not None
        raise ReplayError(error, result if was_read else None) from error
    return result


def replay_given(bundle: Bundle, config: ReplayConfig, inventory: Inventory) -> BundleResult:
    """Replay a bundle with the program of ``config``; faults of either are in the result."""

    def assign(reader: BundleReader) -> Assignment:
        try:
            found = load_given_program(config.graph, config.cluster_paths, config.adapter, inventory)
        except (errors.ProgramError, errors.AdapterError) as error:
            raise replay_setup_failed(error) from error
        return Assignment(Target(found.program, found.adapter), config.options, lambda: None)

    return replay(bundle, assign)
