"""Every wire form of the original's pipelines, read and written again; spec 60 §27 C-111.

Texts are compared byte for byte. Where the product writes otherwise on purpose, ``INSTEAD`` names the rule; values of
free members and numbers are then compared as JSON.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ergo_cli.core import wire
from ergo_cli.core.json import decode
from ergo_cli.core.wire import WireError
from ergo_cli.programs.pipeline.causes import (
    AccountingMismatch,
    ContentMismatch,
    ContractCause,
    DeliveryMismatch,
    Divergence,
    Other,
    OtherCause,
    SeqDivergence,
    ViolationCause,
    cause_label,
    cause_text,
    violation,
)
from ergo_cli.programs.pipeline.chain_events import ChainEvent, Data
from ergo_cli.programs.pipeline.clocks import VectorClock
from ergo_cli.programs.pipeline.contract_results import ContractVerdict
from ergo_cli.programs.pipeline.ids import EventId, FlowId, IdError, StageId, SystemId, WriterId
from ergo_cli.programs.pipeline.observations import Observation
from ergo_cli.programs.pipeline.receipts import Receipt
from ergo_cli.programs.pipeline.run_manifest import RunManifest
from ergo_cli.programs.pipeline.signals import Eof, Signal
from ergo_cli.programs.pipeline.status import Error, ErrorKind, Status
from ergo_cli.programs.pipeline.system_events import SystemEvent, read_system_event

CASES: list[Any] = json.loads((Path(__file__).parent / "data" / "spec60" / "events_wire.json").read_text())
KINDS: dict[str, Any] = {
    "cause_contract": ContractCause,
    "cause_event": ViolationCause,
    "chain": ChainEvent,
    "contract_result": ContractVerdict,
    "delivery": Receipt,
    "event_id": EventId,
    "flow_control": Signal,
    "manifest": RunManifest,
    "observability": Observation,
    "status": Status,
    "system": SystemEvent,
    "vector_clock": VectorClock,
    "writer_id": WriterId,
}
TEXT_IDS = {"stage_id_str": StageId, "system_id_str": SystemId, "flow_id_str": FlowId}
SORTED = "00 §13.3: the members of free values ascend"
NUMBERS = "§28, JSON: numbers as spec 11 writes them"
INSTEAD = {
    "cause_event divergence 1e16": NUMBERS,
    "chain payload 1e300": NUMBERS,
    "chain payload too big int": NUMBERS,
    "observability 11": SORTED,
    "observability 13": SORTED,
    "system middleware_lifecycle  59": SORTED,
}
TOO_LARGE = "8Z"
"""First characters of ids that stand for more than 128 bits: refused, where the original cuts them off (§28, 2.1)."""


def cases(*types: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in CASES if case["type"] in types]


def read(case: Any) -> Any:
    value = decode(case["input"].encode())
    return read_system_event(value) if case["type"] == "system" else wire.read(value, KINDS[case["type"]])


@pytest.mark.parametrize("case", cases(*KINDS))
def test_c60_111_a_form_is_that_of_the_original(case: Any) -> None:
    if "error" in case:
        with pytest.raises(WireError):
            read(case)
        return
    record = read(case)
    text = wire.write(record, KINDS[case["type"]]).decode()
    if case["name"] in INSTEAD:
        assert text != case["json"]
        assert json.loads(text) == json.loads(case["json"])
    else:
        assert text == case["json"]
    assert wire.read(decode(text.encode()), KINDS[case["type"]]) == record
    seen = {
        "event_type_name": lambda: record.type_name,
        "event_type": lambda: record.event_type,
        "is_replayable": lambda: record.is_replayable,
        "label": lambda: cause_label(record),
        "display": lambda: record.display,
    }
    for name in case.keys() & seen.keys():
        assert seen[name]() == case[name], name


@pytest.mark.parametrize("case", cases(*TEXT_IDS))
def test_an_id_in_a_text_is_read_as_by_the_original(case: Any) -> None:
    kind, text = TEXT_IDS[case["type"]], case["input"]
    if "error" in case or text[:1] in tuple(TOO_LARGE):
        with pytest.raises(IdError):
            kind.parse(text)
        return
    identifier = kind.parse(text)
    assert identifier.display == case["display"]
    assert kind.parse(identifier.display) == kind.parse(str(identifier)) == identifier


def test_every_case_is_compared() -> None:
    assert {case["type"] for case in CASES} == KINDS.keys() | TEXT_IDS.keys()
    assert INSTEAD.keys() <= {case["name"] for case in CASES}


SRC, SINK = "01KB3V7Q0W0000000000000SRC", "01KB3V7Q0W000000000000S1NK"


def system(members: str) -> bytes:
    head = '{"id":"01KB3V7Q0W000000000000E010","writer_id":{"type":"System","id":"01KB3V7Q0W0000000000000SYS"},'
    return f'{head}{members},"timestamp":1772640000700}}'.encode()


@pytest.mark.parametrize(
    ("members", "name"),
    [
        ('"system_event_type":"pipeline_lifecycle","pipeline_event":"starting"', "system.pipeline.starting"),
        (
            '"system_event_type":"pipeline_lifecycle","pipeline_event":"ready_for_run","stage_count":2',
            "system.pipeline.ready_for_run",
        ),
        (
            '"system_event_type":"pipeline_lifecycle","pipeline_event":"stop_requested","mode":"graceful",'
            '"timeout_ms":3000',
            "system.pipeline.stop_requested",
        ),
        (
            '"system_event_type":"pipeline_lifecycle","pipeline_event":"completed","duration_ms":0,"metrics":'
            '{"events_in_total":3,"events_out_total":3,"errors_total":0}',
            "system.pipeline.completed",
        ),
        (
            f'"system_event_type":"contract_status","upstream":"{SRC}","reader":"{SINK}","selected_event_type":"d",'
            '"feed_role":"input","pass":true,"reader_seq":3,"advertised_writer_seq":3',
            "system.contract.pass",
        ),
        (
            f'"system_event_type":"contract_result","upstream":"{SRC}","reader":"{SINK}","contract_name":'
            '"TransportContract","status":"failed","cause":"seq_divergence","reader_seq":1,"advertised_writer_seq":3',
            "system.contract.result.failed",
        ),
        (
            '"system_event_type":"metrics_coordination","metrics_event":"exported","watermark":{"clocks":{"w":1}}',
            "system.metrics.exported",
        ),
        (
            f'"system_event_type":"edge_liveness","upstream":"{SRC}","reader":"{SINK}","state":"stalled",'
            '"idle_ms":2000,"last_reader_seq":1,"last_event_id":"01KB3V7Q0W000000000000E001"',
            "system.edge.liveness",
        ),
    ],
    ids=lambda each: each if each.startswith("system.") else None,
)
def test_c60_111_system_events_of_the_specification(members: str, name: str) -> None:
    text = system(members)
    event = read_system_event(decode(text))
    assert event is not None
    assert event.type_name == name
    assert wire.encode(event) == text


@pytest.mark.parametrize(
    "members",
    [
        '"system_event_type":"weather","pressure":1013',
        f'"system_event_type":"stage_lifecycle","stage_id":"{SRC}","lifecycle_event":"snoozing"',
        '"system_event_type":"pipeline_lifecycle","pipeline_event":"snoozing"',
        '"system_event_type":"replay_lifecycle","replay_event":"snoozing"',
        '"system_event_type":"metrics_coordination","metrics_event":"snoozing"',
    ],
)
def test_a_system_event_with_an_unknown_tag_is_passed_over(members: str) -> None:
    assert read_system_event(decode(system(members))) is None


@pytest.mark.parametrize("members", ['"event":1', '"system_event_type":5', '"system_event_type":"stage_lifecycle"'])
def test_a_system_event_without_its_tags_is_refused(members: str) -> None:
    with pytest.raises(WireError):
        read_system_event(decode(system(members)))


SIGNALS = [
    '{"flow_control_type":"eof","natural":true,"timestamp":0}',
    f'{{"flow_control_type":"watermark","timestamp":5,"stage_id":"{SRC}"}}',
    '{"flow_control_type":"checkpoint","id":"c","metadata":{"a":1,"b":[null]}}',
    '{"flow_control_type":"pipeline_abort","reason":{"violation_type":"other","details":"x"}}',
    f'{{"flow_control_type":"source_contract","expected_count":3,"source_id":"{SRC}","route":"r","journal_path":"p",'
    '"journal_index":0,"writer_seq":3,"vector_clock":{"clocks":{}}}',
    '{"flow_control_type":"consumption_progress","reader_seq":1,"last_event_id":"01KB3V7Q0W000000000000E001",'
    '"vector_clock":{"clocks":{"w":1}},"eof_seen":true,"reader_path":"p","reader_index":0,"advertised_writer_seq":1,'
    '"advertised_vector_clock":{"clocks":{"w":1}},"stalled_since":9}',
    '{"flow_control_type":"consumption_final","pass":true,"consumed_count":3,"eof_seen":true,"reader_seq":3}',
    f'{{"flow_control_type":"reader_stalled","upstream":"{SRC}","stalled_since":9}}',
    f'{{"flow_control_type":"at_least_once_violation","upstream":"{SRC}","reason":{{"violation_type":"gap_detected",'
    '"details":{"from":2,"to":3}},"reader_seq":1,"advertised_writer_seq":3}',
]


@pytest.mark.parametrize("text", SIGNALS, ids=lambda text: text[22:40])
def test_c60_111_signals_of_the_specification(text: str) -> None:
    signal = wire.read(decode(text.encode()), Signal)
    assert wire.encode(signal).decode() == text


def test_c60_111_an_end_of_data_without_a_time_is_read() -> None:
    assert wire.read({"flow_control_type": "eof", "natural": True}, Signal) == Eof(natural=True, timestamp=0)


@pytest.mark.parametrize(
    ("cause", "event"),
    [
        (SeqDivergence(3, 1), SeqDivergence(3, 1)),
        (Divergence("cycle_depth", 31.0, 30.0), Divergence("cycle_depth", 31.0, 30.0)),
        (ContentMismatch(()), OtherCause("content_mismatch")),
        (DeliveryMismatch(1, 0), OtherCause("delivery_mismatch")),
        (AccountingMismatch(5, 4), OtherCause("accounting_mismatch")),
        (Other("user_stop"), OtherCause("user_stop")),
    ],
)
def test_a_cause_of_a_contract_becomes_one_of_an_event(cause: ContractCause, event: ViolationCause) -> None:
    assert violation(cause) == event


def test_a_cause_is_shown_as_its_json() -> None:
    assert cause_text(SeqDivergence(None, 1)) == (
        '{"violation_type":"seq_divergence","details":{"advertised":null,"reader":1}}'
    )


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_error_kinds_are_written_by_their_names(kind: ErrorKind) -> None:
    text = wire.encode(Error("m", kind))
    assert wire.decode(text, Status) == Error("m", kind)  # type: ignore[arg-type]
    assert json.loads(text)["Error"]["kind"] == kind.value


def test_a_payload_keeps_integers_of_64_bits() -> None:
    data = Data("d", [2**64 - 1, -(2**63), 1.0])
    assert wire.encode(data) == (
        b'{"content_type":"data","event_type":"d","payload":[18446744073709551615,-9223372036854775808,1.0]}'
    )
