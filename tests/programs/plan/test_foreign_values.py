"""Values of handlers and transports that are no plain JSON: what becomes of them, and that no guard is passed by."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec import Struct
from plan_lab import Lab, World

from ergo_cli.programs.plan.context import StagedContext
from ergo_cli.programs.plan.engine import Phase
from ergo_cli.programs.plan.errors import ContextError, IoError, RunError
from ergo_cli.programs.plan.manifest import run_config


class Quote(Struct):
    price: Any


@dataclass
class Offer:
    price: Any


FOREIGN: list[tuple[Any, Any]] = [
    ({"b", "a"}, ["a", "b"]),
    (frozenset({3, 1}), [1, 3]),
    ((1, (2,)), [1, [2]]),
    (Quote({"y", "x"}), {"price": ["x", "y"]}),
    (Offer(5), {"price": 5}),
    ({5: "five"}, {"5": "five"}),
    (b"ab", "YWI="),
]
Keep = Callable[[Any, Any, Any, Any], object]
KEEP: dict[str, Keep] = {
    "write": lambda ctx, io, rec, value: ctx.write("v", {"in": value}),
    "record": lambda ctx, io, rec, value: io.record_value("k", {"in": value}),
    "emit": lambda ctx, io, rec, value: rec.emit("note", {"in": value}),
}


@pytest.mark.parametrize(("value", "plain"), FOREIGN, ids=lambda each: type(each).__name__)
def test_a_context_holds_plain_json(value: Any, plain: Any) -> None:
    context = StagedContext({})
    context.write("k", value)
    assert context.read("k") == plain
    assert context.dump() == {"k": plain}


@pytest.mark.parametrize(("value", "plain"), FOREIGN, ids=lambda each: type(each).__name__)
def test_a_live_answer_is_the_one_that_is_recorded(value: Any, plain: Any) -> None:
    seen: list[Any] = []

    def handle(ctx: Any, io: Any, rec: Any) -> None:
        seen.extend(io.call("test", {}, "k").response for _ in range(2))

    world = World(value)
    Lab(handle, world=world).start()
    assert (seen, len(world.calls)) == ([plain, plain], 1)


HIDDEN = [{1.5}, Quote(1.5), Offer([1.5]), ({1.5},)]
SECRETS = [{"password"}, Quote("bearer x"), Offer({"api_key": 1}), {"seed phrase": {1}}]


@pytest.mark.parametrize("keep", KEEP)
@pytest.mark.parametrize("value", [*HIDDEN, *SECRETS], ids=range(len([*HIDDEN, *SECRETS])))
def test_no_float_and_no_secret_is_hidden_in_them(keep: str, value: Any) -> None:
    lab = Lab(lambda ctx, io, rec: KEEP[keep](ctx, io, rec, value), config=run_config())
    assert lab.start().phase is Phase.FAILED
    expected = (
        {"secrets_detected"}
        if value in SECRETS
        else {
            "context_snapshot_not_canonical",
            "fact_payload_not_canonical",
            "domain_event_invalid",
        }
    )
    assert lab.failure.code in expected
    assert not lab.kept("1.5")
    assert not lab.kept("bearer x")


@pytest.mark.parametrize(
    "value", [object(), {"x": [object()]}, {1, "a"}, 1j], ids=["object", "inside", "set", "complex"]
)
@pytest.mark.parametrize(
    ("keep", "code", "kind"),
    [
        ("write", "plan.context_serialize_failed", ContextError),
        ("record", "plan.fact_payload_not_canonical", IoError),
        ("emit", "plan.domain_event_invalid", RunError),
    ],
)
def test_what_is_no_json_at_all_is_refused(keep: str, code: str, kind: Any, value: Any) -> None:
    refused: list[str] = []

    def handle(ctx: Any, io: Any, rec: Any) -> None:
        with pytest.raises(kind) as caught:
            KEEP[keep](ctx, io, rec, value)
        refused.append(caught.value.code)

    assert Lab(handle, config=run_config()).start().phase is Phase.COMPLETED
    assert refused == [code]


SET = """
from ergo_cli.programs.plan.context import StagedContext
context = StagedContext({})
context.write("k", set("abcdefgh"))
print("".join(context.read("k")))
"""


@pytest.mark.parametrize("seed", ["1", "2"])
def test_a_set_is_kept_the_same_whatever_python_hashes(seed: str) -> None:
    ran = subprocess.run([sys.executable, "-c", SET], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True)
    assert ran.stdout == "abcdefgh\n", ran.stderr
