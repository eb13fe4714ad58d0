"""Errors of plan runs: their recorded forms, and the exceptions that carry them (spec 50 §6).

::

    PlanError             plan.*: one recorded form in ``form``, its information in ``info``
    ├── IoError           a call to the world, a recorded fact
    ├── ContextError      a context or a snapshot of one
    ├── StorageError      the journal or the artifacts
    ├── StateError        what a handler raises to fail its attempt
    └── RunError          the engine cannot go on; it may stand for any of the others
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core import wire
from ergo_cli.core.json import decode
from ergo_cli.core.wire import FreeValue, Variant, Wrapper
from ergo_cli.errors import ErgoError
from ergo_cli.programs.plan.ids import ErrorCode, IdError, StateId, is_segment
from ergo_cli.programs.plan.secrets import is_suspicious, without_names


class ErrorCategory(Enum):
    """What an error is about; the supervisor's kind of failure follows from it."""

    PARSING_INPUT = "ParsingInput"
    ON_CHAIN = "OnChain"
    OFF_CHAIN = "OffChain"
    RPC = "Rpc"
    STORAGE = "Storage"
    CONTEXT = "Context"
    UNKNOWN = "Unknown"


class ErrorInfo(Struct, frozen=True):
    """What happened. ``code`` is a segment, else IdError; ``details`` are JSON and never part of a recorded failure."""

    code: ErrorCode
    category: ErrorCategory
    retryable: bool
    message: str
    details: FreeValue = None

    def __post_init__(self) -> None:
        """Refuse a code that no stream may hold."""
        if not is_segment(self.code):
            raise IdError(f"invalid error code: {self.code}")


class MissingFactKey(Wrapper, frozen=True):
    """A call that must be recorded names no fact."""

    info: ErrorInfo


class MissingFact(Variant, frozen=True):
    """A replay needs a fact that was never recorded."""

    key: str
    info: ErrorInfo


class Transport(Wrapper, frozen=True):
    """The world could not be reached, or answered with an error."""

    info: ErrorInfo


class RateLimited(Wrapper, frozen=True):
    """The world asked to be called less often."""

    info: ErrorInfo


class MissingKey(Variant, frozen=True):
    """A context has no value of this key."""

    key: str
    info: ErrorInfo


class Serialization(Wrapper, frozen=True):
    """A context or a manifest is not what its bytes should hold."""

    info: ErrorInfo


class Concurrency(Wrapper, frozen=True):
    """Another writer appended to the stream."""

    info: ErrorInfo


class NotFound(Wrapper, frozen=True):
    """A stream or an artifact is absent."""

    info: ErrorInfo


class Corruption(Wrapper, frozen=True):
    """A stream or an artifact is damaged."""

    info: ErrorInfo


class Other(Wrapper, frozen=True):
    """Any other error of its family."""

    info: ErrorInfo


class Failure(Struct, frozen=True):
    """A failed attempt: the state that failed, filled in by the engine if null, and why."""

    state_id: StateId | None
    info: ErrorInfo


IoForm = MissingFactKey | MissingFact | Transport | RateLimited | Other
ContextForm = MissingKey | Serialization | Other
StorageForm = Concurrency | NotFound | Corruption | Other


class InvalidPlan(Wrapper, frozen=True):
    """The plan, the manifest or the history breaks the contract of the engine."""

    info: ErrorInfo


class Storage(Wrapper, frozen=True):
    """An error of the stores ended the run."""

    error: StorageForm


class Context(Wrapper, frozen=True):
    """A context that cannot be read or written ended the run."""

    error: ContextForm


class Io(Wrapper, frozen=True):
    """A call ended the run."""

    error: IoForm


class State(Wrapper, frozen=True):
    """A failure ended the run."""

    error: Failure


RunForm = InvalidPlan | Storage | Context | Io | State | Other

_DAMAGED_FIX = "restore the run from a copy, or fork it before this record"
_ID = "1 to 63 characters of a-z, 0-9 and _, the first a letter"

_FIXES = {
    "already_completed": "look at how it ended: ergo runs show; a fork before its end can be resumed",
    "artifact_corruption": "restore the artifact from a copy",
    "artifact_not_found": "restore the artifact from a copy, or name the store that the run was kept in",
    "event_stream_corrupt": _DAMAGED_FIX,
    "invalid_attempt_envelopes": _DAMAGED_FIX,
    "program_invalid": "give the PlanProgram parts of the types that its fields have",
    "invalid_op_id": f"write {_ID}",
    "invalid_state_id": f"write machine.step.state, each part {_ID}",
    "invalid_plan": "mend the states and edges of the plan",
    "handler_unfit": "write a function handle(ctx, io, rec), plain or async, that returns None or a StateOutcome",
    "handler_exception": "mend the handler, or let it raise StateError where its attempt is to fail",
    "unsupported_execution_mode": (
        "write parallel=True and run_config(execution_mode=FanOutJoin(max_concurrency)) for a program, or neither"
    ),
    "manifest_not_canonical": "write integers or texts instead of floats into input_params and build",
    "initial_context_invalid": "let initial_context return a dict",
    "initial_context_failed": "let initial_context take every payload of the stream",
    "op_not_found": "put the child's PlanProgram into the program's `children`",
    "context_snapshot_not_canonical": "write integers, or text such as decimal_text makes it, instead of floats",
    "secrets_detected": "keep credentials out of contexts, facts and events; list harmless names in `allowed_names`",
    "missing_fact_key": "give the call a fact key, so that its answer can be recorded",
    "missing_idempotency_key": "give the state StateMeta(idempotency=Key(…))",
    "io_unimplemented": "name the transport of the namespace in the program's `transports`",
    "io_unknown_namespace": "name the transport of the namespace in the program's `transports`",
    "event_store_concurrency": "another process drives this run: wait until it is done, then resume it",
    "run_not_found": "name the store that the run was kept in",
}


