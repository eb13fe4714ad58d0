"""Twelve edits as a person makes them, each with the screens of ``ergo replay`` and ``ergo why`` as they should read.

A story is a project of ``fixtures/``, an edit, and where it must stand on the screens. Its bundle is captured before
the edit and replayed after it; ``NAME.replay.txt`` and ``NAME.why.txt`` hold both screens.
"""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from tests.conftest import Ergo, Ran

STORIES = Path(__file__).parent
FIXTURES = STORIES.parents[1] / "fixtures"
NAMES = sorted(path.stem for path in STORIES.glob("*.toml"))
FIRST_LINES = 25


class Edit(Struct, frozen=True, forbid_unknown_fields=True):
    """A text of a file that stands there once, and what is written in its place."""

    file: str
    old: str
    new: str


class Screen(Struct, frozen=True, forbid_unknown_fields=True):
    """What must stand within the first 25 lines: the ``place`` of the edit, and ``words``, each within one line."""

    options: list[str]
    exit_code: int
    place: str
    words: list[str]


class Story(Struct, frozen=True, forbid_unknown_fields=True):
    """``edited`` says in a sentence what the edit does."""

    edited: str
    project: str
    bundle: str
    edit: Edit
    replay: Screen
    why: Screen


def story_of(name: str) -> Story:
    return msgspec.toml.decode((STORIES / f"{name}.toml").read_bytes(), type=Story)


@pytest.fixture
def home(ergo: Ergo, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The project of the story, captured before its edit."""
    return edited(ergo, story_of(request.param), tmp_path)


def edited(ergo: Ergo, story: Story, tmp_path: Path) -> Path:
    home = Path(shutil.copytree(FIXTURES / story.project, tmp_path / story.project))
    (home / story.bundle).unlink()
    assert ergo("capture", cwd=home).exit_code == 0
    file = home / story.edit.file
    before = file.read_text()
    assert before.count(story.edit.old) == 1
    file.write_text(before.replace(story.edit.old, story.edit.new))
    return home


@pytest.fixture
def ran(ergo: Ergo, tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, Ran]:
    """Both commands, run in the project of the story after its edit."""
    story = story_of(request.param)
    home = edited(ergo, story, tmp_path)
    screens = {"replay": story.replay, "why": story.why}
    return {
        command: ergo(command, story.bundle, *screen.options, cwd=home, COLUMNS="80")
        for command, screen in screens.items()
    }


@pytest.mark.parametrize(("ran", "name"), [(name, name) for name in NAMES], indirect=["ran"], ids=NAMES)
def test_the_edit_stands_on_both_screens(ran: dict[str, Ran], name: str) -> None:
    story = story_of(name)
    for command, screen in (("replay", story.replay), ("why", story.why)):
        shown = ran[command]
        assert shown.exit_code == screen.exit_code, shown.stderr
        first = shown.stdout.splitlines()[:FIRST_LINES]
        text = "\n".join(first)
        assert screen.place in text, text
        assert [words for words in screen.words if not any(words in line for line in first)] == [], text
        assert shown.stdout == (STORIES / f"{name}.{command}.txt").read_text(), shown.stdout
        assert max(map(len, shown.stdout.splitlines())) <= 80


@pytest.mark.parametrize(("home", "name"), [(name, name) for name in NAMES], indirect=["home"], ids=NAMES)
def test_the_command_that_a_replay_suggests_runs(ergo: Ergo, home: Path, name: str) -> None:
    story = story_of(name)
    shown = (STORIES / f"{name}.replay.txt").read_text().splitlines()
    [command] = [line.split(maxsplit=1)[1] for line in shown if line.startswith(("closer ", "compare "))]
    program, *words = shlex.split(command)
    ran = ergo(*words, cwd=home, COLUMNS="80")
    assert program == "ergo"
    if words[0] == "why":
        assert (ran.exit_code, ran.stdout) == (0, (STORIES / f"{name}.why.txt").read_text())
    else:
        assert (words, ran.exit_code) == (["replay", story.bundle], 0)
        assert ran.stdout.startswith(f"match  {story.bundle}  8 events, 8 invoked\n")


def test_a_story_tells_of_the_line_that_it_edits() -> None:
    for name in NAMES:
        story = story_of(name)
        before, _, _ = (FIXTURES / story.project / story.edit.file).read_text().partition(story.edit.old)
        line = before.count("\n") + 1
        assert {story.replay.place} == {f"{story.edit.file}:{line}"}, name
