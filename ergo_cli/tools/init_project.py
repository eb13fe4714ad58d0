"""``ergo init``: make a project, run it once, and write it with the bundle of that run (spec 30 §26)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import msgspec
from msgspec import Struct

from ergo_cli.core.diagnostics import Notice
from ergo_cli.errors import EgressError
from ergo_cli.events.adapter_rules import RUNTIME_LEVEL
from ergo_cli.host.event_input import stopped_too_soon
from ergo_cli.host.perform import KeepRequest, RunOptions, perform
from ergo_cli.host.run_plan import RunRequest, plan_run
from ergo_cli.host.timing import StopHandle
from ergo_cli.project.finding import ProgramFlags
from ergo_cli.tools.init_folder import ScaffoldFile, find_target, plant, staging_folder, write_tree
from ergo_cli.tools.init_templates import DEFAULT_KIND, template_files
from ergo_cli.version import __version__

PROFILE = "historical"
"""The profile whose bundle is part of the project."""

CAPTURE = f"captures/{PROFILE}.capture.json"
"""The path of that bundle in the project."""

GUIDE = "README.md"
"""The path of the file that explains the others."""


class Initialised(Struct, frozen=True):
    """A project that was made; ``files`` ascend and, like ``guide`` and ``capture``, are relative to its folder.

    ``requirement`` is the pip requirement of ergo that it depends on.
    """

    name: str
    requirement: str
    files: tuple[str, ...]
    guide: str
    capture: str
    notices: tuple[Notice, ...]


def initialise(
    directory: str, *, kind: str = DEFAULT_KIND, force: bool = False, stop: StopHandle | None = None
) -> Initialised:
    """Make a project in ``directory``, which must be absent or empty; with ``force`` other files there are kept.

    ``kind``, one that has a template, is what its program is.

    Its bundle comes from the installed ergo: the profile is run, with its channel process, before anything is
    written. Raises ErgoError ``cli.init_*``; EgressError or StepError if the channel program cannot be run; EventError
    ``driver.output_incomplete`` if ``stop`` ended that run. Then no project is made.
    """
    target = find_target(directory, force=force)
    name, requirement = project_name(target.name), ergo_requirement()
    files = scaffold_files(name, requirement, kind)
    capture, notices = _captured(files, stop)
    files += (capture,)
    plant(files, target)
    notices += tuple(_unread_gates(files, target.path))
    return Initialised(name, requirement, tuple(sorted(file.path for file in files)), GUIDE, CAPTURE, notices)


_READ_AT_THE_TOP = (".github/", ".gitlab-ci.yml", ".pre-commit-config.yaml")


def _unread_gates(files: Sequence[ScaffoldFile], folder: Path) -> Iterator[Notice]:
    """A warning where the project lies inside a repository, at whose top its services look for their files."""
    place = Path(os.path.abspath(folder))
    top = next((each for each in (place, *place.parents) if (each / ".git").exists()), place)
    names = [file.path for file in files if file.path.startswith(_READ_AT_THE_TOP)]
    if top != place and names:
        message = (
            f"{', '.join(names)} are read at the top of a repository alone, which is '{top}': "
            "move them there, and let their steps run in the project's folder"
        )
        yield Notice(message, str(folder))


def _captured(files: Sequence[ScaffoldFile], stop: StopHandle | None) -> tuple[ScaffoldFile, tuple[Notice, ...]]:
    """Run the project of ``files`` in a temporary folder; return its bundle and the notices of the run."""
    with staging_folder() as root:
        write_tree(files, root)
        request = RunRequest(ProgramFlags(profile=PROFILE, project=root))
        try:
            result = perform(plan_run(request), KeepRequest(), options=RunOptions(stop))
        except EgressError as error:
            error.fix = "see that python3 is on the PATH and starts Python 3: the channel programs are scripts for it"
            raise
        if result.error is not None:
            raise result.error
        if result.interruption is not None:
            raise stopped_too_soon()
        return ScaffoldFile(CAPTURE, (root / CAPTURE).read_bytes()), result.notices


_EXECUTABLE = {"scripts/test"}


def scaffold_files(name: str, requirement: str, kind: str = DEFAULT_KIND) -> tuple[ScaffoldFile, ...]:
    """All files, except the bundle, of a project named ``name`` that depends on ``requirement``."""
    words = {"@name@": name, "@requirement@": requirement, "@runtime_level@": RUNTIME_LEVEL}
    return tuple(
        ScaffoldFile(path, _filled(file, words), executable=path in _EXECUTABLE)
        for path, file in template_files(kind).items()
    )


def _filled(file: Path, words: dict[str, str]) -> bytes:
    text = file.read_text(encoding="utf-8")
    for placeholder, word in words.items():
        text = text.replace(placeholder, word)
    return text.encode()


def project_name(folder: str) -> str:
    """The name for a project in ``folder``, a single path segment (spec 30 §26).

    ASCII letters and digits in lower case, every run of other characters one ``-``: ``9 Weird__Name!`` is
    ``ergo-9-weird-name``, and a segment without any is ``ergo-app``.
    """
    name = re.sub(r"[^A-Za-z0-9]+", "-", folder).strip("-").lower()
    if not name:
        return "ergo-app"
    return f"ergo-{name}" if name[0].isdigit() else name


DISTRIBUTION = "ergo-replay"
"""The name on package indexes, where ``ergo`` is another project's."""

_PINNED = f"{DISTRIBUTION}=={__version__}"


class _Repository(Struct):
    vcs: str
    commit_id: str


class _Origin(Struct):
    """Where a distribution that is not from a package index was installed from (PEP 610)."""

    url: str
    vcs_info: _Repository | None = None
    subdirectory: str | None = None


def ergo_requirement() -> str:
    """A requirement as ``pip freeze`` writes it: the version, or the commit, wheel or folder that was installed."""
    try:
        installed = distribution(DISTRIBUTION)
    except PackageNotFoundError:  # not installed: run from its sources
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
    return f"{DISTRIBUTION} @ {url}" + (f"#subdirectory={origin.subdirectory}" if origin.subdirectory else "")
