"""Which bundles a test stands for, and what it says of one that no longer decides the same."""

from __future__ import annotations

import glob
import os
import shlex
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import pytest
from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.levels import FailOn
from ergo_cli.errors import ErgoError
from ergo_cli.project.finding import ProgramFlags
from ergo_cli.project.store import ProgramStore
from ergo_cli.pytest_plugin import ACCEPTED
from ergo_cli.replay.selection import BundlePath, select_bundles
from ergo_cli.replay.session import ReplayRequest, ReplaySession
from ergo_cli.report.comparisons import REPLAY, Shown, render_comparison
from ergo_cli.report.error_text import error_lines
from ergo_cli.report.layout import WIDTH, plain_lines
from ergo_cli.report.reproducing import argument

DIFFERS, REFUSED_AS_CHANGED = 1, 4
"""The exit codes of a replay whose bundle can be accepted."""


class Gate(Struct, frozen=True):
    """How bundles are replayed, as ``ergo replay`` with the same options does; ``root`` is pytest's root folder.

    ``project`` is the folder of the project, None where it is looked for.
    """

    root: Path
    project: Path | None = None
    profile: str | None = None
    strict: bool = False
    fail_on: FailOn = FailOn.ANY

    @classmethod
    def of_settings(cls, config: pytest.Config) -> Gate:
        """The gate that the ini file describes. Raises pytest.UsageError for a value that there is not."""
        folder = config.getini("ergo_project")
        return cls(
            config.rootpath,
            config.rootpath / folder if folder else None,
            config.getini("ergo_profile") or None,
            config.getini("ergo_strict"),
            _fail_on(config.getini("ergo_fail_on"), "ini value ergo_fail_on"),
        )

    @classmethod
    def of_marker(cls, config: pytest.Config, marker: pytest.Mark) -> Gate:
        """As the ini file, but for what the marker says itself. Raises pytest.UsageError for an unknown word."""
        gate, words = cls.of_settings(config), dict[str, Any](marker.kwargs)
        profile, strict = words.pop("profile", gate.profile), words.pop("strict", gate.strict)
        fail_on = words.pop("fail_on", gate.fail_on.value)
        for name in words:
            raise pytest.UsageError(f"ergo_replay takes no '{name}': only profile, strict and fail_on")
        return cls(gate.root, gate.project, profile, strict, _fail_on(fail_on, "ergo_replay, fail_on"))

    def select(self, named: Sequence[str], by: str) -> list[Path]:
        """The bundles that are named, relative to pytest's root folder, each once.

        Raises pytest.UsageError where nothing is, or a name stands for no bundle: a gate that opens none is not green.
        """
        if not named:
            raise pytest.UsageError(f"{by}: it names no bundle")
        below = glob.escape(str(self.root))
        places = [os.path.join(below if glob.has_magic(name) else self.root, name) for name in named]
        found = select_bundles(places, None, None, strict=True)
        missing = [str(refusal.error) for refusal in found.refusals]
        paths = [Path(bundle.path) for bundle in found.bundles]
        missing += [f"there is no bundle '{self.name(path)}'" for path in paths if not path.exists()]
        if missing or not paths:
            raise pytest.UsageError(f"{by}: {missing[0] if missing else 'no bundle matched'}")
        return paths

    def name(self, path: Path) -> str:
        """A bundle in the names of tests: relative to pytest's root folder where it lies below."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)

    def check(self, path: Path, item: pytest.Item) -> None:
        """Replay one bundle; fail ``item`` with the report where it differs or is refused."""
        flags = ProgramFlags(profile=self.profile, project=self.project)
        request = ReplayRequest(flags, self.strict, fail_on=self.fail_on, today=datetime.now().date())
        with self._failing(path):
            session = ReplaySession(request, ProgramStore.of_user())
            [result] = session.results([BundlePath(str(path))])
        rendered = render_comparison(
            "replay", [result], REPLAY, session.notices(), Shown(program=flags.words, accepts=True)
        )
        if rendered.report.exit_code in (DIFFERS, REFUSED_AS_CHANGED) and item.config.getoption("ergo_accept"):
            self._accept(path, replace(request, strict=False), item)
            return
        if rendered.report.exit_code:
            blocks = (*rendered.blocks, *error_lines(rendered.errors, verbose=False))
            self._fail(path, *rendered.messages, *plain_lines(blocks, WIDTH))
        for notice in rendered.notices:
            item.add_report_section("call", "ergo", f"warning: {notice.message}\n")

    def _accept(self, path: Path, request: ReplayRequest, item: pytest.Item) -> None:
        """Let today's decisions become the recording, as ``ergo accept --all`` does; fail where that cannot be."""
        from ergo_cli.tools.accept.proposals import propose, workplace  # imported here: few runs accept anything
        from ergo_cli.tools.accept.writing import Acceptance, write

        store = ProgramStore.of_user()
        with self._failing(path), workplace() as folder:
            proposal = propose(BundlePath(str(path)), request, store, folder)
            if proposal is not None:
                write(proposal, Acceptance.now("pytest --ergo-accept"), store)
        item.user_properties.append((ACCEPTED, self.name(path)))

    @contextmanager
    def _failing(self, path: Path) -> Generator[None]:
        """Fail where an error ends a replay, or the program calls what leaves a test out: ``pytest.skip``."""
        try:
            yield
        except ErgoError as error:
            self._fail(path, *plain_lines(error_lines([error], verbose=False), WIDTH))
        except (pytest.skip.Exception, pytest.xfail.Exception, pytest.exit.Exception) as left_out:
            self._fail(path, f"the program ended its own test: {left_out}")

    def _fail(self, path: Path, *lines: str) -> NoReturn:
        """Fail with ``lines`` and the command that shows the same."""
        text = "\n".join([*lines, f"reproduce  {shlex.join(self._words(path))}"])
        raise pytest.fail.Exception(text, pytrace=False) from None

    def _words(self, path: Path) -> Iterator[str]:
        yield from ("ergo", "replay", argument(os.path.relpath(path)))
        if self.strict:
            yield "--strict"
        if self.fail_on is not FailOn.ANY:
            yield from ("--fail-on", self.fail_on.value)
        if self.profile is not None:
            yield from ("--profile", self.profile)
        if self.project is not None:
            yield from ("--project", argument(os.path.relpath(self.project)))


def _fail_on(word: str, by: str) -> FailOn:
    try:
        return FailOn(word)
    except ValueError:
        raise pytest.UsageError(f"{by}: '{word}' is none of {', '.join(each.value for each in FailOn)}") from None
