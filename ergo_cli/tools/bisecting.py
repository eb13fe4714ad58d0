"""Find the commit of a git repository with which a bundle began to differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from ergo_cli.bundle.reader import open_bundle
from ergo_cli.core.diagnostics import Notice, counted
from ergo_cli.core.time import NANOS
from ergo_cli.errors import ErgoError
from ergo_cli.programs.changes import Change
from ergo_cli.project.finding import ProgramFlags
from ergo_cli.tools.change_steps import step_between
from ergo_cli.tools.commit_search import Answer, last_good, narrowed
from ergo_cli.tools.commit_site import Site, site_of
from ergo_cli.tools.git_repository import Commit, Repository
from ergo_cli.tools.past_replays import CANNOT_RUN, Asked, Difference, Replayed, replay_commit

TIMEOUT_NS = 300 * NANOS
"""How long one replay may take by default."""

_HEAD = "HEAD"
_NAMED = 3

OnReplay = Callable[[Commit, Replayed], None]
"""Called after each replay."""


class BisectRequest(Struct, frozen=True):
    """A request to bisect; ``good`` and ``bad`` are revisions, ``any_divergence``: whatever differs counts.

    ``options`` are further ones of ``ergo replay``, as words.
    """

    bundle: str
    flags: ProgramFlags
    good: str | None = None
    bad: str | None = None
    any_divergence: bool = False
    options: tuple[str, ...] = ()
    timeout_ns: int = TIMEOUT_NS


class Skipped(Struct, frozen=True):
    """A commit that cannot be run, and why."""

    commit: Commit
    fault: ErgoError


class Origin(Struct, frozen=True):
    """Where a divergence came from, between ``good``, which lacks it, and the commit looked at first.

    ``first`` is the divergence. ``candidates`` are the commits that may have made it, each behind its parents: one, or
    also those before it that cannot be run. ``changes`` are those of the program from the first parent of the first of
    them to the last, ``files`` the paths, from the top of the repository, that differ between the two.
    """

    first: Difference
    good: Commit
    candidates: tuple[Commit, ...]
    changes: tuple[Change, ...] = ()
    files: tuple[str, ...] = ()


class Bisection(Struct, frozen=True):
    """What came of it; without ``origin`` nothing differs at ``bad``. ``replays`` counts the commits that ran."""

    bad: Commit
    origin: Origin | None
    skipped: tuple[Skipped, ...]
    replays: int
    notices: tuple[Notice, ...]


def bisect(request: BisectRequest, on_replay: OnReplay) -> Bisection:
    """Find the first commit with which the bundle differs as it does at ``bad``, or in any way.

    Raises BundleError, as ``site_of``, and ErgoError ``bisect.*``, for a range that does not begin with a commit that
    holds and end with one that differs, and for a repository that cannot be read.
    """
    with open_bundle(request.bundle) as reader:
        site = site_of(reader, request.flags)
    repository = site.repository
    bad = repository.commit(request.bad or _HEAD, "--bad")
    good = None if request.good is None else repository.commit(request.good, "--good")
    if good is not None:
        _check_order(repository, good, bad)
    notices = tuple(_unsaved(repository, bad))
    replays = _Replays(site, Asked(Path(request.bundle).absolute(), request.options, request.timeout_ns), on_replay)
    first = _first_of(bad, replays, is_named=request.bad is not None)
    origin = None
    if first is not None:
        search = _Search(repository, replays, first, any_divergence=request.any_divergence)
        held = search.good_before(bad, replays.bundle) if good is None else search.checked(good)
        origin = search.origin(bad, held)
    return Bisection(bad, origin, replays.skipped, replays.ran, notices)


def _check_order(repository: Repository, good: Commit, bad: Commit) -> None:
    if good.id == bad.id or not repository.is_ancestor(good.id, bad.id):
        relation = "is the same commit as" if good.id == bad.id else "does not come before"
        message = f"the good commit {good.short} {relation} the bad one, {bad.short}"
        fix = "name with --good an earlier commit of the history of --bad; git merge-base finds one of two branches"
        raise ErgoError("bisect.no_range", message, where="option --good", fix=fix)


def _first_of(bad: Commit, replays: _Replays, *, is_named: bool) -> Difference | None:
    """The divergence that is looked for; None where nothing differs at a commit that was not named."""
    found = replays.of(bad.id)
    if found.fault is not None:
        message = f"commit {bad.short}, where the search begins, cannot be run"
        fix = "commit a program that can be run, or name with --bad a commit whose program can"
        fix = found.fault.fix or fix if found.fault.code == CANNOT_RUN else fix
        raise ErgoError("bisect.bad_not_run", message, where="option --bad", fix=fix, causes=(found.fault,))
    if not found.differences and is_named:
        message = f"nothing differs at the bad commit {bad.short}"
        raise ErgoError("bisect.bad_holds", message, where="option --bad", fix="name a commit at which it differs")
    return next(iter(found.differences), None)


def _unsaved(repository: Repository, bad: Commit) -> Iterator[Notice]:
    """A notice of files that are not committed, where the search begins at the commit that is checked out."""
    files = repository.unsaved() if repository.is_checked_out(bad) else ()
    if files:
        names = ", ".join(files[:_NAMED]) + (f" and {len(files) - _NAMED} more" if len(files) > _NAMED else "")
        number = counted(len(files), "file")
        yield Notice(f"the changes of {number} are not committed, so they are not looked at: {names}")


class _Replays:
    """Replays of one bundle with the programs of commits, each of them once."""

    def __init__(self, site: Site, asked: Asked, on_replay: OnReplay) -> None:
        self._site = site
        self._asked = asked
        self._on_replay = on_replay
        self._done: dict[str, Replayed] = {}

    @property
    def bundle(self) -> Path:
        return self._asked.bundle

    @property
    def ran(self) -> int:
        return sum(each.fault is None for each in self._done.values())

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """The commits that cannot be run, in the order in which they were tried."""
        faults = ((commit, each.fault) for commit, each in self._done.items())
        described = self._site.repository.described
        return tuple(Skipped(described(commit), fault) for commit, fault in faults if fault is not None)

    def of(self, commit: str) -> Replayed:
        if commit not in self._done:
            self._done[commit] = replay_commit(commit, self._site, self._asked)
            self._on_replay(self._site.repository.described(commit), self._done[commit])
        return self._done[commit]


class _Search:
    """The search for one divergence in the history of a repository."""

    def __init__(self, repository: Repository, replays: _Replays, first: Difference, *, any_divergence: bool) -> None:
        self._repository = repository
        self._replays = replays
        self._first = first
        self._any = any_divergence

    def ask(self, commit: str) -> Answer:
        """Whether a commit has the divergence: one of the same kind, node and path."""
        found = self._replays.of(commit)
        if found.fault is not None:
            return Answer.CANNOT_RUN
        is_there = any(self._any or each.likeness == self._first.likeness for each in found.differences)
        return Answer.DIFFERS if is_there else Answer.HOLDS

    def checked(self, good: Commit) -> Commit:
        """The named good commit. Raises ErgoError where it is not."""
        match self.ask(good.id):
            case Answer.HOLDS:
                return good
            case Answer.DIFFERS:
                message = f"the divergence is there at the good commit {good.short} already"
                fix = "name with --good an earlier commit, or leave --good out, and one is looked for"
                raise ErgoError("bisect.good_differs", message, where="option --good", fix=fix)
            case Answer.CANNOT_RUN:
                fault = self._replays.of(good.id).fault
                message = f"the good commit {good.short} cannot be run"
                fix = "name with --good another commit, or leave --good out, and one is looked for"
                causes = () if fault is None else (fault,)
                raise ErgoError("bisect.good_not_run", message, where="option --good", fix=fix, causes=causes)

    def good_before(self, bad: Commit, bundle: Path) -> Commit:
        """A commit before ``bad`` that lacks the divergence: that of the bundle, else one of the first parents."""
        captured = self._repository.last_change(bundle, bad.id)
        if captured is not None and self.ask(captured) is Answer.HOLDS:
            return self._repository.described(captured)
        line = self._repository.line_of(bad.id)
        good = last_good(line, self.ask)
        if good is None:
            raise self._without_good(bad)
        return self._repository.described(good)

    def _without_good(self, bad: Commit) -> ErgoError:
        """The error of a history in which no commit holds, with why the first of those that cannot be run does not."""
        message = f"no commit before {bad.short} was found that lacks the divergence, back to the first one"
        fix = "name a commit at which the bundle held with --good REV; a bundle of another history needs ergo replay"
        if self._repository.is_shallow():
            message += " of this shallow clone"
            fix = "bring the rest of the history with git fetch --unshallow"
        causes = tuple(skipped.fault for skipped in self._replays.skipped[:1])
        return ErgoError("bisect.no_good_commit", message, where=str(self._repository.top), fix=fix, causes=causes)

    def origin(self, bad: Commit, good: Commit) -> Origin:
        """Where the divergence came from between two commits, of which only ``bad`` has it."""
        goods, first_bad = narrowed(self._repository, good.id, bad.id, self.ask)
        candidates = self._repository.in_order(goods, first_bad)
        described = tuple(map(self._repository.described, candidates))
        before = self._repository.parent(candidates[0])
        if before is None:
            return Origin(self._first, good, described)
        changes = self._changes(before, first_bad)
        return Origin(self._first, good, described, tuple(changes), self._repository.changed_files(before, first_bad))

    def _changes(self, before: str, commit: str) -> Sequence[Change]:
        """What changed in the program since a commit; nothing where that cannot be run."""
        earlier, later = self._replays.of(before), self._replays.of(commit)
        return () if earlier.fault is not None else step_between(earlier.changes, later.changes)
