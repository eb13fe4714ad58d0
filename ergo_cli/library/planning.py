"""From what a caller wants run to a run that is ready to begin, its processes not started."""

from __future__ import annotations

from pathlib import Path
from typing import assert_never

from msgspec import Struct

from ergo_cli.host.capturing import KeepRequest
from ergo_cli.host.planning import (
    Bounds,
    Driver,
    EgressPlan,
    EventFile,
    EventSource,
    RunPlan,
    RunRequest,
    check_ready,
    plan_run,
)
from ergo_cli.host.preparation import PreparedRun
from ergo_cli.library.config import Fixture, Ingress, Items, Process, RunConfig
from ergo_cli.library.items import event_lines
from ergo_cli.library.programs import load_given_program
from ergo_cli.programs.graph.catalog import Inventory
from ergo_cli.programs.graph.definition import GraphAssets
from ergo_cli.project.finding import ProgramFlags


class Planned(Struct, frozen=True):
    """A run that is ready to begin; ``keep`` is None where its bundle stays in memory.

    ``output`` is the place of the bundle where the caller or the profile names one.
    """

    run: RunPlan
    keep: KeepRequest | None
    output: Path | None
    pretty: bool = False
    embed: bool = False


def plan_config(config: RunConfig, inventory: Inventory) -> Planned:
    """The run that ``config`` describes. Raises ErgoError as ``load_given_program`` and ``check_ready``."""
    source = _source(config.ingress)
    found = load_given_program(config.graph, config.cluster_paths, config.adapter, inventory)
    egress = None if config.egress_config is None else EgressPlan(config.egress_config, None)
    notices = check_ready(found, source, egress)
    plan = RunPlan(
        found,
        PreparedRun(found.program, found.adapter, config.constraints, config.numbers),
        source,
        egress,
        Bounds(config.max_events, config.max_duration),
        None if isinstance(config.graph, GraphAssets) else Path(config.graph),
        found.notices + notices,
    )
    output = None if config.capture_output is None else Path(config.capture_output)
    in_memory = output is None and plan.graph is None
    keep = None if in_memory else KeepRequest(output, config.pretty_capture, embed=False)
    return Planned(plan, keep, output, config.pretty_capture)


def plan_profile(flags: ProgramFlags) -> Planned:
    """The run of a profile of a project file. Raises ErgoError as ``plan_run``."""
    plan = plan_run(RunRequest(flags))
    profile = plan.found.profile
    assert profile is not None
    explicit = profile.project.profiles[profile.name].capture_output is not None
    return Planned(plan, KeepRequest(), profile.capture if explicit else None, profile.pretty, profile.embed)


def _source(ingress: Ingress) -> EventSource:
    match ingress:
        case Fixture(path):
            return EventFile(str(path))
        case Process(command):
            return Driver(tuple(command), None)
        case Items():
            return event_lines(ingress)
        case _:
            assert_never(ingress)
