"""Spec 30 §24 and §26, files validated on the command line: C-39, C-116 … C-121, C-127, C-129."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ergo_cli.tools.file_checks import check_compose_text, validate_manifest_text
from tests.conformance.test_30_manifests import ACTION, ALL, COMPUTE, SOURCE, TRIGGER, changed
from tests.conftest import Ergo

Files = Callable[..., list[dict[str, Any]]]

ADAPTER = """\
kind: adapter
id: desk
version: 1.0.0
runtime_compatibility: 0.1.0-alpha.1
context_keys:
  - { name: y, type: Number, required: false, writable: true }
  - { name: fixed, type: Number, required: false, writable: false }
event_kinds: []
accepts: { effects: [{ name: set_context, payload_schema: SCHEMA }] }
capture: { format_version: "1", fields: [] }
""".replace(
    "SCHEMA",
    "{ type: object, additionalProperties: false, properties: { key: { type: string }, value: { type: number } } }",
)


@pytest.fixture
def validated(ergo: Ergo, tmp_path: Path) -> Files:
    """The ``files`` of a report on texts, each written to a file of its own; an ``adapter`` is composed with them."""

    def validate(*texts: str, adapter: str | None = None) -> list[dict[str, Any]]:
        arguments: list[str] = []
        if adapter is not None:
            (tmp_path / "bound.yaml").write_text(adapter)
            arguments = ["-a", "bound.yaml"]
        names = [f"m{index}.yaml" for index in range(len(texts))]
        for name, text in zip(names, texts, strict=True):
            (tmp_path / name).write_text(text)
        return ergo("validate", *names, *arguments, "--format", "json").report["files"]

    return validate


def codes(file: dict[str, Any]) -> list[str]:
    return [error["code"] for error in file["errors"]]


def test_c30_116_valid_manifests_of_every_kind(ergo: Ergo, validated: Files) -> None:
    files = validated(*ALL.values(), ADAPTER)
    assert [(file["kind"], file["id"], file["outcome"]) for file in files] == [
        ("source", "feed", "valid"),
        ("compute", "twice", "valid"),
        ("trigger", "when", "valid"),
        ("action", "place", "valid"),
        ("adapter", "desk", "valid"),
    ]
    assert ergo("validate", "m1.yaml").stdout == "valid: m1.yaml (compute twice)\n"


def test_c30_117_rules_name_themselves_their_path_and_their_place(validated: Files) -> None:
    no_inputs = changed(
        COMPUTE, "inputs:\n  - { name: value, type: number, required: true, cardinality: single }\n", "inputs: []\n"
    )
    [file] = validated(no_inputs)
    [error] = file["errors"]
    assert (error["code"], error["rule"], error["where"]) == ("CMP-4", "CMP-4", "m0.yaml:4:9 $.inputs")


@pytest.mark.parametrize(
    ("text", "old", "new", "code"),
    [
        pytest.param(COMPUTE, "default: 2.0", "default: true", "CMP-19", id="compute"),
        pytest.param(SOURCE, "default: 1.5", "default: much", "SRC-15", id="source"),
        pytest.param(TRIGGER, "default: rising", "default: 3", "TRG-14", id="trigger"),
        pytest.param(ACTION, "default: XETRA", "default: 3", "ACT-19", id="action"),
    ],
)
def test_c30_117_defaults_that_do_not_match(text: str, old: str, new: str, code: str) -> None:
    checked = validate_manifest_text(changed(text, old, new), "m.yaml")
    [error] = checked.errors
    assert (error.code, error.rule) == (code, code)
    assert error.where is not None
    assert error.where.startswith("m.yaml:")
    assert error.where.endswith("$.parameters[].default")


def test_c30_117_all_violations_are_told(validated: Files) -> None:
    [file] = validated(changed(changed(COMPUTE, "id: twice", "id: Twice"), "side_effects: false", "side_effects: true"))
    assert len(codes(file)) == 2


def test_c30_118_what_cannot_be_told_to_be_anything_is_internal(ergo: Ergo, validated: Files, tmp_path: Path) -> None:
    texts = ("id: nameless\n", "kind: gadget\nid: x\n", "kind: [\n", changed(COMPUTE, "version: 0.1.0\n", ""))
    for file in validated(*texts):
        [error] = file["errors"]
        assert (error["code"], error["rule"]) == ("INTERNAL", "INTERNAL")
        assert file["path"] in f"{error['message']} {error['where']}"
    missing = ergo("validate", "gone.yaml", "--format", "json")
    [error] = missing.report["files"][0]["errors"]
    assert (missing.exit_code, error["code"]) == (3, "LOAD-IO")
    assert "gone.yaml" in error["message"]


def test_c30_119_a_write_without_from_input_is_named(validated: Files) -> None:
    without = changed(ACTION, ", from_input: qty", "")
    effectless = changed(ACTION, "effects:\n  writes:\n    - { name: order_qty, type: number, from_input: qty }\n", "")
    refused, accepted = validated(without, effectless)
    assert "from_input" in refused["errors"][0]["message"]
    assert accepted["outcome"] == "valid"


def test_c30_120_spellings(validated: Files) -> None:
    source = changed(changed(SOURCE, "kind: source", "kind: Source"), "continuous", "Continuous")
    trigger = changed(TRIGGER, "type: bool", "type: boolean")
    compute = changed(COMPUTE, "type: number, default: 2.0", "type: int, default: 3")
    assert [file["outcome"] for file in validated(source, trigger, compute)] == ["valid"] * 3


def test_c30_121_a_source_that_needs_what_the_adapter_lacks(validated: Files) -> None:
    [file] = validated(SOURCE, adapter=ADAPTER)
    [error] = file["errors"]
    assert (error["code"], error["rule"]) == ("COMP-1", "COMP-1")
    assert error["where"].startswith("m0.yaml:")
    assert error["where"].endswith(" $.requires.context[0].name")


def test_c30_121_an_action_that_writes_what_is_not_writable(validated: Files) -> None:
    [file] = validated(changed(ACTION, "name: order_qty", "name: fixed"), adapter=ADAPTER)
    assert codes(file) == ["COMP-12"]


def _keyed(text: str, name: str, parameter: str) -> str:
    text = changed(text, f"name: {name},", "name: $slot,")
    return changed(text, "parameters:\n", f"parameters:\n  - {parameter}\n")


@pytest.mark.parametrize(
    ("text", "name", "extra"),
    [(SOURCE, "price", ""), (ACTION, "order_qty", ", required: false")],
    ids=["source", "action"],
)
def test_c30_121_names_that_stand_for_parameters(validated: Files, text: str, name: str, extra: str) -> None:
    files = validated(
        _keyed(text, name, f"{{ name: slot, type: string, default: y{extra} }}"),
        _keyed(text, name, f"{{ name: slot, type: string{extra} }}"),
        _keyed(text, name, f"{{ name: slot, type: number, default: 1.0{extra} }}"),
        adapter=ADAPTER,
    )
    resolved, undefined, numeric = (codes(file) for file in files)
    assert resolved == []
    assert "COMP-16" in undefined
    assert "COMP-16" in numeric


def test_c30_121_what_is_no_source_and_no_action_is_not_composed(validated: Files) -> None:
    for file in validated(COMPUTE, TRIGGER, ADAPTER, adapter=ADAPTER):
        [error] = file["errors"]
        assert (error["code"], error["where"].partition(" ")[2]) == ("COMP-1", "$.kind")


def test_c30_121_composition_as_a_library_function() -> None:
    assert check_compose_text(ADAPTER, changed(SOURCE, "name: price", "name: y")) == ()
    assert [error.code for error in check_compose_text(ADAPTER, SOURCE)] == ["COMP-1"]
    assert [error.code for error in check_compose_text(ADAPTER, ADAPTER)] == ["COMP-1"]
    broken = check_compose_text(changed(ADAPTER, "id: desk", "id: Desk"), SOURCE)
    assert [error.code for error in broken] == ["ADP-1"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose two profiles take everything there is: own primitives, channels, a fixture."""
    home = tmp_path / "flow"
    shutil.copytree(Path(__file__).parents[1] / "channels" / "sample_flow", home)
    (home / "channels" / "feed.py").write_text("print('never run')\n")
    with (home / "ergo.toml").open("a") as file:
        file.write(
            '\n[profiles.live]\ngraph = "graphs/strategy.yaml"\nadapter = "adapters/sample.yaml"\n'
            'ingress = { type = "process", command = ["python3", "channels/feed.py"] }\negress = "egress/live.toml"\n'
        )
    return home