class PlanError(ErgoError):
    """An error with a recorded form; its code is that of ``info`` behind ``plan.``, unless another is given."""

    def __init__(self, form: Any, *, where: str | None = None, fix: str | None = None, code: str | None = None) -> None:
        self.form = form
        info = self.info
        fix = fix or _FIXES.get(info.code, "look at what the message names, then resume the run")
        super().__init__(code or f"plan.{info.code}", info.message, where=where, fix=fix)

    @property
    def info(self) -> ErrorInfo:
        """The innermost information of the form."""
        inner = self.form
        while not isinstance(inner, ErrorInfo):
            inner = inner.info if hasattr(inner, "info") else inner.error
        return inner


class IoError(PlanError):
    """A call failed; ``form`` is an ``IoForm``. Transports raise it, handlers may catch it."""

    form: IoForm


class ContextError(PlanError):
    """A context cannot be read or kept; ``form`` is a ``ContextForm``."""

    form: ContextForm


class StorageError(PlanError):
    """A store refused; ``form`` is a ``StorageForm``."""

    form: StorageForm


class StateError(PlanError):
    """A handler fails its attempt; ``form`` is a ``Failure``."""

    form: Failure

    @classmethod
    def of(
        cls,
        code: str,
        message: str,
        *,
        category: ErrorCategory = ErrorCategory.UNKNOWN,
        retryable: bool = False,
        details: FreeValue = None,
        state_id: str | None = None,
    ) -> StateError:
        """The error of a code and a message; ``retryable`` lets the retry policy try again."""
        return cls(Failure(state_id, ErrorInfo(code, category, retryable, message, details)))


class RunError(PlanError):
    """The engine cannot go on; ``form`` is a ``RunForm``."""

    form: RunForm

    @classmethod
    def of(cls, error: PlanError) -> RunError:
        """The error that ends a run because of ``error``."""
        if isinstance(error, RunError):
            return error
        return cls(_ending(error), where=error.where, fix=error.fix, code=error.code)


def is_store_failure(error: PlanError) -> bool:
    """Whether a store failed."""
    return isinstance(error, StorageError) or isinstance(error.form, Storage)


def in_run(where: str | None, run_id: str, attempt: str | None = None) -> str:
    """A place with the run and the attempt that it belongs to: ``run 'a92c…' m.s.x#0, artifact 5f…``."""
    run = f"run '{run_id}'"
    if where is not None and where.startswith(run):
        names_attempt = attempt is None or f"{attempt.partition('#')[0]}#" in where
        return where if names_attempt else f"{where} {attempt}"
    return ", ".join(filter(None, (" ".join(filter(None, (run, attempt))), where)))


def _ending(error: PlanError) -> RunForm:
    match error:
        case IoError(form=form):
            return Io(form)
        case ContextError(form=form):
            return Context(form)
        case StorageError(form=form):
            return Storage(form)
        case _:
            return State(error.form)


def invalid_plan(code: str, message: str, *, where: str | None = None, details: FreeValue = None) -> RunError:
    """The error for a broken contract: plan, manifest, history."""
    return RunError(InvalidPlan(ErrorInfo(code, ErrorCategory.UNKNOWN, False, message, details)), where=where)


def invalid_input(code: str, message: str) -> RunError:
    """The error of planning a pipeline of operations."""
    return RunError(InvalidPlan(ErrorInfo(code, ErrorCategory.PARSING_INPUT, False, message)))


def io_failed(
    code: str, message: str, category: ErrorCategory = ErrorCategory.UNKNOWN, details: FreeValue = None
) -> IoError:
    """An error of the engine's own IO, or of a call that no transport takes."""
    return IoError(Other(ErrorInfo(code, category, False, message, details)))


def transport_failed(
    code: str,
    message: str,
    *,
    retryable: bool = False,
    category: ErrorCategory = ErrorCategory.RPC,
    details: FreeValue = None,
) -> IoError:
    """An error that a transport raises: the world did not answer as it should."""
    return IoError(Transport(ErrorInfo(code, category, retryable, message, details)))


def not_readable(code: str, message: str, where: str | None = None) -> ContextError:
    """The error for bytes or values that are not what they should hold."""
    return ContextError(Serialization(ErrorInfo(code, ErrorCategory.CONTEXT, False, message)), where=where)


def storage_info(code: str, message: str) -> ErrorInfo:
    """The information of a store's error."""
    return ErrorInfo(code, ErrorCategory.STORAGE, False, message)


def redacted(info: ErrorInfo) -> ErrorInfo:
    """``info`` as a failure keeps it: without details, and without a message that looks like a secret.

    Of a place that is named with a suspicious name, ``…`` is kept for that name.
    """
    message = without_names(info.message) if is_suspicious(info.message) else info.message
    if is_suspicious(message):
        message = "error details redacted"
    return replace(info, message=message, details=None)


def json_form(form: Any) -> FreeValue:
    """The decoded JSON of a recorded form."""
    return decode(wire.encode(form))
