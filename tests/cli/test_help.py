"""The help: grouped and drawn on terminals, plain in pipes, never cut; ``ergo help`` and its errors."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from ergo_cli.cli.commands import application
from ergo_cli.cli.help_pages import GROUPS, group_of
from tests.cli.terminals import on_terminal, plain
from tests.conftest import Ergo


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every command and group of commands, with its options as they are listed."""
    waiting = [("ergo", get_command(application(())))]
    while waiting:
        path, command = waiting.pop(0)
        context = command.context_class(command, info_name=path)
        options = [each for each in command.get_params(context) if each.param_type_name == "option"]
        yield path, [option.opts[0] for option in options]
        waiting += [(f"{path} {name}", below) for name, below in getattr(command, "commands", {}).items()]


COMMANDS = dict(commands())


def test_all_commands_are_looked_at() -> None:
    assert len(COMMANDS) == 36
    assert "--graph" in COMMANDS["ergo capture"]
    assert "--force" in COMMANDS["ergo runs resume"]


@pytest.mark.parametrize("path", COMMANDS)
def test_every_option_has_a_group(path: str) -> None:
    assert [option for option in COMMANDS[path] if group_of(path, option) is None] == []


def test_a_group_lists_no_option_that_does_not_exist() -> None:
    listed = {name for names in GROUPS.values() for name in names}
    known = {option for options in COMMANDS.values() for option in options}
    known |= {f"{path.removeprefix('ergo ')} {option}" for path, options in COMMANDS.items() for option in options}
    assert listed - known == set()


EXPECTED = [
    ("ergo capture", "--graph", "What runs"),
    ("ergo capture", "--output", "What is written"),
    ("ergo capture", "--max-events", "What limits it"),
    ("ergo capture", "--format", "How it is shown"),
    ("ergo replay", "--strict", "What is compared"),
    ("ergo replay", "--ignore", "What is compared"),
    ("ergo validate", "--strict", "What is checked"),
    ("ergo export", "--where", "What is compared"),
    ("ergo export", "--effects", "What is written"),
    ("ergo validate", "--adapter", "What is checked"),
    ("ergo run", "--adapter", "What runs"),
    ("ergo explain", "--event", "What runs"),
    ("ergo runs fork", "--event", "What is written"),
    ("ergo runs resume", "--force", "What runs"),
    ("ergo init", "--force", "What is written"),
]


@pytest.mark.parametrize(("path", "option", "group"), EXPECTED)
def test_an_option_is_listed_below_what_it_is_for(path: str, option: str, group: str, ergo: Ergo) -> None:
    [section] = re.findall(rf"^{group}:\n((?:  .*\n)+)", ergo(*path.split()[1:], "--help").stdout, re.MULTILINE)
    assert re.search(rf"(?<![\w-]){option}(?![\w-])", section)


@pytest.mark.parametrize("columns", ["20", "40", "80", "160"])
@pytest.mark.parametrize("line", ["", "run", "replay", "runs fork", "fixture from-csv"])
def test_nothing_is_cut_on_a_terminal_of_any_width(
    line: str, columns: str, environment: dict[str, str], ergo: Ergo, tmp_path: Path
) -> None:
    shown = on_terminal([*line.split(), "--help"], {**environment, "COLUMNS": columns}, tmp_path)
    assert "\N{HORIZONTAL ELLIPSIS}" not in shown
    assert _letters(plain(shown)) == _letters(ergo(*line.split(), "--help").stdout)
    if columns >= "40":
        assert max(len(row) for row in plain(shown).splitlines() if "│" in row) <= int(columns)


def _letters(text: str) -> list[str]:
    """The letters of a help in an order that does not depend on where lines break."""
    return sorted(re.sub(r"[\s╭╮╰╯─│:]", "", text))


def test_a_terminal_gets_panels_and_a_pipe_plain_text(environment: dict[str, str], ergo: Ergo, tmp_path: Path) -> None:
    terminal = {**environment, "TERM": "xterm-256color", "COLUMNS": "80"}
    shown = on_terminal(["replay", "--help"], terminal, tmp_path)
    assert "\x1b[36m--strict" in shown
    titles = re.findall(r"^╭─ (.*?) ─+╮", plain(shown), re.MULTILINE)
    assert titles == [
        *("Arguments", "What runs", "What is compared", "Where it is found"),
        *("What limits it", "How it is shown"),
    ]
    piped = ergo("replay", "--help").stdout
    assert "\x1b" not in piped
    assert re.findall(r"^(\w.*):$", piped, re.MULTILINE) == titles


@pytest.mark.parametrize("arguments", [["--color", "never", "-h"], ["-h", "--color=never"]])
def test_the_help_is_coloured_as_asked(arguments: list[str], environment: dict[str, str], tmp_path: Path) -> None:
    terminal = {**environment, "TERM": "xterm-256color"}
    assert "\x1b[36m" not in on_terminal(["diff", *arguments], terminal, tmp_path)
    assert "\x1b[36m" not in on_terminal(["diff", "-h"], {**terminal, "NO_COLOR": "1"}, tmp_path)


def test_a_group_without_command_shows_its_help_as_drawn(environment: dict[str, str], tmp_path: Path) -> None:
    assert "╭─ Commands ─" in plain(on_terminal(["runs"], environment, tmp_path))
    assert "╭─ Commands ─" in plain(on_terminal([], environment, tmp_path))


def test_rich_is_imported_for_terminals_only() -> None:
    script = (
        "import sys\nfrom ergo_cli.cli.app import execute\n"
        "for line in ([], ['--help'], ['help', 'run'], ['runs', 'list', '-h']): assert execute(line) == 0\n"
        "sys.exit('rich' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("line", "message", "fix"),
    [
        ("help nonsense", "unknown command 'nonsense'; usage: ergo help [COMMAND]", "use one of: run, capture, "),
        ("help relpay", "unknown command 'relpay'; usage: ergo help [COMMAND]", "did you mean 'replay'?\n"),
        ("help runs tmeline", "unknown command 'runs tmeline'; usage: ergo help [COMMAND]", "did you mean 'timeline'?"),
        ("help fixture run", "unknown command 'fixture run'; usage: ergo help [COMMAND]", "use one of: inspect, "),
        ("help run x", "'run' has no commands, and no help on 'x'; usage: ergo help [COMMAND]", "ergo help run\n"),
    ],
)
def test_help_on_what_does_not_exist_is_a_usage_error(line: str, message: str, fix: str, ergo: Ergo) -> None:
    ran = ergo(*line.split())
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"error: {message}\n  fix: {fix}")


@pytest.mark.parametrize(("line", "code"), [("help nil", "unknown_command"), ("help run x", "unexpected_argument")])
def test_the_errors_of_help_have_codes(line: str, code: str, capsys: pytest.CaptureFixture[str]) -> None:
    from ergo_cli.errors import UsageError

    with pytest.raises(UsageError) as caught:
        application(())(args=line.split(), prog_name="ergo", standalone_mode=False)
    assert caught.value.code == f"cli.{code}"
