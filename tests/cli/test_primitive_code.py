"""Code of own primitives that changed under the same manifests: named by function, file and line, and by node."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pytest

from tests.conftest import Ergo

FIXTURE = Path(__file__).parents[2] / "fixtures" / "own_primitives"
IN_EMA = "trend/primitives.py:27  in ema"


@pytest.fixture
def home(tmp_path: Path, ergo: Ergo) -> Path:
    """A project with a bundle that was captured here."""
    home = Path(shutil.copytree(FIXTURE, tmp_path / "home", ignore=shutil.ignore_patterns("__pycache__")))
    assert ergo("capture", cwd=home).exit_code == 0
    return home


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


def double(home: Path) -> None:
    edit(home / "trend" / "primitives.py", "alpha * (price - before)", "alpha * (price - before) * 2")


@pytest.mark.parametrize("more", [(), ("--strict",)])
def test_the_function_stands_in_the_report_and_behind_its_divergences(
    ergo: Ergo, home: Path, more: tuple[str, ...]
) -> None:
    double(home)
    ran = ergo("replay", *more, cwd=home)
    assert ran.exit_code == 1
    assert f"changed    {IN_EMA}  alpha" in ran.stdout
    assert "  because   in ema  alpha * (price - before)" in ran.stdout
    bundle = ergo("replay", *more, "--format", "json", cwd=home).report["bundles"][0]
    [change] = bundle["changes"]
    assert (change["layer"], change["subject"], change["nodes"]) == ("program", "in ema", ["smooth"])
    assert {(each["cause"], *each["changes"]) for each in bundle["divergences"]} == {("primitive_code", 0)}


def test_a_module_that_the_primitives_import_counts_too(ergo: Ergo, home: Path) -> None:
    (home / "weights.py").write_text("SHARE = 1.0\n")
    edit(home / "trend" / "primitives.py", "from typing import", "from weights import SHARE\nfrom typing import")
    edit(home / "trend" / "primitives.py", "alpha * (price", "SHARE * alpha * (price")
    assert ergo("capture", cwd=home).exit_code == 0
    (home / "weights.py").write_text("SHARE = 1.75\n")
    ran = ergo("replay", cwd=home)
    assert ran.exit_code == 1
    assert "changed    weights.py:1  SHARE  1.0 -> 1.75\n" in ran.stdout
    assert "because   SHARE  1.0 -> 1.75" in ran.stdout


def test_of_two_captures_each_is_compared_with_the_code_that_it_ran(ergo: Ergo, home: Path) -> None:
    double(home)
    assert ergo("capture", "-o", "doubled.json", cwd=home).exit_code == 0
    edit(home / "trend" / "primitives.py", ") * 2", ") * 3")
    said = {name: ergo("replay", name, cwd=home).stdout for name in ("captures/prices.json", "doubled.json")}
    assert "alpha * (price - before) -> alpha * (price - before) * 3" in said["captures/prices.json"]
    assert " in ema  2 -> 3" in said["doubled.json"]


@pytest.mark.parametrize("name", ["compact.json", "packed.json.gz"])
def test_layout_and_compression_of_the_bundle_do_not_matter(ergo: Ergo, home: Path, name: str) -> None:
    text = (home / "captures" / "prices.json").read_bytes()
    (home / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text.replace(b"\n", b"\r\n"))
    double(home)
    assert IN_EMA in ergo("replay", name, cwd=home).stdout


def test_where_the_capture_was_made_elsewhere_a_warning_says_that_the_change_is_unknown(
    ergo: Ergo, home: Path, tmp_path: Path
) -> None:
    double(home)
    ran = ergo("replay", cwd=home, XDG_DATA_HOME=str(tmp_path / "empty"))
    assert ran.exit_code == 1
    assert "the code of an own primitive decides otherwise" in " ".join(ran.stdout.split())
    assert "whether the code of own primitives changed is not known" in ran.stderr


def test_the_smallest_bundle_is_compared_with_the_code_that_its_capture_ran(ergo: Ergo, home: Path) -> None:
    double(home)
    ran = ergo("shrink", "captures/prices.json", "-o", "small.json", cwd=home)
    assert ran.exit_code == 0
    assert f"changed    {IN_EMA}  alpha" in ran.stdout
    again = ergo("replay", "small.json", cwd=home)
    assert f"changed    {IN_EMA}  alpha" in again.stdout
    assert "is not known" not in again.stderr
    assert f"{IN_EMA.split()[0]}  <- the change" in " ".join(ergo("why", "small.json", cwd=home).stdout.splitlines())


def test_a_damaged_text_in_the_store_is_not_used(ergo: Ergo, home: Path, tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    assert ergo("capture", cwd=home, XDG_DATA_HOME=data).exit_code == 0
    [kept] = tmp_path.rglob("programs/*/none/trend/primitives.py")
    kept.write_text("def ema(): pass\n")
    double(home)
    ran = ergo("replay", cwd=home, XDG_DATA_HOME=data)
    assert "in ema" not in ran.stdout
    assert "whether the code of own primitives changed is not known" in ran.stderr


def test_a_match_says_nothing_of_code_that_changed(ergo: Ergo, home: Path) -> None:
    edit(home / "trend" / "primitives.py", "before = before or price", "before = before or price or 0.0")
    ran = ergo("replay", "--strict", cwd=home)
    assert (ran.exit_code, ran.stdout) == (0, "match  captures/prices.json  6 events, 6 invoked\n")
    assert ran.stderr == ""


def test_with_another_program_the_code_is_named_beside_it(ergo: Ergo, home: Path) -> None:
    double(home)
    edit(home / "graphs" / "trend.yaml", "alpha: 0.25", "alpha: 0.5")
    bundle = ergo("replay", "--format", "json", cwd=home).report["bundles"][0]
    assert [each["subject"] for each in bundle["changes"]] == ["smooth.alpha", "in ema"]
    assert {tuple(each["changes"]) for each in bundle["divergences"]} == {(0, 1)}
