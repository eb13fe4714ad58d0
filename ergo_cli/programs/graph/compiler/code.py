"""The code builder: source text that nothing of an author's can get into (spec 00 §11).

Identifiers are counted out (``c0`` for constants, ``v0`` for locals); values of any kind, texts and numbers alike, go
into the table of constants and are only ever named.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import count
from typing import cast

from msgspec import Struct

_LOCAL = re.compile(r"\bv[0-9]+\b")


class _Statement(Struct, frozen=True):
    """One or more lines; ``defines`` is the local that they do nothing but define, None where they do more."""

    text: str
    defines: str | None


class CodeBuilder:
    """The body of one function and its constants. Statements run in the order in which they are added."""

    def __init__(self) -> None:
        self.constants: dict[str, object] = {}
        self._statements: list[_Statement] = []
        self._numbers = count()

    def constant(self, value: object) -> str:
        """The name by which the code refers to ``value``."""
        name = f"c{len(self.constants)}"
        self.constants[name] = value
        return name

    def local(self) -> str:
        """A name for a new local variable."""
        return f"v{next(self._numbers)}"

    def define(self, expression: str) -> str:
        """Give a pure expression, which never raises, a name; left out where nothing comes to use it."""
        name = self.local()
        self._statements.append(_Statement(f"{name} = {expression}", name))
        return name

    def add(self, *lines: str) -> None:
        """Append lines that have an effect or can raise."""
        self._statements.append(_Statement("\n".join(lines), None))

    def source(self, name: str, parameters: str, opening: str, closing: str) -> str:
        """The text of the function ``name``, between the lines ``opening`` and ``closing``."""
        lines = [opening, *self._used(), closing]
        body = "\n".join(lines).replace("\n", "\n    ")
        return f"def {name}({parameters}):\n    {body}\n"

    def _used(self) -> list[str]:
        """The statements, without the definitions that nothing uses."""
        kept: list[str] = []
        used: set[str] = set()
        for statement in reversed(self._statements):
            if statement.defines is None or statement.defines in used:
                kept.append(statement.text)
                used.update(_LOCAL.findall(statement.text))
        return kept[::-1]


def block(condition: str, lines: list[str]) -> list[str]:
    """The lines under ``if``, or as they are where there is no condition."""
    return [f"if {condition}:", *(f"    {line}" for line in lines)] if condition else lines


def load(source: str, name: str, names: Mapping[str, object]) -> Callable[..., object]:
    """The function ``name`` that ``source`` defines; it sees ``names`` and nothing else, no builtins."""
    namespace: dict[str, object] = {**names, "__builtins__": {}}
    exec(compile(source, "<compiled graph>", "exec"), namespace)
    return cast(Callable[..., object], namespace[name])
