"""Which version a selector means (spec 20 §7.5)."""

from __future__ import annotations

from collections.abc import Iterable

from ergo_cli.core.semver import Requirement, Version, parse_selector


class SelectorError(ValueError):
    """I.6: a selector that cannot be read or satisfied, or a registered version that is no semver."""


def resolve_version(selector: str, available: Iterable[str]) -> str:
    """The version that ``selector`` means: itself if exact, else the highest available one that it matches.

    An exact selector is taken as it is when nothing is available: what is missing then is the thing, not its version.
    Raises SelectorError (I.6).
    """
    try:
        wanted = parse_selector(selector)
    except ValueError as error:
        raise SelectorError(f"version selector '{selector}' is neither a version nor a requirement: {error}") from error
    versions = sorted(_parse(text) for text in available)
    match wanted:
        case Version():
            if not versions or wanted in versions:
                return str(wanted)
        case Requirement():
            matching = [version for version in versions if wanted.matches(version)]
            if matching:
                return str(matching[-1])
    raise SelectorError(f"no version satisfies '{selector}'; available: {_listed(versions)}")


def _parse(text: str) -> Version:
    try:
        return Version.parse(text)
    except ValueError as error:
        raise SelectorError(f"available version '{text}' is no semantic version: {error}") from error


def _listed(versions: Iterable[Version]) -> str:
    return ", ".join(str(version) for version in versions) or "<none>"
