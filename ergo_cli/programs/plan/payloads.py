"""The bytes of recorded answers: what may be stored, and how it is read back (spec 50 §12)."""

from __future__ import annotations

from collections.abc import Set

from ergo_cli.core.json import JsonError, NotCanonicalError, decode
from ergo_cli.core.wire import FreeValue
from ergo_cli.programs.plan.canonical import SecretsNotAllowed, canonical_json, refusal
from ergo_cli.programs.plan.errors import ErrorCategory, StorageError, io_failed
from ergo_cli.programs.plan.stream import Artifacts
from ergo_cli.stores.artifacts import artifact_id


def payload_text(value: FreeValue, allowed: Set[str] = frozenset(), *, what: str = "the answer") -> bytes:
    """The text of an answer, or of ``what`` else is recorded.

    Raises IoError ``plan.secrets_detected`` and ``plan.fact_payload_not_canonical``, with the place.
    """
    try:
        return canonical_json(value, allowed)
    except SecretsNotAllowed as error:
        raise io_failed("secrets_detected", f"{what} is not recorded: {refusal(error)}") from error
    except NotCanonicalError as error:
        message = f"{what} is not recorded: {refusal(error)}"
        raise io_failed("fact_payload_not_canonical", message, ErrorCategory.PARSING_INPUT) from error


def question(namespace: str, request: FreeValue, allowed: Set[str] = frozenset()) -> FreeValue:
    """What a binding says about its call, so that a replay notices another question; empty where it cannot be said."""
    try:
        return {"namespace": namespace, "request_sha256": artifact_id(canonical_json(request, allowed))}
    except (SecretsNotAllowed, NotCanonicalError):
        return {}


def stored_value(artifacts: Artifacts, artifact: str) -> FreeValue:
    """The recorded answer. Raises IoError ``plan.fact_payload_get_failed`` and ``plan.fact_payload_decode_failed``."""
    try:
        return decode(stored_bytes(artifacts, artifact))
    except JsonError as error:
        message = f"the recorded answer {artifact} is not JSON: {error}"
        raise io_failed("fact_payload_decode_failed", message, ErrorCategory.PARSING_INPUT) from error


def stored_bytes(artifacts: Artifacts, artifact: str) -> bytes:
    """The bytes of a recorded answer. Raises IoError ``plan.fact_payload_get_failed``."""
    try:
        return artifacts.get(artifact)
    except StorageError as error:
        raise io_failed("fact_payload_get_failed", error.message, ErrorCategory.STORAGE) from error


def stored_time(artifacts: Artifacts, artifact: str) -> int:
    """A recorded time. Raises IoError ``plan.fact_payload_invalid`` if it is not an unsigned integer."""
    value = stored_value(artifacts, artifact)
    if type(value) is not int or value < 0:
        message = f"the recorded time {artifact} is not an unsigned integer"
        raise io_failed("fact_payload_invalid", message, ErrorCategory.PARSING_INPUT)
    return value
