"""Files validated one by one: all that is wrong with each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from ergo_cli.core.notices import Notice
from ergo_cli.errors import ErgoError
from ergo_cli.host.validating.checked import Checked, Surroundings
from ergo_cli.host.validating.checks import check_bundle_file, check_events, check_graph
from ergo_cli.host.validating.kinds import FileKind, authored_text, kind_by_content, kind_by_name
from ergo_cli.host.validating.manifests import check_manifest
from ergo_cli.host.validating.projects import check_project

_CHECKS: Mapping[FileKind, Callable[[str, Surroundings], Checked]] = {
    FileKind.EVENTS: check_events,
    FileKind.PROJECT: check_project,
    FileKind.BUNDLE: check_bundle_file,
    FileKind.CLUSTER: check_graph,
    FileKind.ADAPTER: check_manifest,
    FileKind.SOURCE: check_manifest,
    FileKind.COMPUTE: check_manifest,
    FileKind.TRIGGER: check_manifest,
    FileKind.ACTION: check_manifest,
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
        kind = kind_by_name(path) or kind_by_content(authored_text(path), path)
        checked = _CHECKS[kind](path, surroundings)
    except ErgoError as error:
        return FileResult(path, kind, None, (error,), ())
    return FileResult(path, kind, checked.id, checked.errors, checked.notices)


def _strictly(result: FileResult) -> FileResult:
    errors = tuple(_as_error(notice, result.path) for notice in result.notices)
    return FileResult(result.path, result.kind, result.id, result.errors + errors, ())


def _as_error(notice: Notice, path: str) -> ErgoError:
    fix = "mend it, or leave out --strict"
    return ErgoError("validate.warning", notice.message, where=notice.where or path, fix=fix)
