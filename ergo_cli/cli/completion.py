"""``ergo --show-completion`` and ``--install-completion``: the scripts by which a shell completes command lines.

A script asks ergo itself, with the environment variable ``_ERGO_COMPLETE``; the parser answers.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ergo_cli.core.diagnostics import did_you_mean
from ergo_cli.errors import ErgoError, UsageError, reason

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


SHELLS = tuple(_SHELLS)
"""The shells that have a script."""


def profile_names(named: str | Path | None) -> Sequence[str]:
    """The profiles of the project ``named`` by ``--project``, else of the one found from the current folder upwards.

    Only the project file is read. None for a file that cannot be used: a shell does not show why.
    """
    from ergo_cli.project.project_file import locate_project

    try:
        project = locate_project(None, None if named is None else Path(named))
    except ErgoError:
        return ()
    return () if project is None else tuple(project.profiles)


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
    try:
        place = place_of()
        place.script.parent.mkdir(parents=True, exist_ok=True)
        place.script.write_text(script, encoding="utf-8")
        if place.settings is not None:
            _append(place.settings, place.line)
    except (OSError, RuntimeError) as error:  # RuntimeError: the user has no home
        message = f"the completion for {shell} could not be written: {_why(error)}"
        fix = f"make the folder writable, or store what 'ergo --show-completion {shell}' shows where {shell} loads it"
        where = getattr(error, "filename", None)
        raise ErgoError("cli.completion_write_failed", message, where=where and str(where), fix=fix) from error
    loaded = "" if place.settings is None else f", loaded by {place.settings}"
    return f"completion for {shell} written to {place.script}{loaded}\nstart a new {shell} to use it\n"


def _append(settings: Path, line: str) -> None:
    """Add ``line`` to the end of a file, unless it is there."""
    content = settings.read_bytes() if settings.exists() else b""
    if os.fsencode(line) in content.splitlines():
        return
    with settings.open("ab") as file:
        file.write((b"" if content.endswith(b"\n") or not content else b"\n") + os.fsencode(line) + b"\n")


def _why(error: OSError | RuntimeError) -> str:
    return reason(error) if isinstance(error, OSError) else str(error)
