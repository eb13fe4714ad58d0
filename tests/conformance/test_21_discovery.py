"""Spec 21, C-11 … C-20: finding the clusters of a graph file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from graph_texts import instances

from ergo_cli.errors import DiscoveryError, DocumentError
from ergo_cli.programs.graph.files.discovery import Discovered
from ergo_cli.project.loading import load_graph_assets, load_graph_sources, parse_graph_file, resolve_cluster_candidates

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a file below an empty folder, which is the current one: paths are relative, as users give them."""
    monkeypatch.chdir(tmp_path)

    def write_file(path: str, text: str) -> Path:
        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    return write_file


def real(path: str) -> str:
    return os.path.realpath(path)


def refusal(root: Path, *search_paths: str) -> DiscoveryError:
    with pytest.raises(DiscoveryError) as caught:
        load(root, *search_paths)
    return caught.value


def load(root: Path, *search_paths: str) -> Discovered:
    return load_graph_assets(root, [Path(path) for path in search_paths])


def labels(found: Discovered) -> dict[tuple[str, str], str]:
    return dict(found.assets.labels)


def test_c21_11_a_missing_root_is_an_io_error_with_its_path(write: Write):
    write("here.yaml", "")
    for read in (load_graph_assets, load_graph_sources, parse_graph_file):
        with pytest.raises(DiscoveryError, match=r"io error at 'graphs/none.yaml': ") as caught:
            read(Path("graphs/none.yaml"))
        assert (caught.value.code, caught.value.where) == ("LOAD-IO", "graphs/none.yaml")


def test_c21_11_a_root_that_is_no_utf_8_text_is_no_document(write: Write):
    root = write("root.yaml", "")
    root.write_bytes(b"kind: \xff\n")
    with pytest.raises(DocumentError, match="not UTF-8") as caught:
        load_graph_assets(root)
    assert caught.value.code == "DEC-SYNTAX"


def test_c21_11_a_json_root_is_read_as_json(write: Write):
    text = '{"kind":"cluster","id":"root","version":"1.0.0","nodes":{},\n\t"edges":[]}'
    assert parse_graph_file(write("root.json", text)).id == "root"
    with pytest.raises(DocumentError, match="parse JSON"):
        parse_graph_file(write("other.json", instances("other")))


def test_c21_12_clusters_beside_the_root_are_found(write: Write):
    root = write("graphs/root.yaml", instances("root", one="shared@^1"))
    shared = write("graphs/clusters/shared.yaml", instances("shared"))
    sources = load_graph_sources(root)
    assert sources.root.id == "root"
    assert sources.discovered_files == tuple(sorted([real("graphs/clusters/shared.yaml"), real("graphs/root.yaml")]))
    assert sources.source_map[real("graphs/root.yaml")] == root.read_text()
    assert sources.source_map[real("graphs/clusters/shared.yaml")] == shared.read_text()


def test_c21_12_diagnostic_labels_are_paths_as_opened(write: Write):
    write("lib/clusters/shared.yaml", instances("shared"))
    found = load(write("graphs/root.yaml", instances("root", one="shared@^1")), "lib")
    assert labels(found) == {
        ("root", "1.0.0"): "graphs/root.yaml",
        ("shared", "1.0.0"): "lib/clusters/shared.yaml",
    }
    assert found.identities["shared", "1.0.0"] == real("lib/clusters/shared.yaml")
    assert found.assets.places["root", "1.0.0"]["nodes.one"] == "graphs/root.yaml:5:3"


def test_c21_12_notices_of_all_files_are_kept(write: Write):
    write("shared.yaml", instances("shared") + "owner: me\n")
    found = load(write("root.yaml", instances("root", one="shared@^1") + "team: us\n"))
    assert [notice.where for notice in found.notices] == ["root.yaml:7:1 team", "shared.yaml:6:1 owner"]


def test_c21_13_candidates_come_in_order_without_repetition(write: Write):
    for folder in ("base", "base/clusters", "one", "one/clusters", "two/clusters"):
        write(f"{folder}/shared.yaml", "")
    searched = [Path(path) for path in ("one", "base", "two/clusters", "one")]
    assert resolve_cluster_candidates(Path("base"), "shared", searched) == tuple(
        Path(f"{folder}/shared.yaml") for folder in ("base", "base/clusters", "one", "one/clusters", "two/clusters")
    )


def test_c21_13_only_regular_files_count(write: Write):
    write("base/shared.yaml/file", "")
    write("base/clusters/shared.yml", "")
    write("base/clusters/shared.json", "")
    assert resolve_cluster_candidates(Path("base"), "shared", []) == ()


