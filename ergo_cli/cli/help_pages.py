"""The pages that ``--help`` shows: options in groups of what they are for, drawn on terminals, plain in pipes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from typer.core import TyperCommand, TyperGroup

from ergo_cli.cli.commands import Color
from ergo_cli.cli.streams import is_colored, is_drawn, width_of

RUNS = "What runs"
FOUND = "Where it is found"
COMPARED = "What is compared"
CHECKED = "What is checked"
WRITTEN = "What is written"
LIMITS = "What limits it"
SHOWN = "How it is shown"
SHELL = "In the shell"

GROUPS: Mapping[str, Sequence[str]] = {
    RUNS: (
        "--graph",
        "--program",
        "--adapter",
        "--numbers",
        "--formats",
        "--redact",
        "--redact-key-file",
        "--guard",
        "--driver-cmd",
        "--driver-arg",
        "--egress-config",
        "run --dry-run",
        "capture --dry-run",
        "--continue",
        "--accept-plan-change",
        "--jobs",
        "--event",
        "--occurrence",
        "--value",
        "--payload",
        "--rebuild",
        "runs resume --force",
        "shrink --run",
        "accept --stale",
    ),
    COMPARED: (
        "replay --strict",
        "watch --strict",
        "export --strict",
        "export --where",
        "import --where",
        "--ignore",
        "replay --from",
        "replay --until",
        "replay --event",
        "--shard",
        "--fail-on",
        "explain --diff",
        "accept --kind",
        "accept --node",
        "accept --path",
        "--good",
        "--bad",
        "--any",
    ),
    CHECKED: ("--verify", "validate --strict", "validate --adapter"),
    WRITTEN: (
        "export --decisions",
        "export --effects",
        "export --events",
        "export --divergences",
        "import --from",
        "import --id",
        "import --at-unit",
        "import --zone",
        "import --missing",
        "import --null",
        "import --text",
        "import --thousands",
        "import --decimal",
        "import --at",
        "import --kind",
        "import --map",
        "import --drop",
        "import --sort-by",
        "--capture",
        "--output",
        "--journal",
        "--pretty",
        "--embed",
        "graph --as",
        "export --as",
        "why --as",
        "--semantic-kind",
        "--event-kind",
        "--episode-id",
        "runs fork --at",
        "runs fork --as",
        "runs fork --event",
        "runs export --as",
        "init --kind",
        "init --force",
        "runs gc --dry-run",
        "shrink --test",
        "accept --all",
        "accept --force",
        "accept --why",
    ),
    FOUND: ("--cluster-path", "--profile", "--project", "--store", "--artifacts", "--also"),
    LIMITS: (
        "--max-events",
        "--max-duration",
        "--max-in-flight",
        "--max-per-window",
        "--rate-window",
        "--deadline",
        "--max-retries",
        "--max-tries",
        "--max-seconds",
        "--max-input",
        "--timeout",
        "runs cancel --wait",
        "runs gc --grace",
    ),
    SHOWN: (
        "--status",
        "--list",
        "--max-divergences",
        "--depth",
        "--show-ports",
        "--show-impl",
        "--show-runtime-id",
        "--fail-on-error",
        "--format",
        "--report",
        "--quiet",
        "--verbose",
        "--color",
        "--version",
        "--help",
    ),
    SHELL: ("--install-completion", "--show-completion"),
}
"""The options of each group, in the order of help pages; an option that means something else under one command also
with that command's name."""

Section = tuple[str, Sequence[tuple[str, str]]]
"""A title, and below it names with what they mean."""


def help_page(command: TyperCommand | TyperGroup, context: Any) -> str:
    """The help of ``command``: drawn where standard output is drawn on, else plain text. Nothing is cut."""
    color = _asked_color(context.find_root().obj or ())
    parts = list(sections(command, context))
    if not is_drawn(color, sys.stdout):
        return _plain(command, context, parts)
    from ergo_cli.report.help_screens import help_screen  # only terminals pay for Rich

    context.color = is_colored(color, sys.stdout)
    context.terminal_width = width_of(sys.stdout)
    intro = _text(context, command.format_usage, command.format_help_text)
    epilog = _text(context, command.format_epilog)
    return help_screen(intro, parts, epilog, width=context.terminal_width, colored=context.color)


def group_of(command_path: str, option: str) -> str | None:
    """The group of an option of a command such as ``ergo runs fork``; None if it has none."""
    own = f"{command_path.partition(' ')[2]} {option}"
    found = {name: group for group, names in GROUPS.items() for name in names}
    return found.get(own) or found.get(option)


def sections(command: TyperCommand | TyperGroup, context: Any) -> Iterator[Section]:
    """Arguments, the groups of options, the commands below, in this order; without those that are empty."""
    arguments: list[tuple[str, str]] = []
    options: dict[str, list[tuple[str, str]]] = {group: [] for group in GROUPS}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is None:
            continue
        group = group_of(context.command_path, parameter.opts[0])
        rows = arguments if parameter.param_type_name == "argument" else options[group or SHOWN]
        rows.append(record)
    commands = [(each.name or "", each.short_help or "") for each in getattr(command, "commands", {}).values()]
    yield from (
        section for section in (("Arguments", arguments), *options.items(), ("Commands", commands)) if section[1]
    )


def _plain(command: TyperCommand | TyperGroup, context: Any, shown: Sequence[Section]) -> str:
    def write_sections(_: Any, formatter: Any) -> None:
        for title, rows in shown:
            with formatter.section(title):
                formatter.write_dl(rows)

    parts = (command.format_usage, command.format_help_text, write_sections, command.format_epilog)
    return _text(context, *parts)


def _text(context: Any, *parts: Callable[[Any, Any], None]) -> str:
    formatter = context.make_formatter()
    for write in parts:
        write(context, formatter)
    return formatter.getvalue().strip("\n")


def _asked_color(arguments: Sequence[str]) -> Color:
    """The colour that the arguments ask for, of which those behind ``--help`` are not parsed."""
    words = [word.removeprefix("--color=") for word in arguments if word.startswith("--color=")]
    words += [word for option, word in pairwise(arguments) if option == "--color"]
    return next((color for color in Color if color.value in words), Color.AUTO)
