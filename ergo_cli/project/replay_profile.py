"""Which profile a bundle belongs to when nobody says so (spec 00 §12.5)."""

from __future__ import annotations

import os
from pathlib import Path

from ergo_cli.errors import ErgoError
from ergo_cli.project.graph_files import parse_graph_file
from ergo_cli.project.profiles import ResolvedProfile, implied_profile, resolve_profile
from ergo_cli.project.toml import Project


def profile_for_replay(
    project: Project, bundle: Path, graph_id: str, reference: str | None = None
) -> ResolvedProfile | None:
    """The implied profile; else the one that captures to ``bundle``; else the one whose program the bundle names.

    A graph is named by its id, a program written in Python by its ``module:attribute``. Several that qualify must agree
    in program and adapter. None where none does. Raises ProjectError PRJ-INVALID.
    """
    implied = implied_profile(project)
    if implied is not None:
        return resolve_profile(project, implied)
    profiles = [resolve_profile(project, name) for name in project.profiles]
    place = os.path.realpath(bundle)
    capturing = [profile for profile in profiles if os.path.realpath(profile.capture) == place]
    return _agreed(capturing) or _agreed([each for each in profiles if _is_named(each, graph_id, reference)])


def _agreed(profiles: list[ResolvedProfile]) -> ResolvedProfile | None:
    programs = {(profile.program, profile.adapter) for profile in profiles}
    return profiles[0] if len(programs) == 1 else None


def _is_named(profile: ResolvedProfile, graph_id: str, reference: str | None) -> bool:
    if profile.graph is None:
        return profile.program.ref == reference
    return reference is None and _graph_id(profile) == graph_id


def _graph_id(profile: ResolvedProfile) -> str | None:
    """The id that the profile's graph file tells; None for a file that cannot be read."""
    try:
        return None if profile.graph is None else parse_graph_file(profile.graph).id
    except ErgoError:
        return None
