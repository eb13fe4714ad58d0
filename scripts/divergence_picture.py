"""Draws docs/divergence.svg, the picture in the README: the screen of a real ``ergo replay`` whose gate is closed.

After a change of that screen: ``python scripts/divergence_picture.py >docs/divergence.svg``. A test compares the texts.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

STRATEGY = Path(__file__).parents[1] / "fixtures" / "order_threshold"
WIDTH = 80
THEME = TerminalTheme(
    (22, 27, 34),
    (230, 237, 243),
    [
        (72, 79, 88),
        (255, 123, 114),
        (63, 185, 80),
        (210, 153, 34),
        (88, 166, 255),
        (188, 140, 255),
        (57, 197, 207),
        (177, 186, 196),
    ],
)


def screen() -> str:
    """What a terminal shows after the strategy's entry level was lowered, with escape sequences for the colours."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "strategy"
        shutil.copytree(STRATEGY, home)
        ergo(home, "capture", "events/monday.jsonl", "-o", "bundle.json", "-q", exit_code=0)
        graph = home / "graphs" / "order_threshold.yaml"
        graph.write_text(graph.read_text().replace("value: 105.0", "value: 104.0"))
        shown = ergo(home, "replay", "bundle.json", "--color", "always", exit_code=1)
    return f"$ ergo replay bundle.json\n{shown}"


def ergo(home: Path, *arguments: str, exit_code: int) -> str:
    environment = {**os.environ, "COLUMNS": str(WIDTH), "XDG_DATA_HOME": str(home / "data")}
    command = [str(Path(sys.executable).with_name("ergo")), *arguments]
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, timeout=120)
    if done.returncode != exit_code:
        sys.exit(done.stderr)
    return done.stdout


def picture(shown: str) -> str:
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.from_ansi(shown.rstrip("\n")))
    drawn = console.export_svg(title="the gate closes: exit 1", theme=THEME, unique_id="divergence")
    # Nothing is loaded from elsewhere: the fonts of the reader do.
    return re.sub(r"\s*@font-face \{.*?\}", "", drawn, flags=re.DOTALL) + "\n"


if __name__ == "__main__":
    print(picture(screen()), end="")
