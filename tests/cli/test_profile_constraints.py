"""Constraints of the profile beside those of a bundle: a replay takes the bundle's, and names what is another today."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import Ergo

FIXTURE = Path(__file__).parents[2] / "fixtures" / "rate_limited"


@pytest.fixture
def home(tmp_path: Path, ergo: Ergo) -> Path:
    """A project with a bundle that was captured here, and a graph that was changed since."""
    home = Path(shutil.copytree(FIXTURE, tmp_path / "home"))
    assert ergo("capture", cwd=home).exit_code == 0
    edit(home / "graphs" / "deliver.yaml", "value: 1000", "value: 900")
    return home


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


@pytest.mark.parametrize(("more", "code"), [((), 0), (("--strict",), 4)])
def test_what_the_profile_sets_otherwise_is_named_and_has_no_effect(
    ergo: Ergo, home: Path, more: tuple[str, ...], code: int
) -> None:
    edit(home / "ergo.toml", "max_per_window = 2", "max_per_window = 3")
    edit(home / "ergo.toml", 'deadline = "2s"', 'deadline = "2500ms"\nmax_retries = 1')
    ran = ergo("replay", *more, "--format", "json", cwd=home)
    bundle = ran.report["bundles"][0]
    found = [each for each in bundle["changes"] if each["layer"] == "constraints"]
    assert [(each["subject"], each["before"], each["after"], each["file"]) for each in found] == [
        ("max_per_window", "2", "3", "ergo.toml"),
        ("deadline", "2s", "2.5s", "ergo.toml"),
        ("max_retries", None, "1", "ergo.toml"),
    ]
    assert all(each["without_effect"] for each in found)
    assert ran.exit_code == code


def test_a_constraint_that_the_profile_lacks_may_have_been_an_option(ergo: Ergo, home: Path) -> None:
    edit(home / "ergo.toml", 'deadline = "2s"\n', "")
    bundle = ergo("replay", "--format", "json", cwd=home).report["bundles"][0]
    assert not [each for each in bundle["changes"] if each["layer"] == "constraints"]
