from __future__ import annotations

import glob
import gzip
import json
import os
import shutil
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ergo_cli.replay.globs import Glob
from ergo_cli.replay.selection import select_bundles
from tests.cli.refusals import as_a_user
from tests.conftest import Ergo


@pytest.fixture
def case(conformance: Path) -> Path:
    return conformance / "20-replay-failures"


def _names(*arguments: str | Path) -> list[str]:
    selection = select_bundles(list(map(str, arguments)), None, None, strict=False)
    return [Path(each.path).name for each in (*selection.bundles, *selection.refusals)]


def _broken(good: bytes) -> dict[str, bytes]:
    """Twelve files that are neither bundles nor whole JSON documents."""
    return {
        "conflict.json": b"<<<<<<< HEAD\n" + good + b"=======\n" + good + b">>>>>>> branch\n",
        "pointer.json": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n",
        "brace.json": b"{",
        "utf16.json": good.decode().encode("utf-16"),
        "mark.json": b"\xef\xbb\xbf" + good,
        "nulls.json": bytes(len(good)),
        "page.json": b"<!DOCTYPE html><html><body>404</body></html>",
        "packed.json": gzip.compress(good),
        "plain.json.gz": good,
        "empty.json": b"",
        "cut.JSON": good[: len(good) // 2],
        "cut.json.gz": gzip.compress(good)[:-20],
    }


def test_a_good_bundle_among_twelve_broken_ones(ergo: Ergo, case: Path, tmp_path: Path) -> None:
    folder, good = tmp_path / "bundles", (case / "good.json").read_bytes()
    folder.mkdir()
    broken = _broken(good)
    for name, content in (broken | {"good.json": good, "package.json": b'{"name": "x"}', "list.json": b"[1]"}).items():
        (folder / name).write_bytes(content)
    program = ("-g", case / "graph.yaml", "-a", case / "adapter.yaml", "--format", "json")
    ran = ergo("replay", folder, *program)
    refused = {Path(each["path"]).name for each in ran.report["bundles"] if each["outcome"] == "refused"}
    assert (ran.exit_code, refused) == (3, set(broken))
    matched = [Path(each["path"]).name for each in ran.report["bundles"] if each["outcome"] == "match"]
    assert matched == ["good.json"]
    passed_over = [text for text in ran.report["warnings"] if "no bundle" in text]
    assert ["list.json" in passed_over[0], "package.json" in passed_over[1], len(passed_over)] == [True, True, 2]
    why = {Path(each["path"]).name: each["error"]["message"] for each in ran.report["bundles"] if each["error"]}
    assert "gzip; give it the suffix .json.gz" in why["packed.json"]
    assert "byte order mark" in why["mark.json"]
    assert "UTF-16" in why["utf16.json"]


def test_a_bundle_with_sorted_members_is_one(ergo: Ergo, case: Path, tmp_path: Path) -> None:
    document = json.loads((case / "good.json").read_bytes())
    (tmp_path / "sorted.json").write_text(json.dumps(document, sort_keys=True))
    ran = ergo("replay", tmp_path, "-g", case / "graph.yaml", "-a", case / "adapter.yaml", "--strict")
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert ran.stdout.startswith("match  sorted.json  7 events")


def test_linked_folders_are_followed_once(case: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "bundles").mkdir()
    shutil.copy(case / "good.json", tmp_path / "elsewhere" / "good.json")
    (tmp_path / "bundles" / "link").symlink_to("../elsewhere")
    (tmp_path / "bundles" / "again").symlink_to("../elsewhere")
    (tmp_path / "elsewhere" / "circle").symlink_to("../bundles")
    assert _names(tmp_path / "bundles") == ["good.json"]


@pytest.fixture
def closed(case: Path, tmp_path: Path) -> Generator[Path]:
    """A folder with a good bundle, and beside it one that can only be entered by its owner, with a broken bundle."""
    folder = tmp_path / "captures"
    (folder / "locked").mkdir(parents=True)
    (folder / "open").mkdir()
    shutil.copy(case / "good.json", folder / "open")
    (folder / "locked" / "bad.json").write_text("{")
    (folder / "locked").chmod(0)
    yield folder
    (folder / "locked").chmod(0o700)


@pytest.mark.parametrize("argument", ["captures", "captures/*", "captures/*/*.json", "captures/**/*.json", "linked"])
def test_a_folder_that_cannot_be_read_is_refused(
    ergo: Ergo, case: Path, closed: Path, tmp_path: Path, argument: str
) -> None:
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "link").symlink_to(closed / "locked")
    shutil.copy(case / "good.json", tmp_path / "linked")
    program = ("-g", case / "graph.yaml", "-a", case / "adapter.yaml", "--format", "json")
    ran = ergo("replay", "--strict", argument, *program, through=as_a_user())
    outcomes = {each["path"]: each["outcome"] for each in ran.report["bundles"]}
    assert (ran.exit_code, sorted(outcomes.values())) == (3, ["match", "refused"])
    assert next(path for path, outcome in outcomes.items() if outcome == "refused").endswith(("locked", "link"))


