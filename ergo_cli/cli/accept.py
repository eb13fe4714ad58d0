"""``ergo accept``: today's decisions become the recording, after review."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ergo_cli.cli.commands import (
    AdapterOption,
    ClusterPathOption,
    Color,
    ColorOption,
    Format,
    FormatOption,
    GraphOption,
    MaxInputOption,
    NumbersOption,
    ProfileOption,
    ProgramOption,
    ProjectOption,
    QuietOption,
    VerboseOption,
    VersionOption,
)
from ergo_cli.cli.replay import BundlesArgument

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ergo_cli.cli.session import Session
    from ergo_cli.project.store import ProgramStore
    from ergo_cli.replay.filters import DivergenceFilter
    from ergo_cli.replay.selection import BundlePath
    from ergo_cli.replay.session import ReplayRequest
    from ergo_cli.report.command_result import CommandResult
    from ergo_cli.tools.accept.proposals import Proposed
    from ergo_cli.tools.accept.review import Answer, Group, Part, Review

AllOption = Annotated[bool, typer.Option("--all", help="Accept all of it without asking.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Accept in CI too, where CI is set.")]
WhyOption = Annotated[
    str | None, typer.Option("--why", metavar="TEXT", help="The reason, which accepted.jsonl keeps beside the bundles.")
]
KindOption = Annotated[
    str | None, typer.Option("--kind", metavar="KIND", help="Only divergences of this kind: effect_changed.")
]
NodeOption = Annotated[
    str | None, typer.Option("--node", metavar="NODE", help="Only divergences at this node, step, state or stage.")
]
PathOption = Annotated[
    str | None, typer.Option("--path", metavar="PATH", help="Only divergences at or below this path of a decision.")
]
StaleOption = Annotated[
    bool, typer.Option("--stale", help="List the bundles that no profile reaches, once all others match.")
]


def accept(
    bundles: BundlesArgument = None,
    accept_all: AllOption = False,
    why: WhyOption = None,
    force: ForceOption = False,
    kind: KindOption = None,
    node: NodeOption = None,
    path: PathOption = None,
    stale: StaleOption = False,
    graph: GraphOption = None,
    program: ProgramOption = None,
    adapter: AdapterOption = None,
    cluster_path: ClusterPathOption = None,
    profile: ProfileOption = None,
    project: ProjectOption = None,
    numbers: NumbersOption = None,
    max_input: MaxInputOption = None,
    form: FormatOption = Format.TEXT,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = Color.AUTO,
    version: VersionOption = False,
) -> int:
    """Let what today's program decides become the recording, after review."""
    from ergo_cli.cli.session import Session
    from ergo_cli.project.finding import ProgramFlags
    from ergo_cli.project.store import ProgramStore
    from ergo_cli.replay.selection import select_bundles
    from ergo_cli.replay.session import ReplayRequest
    from ergo_cli.report.acceptance import nothing_meant, render_accepted, render_stale, render_waiting
    from ergo_cli.report.grouping import group_of
    from ergo_cli.tools.accept.proposals import Proposal, without_links, workplace
    from ergo_cli.tools.accept.result import Accepted
    from ergo_cli.tools.accept.review import Review
    from ergo_cli.tools.accept.stale import find_stale
    from ergo_cli.tools.accept.writing import Acceptance, write_each

    session = Session("accept", form, color, quiet=quiet, verbose=verbose, max_input=max_input)
    flags = ProgramFlags(graph, program, adapter, tuple(cluster_path or ()), profile, project)

    def work() -> CommandResult:
        request, store = ReplayRequest(flags, strict=False, numbers=numbers), ProgramStore.of_user()
        if stale:
            _check_stale(accept_all, why, force, kind, node, path)
            with session.progress("replay") as on_event:
                return render_stale(find_stale(bundles or (), request, store, on_event))
        _check_surroundings(force=force)
        meant = _filter(kind, node, path)
        chosen = _words(("--kind", kind), ("--node", node), ("--path", path))
        selection = select_bundles(bundles or (), profile, project, strict=False)
        with workplace() as folder:
            proposed = _proposed(session, without_links(selection.bundles), request, store, folder)
            review = Review([each for each in proposed if isinstance(each, Proposal)], group_of, meant)
            if review.proposals and not review.meant:
                raise nothing_meant(chosen, review)
            if accept_all:
                review.accept_all()
            elif review.proposals and not _can_ask():
                words = (
                    *(bundles or ()),
                    *chosen,
                    *_words(("--why", why)),
                    *(("--force",) if force else ()),
                    *flags.words,
                )
                return render_waiting(Accepted(selection, proposed, review), words)
            else:
                _ask(session, review)
            replaced = write_each(review.whole, Acceptance.now(why), store)
        return render_accepted(Accepted(selection, proposed, review, replaced), flags.words)

    return session.conclude(work)


def _proposed(
    session: Session, bundles: Sequence[BundlePath], request: ReplayRequest, store: ProgramStore, folder: Path
) -> list[Proposed]:
    """What each bundle comes to, with the progress of it on a terminal."""
    from ergo_cli.cli.session import Done
    from ergo_cli.tools.accept.proposals import propose_each

    found: list[Proposed] = []
    with session.progress("accept", lambda: Done(len(found), len(bundles), "bundles")) as on_event:
        for proposed in propose_each(bundles, request, store, folder, on_event):
            found.append(proposed)  # one by one: the progress counts them
    return found


def _can_ask() -> bool:
    from ergo_cli.cli.streams import is_terminal

    return is_terminal(sys.stdin) and is_terminal(sys.stderr)


def _ask(session: Session, review: Review) -> None:
    """Ask about one part of a group after the other; the end of standard input is as good as quitting."""
    from ergo_cli.report.acceptance import group_screen
    from ergo_cli.tools.accept.review import Answer

    def ask(number: int, group: Group, part: Part) -> Answer:
        left = len(group.parts) - group.parts.index(part)
        for_all = "  a all of this group  d none of it" if left > 1 else ""
        question = f"\naccept?  y yes  n no{for_all}  q quit: "
        line = session.ask(group_screen(number, len(review.meant), group, part), question)
        while line is not None:
            found = next((answer for answer in Answer if answer.value == line.lower()[:1]), None)
            if found is not None:
                return found
            line = session.ask((), question)
        return Answer.QUIT

    review.ask(ask)


def _check_surroundings(*, force: bool) -> None:
    """Raise UsageError where ``CI`` is set: what a gate proves is not for the gate to change."""
    from ergo_cli.errors import UsageError

    if os.environ.get("CI") and not force:
        message = "CI is set: a gate does not accept what it is there to find"
        fix = "accept on your machine and commit the bundles, or add --force"
        raise UsageError("cli.accept_in_ci", message, where="environment variable CI", fix=fix)


def _check_stale(*given: object) -> None:
    from ergo_cli.errors import UsageError

    if any(given):
        message = "--stale lists bundles and accepts none"
        raise UsageError("cli.conflicting_options", message, where="option --stale", fix="leave --stale out")


def _words(*options: tuple[str, str | None]) -> tuple[str, ...]:
    """The options that were given, as words of a command line."""
    return tuple(word for name, value in options if value is not None for word in (name, value))


def _filter(kind: str | None, node: str | None, path: str | None) -> DivergenceFilter | None:
    """The divergences that the options mean; None for all. Raises UsageError."""
    from ergo_cli.replay.filters import DivergenceFilter, kind_of, pattern_of

    if kind is None and node is None and path is None:
        return None
    found = None if kind is None else kind_of(kind, "option --kind")
    return DivergenceFilter(found, node, None if path is None else pattern_of(path, "option --path"))
