"""Names that stand for the value of a parameter (spec 20 §4.1)."""

from __future__ import annotations

from collections.abc import Mapping

from ergo_cli.programs.graph.parameters import ParameterType, ParameterValue


def name_or_parameter(name: str, parameters: Mapping[str, ParameterValue]) -> str | None:
    """The name itself, or for ``$p`` the value of the String parameter ``p``; None where there is none."""
    if not name.startswith("$"):
        return name
    match parameters.get(name[1:]):
        case ParameterValue(type=ParameterType.STRING, value=str() as key):
            return key
        case _:
            return None
