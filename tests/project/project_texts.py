"""A graph and an adapter for the tests of this folder."""

from __future__ import annotations

GRAPH = """\
kind: cluster
id: {id}
version: "1.0.0"
nodes:
  one:
    impl: number_source@0.1.0
    params: {{value: {value}}}
edges: []
outputs: {{}}
"""

ADAPTER = """\
kind: adapter
id: plant
version: 1.0.0
runtime_compatibility: 0.1.0-alpha.1
context_keys: []
event_kinds:
  - name: tick
    payload_schema: {type: object, additionalProperties: false}
accepts:
  effects: []
capture:
  format_version: "1"
  fields: [event.tick]
"""
