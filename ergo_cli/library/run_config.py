"""The configurations and outcomes of library runs and replays (spec 30 §22, §27)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path

from msgspec import Struct

from ergo_cli.bundle.memory import CaptureBundle
from ergo_cli.bundle.reader import open_bundle
from ergo_cli.channels.egress_config import EgressConfig
from ergo_cli.channels.interruption import Interruption
from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.numbers import Numbers
from ergo_cli.errors import ErgoError
from ergo_cli.events.external import EpisodeStart, HostedEvent
from ergo_cli.host import loop as running
from ergo_cli.programs.graph.model import GraphAssets
from ergo_cli.programs.graph.program import AdapterText
from ergo_cli.replay.results import ReplayOptions
from ergo_cli.supervisor.seam import Constraints

GraphSource = str | PathLike[str] | GraphAssets
"""A graph by the path of its file, or prepared with ``load_graph_assets_from_memory``."""

AdapterSource = str | PathLike[str] | AdapterText | Mapping[str, object]
"""An adapter by the path of its manifest, as a text with a name, or as the manifest itself."""


class Fixture(Struct, frozen=True):
    """Events come from a file, as the command line reads it."""

    path: str | PathLike[str]


class Process(Struct, frozen=True):
    """Events come from a process that speaks ``ergo-driver.v0``; ``command`` is program and arguments."""

    command: Sequence[str]


class Items(Struct, frozen=True):
    """Events are given as values, checked as if they were lines of a file called ``label``.

    An EpisodeStart begins an episode; without one, all belong to one episode.
    """

    label: str
    events: Sequence[HostedEvent | EpisodeStart]


Ingress = Fixture | Process | Items


class RunConfig(Struct, frozen=True):
    """One run. Paths and programs are relative to the current folder; ``max_duration`` is ns.

    Without ``capture_output`` the bundle of a graph file goes to ``target/<stem>-capture.json``, that of prepared
    assets stays in memory. ``redact`` are paths to values of payloads that are redacted, under ``redact_key``, else
    the key of the environment.
    """

    graph: GraphSource
    ingress: Ingress
    cluster_paths: Sequence[str | PathLike[str]] = ()
    adapter: AdapterSource | None = None
    egress_config: EgressConfig | None = None
    capture_output: str | PathLike[str] | None = None
    pretty_capture: bool = False
    max_duration: int | None = None
    max_events: int | None = None
    constraints: Constraints = Constraints()
    numbers: Numbers = Numbers.EXACT
    formats: bool = False
    redact: Sequence[str] = ()
    redact_key: bytes | None = None


class ReplayConfig(Struct, frozen=True):
    """One replay of the bundle in the file ``capture``; strict unless ``options`` say otherwise."""

    capture: str | PathLike[str]
    graph: GraphSource
    cluster_paths: Sequence[str | PathLike[str]] = ()
    adapter: AdapterSource | None = None
    options: ReplayOptions = ReplayOptions()


class InMemoryProject(Struct, frozen=True):
    """A project without a folder: its profiles are runs, by name."""

    name: str
    version: str
    profiles: Mapping[str, RunConfig]


class RunSummary(running.RunSummary, frozen=True):
    """The counts of a run and its bundle: in the file ``capture_path``, or in memory."""

    capture_path: Path | None
    notices: tuple[Notice, ...]
    """Warnings that do not fail the run."""
    memory: CaptureBundle | None

    @property
    def capture_bundle(self) -> CaptureBundle:
        """The bundle, read from its file if there is one. Raises BundleError if that fails."""
        if self.memory is not None:
            return self.memory
        with open_bundle(str(self.capture_path)) as reader:
            return reader.load()


class Completed(Struct, frozen=True):
    """The run processed all events."""

    summary: RunSummary


class Interrupted(Struct, frozen=True):
    """The run ended early and what was committed is kept; ``error`` is the error that ended it, if any."""

    summary: RunSummary
    reason: Interruption
    error: ErgoError | None = None


RunOutcome = Completed | Interrupted
