"""A number beyond the range of a double in an authored YAML file is named as what it is, at its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.refusals import ADAPTER
from tests.conftest import Ergo

GRAPH = """kind: cluster
id: c
version: 1.0.0
parameters:
  - {name: p, type: number, default: DEFAULT}
nodes:
  n:
    impl: number_source@0.1.0
    params:
      value: VALUE
edges: []
outputs: {o: n.value}
"""
MANIFEST = """kind: compute
id: c
version: 1.0.0
inputs: [{name: a, type: number, cardinality: single, required: true}]
outputs: [{name: r, type: number}]
parameters:
  - {name: p, type: number, default: DEFAULT, required: false}
execution: {deterministic: true, cadence: continuous, may_error: false}
errors: {allowed: false, types: [], deterministic: true}
state: {allowed: false, resettable: false, description: none}
side_effects: false
"""
SCHEMA = ADAPTER.read_text().replace("exclusiveMinimum: 0", "maximum: VALUE")
BEYOND = "a number out of range"


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1.5e999"])
@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        (GRAPH.replace("DEFAULT", "5"), 10, f"must be Number, got String 'VALUE', {BEYOND}"),
        (
            GRAPH.replace("VALUE", "5.0").replace("DEFAULT", "VALUE"),
            5,
            f"expected Number default, got 'VALUE', {BEYOND}",
        ),
        (MANIFEST.replace("DEFAULT", "VALUE"), 7, f"its default is 'VALUE', {BEYOND}"),
        (SCHEMA, 17, "number out of range: VALUE"),
    ],
    ids=["parameter", "default", "manifest", "adapter"],
)
def test_a_number_out_of_range(ergo: Ergo, tmp_path: Path, text: str, line: int, why: str, number: str) -> None:
    (tmp_path / "x.yaml").write_text(text.replace("VALUE", number))
    ran = ergo("validate", "x.yaml", "--format", "json")
    [error] = ran.report["files"][0]["errors"]
    assert ran.exit_code == 3
    assert why.replace("VALUE", number) in error["message"]
    assert error["where"].startswith(f"x.yaml:{line}:")


def test_as_a_text_it_stays_what_it_is(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(
        GRAPH.replace("type: number, default: DEFAULT", "type: string, default: 1e400").replace("VALUE", "5.0")
    )
    assert ergo("validate", "x.yaml").exit_code == 0
