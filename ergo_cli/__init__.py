"""Run a stream of events through a deterministic program, capture what decided the outcome, replay it as proof.

The names below are the library's front door; each is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ergo_cli.bundle.inspection import Inspection, inspect_bundle
    from ergo_cli.bundle.memory import CaptureBundle
    from ergo_cli.bundle.reader import BundleReader, open_bundle
    from ergo_cli.channels.egress_config import ConfigForm, EgressConfig, Route, load_egress_config, parse_egress_config
    from ergo_cli.channels.exec import exec_transport
    from ergo_cli.channels.interruption import Interruption
    from ergo_cli.channels.timeouts import ChannelPolicy
    from ergo_cli.core.diagnostics import Notice
    from ergo_cli.core.levels import FailOn, Level
    from ergo_cli.core.numbers import Numbers
    from ergo_cli.errors import ErgoError
    from ergo_cli.events.adapter import Adapter
    from ergo_cli.events.external import EpisodeStart, EventKind, HostedEvent
    from ergo_cli.host.step import StepOutcome
    from ergo_cli.host.timing import StopHandle
    from ergo_cli.library.errors import (
        BuildError,
        CaptureError,
        ConfigError,
        KeptRunError,
        LibraryError,
        ReplayError,
        RunError,
        RunnerError,
        StepError,
        ValidationError,
    )
    from ergo_cli.library.handle import Ergo, ErgoBuilder
    from ergo_cli.library.kept_runs import KeptRuns
    from ergo_cli.library.operations import load_graph_assets_from_memory
    from ergo_cli.library.projects import ProjectSummary
    from ergo_cli.library.run_config import (
        Completed,
        Fixture,
        InMemoryProject,
        Interrupted,
        Items,
        Process,
        ReplayConfig,
        RunConfig,
        RunSummary,
    )
    from ergo_cli.library.stepping import ProfileRunner, write_capture_bundle
    from ergo_cli.programs.graph.check.catalog import Inventory, build_inventory
    from ergo_cli.programs.graph.files.discovery import InMemorySource
    from ergo_cli.programs.graph.model import GraphAssets
    from ergo_cli.programs.graph.primitives.primitive import (
        ActionManifest,
        ActionOutcome,
        ComputeManifest,
        Primitive,
        SourceManifest,
        TriggerEvent,
        TriggerManifest,
    )
    from ergo_cli.programs.graph.program import AdapterText
    from ergo_cli.programs.program import Program
    from ergo_cli.programs.runs import (
        ExportedRun,
        ForkedRun,
        ListedRun,
        ResumedRun,
        Resumption,
        ShownRun,
        Standing,
        TimedRun,
    )
    from ergo_cli.project.authored import load_adapter_file
    from ergo_cli.project.loading import LoadedProgram, load_program_from_files
    from ergo_cli.replay.diffing import diff_bundles
    from ergo_cli.replay.engine import iter_replays, replay_bundle, replay_bundles
    from ergo_cli.replay.explaining import Assigned, Explanation, explain_event
    from ergo_cli.replay.level_counts import LevelCounts
    from ergo_cli.replay.paths import Pattern
    from ergo_cli.replay.results import BundleResult, Divergence, DivergenceKind, Outcome, ReplayOptions, Target, Window
    from ergo_cli.supervisor.seam import Constraints
    from ergo_cli.tools.file_checks import Surroundings
    from ergo_cli.tools.validation import FileResult, validate_files

from ergo_cli.version import __version__ as __version__

# fmt: off
__all__ = [
    "ActionManifest", "ActionOutcome", "Adapter", "AdapterText", "Assigned", "BuildError", "BundleReader",
    "BundleResult", "CaptureBundle", "CaptureError", "ChannelPolicy", "Completed", "ComputeManifest", "ConfigError",
    "ConfigForm", "Constraints", "Divergence", "DivergenceKind", "EgressConfig", "EpisodeStart", "Ergo", "ErgoBuilder",
    "ErgoError", "EventKind", "Explanation", "ExportedRun", "FailOn", "FileResult", "Fixture", "ForkedRun",
    "GraphAssets", "HostedEvent", "InMemoryProject", "InMemorySource", "Inspection", "Interrupted", "Interruption",
    "Inventory", "Items", "KeptRunError", "KeptRuns", "Level", "LevelCounts", "LibraryError", "ListedRun",
    "LoadedProgram", "Notice", "Numbers", "Outcome", "Pattern", "Primitive", "Process", "ProfileRunner", "Program",
    "ProjectSummary", "ReplayConfig", "ReplayError", "ReplayOptions", "ResumedRun", "Resumption", "Route", "RunConfig",
    "RunError", "RunSummary", "RunnerError", "ShownRun", "SourceManifest", "Standing", "StepError", "StepOutcome",
    "StopHandle", "Surroundings", "Target", "TimedRun", "TriggerEvent", "TriggerManifest", "ValidationError", "Window",
    "build_inventory", "diff_bundles", "exec_transport", "explain_event", "inspect_bundle", "iter_replays",
    "load_adapter_file", "load_egress_config", "load_graph_assets_from_memory", "load_program_from_files",
    "open_bundle", "parse_egress_config", "replay_bundle", "replay_bundles", "validate_files", "write_capture_bundle",
]
# fmt: on

_NAMES = {
    "bundle.inspection": "Inspection inspect_bundle",
    "bundle.memory": "CaptureBundle",
    "bundle.reader": "BundleReader open_bundle",
    "channels.egress_config": "ConfigForm EgressConfig Route load_egress_config parse_egress_config",
    "channels.exec": "exec_transport",
    "channels.interruption": "Interruption",
    "channels.timeouts": "ChannelPolicy",
    "core.diagnostics": "Notice",
    "core.levels": "FailOn Level",
    "core.numbers": "Numbers",
    "errors": "ErgoError",
    "events.adapter": "Adapter",
    "events.external": "EpisodeStart EventKind HostedEvent",
    "host.step": "StepOutcome",
    "host.timing": "StopHandle",
    "library.errors": "BuildError CaptureError ConfigError KeptRunError LibraryError ReplayError RunError"
    " RunnerError StepError ValidationError",
    "library.handle": "Ergo ErgoBuilder",
    "library.kept_runs": "KeptRuns",
    "library.operations": "load_graph_assets_from_memory",
    "library.projects": "ProjectSummary",
    "library.run_config": "Completed Fixture InMemoryProject Interrupted Items Process ReplayConfig RunConfig"
    " RunSummary",
    "library.stepping": "ProfileRunner write_capture_bundle",
    "programs.graph.check.catalog": "Inventory build_inventory",
    "programs.graph.files.discovery": "InMemorySource",
    "programs.graph.model": "GraphAssets",
    "programs.graph.primitives.primitive": "ActionManifest ActionOutcome ComputeManifest Primitive"
    " SourceManifest TriggerEvent TriggerManifest",
    "programs.graph.program": "AdapterText",
    "programs.program": "Program",
    "programs.runs": "ExportedRun ForkedRun ListedRun ResumedRun Resumption ShownRun Standing TimedRun",
    "project.authored": "load_adapter_file",
    "project.loading": "LoadedProgram load_program_from_files",
    "replay.diffing": "diff_bundles",
    "replay.engine": "iter_replays replay_bundle replay_bundles",
    "replay.explaining": "Assigned Explanation explain_event",
    "replay.level_counts": "LevelCounts",
    "replay.paths": "Pattern",
    "replay.results": "BundleResult Divergence DivergenceKind Outcome ReplayOptions Target Window",
    "supervisor.seam": "Constraints",
    "tools.file_checks": "Surroundings",
    "tools.validation": "FileResult validate_files",
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'ergo_cli' has no attribute '{name}'")
    return getattr(import_module(f"ergo_cli.{_HOMES[name]}"), name)
