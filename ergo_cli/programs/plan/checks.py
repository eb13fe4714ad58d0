"""Refuse a plan program that cannot run, before anything runs: its parts, ids, order, manifest, handlers."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import cast

from ergo_cli.core import wire
from ergo_cli.core.json import NotCanonicalError, decode
from ergo_cli.core.wire import WireError
from ergo_cli.programs.functions import unfit_function, unfit_parameters, unfit_result
from ergo_cli.programs.plan.canonical import SecretsNotAllowed, refusal
from ergo_cli.programs.plan.errors import RunError, invalid_plan
from ergo_cli.programs.plan.ids import is_segment, is_state_id
from ergo_cli.programs.plan.manifest import Delay, ExecutionMode, FanOutJoin, IoMode, RunConfig, RunManifest
from ergo_cli.programs.plan.program import PlanProgram, place_of
from ergo_cli.programs.plan.secrets import find_secret
from ergo_cli.programs.plan.states import State, order_of

_HANDLE = ("ctx", "io", "rec")


def check_plan(program: PlanProgram) -> None:
    """Raise for a program that cannot be started, and for such a child of it.

    Raises RunError ``plan.program_invalid``, ``plan.invalid_op_id``, ``plan.invalid_state_id``,
    ``plan.secrets_detected``, ``plan.handler_unfit``, ``plan.invalid_plan``, ``plan.unsupported_execution_mode`` and
    ``plan.manifest_not_canonical``; ProgramError ``program.unfit_function`` for ``initial_context``.
    """
    _check_name(program)
    for number, state in enumerate(_items(program, "states", program.states)):
        _check_state(program, f"states[{number}]", state)
    _check_edges(program)
    order_of(program.plan, place_of(program))
    _check_config(program)
    _check_manifest(program)
    _check_world(program)
    for number, child in enumerate(_items(program, "children", program.children)):
        if not isinstance(child, PlanProgram):
            raise _wrong(program, f"children[{number}]", child, "a PlanProgram")
        check_plan(child)
        if child.parallel:
            message = f"children[{number}], '{child.graph_id}', is parallel: a child runs one state at a time"
            raise invalid_plan("unsupported_execution_mode", message, where=place_of(child))


def _check_name(program: PlanProgram) -> None:
    for name, text in (("op_id", program.op_id), ("op_version", program.op_version)):
        if not isinstance(cast(object, text), str):
            raise _wrong(program, name, text, "a text")
    if not is_segment(program.op_id):
        message = f"'{program.op_id}' is not an operation id"
        raise invalid_plan("invalid_op_id", message, where=place_of(program))


def _check_state(program: PlanProgram, part: str, state: object) -> None:
    if not isinstance(state, State):
        raise _wrong(program, part, state, "a State")
    if not isinstance(cast(object, state.id), str) or not is_state_id(state.id):
        message = f"{state.id!r} is not a state id: three parts joined by dots, of a-z, 0-9 and _"
        raise invalid_plan("invalid_state_id", message, where=place_of(program))
    if find_secret([state.id], program.allowed_names) is not None:
        message = f"the state id '{state.id}' looks like a secret"
        raise invalid_plan("secrets_detected", message, where=place_of(program))
    _check_timeout(program, part, state)
    handle = cast(object, state.handle)
    fault = None if inspect.iscoroutinefunction(handle) else unfit_result(handle)
    fault = fault or unfit_parameters(handle, _HANDLE)
    if fault is not None:
        message = f"the handler of state '{state.id}' {fault}"
        raise invalid_plan("handler_unfit", message, where=place_of(program, handle))


def _check_timeout(program: PlanProgram, part: str, state: State) -> None:
    timeout = cast(object, state.meta.timeout)
    if timeout is not None and not (isinstance(timeout, Delay) and timeout.ns > 0):
        raise _wrong(program, f"{part}.meta.timeout", timeout, "a Delay of some nanoseconds")


def _check_edges(program: PlanProgram) -> None:
    for number, edge in enumerate(_items(program, "edges", program.edges)):
        if not isinstance(edge, tuple | list) or len(cast("list[object]", edge)) != 2:
            raise _wrong(program, f"edges[{number}]", cast("object", edge), "a pair of state ids")


def _check_config(program: PlanProgram) -> None:
    """The configuration is one of runs that ``ergo`` can drive: live, in a mode that the program honours."""
    config = cast(object, program.run_config)
    if not isinstance(config, RunConfig):
        raise _wrong(program, "run_config", config, "a RunConfig")
    _check_mode(program, config.execution_mode)
    if config.io_mode is not IoMode.LIVE:
        message = "run_config has the io_mode Replay: nothing is recorded that could answer its calls"
        raise invalid_plan("program_invalid", message, where=place_of(program))


def _check_mode(program: PlanProgram, mode: ExecutionMode) -> None:
    """``parallel`` and the mode of ``FanOutJoin`` come together."""
    if not isinstance(cast(object, program.parallel), bool):
        raise _wrong(program, "parallel", program.parallel, "True or False")
    if not program.parallel and isinstance(mode, FanOutJoin):
        message = "the execution mode is FanOutJoin and the program is not parallel: its states are run one at a time"
        raise invalid_plan("unsupported_execution_mode", message, where=place_of(program))
    if program.parallel and not isinstance(mode, FanOutJoin):
        message = "the program is parallel and its execution mode does not say how many states may run at once"
        raise invalid_plan("unsupported_execution_mode", message, where=place_of(program))


def _check_manifest(program: PlanProgram) -> None:
    """The manifest can be stored, and read again."""
    try:
        wire.read(decode(program.manifest.canonical(program.allowed_names)), RunManifest)
    except SecretsNotAllowed as error:
        message = f"the manifest is refused: {refusal(error)}"
        raise invalid_plan("secrets_detected", message, where=place_of(program)) from error
    except NotCanonicalError as error:
        message = f"the manifest is refused: {refusal(error)}"
        raise invalid_plan("manifest_not_canonical", message, where=place_of(program)) from error
    except (WireError, TypeError) as error:
        message = f"the manifest is refused: {error}"
        raise invalid_plan("program_invalid", message, where=place_of(program)) from error


def _check_world(program: PlanProgram) -> None:
    """The parts that make the first context and answer calls."""
    made = cast(object, program.initial_context)
    error = None if made is None else unfit_function("initial_context", made, ("payload",))
    if error is not None:
        raise error
    if not isinstance(cast(object, program.transports), Mapping):
        raise _wrong(program, "transports", program.transports, "a mapping of namespaces")
    for group, transport in program.transports.items():
        if not isinstance(cast(object, group), str) or group != group.strip() or not group:
            raise _wrong(program, "transports", group, "a namespace")
        fault = (
            None if isinstance(transport, str) else unfit_result(transport) or unfit_parameters(transport, ("call",))
        )
        if fault is not None:
            message = f"the transport of '{group}' {fault}"
            raise invalid_plan("program_invalid", message, where=place_of(program, transport))
    for number, namespace in enumerate(_items(program, "effectful", program.effectful)):
        if not isinstance(namespace, str):
            raise _wrong(program, f"effectful[{number}]", namespace, "a namespace")


def _items(program: PlanProgram, part: str, items: object) -> list[object]:
    if not isinstance(items, tuple | list):
        raise _wrong(program, part, items, "a tuple")
    return list(cast("list[object]", items))


def _wrong(program: PlanProgram, part: str, found: object, expected: str) -> RunError:
    shown = f"{found!r}" if isinstance(found, str | int) else f"a {type(found).__name__}"
    return invalid_plan("program_invalid", f"{part} is {shown}, not {expected}", where=place_of(program))
