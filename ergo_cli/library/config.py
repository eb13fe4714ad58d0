"""What a caller of the library wants run or replayed, and projects that are no files (spec 30 §22, §27)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from ergo_cli.core.numbers import Numbers
from ergo_cli.events.hosted import EpisodeStart, HostedEvent
from ergo_cli.host.egress.config import EgressConfig
from ergo_cli.programs.graph.definition import GraphAssets
from ergo_cli.project.sources import AdapterText
from ergo_cli.replay.options import ReplayOptions
from ergo_cli.supervisor.constraints import Constraints

GraphSource = str | Path | GraphAssets
"""A graph by the path of its file, or prepared with ``load_graph_assets_from_memory``."""

AdapterSource = str | Path | AdapterText | Mapping[str, object]
"""An adapter by the path of its manifest, as a text with a name, or as the manifest itself."""


class Fixture(Struct, frozen=True):
    """Events come from a file, as the command line reads it."""

    path: str | Path


class Process(Struct, frozen=True):
    """Events come from a process that speaks ``ergo-driver.v0``; ``command`` is program and arguments."""

    command: Sequence[str]


class Items(Struct, frozen=True):
    """Events are at hand, checked as if they were lines of a file called ``label``.

    An EpisodeStart begins an episode; without one, all are of one.
    """

    label: str
    events: Sequence[HostedEvent | EpisodeStart]


Ingress = Fixture | Process | Items


class RunConfig(Struct, frozen=True):
    """One run. Relative paths and programs belong to the current folder; ``max_duration`` is ns.

    Without ``capture_output`` the bundle of a graph file goes to ``target/<stem>-capture.json``, that of prepared
    assets stays in memory.
    """

    graph: GraphSource
    ingress: Ingress
    cluster_paths: Sequence[str | Path] = ()
    adapter: AdapterSource | None = None
    egress_config: EgressConfig | None = None
    capture_output: str | Path | None = None
    pretty_capture: bool = False
    max_duration: int | None = None
    max_events: int | None = None
    constraints: Constraints = Constraints()
    numbers: Numbers = Numbers.EXACT


class ReplayConfig(Struct, frozen=True):
    """One replay of the bundle in the file ``capture``; strict unless ``options`` say otherwise."""

    capture: str | Path
    graph: GraphSource
    cluster_paths: Sequence[str | Path] = ()
    adapter: AdapterSource | None = None
    options: ReplayOptions = ReplayOptions(strict=True)


class InMemoryProject(Struct, frozen=True):
    """A project that is no folder: its profiles are runs, by name."""

    name: str
    version: str
    profiles: Mapping[str, RunConfig]
