"""Spec 21, C-20 … C-24: graphs whose sources are handed over as texts."""

from __future__ import annotations

import pytest
from graph_texts import instances

from ergo_cli.errors import DiscoveryError, DocumentError
from ergo_cli.programs.graph.files.discovery import (
    Discovered,
    InMemorySource,
    Located,
    Reference,
    discover,
    load_in_memory_graph_sources,
)


def load(root_id: str, sources: dict[str, str], *roots: str) -> Discovered:
    """Sources by id; their labels are their ids in capitals."""
    listed = [InMemorySource(source_id, source_id.upper(), content) for source_id, content in sources.items()]
    return load_in_memory_graph_sources(root_id, listed, roots)


def refusal(root_id: str, sources: dict[str, str], *roots: str) -> DiscoveryError:
    with pytest.raises(DiscoveryError) as caught:
        load(root_id, sources, *roots)
    return caught.value


class CountingLookup:
    """Sources by id, and how often each was read."""

    def __init__(self, sources: dict[str, str]) -> None:
        self._sources = sources
        self.reads: list[str] = []

    def candidates(self, cluster_id: str, referrer: Located) -> list[Located]:
        return [Located(cluster_id, cluster_id)]

    def read(self, source: Located) -> str:
        self.reads.append(source.identity)
        return self._sources[source.identity]

    def not_found(self, reference: Reference) -> DiscoveryError:
        raise AssertionError(reference)

    def id_mismatch(self, reference: Reference, opened: Located, actual_id: str) -> DiscoveryError:
        raise AssertionError(reference)

    def duplicate(self, key: tuple[str, str], first: Located, second: Located) -> DiscoveryError:
        raise AssertionError(key)


def test_c21_20_every_source_is_read_once():
    sources = {
        "root": instances("root", a="left@^1", b="right@^1", c="tip@^1", d="tip@2.0.0"),
        "left": instances("left", tip="tip@^1"),
        "right": instances("right", tip="tip@^1"),
        "tip": instances("tip"),
    }
    lookup = CountingLookup(sources)
    discover(Located("root", "root"), lookup)
    assert lookup.reads == ["root", "left", "tip", "right"]


def test_c21_20_a_broken_source_is_read_once_too():
    lookup = CountingLookup({"root": instances("root", a="bad@^1", b="bad@^1"), "bad": "kind: ["})
    with pytest.raises(DiscoveryError) as caught:
        discover(Located("root", "root"), lookup)
    assert [each.code for each in (caught.value, *caught.value.causes)] == ["DIS-NESTED", "DEC-DUAL", "DIS-NESTED"]
    assert lookup.reads == ["root", "bad"]


def test_c21_21_ids_are_sorted_and_labels_kept():
    found = load(
        "z/root.yaml", {"z/root.yaml": instances("root", one="a@^1"), "z/a.yaml": instances("a"), "b.yaml": "?"}
    )
    assert found.discovered_ids == ("z/a.yaml", "z/root.yaml")
    assert found.source_labels == {"z/root.yaml": "Z/ROOT.YAML", "z/a.yaml": "Z/A.YAML"}
    assert found.source_map["z/a.yaml"] == instances("a")
    assert found.root.id == "root"
    assert found.assets.labels["a", "1.0.0"] == "Z/A.YAML"


def test_c21_21_json_content_is_accepted():
    text = '{"kind":"cluster","id":"a","version":"1.0.0",\n\t"nodes":{},"edges":[]}'
    found = load("root.yaml", {"root.yaml": instances("root", one="a@^1"), "a.yaml": text})
    assert set(found.assets.clusters) == {("root", "1.0.0"), ("a", "1.0.0")}
    assert load("a.yaml", {"a.yaml": text}).root.id == "a"


def test_c21_21_a_root_that_cannot_be_decoded_carries_its_label():
    with pytest.raises(DocumentError, match=r"parse graph 'ROOT.YAML': expected valid YAML or JSON"):
        load("root.yaml", {"root.yaml": "kind: ["})


BAD_PATHS = [
    ("", "must not be empty"),
    ("/a.yaml", "must be a relative logical path"),
    ("a\\b.yaml", "must use '/' separators"),
    ("c:a.yaml", "must not contain ':'"),
    ("a/../b.yaml", "must not contain '.' or '..' segments"),
    ("./a.yaml", "must not contain '.' or '..' segments"),
    ("a//b.yaml", "must not contain empty path segments"),
    ("a/", "must not contain empty path segments"),
]


@pytest.mark.parametrize(("path", "fault"), BAD_PATHS)
def test_c21_22_paths_are_relative_and_logical_even_if_unreachable(path: str, fault: str):
    for source_id, sources in (
        (path, {path: instances("a")}),
        ("a.yaml", {"a.yaml": instances("a"), path: "garbage ["}),
    ):
        error = refusal(source_id, sources)
        assert error.code == "DIS-SOURCE"
        assert f"in-memory source_id {fault}" in error.message
    error = refusal("a.yaml", {"a.yaml": instances("a")}, path)
    assert f"in-memory search_root {fault}" in error.message


