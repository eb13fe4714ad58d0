"""``ergo watch``: replay what a changed file reaches, whenever one changes."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, TextIO

from ergo_cli.cli.commands import (
    MOST_LISTED,
    AdapterOption,
    ClusterPathOption,
    Color,
    ColorOption,
    GraphOption,
    GuardOption,
    IgnoreOption,
    JobsOption,
    ListOption,
    MaxDivergencesOption,
    MaxInputOption,
    NumbersOption,
    ProfileOption,
    ProgramOption,
    ProjectOption,
    QuietOption,
    VerboseOption,
    VersionOption,
)
from ergo_cli.cli.fail_on import FailOnOption
from ergo_cli.cli.replay import BundlesArgument, StrictOption
from ergo_cli.core.levels import FailOn

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ergo_cli.report.command_result import CommandResult
    from ergo_cli.report.comparisons import Shown
    from ergo_cli.tools.watching import WatchedReplays

_CLEAR = "\x1b[2J\x1b[3J\x1b[H"
_MOST_NAMED = 3


def watch(
    bundles: BundlesArgument = None,
    strict: StrictOption = False,
    graph: GraphOption = None,
    program: ProgramOption = None,
    adapter: AdapterOption = None,
    cluster_path: ClusterPathOption = None,
    profile: ProfileOption = None,
    project: ProjectOption = None,
    ignore: IgnoreOption = None,
    fail_on: FailOnOption = FailOn.ANY,
    max_divergences: MaxDivergencesOption = MOST_LISTED,
    listed: ListOption = False,
    jobs: JobsOption = 1,
    numbers: NumbersOption = None,
    guard: GuardOption = False,
    max_input: MaxInputOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = Color.AUTO,
    version: VersionOption = False,
) -> int:
    """Replay, and again what a changed file reaches, until a signal ends it."""
    from datetime import datetime
    from time import monotonic

    from ergo_cli.cli.session import Session
    from ergo_cli.cli.usage import refuse_standard_input
    from ergo_cli.project.finding import ProgramFlags
    from ergo_cli.project.store import ProgramStore
    from ergo_cli.replay.session import ReplayRequest, ReplaySession
    from ergo_cli.report.comparisons import Shown
    from ergo_cli.signals import INTERRUPTED
    from ergo_cli.tools.watching import WatchedReplays, watched_folders

    session = Session("watch", "text", color, quiet=quiet, verbose=verbose, max_input=max_input)
    flags = ProgramFlags(graph, program, adapter, tuple(cluster_path or ()), profile, project, guard)
    patterns = None if ignore is None else tuple(ignore)
    rounds = _Rounds(Shown(listed, verbose, None, flags.words, flags.words, accepts=True))

    def begin() -> CommandResult:
        for bundle in bundles or ():
            refuse_standard_input(bundle)
        today = datetime.now().date()
        request = ReplayRequest(flags, strict, patterns, max_divergences, numbers, fail_on=fail_on, today=today)
        replays = ReplaySession(request, ProgramStore.of_user(), monotonic)
        rounds.open(watched_folders(bundles or (), flags), WatchedReplays(replays, bundles or (), jobs))
        return rounds.first()

    with rounds.until_the_end:
        code = session.conclude(begin)
        while rounds.is_watching and code != INTERRUPTED:
            code = session.conclude(rounds.following)
    return code


class _Rounds:
    """Replays one after the other, each shown in the place of the one before, or in a file below it."""

    def __init__(self, shown: Shown) -> None:
        self.until_the_end = ExitStack()
        self.is_watching = False
        self._shown = shown
        self._output: TextIO | None = sys.stdout

    def open(self, folders: Sequence[str], replays: WatchedReplays) -> None:
        """Watch from now on. Raises as ``watching``."""
        from ergo_cli.tools.file_changes import watching

        self._replays = replays
        self._changes = self.until_the_end.enter_context(watching(folders))
        self.is_watching = True

    def first(self) -> CommandResult:
        """The result of replaying everything."""
        result = self._result(())
        assert result is not None, "what is shown first is always new"
        return result

    def following(self) -> CommandResult:
        """The result after the next change that reaches anything; waits for it."""
        while True:
            result = self._result(next(self._changes))
            if result is not None:
                return result

    def _result(self, changed: Collection[str]) -> CommandResult | None:
        from ergo_cli.errors import ErgoError
        from ergo_cli.replay.expected import unmet
        from ergo_cli.report.comparisons import REPLAY, render_comparison

        try:
            found = self._replays.round(changed)
        except ErgoError:
            self._turn_page(changed)
            raise
        if found is None:
            return None
        self._turn_page(changed)
        selection, results = found
        notices = selection.notices + self._replays.session.notices()
        return render_comparison("replay", results, REPLAY, notices, self._shown, selection.searched, unmet(results))

    def _turn_page(self, changed: Collection[str]) -> None:
        """Clear the screen; in a file, a line says which files changed."""
        from ergo_cli.cli.streams import is_terminal
        from ergo_cli.report.error_text import near
        from ergo_cli.report.text import printable

        there = [path for path in changed if os.path.lexists(path)]  # not what an editor made and removed on its way
        names = [printable(near(path)) for path in sorted(there or changed)]
        more = "" if len(names) <= _MOST_NAMED else f" and {len(names) - _MOST_NAMED:,} more"
        line = f"\n---- {', '.join(names[:_MOST_NAMED])}{more} changed\n" if names else ""
        if self._output is None:
            return
        try:
            self._output.write(_CLEAR if is_terminal(self._output) else line)
            self._output.flush()
        except OSError:  # the reader of the reports has closed the pipe
            self.is_watching = False
