"""What changed between two graphs, in the author's names and at his lines."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ergo_cli.programs.changes import Change
from ergo_cli.programs.graph.changes import graph_changes
from ergo_cli.programs.graph.program import GraphProgram
from ergo_cli.project.loading import load_program_from_files

FIXTURES = Path(__file__).parents[3] / "fixtures"
GRAPHS = {"boiler_alarm": "graphs/boiler.yaml", "order_threshold": "graphs/order_threshold.yaml"}


def loaded(home: Path) -> GraphProgram:
    graph = home / GRAPHS[home.name]
    return load_program_from_files(graph, [home / "clusters"]).program.value


def changes(tmp_path: Path, fixture: str, file: str, *edits: tuple[str, str]) -> list[Change]:
    home = tmp_path / fixture
    shutil.copytree(FIXTURES / fixture, home)
    recorded = loaded(home)
    text = (home / file).read_text()
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    (home / file).write_text(text)
    return graph_changes(recorded, loaded(home))


def lines(tmp_path: Path, fixture: str, file: str, *edits: tuple[str, str]) -> list[str]:
    """Each change in one line: file and line number, subject, verb, both values, its nodes."""
    found = changes(tmp_path, fixture, file, *edits)
    parts = [
        (
            f"{Path(each.file or '-').name}:{each.line}",
            each.subject,
            each.verb.value,
            each.before,
            each.after,
            *each.nodes,
        )
        for each in found
    ]
    return [" ".join(part for part in each if part is not None) for each in parts]


ORDER = "graphs/order_threshold.yaml"


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ([], []),
        ([("105.0", "104.0")], ["order_threshold.yaml:20 enter_level.value changed 105.0 104.0 enter_level"]),
        ([("gt@0.1.0", "lt@0.1.0")], ["order_threshold.yaml:25 above changed gt@0.1.0 lt@0.1.0 above"]),
        ([("size: 3", "size: 4")], ["order_threshold.yaml:36 recent.size changed 3 4 recent"]),
        (
            [("key: bought_at", "key: paid")],
            ['order_threshold.yaml:47 bought_at.key changed "bought_at" "paid" bought_at'],
        ),
        (
            [("enter.event -> bought_at.event", "leave.event -> bought_at.event")],
            ["order_threshold.yaml:75 bought_at.event changed enter.event leave.event bought_at"],
        ),
        (
            [("sold: sell.outcome", "sold: buy.outcome")],
            ["order_threshold.yaml:84 output sold changed sell.outcome buy.outcome"],
        ),
        ([("  sold: sell.outcome\n", "")], ["-:None output sold removed sell.outcome"]),
        (
            [('version: "1.0.0"', 'version: "1.0.1"')],
            ["order_threshold.yaml:None version of order_threshold changed 1.0.0 1.0.1"],
        ),
        (
            [("below: { impl: lt@0.1.0 }", "below: { impl: lt@0.1.0 }\n  spare: { impl: not@0.1.0 }"),
             ("  - history.value", "  - holding.value -> spare.value\n  - history.value")],
            ["order_threshold.yaml:27 spare added not@0.1.0 spare"],
        ),
    ],
)  # fmt: skip
def test_an_edit_of_a_graph_is_named_at_its_line(
    tmp_path: Path, edits: list[tuple[str, str]], expected: list[str]
) -> None:
    assert lines(tmp_path, "order_threshold", ORDER, *edits) == expected


def test_comments_and_the_order_of_nodes_change_nothing(tmp_path: Path) -> None:
    edits = [
        (
            "above: { impl: gt@0.1.0 }\n  below: { impl: lt@0.1.0 }",
            "below: { impl: lt@0.1.0 } # x\n  above: { impl: gt@0.1.0 }",
        )
    ]
    assert lines(tmp_path, "order_threshold", ORDER, *edits) == []


def test_a_value_given_to_a_cluster_is_named_where_it_is_written(tmp_path: Path) -> None:
    found = lines(tmp_path, "boiler_alarm", "graphs/boiler.yaml", ("limit: 95.0", "limit: 90.0"))
    path = "overheated/over/limit_value"
    assert found == [f"boiler.yaml:14 overheated.limit changed 95.0 90.0 {path}"]


def test_a_value_that_several_nodes_take_is_one_change(tmp_path: Path) -> None:
    found = lines(tmp_path, "boiler_alarm", "graphs/boiler.yaml", ("latch: overheated", "latch: hot"))
    nodes = "overheated/close overheated/latched"
    assert found == [f'boiler.yaml:14 overheated.latch changed "overheated" "hot" {nodes}']


def test_a_default_of_a_cluster_is_named_at_the_cluster(tmp_path: Path) -> None:
    found = lines(tmp_path, "boiler_alarm", "clusters/over_limit.yaml", ("default: 0.0", "default: 1.0"))
    nodes = "overheated/over/load overpressure/over/load"
    assert found == [f"over_limit.yaml:11 over_limit.when_limit_is_zero changed 0.0 1.0 {nodes}"]


def test_a_value_inside_a_cluster_is_named_once_for_all_its_instances(tmp_path: Path) -> None:
    found = lines(
        tmp_path, "boiler_alarm", "clusters/over_limit.yaml", ("params: { value: 1.0 }", "params: { value: 2.0 }")
    )
    nodes = "overheated/over/full overpressure/over/full"
    assert found == [f"over_limit.yaml:24 over_limit/full.value changed 1.0 2.0 {nodes}"]


def test_a_node_that_is_gone_is_named_by_its_path(tmp_path: Path) -> None:
    edits = [("  note_heat:\n    impl: annotate_action@^0.1\n    params: { note: \"the boiler is too hot\" }\n", ""),
             ("  - overheated.raised -> note_heat.event\n", ""), ("  heat: note_heat.outcome\n", "")]  # fmt: skip
    found = lines(tmp_path, "boiler_alarm", "graphs/boiler.yaml", *edits)
    assert found == ["-:None output heat removed note_heat.outcome", "-:None note_heat removed annotate_action@0.1.0"]


def test_what_can_decide_nothing_is_marked_as_idle(tmp_path: Path) -> None:
    found = changes(
        tmp_path,
        "boiler_alarm",
        "clusters/over_limit.yaml",
        ('"1.0.3"', '"1.0.4"'),
        ("more: { impl: gt@^0.1", "more: { impl: gt@~0.1"),
    )
    assert [(each.subject, each.before, each.after, each.idle) for each in found] == [
        ("version of over_limit", "1.0.3", "1.0.4", True),
        ("overheated/over/more", "gt@^0.1", "gt@~0.1", True),
        ("overpressure/over/more", "gt@^0.1", "gt@~0.1", True),
    ]


def test_outputs_decide_nothing(tmp_path: Path) -> None:
    found = changes(tmp_path, "order_threshold", ORDER, ("sold: sell.outcome", "sold: buy.outcome"), ("105.0", "104.0"))
    assert [(each.subject, each.idle) for each in found] == [("enter_level.value", False), ("output sold", True)]
