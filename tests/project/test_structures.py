"""What the program store keeps of the parts of a program, whatever stands in its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.documents import ProgramSource
from ergo_cli.programs.parts import PlainPart
from ergo_cli.programs.pipeline import PipelineProgram, sink, source
from ergo_cli.programs.pipeline.kind import KIND
from ergo_cli.programs.program import Program
from ergo_cli.project.store import ProgramStore
from ergo_cli.project.structures import keep_structure, structure_of

RUNTIME = "fpv1:sha256:" + "a" * 64
PART: dict[str, Any] = {"sort": "sink", "name": "out", "after": ["in"], "fields": {"logic_version": "1"}}


def admit(payload: Any) -> list[Any]:
    return []


def consume(event: Any) -> None: ...


PIPELINE = PipelineProgram("p", (source("in", admit), sink("out", consume)), (("in", "out"),))
PROGRAM = Program(KIND, "m:p", "p", RUNTIME, PIPELINE)


@pytest.fixture
def store(tmp_path: Path) -> ProgramStore:
    """A store that keeps the texts of a program."""
    store = ProgramStore(tmp_path / "programs")
    assert store.keep("m:p", RUNTIME, "none", (ProgramSource.of("m.py", ""),), "pipeline") is None
    return store


def file(store: ProgramStore) -> Path:
    return store.root / ("a" * 64) / "none" / "shape.json"


def test_the_form_is_documented(store: ProgramStore) -> None:
    assert structure_of(store, RUNTIME, "none") is None
    assert keep_structure(store, PROGRAM, "none") is None
    shape = json.loads(file(store).read_text())
    assert (shape["schema"], [part["name"] for part in shape["parts"]]) == ("ergo.shape/1", ["in", "out", "settings"])
    assert shape["parts"][1] == {
        "sort": "sink",
        "name": "out",
        "after": ["in"],
        "fields": {"consume": "consume", "ordered_delivery": "true", "logic_version": "1"},
    }
    found = structure_of(store, RUNTIME, "none")
    assert isinstance(found, tuple)
    assert found[1] == PlainPart("sink", "out", ("in",), shape["parts"][1]["fields"])
    assert isinstance(store.find(RUNTIME, "none", "pipeline"), tuple), "the texts are read as before"


def test_a_program_whose_texts_are_not_kept_has_no_parts_either(tmp_path: Path) -> None:
    store = ProgramStore(tmp_path / "programs")
    assert keep_structure(store, PROGRAM, "none") is None
    assert not store.root.exists()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "truncated"),
        ("[]", "Expected `object`, got `array`"),
        ("null", "Expected `object`, got `null`"),
        ('{"schema":"ergo.shape/1"}', "missing required field `parts`"),
        ('{"schema":"ergo.shape/2","parts":[]}', "'ergo.shape/2', not 'ergo.shape/1'"),
        ('{"schema":"ergo.shape/1","parts":[],"more":1}', "unknown field `more`"),
        (json.dumps({"schema": "ergo.shape/1", "parts": [PART, PART]}), "two parts have the same name"),
        (json.dumps({"schema": "ergo.shape/1", "parts": [{**PART, "name": 7}]}), "Expected `str`, got `int`"),
        (json.dumps({"schema": "ergo.shape/1", "parts": [{**PART, "fields": {"a": {}}}]}), "got `object`"),
        ('{"schema":' + "[" * 500_000, ""),
        ("x" * (8 * 1024 * 1024 + 1), "longer than the limit"),
    ],
)
def test_what_cannot_be_read_is_named(store: ProgramStore, content: str, why: str) -> None:
    file(store).write_text(content)
    found = structure_of(store, RUNTIME, "none")
    assert isinstance(found, Notice)
    assert found.where == str(file(store))
    assert found.message.startswith("what a kept program is made of was passed over: ")
    assert why in found.message
    assert keep_structure(store, PROGRAM, "none") is None
    assert isinstance(structure_of(store, RUNTIME, "none"), tuple), "the next capture replaces it"


def test_a_folder_in_its_place_stays_and_is_named(store: ProgramStore) -> None:
    file(store).mkdir()
    assert isinstance(structure_of(store, RUNTIME, "none"), Notice)
    notice = keep_structure(store, PROGRAM, "none")
    assert notice is not None
    assert notice.message.startswith("what the program is made of could not be kept: ")
    assert file(store).is_dir()
