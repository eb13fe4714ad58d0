"""What handlers raise and give that no record can hold: their stage fails, and every record can be read back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from pipeline_flows import pipeline
from test_pipeline_invoker import Episodes

from ergo_cli.programs.pipeline import Delivery, EffectFailed, Event, HandlerError, sink, source, stateful, transform
from ergo_cli.programs.pipeline.authoring import EOF, StrictMiss
from ergo_cli.programs.pipeline.effects import EffectType
from ergo_cli.programs.pipeline.receipts import Delivered
from ergo_cli.programs.pipeline.recorded import JournalRecord
from ergo_cli.programs.pipeline.signals import Watermark
from ergo_cli.programs.pipeline.status import Error
from ergo_cli.supervisor.seam import ErrKind, Failed, Outcome

BROKEN = Failed(ErrKind.SEMANTIC_ERROR)
WRONG: Any = 5
SURROGATE = "\ud800"


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def raising(error: BaseException) -> Callable[..., Any]:
    def handler(_given: object, _call: object = None) -> Any:
        raise error

    return handler


async def cancelled(_event: object) -> Any:
    raise asyncio.CancelledError


class Silent(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


class Undecided:
    def __bool__(self) -> bool:
        raise ValueError("perhaps")


def undecided(_state: object) -> Any:
    return Undecided()


def ended(*stages: Any, **options: Any) -> tuple[Any, list[Any]]:
    """How the episode of one event ended, and its events; each of its records is read back to the same text."""
    episodes = Episodes(pipeline(*stages, **options))
    termination = episodes.run({"n": 1})
    records = episodes.entries[-1][1:-1]
    for record in records:
        text = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()
        assert JournalRecord.of(text).text == text
    return termination, [record["record"]["event"] for record in records]


def failures(events: list[Any]) -> list[str]:
    return [event["error"] for event in events if event.get("lifecycle_event") == "failed"]


@pytest.mark.parametrize(
    ("output", "named"),
    [
        (Event(WRONG), "an event whose type is int, not a text"),
        (Event(SURROGATE), "lone surrogate"),
        (Event("o", {SURROGATE: 1}), "lone surrogate"),
        (Event("o", nested(126)), "nesting deeper than 127 levels"),
        (Event("o", status=WRONG), "an event whose status is wrong"),
        (Event("o", status=Error(WRONG)), "an event whose status is wrong"),
        (Event("obzenflow.effect_record.v1", {}), "which effects alone write"),
        (Watermark(timestamp=WRONG, stage_id=WRONG), "a Watermark that is wrong"),
        (Watermark(timestamp=10**30), "a Watermark that is wrong"),
        (StrictMiss(float("nan")), "a StrictMiss whose key is no JSON"),
        (EOF(WRONG), "an EOF whose member natural is no bool"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_an_output_that_cannot_be_recorded_fails_its_stage(output: Any, named: str) -> None:
    for made in (
        (source("s", lambda _payload: [output]), sink("k", lambda _event: None)),
        (source("s"), transform("t", lambda _event: [output]), sink("k", lambda _event: None)),
    ):
        termination, events = ended(*made)
        (failure,) = failures(events)
        assert (termination, named in failure) == (BROKEN, True), failure


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (ValueError(f"a {SURROGATE}"), "ValueError: a \\ud800"),
        (Silent(), "raised Silent"),
        (asyncio.CancelledError(), "cancelled itself"),
    ],
    ids=repr,
)
def test_any_exception_fails_its_stage(error: BaseException, named: str) -> None:
    for made in (
        (source("s", raising(error)), sink("k", lambda _event: None)),
        (source("s"), sink("k", raising(error))),
    ):
        termination, events = ended(*made)
        (failure,) = failures(events)
        assert (termination, named in failure) == (BROKEN, True), failure


def test_an_async_handler_that_cancels_itself_fails_its_stage() -> None:
    termination, events = ended(source("s"), sink("k", cancelled))
    assert (termination, "cancelled itself" in failures(events)[0]) == (BROKEN, True)


@pytest.mark.parametrize(("message", "shown"), [(SURROGATE, "\\ud800"), (WRONG, "5")])
def test_a_handler_error_is_recorded_whatever_its_message(message: Any, shown: str) -> None:
    """The input goes where the kind of the error sends it."""
    error = HandlerError(message, "Domain")
    termination, events = ended(source("s"), transform("t", raising(error)), sink("k", lambda _event: None))
    assert termination is Outcome.COMPLETED
    assert shown in json.dumps([event["processing_info"]["status"] for event in events if "content" in event])


@pytest.mark.parametrize(
    "delivery",
    [
        Delivery(WRONG),
        Delivery(method=WRONG),
        Delivery(bytes_processed=-1),
        Delivery(bytes_processed=2**70),
        Delivery(Delivered(SURROGATE)),
    ],
    ids=str,
)
def test_a_receipt_that_cannot_be_recorded_fails_its_sink(delivery: Delivery) -> None:
    termination, events = ended(source("s"), sink("k", lambda _event: delivery))
    (failure,) = failures(events)
    assert (termination, "a Delivery that is wrong" in failure) == (BROKEN, True), failure


def test_a_decision_without_truth_fails_its_stage() -> None:
    gather = stateful("t", int, lambda n, _event: n + 1, lambda n: [Event("n", n)], should_emit=undecided)
    termination, events = ended(source("s"), gather, sink("k", lambda _event: None))
    assert (termination, "should_emit gave Undecided" in failures(events)[0]) == (BROKEN, True)


@pytest.mark.parametrize(
    ("error", "recorded"),
    [
        (EffectFailed(SURROGATE, SURROGATE), ("\\ud800", "\\ud800")),
        (EffectFailed(WRONG, WRONG), ("5", "5")),
        (SystemExit(4), ("SystemExit", "SystemExit: 4")),
    ],
    ids=repr,
)
def test_a_failure_of_an_executor_is_recorded_whatever_it_says(error: BaseException, recorded: tuple[str, str]) -> None:
    def charge(_event: Event, effects: Any) -> None:
        effects.perform("x", 1)

    termination, events = ended(source("s"), sink("k", charge), effects={"x": EffectType(raising(error))})
    (outcome,) = [
        event["content"]["payload"]["outcome"]
        for event in events
        if event.get("content", {}).get("event_type") == "obzenflow.effect_record.v1"
    ]
    assert termination is Outcome.COMPLETED
    assert (outcome["error_type"], outcome["error_message"]) == recorded


@pytest.mark.parametrize("part", ["key", "label"])
def test_a_key_that_cannot_be_written_performs_nothing(part: str) -> None:
    def charge(_event: Event, effects: Any) -> None:
        effects.perform("x", 1, **{part: SURROGATE})

    performed: list[object] = []
    effect = EffectType(lambda given, call: performed.append(given))
    termination, events = ended(source("s"), sink("k", charge), effects={"x": effect})
    assert (termination, performed) == (BROKEN, [])
    assert "holds a lone surrogate" in failures(events)[0]


def test_a_handler_without_a_hash_is_called() -> None:
    class Handler:
        __hash__ = None  # type: ignore[assignment]

        def __call__(self, event: Event) -> list[Event]:
            return [event]

    termination, events = ended(source("s"), transform("t", Handler()), sink("k", lambda _event: None))
    assert (termination, failures(events)) == (Outcome.COMPLETED, [])
