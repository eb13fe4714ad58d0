"""Projects for the library: the tick flow as files and as values, the sample flow with a scripted channel."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ergo_cli import (
    ChannelPolicy,
    EpisodeStart,
    Ergo,
    EventKind,
    HostedEvent,
    InMemoryProject,
    InMemorySource,
    Items,
    RunConfig,
    load_graph_assets_from_memory,
)
from ergo_cli.programs.graph.definition import GraphAssets
from tests.channels.ingress_runs import FLOW

GRAPH, ADAPTER = FLOW / "graph.yaml", FLOW / "adapter.yaml"
HASTY = ChannelPolicy(shutdown=300_000_000)
MECHANICAL = """\
kind: cluster
id: min
version: 0.1.0
nodes: {n: {impl: number_source@0.1.0, params: {value: 1.0}}}
edges: []
outputs: {n: n.value}
"""


def tick(event_id: str, x: float = 1.0, kind: EventKind = EventKind.COMMAND) -> HostedEvent:
    """An event of the tick flow, which writes ``x`` into ``y``."""
    return HostedEvent(event_id, kind, 0, "tick", {"x": x})


def ticks(count: int) -> list[HostedEvent | EpisodeStart]:
    return [tick(f"t{number}", float(number)) for number in range(count)]


def assets(text: str | None = None, **clusters: str) -> GraphAssets:
    """A graph in memory, by default that of the tick flow."""
    sources = [InMemorySource("g.yaml", "the graph", text or GRAPH.read_text())]
    sources += (InMemorySource(f"clusters/{name}.yaml", f"cluster {name}", body) for name, body in clusters.items())
    return load_graph_assets_from_memory("g.yaml", sources)


def tick_run(events: Sequence[HostedEvent | EpisodeStart], **members: object) -> RunConfig:
    """A run of the tick flow in memory."""
    return RunConfig(assets(), Items("ticks", events), adapter=ADAPTER, **members)  # pyright: ignore[reportArgumentType]


def in_memory(**profiles: RunConfig) -> Ergo:
    """A handle for a project that is a value."""
    return Ergo.builder().in_memory_project(InMemoryProject("desk", "1.0.0", profiles)).build()


def tick_project(folder: Path, events: int = 2, **keys: object) -> Path:
    """The tick flow as a project with the profile ``p``."""
    for name in ("graph.yaml", "adapter.yaml"):
        (folder / name).write_text((FLOW / name).read_text())
    write_ticks(folder / "events.jsonl", events)
    write_profile(folder, {"graph": "graph.yaml", "adapter": "adapter.yaml", "fixture": "events.jsonl", **keys})
    return folder


def write_profile(folder: Path, keys: Mapping[str, object]) -> None:
    lines = (f"{key} = {json.dumps(value)}\n" for key, value in keys.items() if value is not None)
    (folder / "ergo.toml").write_text('name = "ticks"\nversion = "1.0.0"\n[profiles.p]\n' + "".join(lines))


def write_ticks(path: Path, count: int) -> None:
    events = (
        {"type": "Command", "semantic_kind": "tick", "payload": {"x": float(number)}} for number in range(1, count + 1)
    )
    path.write_text("".join(json.dumps({"kind": "event", "event": event}) + "\n" for event in events))
