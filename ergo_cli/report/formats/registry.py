"""The table of the formats: each is one module below this folder with ``render``."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

if TYPE_CHECKING:
    from ergo_cli.report.compared import Compared
    from ergo_cli.report.document import Report


class Format(NamedTuple):
    """A format: its module, and how its files begin.

    ``summary`` is the variable of the environment that names a file which gets a summary too. ``is_all``: on standard
    output it holds warnings and errors as well, and nothing goes to standard error.
    """

    module: str
    beginning: bytes
    summary: str | None = None
    is_all: bool = False


FORMATS: Mapping[str, Format] = {
    "json": Format("json_document", b'{"schema":"ergo.report/'),
    "junit": Format("junit", b"<?xml"),
    "sarif": Format("sarif", b'{"$schema":'),
    "github": Format("github", b"::", summary="GITHUB_STEP_SUMMARY", is_all=True),
    "gitlab": Format("gitlab", b"["),
    "html": Format("html.page", b"<!doctype html><!-- ergo report -->"),
}


class Around(NamedTuple):
    """What a format knows besides the report.

    ``top`` is the folder that paths are relative to, without links, None for the current one. ``seconds`` is how long
    each bundle, or each file, took, in their order, as far as that is known. ``compared`` is what
    the bundles of the report were made of; None where it is not known.
    """

    top: str | None = None
    seconds: tuple[float | None, ...] = ()
    compared: Compared | None = None


class _Module(Protocol):
    def render(self, report: Report, around: Around) -> bytes: ...

    def summary(self, report: Report, around: Around, room: int) -> bytes: ...


def rendered(name: str, report: Report, around: Around) -> bytes:
    """The report in a format."""
    return _module(name).render(report, around)


def summary(name: str, report: Report, around: Around, room: int) -> bytes:
    """The summary of a format that has one, in at most ``room`` bytes; empty where that is too little for any."""
    return _module(name).summary(report, around, room)


def _module(name: str) -> _Module:
    return cast(_Module, import_module(f"{__package__}.{FORMATS[name].module}"))
