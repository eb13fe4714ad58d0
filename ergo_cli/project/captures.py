"""Where a capture goes (spec 00 §12.5, 30 §13.3)."""

from __future__ import annotations

import re
from pathlib import Path

from ergo_cli.project.profiles import ResolvedProfile


def capture_path(output: Path | None, profile: ResolvedProfile | None, graph: Path | None) -> Path:
    """``-o``, else the profile's place of capture, else the default for the graph file (None: a built-in program)."""
    if output is not None:
        return output
    return default_capture_path(graph) if profile is None else profile.capture


def default_capture_path(graph: Path | None) -> Path:
    """``target/<stem>-capture.json``, relative to the current folder; every odd character of the stem becomes ``_``."""
    stem = re.sub(r"[^A-Za-z0-9_-]", "_", graph.stem) if graph else ""
    return Path("target") / f"{stem or 'graph'}-capture.json"
