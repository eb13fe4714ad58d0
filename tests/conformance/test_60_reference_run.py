"""The reference run of spec 60 §25, and the ids and the manifest that §20.1 and §23.2 give for it."""

from __future__ import annotations

import json

from pipeline_flows import Driven, pipeline, signals

from ergo_cli.programs.pipeline.authoring import sink, source
from ergo_cli.programs.pipeline.ids import CountedIds, EventId, FlowId
from ergo_cli.programs.pipeline.program import PipelineProgram
from ergo_cli.programs.pipeline.signals import ConsumptionFinal, ConsumptionProgress, Eof
from ergo_cli.programs.pipeline.system_events import TERMINAL_FACTS, ContractStatus, PipelineLifecycle

PAYLOADS = [{"id": 1}, {"id": 2}, {"id": 3}]

HEALTHY = "system.contract.result"


def reference_program() -> PipelineProgram:
    return pipeline(source("orders_in"), sink("ledger", lambda event: None))


def test_c60_110_the_system_journal_of_the_reference_run() -> None:
    driven = Driven(reference_program()).all(*PAYLOADS)
    assert [name for name in driven.names() if name != HEALTHY] == [
        "system.stage.running",
        "system.pipeline.ready_for_run",
        "system.pipeline.starting",
        "system.pipeline.running",
        "system.stage.running",
        "system.stage.completed",
        *["system.contract.result.passed"] * 3,
        "system.contract.pass",
        "system.stage.completed",
        "system.pipeline.draining",
        "system.pipeline.all_stages_completed",
        "system.pipeline.completed",
        "system.pipeline.drained",
    ]
    assert driven.facts("ledger") == driven.facts("orders_in") == ["running", "completed"]
    assert driven.state == "Drained"


def test_c60_110_what_the_reference_run_says() -> None:
    events = [event.event for event in Driven(reference_program()).all(*PAYLOADS).system()]
    (status,) = [fact for fact in events if isinstance(fact, ContractStatus)]
    assert (status.passed, status.reader_seq, status.advertised_writer_seq) == (True, 3, 3)
    facts = [fact.fact for fact in events if isinstance(fact, PipelineLifecycle)]
    (terminal,) = [fact for fact in facts if isinstance(fact, TERMINAL_FACTS)]
    assert terminal.duration_ms == 0
    metrics = terminal.metrics
    assert metrics is not None
    assert (metrics.events_in_total, metrics.events_out_total, metrics.errors_total) == (3, 3, 0)
    assert [fact.stage_count for fact in facts if hasattr(fact, "stage_count")] == [2, 2]


def test_c60_110_the_data_journals_of_the_reference_run() -> None:
    driven = Driven(reference_program()).all(*PAYLOADS)
    source_events, sink_events = driven.events("orders_in"), driven.events("ledger")
    assert driven.names("orders_in") == [
        "control.source_contract",
        "orders_in",
        "orders_in",
        "orders_in",
        "control.eof",
        "control.consumption_final",
    ]
    (eof,) = signals(source_events, Eof)
    assert (eof.writer_seq, eof.natural) == (3, True)
    names = driven.names("ledger")
    assert names.count("sink.delivery") == 3
    assert names[-1] == "control.consumption_final"
    assert [progress.reader_seq for progress in signals(sink_events, ConsumptionProgress)] == [1, 2, 3, 3]
    (final,) = signals(sink_events, ConsumptionFinal)
    assert (final.passed, final.consumed_count, final.advertised_writer_seq) == (True, 3, 3)
    receipts = [event for event in sink_events if event.event_type == "sink.delivery"]
    consumed = [event.id for event in source_events if event.event_type == "orders_in"]
    assert [receipt.causality.parent_ids[0] for receipt in receipts] == consumed


def test_c60_110_captured_twice_the_same_bytes() -> None:
    first, second = (Driven(reference_program()).all(*PAYLOADS) for _ in range(2))
    assert first.records == second.records
    assert [json.loads(record)["journal"] for record in first.records[:3]] == ["system"] * 3
    labels = {json.loads(record)["journal"] for record in first.records}
    assert labels == {"system", "data:orders_in", "data:ledger"}


def test_no_source_starts_before_the_pipeline_says_so() -> None:
    """The records of the start, up to the last source's contract, are those of a flow that no event has met (§23.1)."""
    driven = Driven(reference_program())
    driven.scheduler.begin()
    names = [(json.loads(record)["journal"], name_of(record)) for record in driven.store.take()]
    assert names == [
        ("system", "running"),
        ("system", "ready_for_run"),
        ("system", "starting"),
        ("system", "running"),
        ("system", "running"),
        ("data:orders_in", "source_contract"),
        ("data:ledger", "source_contract"),
    ]


def name_of(record: bytes) -> str:
    event = json.loads(record)["record"]["event"]
    content = event.get("content", event)
    names = ("flow_control_type", "pipeline_event", "lifecycle_event")
    return next(content[name] for name in names if name in content)


def test_the_ids_of_a_captured_run() -> None:
    ids = CountedIds("orders")
    assert ids.mint(FlowId).display == "flow_1ZE1STVZH6JR1MTYKEYHVHPR1C"
    assert ids.mint(EventId) == "1HF1WV9KQ9TDYNQC19AYE6ST4S"
    driven = Driven(reference_program()).all(*PAYLOADS)
    assert driven.flow.id.display == "flow_1ZE1STVZH6JR1MTYKEYHVHPR1C"
    assert driven.system()[0].id == "1HF1WV9KQ9TDYNQC19AYE6ST4S"
    correlated = [event for event in driven.events("orders_in") if event.event_type == "orders_in"]
    assert [event.correlation_id for event in correlated] == [event.id for event in correlated]


def test_the_manifest_of_the_reference_run() -> None:
    """The text of §20.1, whose stage ids are left open there."""
    manifest = json.loads(reference_program().manifest(reference_program().flow_id()))
    ids = {name: stage.pop("stage_id") for name, stage in manifest["stages"].items()}
    flow = Driven(reference_program()).flow
    assert ids == {stage.name: stage.id.display for stage in flow.topology.stages}
    assert manifest == {
        "edges": [{"from": "orders_in", "kind": "forward", "to": "ledger"}],
        "effects": {},
        "flow_id": "flow_1ZE1STVZH6JR1MTYKEYHVHPR1C",
        "flow_name": "orders",
        "manifest_version": "ergo-pipeline/1",
        "settings": {"shutdown_timeout_ms": 30000, "source_contract": "abort"},
        "stages": {
            "ledger": {
                "inbound": ["orders_in"],
                "ordered_delivery": True,
                "stage_logic_version": "1",
                "stage_type": "Sink",
            },
            "orders_in": {
                "inbound": [],
                "ordered_delivery": True,
                "stage_logic_version": "1",
                "stage_type": "FiniteSource",
            },
        },
    }
