"""Which profile a bundle belongs to when nobody says so (spec 00 §12.5)."""

from __future__ import annotations

import os
from pathlib import Path

from ergo_cli.errors import ErgoError
from ergo_cli.project.graph_files import parse_graph_file
from ergo_cli.project.profiles import ResolvedProfile, implied_profile, resolve_profile
from ergo_cli.project.toml import Project


def profile_for_replay(project: Project, bundle: Path, graph_id: str) -> ResolvedProfile | None:
    """The implied profile; else the one that captures to ``bundle``; else the one whose program has ``graph_id``.

    Several that qualify must agree in program and adapter. None where none does. Raises ProjectError PRJ-INVALID.
    """
    implied = implied_profile(project)
    if implied is not None:
        return resolve_profile(project, implied)
    profiles = [resolve_profile(project, name) for name in project.profiles]
    place = os.path.realpath(bundle)
    capturing = [profile for profile in profiles if os.path.realpath(profile.capture) == place]
    return _agreed(capturing) or _agreed([profile for profile in profiles if _graph_id(profile) == graph_id])


def _agreed(profiles: list[ResolvedProfile]) -> ResolvedProfile | None:
    programs = {(profile.program, profile.adapter) for profile in profiles}
    return profiles[0] if len(programs) == 1 else None


def _graph_id(profile: ResolvedProfile) -> str | None:
    """The id that the profile's graph file tells; None for other kinds and for a file that cannot be read."""
    if profile.graph is None:
        return None
    try:
        return parse_graph_file(profile.graph).id
    except ErgoError:
        return None
