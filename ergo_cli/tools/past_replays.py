"""Replay a bundle with the program of a commit: its files in a temporary folder, ergo in a process of its own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from ergo_cli.channels.bounded_run import Finished, run_bounded
from ergo_cli.core.levels import Level
from ergo_cli.core.time import NANOS
from ergo_cli.errors import ErgoError, reason
from ergo_cli.programs.changes import Change, Layer, Verb
from ergo_cli.project.project_file import ERGO_TOML
from ergo_cli.replay.results import Divergence, DivergenceKind
from ergo_cli.stores.remedies import temporary_remedy
from ergo_cli.stores.temporaries import temporary_folder
from ergo_cli.tools.commit_site import Site

CANNOT_RUN = "bisect.commit_not_run"

_MOST_BYTES = 512 * 1024 * 1024
_MOST_DIVERGENCES = 10_000
_BARRIER = '# Ends the search for a project above the files of a commit.\nname = "none"\nversion = "0"\n[profiles]\n'
_THIS_ERGO = Path(__file__).resolve().parents[2]


class Asked(Struct, frozen=True):
    """What is replayed: the bundle, with further options of ``ergo replay``, and for how long at most."""

    bundle: Path
    options: tuple[str, ...]
    timeout_ns: int


class Difference(Struct, frozen=True):
    """A divergence as a report has it; the two values are read when they are shown. ``facts`` are its lines of text."""

    seq: int
    event_id: str | None
    episode_id: int | None
    kind: DivergenceKind
    path: str
    expected: Raw
    actual: Raw
    occurrence: int
    level: Level
    code: str | None
    node: str | None
    origin: str | None
    cause: str | None
    facts: tuple[str, ...] = ()

    @property
    def likeness(self) -> tuple[DivergenceKind, str | None, str]:
        """What it has in common with the same divergence of another commit."""
        return self.kind, self.node, self.path

    @property
    def divergence(self) -> Divergence:
        """The divergence with its values."""
        expected, actual = (json.loads(bytes(value)) for value in (self.expected, self.actual))
        return Divergence(
            self.seq,
            self.event_id,
            self.episode_id,
            self.kind,
            self.path,
            expected,
            actual,
            self.occurrence,
            self.code,
            self.node,
            self.origin,
            self.cause,
            level=self.level,
        )


class Replayed(Struct, frozen=True):
    """What a replay with the program of a commit came to.

    ``fault`` says why the commit cannot be run; it then has no divergences. ``changes`` are since the capture.
    """

    differences: tuple[Difference, ...] = ()
    changes: tuple[Change, ...] = ()
    fault: ErgoError | None = None


class _Error(Struct, frozen=True):
    code: str
    message: str
    where: str | None
    fix: str | None
    details: tuple[str, ...]
    causes: tuple[_Error, ...]


class _Change(Struct, frozen=True):
    layer: Layer
    change: Verb
    subject: str
    before: str | None
    after: str | None
    file: str | None
    line: int | None
    nodes: tuple[str, ...]
    idle: bool


class _Bundle(Struct, frozen=True):
    divergences: tuple[Difference, ...]
    changes: tuple[_Change, ...] = ()


class _Report(Struct, frozen=True):
    """What is needed of the document of ``ergo replay``."""

    outcome: str
    error: _Error | None
    bundles: tuple[_Bundle, ...]


def replay_commit(commit: str, site: Site, asked: Asked) -> Replayed:
    """Replay a bundle with the program as a commit has it. A commit that cannot be run is a result too.

    Raises ErgoError ``bisect.folder_create_failed`` if there is no temporary folder.
    """
    try:
        with temporary_folder("ergo-bisect-") as home:
            place = _Place(Path(os.path.realpath(home)), site)
            try:
                place.make(commit)
                return place.replay(asked)
            except ErgoError as fault:
                return Replayed(fault=fault)
    except OSError as error:
        message = f"the files of a commit cannot be put into a temporary folder: {reason(error)}"
        fix = temporary_remedy(error)
        raise ErgoError("bisect.folder_create_failed", message, where="temporary folder", fix=fix) from error


class _Place:
    """The folder of one commit: its files in ``tree``."""

    def __init__(self, home: Path, site: Site) -> None:
        self._home = home
        self._site = site
        self._tree = home / "tree"
        self._top = site.repository.top

    def make(self, commit: str) -> None:
        (self._home / ERGO_TOML).write_text(_BARRIER)
        self._tree.mkdir()
        self._site.repository.write_tree(commit, self._tree, self._home / "index")

    def replay(self, asked: Asked) -> Replayed:
        command = (sys.executable, "-P", "-m", "ergo_cli", "replay", *self._words(asked))
        try:
            ended = run_bounded(command, self._folder(), self._environment(), b"", _MOST_BYTES, asked.timeout_ns)
        except OSError as error:
            return _not_run(f"the replay cannot be started: {reason(error)}", None)
        if ended is None:
            seconds = asked.timeout_ns / NANOS
            return _not_run(f"the replay did not end within {seconds:g} s", "give it more time with --timeout DURATION")
        report = _report_of(ended)
        if report is None:  # a program that ends the process
            return _not_run(f"the replay has no report: {_last_words(ended)}", "replay the commit in a worktree")
        return self._replayed(report)

    def _replayed(self, report: _Report) -> Replayed:
        if report.outcome not in ("match", "diverged", "closed") or not report.bundles:
            fault = report.error
            return _not_run("the replay was interrupted", None) if fault is None else Replayed(fault=self._error(fault))
        [bundle] = report.bundles
        return Replayed(bundle.divergences, tuple(map(self._change, bundle.changes)))

    def _error(self, error: _Error) -> ErgoError:
        where, fix = (None if text is None else self._back(text) for text in (error.where, error.fix))
        details, causes = map(self._back, error.details), map(self._error, error.causes)
        return ErgoError(error.code, self._back(error.message), where=where, fix=fix, details=details, causes=causes)

    def _change(self, change: _Change) -> Change:
        """The change, its file where the user's own is."""
        return Change(
            subject=change.subject,
            verb=change.change,
            layer=change.layer,
            before=change.before,
            after=change.after,
            file=None if change.file is None else self._back(os.path.normpath(self._folder() / change.file)),
            line=change.line,
            nodes=change.nodes,
            idle=change.idle,
        )

    def _back(self, text: str) -> str:
        return text.replace(str(self._tree), str(self._top))

    def _there(self, path: Path) -> Path:
        """Where a path of the repository is in the commit's files; another path stays."""
        return self._tree / path.relative_to(self._top) if path.is_relative_to(self._top) else path

    def _folder(self) -> Path:
        """Where the replay runs, which the commit need not have."""
        folder = self._there(self._site.folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:  # a file in its place
            return self._tree
        return folder

    def _words(self, asked: Asked) -> Iterator[str]:
        flags = self._site.flags
        moved = replace(
            flags,
            graph=None if flags.graph is None else self._there(flags.graph),
            adapter=None if flags.adapter is None else self._there(flags.adapter),
            cluster_paths=tuple(map(self._there, flags.cluster_paths)),
            project=None if flags.project is None else self._there(flags.project),
        )
        yield from (
            "--format",
            "json",
            "--quiet",
            "--max-divergences",
            str(_MOST_DIVERGENCES),
            *moved.words,
            *asked.options,
        )
        yield from ("--", str(asked.bundle))

    def _environment(self) -> dict[str, str]:
        """That of ergo; modules that it would find in the repository are found in the commit."""
        folders = [self._there(Path(entry)) for entry in sys.path if self._is_moved(entry)]
        given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        path = os.pathsep.join([*(str(folder) for folder in folders if folder.is_dir()), *filter(None, given)])
        return {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}

    def _is_moved(self, entry: str) -> bool:
        """Whether it is a folder of the repository, but not that of the ergo that runs."""
        return os.path.isabs(entry) and Path(entry).is_relative_to(self._top) and Path(entry) != _THIS_ERGO


def _report_of(ended: Finished) -> _Report | None:
    """The report, which a line that the program prints at its end may follow."""
    if ended.stdout.size > _MOST_BYTES:
        return None
    for line in reversed(ended.stdout.kept.splitlines()):
        with suppress(ValueError):
            return msgspec.json.decode(line, type=_Report)
    return None


def _not_run(message: str, fix: str | None) -> Replayed:
    return Replayed(fault=ErgoError(CANNOT_RUN, message, fix=fix))


def _last_words(ended: Finished) -> str:
    lines = ended.stderr.kept.decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else f"it ended with status {ended.status}"
