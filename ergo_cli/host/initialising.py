"""``ergo init``: a project made, run once, and kept together with what that run decided (spec 30 §26)."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from ergo_cli.core.notices import Notice
from ergo_cli.errors import EgressError
from ergo_cli.host.capturing import KeepRequest, RunOptions, perform
from ergo_cli.host.planning import RunRequest, plan_run
from ergo_cli.host.running import stopped_too_soon
from ergo_cli.host.stopping import StopHandle
from ergo_cli.project.finding import ProgramFlags
from ergo_cli.project.scaffold.files import CAPTURE, PROFILE, ScaffoldFile, scaffold_files
from ergo_cli.project.scaffold.naming import project_name
from ergo_cli.project.scaffold.planting import plant, staging_folder, write_tree
from ergo_cli.project.scaffold.requirement import ergo_requirement
from ergo_cli.project.scaffold.target import find_target


class Initialised(Struct, frozen=True):
    """A project that was made; ``files`` ascend, relative to it, and ``requirement`` is the ergo that it depends on."""

    name: str
    requirement: str
    files: tuple[str, ...]
    notices: tuple[Notice, ...]


def initialise(directory: str, *, force: bool = False, stop: StopHandle | None = None) -> Initialised:
    """Make a project in ``directory``, which is absent, empty or, with ``force``, keeps whatever else is in it.

    The capture is one of the installed ergo: its profile is run, channel process and all, before anything is written.
    Raises ErgoError ``cli.init_*``; EgressError or StepError where the channel program cannot be run; EventError
    ``driver.output_incomplete`` where ``stop`` ended that run. Then there is no project.
    """
    target = find_target(directory, force=force)
    name, requirement = project_name(target.name), ergo_requirement()
    files = scaffold_files(name, requirement)
    capture, notices = _captured(files, stop)
    files += (capture,)
    plant(files, target)
    return Initialised(name, requirement, tuple(sorted(file.path for file in files)), notices)


def _captured(files: Sequence[ScaffoldFile], stop: StopHandle | None) -> tuple[ScaffoldFile, tuple[Notice, ...]]:
    """What the project of ``files`` captures, run in a place of its own so that only the bundle is left of it."""
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
