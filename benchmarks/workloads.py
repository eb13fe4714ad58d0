"""Graphs of a given size, an adapter that binds them, and streams of any length: the same bytes every time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ergo_cli.core.json import canonical

ADAPTER = """\
kind: adapter
id: bench_desk
version: 1.0.0
runtime_compatibility: 0.1.0-alpha.1
context_keys:
  - { name: price, type: Number, required: false, writable: false, description: "last traded price" }
  - { name: quantity, type: Number, required: false, writable: false, description: "traded quantity" }
  - { name: armed, type: Bool, required: false, writable: false, description: "whether trading is allowed" }
  - { name: notional, type: Number, required: false, writable: true, description: "price times quantity" }
  - { name: outside, type: Bool, required: false, writable: true, description: "whether the price left the band" }
event_kinds:
  - name: quote
    payload_schema:
      type: object
      properties:
        price: { type: number }
        quantity: { type: number }
        armed: { type: boolean }
        venue: { type: string }
      required: [price, quantity, armed]
      additionalProperties: false
accepts:
  effects:
    - name: set_context
      payload_schema: { type: object, additionalProperties: false }
capture:
  format_version: "1"
  fields: [event.quote, meta.adapter_id, meta.adapter_version]
"""

_SMALL = {
    "armed": ("context_bool_source", "{ key: armed }", {}),
    "act": ("and", "", {"a": "armed.value", "b": "armed.value"}),
    "enter": ("emit_if_true", "", {"input": "act.result"}),
    "keep": ("context_set_bool", "{ key: outside }", {"event": "enter.event", "value": "armed.value"}),
}
_BAND = {
    "price": ("context_number_source", "{ key: price }", {}),
    "quantity": ("context_number_source", "{ key: quantity }", {}),
    "armed": ("context_bool_source", "{ key: armed }", {}),
    "high": ("number_source", "{ value: 105.0 }", {}),
    "low": ("number_source", "{ value: 95.0 }", {}),
    "scale": ("number_source", "{ value: 0.01 }", {}),
    "notional": ("multiply", "", {"a": "price.value", "b": "quantity.value"}),
    "scaled": ("multiply", "", {"a": "notional.result", "b": "scale.value"}),
    "over": ("gt", "", {"a": "price.value", "b": "high.value"}),
    "under": ("lt", "", {"a": "price.value", "b": "low.value"}),
    "outside": ("or", "", {"a": "over.result", "b": "under.result"}),
    "act": ("and", "", {"a": "outside.result", "b": "armed.value"}),
    "inside": ("not", "", {"value": "outside.result"}),
    "enter": ("emit_if_true", "", {"input": "act.result"}),
    "note": ("emit_if_true", "", {"input": "outside.result"}),
    "keep": ("context_set_number", "{ key: notional }", {"event": "enter.event", "value": "scaled.result"}),
    "flag": ("context_set_bool", "{ key: outside }", {"event": "note.event", "value": "outside.result"}),
}
_CHAIN = ("add", "subtract", "max", "min", "multiply")


@dataclass(frozen=True)
class Workload:
    """A graph of ``nodes`` nodes; ``effects`` says whether its stream makes it want something done."""

    nodes: int
    effects: bool

    @property
    def name(self) -> str:
        """What the table calls it."""
        return f"{self.nodes} nodes, {'with effects' if self.effects else 'no effects'}"

    def write(self, folder: Path, events: int) -> Path:
        """Put graph, adapter and a stream of ``events`` events into ``folder``; the path of the stream."""
        (folder / "graph.yaml").write_text(graph_text(self.nodes))
        (folder / "adapter.yaml").write_text(ADAPTER)
        stream = folder / f"events-{events}-{self.effects}.jsonl"
        if not stream.exists():
            with stream.open("wb") as file:
                file.writelines(lines(events, effects=self.effects))
        return stream


def graph_text(nodes: int) -> str:
    """The graph of 4, 17 or more nodes; more than 17 are a chain of arithmetic before the first action."""
    parts = dict(_SMALL) if nodes == len(_SMALL) else _grown(nodes)
    body = "".join(_node(name, impl, params) for name, (impl, params, _) in parts.items())
    wires = "".join(
        f"  - {source} -> {name}.{port}\n" for name, (_, _, inputs) in parts.items() for port, source in inputs.items()
    )
    head = f'kind: cluster\nid: bench_{nodes}\nversion: "1.0.0"\n'
    return f"{head}nodes:\n{body}edges:\n{wires}outputs:\n  kept: keep.outcome\n"


def lines(events: int, *, effects: bool) -> Iterator[bytes]:
    """The lines of a stream; prices, quantities and flags come from a small generator with a fixed seed."""
    yield b'{"kind":"episode_start","id":"bench"}\n'
    state = 12345
    for number in range(events):
        state = (1103515245 * state + 12345) % 2**31
        price = (106.0 if effects else 96.0) + (state >> 8) % 800 / 100
        payload = {
            "price": price,
            "quantity": state % 977 / 4,
            "armed": effects and bool(state >> 16 & 1),
            "venue": "main",
        }
        yield b'{"kind":"event","event":{"type":"Command","id":"q-%07d","semantic_kind":"quote","payload":%b}}\n' % (
            number,
            canonical(payload),
        )


def _grown(nodes: int) -> dict[str, tuple[str, str, dict[str, str]]]:
    parts = dict(_BAND)
    last = "scaled.result"
    for number in range(nodes - len(_BAND)):
        impl = _CHAIN[number % len(_CHAIN)]
        parts[f"step_{number}"] = (
            impl,
            "",
            {"a": last, "b": "scale.value" if impl == "multiply" else "quantity.value"},
        )
        last = f"step_{number}.result"
    parts["keep"] = ("context_set_number", "{ key: notional }", {"event": "enter.event", "value": last})
    return parts


def _node(name: str, impl: str, params: str) -> str:
    return f"  {name}: {{ impl: {impl}@0.1.0{f', params: {params}' if params else ''} }}\n"