@pytest.mark.parametrize("cluster_id", ["../outside", "foo$bar", "a/b", "", "a b", "a\0"])
def test_c21_13_what_is_no_identifier_is_refused(cluster_id: str):
    with pytest.raises(DiscoveryError, match="invalid cluster_id") as caught:
        resolve_cluster_candidates(Path("base"), cluster_id, [])
    assert caught.value.code == "DIS-BAD-ID"
    assert f"invalid cluster_id '{cluster_id}'" in caught.value.message


def test_c21_14_a_broken_candidate_surfaces_before_later_ones(write: Write):
    root = write("base/root.yaml", instances("root", one="shared@^1"))
    write("search/shared.yaml", instances("shared"))
    write("base/clusters/shared.yaml", "kind: [")
    error = refusal(root, "search")
    assert error.code == "DIS-NESTED"
    assert "'base/clusters/shared.yaml'" in error.message

    write("base/shared.yaml", instances("shared").replace("edges: []\n", ""))
    error = refusal(root, "search")
    for fragment in ("'base/shared.yaml'", "shared@^1", "missing field `edges`", "node 'one' in 'base/root.yaml'"):
        assert fragment in error.message
    assert [(cause.code, cause.where) for cause in error.causes] == [("DEC-MISSING", "base/shared.yaml:1:1")]


def test_c21_15_versions_that_do_not_fit_are_recorded_too(write: Write):
    root = write("root.yaml", instances("root", one="shared@2.0.0"))
    write("clusters/shared.yaml", instances("shared", "1.0.0", gone="nowhere@1.0.0"))
    write("search/shared.yaml", instances("shared", "2.0.0"))
    found = load(root, "search")
    assert set(found.assets.clusters) == {("root", "1.0.0"), ("shared", "1.0.0"), ("shared", "2.0.0")}
    assert load_graph_sources(root, [Path("search")]).discovered_files == tuple(
        sorted(real(path) for path in ("root.yaml", "clusters/shared.yaml", "search/shared.yaml"))
    )


def test_c21_15_discovery_succeeds_where_no_version_fits(write: Write):
    write("shared.yaml", instances("shared", "1.0.0"))
    found = load(write("root.yaml", instances("root", one="shared@^2")))
    assert set(found.assets.clusters) == {("root", "1.0.0"), ("shared", "1.0.0")}


@pytest.mark.parametrize(
    ("selector", "descends"), [("1.0.0-rc.1+b", True), ("1.0.0-rc.1", False), ("^1", False), (">=1.0.0-rc.0", True)]
)
def test_c21_15_only_selected_versions_are_descended_into(write: Write, selector: str, descends: bool):
    write("shared.yaml", instances("shared", "1.0.0-rc.1+b", deep="deeper@^1"))
    write("deeper.yaml", instances("deeper"))
    found = load(write("root.yaml", instances("root", one=f"shared@{selector}")))
    assert (("deeper", "1.0.0") in found.assets.clusters) is descends


def test_c21_16_nested_lookup_is_relative_to_the_referring_file(write: Write):
    for folder in ("a", "b"):
        write(f"{folder}/part.yaml", instances("part", one="shared@^1"))
        write(f"{folder}/shared.yaml", instances("shared", f"1.0.{ord(folder)}"))
        write(f"{folder}/root.yaml", instances("root", part="part@^1"))
    for folder in ("a", "b"):
        found = load(Path(f"{folder}/root.yaml"))
        assert found.assets.labels["shared", f"1.0.{ord(folder)}"] == f"{folder}/shared.yaml"
        assert len(found.assets.clusters) == 3


def test_c21_16_a_nested_cluster_finds_what_lies_beside_it_alone(write: Write):
    write("lib/part.yaml", instances("part", one="shared@^1"))
    write("lib/clusters/shared.yaml", instances("shared"))
    found = load(write("root.yaml", instances("root", part="part@^1")), "lib")
    assert found.assets.labels["shared", "1.0.0"] == "lib/clusters/shared.yaml"


def test_c21_17_a_missing_cluster_lists_where_it_was_looked_for(write: Write):
    root = write("base/root.yaml", instances("root", one="shared@^1.2"))
    error = refusal(root, "search", "lib/clusters")
    assert error.code == "DIS-NOT-FOUND"
    searched = (
        *("base/shared.yaml", "base/clusters/shared.yaml", "search/shared.yaml", "search/clusters/shared.yaml"),
        "lib/clusters/shared.yaml",
    )
    assert ", ".join(searched) in error.message
    for fragment in (
        "looked for 'shared.yaml'",
        "cluster resolution is filename-based",
        "referenced by node 'one' in 'base/root.yaml'",
    ):
        assert fragment in error.message
    assert "clusters/clusters" not in error.message
    assert error.where == "base/root.yaml:5:3"


