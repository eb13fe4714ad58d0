"""Projects for the library: the tick flow as files and as values, the sample flow with a scripted channel."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ergo_cli import (
    ChannelPolicy,
    EpisodeStart,
    Ergo,
    HostedEvent,
    InMemoryProject,
    InMemorySource,
    Items,
    RunConfig,
    load_graph_assets_from_memory,
)
from ergo_cli.programs.graph.model import GraphAssets
from tests.channels.ingress_runs import FLOW
from tests.support.events import event_lines, tick

GRAPH, ADAPTER = FLOW / "graph.yaml", FLOW / "adapter.yaml"
PATIENT = ChannelPolicy(startup=60_000_000_000, shutdown=60_000_000_000)
ALL_EARS = ChannelPolicy(startup=60_000_000_000, shutdown=60_000_000_000, settle=60_000_000_000)
"""For channels that do something after their last acknowledgement, however long they take to come to it."""
MECHANICAL = """\
kind: cluster
id: min
version: 0.1.0
nodes: {n: {impl: number_source@0.1.0, params: {value: 1.0}}}
edges: []
outputs: {n: n.value}
"""


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
    path.write_text(event_lines(events))


AGENT = """\
from ergo_cli.programs.kernel import Complete, Interrupt, KernelProgram, Resumed

def first_state(payload):
    return []

def step(state):
    return Complete() if state else Interrupt({"ask": "go?"})

def reduce(state, event):
    return [*state, event.event.value] if isinstance(event.event, Resumed) else state

def execute(action, call):
    raise AssertionError("it never acts")

program = KernelProgram("talk", first_state, step, execute, reduce)
"""


def agent_project(folder: Path, store: str | None = "sqlite:runs.db") -> Path:
    """A program whose runs ask and then are done, as a project with the profile ``p``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "talk_agent.py").write_text(AGENT)
    (folder / "events.jsonl").write_text(event_lines([{"type": "Command", "id": "e1", "payload": {}}]))
    write_profile(folder, {"kernel": "talk_agent:program", "fixture": "events.jsonl", "store": store})
    return folder
