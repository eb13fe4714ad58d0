"""The registry of program kinds. A kind is one package, and one line here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from ergo_cli.core.code_places import packages_of, user_place
from ergo_cli.core.diagnostics import did_you_mean
from ergo_cli.errors import ErgoError, ProgramError, defect, described
from ergo_cli.programs.kind import Kind
from ergo_cli.signals import is_of_a_signal

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

KINDS = {
    "graph": "ergo_cli.programs.graph.kind:KIND",
    "kernel": "ergo_cli.programs.kernel.kind:KIND",
    "plan": "ergo_cli.programs.plan.kind:KIND",
    "pipeline": "ergo_cli.programs.pipeline.kind:KIND",
}
"""Built-in kinds by name; each is imported on first use."""

TEXTUAL = "graph"
"""The kind whose programs are texts, not Python values.

It is the kind of v3 bundles, of profiles that name a file, of the program store and of the built-in program.
"""

BUILT_IN_ID = "ergo:schedule"
"""The graph id of the built-in program; no authored id can contain a colon."""

GROUP = "ergo.kinds"
"""The entry point group by which installed packages add kinds; asked only for a name that is not built in."""


def is_kind(name: str) -> bool:
    """Whether there is a kind of this name; imports no kind."""
    return name in KINDS or name in installed_kinds()


def check_kind(name: str, where: str | None = None) -> None:
    """Raise ProgramError ``program.unknown_kind`` unless there is a kind of this name; imports no kind."""
    if is_kind(name):
        return
    nearest = did_you_mean(name, KINDS)
    fix = nearest or "use a version of ergo that knows this kind, or install the package that adds it"
    known = ", ".join(KINDS)
    message = f"there is no kind of program '{name}'; built in are {known}"
    raise ProgramError("program.unknown_kind", message, where=where, fix=fix)


def find_kind(name: str) -> Kind[Any]:
    """The kind of this name.

    Raises ProgramError ``program.unknown_kind``, and ``program.import_failed`` for an entry point that gives none.
    """
    check_kind(name)
    if name not in KINDS:
        return _loaded(_installed()[name])
    module, _, attribute = KINDS[name].partition(":")
    return cast("Kind[Any]", getattr(import_module(module), attribute))


def kind_of(value: object) -> Kind[Any] | None:
    """The kind that claims a Python value as its program, built-in kinds first; None where none does.

    Raises ProgramError ``program.import_failed`` for a value that may only be of a kind that cannot be used.
    """
    broken: list[ProgramError] = []
    kind = next((kind for kind in every_kind(broken.append) if kind.claims(value)), None)
    if kind is None and broken:
        raise broken[0]
    return kind


def every_kind(broken: Callable[[ProgramError], object]) -> Iterator[Kind[Any]]:
    """All kinds, each imported when it is asked for: those built in, then those of installed packages.

    A kind that cannot be used is passed over; ``broken`` is called with its error.
    """
    yield from map(find_kind, KINDS)
    for name in installed_kinds():
        try:
            kind = find_kind(name)
        except ProgramError as error:
            broken(error)
        else:
            yield kind


def installed_kinds() -> tuple[str, ...]:
    """The names of the kinds that installed packages add, ascending; a built-in kind cannot be replaced."""
    return tuple(sorted(_installed().keys() - KINDS.keys()))


def unexpected(error: BaseException) -> ErgoError:
    """The error ``internal.error`` of an exception that ergo does not expect.

    It names the added kind whose code raised the exception, or lacks a member, and the line; without one it is a
    defect of ergo.
    """
    raising = set(packages_of(error))
    lacking = {type(error.obj).__module__.partition(".")[0]} if isinstance(error, AttributeError) else set[str]()
    entry = next((entry for entry in _installed().values() if _package(entry) in raising | lacking), None)
    if entry is None:
        return defect(error)
    place = user_place(error, _package(entry)) if _package(entry) in raising else None
    return ErgoError(
        "internal.error",
        f"{_named(entry)} failed: {described(error)}",
        where=_where(entry) if place is None else f"{place.file}:{place.line}",
        fix=f"correct the code there, or report it to the authors of {_distribution(entry)}",
    )


def _loaded(entry: EntryPoint) -> Kind[Any]:
    try:
        kind = entry.load()
        why = _why_unfit(kind, entry)
    except BaseException as error:  # whatever the package's code raises
        if is_of_a_signal(error):
            raise
        raise _unusable(entry, described(error)) from error
    if why is not None:
        raise _unusable(entry, why)
    return cast("Kind[Any]", kind)


def _why_unfit(kind: Any, entry: EntryPoint) -> str | None:
    """Why a value is not the kind of its entry point; None if it is. Asks for each member that is used beforehand."""
    if getattr(kind, "name", None) != entry.name:
        return f"'{entry.value}' is not a kind named '{entry.name}'"
    acting = getattr(kind, "acting", None)
    if acting is None:
        return "only a kind with `acting` can be added: programs as texts are those of ergo itself"
    _ = acting.runs
    return None


def _unusable(entry: EntryPoint, why: str) -> ProgramError:
    message = f"{_named(entry)} cannot be used: {why}"
    return ProgramError("program.import_failed", message, where=_where(entry), fix="mend the package, or uninstall it")


def _named(entry: EntryPoint) -> str:
    return f"the kind of program '{entry.name}' of {_distribution(entry)}"


def _distribution(entry: EntryPoint) -> str:
    return "an installed package" if entry.dist is None else f"the package '{entry.dist.name}'"


def _package(entry: EntryPoint) -> str:
    """The top-level package of the kind's code."""
    return entry.value.partition(":")[0].partition(".")[0].strip()


def _where(entry: EntryPoint) -> str:
    return f"entry point '{entry.name} = {entry.value}' of {GROUP}"


def _installed() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points  # slow to import, needed only for names that are not built in

    return {entry.name: entry for entry in entry_points(group=GROUP)}
