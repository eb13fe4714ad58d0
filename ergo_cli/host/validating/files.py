"""Files validated one by one: all that is wrong with each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from msgspec import Struct

from ergo_cli.core.notices import Notice
from ergo_cli.errors import ErgoError, reason
from ergo_cli.host.validating.checks import (
    Checked,
    Surroundings,
    check_adapter,
    check_bundle_file,
    check_events,
    check_graph,
    check_primitive,
    check_project,
)
from ergo_cli.host.validating.kinds import FileKind, kind_by_content, kind_by_name, unknown_kind
from ergo_cli.project.texts import read_text

_CHECKS: Mapping[FileKind, Callable[[str, Surroundings], Checked]] = {
    FileKind.EVENTS: check_events,
    FileKind.PROJECT: check_project,
    FileKind.BUNDLE: check_bundle_file,
    FileKind.CLUSTER: check_graph,
    FileKind.ADAPTER: check_adapter,
    FileKind.SOURCE: check_primitive,
    FileKind.COMPUTE: check_primitive,
    FileKind.TRIGGER: check_primitive,
    FileKind.ACTION: check_primitive,
}


class FileResult(Struct, frozen=True):
    """What was found out about one file; it is valid where there are no errors."""

    path: str
    kind: FileKind | None
    id: str | None
    errors: tuple[ErgoError, ...]
    notices: tuple[Notice, ...]


def validate_files(
    paths: Iterable[str], surroundings: Surroundings, *, strict: bool, on_file: Callable[[], None] | None = None
) -> list[FileResult]:
    """The result of each file; ``strict`` makes its warnings errors."""
    results: list[FileResult] = []
    for path in paths:
        result = _validate(path, surroundings)
        results.append(_strictly(result) if strict else result)
        if on_file is not None:
            on_file()
    return results


def _validate(path: str, surroundings: Surroundings) -> FileResult:
    kind = None
    try:
        kind = kind_by_name(path) or kind_by_content(_text(path), path)
        checked = _CHECKS[kind](path, surroundings)
    except ErgoError as error:
        return FileResult(path, kind, None, (error,), ())
    return FileResult(path, kind, checked.id, checked.errors, checked.notices)


def _text(path: str) -> str:
    try:
        return read_text(Path(path))
    except OSError as error:
        raise unknown_kind(path, f"it cannot be read: {reason(error)}", fix="name a file that can be read") from error
    except ValueError as error:
        raise unknown_kind(path, str(error)) from error


def _strictly(result: FileResult) -> FileResult:
    errors = tuple(_as_error(notice, result.path) for notice in result.notices)
    return FileResult(result.path, result.kind, result.id, result.errors + errors, ())


def _as_error(notice: Notice, path: str) -> ErgoError:
    fix = "mend it, or leave out --strict"
    return ErgoError("validate.warning", notice.message, where=notice.where or path, fix=fix)
