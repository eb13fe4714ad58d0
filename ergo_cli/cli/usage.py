"""Errors of the command line, with the texts and codes of spec 00 §12.8."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, cast

from ergo_cli.core.diagnostics import did_you_mean
from ergo_cli.errors import UsageError

_COUNTERPARTS: Mapping[str, str] = {
    "--json": "--format json",
    "--text": "--format text",
    "--output-format": "--format",
    "--out": "--output",
    "--out-file": "--output",
    "--outfile": "--output",
    "--output-file": "--output",
    "--verbosity": "--verbose",
    "--debug": "--verbose",
    "--silent": "--quiet",
    "--no-color": "--color never",
    "--no-colour": "--color never",
    "--parallel": "--jobs",
    "--threads": "--jobs",
    "--workers": "--jobs",
    "-j": "--jobs",
    "--config": "--project",
    "--directory": "--project",
    "-C": "--project",
    "--exclude": "--ignore",
    "--module": "--program",
    "--limit": "--max-events",
}
"""Option names of other tools, with ergo's option to suggest if the command has it."""

_LONGEST = 100
_LIKENESS = 0.75
"""The least ``difflib`` ratio of an option to suggest: too high for ``--file`` to suggest ``--profile``."""


class _Command(Protocol):
    name: str | None
    params: Sequence[_Parameter]


class _Group(_Command, Protocol):
    commands: Mapping[str, _Command]


class _Parameter(Protocol):
    opts: list[str]
    param_type_name: str
    metavar: str | None
    name: str | None


class _Context(Protocol):
    command: _Command
    command_path: str


class _Fault(Protocol):
    """The attributes used of the parser's exceptions, whose classes typer does not export."""

    message: str
    ctx: _Context | None
    option_name: str
    param: _Parameter | None


def usage_error(error: BaseException, arguments: Sequence[str]) -> UsageError | None:
    """The ``cli.*`` error behind an exception of the argument parser; None for any other exception."""
    if not hasattr(error, "format_message"):
        return None
    fault = cast(_Fault, error)
    match type(error).__name__:
        case "NoSuchOption":
            return _unknown_option(fault)
        case "BadOptionUsage":
            return _misused_option(fault)
        case "MissingParameter":
            return _missing(fault)
        case "BadParameter":
            return _bad_value(fault)
        case _ if fault.ctx is not None and hasattr(fault.ctx.command, "commands"):
            return _unknown_command(fault.ctx, arguments)
        case _ if fault.message.startswith("Got unexpected extra argument"):
            return _unexpected(fault)
        case _:
            return UsageError("cli.usage", fault.message, fix=_help(fault))


def empty_word(option: str) -> UsageError:
    """The error for an empty argument; ``option`` is the word before it, of which it may be the value."""
    if not option.startswith("-") or not option.strip("-"):
        fix = "leave it out, or write what is meant"
        return UsageError("cli.missing_required_argument", "an argument is empty", where="arg ''", fix=fix)
    return _valueless(option)


def refuse_second_standard_input(paths: Sequence[str]) -> None:
    """Raise UsageError ``cli.conflicting_options`` where ``-`` is named twice."""
    if paths.count("-") > 1:
        message, fix = "standard input can be read only once", "give '-' once, and the others as files"
        raise UsageError("cli.conflicting_options", message, where="argument '-'", fix=fix)


def refuse_standard_input(path: str) -> None:
    """Raise UsageError ``cli.unexpected_argument`` where ``-`` is named for a file that is read again and again."""
    if path == "-":
        message, fix = "standard input can be read only once", "write the bundle to a file, and name that"
        raise UsageError("cli.unexpected_argument", message, where="argument '-'", fix=fix)


def refuse_program_beside_file(file: Path | None, program: str | None, profile: str | None) -> None:
    """Raise UsageError ``cli.conflicting_options`` where a file is named, and a program too."""
    option = "--program" if program is not None else "--profile" if profile is not None else None
    if file is not None and option is not None:
        message, fix = f"a file is drawn by itself, {option} names something else to draw", "give one of the two"
        raise UsageError("cli.conflicting_options", message, where=f"option {option}", fix=fix)


