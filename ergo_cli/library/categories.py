"""Which category a fault has in the families of the library (spec 30 §27)."""

from __future__ import annotations

from ergo_cli.errors import (
    AdapterError,
    BundleError,
    CaptureWriteError,
    EgressError,
    ErgoError,
    EventError,
    ProgramError,
    ProjectError,
    ReplayError,
    StepError,
    UsageError,
)

UNSUPPORTED = "unsupported_operation"
NO_PROJECT = "project_not_configured"
PROJECT_CONFIG = "project_config"
EMPTY_COMMAND = "process_command_empty"
SOURCE_CONFLICT = "project_source_conflict"

_OWN = (UNSUPPORTED, NO_PROJECT, PROJECT_CONFIG, EMPTY_COMMAND)
_CONFIG = {
    "PRJ-PROFILE": "profile_not_found",
    "PRJ-INVALID": PROJECT_CONFIG,
    "cli.egress_config_read_failed": "egress_config_read",
    "cli.egress_config_parse_failed": "egress_config_parse",
}
_STAGES = {
    "adapter.required_for_graph": "adapter_required",
    "adapter.production_requires_adapter": "adapter_required",
    "graph.load_failed": "graph_load",
    "egress.start_failed": "egress_startup",
    "host.configuration_invalid": "egress_validation",
}
_STEPS = {
    "DuplicateEventId": "input",
    "MissingSemanticKind": "input",
    "MissingPayload": "input",
    "PayloadMustBeObject": "input",
    "UnknownSemanticKind": "input",
    "Binding": "binding",
    "EventBuild": "event_build",
    "LifecycleViolation": "lifecycle",
    "EffectApply": "effect_apply",
    "HandlerCoverage": "handler_coverage",
    "EgressValidation": "egress_validation",
    "EgressProcess": "egress_process",
    "EgressDispatchFailure": "egress_dispatch",
}
_REPLAYS = {
    "replay.event_rehydrate_failed": "capture_parse",
    "replay.external_effect_kind_unrepresentable": "replay_ownership",
    "replay.graph_id_mismatch": "replay_mismatch",
    "replay.decision_mismatch": "replay_mismatch",
    "replay.effect_mismatch": "replay_mismatch",
    "replay.journal_mismatch": "replay_mismatch",
    "replay.host_step_failed": "step",
}


def is_config(error: ErgoError) -> bool:
    """Whether the fault is one of a project, a profile or a configuration."""
    return isinstance(error, ProjectError | UsageError) or error.code in _OWN or error.code in _CONFIG


def config_category(error: ErgoError) -> str:
    """What of a project or a configuration cannot be used."""
    if error.code in _OWN:
        return error.code
    return _CONFIG.get(error.code, "project_load" if isinstance(error, ProjectError) else PROJECT_CONFIG)


def stage_category(error: ErgoError) -> str:
    """The part of a run, from its preparation to its end, that failed (spec 30 §10)."""
    if is_config(error):
        return "config"
    if error.code in _STAGES:
        return _STAGES[error.code]
    match error:
        case AdapterError():
            composed = bool(error.details) and error.details[0].startswith("COMP-")
            return "adapter_composition" if composed else "adapter_setup"
        case ProgramError():
            return "graph_preparation"
        case EventError():
            return "ingress"
        case EgressError():
            return "egress_validation"
        case StepError():
            return "step"
        case CaptureWriteError():
            return "capture"
        case _:
            return "internal"


def step_category(error: StepError | CaptureWriteError) -> str:
    """What was wrong with an event or its step (spec 30 §8); effects that JSON cannot hold cannot be applied."""
    return _STEPS.get(error.name, "internal") if isinstance(error, StepError) else "effect_apply"


def replay_category(error: ErgoError) -> str:
    """The part of a replay that failed; what is behind a set-up that failed tells which part it was."""
    if error.code == "replay.host_setup_failed" and error.causes:
        return replay_category(error.causes[0])
    if error.code in _REPLAYS:
        return _REPLAYS[error.code]
    match error:
        case BundleError():
            return "capture_read" if error.code == "bundle.read_failed" else "capture_parse"
        case ReplayError():
            return "replay_preflight"
        case _:
            return stage_category(error)
