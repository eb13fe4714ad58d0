"""Projects of pipeline programs for tests: the example, and small ones written on the spot."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.conftest import Ergo, Ran

ORDERS = Path(__file__).parents[2] / "fixtures" / "orders"
KEPT = "captures/morning.json"
BUNDLE = "captures/default.capture.json"
FLOW = "flow_1ZE1STVZH6JR1MTYKEYHVHPR1C"
"""The flow of a program named ``orders`` (spec 60 §23.2)."""
PROJECT = 'name = "n"\nversion = "1"\n[profiles.default]\npipeline = "own:program"\nfixture = "events.jsonl"\n'
PROGRAM = """
from ergo_cli.programs.pipeline import *

{handlers}

program = PipelineProgram("orders", ({stages}), ({edges}), {more})
"""
GONE = "raise RuntimeError('no world')\n"


def orders(folder: Path) -> Path:
    """A copy of the example."""
    return shutil.copytree(ORDERS, folder / "orders", ignore=shutil.ignore_patterns("__pycache__"))


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1, text.count(old)
    file.write_text(text.replace(old, new))


class Home:
    """A project with a program of its own; without ``edges`` each stage reads the one before."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True)
        (root / "ergo.toml").write_text(PROJECT)
        self.events({"n": 1}, {"n": 2}, {"n": 3})

    def events(self, *payloads: Any) -> Home:
        lines = ['{"kind":"episode_start","id":"d"}']
        for number, payload in enumerate(payloads, 1):
            event = {"type": "Command", "id": f"e{number}", "payload": payload}
            lines.append(json.dumps({"kind": "event", "event": event}))
        (self.root / "events.jsonl").write_text("\n".join(lines) + "\n")
        return self

    def program(self, *stages: str, handlers: str = "", edges: str | None = None, more: str = "") -> Home:
        names = [stage.partition('"')[2].partition('"')[0] for stage in stages]
        pairs = list(pairwise(names)) if edges is None else [e.split(">") for e in edges.split()]
        written = " ".join(f"({a!r}, {b!r})," for a, b in pairs)
        text = PROGRAM.format(handlers=handlers, stages=" ".join(f"{s}," for s in stages), edges=written, more=more)
        (self.root / "own.py").write_text(text)
        return self

    def world(self, text: str) -> None:
        (self.root / "world.py").write_text(text)

    def kept(self) -> Any:
        return json.loads((self.root / BUNDLE).read_text())

    def capture(self, ergo: Ergo, *arguments: str, code: int = 0) -> Any:
        """The bundle of a capture."""
        ran = ergo("capture", *arguments, cwd=self.root)
        assert ran.exit_code == code, ran.stdout + ran.stderr
        return self.kept()


def records(entry: Any, journal: str | None = None) -> list[Any]:
    """The events of one journal entry, of one journal or of all, without frames."""
    return [
        record["record"]["event"]
        for record in entry["records"]
        if "journal" in record and journal in (None, record["journal"])
    ]


def data(bundle: Any, journal: str) -> list[tuple[str, Any]]:
    """Type and payload of all data in one journal."""
    return [
        (event["content"]["event_type"], event["content"]["payload"])
        for entry in bundle["journals"]
        for event in records(entry, journal)
        if event["content"]["content_type"] == "data"
    ]


def frames(bundle: Any, name: str) -> list[Any]:
    """The ``begin`` or ``end`` frames of a bundle."""
    return [record[name] for entry in bundle["journals"] for record in entry["records"] if name in record]


def facts(bundle: Any) -> list[str]:
    """The lifecycle of the pipeline, fact by fact."""
    return [
        event["pipeline_event"]
        for entry in bundle["journals"]
        for event in records(entry, "system")
        if event["system_event_type"] == "pipeline_lifecycle"
    ]


def divergences(ran: Ran) -> list[Any]:
    """The divergences of the only bundle of a replay or diff."""
    [bundle] = ran.report["bundles"]
    return bundle["divergences"]
