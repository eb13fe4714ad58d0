"""What kind of file a file is: by its name, else by what it holds (spec 00 §12.8)."""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path

from ergo_cli.bundle.recognition import SUFFIXES, looks_like_bundle
from ergo_cli.core.documents import Mapping, Scalar
from ergo_cli.core.json_text import parse_json
from ergo_cli.core.yaml_text import parse_yaml
from ergo_cli.errors import DocumentError, ErgoError, reason
from ergo_cli.project.texts import read_text

_EVENTS = (".jsonl", ".jsonl.gz", ".jsonl.zst")
_PROJECTS = ("ergo.toml", "pyproject.toml")


class FileKind(Enum):
    """What a file is; the last six are what its ``kind`` member says."""

    EVENTS = "events"
    PROJECT = "project"
    BUNDLE = "bundle"
    CLUSTER = "cluster"
    ADAPTER = "adapter"
    SOURCE = "source"
    COMPUTE = "compute"
    TRIGGER = "trigger"
    ACTION = "action"


AUTHORED = tuple(kind.value for kind in list(FileKind)[3:])
_FIX = f"write kind: {', '.join(AUTHORED[:-1])} or {AUTHORED[-1]}"


def kind_by_name(path: str) -> FileKind | None:
    """The kind that a file's name tells, or the beginning of what may be a bundle; None where the content must."""
    name = os.path.basename(path)
    if name.endswith(_EVENTS):
        return FileKind.EVENTS
    if name in _PROJECTS:
        return FileKind.PROJECT
    if name.endswith(SUFFIXES) and os.path.isfile(path) and looks_like_bundle(path):
        return FileKind.BUNDLE
    return None


def kind_by_content(text: str, path: str) -> FileKind:
    """The kind that an authored text tells. Raises ErgoError ``INTERNAL`` where it tells none (C-118)."""
    try:
        document = parse_json(text, path) if path.endswith(".json") else parse_yaml(text, path)
    except DocumentError as error:
        raise _unreadable(error) from error
    members = {name.text: node for name, node in document.entries} if isinstance(document, Mapping) else {}
    if "capture_version" in members:
        return FileKind.BUNDLE
    kind = members.get("kind")
    if not isinstance(kind, Scalar):
        raise unknown_kind(path, "it has no member 'kind' that is a text")
    if kind.text.lower() not in AUTHORED:
        where = f"{path}:{kind.mark.line}:{kind.mark.column}"
        raise unknown_kind(path, f"its kind '{kind.text}' is unknown", where=where)
    return FileKind(kind.text.lower())


def authored_text(path: str) -> str:
    """The text of an authored file. Raises ErgoError ``INTERNAL`` where it cannot be read."""
    try:
        return read_text(Path(path))
    except OSError as error:
        raise unknown_kind(path, f"it cannot be read: {reason(error)}", fix="name a file that can be read") from error
    except ValueError as error:
        raise unknown_kind(path, str(error)) from error


def unknown_kind(path: str, why: str, *, where: str | None = None, fix: str = _FIX) -> ErgoError:
    """What is said of a file that cannot be told to be anything."""
    message = f"'{path}' cannot be validated: {why}"
    return ErgoError("INTERNAL", message, where=where or path, fix=fix, rule="INTERNAL")


def _unreadable(error: DocumentError) -> ErgoError:
    fix = error.fix or "mend the text there"
    return ErgoError("INTERNAL", error.message, where=error.where, fix=fix, rule="INTERNAL", causes=(error,))
