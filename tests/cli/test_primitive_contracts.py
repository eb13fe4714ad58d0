"""Own primitives of another version or contract: named at their manifests, with the nodes that use them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import Ergo

FIXTURE = Path(__file__).parents[2] / "fixtures" / "own_primitives"


@pytest.fixture
def home(tmp_path: Path, ergo: Ergo) -> Path:
    """A project with a bundle that was captured here."""
    home = Path(shutil.copytree(FIXTURE, tmp_path / "home", ignore=shutil.ignore_patterns("__pycache__")))
    assert ergo("capture", cwd=home, XDG_DATA_HOME=str(tmp_path / "data")).exit_code == 0
    return home


def edit(home: Path, old: str, new: str) -> None:
    module = home / "trend" / "primitives.py"
    text = module.read_text()
    assert text.count(old) == 1
    module.write_text(text.replace(old, new))


def replayed(ergo: Ergo, home: Path, *more: str, data: str = "data") -> list[list[object]]:
    """The changes of a replay: place, subject, both values, nodes."""
    ran = ergo("replay", *more, "--format", "json", cwd=home, XDG_DATA_HOME=str(home.parent / data))
    return [
        [f"{each['file']}:{each['line']}", each["subject"], each["before"], each["after"], each["nodes"]]
        for each in ran.report["bundles"][0]["changes"]
    ]


@pytest.mark.parametrize("more", [(), ("--strict",)])
def test_another_version_is_named_once_at_its_manifest(ergo: Ergo, home: Path, more: tuple[str, ...]) -> None:
    edit(home, '"ema", "1.0.0"', '"ema", "1.1.0"')
    assert replayed(ergo, home, *more) == [
        ["trend/primitives.py:23", "primitive ema", "1.0.0", "1.1.0", ["smooth"]],
    ]


def test_a_default_reaches_the_divergences_of_the_nodes_that_have_it(ergo: Ergo, home: Path) -> None:
    edit(home, 'side: str = "buy"', 'side: str = "sell"')
    ran = ergo("replay", cwd=home, XDG_DATA_HOME=str(home.parent / "data"))
    assert ran.exit_code == 1
    assert 'changed    trend/primitives.py:36  primitive order.side  "buy" -> "sell"\n' in ran.stdout
    assert '  because   primitive order.side  "buy" -> "sell"\n' in ran.stdout


def test_beside_a_changed_contract_the_graph_is_compared_too(ergo: Ergo, home: Path) -> None:
    edit(home, '"rises_above", "1.0.0"', '"rises_above", "1.0.1"')
    graph = home / "graphs" / "trend.yaml"
    graph.write_text(graph.read_text().replace("level: 102.0", "level: 101.0"))
    assert replayed(ergo, home) == [
        ["trend/primitives.py:30", "primitive rises_above", "1.0.0", "1.0.1", ["breakout"]],
        ["graphs/trend.yaml:24", "breakout.level", "102.0", "101.0", ["breakout"]],
    ]


@pytest.mark.parametrize("contracts", [None, b"[", b"[]", b'[{"id":"ema","version":"1.0.0","family":"Compute"}]'])
def test_contracts_that_are_missing_or_not_those_of_the_capture_are_not_used(
    ergo: Ergo, home: Path, contracts: bytes | None
) -> None:
    edit(home, '"ema", "1.0.0"', '"ema", "1.1.0"')
    [kept] = (home.parent / "data").rglob("programs/contracts/*")
    kept.unlink()
    if contracts is not None:
        kept.write_bytes(contracts)
    assert [each[1] for each in replayed(ergo, home)] == ["contract of a primitive", "in ema"]


def test_a_second_capture_of_the_program_leaves_what_is_kept(ergo: Ergo, home: Path) -> None:
    [kept] = (home.parent / "data").rglob("programs/contracts/*")
    before = kept.stat().st_mtime_ns, kept.read_bytes()
    assert {each["id"] for each in json.loads(before[1])} == {
        "const_bool",
        "context_number_source",
        "context_set_number",
        "ema",
        "emit_if_true",
        "last_average",
        "order",
        "rises_above",
    }
    assert kept.stat().st_mode & 0o777 == 0o600
    assert ergo("capture", cwd=home, XDG_DATA_HOME=str(home.parent / "data")).exit_code == 0
    assert (kept.stat().st_mtime_ns, kept.read_bytes()) == before


HOSTILE = {
    "cut off": lambda kept: kept[: len(kept) // 2],
    "no JSON": lambda kept: b"\xff\xfe\x00",
    "null": lambda kept: b"null",
    "an object": lambda kept: b"{}",
    "numbers": lambda kept: b"[1, 2]",
    "no members": lambda kept: b"[{}]",
    "other types": lambda kept: kept.replace(b'"1.0.0"', b"[1]").replace(b'"inputs":[', b'"inputs":[null,'),
    "other words": lambda kept: kept.replace(b'"Number"', b'"Colour"').replace(b'"Compute"', b'"Dream"'),
    "a lone surrogate": lambda kept: kept.replace(b'"1.0.0"', b'"\\udc80"'),
    "deep lists": lambda kept: b"[" * 10_000 + b"]" * 10_000,
    "deep objects": lambda kept: b'[{"id":' * 10_000 + b"1" + b"}]" * 10_000,
    "long": lambda kept: b'["' + b"x" * 20_000_000 + b'"]',
    "a number of many digits": lambda kept: b"[" + b"9" * 100_000 + b"]",
}


@pytest.mark.parametrize("how", HOSTILE)
def test_hostile_contracts_in_the_program_store_change_no_verdict(ergo: Ergo, home: Path, how: str) -> None:
    """The store lies in the user's data folder, where a crash or another program may have garbled it."""
    edit(home, 'side: str = "buy"', 'side: str = "sell"')
    [contracts] = (home.parent / "data").rglob("contracts/*")
    contracts.write_bytes(HOSTILE[how](contracts.read_bytes()))
    ran = ergo("replay", "--format", "json", cwd=home, XDG_DATA_HOME=str(home.parent / "data"))
    assert (ran.exit_code, ran.report["outcome"], "Traceback" in ran.stderr) == (1, "diverged", False)
    assert ran.report["bundles"][0]["divergence_count"] > 0


def test_what_is_no_file_in_the_place_of_contracts(ergo: Ergo, home: Path) -> None:
    edit(home, 'side: str = "buy"', 'side: str = "sell"')
    [contracts] = (home.parent / "data").rglob("contracts/*")
    contracts.unlink()
    contracts.mkdir()
    data = {"XDG_DATA_HOME": str(home.parent / "data")}
    assert ergo("replay", cwd=home, **data).exit_code == 1
    contracts.rmdir()
    contracts.symlink_to("/dev/zero")
    assert ergo("replay", cwd=home, **data).exit_code == 1
