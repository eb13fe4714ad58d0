"""Map errors to the categories of the library's error classes (spec 30 §27)."""

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
    StoreError,
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
    "cli.export_write_failed": PROJECT_CONFIG,
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
    """Whether the error concerns a project, a profile or a configuration."""
    return isinstance(error, ProjectError | UsageError) or error.code in _OWN or error.code in _CONFIG


def config_category(error: ErgoError) -> str:
    """The category of a project or configuration error."""
    if error.code in _OWN:
        return error.code
    return _CONFIG.get(error.code, "project_load" if isinstance(error, ProjectError) else PROJECT_CONFIG)


def stage_category(error: ErgoError) -> str:
    """The category of a run's error: the stage that failed, from preparation to end (spec 30 §10)."""
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
    """The category of a step's error (spec 30 §8); ``effect_apply`` for effects that JSON cannot hold."""
    return _STEPS.get(error.name, "internal") if isinstance(error, StepError) else "effect_apply"


def kept_run_category(error: ErgoError) -> str:
    """The category of an error on a kept run; ``run`` if the run itself refuses the operation."""
    if is_config(error):
        return "config"
    match error:
        case StoreError():
            return "store"
        case ProgramError():
            return "program"
        case _:
            return "run"


def replay_category(error: ErgoError) -> str:
    """The category of a replay's error; for a failed set-up, that of its first cause."""
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
