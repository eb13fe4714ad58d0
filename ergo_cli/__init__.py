"""Run a stream of events through a deterministic program, capture what decided the outcome, replay it as proof.

The names below are the library's front door; each is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ergo_cli.errors import ErgoError
    from ergo_cli.project.loading import load_program_from_files
    from ergo_cli.replay.diffing import diff_bundles
    from ergo_cli.replay.divergence import Divergence
    from ergo_cli.replay.options import ReplayOptions, Target
    from ergo_cli.replay.replaying import iter_replays, replay_bundle, replay_bundles
    from ergo_cli.replay.result import BundleResult

__version__ = "0.1.0"

__all__ = [
    "BundleResult",
    "Divergence",
    "ErgoError",
    "ReplayOptions",
    "Target",
    "diff_bundles",
    "iter_replays",
    "load_program_from_files",
    "replay_bundle",
    "replay_bundles",
]

_HOMES = {
    "BundleResult": "replay.result",
    "Divergence": "replay.divergence",
    "ErgoError": "errors",
    "ReplayOptions": "replay.options",
    "Target": "replay.options",
    "diff_bundles": "replay.diffing",
    "iter_replays": "replay.replaying",
    "load_program_from_files": "project.loading",
    "replay_bundle": "replay.replaying",
    "replay_bundles": "replay.replaying",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'ergo_cli' has no attribute '{name}'")
    return getattr(import_module(f"ergo_cli.{_HOMES[name]}"), name)