def test_c21_17_a_file_of_a_similar_name_is_suggested(write: Write):
    write("clusters/threshold.yaml", instances("threshold"))
    error = refusal(write("root.yaml", instances("root", one="treshold@^1")))
    assert error.fix == "did you mean 'threshold'?"


def test_c21_17_every_missing_cluster_is_told_in_node_order(write: Write):
    root = write("root.yaml", instances("root", z="gone@^1", a="lost@^1", m="part@^1"))
    write("part.yaml", instances("part", deep="deeper@^1"))
    error = refusal(root)
    assert [each.where for each in (error, *error.causes)] == ["root.yaml:6:3", "part.yaml:5:3", "root.yaml:5:3"]


def test_c21_18_a_file_with_another_id(write: Write):
    root = write("root.yaml", instances("root", one="shared@^1"))
    write("clusters/shared.yaml", instances("other"))
    error = refusal(root)
    assert error.code == "DIS-ID-MISMATCH"
    for fragment in (
        "opened 'clusters/shared.yaml'",
        "shared@^1",
        "graph id is 'other'",
        "filename must match the decoded graph id field",
        "rename the file to 'shared.yaml'",
        "referenced by node 'one'",
    ):
        assert fragment in error.message


def test_c21_18_one_version_in_two_files(write: Write):
    root = write("root.yaml", instances("root", one="shared@^1"))
    write("shared.yaml", instances("shared"))
    write("lib/shared.yaml", instances("shared"))
    error = refusal(root, "lib")
    assert error.code == "DIS-DUPLICATE"
    assert "defined by multiple files" in error.message
    assert real("shared.yaml") in error.message
    assert real("lib/shared.yaml") in error.message


def test_c21_18_the_root_counts_as_a_definition_of_its_key(write: Write):
    root = write("main.yaml", instances("root", one="root@^1"))
    write("root.yaml", instances("root"))
    assert refusal(root).code == "DIS-DUPLICATE"


def test_c21_18_a_cluster_may_not_contain_itself(write: Write):
    error = refusal(write("loop.yaml", instances("loop", again="loop@^1")))
    assert error.code == "DIS-CYCLE"
    assert "circular cluster reference: 'loop.yaml' -> 'loop.yaml'" in error.message


def test_c21_18_nor_through_another(write: Write):
    root = write("root.yaml", instances("root", a="ping@^1"))
    write("ping.yaml", instances("ping", b="pong@^1"))
    write("pong.yaml", instances("pong", c="ping@^1"))
    error = refusal(root)
    assert error.code == "DIS-CYCLE"
    assert "'ping.yaml' -> 'pong.yaml' -> 'ping.yaml'" in error.message
    assert error.where == "pong.yaml:5:3"


def test_c21_18_another_version_of_itself_is_no_cycle(write: Write):
    found = load(write("loop.yaml", instances("loop", "2.0.0", again="loop@^1")))
    assert set(found.assets.clusters) == {("loop", "2.0.0")}


def test_c21_19_a_symlink_is_the_file_it_points_to(write: Write):
    root = write("graphs/root.yaml", instances("root", one="shared@^1"))
    write("graphs/real/shared.yaml", instances("shared"))
    os.symlink("real/shared.yaml", "graphs/shared.yaml")
    found = load(root, "graphs/real")
    assert set(found.assets.clusters) == {("root", "1.0.0"), ("shared", "1.0.0")}
    assert found.identities["shared", "1.0.0"] == real("graphs/real/shared.yaml")
    assert found.assets.labels["shared", "1.0.0"] == "graphs/shared.yaml"
    assert found.discovered_ids == tuple(sorted([real("graphs/root.yaml"), real("graphs/real/shared.yaml")]))


def test_c21_20_a_diamond_records_its_tip_once(write: Write):
    root = write("root.yaml", instances("root", left="left@^1", right="right@^1"))
    write("left.yaml", instances("left", tip="tip@^1"))
    write("right.yaml", instances("right", tip="tip@^1"))
    write("tip.yaml", instances("tip") + "owner: me\n")
    found = load(root)
    assert len(found.discovered_ids) == 4
    assert [notice.where for notice in found.notices] == ["tip.yaml:6:1 owner"]


def test_c21_20_a_long_chain_of_clusters_does_no_harm(write: Write):
    for index in range(1500):
        write(f"c{index}.yaml", instances(f"c{index}", next=f"c{index + 1}@^1"))
    write("c1500.yaml", instances("c1500"))
    assert len(load(Path("c0.yaml")).assets.clusters) == 1501
