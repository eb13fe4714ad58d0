"""Spec 30 §25, pictures of graphs: C-122 … C-124."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import Ergo

GRAPH = """\
kind: cluster
id: chain
version: 1.0.0
nodes:
  feed: { impl: number_source@0.1.0, params: { value: 3.0 } }
  over: { impl: gt@0.1.0 }
  fire: { impl: emit_if_true@0.1.0 }
  done: { impl: ack_action@0.1.0, params: { accept: true } }
edges:
  - feed.value -> over.a
  - feed.value -> over.b
  - over.result -> fire.input
  - fire.event -> done.event
"""
EXTERNAL = """\
kind: cluster
id: visual_external
version: 1.0.0
nodes:
  over: { impl: gt@0.1.0 }
  feed: { impl: number_source@0.1.0, params: { value: 1.0 } }
edges:
  - feed.value -> over.a
  - $threshold -> over.b
inputs:
  - { name: threshold, type: number }
outputs:
  result: over.result
"""
SOURCE = 'shape=box, style=filled, fillcolor="#e8f4fd", color="#4a90d9"'
COMPUTE = 'shape=ellipse, style=filled, fillcolor="#f2f2f2", color="#777777"'
TRIGGER = 'shape=diamond, style=filled, fillcolor="#fff3e0", color="#d58c2d"'
ACTION = 'shape=doubleoctagon, style=filled, fillcolor="#e8f5e9", color="#2f7d32"'


def test_c30_122_the_dot_text_byte_for_byte(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "chain.yaml").write_text(GRAPH)
    ran = ergo("graph", "chain.yaml", "--as", "dot")
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert ran.stdout == (
        'digraph "chain" {\n'
        '  label="chain (expanded)"\n'
        "  labelloc=t\n"
        "  rankdir=TB\n"
        "  nodesep=0.5\n"
        "  ranksep=0.7\n"
        "\n"
        f'  "n0" [label="done", {ACTION}]\n'
        f'  "n1" [label="feed", {SOURCE}]\n'
        f'  "n2" [label="fire", {TRIGGER}]\n'
        f'  "n3" [label="over", {COMPUTE}]\n'
        "\n"
        '  { rank=min; "n1" }\n'
        '  { rank=max; "n0" }\n'
        "\n"
        '  "n1" -> "n3"\n'
        '  "n1" -> "n3"\n'
        '  "n2" -> "n0"\n'
        '  "n3" -> "n2"\n'
        "}\n"
    )


def test_c30_122_flags_add_impl_runtime_id_and_ports(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "chain.yaml").write_text(GRAPH)
    shown = ergo("graph", "chain.yaml", "--as", "dot", "--show-ports", "--show-impl", "--show-runtime-id").stdout
    assert f'  "n3" [label="over\\nruntime: n3\\nimpl: gt@0.1.0", {COMPUTE}]\n' in shown
    assert '  "n1" -> "n3" [label="value -> a"]\n  "n1" -> "n3" [label="value -> b"]\n' in shown
    assert '  "n3" -> "n2" [label="result -> input"]\n' in shown


def test_c30_122_an_external_input_is_a_note(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "visual_external.yaml").write_text(EXTERNAL)
    text = ergo("graph", "visual_external.yaml", "--as", "dot").stdout
    note = 'label="input: threshold", shape=note, style=dashed, color="#6a6a6a"'
    assert f'\n\n  "external_input_visual_external/threshold" [{note}]\n  {{ rank=min; "n0" }}\n\n' in text
    assert '  "external_input_visual_external/threshold" -> "n1"\n' in text
    assert "rank=max" not in text


def test_c30_122_nodes_come_in_string_order(ergo: Ergo, tmp_path: Path) -> None:
    nodes = "".join(f"  k{index:02}: {{impl: const_number@0.1.0, params: {{value: 1.0}}}}\n" for index in range(12))
    (tmp_path / "wide.yaml").write_text(f"kind: cluster\nid: wide\nversion: 1.0.0\nnodes:\n{nodes}edges: []\n")
    text = ergo("graph", "wide.yaml", "--as", "dot").stdout
    ids = [line.split('"')[1] for line in text.splitlines() if line.startswith('  "n')]
    assert ids == sorted(f"n{index}" for index in range(12))
    assert ids[:4] == ["n0", "n1", "n10", "n11"]


def test_c30_123_the_picture_is_written(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "chain.yaml").write_text(GRAPH)
    ran = ergo("graph", "chain.yaml", "-o", "x.dot")
    assert (ran.exit_code, ran.stdout) == (0, "wrote x.dot\n")
    assert (tmp_path / "x.dot").read_text() == ergo("graph", "chain.yaml", "--as", "dot").stdout
    report = ergo("graph", "chain.yaml", "-o", "y.mmd", "--format", "json").report
    assert report["graph"] == {"graph_id": "chain", "as": "mermaid", "output": "y.mmd", "text": None}
    assert (tmp_path / "y.mmd").read_text().startswith("flowchart TB\n")


def test_c30_123_a_graph_that_is_missing_or_cannot_be_decoded(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("kind: cluster\nid: [\n")
    for name in ("gone.yaml", "bad.yaml"):
        ran = ergo("graph", name, "--format", "json")
        assert (ran.exit_code, ran.report["error"]["code"]) == (3, "cli.graph_to_dot_load_failed")
        assert name in ran.report["error"]["message"]
        assert ran.report["graph"] is None


def test_c30_123_a_version_that_is_missing_lists_the_files_that_are_there(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "main.yaml").write_text(
        "kind: cluster\nid: main\nversion: 1.0.0\nnodes:\n  a: {cluster: 'gate@^2.0'}\nedges: []\n"
    )
    folder = tmp_path / "clusters"
    folder.mkdir()
    (folder / "gate.yaml").write_text(GRAPH.replace("id: chain", "id: gate"))
    ran = ergo("graph", "main.yaml", "--as", "dot", "--format", "json")
    error = ran.report["error"]
    assert (ran.exit_code, error["code"], error["rule"]) == (3, "cli.graph_to_dot_expand_failed", "I.6")
    assert error["message"].startswith("graph expansion failed: [I.6] ")
    assert error["details"][:2] == ["available cluster files:", f"- gate@1.0.0 at {folder / 'gate.yaml'}"]


def test_c30_123_a_place_that_cannot_be_written(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "chain.yaml").write_text(GRAPH)
    ran = ergo("graph", "chain.yaml", "-o", "chain.yaml/x.dot", "--format", "json")
    assert (ran.exit_code, ran.report["error"]["code"]) == (6, "cli.graph_to_dot_write_failed")


def test_c30_124_without_graphviz_there_is_advice(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "chain.yaml").write_text(GRAPH)
    ran = ergo("graph", "chain.yaml", "--as", "svg", "--format", "json", PATH=str(tmp_path))
    assert (ran.exit_code, ran.report["error"]["code"]) == (6, "cli.graphviz_unavailable")
    assert "install Graphviz" in ran.report["error"]["fix"]
    assert not ergo("graph", "chain.yaml", "-o", "x.svg", PATH=str(tmp_path)).stdout
    assert not (tmp_path / "x.svg").exists()


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_c30_124_with_graphviz_there_is_a_picture(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "chain.yaml").write_text(GRAPH)
    assert ergo("graph", "chain.yaml", "-o", "x.svg").exit_code == 0
    svg = (tmp_path / "x.svg").read_text()
    assert "<svg" in svg
    assert ">over<" in svg


def test_c30_124_what_graphviz_refuses_is_told(ergo: Ergo, tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "chain.yaml").write_text(GRAPH)
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "dot"
    program.write_text("#!/bin/sh\necho 'no such layout' >&2\nexit 3\n")
    program.chmod(0o755)
    path = f"{folder}:{environment['PATH']}"
    ran = ergo("graph", "chain.yaml", "--as", "svg", "--format", "json", PATH=path)
    assert (ran.exit_code, ran.report["error"]["code"]) == (6, "cli.graphviz_render_failed")
    assert ran.report["error"]["details"] == ["no such layout"]
    program.write_text('#!/bin/sh\n[ "$1" = -Tsvg ] && cat\n')
    assert (
        ergo("graph", "chain.yaml", "--as", "svg", PATH=path).stdout
        == ergo("graph", "chain.yaml", "--as", "dot").stdout
    )


def test_own_primitives_of_a_trusted_project_are_drawn_in_their_family(ergo: Ergo, tmp_path: Path) -> None:
    project = _project(tmp_path)
    drawn = ergo("graph", "graph.yaml", "--as", "dot", cwd=project)
    assert (drawn.exit_code, drawn.stderr) == (0, "imported me\n")
    assert f'[label="mine", {SOURCE}]' in drawn.stdout
    named = ergo("graph", project / "graph.yaml", "--as", "dot", "--project", project)
    assert named.stdout == drawn.stdout


@pytest.mark.parametrize("selector", ["0.1.0", "^0.1", "~0.1.0", "*", ">=0.1, <2"])
@pytest.mark.parametrize("is_nested", [False, True])
def test_own_primitives_of_a_stranger_are_drawn_unknown_and_never_imported(
    ergo: Ergo, tmp_path: Path, selector: str, is_nested: bool
) -> None:
    project = _project(tmp_path)
    text = (project / "graph.yaml").read_text().replace("three@0.1.0", f'"three@{selector}"')
    if is_nested:
        (project / "inner.yaml").write_text(text.replace("id: g", "id: inner"))
        text = "kind: cluster\nid: g\nversion: 1.0.0\nnodes:\n  mine: {cluster: inner@^1.0}\nedges: []\n"
    (project / "graph.yaml").write_text(text)
    drawn = ergo("graph", project / "graph.yaml", "--as", "dot")
    assert drawn.exit_code == 0
    assert drawn.stdout.count("[label=") == drawn.stdout.count(f", {COMPUTE}]") == 1
    shown = ergo("graph", project / "graph.yaml", "--show-impl").stdout
    assert shown.splitlines()[-1].split(maxsplit=2) == ["mine", "unknown", f"three@{selector}"]
    assert "not imported" in drawn.stderr
    assert "imported me" not in drawn.stderr
    assert json.loads(ergo("graph", project / "graph.yaml", "--format", "json").stdout)["warnings"]


def _project(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    project.mkdir()
    (project / "ergo.toml").write_text(
        'name = "p"\nversion = "1"\nprimitives = "own"\n[profiles.day]\ngraph = "graph.yaml"\n'
    )
    (project / "own.py").write_text(
        "from ergo_cli.primitives import source\n\nprint('imported me')\n\n\n"
        '@source("three", "0.1.0")\ndef three() -> float:\n    return 3.0\n'
    )
    (project / "graph.yaml").write_text(
        "kind: cluster\nid: g\nversion: 1.0.0\nnodes:\n  mine: {impl: three@0.1.0}\nedges: []\n"
    )
    return project
