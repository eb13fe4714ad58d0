"""The pipeline that the bench measures: a source, three transforms, a sink; a copy of this file is run by processes."""

from __future__ import annotations

from typing import cast

from ergo_cli.programs.pipeline import Event, PipelineProgram, sink, source, transform


def admit(payload: dict[str, int]) -> list[Event]:
    """One event for each number."""
    return [Event("number", payload)]


def add_one(event: Event) -> list[Event]:
    """The next number."""
    number = cast("dict[str, int]", event.payload)["n"]
    return [Event("number", {"n": number + 1})]


def take(event: Event) -> None:
    """Take the number."""


program = PipelineProgram(
    "bench",
    stages=(
        source("numbers", admit),
        transform("first", add_one),
        transform("second", add_one),
        transform("third", add_one),
        sink("end", take),
    ),
    edges=(("numbers", "first"), ("first", "second"), ("second", "third"), ("third", "end")),
)
