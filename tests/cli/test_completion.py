"""Completion in shells: the questions of the scripts, the scripts themselves, and where they are installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Ergo

BIN = str(Path(sys.executable).parent)


@pytest.mark.parametrize(
    ("line", "candidates"),
    [
        ("ergo re", ["replay", "recover"]),
        ("ergo replay --str", ["--strict"]),
        ("ergo runs ti", ["timeline"]),
        ("ergo run --format j", ["json"]),
        ("ergo --show", ["--show-completion"]),
        ("ergo bogus", []),
        ("ergo help r", ["run", "replay", "recover", "runs"]),
        ("ergo help runs ", ["list", "show", "timeline", "resume", "fork"]),
        ("ergo help runs l", ["list"]),
        ("ergo help fixture f", ["from-csv"]),
        ("ergo help replay ", []),
        ("ergo help runs list ", []),
        ("ergo fixture from-csv --event-kind ", ["Pump", "DataAvailable", "Command"]),
        ("ergo fixture from-csv --event-kind D", ["DataAvailable"]),
        ("ergo --show-completion ", ["bash", "zsh", "fish"]),
        ("ergo --install-completion f", ["fish"]),
        ("ergo replay -p ", []),
        ("ergo replay --project nowhere -p ", []),
    ],
)
def test_the_parser_answers_what_bash_asks(ergo: Ergo, line: str, candidates: list[str]) -> None:
    assert completed(ergo, line) == candidates


def completed(ergo: Ergo, line: str, cwd: Path | None = None) -> list[str]:
    """What bash offers for the last word of a line, which is empty behind a space."""
    asked = {"_ERGO_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    ran = ergo(**asked) if cwd is None else ergo(cwd=cwd, **asked)
    assert (ran.exit_code, ran.stderr) == (0, "")
    return ran.stdout.split()


@pytest.mark.parametrize("command", ["run", "capture", "replay", "explain", "runs list", "runs resume"])
def test_profiles_are_those_of_the_project_file_and_nothing_is_imported(
    ergo: Ergo, tmp_path: Path, command: str
) -> None:
    below = tmp_path / "desk" / "below"
    below.mkdir(parents=True)
    (tmp_path / "desk" / "ergo.toml").write_text(
        'name = "desk"\nversion = "1"\nprimitives = "own"\n'
        '[profiles.day]\nkernel = "own:program"\n'
        '[profiles.dusk]\nkernel = "own:program"\ningress = { type = "process", command = ["touch", "started"] }\n'
        '[profiles.night]\ngraph = "nowhere.yaml"\n'
    )
    (tmp_path / "desk" / "own.py").write_text("open('imported', 'w')\n")
    assert completed(ergo, f"ergo {command} -p ", below) == ["day", "dusk", "night"]
    assert completed(ergo, f"ergo {command} --profile d", below) == ["day", "dusk"]
    assert completed(ergo, f"ergo {command} --project {tmp_path}/desk -p n", tmp_path) == ["night"]
    assert completed(ergo, f"ergo {command} -p ", tmp_path) == []
    (tmp_path / "desk" / "ergo.toml").write_text("name = ")
    assert completed(ergo, f"ergo {command} -p ", below) == []
    assert not list(tmp_path.rglob("imported"))
    assert not list(tmp_path.rglob("started"))


def test_the_parser_answers_what_zsh_and_fish_ask(ergo: Ergo) -> None:
    question = {"_TYPER_COMPLETE_ARGS": "ergo rec"}
    meaning = "Make the bundle of every step that a journalled run committed."
    zsh = ergo(_ERGO_COMPLETE="complete_zsh", **question)
    assert zsh.stdout == f"""_arguments '*: :(("recover":"{meaning}"))'\n"""
    fish = {"_ERGO_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    assert ergo(**fish, **question).stdout == f"recover\t{meaning}\n"


@pytest.mark.parametrize(("line", "exit_code"), [("ergo rec", 0), ("ergo bogus", 1)])
def test_fish_learns_whether_there_are_candidates(ergo: Ergo, line: str, exit_code: int) -> None:
    asked = {"_ERGO_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "is-args", "_TYPER_COMPLETE_ARGS": line}
    assert ergo(**asked).exit_code == exit_code


def test_bash_completes_with_the_script_that_is_shown(environment: dict[str, str]) -> None:
    ask = 'COMP_WORDS=(ergo re); COMP_CWORD=1; _ergo_completion ergo; echo "${COMPREPLY[@]}"; complete -p ergo'
    done = subprocess.run(
        ["bash", "--norc", "-c", f'eval "$(ergo --show-completion bash)"; {ask}'],
        env={**environment, "PATH": f"{BIN}:{environment['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "replay recover\ncomplete -o default -F _ergo_completion ergo\n"
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("shell", "begins"),
    [("bash", "_ergo_completion() {"), ("zsh", "#compdef ergo\n"), ("fish", "complete --command ergo ")],
)
def test_the_script_of_each_shell_is_shown(ergo: Ergo, shell: str, begins: str) -> None:
    ran = ergo("--show-completion", shell)
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert ran.stdout.startswith(begins)
    assert f"_ERGO_COMPLETE=complete_{shell}" in ran.stdout
    assert ergo(f"--show-completion={shell}") == ran
    assert ergo("--show-completion", SHELL=f"/bin/{shell}") == ran


@pytest.mark.parametrize(
    ("shell", "script", "settings", "line"),
    [
        ("bash", ".bash_completions/ergo.sh", ".bashrc", "source {home}/.bash_completions/ergo.sh"),
        ("zsh", ".zfunc/_ergo", ".zshrc", "fpath+=~/.zfunc; autoload -Uz compinit; compinit"),
    ],
)
def test_installing_writes_the_script_and_one_line_of_settings(
    ergo: Ergo, tmp_path: Path, shell: str, script: str, settings: str, line: str
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / settings).write_text("alias ll='ls -l'")
    for _ in range(2):  # the second time changes nothing
        ran = ergo("--install-completion", shell, HOME=str(home))
        assert (ran.exit_code, ran.stderr) == (0, "")
        assert ran.stdout == (
            f"completion for {shell} written to {home / script}, loaded by {home / settings}\n"
            f"start a new {shell} to use it\n"
        )
        assert (home / script).read_text() == ergo("--show-completion", shell).stdout
        assert (home / settings).read_text() == f"alias ll='ls -l'\n{line.format(home=home)}\n"


def test_fish_needs_no_line_of_settings(ergo: Ergo, tmp_path: Path) -> None:
    ran = ergo("--install-completion", "fish", HOME=str(tmp_path))
    script = tmp_path / ".config" / "fish" / "completions" / "ergo.fish"
    assert ran == (0, f"completion for fish written to {script}\nstart a new fish to use it\n", "")
    assert script.read_text() == ergo("--show-completion", "fish").stdout


def test_an_installed_completion_is_loaded_by_a_new_bash(
    ergo: Ergo, environment: dict[str, str], tmp_path: Path
) -> None:
    home = tmp_path / "a home"
    home.mkdir()
    assert ergo("--install-completion", "bash", HOME=str(home)).exit_code == 0
    done = subprocess.run(
        ["bash", "--rcfile", str(home / ".bashrc"), "-i", "-c", "complete -p ergo"],
        env={**environment, "HOME": str(home)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "complete -o default -F _ergo_completion ergo\n"


@pytest.mark.parametrize("option", ["--show-completion", "--install-completion"])
@pytest.mark.parametrize(
    ("words", "shell", "fix"),
    [
        (["tcsh"], "", "use one of: bash, zsh, fish"),
        (["bsh"], "", "did you mean 'bash'?"),
        ([], "/bin/tcsh", "use one of: bash, zsh, fish"),
        ([], "", "name it, for example {option} bash"),
        (["bash", "zsh"], "", "{option} takes the name of one shell"),
    ],
)
def test_an_unknown_shell_is_refused_with_a_remedy(
    ergo: Ergo, tmp_path: Path, option: str, words: list[str], shell: str, fix: str
) -> None:
    ran = ergo(option, *words, SHELL=shell, HOME=str(tmp_path))
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert ran.stderr.splitlines()[-1] == f"  fix: {fix.format(option=option)}"
    assert list(tmp_path.iterdir()) == []


def test_a_home_that_cannot_be_written_is_exit_code_6(ergo: Ergo, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.write_text("a file")
    ran = ergo("--install-completion", "bash", HOME=str(home))
    assert (ran.exit_code, ran.stdout) == (6, "")
    assert ran.stderr == (
        "error: home/.bash_completions  the completion for bash could not be written: Not a directory\n"
        "  fix: make the folder writable, or store what 'ergo --show-completion bash' shows where bash loads it\n"
    )
