"""Tries of ``ergo shrink`` in which the code of a primitive does not come to an end are given up and counted."""

from __future__ import annotations

from io import BytesIO
from threading import Event

from graph_shorthand import assets, cluster

from ergo_cli.bundle.memory import CaptureBundle
from ergo_cli.bundle.reader import BundleReader
from ergo_cli.bundle.schema import CapturedEffect, DecisionRecord, EventRecord, Header
from ergo_cli.core.json import canonical, decode
from ergo_cli.core.numbers import Numbers
from ergo_cli.events.external import EventKind, ExternalEvent
from ergo_cli.primitives import compute
from ergo_cli.programs.graph.check.catalog import build_inventory
from ergo_cli.programs.graph.kind import load_graph
from ergo_cli.programs.program import AnyProgram
from ergo_cli.replay.engine import IN_MEMORY, Assignment, replay
from ergo_cli.replay.results import ReplayOptions, Target
from ergo_cli.supervisor.seam import Constraints
from ergo_cli.supervisor.supervisor import Decider
from ergo_cli.tools.shrink.bundles import BundleSubject, Way
from ergo_cli.tools.shrink.recording import Recording
from ergo_cli.tools.shrink.search import shrink
from ergo_cli.tools.shrink.tries import Limits, Stop

RELEASED = Event()
PATIENCE_NS = 300_000_000


@compute("patient", "1.0.0")
def patient(price: float) -> float:
    """The price; for a small one it waits until the test is over."""
    if price < 50:
        RELEASED.wait(60)
    return price


INVENTORY = build_inventory([patient])
EDGES = [
    "price.value -> patient.price",
    "patient.result -> above.a",
    "level.value -> above.b",
    "above.result -> enter.input",
    "enter.event -> keep.event",
    "above.result -> keep.value",
]


def program(level: float) -> AnyProgram:
    nodes = {
        "price": ("context_number_source@0.1.0", {"key": "price"}),
        "patient": "patient@1.0.0",
        "level": ("number_source@0.1.0", {"value": level}),
        "above": "gt@0.1.0",
        "enter": "emit_if_true@0.1.0",
        "keep": ("context_set_bool@0.1.0", {"key": "above"}),
    }
    return load_graph(assets(cluster("g", nodes, EDGES)), INVENTORY)


def test_a_try_that_hangs_counts_as_not_failing() -> None:
    recorded, today = program(200.0), program(60.0)
    event = ExternalEvent.with_payload("e1", EventKind.COMMAND, 0, canonical({"price": 100.5}))
    assert recorded.kind.computing is not None
    entry, effects = Decider("g", Constraints(), recorded.kind.computing.invoker(recorded.value)).decide(event)
    decision = DecisionRecord.of(entry, tuple(CapturedEffect.rendered(each.text) for each in effects))
    header = Header("g", Constraints(), recorded.provenance, "adapter:other@1.0.0;sha256:" + "0" * 64)
    bundle = CaptureBundle(header, (EventRecord.of(event),), (decision,))
    assignment = Assignment(Target(today), ReplayOptions(strict=False), lambda: recorded)
    way = Way.of(replay(bundle, lambda _: assignment))
    assert way is not None
    reader = BundleReader(IN_MEMORY, BytesIO(bundle.encode()))
    subject = BundleSubject(Recording(reader, 0, None, Numbers.EXACT), assignment, way, PATIENCE_NS)
    try:
        found = shrink(subject, Limits(), lambda tries: None)
    finally:
        RELEASED.set()
    assert (found.hung, found.stop) == (3, Stop.HUNG)
    [part] = found.stream
    assert decode(part.steps[0].event.payload) == {"price": 100.5}, "without a price, with 0 and with 1 it hangs"