def listed(*sources: tuple[str, str]) -> list[InMemorySource]:
    return [InMemorySource(source_id, label, instances("a")) for source_id, label in sources]


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (listed(("a.yaml", "A"), ("a.yaml", "B")), "duplicate in-memory source_id 'a.yaml'"),
        (listed(("a.yaml", "A"), ("b.yaml", "A")), "duplicate in-memory source_label 'A'"),
        (listed(("a.yaml", "A"), ("b.yaml", "")), "in-memory source_label must not be empty"),
        (listed(("b.yaml", "B")), "root in-memory source_id 'a.yaml' was not provided"),
        ([], "root in-memory source_id 'a.yaml' was not provided"),
    ],
)
def test_c21_22_ids_and_labels_are_unique_and_the_root_is_there(sources: list[InMemorySource], message: str):
    with pytest.raises(DiscoveryError) as caught:
        load_in_memory_graph_sources("a.yaml", sources)
    assert message in caught.value.message


def test_c21_22_all_faults_are_told():
    error = refusal("gone.yaml", {"/a": "", "b\\c": ""}, "..")
    assert len((error, *error.causes)) == 4


def test_c21_23_the_order_of_the_caller_decides():
    sources = {
        "lib/part.yaml": instances("part", "1.1.0"),
        "root.yaml": instances("root", one="part@^1"),
        "clusters/part.yaml": instances("part", "1.2.0"),
        "part.yaml": instances("part", "1.3.0"),
    }
    assert list(load("root.yaml", sources, "lib").assets.clusters) == [
        ("root", "1.0.0"),
        ("part", "1.1.0"),
        ("part", "1.2.0"),
        ("part", "1.3.0"),
    ]
    broken = {**sources, "clusters/part.yaml": "kind: [", "part.yaml": "kind: ["}
    assert "'CLUSTERS/PART.YAML'" in refusal("root.yaml", broken, "lib").message


def test_c21_23_the_folder_of_the_referrer_decides():
    sources = {
        "a/root.yaml": instances("root", one="part@^1"),
        "a/clusters/part.yaml": instances("part", "1.0.1", deep="tip@^1"),
        "a/clusters/tip.yaml": instances("tip", "1.0.1"),
        "a/tip.yaml": instances("tip", "1.0.2"),
        "part.yaml": instances("part", "1.0.3"),
        "b/part.yaml": instances("part", "1.0.4"),
    }
    found = load("a/root.yaml", sources)
    assert set(found.assets.clusters) == {("root", "1.0.0"), ("part", "1.0.1"), ("tip", "1.0.1")}


def test_c21_23_versions_that_do_not_fit_are_kept():
    sources = {
        "root.yaml": instances("root", one="part@^2"),
        "part.yaml": instances("part", "1.0.0", deep="gone@^1"),
        "lib/clusters/part.yaml": instances("part", "2.0.0"),
    }
    found = load("root.yaml", sources, "lib")
    assert {("part", "1.0.0"), ("part", "2.0.0")} < set(found.assets.clusters)
    assert found.discovered_ids == ("lib/clusters/part.yaml", "part.yaml", "root.yaml")


def logical(error: DiscoveryError, *fragments: str) -> None:
    """The message has the fragments, and nothing that only users of files understand."""
    for fragment in fragments:
        assert fragment in error.message
    for told in (error.message, error.fix or ""):
        assert "rename the file" not in told
        assert "multiple files" not in told


def test_c21_24_not_found():
    error = refusal("a/root.yaml", {"a/root.yaml": instances("root", one="part@^1")}, "lib", "own/clusters")
    assert error.code == "DIS-NOT-FOUND"
    logical(
        error,
        "logical source paths ending in 'part.yaml'",
        "a/part.yaml, a/clusters/part.yaml, lib/part.yaml, lib/clusters/part.yaml, own/clusters/part.yaml;",
        "source_id must end in 'part.yaml'",
        "referenced by node 'one' in 'A/ROOT.YAML'",
    )


def test_c21_24_not_found_at_the_top():
    error = refusal("root.yaml", {"root.yaml": instances("root", one="prt@^1"), "lib/part.yaml": ""})
    logical(error, ": prt.yaml, clusters/prt.yaml;")
    assert error.fix == "did you mean 'part'?"


def test_c21_24_mismatch():
    error = refusal("root.yaml", {"root.yaml": instances("root", one="part@^1"), "part.yaml": instances("other")})
    assert error.code == "DIS-ID-MISMATCH"
    logical(
        error,
        "opened in-memory source 'PART.YAML' (source_id 'part.yaml')",
        "graph id is 'other'",
        "graph reference, source_id, and graph id must agree on 'part'",
        "referenced by node 'one' in 'ROOT.YAML'",
    )


def test_c21_24_duplicate():
    sources = {
        "root.yaml": instances("root", one="part@^1"),
        "part.yaml": instances("part"),
        "clusters/part.yaml": instances("part"),
    }
    error = refusal("root.yaml", sources)
    assert error.code == "DIS-DUPLICATE"
    logical(
        error,
        "defined by multiple sources",
        "'PART.YAML' (source_id 'part.yaml')",
        "'CLUSTERS/PART.YAML' (source_id 'clusters/part.yaml')",
    )


def test_c21_24_cycle():
    error = refusal("a.yaml", {"a.yaml": instances("a", x="b@^1"), "b.yaml": instances("b", y="a@^1")})
    assert error.code == "DIS-CYCLE"
    logical(error, "circular cluster reference: 'A.YAML' -> 'B.YAML' -> 'A.YAML'")
