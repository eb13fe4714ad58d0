"""The option of ``replay`` and ``diff`` that says which differences fail; apart, as other commands need no levels."""

from __future__ import annotations

from typing import Annotated

import typer

from ergo_cli.core.levels import FailOn

FailOnOption = Annotated[
    FailOn,
    typer.Option("--fail-on", help="Which differences give exit code 1: decisions, evidence of them too, or any."),
]
