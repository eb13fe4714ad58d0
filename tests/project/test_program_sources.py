from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from project_texts import ADAPTER, GRAPH

from ergo_cli.core.documents import ProgramSource
from ergo_cli.errors import ErgoError
from ergo_cli.programs.graph.program import decode_sources
from ergo_cli.project.loading import LoadedProgram, load_program_from_files, load_program_from_sources


@pytest.fixture
def nested(conformance: Path) -> Path:
    return conformance / "08-nested-clusters"


def load(folder: Path) -> LoadedProgram:
    return load_program_from_files(folder / "graph.yaml", (folder / "lib",), folder / "adapter.yaml")


def test_sources_are_root_clusters_adapter(nested: Path):
    sources = load(nested).sources
    assert [source.path for source in sources] == [
        "graph.yaml",
        "clusters/gate@0.1.3.yaml",
        "clusters/scaler@0.2.0.yaml",
        "adapter.yaml",
    ]
    for source, file in zip(
        sources, ("graph.yaml", "clusters/gate.yaml", "lib/scaler.yaml", "adapter.yaml"), strict=True
    ):
        content = (nested / file).read_bytes()
        assert source.text.encode() == content
        assert source.sha256 == hashlib.sha256(content).hexdigest()


def test_sources_make_the_same_program_again(nested: Path):
    program = load(nested)
    recorded = json.loads((nested / "capture.json").read_text())
    again = load_program_from_sources(program.sources)
    assert again.program.provenance == recorded["runtime_provenance"]
    assert again.adapter is not None
    assert again.adapter.fingerprint == recorded["adapter_provenance"]
    assert again.sources == program.sources


def test_json_keeps_its_suffix(write):
    nodes = {"one": {"impl": "number_source@0.1.0", "params": {"value": 1.0}}}
    document = {"kind": "cluster", "id": "plant", "version": "1.0.0", "nodes": nodes, "edges": []}
    graph = write("plant.json", json.dumps(document))
    sources = load_program_from_files(graph).sources
    assert [source.path for source in sources] == ["graph.json"]
    assert decode_sources(sources).assets.root.id == "plant"


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        ((), "there must be one graph text among no sources"),
        ((ProgramSource.of("adapter.yaml", ""),), "there must be one graph text"),
        ((ProgramSource.of("graph.yaml", ""), ProgramSource.of("graph.json", "")), "one graph text"),
        ((ProgramSource.of("graph.yaml", ""), ProgramSource.of("../x", "")), "'../x' is not a source name"),
        ((ProgramSource("graph.yaml", "0" * 64, "x"),), "the digest of 'graph.yaml' does not match"),
        (
            (ProgramSource.of("graph.yaml", ""), *[ProgramSource.of("clusters/a@1.yaml", "")] * 2),
            "a source name is there twice",
        ),
    ],
)
def test_unfit_sources_are_refused(sources, words: str):
    with pytest.raises(ValueError, match=words):
        decode_sources(sources)


def test_two_texts_of_one_cluster_are_refused():
    text = GRAPH.format(id="plant", value=1.0)
    sources = (ProgramSource.of("graph.yaml", text), ProgramSource.of("clusters/plant@1.0.0.yaml", text))
    with pytest.raises(ValueError, match="the same cluster id and version"):
        decode_sources(sources)


def test_a_text_that_is_no_graph_is_named(write):
    with pytest.raises(ErgoError) as caught:
        load_program_from_sources((ProgramSource.of("graph.yaml", "kind: ["),))
    assert caught.value.code == "graph.load_failed"
    assert str(caught.value.where).startswith("graph.yaml")


def test_an_adapter_that_cannot_be_read(write, tmp_path: Path):
    graph = write("g.yaml", GRAPH.format(id="plant", value=1.0))
    with pytest.raises(ErgoError, match="No such file") as caught:
        load_program_from_files(graph, (), tmp_path / "none.yaml")
    assert caught.value.code == "adapter.setup_failed"
    broken = write("a.yaml", ADAPTER.replace("kind: adapter", "kind: ["))
    with pytest.raises(ErgoError) as caught:
        load_program_from_files(graph, (), broken)
    assert caught.value.code == "adapter.setup_failed"
    assert caught.value.causes


def test_the_graph_is_looked_at_before_the_adapter(tmp_path: Path):
    with pytest.raises(ErgoError) as caught:
        load_program_from_files(tmp_path / "g.yaml", (), tmp_path / "a.yaml")
    assert caught.value.code == "graph.load_failed"
    assert str(tmp_path / "g.yaml") in caught.value.message
    assert caught.value.causes[0].code == "LOAD-IO"


def test_a_rule_that_is_broken_names_itself_and_its_place(write):
    graph = write("g.yaml", GRAPH.format(id="plant", value=1.0).replace("number_source", "no_such"))
    with pytest.raises(ErgoError) as caught:
        load_program_from_files(graph)
    cause = caught.value.causes[0]
    assert (caught.value.code, caught.value.rule) == ("graph.prepare_failed", cause.rule)
    assert cause.rule
    assert (caught.value.where, caught.value.fix) == (cause.where, cause.fix)
    assert "no_such" in caught.value.message