def faults(ergo: Ergo, project: Path) -> list[dict[str, Any]]:
    report = ergo("validate", "ergo.toml", "--format", "json", cwd=project).report
    assert report["outcome"] == ("invalid" if report["files"][0]["errors"] else "valid")
    return report["files"][0]["errors"]


def test_c30_127_a_whole_project_is_valid(ergo: Ergo, project: Path) -> None:
    assert faults(ergo, project) == []
    assert not list((project / "channels").rglob("*.pyc"))


def test_c30_127_deleted_files_and_scripts_that_do_not_compile_are_named(ergo: Ergo, project: Path) -> None:
    (project / "adapters" / "sample.yaml").unlink()
    (project / "channels" / "feed.py").write_text("def broken(:\n")
    (project / "channels" / "egress" / "sample_outbox.py").unlink()
    errors = faults(ergo, project)
    texts = [f"{error['message']} {error['where']}" for error in errors]
    assert any("sample.yaml" in text and "profile 'historical'" in text for text in texts)
    assert any("sample.yaml" in text and "profile 'live'" in text for text in texts)
    [script] = [error for error in errors if "feed.py" in error["message"]]
    assert (script["code"], script["where"]) == ("PRJ-SCRIPT", f"{project / 'channels' / 'feed.py'}:1:12")
    assert sum("sample_outbox.py" in text for text in texts) == 2
    assert all(error["fix"] for error in errors)


