"""Graphs whose effects are the memory of later events, captured in a folder from a few events."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.conftest import Ergo, Ran

ADAPTER = """\
kind: adapter
id: desk
version: 1.0.0
runtime_compatibility: 0.1.0-alpha.1
context_keys:
{keys}event_kinds:
  - name: tick
    payload_schema: {{ type: object, properties: {{ {members} }}, additionalProperties: false }}
accepts:
  effects: [ {{ name: set_context, payload_schema: {{ type: object, additionalProperties: false }} }} ]
capture: {{ format_version: "1", fields: [event.tick, meta.adapter_id, meta.adapter_version] }}
"""
COUNTER = """\
kind: cluster
id: counter
version: "1.0.0"
nodes:
  price: { impl: context_number_source@0.1.0, params: { key: price } }
  count: { impl: context_number_source@0.1.0, params: { key: count } }
  limit: { impl: number_source@0.1.0, params: { value: 100.0 } }
  one: { impl: number_source@0.1.0, params: { value: 1.0 } }
  zero: { impl: number_source@0.1.0, params: { value: 0.0 } }
  high: { impl: gt@0.1.0 }
  gain: { impl: select@0.1.0 }
  next: { impl: add@0.1.0 }
  always: { impl: const_bool@0.1.0, params: { value: true } }
  tick: { impl: emit_if_true@0.1.0 }
  keep: { impl: context_set_number@0.1.0, params: { key: count } }
edges:
  - price.value -> high.a
  - limit.value -> high.b
  - high.result -> gain.cond
  - one.value -> gain.when_true
  - zero.value -> gain.when_false
  - count.value -> next.a
  - gain.result -> next.b
  - always.value -> tick.input
  - tick.event -> keep.event
  - next.result -> keep.value
"""
"""Counts the prices above a limit."""

EMA = """\
kind: cluster
id: ema
version: "1.0.0"
nodes:
  price: { impl: context_number_source@0.1.0, params: { key: price } }
  before: { impl: context_number_source@0.1.0, params: { key: average } }
  cap: { impl: number_source@0.1.0, params: { value: 100.0 } }
  half: { impl: number_source@0.1.0, params: { value: 0.5 } }
  capped: { impl: min@0.1.0 }
  both: { impl: add@0.1.0 }
  average: { impl: multiply@0.1.0 }
  level: { impl: number_source@0.1.0, params: { value: 3.5 } }
  low: { impl: lt@0.1.0 }
  warned: { impl: emit_if_true@0.1.0 }
  warn: { impl: context_set_bool@0.1.0, params: { key: warned } }
  always: { impl: const_bool@0.1.0, params: { value: true } }
  tick: { impl: emit_if_true@0.1.0 }
  keep: { impl: context_set_number@0.1.0, params: { key: average } }
edges:
  - price.value -> capped.a
  - cap.value -> capped.b
  - before.value -> both.a
  - capped.result -> both.b
  - both.result -> average.a
  - half.value -> average.b
  - always.value -> tick.input
  - tick.event -> keep.event
  - average.result -> keep.value
  - before.value -> low.a
  - level.value -> low.b
  - low.result -> warned.input
  - warned.event -> warn.event
  - low.result -> warn.value
"""
"""An average that moves half the way to each price, capped; warns once the average before is low."""

SWAP = """\
kind: cluster
id: swap
version: "1.0.0"
nodes:
  a: { impl: context_number_source@0.1.0, params: { key: a } }
  b: { impl: context_number_source@0.1.0, params: { key: b } }
  always: { impl: const_bool@0.1.0, params: { value: true } }
  tick: { impl: emit_if_true@0.1.0 }
  to_a: { impl: context_set_number@0.1.0, params: { key: a } }
  to_b: { impl: context_set_number@0.1.0, params: { key: b } }
edges:
  - always.value -> tick.input
  - tick.event -> to_a.event
  - b.value -> to_a.value
  - tick.event -> to_b.event
  - a.value -> to_b.value
"""
"""Two members that change places with every event."""

COUNTED = {"price": "Number", "count": "Number"}
AVERAGED = {"price": "Number", "average": "Number", "warned": "Bool"}
WITH = ("-g", "graph.yaml", "-a", "adapter.yaml")


class Desk:
    """A graph with its adapter in a folder, captured from a few events."""

    def __init__(self, ergo: Ergo, home: Path, graph: str, keys: Mapping[str, str]) -> None:
        self.ergo, self.home = ergo, home
        (home / "graph.yaml").write_text(graph)
        listed = "".join(
            f"  - {{ name: {key}, type: {type_}, required: false, writable: {str(key != 'price').lower()} }}\n"
            for key, type_ in keys.items()
        )
        members = ", ".join(
            f"{key}: {{ type: {'boolean' if type_ == 'Bool' else 'number'} }}" for key, type_ in keys.items()
        )
        (home / "adapter.yaml").write_text(ADAPTER.format(keys=listed, members=members))

    def capture(self, payloads: Iterable[Mapping[str, object]], *options: str) -> None:
        events = [
            {"type": "DataAvailable", "id": f"e{number}", "semantic_kind": "tick", "payload": payload}
            for number, payload in enumerate(payloads, 1)
        ]
        self.capture_events(events, *options)

    def capture_events(self, events: Sequence[Mapping[str, object]], *options: str) -> None:
        lines = [{"kind": "episode_start", "id": "one"}, *({"kind": "event", "event": event} for event in events)]
        (self.home / "events.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        self.capture_again("b.json", *options)

    def capture_again(self, bundle: str, *options: str) -> None:
        """Capture the same events with the graph as it is now."""
        ran = self.ergo("capture", "events.jsonl", *WITH, "-o", bundle, *options, cwd=self.home)
        assert ran.exit_code == 0, ran.stderr

    def edit(self, old: str, new: str) -> None:
        file = self.home / "graph.yaml"
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))

    def ran(self, *arguments: str, **env: str) -> Ran:
        ran = self.ergo("why", "b.json", *arguments, *WITH, cwd=self.home, **env)
        assert ran.exit_code == 0, ran.stderr
        return ran

    def lines(self, *arguments: str, **env: str) -> list[str]:
        return self.ran(*arguments, **env).stdout.splitlines()

    def chain(self, *arguments: str) -> dict[str, Any]:
        return self.ran(*arguments, "--format", "json").report["why"]["chain"]
