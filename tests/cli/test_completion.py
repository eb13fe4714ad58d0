"""Completion in shells: the questions of the scripts, the scripts themselves, and where they are installed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Ergo

BIN = str(Path(sys.executable).parent)


@pytest.mark.parametrize(
    ("line", "candidates"),
    [
        ("ergo re", ["replay", "recover", "redact", "report"]),
        ("ergo replay --str", ["--strict"]),
        ("ergo runs ti", ["timeline"]),
        ("ergo run --format j", ["json"]),
        ("ergo --show", ["--show-completion"]),
        ("ergo bogus", []),
        ("ergo help r", ["run", "replay", "recover", "redact", "runs", "report"]),
        ("ergo help runs ", ["list", "show", "timeline", "resume", "fork", "cancel", "export", "import", "gc"]),
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


QUESTIONS = ["source_bash", "complete_bash", "complete_zsh", "complete_fish", "x"]


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize(
    ("line", "exit_code"),
    [(["replay", "--strict", "/nonexistent.json"], 3), (["validate", "/nonexistent.json"], 3), (["bogus"], 2)],
)
def test_a_question_that_is_inherited_does_not_answer_for_a_command(
    ergo: Ergo, question: str, line: list[str], exit_code: int
) -> None:
    inherited = {"_ERGO_COMPLETE": question, "COMP_WORDS": "ergo re", "COMP_CWORD": "1"}
    ran = ergo(*line, **inherited)
    assert ran == ergo(*line)
    assert ran.exit_code == exit_code
    assert ergo("--version", **inherited) == ergo("--version")
    assert ergo("--help", **inherited) == ergo("--help")


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"_ERGO_COMPLETE": "complete_bash"}, "COMP_WORDS is not set"),
        ({"_ERGO_COMPLETE": "complete_bash", "COMP_WORDS": "ergo re"}, "COMP_CWORD is '', which"),
        ({"_ERGO_COMPLETE": "complete_bash", "COMP_WORDS": "ergo re", "COMP_CWORD": "x"}, "COMP_CWORD is 'x', which"),
        ({"_ERGO_COMPLETE": "complete_bash", "COMP_WORDS": "ergo re", "COMP_CWORD": "-1"}, "COMP_CWORD is '-1', which"),
        ({"_ERGO_COMPLETE": "complete_bash", "COMP_WORDS": "ergo re", "COMP_CWORD": "9" * 5000}, "COMP_CWORD is '9999"),
        ({"_ERGO_COMPLETE": "source_bash"}, "'source_bash' is not one of complete_bash, complete_zsh, complete_fish"),
        ({"_ERGO_COMPLETE": "complete_tcsh"}, "'complete_tcsh' is not one of"),
        ({"_ERGO_COMPLETE": "x"}, "'x' is not one of"),
    ],
)
def test_a_question_that_no_script_asks_is_refused(ergo: Ergo, asked: dict[str, str], why: str) -> None:
    ran = ergo(**asked, COLUMNS="1000")
    assert (ran.exit_code, ran.stdout) == (2, "")
    first, where, fix = ran.stderr.splitlines()
    assert where == "  where: environment variable _ERGO_COMPLETE"
    assert f"_ERGO_COMPLETE in the environment asks for no completion: {why}" in first
    assert fix == "  fix: unset _ERGO_COMPLETE, or load the script that 'ergo --show-completion' shows"


def test_an_empty_question_is_none(ergo: Ergo) -> None:
    assert ergo(_ERGO_COMPLETE="") == ergo()


@pytest.mark.parametrize("words", ["", "'", "ergo run '", "ergo run \udcff", "ergo --\udcff", "ergo replay --format"])
@pytest.mark.parametrize("question", ["complete_bash", "complete_zsh", "complete_fish"])
def test_words_that_are_no_command_line_have_no_traceback(ergo: Ergo, question: str, words: str) -> None:
    asked = {"COMP_WORDS": words, "COMP_CWORD": "7", "_TYPER_COMPLETE_ARGS": words}
    ran = ergo(_ERGO_COMPLETE=question, **asked, _TYPER_COMPLETE_FISH_ACTION="get-args")
    assert (ran.exit_code, ran.stderr) == (0, "")


def test_bash_completes_with_the_script_that_is_shown(environment: dict[str, str]) -> None:
    ask = 'COMP_WORDS=(ergo re); COMP_CWORD=1; _ergo_completion ergo; echo "${COMPREPLY[@]}"; complete -p ergo'
    done = subprocess.run(
        ["bash", "--norc", "-c", f'eval "$(ergo --show-completion bash)"; {ask}'],
        env={**environment, "PATH": f"{BIN}:{environment['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "replay recover redact report\ncomplete -o default -F _ergo_completion ergo\n"
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


ONE_KILOBYTE = ("bash", "-c", 'ulimit -f 1; exec "$@"', "bash")


@pytest.mark.parametrize(("shell_name", "script"), [("bash", ".bash_completions/ergo.sh"), ("zsh", ".zfunc/_ergo")])
def test_what_does_not_fit_on_the_disk_leaves_nothing_half_written(
    ergo: Ergo, tmp_path: Path, shell_name: str, script: str
) -> None:
    """The limit stands for a full disk: the line of the settings would end in the second kilobyte."""
    settings = tmp_path / f".{shell_name}rc"
    before = "# " + "x" * 1010 + "\n"
    settings.write_text(before)
    ran = ergo("--install-completion", shell_name, HOME=str(tmp_path), COLUMNS="1000", through=ONE_KILOBYTE)
    assert (ran.exit_code, ran.stdout) == (6, "")
    assert f"cannot write '{settings.name}': cannot write to the temporary file" in ran.stderr
    assert ran.stderr.splitlines()[-1] == (
        "  fix: raise the limit on the size of files (ulimit -f), or store what "
        f"'ergo --show-completion {shell_name}' shows where {shell_name} loads it"
    )
    assert settings.read_text() == before
    assert (tmp_path / script).read_text() == ergo("--show-completion", shell_name).stdout
    assert [path.name for path in tmp_path.glob("**/*.tmp")] == []
    for _ in range(2):
        assert ergo("--install-completion", shell_name, HOME=str(tmp_path)).exit_code == 0
    assert settings.read_text().startswith(before)
    assert settings.read_text().count("\n") == 2


OBSTACLES: dict[str, Callable[[Path], None]] = {
    "a device or a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/null"),
    "a folder": Path.mkdir,
}


@pytest.mark.parametrize("obstacle", OBSTACLES)
@pytest.mark.parametrize("place", [".bashrc", ".bash_completions/ergo.sh"])
def test_what_is_not_a_plain_file_is_refused_and_nothing_is_written(
    ergo: Ergo, tmp_path: Path, obstacle: str, place: str
) -> None:
    (tmp_path / place).parent.mkdir(exist_ok=True)
    OBSTACLES[obstacle](tmp_path / place)
    ran = ergo("--install-completion", "bash", HOME=str(tmp_path), COLUMNS="1000")
    assert (ran.exit_code, ran.stdout) == (6, "")
    first, fix = ran.stderr.splitlines()
    assert f"cannot write '{place}': it is {obstacle}" in first
    assert fix == (
        "  fix: put a plain file there, or store what 'ergo --show-completion bash' shows where bash loads it"
    )
    assert [path for path in tmp_path.glob("**/*") if path.is_file()] == []


def test_a_link_is_followed_and_the_permission_bits_stay(ergo: Ergo, tmp_path: Path) -> None:
    kept = tmp_path / "dotfiles" / "bashrc"
    kept.parent.mkdir()
    kept.write_text("# mine\n")
    kept.chmod(0o640)
    (tmp_path / ".bashrc").symlink_to(kept)
    assert ergo("--install-completion", "bash", HOME=str(tmp_path)).exit_code == 0
    assert (tmp_path / ".bashrc").readlink() == kept
    assert kept.read_text() == f"# mine\nsource {tmp_path}/.bash_completions/ergo.sh\n"
    assert kept.stat().st_mode & 0o777 == 0o640


def test_settings_with_the_line_are_not_written_again(ergo: Ergo, tmp_path: Path) -> None:
    line = f"source {tmp_path}/.bash_completions/ergo.sh"
    settings = tmp_path / ".bashrc"
    settings.write_bytes(f"# mine\r\n{line}\r\nset -u".encode())
    before = settings.stat().st_ino, settings.stat().st_mtime_ns, settings.read_bytes()
    assert ergo("--install-completion", "bash", HOME=str(tmp_path)).exit_code == 0
    assert (settings.stat().st_ino, settings.stat().st_mtime_ns, settings.read_bytes()) == before


def test_a_home_with_a_newline_gets_one_line_of_settings(ergo: Ergo, tmp_path: Path) -> None:
    home = tmp_path / "a\nhome"
    home.mkdir()
    assert ergo("--install-completion", "bash", HOME=str(home)).exit_code == 0
    once = (home / ".bashrc").read_text()
    assert ergo("--install-completion", "bash", HOME=str(home)).exit_code == 0
    assert (home / ".bashrc").read_text() == once


@pytest.mark.parametrize("option", ["--show-completion", "--install-completion"])
def test_a_closed_standard_output_takes_nothing(ergo: Ergo, tmp_path: Path, option: str) -> None:
    ran = ergo(option, "bash", HOME=str(tmp_path), through=("sh", "-c", 'exec "$@" >&-', "sh"))
    assert ran == (0, "", "")
    assert (tmp_path / ".bashrc").exists() == (option == "--install-completion")


def test_an_answer_to_a_closed_standard_output_is_silent(ergo: Ergo) -> None:
    asked = {"_ERGO_COMPLETE": "complete_bash", "COMP_WORDS": "ergo re", "COMP_CWORD": "1"}
    assert ergo(**asked, through=("sh", "-c", 'exec "$@" >&-', "sh")) == (0, "", "")
