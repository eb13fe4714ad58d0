"""``ergo --show-completion`` and ``--install-completion``: the scripts by which a shell completes command lines.

A script calls ``ergo`` without arguments and asks with the environment variable ``_ERGO_COMPLETE``; the parser answers.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from ergo_cli.cli.commands import application
from ergo_cli.core.diagnostics import did_you_mean
from ergo_cli.errors import CaptureWriteError, ErgoError, UsageError, reason
from ergo_cli.stores.files import AtomicFile
from ergo_cli.stores.remedies import remedy

_BASH = r"""_ergo_completion() {
    local IFS=$'\n'
    COMPREPLY=( $( env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD _ERGO_COMPLETE=complete_bash "$1" 2>/dev/null ) )
    return 0
}
complete -o default -F _ergo_completion ergo
"""  # noqa: E501 - bash has no shorter form

_ZSH = r"""#compdef ergo
_ergo_completion() {
    eval "$(env _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" _ERGO_COMPLETE=complete_zsh ergo 2>/dev/null)"
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _ergo_completion "$@"
else
    compdef _ergo_completion ergo
fi
"""

_ASK = "env _ERGO_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION={} _TYPER_COMPLETE_ARGS=(commandline -cp) ergo"
_FISH = (
    f'complete --command ergo --no-files --arguments "({_ASK.format("get-args")})"'
    f' --condition "{_ASK.format("is-args")}"\n'
)


_MOST_DIGITS = 9


class Place(NamedTuple):
    """Where a shell looks for a script: its file, and the file of settings that must hold ``line`` to load it."""

    script: Path
    settings: Path | None = None
    line: str = ""


def _place_of_bash() -> Place:
    script = Path.home() / ".bash_completions" / "ergo.sh"
    return Place(script, Path.home() / ".bashrc", f"source {shlex.quote(str(script))}")


def _place_of_zsh() -> Place:
    settings = Path(os.environ.get("ZDOTDIR") or Path.home()) / ".zshrc"
    return Place(Path.home() / ".zfunc" / "_ergo", settings, "fpath+=~/.zfunc; autoload -Uz compinit; compinit")


def _place_of_fish() -> Place:
    settings = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return Place(settings / "fish" / "completions" / "ergo.fish")


_SHELLS: Mapping[str, tuple[str, Callable[[], Place]]] = {
    "bash": (_BASH, _place_of_bash),
    "zsh": (_ZSH, _place_of_zsh),
    "fish": (_FISH, _place_of_fish),
}


def set_up_completion(arguments: Sequence[str]) -> str:
    """The text that ``--show-completion`` or ``--install-completion``, the first of ``arguments``, writes.

    Raises UsageError for a shell that has no script, ErgoError ``cli.completion_write_failed``.
    """
    option, _, value = arguments[0].partition("=")
    words = [*([value] if value else []), *arguments[1:]]
    if len(words) > 1:
        message, fix = f"{option} does not take the argument '{words[1]}'", f"{option} takes the name of one shell"
        raise UsageError("cli.unexpected_argument", message, where=f"arg '{words[1]}'", fix=fix)
    shell = words[0] if words else _current_shell(option)
    if shell not in _SHELLS:
        fix = did_you_mean(shell, _SHELLS) or f"use one of: {', '.join(_SHELLS)}"
        message = f"there is no completion for the shell '{shell}'"
        raise UsageError("cli.invalid_option_value", message, where=f"option {option}", fix=fix)
    script, place_of = _SHELLS[shell]
    return script if option == "--show-completion" else _install(shell, script, place_of)


def _current_shell(option: str) -> str:
    """The name of the user's shell by ``SHELL``. Raises UsageError where it is not set."""
    shell = Path(os.environ.get("SHELL", "")).name
    if shell:
        return shell
    message, fix = "the shell is unknown, because SHELL is not set", f"name it, for example {option} bash"
    raise UsageError("cli.missing_option_value", message, where=f"option {option}", fix=fix)


def _install(shell: str, script: str, place_of: Callable[[], Place]) -> str:
    elsewhere = f"store what 'ergo --show-completion {shell}' shows where {shell} loads it"
    try:
        place = place_of()
        place.script.parent.mkdir(parents=True, exist_ok=True)
        _write_whole(_contents(place, script))
    except CaptureWriteError as error:
        raise _not_written(error.message, error.where, _fix(error, elsewhere)) from error
    except (OSError, RuntimeError) as error:  # RuntimeError: the user has no home
        where = getattr(error, "filename", None)
        message = f"the completion for {shell} could not be written: {reason(error)}"
        raise _not_written(message, where and str(where), f"make the folder writable, or {elsewhere}") from error
    loaded = "" if place.settings is None else f", loaded by {place.settings}"
    return f"completion for {shell} written to {place.script}{loaded}\nstart a new {shell} to use it\n"


def _contents(place: Place, script: str) -> Iterator[tuple[Path, bytes]]:
    """The files to write, with their whole content; settings that hold the line are not written. Raises OSError."""
    yield place.script, script.encode()
    if place.settings is None:
        return
    before = place.settings.read_bytes() if place.settings.is_file() else b""  # what is not a file is refused later
    line = os.fsencode(place.line) + b"\n"
    if b"\n" + line not in b"\n" + before.replace(b"\r\n", b"\n") + b"\n":
        yield place.settings, before + (b"" if before.endswith(b"\n") or not before else b"\n") + line


def _write_whole(contents: Iterator[tuple[Path, bytes]]) -> None:
    """Replace each file by a whole one, but none if one of the places is not a file's. Raises CaptureWriteError."""
    with ExitStack() as stack:
        for file, content in [(stack.enter_context(AtomicFile(str(path))), content) for path, content in contents]:
            file.write(content)
            file.commit()


def _not_written(message: str, where: str | None, fix: str) -> ErgoError:
    return ErgoError("cli.completion_write_failed", message, where=where, fix=fix)


def _fix(error: CaptureWriteError, elsewhere: str) -> str:
    if error.stage == "InvalidDestination":
        return f"put a plain file there, or {elsewhere}"
    return remedy(error.__cause__, elsewhere)


def answer(variable: str) -> int:
    """Write the candidates for the command line that a shell holds; returns the exit code that its script reads.

    Raises UsageError for a question in the environment ``variable`` that no script asks.
    """
    _check(variable, os.environ[variable])
    from typer.completion import get_completion_inspect_parameters

    get_completion_inspect_parameters()  # registers the shells; the parameters are for typer's own options
    try:
        application(())(args=[], prog_name="ergo", complete_var=variable, standalone_mode=False)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    return 0


def _check(variable: str, question: str) -> None:
    """Raise UsageError unless a script asks so; that of bash also says which words it completes."""
    known = [f"complete_{shell}" for shell in _SHELLS]
    place = os.environ.get("COMP_CWORD", "")
    if question not in known:
        why = f"'{question}' is not one of {', '.join(known)}"
    elif question != "complete_bash":
        return
    elif "COMP_WORDS" not in os.environ:
        why = "COMP_WORDS is not set"
    elif not (place.isascii() and place.isdecimal() and len(place) <= _MOST_DIGITS):
        why = f"COMP_CWORD is '{place[:40]}', which is not the number of a word"
    else:
        return
    message = f"{variable} in the environment asks for no completion: {why}"
    fix = f"unset {variable}, or load the script that 'ergo --show-completion' shows"
    raise UsageError("cli.invalid_completion", message, where=f"environment variable {variable}", fix=fix)
