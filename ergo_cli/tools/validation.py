"""``ergo validate``: check files one by one and collect every fault of each (spec 00 §12.8)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from os import PathLike, fspath

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.diagnostics import Notice
from ergo_cli.errors import ErgoError
from ergo_cli.tools.file_checks import (
    Checked,
    FileType,
    Surroundings,
    authored_text,
    check_bundle_file,
    check_events,
    check_graph,
    check_manifest,
    type_by_content,
    type_by_name,
)
from ergo_cli.tools.project_checks import check_project

_CHECKS: Mapping[FileType, Callable[[str, Surroundings], Checked]] = {
    FileType.EVENTS: check_events,
    FileType.PROJECT: check_project,
    FileType.BUNDLE: check_bundle_file,
    FileType.CLUSTER: check_graph,
    FileType.ADAPTER: check_manifest,
    FileType.SOURCE: check_manifest,
    FileType.COMPUTE: check_manifest,
    FileType.TRIGGER: check_manifest,
    FileType.ACTION: check_manifest,
}


class FileResult(Struct, frozen=True):
    """The result of one file, which is valid if there are no errors; ``type`` is None if it cannot be determined.

    ``seconds`` is how long the check took, where that was measured.
    """

    path: str
    type: FileType | None
    id: str | None
    errors: tuple[ErgoError, ...]
    notices: tuple[Notice, ...]
    seconds: float | None = None


def validate_files(
    paths: Iterable[str | PathLike[str]],
    surroundings: Surroundings = Surroundings(),
    *,
    strict: bool = True,
    on_file: Callable[[], None] | None = None,
    clock: Callable[[], float] | None = None,
) -> list[FileResult]:
    """Check each file; ``strict`` makes its warnings errors.

    With a ``clock``, in seconds, results say how long they took.
    """
    results: list[FileResult] = []
    for path in paths:
        begun = None if clock is None else clock()
        result = _validate(fspath(path), surroundings)
        if clock is not None and begun is not None:
            result = replace(result, seconds=clock() - begun)
        results.append(_strictly(result) if strict else result)
        if on_file is not None:
            on_file()
    return results


def _validate(path: str, surroundings: Surroundings) -> FileResult:
    file_type = None
    try:
        file_type = type_by_name(path) or type_by_content(authored_text(path), path)
        checked = _CHECKS[file_type](path, surroundings)
    except ErgoError as error:
        return FileResult(path, file_type, None, (error,), ())
    return FileResult(path, file_type, checked.id, checked.errors, checked.notices)


def _strictly(result: FileResult) -> FileResult:
    errors = tuple(_as_error(notice, result.path) for notice in result.notices)
    return replace(result, errors=result.errors + errors, notices=())


def _as_error(notice: Notice, path: str) -> ErgoError:
    fix = "mend it, or leave out --strict"
    return ErgoError("validate.warning", notice.message, where=notice.where or path, fix=fix)