def _unknown_option(fault: _Fault) -> UsageError:
    option = fault.option_name
    known = [name for parameter in _parameters(fault) for name in parameter.opts if name.startswith("-")]
    return UsageError(
        "cli.invalid_option",
        f"unknown option '{option}'",
        where=f"arg '{option}'",
        fix=_near_option(option, known) or _help(fault),
    )


def _near_option(option: str, known: Sequence[str]) -> str | None:
    """``did you mean '--x'?`` with the counterpart or a near spelling of ``option``; None if there is neither."""
    meant = _COUNTERPARTS.get(option)
    if meant is None or meant.partition(" ")[0] not in known:
        meant = _near_spelling(option, known)
    return None if meant is None else f"did you mean '{meant}'?"


def _near_spelling(option: str, known: Sequence[str]) -> str | None:
    """The known long option most like ``option``. Dashes are ignored: they would make all options similar."""
    if len(option) > _LONGEST:
        return None
    from difflib import get_close_matches  # imported for errors only

    words = {name.removeprefix("--"): name for name in known if name.startswith("--")}
    matches = get_close_matches(option.lstrip("-").casefold(), words, n=1, cutoff=_LIKENESS)
    return words[matches[0]] if matches else None


def _misused_option(fault: _Fault) -> UsageError:
    option = fault.option_name
    where = f"arg '{option}'"
    if "not take a value" in fault.message:
        message = f"option '{option}' takes no value"
        return UsageError("cli.invalid_option_value", message, where=where, fix=f"write {option} alone")
    return _valueless(option)


def _valueless(option: str) -> UsageError:
    message, fix = f"option '{option}' needs a value", f"write the value behind {option}"
    return UsageError("cli.missing_option_value", message, where=f"arg '{option}'", fix=fix)


def _missing(fault: _Fault) -> UsageError:
    parameter = fault.param
    assert parameter is not None
    if parameter.param_type_name == "argument":
        message = f"{_path(fault)} needs {_shown(parameter)}"
        return UsageError("cli.missing_required_argument", message, where=_shown(parameter), fix=_help(fault))
    name = parameter.opts[0]
    message = f"{_path(fault)} needs {name}"
    return UsageError("cli.missing_required_option", message, where=f"option {name}", fix=_help(fault))


def _bad_value(fault: _Fault) -> UsageError:
    parameter = fault.param
    name = "argument" if parameter is None else _shown(parameter)
    message = f"invalid value for {name}: {fault.message}"
    return UsageError("cli.invalid_option_value", message, where=f"arg '{name}'", fix=_help(fault))


def _unknown_command(context: _Context, arguments: Sequence[str]) -> UsageError:
    """The error for a word that names no command of ``ergo`` or of the command group before it."""
    _, *group = context.command_path.split()
    word = next(iter([word for word in arguments if not word.startswith("-")][len(group) :]), "")
    commands = cast(_Group, context.command).commands
    fix = did_you_mean(word, commands) or f"use one of: {', '.join(commands)}"
    message = f"unknown command '{' '.join([*group, word])}'"
    return UsageError("cli.unknown_command", message, where=f"arg '{word}'", fix=fix)


def _unexpected(fault: _Fault) -> UsageError:
    words = fault.message.partition(" (")[2].removesuffix(")")
    message = f"{_path(fault)} does not take the argument '{words}'"
    return UsageError("cli.unexpected_argument", message, where=f"arg '{words}'", fix=_help(fault))


def _parameters(fault: _Fault) -> Sequence[_Parameter]:
    return () if fault.ctx is None else fault.ctx.command.params


def _shown(parameter: _Parameter) -> str:
    if parameter.param_type_name == "argument":
        return parameter.metavar or (parameter.name or "").upper()
    return parameter.opts[0]


def _path(fault: _Fault) -> str:
    return "ergo" if fault.ctx is None else fault.ctx.command_path


def _help(fault: _Fault) -> str:
    return f"{_path(fault)} --help shows what it takes"