@pytest.mark.parametrize("mode", [0o444, 0o000])
def test_a_folder_inside_one_that_cannot_be_entered(ergo: Ergo, case: Path, tmp_path: Path, mode: int) -> None:
    (tmp_path / "c" / "sub" / "deep").mkdir(parents=True)
    (tmp_path / "c" / "sub").chmod(mode)
    ran = ergo("replay", "c", "-g", case / "graph.yaml", "--format", "json", through=as_a_user())
    (tmp_path / "c" / "sub").chmod(0o700)
    assert (ran.exit_code, "Traceback" in ran.stderr) == (3, False)


@pytest.mark.parametrize("target", ["/nonexistent/folder", "loop"])
def test_a_link_that_leads_nowhere_may_have_been_a_folder(case: Path, tmp_path: Path, target: str) -> None:
    shutil.copy(case / "good.json", tmp_path / "good.json")
    (tmp_path / "loop").symlink_to(target)
    assert _names(tmp_path) == ["good.json", "loop"]


NAMES = st.sampled_from(["a.json", "b.json", "c", ".d", "e.txt", "[f].json"])
PARTS = st.sampled_from(["*", "**", "*.json", "?.json", "c", "a.json", ".*", "[ab].json", "[[]f].json"])


@given(st.lists(st.lists(NAMES, min_size=1, max_size=3), max_size=6), st.lists(PARTS, min_size=1, max_size=3))
@example([], ["c", "**"])
@example([["a.json"]], ["*", "**"])
@example([["a.json"]], ["a.json", "**"])
def test_a_pattern_stands_for_what_glob_finds(paths: list[list[str]], parts: list[str]) -> None:
    with TemporaryDirectory() as folder:
        for path in paths:
            with suppress(OSError):  # where a folder would be needed at the place of a file
                file = Path(folder, *path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.touch()
        pattern = os.path.join(glob.escape(folder), *parts)
        everything = glob.glob(pattern, recursive=True)  # "c/**" gives "c/" too, where there is no such folder
        wanted = {os.path.normpath(path) for path in everything if os.path.lexists(path)}
        found = [os.path.normpath(path) for path in Glob(pytest.fail).matches(pattern)]
        assert (set(found), found) == (wanted, sorted(found))


def test_a_glob_that_matches_nothing_beside_others(ergo: Ergo, case: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    program = ("-g", case / "graph.yaml", "-a", case / "adapter.yaml")
    for nothing in (tmp_path / "empty", tmp_path / "*.json"):
        lax = ergo("replay", case / "good.json", nothing, *program)
        assert (lax.exit_code, lax.stderr) == (0, f"warning: '{nothing.name}' stands for no bundle\n")
        assert ergo("replay", case / "good.json", nothing, "--strict", *program).exit_code == 5


def test_a_bundle_on_standard_input(ergo: Ergo, case: Path) -> None:
    good = (case / "good.json").read_bytes()
    program = ("-g", case / "graph.yaml", "-a", case / "adapter.yaml")
    for arguments in (("replay", "-", "--strict", *program), ("validate", "-"), ("inspect", "-")):
        ran = ergo(*arguments, stdin=good)
        assert (ran.exit_code, ran.stderr) == (0, ""), arguments
    assert ergo("replay", "-", "--strict", *program, stdin=good).stdout.startswith("match  -  7 events")
    assert ergo("diff", case / "good.json", "-", stdin=good).exit_code == 0
    assert ergo("diff", case / "good.json", "-", stdin=(case / "effect_hash.json").read_bytes()).exit_code == 1
    twice = ergo("diff", "-", "-", stdin=good)
    assert twice.exit_code == 2
    assert "standard input can be read only once" in twice.stderr


def test_a_link_back_to_the_folder_itself_adds_nothing(case: Path, tmp_path: Path) -> None:
    shutil.copy(case / "good.json", tmp_path / "good.json")
    (tmp_path / "again").symlink_to(".")
    assert _names(tmp_path) == ["good.json"]
