"""What handlers raise and give that no record can hold: their stage fails, and every record can be read back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from pipeline_flows import pipeline
from test_pipeline_invoker import Episodes, FullJournal

from ergo_cli.programs.pipeline import Delivery, EffectFailed, Event, HandlerError, sink, source, stateful, transform
from ergo_cli.programs.pipeline.authoring import EOF, StrictMiss
from ergo_cli.programs.pipeline.effects import EffectType, Safety
from ergo_cli.programs.pipeline.errors import PipelineError
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


@pytest.mark.parametrize("output", [Event("o", float("nan")), Event("o", 2**64), Event(SURROGATE)], ids=ascii)
def test_an_output_that_json_cannot_hold_has_a_code_and_its_stage(output: Any) -> None:
    episodes = Episodes(pipeline(source("s"), transform("t", lambda _event: [output]), sink("k", lambda _event: None)))
    assert episodes.run({"n": 1}) == BROKEN
    error = episodes.invoker.last_error
    assert isinstance(error, PipelineError)
    assert (error.code, error.where) == ("pipeline.not_canonical", "stage 't'")


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


def outcomes(events: list[Any]) -> list[Any]:
    return [
        event["content"]["payload"]["outcome"]
        for event in events
        if event.get("content", {}).get("event_type") == "obzenflow.effect_record.v1"
    ]


@pytest.mark.parametrize("output", [nested(126), nested(200), float("nan"), SURROGATE, 2**64, object()], ids=range(6))
@pytest.mark.parametrize("is_careless", [False, True])
def test_an_output_that_no_record_can_hold_is_recorded_as_a_failure(output: Any, is_careless: bool) -> None:
    """It was performed: whatever the handler makes of the failure, a replay must meet it again."""
    performed: list[object] = []

    def execute(given: object, _call: object) -> Any:
        performed.append(given)
        return output

    def charge(_event: Event, effects: Any) -> None:
        try:
            effects.perform("x", 1)
        except Exception:
            if not is_careless:
                raise

    termination, events = ended(source("s"), sink("k", charge), effects={"x": EffectType(execute)})
    (outcome,) = outcomes(events)
    assert (termination, performed) == (Outcome.COMPLETED, [1])
    assert (outcome["outcome"], outcome["error_type"]) == ("failed", "NotCanonicalError")
    (receipt,) = [event for event in events if event.get("content", {}).get("content_type") == "delivery"]
    assert receipt["content"]["result"]["result"] == ("success" if is_careless else "failed")


def test_the_deepest_output_that_a_record_can_hold_succeeds() -> None:
    """An entry's line nests it six levels deep."""

    def charge(_event: Event, effects: Any) -> None:
        assert effects.perform("x", 1) == nested(121)

    for levels, expected in ((121, "succeeded"), (122, "failed")):
        effect = EffectType(lambda _given, _call, levels=levels: nested(levels))
        _, events = ended(source("s"), sink("k", charge), effects={"x": effect})
        (outcome,) = outcomes(events)
        assert outcome["outcome"] == expected


@pytest.mark.parametrize("given", [nested(200), float("nan"), SURROGATE, 2**64, object()], ids=range(5))
def test_an_input_that_is_no_json_is_refused_before_it_is_performed(given: Any) -> None:
    performed: list[object] = []

    def charge(_event: Event, effects: Any) -> None:
        with suppress(Exception):
            effects.perform("x", given)

    effect = EffectType(lambda given, _call: performed.append(given))
    episodes = Episodes(pipeline(source("s"), sink("k", charge), effects={"x": effect}))
    assert (episodes.run({"n": 1}), performed) == (BROKEN, [])
    fault: Any = episodes.invoker.last_error
    assert (fault.code, fault.where) == ("pipeline.not_canonical", "stage 'k' input 0 effect 0")
    assert "the input of 'x' is no JSON" in fault.message
    assert fault.fix


@pytest.mark.parametrize("safety", [Safety.IDEMPOTENT, Safety.NON_IDEMPOTENT_AT_LEAST_ONCE])
def test_no_handler_can_hide_that_its_effects_cannot_be_recorded(safety: Safety) -> None:
    """A store that fails while an effect is recorded fails the call as anywhere else, and no more is performed."""

    def charge(event: Event, effects: Any) -> list[Event]:
        for _ in range(2):
            with suppress(Exception):
                effects.perform("x", event.payload)
        return [event]

    failed = 0
    for room in range(60):
        performed: list[object] = []
        effect = EffectType(lambda given, _call, performed=performed: performed.append(given), safety)
        stages = (source("s"), transform("t", charge), sink("k", lambda _event: None))
        journal = FullJournal(room)
        episodes = Episodes(pipeline(*stages, effects={"x": effect}), journal)
        ends = [episodes.run(n) for n in range(2)]
        if Failed(ErrKind.ADAPTER_UNAVAILABLE) in ends:
            failed += 1
            at = ends.index(Failed(ErrKind.ADAPTER_UNAVAILABLE))
            assert episodes.entries[at][-1]["end"]["error"]["code"] == "store.full"
            kept = [text for run in journal.runs() for _, text in journal.scan(run) if '"outcome":"succeeded"' in text]
            assert len(kept) <= len(performed) <= len(kept) + 1
        else:
            assert ends == [Outcome.COMPLETED] * 2
            assert performed == [0, 0, 1, 1]
    assert failed > 20
