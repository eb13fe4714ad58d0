"""The sample flow: a project whose graph emits one ``publish_sample`` intent an event."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from ergo_cli.programs.graph.check.catalog import build_inventory
from ergo_cli.project.loading import LoadedProgram, load_program_from_files
from tests.channels.egress_channels import PROGRAMS
from tests.channels.sample_flow import sample_primitives
from tests.support.events import event_lines

SAMPLE_FLOW = Path(__file__).parent / "sample_flow"
KIND = "publish_sample"
READY = f"ready:{KIND}"
FIRST_INTENT = "eid1:sha256:27649f7dbd98654a09dc5dd7ab3685ff6af23633efa1abf35dfcc0083009fcca"
"""The id of the intent of the project's own first event."""


def sample_program(adapter: Path = SAMPLE_FLOW / "adapters" / "sample.yaml") -> LoadedProgram:
    """The project's program, with its own adapter or another."""
    inventory = build_inventory([sample_primitives.sample_text, sample_primitives.publish_sample_action])
    return load_program_from_files(
        SAMPLE_FLOW / "graphs" / "strategy.yaml", (SAMPLE_FLOW / "clusters",), adapter, inventory
    )


def sample_project(folder: Path, *steps: str, ack_timeout: str = "60s") -> Path:
    """A copy of the project below ``folder``; with ``steps`` its channel is the scripted one, under the same command.

    Whatever the channel is told it keeps in ``outbox.jsonl``.
    """
    project = folder / "sample"
    shutil.copytree(SAMPLE_FLOW, project, ignore=shutil.ignore_patterns("__pycache__"))
    if steps:
        program, argv = str(PROGRAMS / "egress_scripted.py"), ["", "outbox.jsonl", *steps]
        stub = f"import runpy, sys\nsys.argv = {argv!r}\nrunpy.run_path({program!r}, run_name='__main__')\n"
        (project / "channels" / "egress" / "sample_outbox.py").write_text(stub)
    config = project / "egress" / "live.toml"
    config.write_text(config.read_text().replace('"5s"', f'"{ack_timeout}"'))
    return project


def send(project: Path, **messages: str) -> None:
    """Give the project these events: ids and what they say."""
    events = [
        {"type": "Command", "id": id_, "semantic_kind": "sample_event", "payload": {"message": message}}
        for id_, message in messages.items()
    ]
    text = event_lines(events)
    (project / "fixtures" / "historical.jsonl").write_text(text)


def add_route(project: Path, kind: str, channel: str = "sample_outbox") -> None:
    """Route one more kind."""
    with (project / "egress" / "live.toml").open("a") as config:
        config.write(f'\n[routes.{kind}]\nchannel = "{channel}"\n')


def told(project: Path) -> list[str]:
    """The types of the frames that the channel read."""
    outbox = project / "outbox.jsonl"
    return [json.loads(line)["type"] for line in outbox.read_text().splitlines()] if outbox.exists() else []
