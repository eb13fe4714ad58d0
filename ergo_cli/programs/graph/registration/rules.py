"""How registration rules are written: a check looks at a manifest and yields what is broken (spec 20 §4.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.manifest import Family, ParameterSpec
from ergo_cli.programs.graph.parameters import ParameterType


class Subject(Protocol):
    """What every message names: a manifest or the metadata made from one."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def family(self) -> Family: ...  # noqa: D102


SubjectT = TypeVar("SubjectT", bound=Subject)
CheckedT = TypeVar("CheckedT")
Check = Callable[[CheckedT], Iterable[RuleError]]
"""One or several rules: yields an error for each breach, in the order of the rules."""


def broken(subject: Subject, rule: str, variant: str, path: str, sentence: str, fix: str) -> RuleError:
    """The error of one broken rule. ``sentence`` continues "Compute 'gt' …"; ``details`` holds the variant's name."""
    message = f"{subject.family.value} '{subject.id}' {sentence}"
    return RuleError(rule, message, phase="registration", path=path, fix=fix, details=(variant,))


def refuse_if(
    rule: str, variant: str, path: str, is_broken: Callable[[SubjectT], bool], sentence: str, fix: str
) -> Check[SubjectT]:
    """The check of a rule that is broken or not as a whole."""

    def check(subject: SubjectT) -> Iterator[RuleError]:
        if is_broken(subject):
            yield broken(subject, rule, variant, path, sentence, fix)

    return check


def key_reference(
    subject: Subject,
    name: str,
    parameters: Sequence[ParameterSpec],
    *,
    path: str,
    unbound: tuple[str, str],
    not_string: tuple[str, str],
) -> Iterator[RuleError]:
    """A name ``$p`` refers to a String parameter ``p``; ``unbound`` and ``not_string`` are rule and variant."""
    if not name.startswith("$"):
        return
    types = [parameter.type for parameter in parameters if parameter.name == name[1:]]
    if not types:
        sentence = f"uses key '{name}', but declares no parameter '{name[1:]}'"
        yield broken(subject, *unbound, path, sentence, f"Declare a string parameter '{name[1:]}' or drop the '$'")
    elif types[0] is not ParameterType.STRING:
        sentence = f"uses key '{name}', but parameter '{name[1:]}' is {types[0].value}"
        yield broken(subject, *not_string, path, sentence, f"Change parameter '{name[1:]}' type to string")
