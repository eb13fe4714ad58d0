"""ruamel.yaml's parsing events as typed parts of a text. Slow to import: whoever reads no YAML leaves it alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from msgspec import Struct
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from ergo_cli.core.documents import Mark
from ergo_cli.core.trees import SyntaxSource
from ergo_cli.errors import DocumentError

PartKind = Literal["document", "scalar", "alias", "mapping", "sequence", "end"]

_KINDS: dict[type, PartKind] = {
    DocumentStartEvent: "document",
    ScalarEvent: "scalar",
    AliasEvent: "alias",
    MappingStartEvent: "mapping",
    SequenceStartEvent: "sequence",
    MappingEndEvent: "end",
    SequenceEndEvent: "end",
}


class Part(Struct, frozen=True, gc=False):
    """A scalar, an alias, or the beginning or end of something; ``offset`` counts characters from the text's start.

    ``tag`` is the full tag if one is written; ``plain`` tells a scalar without quotes that is no block.
    """

    kind: PartKind
    mark: Mark
    offset: int
    anchor: str | None = None
    tag: str | None = None
    text: str = ""
    plain: bool = False


def parts(text: str, source: SyntaxSource) -> Iterator[Part]:
    """The parts of a text, one by one. Raises DEC-SYNTAX with the place where reading stopped."""
    parser: Any = YAML(typ="safe", pure=True, plug_ins=[])
    try:
        for event in parser.parse(text):
            kind = _KINDS.get(event.__class__)
            if kind is not None:
                yield _part(kind, event)
    except MarkedYAMLError as error:
        raise _marked_error(error, source) from error
    except ReaderError as error:
        raise _character_error(error, text, source) from error
    except (YAMLError, ValueError, OverflowError) as error:
        raise source.error("an escape or a directive that stands for nothing", Mark(1, 1)) from error


def _part(kind: PartKind, event: Any) -> Part:
    start = event.start_mark
    return Part(
        kind,
        _mark(start),
        start.index,
        anchor=getattr(event, "anchor", None),
        tag=getattr(event, "tag", None),
        text=getattr(event, "value", ""),
        plain=getattr(event, "style", None) is None,
    )


def _marked_error(error: Any, source: SyntaxSource) -> DocumentError:
    problem = str(error.problem)
    message = f"{error.context}: {problem}" if error.context else problem
    mark = _mark(error.problem_mark) if error.problem_mark is not None else Mark(1, 1)
    return source.error(message, mark, fix=_fix_of(problem))


def _character_error(error: Any, text: str, source: SyntaxSource) -> DocumentError:
    before = text[: error.position]
    mark = Mark(before.count("\n") + 1, error.position - before.rfind("\n"))
    return source.error(f"character U+{error.character:04X} is not allowed", mark, fix="remove it")


def _fix_of(problem: str) -> str | None:
    if "'\\t'" in problem:
        return "indent with spaces"
    if "cannot start any token" in problem or "mapping values are not allowed" in problem:
        return "put the value in quotes"
    return None


def _mark(mark: Any) -> Mark:
    return Mark(mark.line + 1, mark.column + 1)
