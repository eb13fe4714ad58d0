"""The parts of a pipeline: its stages with the edges to them and their settings, its own settings, its effects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set

from msgspec import Struct

from ergo_cli.programs.changed_code import code_of
from ergo_cli.programs.parts import Part, texts_of
from ergo_cli.programs.pipeline.checks import check_pipeline
from ergo_cli.programs.pipeline.program import PipelineProgram
from ergo_cli.programs.pipeline.settings import PipelineSettings, RecordedSettings
from ergo_cli.programs.recorded import JournalDifference

_IDLE_SETTINGS = frozenset(PipelineSettings.__struct_fields__) - frozenset(RecordedSettings.__struct_fields__)


def structure_of(program: PipelineProgram) -> Sequence[Part]:
    """The stages, the settings of the pipeline, its types of effects. Raises as ``check_pipeline``."""
    check_pipeline(program)
    return list(_parts(program))


class StagesBehind:
    """A stage and those that lead to it; of no stage all of them."""

    def __init__(self, program: PipelineProgram) -> None:
        self._all = frozenset(stage.name for stage in program.stages)
        self._upstream = _upstream(program)

    def __call__(self, node: str | None, difference: JournalDifference | None) -> Set[str]:
        """The stages that a row of ``node`` is made of."""
        if node is None:
            return self._all
        found, ahead = set[str](), [node]
        while ahead:
            stage = ahead.pop()
            if stage not in found:
                found.add(stage)
                ahead += self._upstream.get(stage, ())
        return found


def _upstream(program: PipelineProgram) -> Mapping[str, Sequence[str]]:
    """The stages that each one reads, in the order of the edges, each once."""
    found: dict[str, dict[str, None]] = {}
    for upstream, reader in program.edges:
        found.setdefault(reader, {})[upstream] = None
    return {reader: tuple(stages) for reader, stages in found.items()}


def _parts(program: PipelineProgram) -> Iterator[Part]:
    names, upstream = tuple(stage.name for stage in program.stages), _upstream(program)
    for stage in program.stages:
        members = (getattr(stage, name) for name in stage.__struct_fields__)
        yield Part(
            type(stage).__name__.lower(),
            stage.name,
            tuple(upstream.get(stage.name, ())),
            _fields(stage),
            nodes=(stage.name,),
            functions=tuple(filter(callable, members)),
        )
    yield Part("settings", "settings", fields=_fields(program.settings), nodes=names, idle=_IDLE_SETTINGS)
    for name, found in program.effect_types.items():
        fields = {"safety": found.safety.value, "schema_version": str(found.schema_version)}
        yield Part("effect", f"effects.{name}", fields=fields, nodes=names)


def _fields(settings: Struct) -> dict[str, str]:
    """The settings as they are written, of a handler the name of its function."""
    found: dict[str, str] = {}
    for name in settings.__struct_fields__:
        value: object = getattr(settings, name)
        code = code_of(value)
        if code is not None:
            found[name] = code.name
        elif isinstance(value, str):
            found[name] = value
        elif not callable(value):
            found.update(texts_of({name: value}))
    return {name: text for name, text in found.items() if name != "name"}
