"""Run a stream of events through a deterministic program, capture what decided the outcome, replay it as proof.

The names below are the library's front door; each is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ergo_cli.bundle.memory import CaptureBundle
    from ergo_cli.bundle.reader import open_bundle
    from ergo_cli.errors import ErgoError
    from ergo_cli.events.external import EventKind
    from ergo_cli.events.hosted import EpisodeStart, HostedEvent
    from ergo_cli.host.channels.policy import ChannelPolicy
    from ergo_cli.host.egress.config import EgressConfig
    from ergo_cli.host.egress.config_files import parse_egress_config
    from ergo_cli.host.interruption import Interruption
    from ergo_cli.host.runner import StepOutcome
    from ergo_cli.host.stopping import StopHandle
    from ergo_cli.library.bundles import write_capture_bundle
    from ergo_cli.library.config import Fixture, InMemoryProject, Items, Process, ReplayConfig, RunConfig
    from ergo_cli.library.errors import (
        BuildError,
        CaptureError,
        ConfigError,
        LibraryError,
        ReplayError,
        RunError,
        RunnerError,
        StepError,
        ValidationError,
    )
    from ergo_cli.library.handle import Ergo, ErgoBuilder
    from ergo_cli.library.outcome import Completed, Interrupted, RunSummary
    from ergo_cli.library.programs import load_graph_assets_from_memory
    from ergo_cli.library.projects import ProjectSummary
    from ergo_cli.library.stepping import ProfileRunner
    from ergo_cli.programs.graph.memory import InMemorySource
    from ergo_cli.project.loading import load_program_from_files
    from ergo_cli.project.sources import AdapterText
    from ergo_cli.replay.diffing import diff_bundles
    from ergo_cli.replay.divergence import Divergence
    from ergo_cli.replay.options import ReplayOptions, Target
    from ergo_cli.replay.replaying import iter_replays, replay_bundle, replay_bundles
    from ergo_cli.replay.result import BundleResult
    from ergo_cli.supervisor.constraints import Constraints

__version__ = "0.1.0"

# fmt: off
__all__ = [
    "AdapterText", "BuildError", "BundleResult", "CaptureBundle", "CaptureError", "ChannelPolicy", "Completed",
    "ConfigError", "Constraints", "Divergence", "EgressConfig", "EpisodeStart", "Ergo", "ErgoBuilder", "ErgoError",
    "EventKind", "Fixture", "HostedEvent", "InMemoryProject", "InMemorySource", "Interrupted", "Interruption", "Items",
    "LibraryError", "Process", "ProfileRunner", "ProjectSummary", "ReplayConfig", "ReplayError", "ReplayOptions",
    "RunConfig", "RunError", "RunSummary", "RunnerError", "StepError", "StepOutcome", "StopHandle", "Target",
    "ValidationError", "diff_bundles", "iter_replays", "load_graph_assets_from_memory", "load_program_from_files",
    "open_bundle", "parse_egress_config", "replay_bundle", "replay_bundles", "write_capture_bundle",
]
# fmt: on

_NAMES = {
    "bundle.memory": "CaptureBundle",
    "bundle.reader": "open_bundle",
    "errors": "ErgoError",
    "events.external": "EventKind",
    "events.hosted": "EpisodeStart HostedEvent",
    "host.channels.policy": "ChannelPolicy",
    "host.egress.config": "EgressConfig",
    "host.egress.config_files": "parse_egress_config",
    "host.interruption": "Interruption",
    "host.runner": "StepOutcome",
    "host.stopping": "StopHandle",
    "library.bundles": "write_capture_bundle",
    "library.config": "Fixture InMemoryProject Items Process ReplayConfig RunConfig",
    "library.errors": "BuildError CaptureError ConfigError LibraryError ReplayError RunError RunnerError StepError"
    " ValidationError",
    "library.handle": "Ergo ErgoBuilder",
    "library.outcome": "Completed Interrupted RunSummary",
    "library.programs": "load_graph_assets_from_memory",
    "library.projects": "ProjectSummary",
    "library.stepping": "ProfileRunner",
    "programs.graph.memory": "InMemorySource",
    "project.loading": "load_program_from_files",
    "project.sources": "AdapterText",
    "replay.diffing": "diff_bundles",
    "replay.divergence": "Divergence",
    "replay.options": "ReplayOptions Target",
    "replay.replaying": "iter_replays replay_bundle replay_bundles",
    "replay.result": "BundleResult",
    "supervisor.constraints": "Constraints",
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'ergo_cli' has no attribute '{name}'")
    return getattr(import_module(f"ergo_cli.{_HOMES[name]}"), name)
