"""Resumable execution plans: states run one attempt at a time, every step in a stream (spec 50).

The names below are what a user's program is written with.
"""

from __future__ import annotations

from ergo_cli.programs.plan.children import await_child, spawn_child
from ergo_cli.programs.plan.context import Context
from ergo_cli.programs.plan.errors import ErrorCategory, IoError, RunError, StateError, transport_failed
from ergo_cli.programs.plan.events import DomainEvent
from ergo_cli.programs.plan.facts import FactIo, IoCall, IoResult, Transport
from ergo_cli.programs.plan.manifest import (
    Build,
    Delay,
    Exponential,
    FanOutJoin,
    Fixed,
    Minimal,
    Normal,
    RetryPolicy,
    RunConfig,
    run_config,
)
from ergo_cli.programs.plan.operations import Operation, Pipeline, PipelineStep, Ports, Registry, StateGraph
from ergo_cli.programs.plan.program import PlanProgram, decimal_text
from ergo_cli.programs.plan.recorder import Recorder
from ergo_cli.programs.plan.states import SideEffects, State, StateMeta, StateOutcome
from ergo_cli.programs.plan.transports import TransportEnv

__all__ = [
    "Build",
    "Context",
    "Delay",
    "DomainEvent",
    "ErrorCategory",
    "Exponential",
    "FactIo",
    "FanOutJoin",
    "Fixed",
    "IoCall",
    "IoError",
    "IoResult",
    "Minimal",
    "Normal",
    "Operation",
    "Pipeline",
    "PipelineStep",
    "PlanProgram",
    "Ports",
    "Recorder",
    "Registry",
    "RetryPolicy",
    "RunConfig",
    "RunError",
    "SideEffects",
    "State",
    "StateError",
    "StateGraph",
    "StateMeta",
    "StateOutcome",
    "Transport",
    "TransportEnv",
    "await_child",
    "decimal_text",
    "run_config",
    "spawn_child",
    "transport_failed",
]
