"""Texts of cluster documents for tests, most of them with one thing wrong."""

from __future__ import annotations

import re

import pytest

from ergo_cli.errors import DocumentError
from ergo_cli.programs.graph.files.cluster_file import decode_graph_yaml

RULE_CODE = re.compile(r"\b(?:V|I|E|D|SRC|CMP|TRG|ACT|ADP|COMP)[.-][0-9]+\b")

HEAD = "kind: cluster\nid: doc\nversion: 1.0.0\n"
NODES = "nodes:\n  x: {impl: add@0.1.0}\n  y: {impl: add@0.1.0}\n"
EDGES = "edges: []\n"
VALID = HEAD + NODES + EDGES


def node(body: str) -> str:
    """A document whose only node ``x`` is ``body``."""
    return HEAD + f"nodes:\n  x: {body}\n" + EDGES


def params(body: str) -> str:
    """A document whose only node has the parameters ``body``."""
    return node(f"{{impl: number_source@0.1.0, params: {body}}}")


def edge(body: str) -> str:
    """A document with the inputs q and a, the nodes x and y, and one edge."""
    return HEAD + "inputs: [{name: q, type: event}, {name: a, type: event}]\n" + NODES + f"edges:\n  - {body}\n"


def parameter(body: str) -> str:
    """A document with one parameter."""
    return VALID + f"parameters:\n  - {body}\n"


def instances(cluster_id: str, version: str = "1.0.0", **references: str) -> str:
    """A cluster whose nodes are instances of other clusters."""
    nodes = "".join(f"\n  {name}: {{cluster: '{reference}'}}" for name, reference in references.items())
    return f"kind: cluster\nid: {cluster_id}\nversion: {version}\nnodes:{nodes}\nedges: []\n"


def refusal(text: str) -> DocumentError:
    """The headline of a YAML document that is refused; whatever is refused has a place and a fix, no rule."""
    with pytest.raises(DocumentError) as caught:
        decode_graph_yaml(text, "doc.yaml")
    error = caught.value
    assert error.where is not None
    assert error.where.startswith("doc.yaml:")
    assert error.fix
    assert not RULE_CODE.search(error.message)
    return error


BOTH_FORMS = """\
kind: Cluster
id: both
version: "2.1.0-rc.1"
nodes:
  left: {impl: number_source@0.1.0, params: {value: 3}}
  inner:
    cluster: scale@>=1.0, <2
    params:
      factor: {exposed: rate}
      note: hot
edges:
  - left.value -> inner.x
  - from: {external: incoming}
    to: {node: inner, port: trigger}
outputs:
  y: inner.y
inputs:
  - {name: incoming, type: event, required: false}
parameters:
  - {name: rate, type: String, default: fast}
  - {name: slot, type: string, default: {derive_key: seen}}
signature:
  kind: compute_like
  inputs: [{name: incoming, type: Event, cardinality: single, wireable: true}]
  outputs: [{name: y, type: number, cardinality: multiple, wireable: false}]
  has_side_effects: false
  is_origin: true
"""
"""A document with everything in it."""
