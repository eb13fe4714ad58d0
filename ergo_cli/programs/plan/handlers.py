"""Call a handler to its end, plain or ``async``, and say how it ended (spec 50 §7.2, §13)."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import cast

from msgspec.structs import replace

from ergo_cli.programs.plan.context import StagedContext
from ergo_cli.programs.plan.deadlines import DeadlineReached
from ergo_cli.programs.plan.errors import ErrorCategory, ErrorInfo, Failure, PlanError, StateError, redacted
from ergo_cli.programs.plan.facts import FactIo, FactRefused
from ergo_cli.programs.plan.recorder import Recorder
from ergo_cli.programs.plan.states import State, StateOutcome


def call_handler(
    state: State, context: StagedContext, io: FactIo, recorder: Recorder, seconds: Callable[[], float | None]
) -> Failure | None:
    """Run a state's handler; returns the failure as it is recorded, None where it succeeded.

    ``seconds`` is what is left for an ``async`` handler, None without a limit. Raises DeadlineReached and StoreFailed,
    which no handler catches.
    """
    try:
        result = state.handle(context, io, recorder)
        if inspect.isawaitable(result):
            result = asyncio.run(_awaited(cast("Awaitable[object]", result), seconds()))
    except FactRefused as refused:
        return refused.failure
    except StateError as error:
        return Failure(error.form.state_id or state.id, redacted(error.info))
    except PlanError as error:
        return Failure(state.id, redacted(error.info))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - user code may raise anything
        return Failure(state.id, _unexpected(error))
    if result is None or isinstance(result, StateOutcome):
        return None
    message = f"a handler returns None or StateOutcome, not {type(result).__name__}"
    return Failure(state.id, ErrorInfo("handler_result_invalid", ErrorCategory.UNKNOWN, False, message))


def snapshot_failure(state_id: str, error: PlanError) -> Failure:
    """The failure of a state whose context cannot be kept: that is the state's fault and happens again."""
    return Failure(state_id, redacted(replace(error.info, category=ErrorCategory.CONTEXT, retryable=False)))


async def _awaited(result: Awaitable[object], seconds: float | None) -> object:
    try:
        return await asyncio.wait_for(asyncio.ensure_future(result), seconds)
    except TimeoutError:
        if seconds is None:
            raise
        raise DeadlineReached from None


def _unexpected(error: BaseException) -> ErrorInfo:
    """An exception of user code: its class alone, since its text may hold secrets."""
    return ErrorInfo("handler_exception", ErrorCategory.UNKNOWN, False, type(error).__name__)
