"""The schemas and the example for readers in other languages, held against every bundle of the repository."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema_rs
import pytest

from ergo_cli.testing.bundles import rewrite_bundle

ROOT = Path(__file__).parents[2]
KEPT = sorted((ROOT / "fixtures").glob("*/captures/*.json"))
V3 = ROOT / "fixtures" / "own_primitives" / "captures" / "prices.json"
V4 = ROOT / "fixtures" / "settlement" / "captures" / "friday.json"
INVALID = {"event_kind_unknown.json", "payload_as_string.json", "payload_byte_300.json"}
"""Bundles of the original's refusals that no reader takes."""


def script(path: str) -> ModuleType:
    spec = spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def bundles() -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every JSON document of the repository's examples that is a bundle of a version that ergo knows."""
    for folder in ("fixtures", "tests/conformance"):
        for path in sorted((ROOT / folder).rglob("*.json")):
            try:
                value = json.loads(path.read_bytes())
            except ValueError:
                continue
            if isinstance(value, dict) and value.get("capture_version") in ("v3", "v4"):
                yield path, value


@pytest.fixture(scope="module")
def is_valid() -> Callable[[dict[str, Any]], bool]:
    """Whether a bundle is what the schema of its version says."""
    schemas = {
        version: jsonschema_rs.validator_for(json.loads((ROOT / f"schemas/bundle-{version}.schema.json").read_text()))
        for version in ("v3", "v4")
    }
    return lambda bundle: schemas[bundle["capture_version"]].is_valid(bundle)


def test_the_schemas_are_made_from_the_code() -> None:
    made = script("scripts/bundle_schemas.py")
    files = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "schemas").iterdir()}
    assert files == {name: made.text_of(schema) for name, schema in made.schemas().items()}
    for text in files.values():
        jsonschema_rs.meta.validate(json.loads(text))