def test_c30_129_every_fault_of_every_profile_is_told_with_its_name(ergo: Ergo, tmp_path: Path, project: Path) -> None:
    (project / "ergo.toml").write_text(
        'name = "p"\nversion = "1"\n'
        '[profiles.both]\ngraph = "graphs/strategy.yaml"\nfixture = "f.jsonl"\n'
        'ingress = { type = "process", command = ["x"] }\n'
        '[profiles.egress]\ngraph = "graphs/strategy.yaml"\nprimitives = "sample_primitives"\n'
        'adapter = "adapters/sample.yaml"\negress = "gone.toml"\nfixture = "gone.jsonl"\n'
        '[profiles.graph]\ngraph = "gone.yaml"\n'
        '[profiles.process]\ngraph = "graphs/strategy.yaml"\nprimitives = "sample_primitives"\n'
        'ingress = { type = "process", command = ["./gone"] }\n'
        '[profiles.yaml]\ngraph = "broken.yaml"\n'
    )
    (project / "broken.yaml").write_text("kind: [\n")
    found: dict[str, list[str]] = {}
    for error in faults(ergo, project):
        profile = error["message"].split("'")[1]
        found.setdefault(profile, []).append(error["code"])
    assert list(found) == sorted(found)
    assert found == {
        "both": ["PRJ-INVALID"],
        "egress": ["cli.egress_config_read_failed", "driver.input_invalid"],
        "graph": ["LOAD-IO"],
        "process": ["adapter.production_requires_adapter", "driver.input_invalid", "adapter.required_for_graph"],
        "yaml": ["DEC-SYNTAX"],
    }


def test_c30_39_a_project_is_validated_with_its_input_a_graph_without(ergo: Ergo, project: Path) -> None:
    [fixture] = (project / "fixtures").iterdir()
    fixture.write_text('{"kind":"event","event":{"type":"Command"}}\n')
    assert [error["code"] for error in faults(ergo, project)] == ["fixture.semantic_kind_missing"]
    fixture.unlink()
    assert [error["code"] for error in faults(ergo, project)] == ["driver.input_invalid"]
    assert ergo("validate", "graphs/strategy.yaml", "-a", "adapters/sample.yaml", cwd=project).exit_code == 0


def test_c30_39_validation_starts_no_process(ergo: Ergo, project: Path) -> None:
    sentinel = project / "sentinel"
    text = f"open({str(sentinel)!r}, 'w').close()\n"
    for script in (project / "channels" / "feed.py", project / "channels" / "egress" / "sample_outbox.py"):
        script.write_text(text)
    assert faults(ergo, project) == []
    assert not sentinel.exists()


def test_own_primitives_of_a_project_count_in_its_graphs(ergo: Ergo, project: Path) -> None:
    assert ergo("validate", "graphs/strategy.yaml", cwd=project).exit_code == 0
    stranger = ergo("validate", project / "graphs" / "strategy.yaml", "--format", "json")
    assert stranger.exit_code == 3
    assert stranger.report["error"]["code"] == "program.import_refused"
    assert ergo("validate", project / "graphs" / "strategy.yaml", "--project", project).exit_code == 0
    assert ergo("validate", project / "ergo.toml", "--project", project).exit_code == 0
