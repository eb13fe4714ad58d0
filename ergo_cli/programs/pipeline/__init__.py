"""Pipelines: stages that read each other's journals, driven by a supervisor to a terminal fact (spec 60).

The names below are what a user's program is written with.
"""

from __future__ import annotations

from ergo_cli.programs.pipeline.archive import Archive, open_archive
from ergo_cli.programs.pipeline.archive_export import export_archive
from ergo_cli.programs.pipeline.asyncio_driver.handle import FlowFailed, FlowHandle
from ergo_cli.programs.pipeline.asyncio_driver.launch import launch
from ergo_cli.programs.pipeline.authoring import (
    EOF,
    Delivery,
    Event,
    HandlerError,
    StrictMiss,
    inner,
    join,
    left,
    sink,
    source,
    stateful,
    strict,
    transform,
)
from ergo_cli.programs.pipeline.control import RunOutcome
from ergo_cli.programs.pipeline.effects import EffectCall, EffectFailed, Effects, EffectType, Safety
from ergo_cli.programs.pipeline.ids import TimedIds
from ergo_cli.programs.pipeline.program import PipelineProgram
from ergo_cli.programs.pipeline.receipts import NOOP, Delivered, DeliveryMethod, NotDelivered, PartlyDelivered
from ergo_cli.programs.pipeline.settings import PipelineSettings
from ergo_cli.programs.pipeline.signals import Checkpoint, Drain, Watermark
from ergo_cli.programs.pipeline.status import ErrorKind

__all__ = [
    "EOF",
    "NOOP",
    "Archive",
    "Checkpoint",
    "Delivered",
    "Delivery",
    "DeliveryMethod",
    "Drain",
    "EffectCall",
    "EffectFailed",
    "EffectType",
    "Effects",
    "ErrorKind",
    "Event",
    "FlowFailed",
    "FlowHandle",
    "HandlerError",
    "NotDelivered",
    "PartlyDelivered",
    "PipelineProgram",
    "PipelineSettings",
    "RunOutcome",
    "Safety",
    "StrictMiss",
    "TimedIds",
    "Watermark",
    "export_archive",
    "inner",
    "join",
    "launch",
    "left",
    "open_archive",
    "sink",
    "source",
    "stateful",
    "strict",
    "transform",
]