def test_every_bundle_is_valid(is_valid: Callable[[dict[str, Any]], bool]) -> None:
    found = {path.name: is_valid(bundle) for path, bundle in bundles()}
    assert len(found) > 60
    assert {name for name, valid in found.items() if not valid} == INVALID


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object of the members that the schemas know to their leaves."""
    if isinstance(value, dict):
        yield value
        for member in value.values():
            yield from objects(member)
    elif isinstance(value, list):
        for item in value:
            yield from objects(item)


@pytest.mark.parametrize("path", [V3, V4], ids=["v3", "v4"])
def test_an_unknown_member_is_invalid_in_every_object(path: Path, is_valid: Callable[[dict[str, Any]], bool]) -> None:
    bundle = json.loads(path.read_bytes())
    closed = [bundle, *objects([bundle["config"], bundle["events"], bundle["decisions"]])]
    closed += [*bundle.get("journals", []), *bundle.get("artifacts", {}).values(), *objects(bundle.get("program"))]
    assert len(closed) > 50
    for each in closed:
        each["unknown"] = 1
        assert not is_valid(bundle)
        del each["unknown"]
    assert is_valid(bundle)


@pytest.mark.parametrize("path", [V3, V4], ids=["v3", "v4"])
def test_a_value_of_another_kind_is_invalid_everywhere(path: Path, is_valid: Callable[[dict[str, Any]], bool]) -> None:
    bundle = json.loads(path.read_bytes())
    for each in objects([bundle["config"], bundle["events"], bundle["decisions"]]):
        for name, value in list(each.items()):
            for wrong in (["x"], -1, 2**64, {"x": 1}):
                each[name] = wrong
                fits = name == "Number" and isinstance(wrong, int)  # an integer is a number
                assert is_valid(bundle) is fits, (name, wrong)
            each[name] = value
    assert is_valid(bundle)


def without(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda bundle: bundle.pop(name)


@pytest.mark.parametrize(
    "change",
    [
        without("events"),
        without("decisions"),
        without("config"),
        without("digest"),
        without("journals"),
        without("artifacts"),
        lambda bundle: bundle.update(digest="sha256:x"),
        lambda bundle: bundle["artifacts"].update({"x": {"json": 1}}),
        lambda bundle: bundle["artifacts"].update({"0" * 64: {}}),
        lambda bundle: bundle["artifacts"].update({"0" * 64: {"json": 1, "base64": ""}}),
        lambda bundle: bundle["journals"][0].pop("sha256"),
        lambda bundle: bundle["journals"][0]["records"].append(1),
        lambda bundle: bundle["events"][0].update(payload=[123, 125]),
        lambda bundle: bundle["decisions"][0].pop("effects"),
        lambda bundle: bundle["decisions"][0].update(termination={"Failed": "Nothing"}),
        lambda bundle: bundle["decisions"][0].update(decision="invoke"),
    ],
)
def test_a_hostile_v4_bundle_is_invalid(
    change: Callable[[dict[str, Any]], object], is_valid: Callable[[dict[str, Any]], bool]
) -> None:
    bundle = json.loads(V4.read_bytes())
    change(bundle)
    assert not is_valid(bundle)


def read(path: Path) -> subprocess.CompletedProcess[str]:
    """The example as a process that sees nothing but the standard library."""
    command = [sys.executable, "-I", "-S", ROOT / "examples" / "read_bundle.py", path]
    return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60)


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.parts[-3])
def test_the_example_reads_bundles_of_every_kind(path: Path, tmp_path: Path) -> None:
    ran = read(path)
    assert (ran.returncode, ran.stderr) == (0, "")
    decisions = json.loads(path.read_bytes())["decisions"]
    assert [line.split()[:2] for line in ran.stdout.splitlines()] == [
        [decision["event_id"], decision["decision"]] for decision in decisions
    ]
    rewrite_bundle(str(path), str(tmp_path / "pretty.json"), pretty=True)
    (tmp_path / "pretty.json.gz").write_bytes(gzip.compress((tmp_path / "pretty.json").read_bytes()))
    assert read(tmp_path / "pretty.json.gz").stdout == ran.stdout


def test_the_example_finds_no_fault_in_bundles_of_the_original() -> None:
    example = script("examples/read_bundle.py")
    folder = ROOT / "tests" / "conformance" / "originals"
    captured = [path for path, _ in bundles() if path.parent.parent == folder and "20-" not in path.parent.name]
    captured = [path for path in captured if "tamper" not in path.name and ".input." not in path.name]
    assert len(captured) > 20
    for path in captured:
        assert list(example.faults(path.read_text(encoding="utf-8"))) == [], path


EDITS: list[tuple[Path, Callable[[dict[str, Any]], object], str]] = [
    (V3, lambda bundle: bundle["events"][0]["payload"].append(32), "the payload of t1 was changed"),
    (V3, lambda bundle: bundle["decisions"].pop(), "events and decisions do not belong together"),
    (V3, lambda bundle: bundle["decisions"][0]["effects"][0]["effect"].update(kind="x"), "an effect of decision 0"),
    (V4, lambda bundle: bundle["journals"][0]["records"].pop(), "the journal of run "),
    (V4, lambda bundle: bundle["journals"].pop(), "the digest is that of another text"),
    (V4, lambda bundle: bundle["artifacts"].update({"0" * 64: {"base64": ""}}), "the artifact 000"),
]


@pytest.mark.parametrize(("path", "change", "fault"), EDITS)
def test_the_example_finds_what_was_changed(
    path: Path, change: Callable[[dict[str, Any]], object], fault: str, tmp_path: Path
) -> None:
    bundle = json.loads(path.read_bytes())
    changed = deepcopy(bundle)
    change(changed)
    copy = tmp_path / "b.json"
    for content, expected in ((bundle, 0), (changed, 1)):
        copy.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
        ran = read(copy)
        assert ran.returncode == expected
    assert fault in ran.stderr


NO_BUNDLES = (None, b"", b"[1]", b"{}", b'{"capture_version":"v3"}', b"\xff", b"\x28\xb5/\xfd")


@pytest.mark.parametrize("content", NO_BUNDLES)
def test_the_example_says_in_a_line_what_is_no_bundle(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "b.json").write_bytes(content)
    command = [sys.executable, "-I", "-S", ROOT / "examples" / "read_bundle.py", tmp_path / "b.json"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert "cannot be read as a bundle" in ran.stderr
    ran = subprocess.run(command[:-1], capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (2, "usage: python read_bundle.py BUNDLE.json\n")


def test_the_example_takes_a_reader_that_has_seen_enough_for_no_fault(tmp_path: Path) -> None:
    bundle = ROOT / "fixtures" / "order_threshold" / "captures" / "monday.json"
    command = [sys.executable, "-I", "-S", ROOT / "examples" / "read_bundle.py", bundle]
    reading, writing = os.pipe()
    os.close(reading)
    ran = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, timeout=60)
    os.close(writing)
    assert (ran.returncode, ran.stderr) == (0, b"")
