"""Which manifests may be registered: every rule of spec 20 §4.2, all breaches at once."""

from __future__ import annotations

from collections.abc import Container, Sequence

from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.manifest import (
    ActionManifest,
    ComputeManifest,
    Manifest,
    SourceManifest,
    TriggerManifest,
)
from ergo_cli.programs.graph.registration.action import ACTION_RULES
from ergo_cli.programs.graph.registration.common import FAMILY, duplicate_id
from ergo_cli.programs.graph.registration.compute import COMPUTE_RULES, compute_shape
from ergo_cli.programs.graph.registration.source import SOURCE_RULES
from ergo_cli.programs.graph.registration.trigger import TRIGGER_RULES

__all__ = ["check", "compute_shape", "registration_failed"]


def check(manifest: Manifest, registered: Container[str] = ()) -> list[RuleError]:
    """Every broken rule in rule order; the first is the headline. ``registered`` are the ids that are taken."""
    match manifest:
        case SourceManifest():
            errors = [error for rule in SOURCE_RULES for error in rule(manifest)]
        case ComputeManifest():
            errors = [error for rule in COMPUTE_RULES for error in rule(manifest)]
        case TriggerManifest():
            errors = [error for rule in TRIGGER_RULES for error in rule(manifest)]
        case ActionManifest():
            errors = [error for rule in ACTION_RULES for error in rule(manifest)]
    return [*errors, duplicate_id(manifest)] if manifest.id in registered else errors


def registration_failed(errors: Sequence[RuleError]) -> RuleError:
    """The error to raise: the first of ``errors``, its message naming the family, with the others as its causes."""
    first, *others = errors
    family = FAMILY[first.code.partition("-")[0]].value.lower()
    return RuleError(
        first.code,
        f"{family} registration failed: {first.message}",
        phase=first.phase,
        path=first.path,
        where=first.where,
        fix=first.fix,
        details=first.details,
        causes=others,
    )
