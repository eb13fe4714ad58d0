"""What one pass comes to, in a form that two ways of running it can be compared in, to the last detail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.run.compiler import GraphPass
from ergo_cli.programs.graph.run.interpreter import termination_of


def outcome(run: GraphPass, values: Mapping[str, Any], event_id: str = "e1") -> object:
    """The effects, or all that the error says; as texts where a NaN would not equal itself."""
    try:
        return [
            (produced.kind, produced.text, repr(produced.writes), repr(produced.effect))
            for produced in run(values, "graph", event_id)
        ]
    except RuleError as error:
        attributes = {name: found for name, found in vars(error).items() if name != "causes"}
        return (termination_of(error), str(error), repr(attributes), error.causes, repr(error.__cause__))
