"""The templates of ``ergo init``: one for each kind of program that a new project may have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

DEFAULT_KIND = "graph"
"""The kind of a project that is asked for without one."""

_DEFAULT = Path(__file__).with_name("init_template")
_OTHERS = Path(__file__).with_name("init_kinds")
_OF_ALL = (".github/workflows/ergo.yml", ".gitlab-ci.yml", ".pre-commit-config.yaml", "pytest.ini", "requirements.txt")
"""What makes a gate of every project, whatever its kind."""


def template_files(kind: str) -> Mapping[str, Path]:
    """The files of a kind's template, by their paths in a project, ascending."""
    if kind == DEFAULT_KIND:
        found = _files(_DEFAULT)
    else:
        shared = {path: _DEFAULT / path for path in _OF_ALL}
        found = {**shared, **_files(_OTHERS / "shared"), **_files(_OTHERS / kind / "init_template")}
    return dict(sorted(found.items()))


def _files(folder: Path) -> dict[str, Path]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {path.relative_to(folder).as_posix(): path for path in files}
