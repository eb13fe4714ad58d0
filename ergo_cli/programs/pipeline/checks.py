"""Refuse a pipeline program that cannot run, before anything runs: its parts, settings, topology, handlers, effects."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from ergo_cli.core.diagnostics import did_you_mean
from ergo_cli.errors import ErgoError, headline
from ergo_cli.programs.functions import unfit, unfit_parameters, unfit_result
from ergo_cli.programs.pipeline.authoring import (
    Join,
    Sink,
    Source,
    Stateful,
    Transform,
)
from ergo_cli.programs.pipeline.effects import EffectType, Safety
from ergo_cli.programs.pipeline.errors import PipelineError, TopologyError
from ergo_cli.programs.pipeline.handlers import takes_effects
from ergo_cli.programs.pipeline.ids import CountedIds
from ergo_cli.programs.pipeline.program import PipelineProgram
from ergo_cli.programs.pipeline.settings import PipelineSettings, check_settings
from ergo_cli.programs.pipeline.topology_rules import validate

_HANDLERS: Mapping[type, Mapping[str, Sequence[str]]] = {
    Source: {"admit": ("payload",)},
    Transform: {"process": ("event",), "drain": ()},
    Stateful: {
        "initial_state": (),
        "accumulate": ("state", "event"),
        "emit": ("state",),
        "should_emit": ("state",),
        "drain": ("state",),
    },
    Join: {
        "initial_state": (),
        "process_event": ("state", "event", "upstream", "writer_id"),
        "on_source_eof": ("state", "upstream", "writer_id"),
        "drain": ("state",),
    },
    Sink: {"consume": ("event",), "flush": (), "drain": ()},
}
"""The handlers of each kind of stage, with their parameters; ``effects`` may follow."""

_A_NAME = "a text of printable characters, one at least"


def check_pipeline(program: PipelineProgram) -> None:
    """Raise for a program that cannot be started: the first fault, others of its sort as its causes.

    Raises PipelineError ``pipeline.program_invalid`` and ``pipeline.invalid_setting``, TopologyError, and ProgramError
    ``program.unfit_function``.
    """
    _raise_first(_bad_parts(program))
    check_settings(program.settings)
    _raise_first(_unknown_ends(program))
    validate(program.topology(CountedIds(program.name)))
    _raise_first(_unfit_handlers(program))
    _raise_first(_bad_effects(program))


def _raise_first(faults: Iterator[ErgoError]) -> None:
    found = list(faults)
    if found:
        raise headline(found)


def _bad_parts(program: PipelineProgram) -> Iterator[PipelineError]:
    if not _is_name(program.name):
        yield _wrong(program, "name", program.name, _A_NAME)
    if not isinstance(cast(object, program.version), str):
        yield _wrong(program, "version", program.version, "a text")
    if not isinstance(cast(object, program.settings), PipelineSettings):
        yield _wrong(program, "settings", program.settings, "PipelineSettings")
    if not isinstance(cast(object, program.effects), Mapping):
        yield _wrong(program, "effects", program.effects, "a mapping of types of effects")
    for number, stage in _numbered(program.stages):
        if not isinstance(stage, Source | Transform | Stateful | Join | Sink):
            made = "a stage made by source, transform, stateful, join or sink"
            yield _wrong(program, f"stages[{number}]", stage, made)
        elif not _is_name(stage.name):
            yield _wrong(program, f"the name of stages[{number}]", stage.name, _A_NAME)
    for number, edge in _numbered(program.edges):
        if not (isinstance(edge, tuple | list) and list(map(type, cast("Sequence[object]", edge))) == [str, str]):
            yield _wrong(program, f"edges[{number}]", cast(object, edge), "a pair of names of stages")


def _numbered(items: object) -> Iterator[tuple[int, object]]:
    """Items with their numbers; what is no list of them is one item that fits nothing."""
    listed = cast("Sequence[object]", items) if isinstance(items, tuple | list) else (items,)
    yield from enumerate(listed)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value) and value.isprintable()


def _unknown_ends(program: PipelineProgram) -> Iterator[TopologyError]:
    """Edges that name no stage; where names are doubled the rules of topologies say so first."""
    names = [stage.name for stage in program.stages]
    if len(set(names)) < len(names):
        return
    for upstream, reader in program.edges:
        unknown = [end for end in (upstream, reader) if end not in names]
        if unknown:
            place = f"edge '{upstream}' -> '{reader}'"
            message = f"the {place} cannot be: the pipeline has no stage '{unknown[0]}'"
            yield TopologyError(
                "pipeline.edge_unknown_stage", message, where=place, fix=did_you_mean(unknown[0], names) or None
            )


def _unfit_handlers(program: PipelineProgram) -> Iterator[ErgoError]:
    for stage in program.stages:
        for name, parameters in _HANDLERS[type(stage)].items():
            handler = getattr(stage, name)
            if callable(handler) and takes_effects(handler):
                parameters = (*parameters, "effects")
            fault = _result_fault(handler) or unfit_parameters(handler, parameters)
            if fault is not None:
                form = f"{name}({', '.join(parameters)})"
                yield unfit(f"{name} of stage '{stage.name}' {fault}", handler, form)


def _result_fault(handler: object) -> str | None:
    """What a call would give in place of a result; ``async`` functions are driven to their end."""
    return None if inspect.iscoroutinefunction(handler) else unfit_result(handler)


def _bad_effects(program: PipelineProgram) -> Iterator[ErgoError]:
    for name, effect in program.effects.items():
        if not _is_name(name):
            yield _wrong(program, "a type of effect", name, _A_NAME)
        kind = effect if isinstance(effect, EffectType) else EffectType(effect)
        execute = kind.execute
        if isinstance(execute, str):
            module, _, attribute = execute.partition(":")
            if not (module and attribute):
                yield _wrong(program, f"the executor of '{name}'", execute, 'a text "module:attribute"')
        elif (fault := unfit_result(execute) or unfit_parameters(execute, ("input", "call"))) is not None:
            yield unfit(f"the executor of effect '{name}' {fault}", execute, "execute(input, call)")
        if not isinstance(cast(object, kind.safety), Safety):
            yield _wrong(program, f"the safety of '{name}'", kind.safety, "a Safety")
        version = cast(object, kind.schema_version)
        if not isinstance(version, int) or isinstance(version, bool) or version < 0:
            yield _wrong(program, f"the schema_version of '{name}'", version, "a whole number from 0")


def _wrong(program: PipelineProgram, part: str, value: object, expected: str) -> PipelineError:
    shown = value if isinstance(value, str | int | float | None) else type(value).__name__
    message = f"{part} of the pipeline is {shown!r}, not {expected}"
    place = f"pipeline '{program.name}'" if _is_name(program.name) else "PipelineProgram"
    return PipelineError("pipeline.program_invalid", message, where=place, fix=f"give {expected}")
