"""What to ask pip for, to have the ergo that is running."""

from __future__ import annotations

from importlib.metadata import Distribution, PackageNotFoundError, distribution

import msgspec
from msgspec import Struct

from ergo_cli import __version__

_PINNED = f"ergo=={__version__}"


class _Repository(Struct):
    vcs: str
    commit_id: str


class _Origin(Struct):
    """Where a distribution that came from no package index was installed from (PEP 610)."""

    url: str
    vcs_info: _Repository | None = None
    subdirectory: str | None = None


def ergo_requirement() -> str:
    """A requirement as ``pip freeze`` writes it: the version, or the commit, wheel or folder that was installed."""
    try:
        installed = distribution("ergo")
    except PackageNotFoundError:  # run from its sources
        return _PINNED
    return requirement_of(installed)


def requirement_of(installed: Distribution) -> str:
    """As ``ergo_requirement``, for an installed distribution of ergo."""
    text = installed.read_text("direct_url.json")
    if text is None:
        return _PINNED
    origin = msgspec.json.decode(text, type=_Origin)
    url = origin.url
    if origin.vcs_info is not None:
        url = f"{origin.vcs_info.vcs}+{url}@{origin.vcs_info.commit_id}"
    return f"ergo @ {url}" + (f"#subdirectory={origin.subdirectory}" if origin.subdirectory else "")
